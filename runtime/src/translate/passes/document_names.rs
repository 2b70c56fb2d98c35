//! Names of documents, where the target has rules for them.

use std::collections::HashSet;

use busbar_protocols::{EffectKind, Text, ir};

use super::super::{shape::Shape, text};

/// Characters of a name at most.
const MAX_NAME: usize = 200;
/// Name of a document without one.
const NAMELESS: &str = "document";
/// What is said beside documents to which the user says nothing.
const BESIDE: &str = "The documents are attached.";

/// Gives every document a name of letters, digits, single spaces, `-`, `(`, `)`, `[` and `]` that no other
/// document has, and every turn with a document a text.
///
/// A name depends on those before it alone, so that it is the same in every turn.
pub(super) fn fit_document_names(request: &mut ir::Request<'_>, shape: &mut Shape<'_>) {
    if !shape.to.media.plain_document_names {
        return;
    }
    let mut taken = HashSet::new();
    for turn in request.turns.iter_mut().flatten() {
        let Some(content) = &mut turn.content else { continue };
        for block in content.iter_mut() {
            match block {
                ir::Block::Document(node) => name(node, &mut taken, shape),
                ir::Block::ToolResult(node) => {
                    for block in node.content.iter_mut().flatten() {
                        if let ir::Block::Document(node) = block {
                            name(node, &mut taken, shape);
                        }
                    }
                }
                _ => {}
            }
        }
        let document = content.iter().find(|block| matches!(block, ir::Block::Document(_)));
        let Some(at) = document.map(ir::Block::at) else { continue };
        if !content.iter().any(|block| matches!(block, ir::Block::Text(_))) {
            content.push(text::block(BESIDE, at));
            shape.report.node(EffectKind::Injected, at, "the target wants a text beside a document");
        }
    }
}

fn name(node: &mut ir::DocumentBlock<'_>, taken: &mut HashSet<String>, shape: &mut Shape<'_>) {
    let member = if node.title.is_some() { "title" } else { "source.filename" };
    let own = node.title.take().or_else(|| node.source.filename.take());
    node.source.filename = None;
    let own = own.map(|own| own.decode().into_owned()).unwrap_or_default();
    let plain = plain(&own);
    let mut made = plain.clone();
    let mut count = 1_usize;
    while !taken.insert(made.clone()) {
        count += 1;
        made = format!("{plain} ({count})");
    }
    if made != own && !own.is_empty() {
        let reason = format!("the document {own:?} goes up as {made:?}, as the target wants names");
        shape.report.member(EffectKind::Adapted, node.at, "Block.document", member, reason);
    }
    node.title = Some(Text::plain(made));
}

/// A name in the characters that the target takes, without what only says the kind of file.
fn plain(own: &str) -> String {
    let stem = match own.rsplit_once('.') {
        Some((stem, kind)) if (1..=4).contains(&kind.len()) && !stem.is_empty() => stem,
        _ => own,
    };
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '(' | ')' | '[' | ']');
    let fitted: String = stem.chars().map(|c| if fits(c) || c.is_whitespace() { c } else { '-' }).collect();
    let words: Vec<&str> = fitted.split_whitespace().collect();
    // Room for the number that keeps two names apart.
    let name: String = words.join(" ").chars().take(MAX_NAME - 10).collect();
    let name = name.trim_end();
    if name.is_empty() { NAMELESS.to_owned() } else { name.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_few_characters() {
        assert_eq!(plain("Q3 report (v2).final_draft.pdf"), "Q3 report (v2)-final-draft");
        assert_eq!(plain("a  b\t[1].md"), "a b [1]");
        assert_eq!(plain(""), NAMELESS);
        assert_eq!(plain("報告.pdf"), "--");
        assert_eq!(plain(&"x".repeat(300)).len(), MAX_NAME - 10);
        assert_eq!(plain(".env"), "-env");
    }
}

//! Documents in the turns, and beside them.

use base64::Engine as _;
use busbar_protocols::{EffectKind, Json, Text, ir};
use serde_json::Value;

use super::super::{shape::Shape, text};

/// Moves documents to where the target has them: beside the turns, or in front of the last thing the user said.
pub(super) fn place_documents(request: &mut ir::Request<'_>, shape: &mut Shape<'_>) {
    if shape.to.media.documents_beside {
        return beside(request, shape);
    }
    let cites = says_to_cite(&request.cite);
    for block in request.documents.iter_mut().flatten() {
        let ir::Block::Document(node) = block else { continue };
        // What the source cites from is cited from, where the target can.
        if shape.to.media.search_results && cites {
            node.cite.on.get_or_insert(true);
        }
    }
    let Some(mut documents) = request.documents.take().filter(|documents| !documents.is_empty()) else {
        request.documents = None;
        return free_form(request);
    };
    for block in &documents {
        let reason = "the document stands in front of what the user said last";
        shape.report.node(EffectKind::Adapted, block.at(), reason);
    }
    let turns = super::turns(request);
    let last = turns.iter().rposition(|turn| {
        let answers = |block: &ir::Block<'_>| matches!(block, ir::Block::ToolResult(_));
        turn.role == Some(ir::Role::User) && !turn.content.iter().flatten().any(answers)
    });
    match last.and_then(|last| turns.get_mut(last)) {
        Some(turn) => {
            let content = super::content(turn);
            for block in content.iter_mut() {
                if let ir::Block::Text(node) = block {
                    node.bare = None;
                }
            }
            documents.append(content);
            *content = documents;
        }
        None => {
            let at = documents.first().map(ir::Block::at).unwrap_or_default();
            let role = Some(ir::Role::User);
            turns.push(ir::Turn { role, content: Some(documents), at, ..ir::Turn::default() });
        }
    }
    free_form(request);
}

/// Whether the source cites what it was given; it does unless it says that it does not.
fn says_to_cite(cite: &ir::Cite<'_>) -> bool {
    let off = cite.mode.as_ref().is_some_and(|mode| mode.decode().eq_ignore_ascii_case("off"));
    cite.on != Some(false) && !off
}

/// Makes text of documents of free fields, wherever they stand.
fn free_form(request: &mut ir::Request<'_>) {
    super::each_block(request, &mut |block| {
        let ir::Block::Document(node) = block else { return };
        let Some(data) = node.data.take() else { return };
        let (title, said) = words(&data);
        node.title = node.title.take().or(title.map(Text::plain));
        node.source = ir::Source {
            kind: Some(ir::SourceKind::Text),
            text: Some(Text::plain(said)),
            filename: node.source.filename.take(),
            ..ir::Source::default()
        };
    });
}

/// Title and text of free fields: a text alone as it is, several fields each on its line.
fn words(data: &Json<'_>) -> (Option<String>, String) {
    let Ok(Value::Object(mut members)) = data.to_value() else {
        return (None, text::of_json(data));
    };
    let title = match members.get("title") {
        Some(Value::String(title)) => Some(title.clone()),
        _ => None,
    };
    if title.is_some() {
        members.shift_remove("title");
    }
    let plain = |value: &Value| match value {
        Value::String(said) => said.clone(),
        other => other.to_string(),
    };
    let lone = text::BODIES.iter().find_map(|name| members.get(*name)).filter(|_| members.len() == 1);
    let said = match lone {
        Some(value) => plain(value),
        None => members
            .iter()
            .map(|(name, value)| format!("{name}: {}", plain(value)))
            .collect::<Vec<_>>()
            .join("\n"),
    };
    (title, said)
}

/// Takes documents that are text, and search results, out of the user's turns.
fn beside(request: &mut ir::Request<'_>, shape: &mut Shape<'_>) {
    let mut moved = Vec::new();
    for turn in request.turns.iter_mut().flatten() {
        if turn.role != Some(ir::Role::User) {
            continue;
        }
        let Some(content) = &mut turn.content else { continue };
        content.retain_mut(|block| match taken(block) {
            Some(document) => {
                let reason = "the document stands beside the conversation";
                shape.report.node(EffectKind::Adapted, document.at, reason);
                moved.push(ir::Block::Document(document));
                false
            }
            None => true,
        });
    }
    if !moved.is_empty() {
        request.documents.get_or_insert_with(Vec::new).append(&mut moved);
    }
}

/// A block as a document of free fields, where it is text.
fn taken<'a>(block: &mut ir::Block<'a>) -> Option<ir::DocumentBlock<'a>> {
    match block {
        ir::Block::Document(node) => {
            let said = document_text(node)?;
            let title = node.title.take().or_else(|| node.source.filename.take());
            let fields = [("title", title), ("context", node.context.take()), ("text", Some(said))];
            Some(ir::DocumentBlock {
                data: Some(object(&fields)),
                id: node.id.take(),
                at: node.at,
                native: std::mem::take(&mut node.native),
                ..ir::DocumentBlock::default()
            })
        }
        ir::Block::SearchResult(node) => {
            let said = text::joined(node.content.as_deref().unwrap_or_default(), "\n");
            let fields = [
                ("title", node.title.take()),
                ("url", node.source.take()),
                ("text", Some(Text::plain(said))),
            ];
            Some(ir::DocumentBlock {
                data: Some(object(&fields)),
                at: node.at,
                native: std::mem::take(&mut node.native),
                ..ir::DocumentBlock::default()
            })
        }
        _ => None,
    }
}

/// The text of a document that is nothing but text.
fn document_text<'a>(node: &mut ir::DocumentBlock<'a>) -> Option<Text<'a>> {
    match &node.source.kind {
        Some(ir::SourceKind::Text) => node.source.text.take(),
        Some(ir::SourceKind::Blocks) => {
            let blocks = node.source.blocks.as_deref().unwrap_or_default();
            let all_text = blocks.iter().all(|block| matches!(block, ir::Block::Text(_)));
            all_text.then(|| Text::plain(text::joined(blocks, "\n")))
        }
        Some(ir::SourceKind::Bytes) => {
            let kind = node.source.media_type.as_ref()?.decode();
            if !kind.starts_with("text/") {
                return None;
            }
            let data = node.source.data.as_ref()?.decode();
            let bytes = base64::engine::general_purpose::STANDARD.decode(data.as_bytes()).ok()?;
            String::from_utf8(bytes).ok().map(Text::plain)
        }
        _ => None,
    }
}

/// An object of texts, in this order.
fn object<'a>(fields: &[(&str, Option<Text<'_>>)]) -> Json<'a> {
    let members = fields.iter().filter_map(|(name, value)| {
        let value = value.as_ref()?.decode().into_owned();
        Some(((*name).to_owned(), Value::String(value)))
    });
    text::json(&Value::Object(members.collect()))
}

//! Documents in the turns, and beside them.

use base64::Engine as _;
use busbar_protocols::{EffectKind, Json, Text, ir};
use serde_json::Value;

use super::super::given::{self, Given, Place};
use super::super::{shape::Shape, text};

/// Moves documents to where the target has them: beside the turns, or in front of the last thing the user said.
pub(super) fn place_documents(request: &mut ir::Request<'_>, shape: &mut Shape<'_>) {
    if shape.to.media.documents_beside {
        return beside(request, shape);
    }
    let cites = says_to_cite(&request.cite);
    if !cites {
        // Elsewhere an answer cites what it is asked to cite, and nothing else.
        request.cite = ir::Cite::default();
    }
    for block in request.documents.iter_mut().flatten() {
        let ir::Block::Document(node) = block else { continue };
        // What the source cites from is cited from, where the target can.
        if shape.to.media.search_results && cites {
            node.cite.on.get_or_insert(true);
        }
    }
    for (number, block) in request.documents.iter_mut().flatten().enumerate() {
        name_document(block, number, shape.to.media.document_text);
    }
    let Some(mut documents) = request.documents.take().filter(|documents| !documents.is_empty()) else {
        request.documents = None;
        return inside(request, shape);
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
    inside(request, shape);
}

/// Makes text of documents of free fields, and remembers which number has which id.
fn inside(request: &mut ir::Request<'_>, shape: &mut Shape<'_>) {
    free_form(request);
    if !shape.to.media.document_text {
        return;
    }
    let mut number = 0;
    super::each_block(request, &mut |block| {
        let ir::Block::Document(node) = block else { return };
        if let Some(id) = node.id.take() {
            shape.state.given.push(Given {
                id: id.decode().into_owned(),
                place: Place::Document(number),
                title: node.title.as_ref().map(|title| title.decode().into_owned()),
                source: None,
            });
            let reason = "citations of the answer name the document by its id";
            shape.report.node(EffectKind::Carried, node.at, reason);
        }
        number += 1;
    });
}

/// Whether the source cites what it was given; it does unless it says that it does not.
fn says_to_cite(cite: &ir::Cite<'_>) -> bool {
    let off = cite.mode.as_ref().is_some_and(|mode| {
        let mode = mode.decode();
        mode.eq_ignore_ascii_case("off") || mode.eq_ignore_ascii_case("disabled")
    });
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

/// Makes a document of a bare text, and where it can be cited, gives it the id that the source's provider would.
fn name_document(block: &mut ir::Block<'_>, number: usize, citable: bool) {
    if let ir::Block::Text(node) = block {
        let kind = Some(ir::SourceKind::Text);
        let source = ir::Source { kind, text: node.text.take(), ..ir::Source::default() };
        *block = ir::Block::Document(ir::DocumentBlock {
            source,
            at: node.at,
            native: std::mem::take(&mut node.native),
            ..ir::DocumentBlock::default()
        });
    }
    if let ir::Block::Document(node) = block
        && citable
    {
        node.id.get_or_insert_with(|| Text::plain(given::made_id(number)));
    }
}

/// Takes documents that are text, and search results, out of the user's turns.
fn beside(request: &mut ir::Request<'_>, shape: &mut Shape<'_>) {
    let mut moved = Vec::new();
    let mut cited = false;
    let (mut documents, mut results) = (0, 0);
    for turn in request.turns.iter_mut().flatten() {
        let of_user = turn.role == Some(ir::Role::User);
        let Some(content) = &mut turn.content else { continue };
        content.retain_mut(|block| {
            let place = match block {
                ir::Block::Document(_) => Place::Document(post_increment(&mut documents)),
                ir::Block::SearchResult(_) => Place::SearchResult(post_increment(&mut results)),
                ir::Block::ToolResult(node) => {
                    for block in node.content.iter().flatten() {
                        documents += u64::from(matches!(block, ir::Block::Document(_)));
                        results += u64::from(matches!(block, ir::Block::SearchResult(_)));
                    }
                    return true;
                }
                _ => return true,
            };
            let (cite, title, source) = match block {
                ir::Block::Document(node) => (&node.cite, node.title.clone(), None),
                ir::Block::SearchResult(node) => (&node.cite, node.title.clone(), node.source.clone()),
                _ => return true,
            };
            let asked = cite.on == Some(true);
            let Some(mut document) = of_user.then(|| taken(block)).flatten() else { return true };
            cited |= asked;
            let reason = "the document stands beside the conversation";
            shape.report.node(EffectKind::Adapted, document.at, reason);
            let own = |text: Option<Text<'_>>| text.map(|text| text.decode().into_owned());
            let id = own(document.id.take()).unwrap_or_else(|| given::made_id(moved.len()));
            document.id = Some(Text::plain(id.clone()));
            shape.state.given.push(Given { id, place, title: own(title), source: own(source) });
            moved.push(ir::Block::Document(document));
            false
        });
    }
    if !moved.is_empty() {
        request.documents.get_or_insert_with(Vec::new).append(&mut moved);
        // Elsewhere an answer cites what it is asked to cite, and nothing else.
        request.cite.on.get_or_insert(cited);
    }
}

fn post_increment(number: &mut u64) -> u64 {
    let before = *number;
    *number += 1;
    before
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

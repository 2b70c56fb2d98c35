//! Making text of the intermediate form.

use std::borrow::Cow;

use busbar_protocols::prelude::At;
use busbar_protocols::{Json, Text, ir};

/// Members of a free-form document that are its text, in the order in which they are looked for.
pub(crate) const BODIES: [&str; 3] = ["text", "snippet", "content"];

/// A block of text that the gateway wrote, at the place of what it stands for.
pub(crate) fn block<'a>(text: impl Into<String>, at: At) -> ir::Block<'a> {
    ir::Block::Text(ir::TextBlock { text: Some(Text::plain(text.into())), at, ..ir::TextBlock::default() })
}

/// All text of some blocks, that of JSON values included, joined by `separator`; other kinds of content are left
/// out.
pub(crate) fn joined(blocks: &[ir::Block<'_>], separator: &str) -> String {
    let mut all = String::new();
    for block in blocks {
        let said = match block {
            ir::Block::Text(node) => node.text.as_ref().map(Text::decode),
            ir::Block::Json(node) => node.value.as_ref().map(|value| Cow::Owned(of_json(value))),
            _ => None,
        };
        let Some(said) = said else { continue };
        if !all.is_empty() {
            all.push_str(separator);
        }
        all.push_str(&said);
    }
    all
}

/// A JSON value as text: a string as it reads, anything else as it is written.
pub(crate) fn of_json(value: &Json<'_>) -> String {
    match value.as_text() {
        Some(said) => said.decode().into_owned(),
        None => value.as_str().to_owned(),
    }
}

/// The text of a block that is text.
pub(crate) fn of<'b, 'a>(block: &'b ir::Block<'a>) -> Option<&'b Text<'a>> {
    match block {
        ir::Block::Text(node) => node.text.as_ref(),
        _ => None,
    }
}

/// JSON that the gateway wrote.
pub(crate) fn json<'a>(value: &serde_json::Value) -> Json<'a> {
    Json::from_value(value)
}

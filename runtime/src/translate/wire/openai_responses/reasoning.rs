//! Items of reasoning: pieces of a summary or of the text itself, and what is sealed.

use busbar_protocols::openai_responses as wire;
use busbar_protocols::{Field, Text, ir};

use super::super::super::carriage::Envelope;

/// What stands between two pieces.
const BETWEEN: &str = "\n\n";

/// Takes the text out of the items of reasoning, each with its place.
///
/// At home items stay as they are, but those that the gateway sealed: nobody else can read them.
pub(super) fn take(items: &mut [wire::ResponseInputItem<'_>], home: bool) -> Vec<(usize, String)> {
    let mut taken = Vec::new();
    for (index, item) in items.iter_mut().enumerate() {
        let wire::ResponseInputItem::Reasoning(item) = item else { continue };
        if !home || is_ours(item) {
            taken.push((index, text_of(item)));
        }
    }
    taken
}

fn is_ours(item: &wire::ResponseReasoningItem<'_>) -> bool {
    item.encrypted_content.as_ref().is_some_and(|sealed| Envelope::open(&sealed.decode()).is_some())
}

/// Takes the summary, or the text where there is none; what the other form says once more stays.
pub(super) fn text_of(item: &mut wire::ResponseReasoningItem<'_>) -> String {
    let mut said = Vec::new();
    if let Field::Value(pieces) = &mut item.summary {
        for piece in pieces.iter_mut() {
            said.extend(words(&mut piece.text));
            piece.r#type = Field::Absent;
        }
        pieces.retain(|piece| !piece.unknown.is_empty());
        if pieces.is_empty() {
            item.summary = Field::Absent;
        }
    }
    if said.is_empty()
        && let Field::Value(pieces) = &mut item.content
    {
        for piece in pieces.iter_mut() {
            said.extend(words(&mut piece.text));
            piece.r#type = Field::Absent;
        }
        pieces.retain(|piece| !piece.unknown.is_empty());
    }
    if item.content.as_ref().is_some_and(Vec::is_empty) {
        item.content = Field::Absent;
    }
    said.join(BETWEEN)
}

fn words(text: &mut Field<Text<'_>>) -> Option<String> {
    std::mem::take(text).value().map(|text| text.decode().into_owned()).filter(|text| !text.is_empty())
}

/// Puts the text into the item's block; an item without a word is one that only the provider can read.
pub(super) fn put(turn: &mut ir::Turn<'_>, text: String) {
    let at = turn.at;
    let content = turn.content.get_or_insert_with(Vec::new);
    if !content.iter().any(|block| matches!(block, ir::Block::Reasoning(_))) {
        content.push(ir::Block::Reasoning(ir::ReasoningBlock { at, ..Default::default() }));
    }
    for block in content {
        let ir::Block::Reasoning(node) = block else { continue };
        if !text.is_empty() {
            node.text = Some(Text::plain(text));
        } else if node.signature.is_some() {
            *block = ir::Block::RedactedReasoning(ir::RedactedReasoningBlock {
                data: node.signature.take(),
                id: node.id.take(),
                at,
                native: std::mem::take(&mut node.native),
                ..Default::default()
            });
        }
        return;
    }
}

/// Makes a message of an item whose reasoning became text, and says whether anything is left of it.
pub(super) fn settle(turn: &mut ir::Turn<'_>) -> bool {
    if turn.item != Some(ir::ItemKind::Reasoning) {
        return true;
    }
    let content = turn.content.as_deref_mut().unwrap_or_default();
    let is_reasoning =
        |block: &ir::Block<'_>| matches!(block, ir::Block::Reasoning(_) | ir::Block::RedactedReasoning(_));
    if content.iter().any(is_reasoning) {
        return true;
    }
    for block in content.iter_mut() {
        if let ir::Block::Text(node) = block {
            node.said = Some(true);
        }
    }
    (turn.item, turn.role) = (Some(ir::ItemKind::Message), Some(ir::Role::Assistant));
    (turn.id, turn.status) = (None, None);
    !content.is_empty()
}

/// Makes one kind of block of both kinds of reasoning, and takes its text out.
pub(super) fn unfold<'a>(turn: &mut ir::Turn<'a>) -> Option<Text<'a>> {
    for block in turn.content.iter_mut().flatten() {
        if let ir::Block::RedactedReasoning(node) = block {
            *block = ir::Block::Reasoning(ir::ReasoningBlock {
                signature: node.data.take(),
                id: node.id.take(),
                at: node.at,
                native: std::mem::take(&mut node.native),
                ..Default::default()
            });
        }
        if let ir::Block::Reasoning(node) = block {
            return node.text.take().filter(|text| !text.is_empty());
        }
    }
    None
}

/// Says the text as the one piece of a summary, which is there even when it is empty.
pub(super) fn say<'a>(item: &mut wire::ResponseReasoningItem<'a>, text: Option<Text<'a>>) {
    if let Some(text) = text {
        item.summary = Field::Value(vec![wire::ResponseReasoningItemSummary {
            r#type: Field::Value(Text::plain("summary_text")),
            text: Field::Value(text),
            ..Default::default()
        }]);
    }
    if item.summary.is_absent() {
        item.summary = Field::Value(Vec::new());
    }
}

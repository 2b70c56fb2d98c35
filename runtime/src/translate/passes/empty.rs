//! Content that is empty.

use busbar_protocols::{EffectKind, Text, ir};

use super::super::{shape::Shape, text};

/// Leaves out empty text blocks and empty turns, where the target refuses them.
///
/// An empty result stays a result, and the first turn stays a turn.
pub(super) fn drop_empty(request: &mut ir::Request<'_>, shape: &mut Shape<'_>) {
    if shape.to.turns.empty {
        return;
    }
    if let Some(blocks) = &mut request.instructions {
        blocks.retain(|block| !goes(block, shape));
        if blocks.is_empty() {
            request.instructions = None;
        }
    }
    let Some(turns) = &mut request.turns else { return };
    for turn in turns.iter_mut() {
        for block in turn.content.iter_mut().flatten() {
            if let ir::Block::ToolResult(node) = block
                && let Some(content) = &mut node.content
                && content.len() > 1
            {
                content.retain(|block| !goes(block, shape));
            }
        }
        if let Some(content) = &mut turn.content {
            content.retain(|block| !goes(block, shape));
        }
    }
    let only = turns.len() == 1;
    turns.retain_mut(|turn| {
        if turn.content.as_ref().is_some_and(|content| !content.is_empty()) {
            return true;
        }
        if only {
            // A request without a turn is no request; the provider says what it thinks of an empty one.
            turn.content = Some(vec![text::block(" ", turn.at)]);
            return true;
        }
        shape.report.node(
            EffectKind::Adapted,
            turn.at,
            "an empty message, which the target refuses, is left out",
        );
        false
    });
}

/// Whether a block is left out; what it says beside its text is reported.
fn goes(block: &ir::Block<'_>, shape: &mut Shape<'_>) -> bool {
    let blank = is_blank(block);
    if blank && let ir::Block::Text(node) = block {
        shape.report.cx.leftovers(&node.native);
    }
    if blank
        && let ir::Block::Text(node) = block
        && node.citations.as_ref().is_some_and(|citations| !citations.is_empty())
    {
        shape.report.node(EffectKind::Dropped, node.at, "it cites sources for no text");
    }
    blank
}

/// Whether a block is text without a character.
fn is_blank(block: &ir::Block<'_>) -> bool {
    match block {
        // A provider may sign the end of its answer in a text without a word.
        ir::Block::Text(node) => node.signature.is_none() && node.text.as_ref().is_none_or(Text::is_blank),
        _ => false,
    }
}

//! The order of turns and of what is in them.

use busbar_protocols::{EffectKind, ir};

use super::super::shape::Shape;

/// Puts reasoning in front of what it led to, where the source does not tell the order.
pub(super) fn order_content(request: &mut ir::Request<'_>, shape: &mut Shape<'_>) {
    if shape.from.turns.ordered || !shape.to.turns.ordered {
        return;
    }
    for turn in request.turns.iter_mut().flatten() {
        let content = turn.content.iter_mut().flatten();
        // Reasoning that came out of an envelope has its place already.
        let placed = content.filter(|block| is_reasoning(block)).any(|block| signed(block));
        if let Some(content) = turn.content.as_mut().filter(|_| !placed) {
            content.sort_by_key(|block| match block {
                block if is_reasoning(block) => 0,
                ir::Block::ToolCall(_) => 2,
                _ => 1,
            });
        }
    }
}

/// Makes text of refusals in the history, where the target knows a refusal only as a reason to stop.
pub(super) fn fit_refusals(request: &mut ir::Request<'_>, shape: &mut Shape<'_>) {
    if shape.to.answer.refusal_content {
        return;
    }
    for block in request.turns.iter_mut().flatten().flat_map(|turn| turn.content.iter_mut().flatten()) {
        let ir::Block::Refusal(node) = block else { continue };
        shape.report.node(EffectKind::Adapted, node.at, "an earlier refusal stands as text");
        *block = ir::Block::Text(ir::TextBlock {
            text: node.text.take(),
            at: node.at,
            native: std::mem::take(&mut node.native),
            ..ir::TextBlock::default()
        });
    }
}

/// Joins neighbouring turns of one role, where the target wants them to take turns.
pub(super) fn merge_turns(request: &mut ir::Request<'_>, shape: &mut Shape<'_>) {
    if shape.to.turns.repeat {
        return;
    }
    let Some(turns) = &mut request.turns else { return };
    let mut merged: Vec<ir::Turn<'_>> = Vec::with_capacity(turns.len());
    for turn in turns.drain(..) {
        match merged.last_mut() {
            Some(last) if last.role == turn.role && last.role != Some(ir::Role::System) => join(last, turn),
            _ => merged.push(turn),
        }
    }
    *turns = merged;
}

/// Appends a turn to the one before it.
pub(super) fn join<'a>(into: &mut ir::Turn<'a>, turn: ir::Turn<'a>) {
    into.native.append(turn.native);
    let content = super::content(into);
    content.extend(turn.content.into_iter().flatten());
    for block in content {
        if let ir::Block::Text(node) = block {
            node.bare = None;
        }
    }
}

pub(super) fn is_reasoning(block: &ir::Block<'_>) -> bool {
    matches!(block, ir::Block::Reasoning(_) | ir::Block::RedactedReasoning(_))
}

fn signed(block: &ir::Block<'_>) -> bool {
    match block {
        ir::Block::Reasoning(node) => node.signature.is_some(),
        ir::Block::RedactedReasoning(_) => true,
        _ => false,
    }
}

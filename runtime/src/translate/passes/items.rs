//! Conversations in which each message, call, result and piece of reasoning is an item of its own.

use std::collections::HashSet;

use busbar_protocols::ir;

use super::super::shape::Shape;
use super::turns::join;

/// Joins what the model gave in neighbouring items into one turn, where turns hold all of it.
///
/// Ids and states of items are the source's own book-keeping, which means nothing elsewhere.
pub(super) fn join_items(request: &mut ir::Request<'_>, shape: &mut Shape<'_>) {
    if !shape.from.turns.items || shape.to.turns.items {
        return;
    }
    let Some(turns) = &mut request.turns else { return };
    let mut joined: Vec<ir::Turn<'_>> = Vec::with_capacity(turns.len());
    for mut turn in turns.drain(..) {
        let of_model = super::of_model(&turn);
        let foreign = |block: &ir::Block<'_>| matches!(block, ir::Block::Native(_));
        if turn.content.as_ref().is_some_and(|content| !content.is_empty() && content.iter().all(foreign)) {
            shape.report.lose(turn.at, "an item that only its own provider knows");
            continue;
        }
        (turn.id, turn.status) = (None, None);
        match turn.item.take() {
            _ if of_model => turn.role = Some(ir::Role::Assistant),
            Some(ir::ItemKind::Result | ir::ItemKind::CustomResult) => turn.role = Some(ir::Role::Tool),
            _ => {}
        }
        match joined.last_mut() {
            Some(last) if of_model && last.role == Some(ir::Role::Assistant) => join(last, turn),
            _ => joined.push(turn),
        }
    }
    *turns = joined;
}

/// Makes an item of each call, result and piece of reasoning, and messages of what stands between them.
pub(super) fn split_items(request: &mut ir::Request<'_>, shape: &mut Shape<'_>) {
    if !shape.to.turns.items {
        return;
    }
    let Some(turns) = &mut request.turns else { return };
    name_results(turns);
    let mut items: Vec<ir::Turn<'_>> = Vec::with_capacity(turns.len());
    for mut turn in turns.drain(..) {
        let content = turn.content.take().unwrap_or_default();
        let said_by = match turn.role.take() {
            // What is no result was said by the user.
            Some(ir::Role::Tool) => Some(ir::Role::User),
            role => role,
        };
        if content.is_empty() {
            turn.role = said_by;
            turn.item = Some(ir::ItemKind::Message);
            items.push(turn);
            continue;
        }
        let mut first = Some(turn);
        let mut open = false;
        for block in content {
            let (kind, role) = match &block {
                ir::Block::ToolCall(node) if node.kind == Some(ir::ToolKind::Custom) => {
                    (ir::ItemKind::CustomCall, Some(ir::Role::Assistant))
                }
                ir::Block::ToolCall(_) => (ir::ItemKind::Call, Some(ir::Role::Assistant)),
                ir::Block::ToolResult(node) if node.kind == Some(ir::ToolKind::Custom) => {
                    (ir::ItemKind::CustomResult, Some(ir::Role::Tool))
                }
                ir::Block::ToolResult(_) => (ir::ItemKind::Result, Some(ir::Role::Tool)),
                ir::Block::Reasoning(_) | ir::Block::RedactedReasoning(_) => {
                    (ir::ItemKind::Reasoning, Some(ir::Role::Assistant))
                }
                _ => (ir::ItemKind::Message, said_by.clone()),
            };
            let is_message = kind == ir::ItemKind::Message;
            if open
                && is_message
                && let Some(last) = items.last_mut()
            {
                let content = super::content(last);
                content.push(block);
                content.iter_mut().for_each(unwrap_bare);
                continue;
            }
            open = is_message;
            // Name, mark and leftovers of the turn stay with its first item.
            let whole = first.take().unwrap_or_else(|| ir::Turn { at: block.at(), ..ir::Turn::default() });
            items.push(ir::Turn { item: Some(kind), role, content: Some(vec![block]), ..whole });
        }
    }
    *turns = items;
}

/// Says of results what kind of tool they are of, which many a protocol tells of the call alone.
fn name_results(turns: &mut [ir::Turn<'_>]) {
    let mut custom = HashSet::new();
    for block in turns.iter_mut().flat_map(|turn| turn.content.iter_mut().flatten()) {
        match block {
            ir::Block::ToolCall(node) => {
                let id = node.id.as_ref().map(|id| id.decode().into_owned()).unwrap_or_default();
                if node.kind == Some(ir::ToolKind::Custom) {
                    custom.insert(id);
                } else {
                    custom.remove(&id);
                }
            }
            ir::Block::ToolResult(node) => {
                let of_custom = node.call_id.as_ref().is_some_and(|id| custom.contains(&*id.decode()));
                node.kind = of_custom.then_some(ir::ToolKind::Custom);
            }
            _ => {}
        }
    }
}

fn unwrap_bare(block: &mut ir::Block<'_>) {
    if let ir::Block::Text(node) = block {
        node.bare = None;
    }
}

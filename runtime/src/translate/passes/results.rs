//! Where tool results stand.

use std::borrow::Cow;
use std::collections::HashMap;

use busbar_protocols::{EffectKind, Text, ir};

use super::super::{shape::Shape, text};

/// Gathers the results that follow an assistant turn in one user turn: results first, in the order of their
/// calls, then what else was said.
pub(super) fn group_tool_results(request: &mut ir::Request<'_>, shape: &mut Shape<'_>) {
    if shape.to.turns.results_apart {
        return;
    }
    let Some(turns) = &mut request.turns else { return };
    let mut grouped: Vec<ir::Turn<'_>> = Vec::with_capacity(turns.len());
    for mut turn in turns.drain(..) {
        if !matches!(turn.role, Some(ir::Role::Tool | ir::Role::User)) {
            grouped.push(turn);
            continue;
        }
        turn.role = Some(ir::Role::User);
        match grouped.last_mut() {
            Some(last) if last.role == Some(ir::Role::User) && has_results(last) => {
                last.native.append(std::mem::take(&mut turn.native));
                super::content(last).extend(turn.content.into_iter().flatten());
            }
            _ => grouped.push(turn),
        }
    }
    for index in 1..grouped.len() {
        let (before, rest) = grouped.split_at_mut(index);
        let (Some(before), Some(turn)) = (before.last(), rest.first_mut()) else { continue };
        if turn.role == Some(ir::Role::User) && has_results(turn) {
            order_results(turn, before);
        }
    }
    *turns = grouped;
}

/// Gives each result a turn of its own right behind its calls, then what else was said.
///
/// Pictures and documents in a result go into the user turn that follows, where the target has no place for
/// them in a result.
pub(super) fn split_tool_results(request: &mut ir::Request<'_>, shape: &mut Shape<'_>) {
    if !shape.to.turns.results_apart {
        return;
    }
    let Some(turns) = &mut request.turns else { return };
    let mut split: Vec<ir::Turn<'_>> = Vec::with_capacity(turns.len());
    // What must wait until the last result of the step has been said.
    let mut waiting: Option<ir::Turn<'_>> = None;
    for mut turn in turns.drain(..) {
        if !has_results(&turn) {
            split.extend(waiting.take());
            split.push(turn);
            continue;
        }
        if let Some(before) = split.iter().rev().find(|turn| turn.role == Some(ir::Role::Assistant)) {
            order_results(&mut turn, before);
        }
        let content = turn.content.take().unwrap_or_default();
        let mut rest = Vec::new();
        for block in content {
            match block {
                ir::Block::ToolResult(mut node) => {
                    let media = take_media(&mut node, shape);
                    say_something(&mut node);
                    let at = node.at;
                    // Result and turn are one message there, which reports the leftovers of both.
                    let mut native = std::mem::take(&mut turn.native);
                    native.append(std::mem::take(&mut node.native));
                    let content = Some(vec![ir::Block::ToolResult(node)]);
                    split.push(ir::Turn {
                        role: Some(ir::Role::Tool),
                        at,
                        content,
                        native,
                        ..ir::Turn::default()
                    });
                    rest.extend(media);
                }
                other => rest.push(other),
            }
        }
        if !rest.is_empty() {
            let at = turn.at;
            let after = waiting.get_or_insert_with(|| ir::Turn {
                role: Some(ir::Role::User),
                at,
                name: turn.name,
                ..ir::Turn::default()
            });
            super::content(after).extend(rest);
        }
    }
    split.extend(waiting);
    *turns = split;
}

/// A result that is a turn of its own has a text, and be it an empty one.
fn say_something(node: &mut ir::ToolResultBlock<'_>) {
    let content = node.content.get_or_insert_with(Vec::new);
    if content.is_empty() {
        let text = Some(Text::plain(""));
        content.push(ir::Block::Text(ir::TextBlock {
            text,
            bare: Some(true),
            at: node.at,
            ..Default::default()
        }));
    }
}

/// Takes pictures and documents out of a result, where the target has no place for them in it.
fn take_media<'a>(node: &mut ir::ToolResultBlock<'a>, shape: &mut Shape<'_>) -> Vec<ir::Block<'a>> {
    if shape.to.tools.media_results {
        return Vec::new();
    }
    let Some(content) = node.content.take() else { return Vec::new() };
    let (media, mut kept): (Vec<_>, Vec<_>) =
        content.into_iter().partition(|block| !matches!(block, ir::Block::Text(_) | ir::Block::Json(_)));
    let mut moved = Vec::new();
    if !media.is_empty() {
        let name = node.name.as_ref().map_or_else(|| "a tool".to_owned(), |name| format!("`{name}`"));
        if text::joined(&kept, "").is_empty() {
            kept = vec![text::block("The result follows in the next message.", node.at)];
        }
        moved.push(text::block(format!("Result of {name}:"), node.at));
        for block in &media {
            shape.report.node(
                EffectKind::Adapted,
                block.at(),
                "moved from the tool result into the user message after it",
            );
        }
        moved.extend(media);
    }
    node.content = Some(kept);
    moved
}

/// Puts results in the order of the calls of the turn before, and in front of everything else.
fn order_results(turn: &mut ir::Turn<'_>, before: &ir::Turn<'_>) {
    let calls: HashMap<Cow<'_, str>, usize> = before
        .content
        .iter()
        .flatten()
        .enumerate()
        .filter_map(|(index, block)| match block {
            ir::Block::ToolCall(node) => Some((node.id.as_ref()?.decode(), index)),
            _ => None,
        })
        .collect();
    if let Some(content) = &mut turn.content {
        content.sort_by_cached_key(|block| match block {
            ir::Block::ToolResult(node) => {
                let place = node.call_id.as_ref().and_then(|id| calls.get(&id.decode()));
                place.copied().unwrap_or(usize::MAX - 1)
            }
            _ => usize::MAX,
        });
    }
}

fn has_results(turn: &ir::Turn<'_>) -> bool {
    turn.content.iter().flatten().any(|block| matches!(block, ir::Block::ToolResult(_)))
}

//! Calls and results belong together, whatever a history went through.

use std::collections::{HashMap, HashSet, VecDeque};

use busbar_protocols::{EffectKind, Text, ir};

use super::super::{shape::Shape, text};

/// Pairs every result with a call of the assistant turn before it, and every call with a result.
///
/// Results without an id are paired by name, else by order. A result whose call is not there becomes text of
/// the user; a call without a result gets an empty one that says so. A provider refuses either.
pub(super) fn pair_calls(request: &mut ir::Request<'_>, shape: &mut Shape<'_>) {
    let Some(turns) = &mut request.turns else { return };
    let mut paired: Vec<ir::Turn<'_>> = Vec::with_capacity(turns.len());
    let mut open = Open::default();
    let mut made = 0_usize;
    for mut turn in turns.drain(..) {
        if turn.role == Some(ir::Role::Assistant) {
            answer_open(&mut open, &mut paired, shape);
            note_calls(&mut turn, &mut open, &mut made);
            paired.push(turn);
            continue;
        }
        if !matches!(turn.role, Some(ir::Role::Tool | ir::Role::User)) {
            paired.push(turn);
            continue;
        }
        let has_results =
            turn.content.iter().flatten().any(|block| matches!(block, ir::Block::ToolResult(_)));
        if !has_results && turn.role == Some(ir::Role::User) {
            answer_open(&mut open, &mut paired, shape);
        }
        let mut orphaned = false;
        for block in turn.content.iter_mut().flatten() {
            let ir::Block::ToolResult(node) = block else { continue };
            match open.take(node) {
                Some(call) => {
                    node.call_id = Some(call.id);
                    node.name = node.name.take().or(call.name);
                }
                None => {
                    orphaned = true;
                    *block = orphan(node, shape);
                }
            }
        }
        if orphaned && turn.role == Some(ir::Role::Tool) {
            turn.role = Some(ir::Role::User);
        }
        paired.push(turn);
    }
    // The last turn's calls are answered only if the conversation goes on.
    if paired.last().is_some_and(|turn| turn.role != Some(ir::Role::Assistant)) {
        answer_open(&mut open, &mut paired, shape);
    }
    *turns = paired;
}

struct Call<'a> {
    id: Text<'a>,
    name: Option<Text<'a>>,
    at: busbar_protocols::prelude::At,
}

/// Calls that wait for their results; every look-up takes the same time, however many there are.
#[derive(Default)]
struct Open<'a> {
    calls: Vec<Option<Call<'a>>>,
    by_id: HashMap<String, usize>,
    by_name: HashMap<String, VecDeque<usize>>,
    oldest: usize,
}

impl<'a> Open<'a> {
    fn push(&mut self, call: Call<'a>) {
        let index = self.calls.len();
        self.by_id.insert(call.id.decode().into_owned(), index);
        if let Some(name) = &call.name {
            self.by_name.entry(name.decode().into_owned()).or_default().push_back(index);
        }
        self.calls.push(Some(call));
    }

    /// The call that a result answers: by id, else by name, else the oldest.
    fn take(&mut self, node: &ir::ToolResultBlock<'a>) -> Option<Call<'a>> {
        let index = match (node.call_id.as_ref().filter(|id| !id.is_empty()), &node.name) {
            (Some(id), _) => *self.by_id.get(&*id.decode())?,
            (None, Some(name)) => {
                let waiting = self.by_name.get_mut(&*name.decode())?;
                loop {
                    let index = waiting.pop_front()?;
                    if self.calls.get(index).is_some_and(Option::is_some) {
                        break index;
                    }
                }
            }
            (None, None) => {
                while self.calls.get(self.oldest)?.is_none() {
                    self.oldest += 1;
                }
                self.oldest
            }
        };
        self.calls.get_mut(index)?.take()
    }

    /// What nobody answered.
    fn drain(&mut self) -> Vec<Call<'a>> {
        std::mem::take(self).calls.into_iter().flatten().collect()
    }
}

/// Notes the calls of an assistant turn; those without an id, or with one of another call, get one.
fn note_calls<'a>(turn: &mut ir::Turn<'a>, open: &mut Open<'a>, made: &mut usize) {
    let mut seen: HashSet<String> = HashSet::new();
    for block in turn.content.iter_mut().flatten() {
        let ir::Block::ToolCall(node) = block else { continue };
        let known = node.id.as_ref().map(|id| id.decode().into_owned()).filter(|id| !id.is_empty());
        let id = match known.filter(|id| seen.insert(id.clone())) {
            Some(_) => node.id.clone().unwrap_or_default(),
            None => {
                *made += 1;
                let id = Text::plain(format!("call_{made}"));
                node.id = Some(id.clone());
                id
            }
        };
        open.push(Call { id, name: node.name.clone(), at: node.at });
    }
}

/// The text that stands for a result without a call.
fn orphan<'a>(node: &mut ir::ToolResultBlock<'a>, shape: &mut Shape<'_>) -> ir::Block<'a> {
    shape.report.node(
        EffectKind::Adapted,
        node.at,
        "a tool result whose call is not in the history became text",
    );
    let said = text::joined(node.content.as_deref().unwrap_or_default(), "\n");
    let mut block = text::block(format!("<tool_result>\n{said}\n</tool_result>"), node.at);
    block.native_mut().append(std::mem::take(&mut node.native));
    if let ir::Block::Text(text) = &mut block {
        text.cache = std::mem::take(&mut node.cache);
    }
    block
}

/// Answers calls that nobody answered.
fn answer_open<'a>(open: &mut Open<'a>, turns: &mut Vec<ir::Turn<'a>>, shape: &mut Shape<'_>) {
    let calls = open.drain();
    if calls.is_empty() {
        return;
    }
    // Other results of the same calls stand in the turns since; the missing ones join them.
    let blocks: Vec<ir::Block<'a>> = calls
        .into_iter()
        .map(|call| {
            shape.report.node(EffectKind::Injected, call.at, "a call without a result got an empty one");
            ir::Block::ToolResult(ir::ToolResultBlock {
                call_id: Some(call.id),
                name: call.name,
                content: Some(vec![text::block("No result was given for this call.", call.at)]),
                is_error: Some(true),
                at: call.at,
                ..ir::ToolResultBlock::default()
            })
        })
        .collect();
    let calls = turns.iter().rposition(|turn| turn.role == Some(ir::Role::Assistant)).map_or(0, |at| at + 1);
    let at = blocks.first().map(ir::Block::at).unwrap_or_default();
    let after = turns[calls..].iter().take_while(|turn| matches!(turn.role, Some(ir::Role::Tool))).count();
    turns.insert(
        calls + after,
        ir::Turn { role: Some(ir::Role::Tool), content: Some(blocks), at, ..ir::Turn::default() },
    );
}

//! Takes carried state out of its envelopes.

use std::collections::HashSet;

use busbar_protocols::prelude::At;
use busbar_protocols::{EffectKind, Text, ir};

use super::super::carriage::{Envelope, Opened, SealedBlock, SealedKind};
use super::super::shape::Shape;
use super::turns::is_reasoning;
use crate::Protocol;

/// Opens the envelopes in ids and signatures, and says of every piece of opaque state who issued it.
///
/// Reasoning that comes out of a call stands again where it stood in front of it; text of the same turn that the
/// client echoed without its signature is the same reasoning and gives way. Signatures of calls and texts that
/// travelled in blocks of their own go back to their call or text, and the blocks disappear.
pub(super) fn open_carriage(request: &mut ir::Request<'_>, shape: &mut Shape<'_>) {
    let Some(turns) = &mut request.turns else { return };
    // Where each item of a conversation stands alone, neighbouring items are one turn of the model.
    let mut run = Run::default();
    let mut begin = 0;
    for index in 0..turns.len() {
        let Some(turn) = turns.get_mut(index) else { break };
        if super::of_model(turn) {
            open_turn(turn, &mut run, shape);
            continue;
        }
        if let Some(turns) = turns.get_mut(begin..index) {
            run.apply(turns, shape);
        }
        begin = index + 1;
        for block in turns.get_mut(index).into_iter().flat_map(|turn| turn.content.iter_mut().flatten()) {
            if let ir::Block::ToolResult(node) = block
                && let Some(id) = &node.call_id
                && let Some(plain) = plain_id(&id.decode(), shape)
            {
                node.call_id = Some(Text::plain(plain));
            }
        }
    }
    if let Some(turns) = turns.get_mut(begin..) {
        run.apply(turns, shape);
    }
    if run.emptied {
        turns.retain(|turn| !super::of_model(turn) || turn.content.as_ref().is_none_or(|c| !c.is_empty()));
    }
}

/// Signatures that stood apart from their calls and texts, in turns of the model that follow each other.
#[derive(Default)]
struct Run {
    waiting: Vec<Waiting>,
    calls: usize,
    texts: usize,
    /// Reasoning that is at its place; SDKs put the pieces of one answer back as several turns.
    there: HashSet<String>,
    /// A turn held nothing but such signatures.
    emptied: bool,
}

struct Waiting {
    block: SealedBlock,
    issuer: Protocol,
    /// Calls and texts in front of where it stood.
    calls: usize,
    texts: usize,
}

impl Run {
    fn wait(&mut self, blocks: impl IntoIterator<Item = SealedBlock>, issuer: Protocol) {
        let (calls, texts) = (self.calls, self.texts);
        let blocks = blocks.into_iter().filter(|block| block.kind != SealedKind::Reasoning);
        self.waiting.extend(blocks.map(|block| Waiting { block, issuer, calls, texts }));
    }

    /// Gives the signatures back to what they belong to.
    fn apply(&mut self, turns: &mut [ir::Turn<'_>], shape: &mut Shape<'_>) {
        for waiting in std::mem::take(&mut self.waiting) {
            let Some(signature) = waiting.block.signature.clone().map(Text::plain) else { continue };
            let issuer = Some(Text::plain(waiting.issuer.name()));
            let blocks = turns.iter_mut().flat_map(|turn| turn.content.iter_mut().flatten());
            if waiting.block.kind == SealedKind::Text {
                let mut texts: Vec<&mut ir::TextBlock<'_>> = blocks
                    .filter_map(|block| if let ir::Block::Text(node) = block { Some(node) } else { None })
                    .collect();
                // A list beside the content does not say where; the end of the answer is signed.
                let place = if waiting.texts == 0 { texts.len() } else { waiting.texts }.wrapping_sub(1);
                if let Some(node) = texts.get_mut(place) {
                    (node.signature, node.issuer) = (Some(signature), issuer);
                    shape.report.node(EffectKind::Carried, node.at, "the signature of the text came back");
                }
                continue;
            }
            let mut calls: Vec<&mut ir::ToolCallBlock<'_>> = blocks
                .filter_map(|block| if let ir::Block::ToolCall(node) = block { Some(node) } else { None })
                .collect();
            let id = waiting.block.id.as_deref();
            let named = calls
                .iter()
                .position(|node| id.is_some_and(|id| node.id.as_ref().is_some_and(|known| *known == *id)));
            if let Some(node) = calls.get_mut(named.unwrap_or(waiting.calls))
                && node.signature.is_none()
            {
                (node.signature, node.issuer) = (Some(signature), issuer);
                shape.report.node(EffectKind::Carried, node.at, "the signature of the call came back");
            }
        }
        (self.calls, self.texts) = (0, 0);
        self.there.clear();
    }
}

/// What the calls of a turn carried.
struct FromCall {
    blocks: Vec<SealedBlock>,
    issuer: Protocol,
}

fn open_turn<'a>(turn: &mut ir::Turn<'a>, run: &mut Run, shape: &mut Shape<'_>) {
    let Some(content) = &mut turn.content else { return };
    let before = content.len();
    let mut opened: Vec<(ir::Block<'a>, Option<FromCall>)> = Vec::with_capacity(before);
    for block in content.drain(..) {
        match block {
            ir::Block::Reasoning(node) => opened.extend(reasoning(node, run, shape).map(|b| (b, None))),
            ir::Block::RedactedReasoning(node) => {
                opened.extend(redacted(node, run, shape).map(|block| (block, None)));
            }
            ir::Block::Text(mut node) => {
                run.texts += 1;
                text(&mut node, shape.source);
                opened.push((ir::Block::Text(node), None));
            }
            ir::Block::ToolCall(mut node) => {
                run.calls += 1;
                let carried = call(&mut node, shape);
                opened.push((ir::Block::ToolCall(node), carried));
            }
            other => opened.push((other, None)),
        }
    }
    *content = restore(opened, &mut run.there, shape);
    run.emptied |= before > 0 && content.is_empty();
}

/// Says who issued a block of reasoning, and takes the signature out of its envelope.
fn reasoning<'a>(
    mut node: ir::ReasoningBlock<'a>,
    run: &mut Run,
    shape: &Shape<'_>,
) -> Option<ir::Block<'a>> {
    let Some(envelope) = open(node.signature.as_ref()) else {
        node.issuer.get_or_insert_with(|| Text::plain(shape.source.name()));
        return Some(ir::Block::Reasoning(node));
    };
    let issuer = Some(Text::plain(envelope.issuer.name()));
    let own = envelope.blocks.iter().find(|block| block.kind == SealedKind::Reasoning).cloned();
    let wordless = node.text.as_ref().is_none_or(Text::is_blank);
    if own.is_none() && wordless && !envelope.blocks.is_empty() {
        return apart(envelope, node.at, run);
    }
    run.wait(envelope.blocks, envelope.issuer);
    let own = own.unwrap_or_default();
    let id = own.id.map(Text::plain);
    if own.data.is_some() {
        let data = own.data.map(Text::plain);
        let (at, native) = (node.at, node.native);
        return Some(ir::Block::RedactedReasoning(ir::RedactedReasoningBlock {
            data,
            id,
            issuer,
            at,
            native,
        }));
    }
    (node.signature, node.id, node.issuer) = (own.signature.map(Text::plain), id, issuer);
    Some(ir::Block::Reasoning(node))
}

/// The same of encrypted reasoning, which may hold something else.
fn redacted<'a>(
    mut node: ir::RedactedReasoningBlock<'a>,
    run: &mut Run,
    shape: &Shape<'_>,
) -> Option<ir::Block<'a>> {
    let Some(envelope) = open(node.data.as_ref()) else {
        node.issuer.get_or_insert_with(|| Text::plain(shape.source.name()));
        return Some(ir::Block::RedactedReasoning(node));
    };
    let Some(own) = envelope.blocks.iter().find(|block| block.kind == SealedKind::Reasoning).cloned() else {
        return apart(envelope, node.at, run);
    };
    let issuer = envelope.issuer;
    run.wait(envelope.blocks, issuer);
    let mut block = unsealed(&own, issuer, node.at);
    *block.native_mut() = node.native;
    Some(block)
}

/// What stood apart waits for its call or text; a text that is nothing but its signature stands here again.
fn apart<'a>(envelope: Envelope, at: At, run: &mut Run) -> Option<ir::Block<'a>> {
    let issuer = envelope.issuer;
    let (texts, others): (Vec<_>, Vec<_>) =
        envelope.blocks.into_iter().partition(|block| block.kind == SealedKind::Text && block.text.is_some());
    run.wait(others, issuer);
    let one = texts.into_iter().next()?;
    run.texts += 1;
    Some(ir::Block::Text(ir::TextBlock {
        text: one.text.map(Text::plain),
        signature: one.signature.map(Text::plain),
        issuer: Some(Text::plain(issuer.name())),
        at,
        ..ir::TextBlock::default()
    }))
}

fn text(node: &mut ir::TextBlock<'_>, source: Protocol) {
    if node.signature.is_none() {
        return;
    }
    match open(node.signature.as_ref()) {
        Some(envelope) => {
            let own = envelope.blocks.into_iter().find(|block| block.kind == SealedKind::Text);
            node.signature = own.and_then(|block| block.signature).map(Text::plain);
            node.issuer = Some(Text::plain(envelope.issuer.name()));
        }
        None => {
            node.issuer.get_or_insert_with(|| Text::plain(source.name()));
        }
    }
}

/// Opens the envelopes of a call; what they hold of reasoning stood in front of it.
fn call(node: &mut ir::ToolCallBlock<'_>, shape: &mut Shape<'_>) -> Option<FromCall> {
    let mut carried = None;
    let word = shape.from.carriage.unsigned_call;
    if !shape.home() && !word.is_empty() {
        node.signature.take_if(|signature| *signature == *word);
    }
    if node.signature.is_some() {
        match open(node.signature.as_ref()) {
            Some(envelope) => {
                node.signature = None;
                carried = Some(FromCall { blocks: envelope.blocks, issuer: envelope.issuer });
            }
            None => {
                node.issuer.get_or_insert_with(|| Text::plain(shape.source.name()));
            }
        }
    }
    if let Some(id) = node.id.as_ref().map(|id| id.decode().into_owned()) {
        match shape.carriage.open_id(&id, &shape.state.scope, shape.facts.now) {
            Opened::Plain => {}
            Opened::Envelope(envelope) => {
                node.id = Some(Text::plain(envelope.id));
                carried = Some(FromCall { blocks: envelope.blocks, issuer: envelope.issuer });
            }
            Opened::Gone(id) => {
                node.id = Some(Text::plain(id));
                shape.report.node(
                    EffectKind::Dropped,
                    node.at,
                    "the reasoning that led to this call is no longer in the gateway's store",
                );
            }
        }
    }
    let carried = carried?;
    node.issuer = Some(Text::plain(carried.issuer.name()));
    if let Some(own) = carried.blocks.iter().find(|block| block.kind == SealedKind::Call) {
        node.signature = own.signature.clone().map(Text::plain);
    }
    if !carried.blocks.is_empty() {
        shape.report.node(EffectKind::Carried, node.at, "opaque state came back with the call");
    }
    Some(carried)
}

/// Puts reasoning that came with calls back in front of them.
fn restore<'a>(
    opened: Vec<(ir::Block<'a>, Option<FromCall>)>,
    there: &mut HashSet<String>,
    shape: &Shape<'_>,
) -> Vec<ir::Block<'a>> {
    let carried: HashSet<String> = opened
        .iter()
        .filter_map(|(_, carried)| carried.as_ref())
        .flat_map(|carried| &carried.blocks)
        .filter(|block| block.kind == SealedKind::Reasoning)
        .filter_map(|block| block.data.clone().or_else(|| block.signature.clone()))
        .collect();
    // What has a place of its own is where it was; otherwise the call says where.
    let in_place = shape.from.carriage.reasoning;
    if in_place {
        there.extend(opened.iter().filter_map(|(block, _)| opaque(block)));
    }
    if carried.is_empty() {
        return opened.into_iter().map(|(block, _)| block).collect();
    }
    let mut restored: Vec<ir::Block<'a>> = Vec::with_capacity(opened.len() + carried.len());
    let mut segment = Vec::new();
    for (block, from_call) in opened {
        if is_reasoning(&block) {
            let opaque = opaque(&block);
            let again = opaque.as_ref().is_none_or(|opaque| carried.contains(opaque));
            if !in_place && again {
                continue;
            }
            there.extend(opaque);
        }
        if let Some(FromCall { blocks, issuer }) = from_call {
            let missing = blocks.iter().filter(|block| {
                let opaque = block.data.as_ref().or(block.signature.as_ref());
                block.kind == SealedKind::Reasoning && opaque.is_none_or(|opaque| !there.contains(opaque))
            });
            place(&mut segment, missing, issuer, block.at());
        }
        let ends = matches!(block, ir::Block::ToolCall(_));
        segment.push(block);
        if ends {
            restored.append(&mut segment);
        }
    }
    restored.append(&mut segment);
    restored
}

/// What only the provider can read in a block of reasoning.
fn opaque(block: &ir::Block<'_>) -> Option<String> {
    let text = match block {
        ir::Block::Reasoning(node) => node.signature.as_ref(),
        ir::Block::RedactedReasoning(node) => node.data.as_ref(),
        _ => None,
    };
    text.map(|text| text.decode().into_owned())
}

/// Puts carried blocks back between the blocks that stand in front of their call.
fn place<'a, 's>(
    segment: &mut Vec<ir::Block<'a>>,
    blocks: impl Iterator<Item = &'s SealedBlock>,
    issuer: Protocol,
    at: At,
) {
    let mut others = std::mem::take(segment).into_iter().peekable();
    let mut placed = 0;
    for block in blocks {
        let slot = usize::try_from(block.slot).unwrap_or(usize::MAX);
        // Reasoning that is there already counts for nothing and stays in front.
        while let Some(next) = others.next_if(|next| placed < slot || is_reasoning(next)) {
            placed += usize::from(!is_reasoning(&next));
            segment.push(next);
        }
        segment.push(unsealed(block, issuer, at));
    }
    segment.extend(others);
}

fn unsealed<'a>(block: &SealedBlock, issuer: Protocol, at: At) -> ir::Block<'a> {
    let issuer = Some(Text::plain(issuer.name()));
    let id = block.id.clone().map(Text::plain);
    match &block.data {
        Some(data) => ir::Block::RedactedReasoning(ir::RedactedReasoningBlock {
            data: Some(Text::plain(data.clone())),
            id,
            issuer,
            at,
            ..ir::RedactedReasoningBlock::default()
        }),
        None => ir::Block::Reasoning(ir::ReasoningBlock {
            text: Some(Text::plain(block.text.clone().unwrap_or_default())),
            signature: block.signature.clone().map(Text::plain),
            id,
            issuer,
            at,
            ..ir::ReasoningBlock::default()
        }),
    }
}

fn open(text: Option<&Text<'_>>) -> Option<Envelope> {
    Envelope::open(&text?.decode())
}

fn plain_id(id: &str, shape: &Shape<'_>) -> Option<String> {
    match shape.carriage.open_id(id, &shape.state.scope, shape.facts.now) {
        Opened::Plain => None,
        Opened::Envelope(envelope) => Some(envelope.id),
        Opened::Gone(id) => Some(id),
    }
}

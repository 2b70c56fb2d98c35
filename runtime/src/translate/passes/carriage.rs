//! Takes carried reasoning out of its envelopes.

use busbar_protocols::{EffectKind, Text, ir};

use super::super::carriage::{Envelope, Opened, SealedBlock};
use super::super::shape::Shape;
use crate::Protocol;

/// Opens the envelopes in ids and signatures, and says of every block of reasoning who issued it.
///
/// What comes out of an id stands again where it stood in front of its call; text of the same turn that the
/// client echoed without its signature is the same reasoning and gives way.
pub(super) fn open_carriage(request: &mut ir::Request<'_>, shape: &mut Shape<'_>) {
    for turn in request.turns.iter_mut().flatten() {
        let Some(content) = &mut turn.content else { continue };
        for block in content.iter_mut() {
            open_signature(block, shape.source);
        }
        if turn.role == Some(ir::Role::Assistant) {
            open_ids(content, shape);
        }
        for block in content {
            if let ir::Block::ToolResult(node) = block
                && let Some(id) = &node.call_id
                && let Some(plain) = plain_id(&id.decode(), shape)
            {
                node.call_id = Some(Text::plain(plain));
            }
        }
    }
}

/// Says who issued a block, and takes the signature out of its envelope.
fn open_signature(block: &mut ir::Block<'_>, source: Protocol) {
    let (slot, issuer) = match block {
        ir::Block::Reasoning(node) => (&mut node.signature, &mut node.issuer),
        ir::Block::RedactedReasoning(node) => (&mut node.data, &mut node.issuer),
        _ => return,
    };
    match slot.as_ref().and_then(|signature| Envelope::open(&signature.decode())) {
        Some(envelope) => {
            *issuer = Some(Text::plain(envelope.issuer.name()));
            *slot = envelope.blocks.into_iter().next().and_then(|b| b.signature.or(b.data)).map(Text::plain);
        }
        None if issuer.is_none() => *issuer = Some(Text::plain(source.name())),
        None => {}
    }
}

fn open_ids<'a>(content: &mut Vec<ir::Block<'a>>, shape: &mut Shape<'_>) {
    let mut opened = Vec::new();
    for block in content.iter_mut() {
        let ir::Block::ToolCall(node) = block else { continue };
        let Some(id) = node.id.as_ref().map(|id| id.decode().into_owned()) else { continue };
        match shape.carriage.open_id(&id, &shape.state.scope, shape.facts.now) {
            Opened::Plain => {}
            Opened::Envelope(envelope) => {
                node.id = Some(Text::plain(envelope.id.clone()));
                opened.push((id, envelope, node.at));
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
    if opened.is_empty() {
        return;
    }
    content.retain(|block| !matches!(block, ir::Block::Reasoning(_) | ir::Block::RedactedReasoning(_)));
    let mut envelopes = opened.into_iter().map(|(_, envelope, at)| (envelope, at)).peekable();
    let mut restored: Vec<ir::Block<'a>> = Vec::with_capacity(content.len() + 4);
    let mut segment = Vec::new();
    for block in content.drain(..) {
        let carries = match (&block, envelopes.peek()) {
            (ir::Block::ToolCall(node), Some((envelope, at))) => {
                node.at == *at && node.id.as_ref().is_some_and(|id| *id == *envelope.id)
            }
            _ => false,
        };
        if let (true, Some((envelope, at))) = (carries, envelopes.peek()) {
            shape.report.node(EffectKind::Carried, *at, "reasoning came back in the call's id");
            let issuer = envelope.issuer;
            place(&mut segment, &envelope.blocks, issuer, *at);
            envelopes.next();
        }
        let ends = matches!(block, ir::Block::ToolCall(_));
        segment.push(block);
        if ends {
            restored.append(&mut segment);
        }
    }
    restored.append(&mut segment);
    *content = restored;
}

/// Puts carried blocks back between the blocks that stand in front of their call.
fn place<'a>(
    segment: &mut Vec<ir::Block<'a>>,
    blocks: &[SealedBlock],
    issuer: Protocol,
    at: busbar_protocols::prelude::At,
) {
    let others = std::mem::take(segment);
    let last = others.len();
    let mut others = others.into_iter();
    let mut placed = 0;
    for block in blocks {
        let slot = usize::try_from(block.slot).unwrap_or(usize::MAX).min(last);
        while placed < slot {
            segment.extend(others.next());
            placed += 1;
        }
        let issuer = Some(Text::plain(issuer.name()));
        segment.push(match &block.data {
            Some(data) => ir::Block::RedactedReasoning(ir::RedactedReasoningBlock {
                data: Some(Text::plain(data.clone())),
                issuer,
                at,
                ..ir::RedactedReasoningBlock::default()
            }),
            None => ir::Block::Reasoning(ir::ReasoningBlock {
                text: Some(Text::plain(block.text.clone().unwrap_or_default())),
                signature: block.signature.clone().map(Text::plain),
                issuer,
                at,
                ..ir::ReasoningBlock::default()
            }),
        });
    }
    segment.extend(others);
}

fn plain_id(id: &str, shape: &Shape<'_>) -> Option<String> {
    match shape.carriage.open_id(id, &shape.state.scope, shape.facts.now) {
        Opened::Plain => None,
        Opened::Envelope(envelope) => Some(envelope.id),
        Opened::Gone(id) => Some(id),
    }
}

//! Seals what only its provider can read, in places that the client gives back.

use busbar_protocols::{EffectKind, Text, ir};

use super::super::carriage::{Apart, Envelope, Redacted, SealedBlock, SealedKind, Sealer};
use super::super::shape::Shape;

/// Seals reasoning and signatures in the places that the client has: signatures, blocks of encrypted reasoning,
/// ids of calls.
pub(super) fn seal_carriage(response: &mut ir::Response<'_>, shape: &mut Shape<'_>) {
    for (content, _) in super::contents(response) {
        let mut sealer =
            Sealer::new(shape.source, shape.to, shape.carriage, &shape.state.scope, shape.state.now);
        let mut sealed = Vec::with_capacity(content.len());
        for block in content.drain(..) {
            seal_block(block, &mut sealer, &mut sealed, shape);
        }
        if sealer.leaves() {
            let at = sealed.first().map(ir::Block::at).unwrap_or_default();
            shape.report.node(
                EffectKind::Dropped,
                at,
                "signed reasoning that leads to no call has no place in this protocol's answer",
            );
        }
        *content = sealed;
        if !shape.to.reasoning.blocks {
            join_reasoning(content);
        }
    }
}

fn seal_block<'a>(
    block: ir::Block<'a>,
    sealer: &mut Sealer,
    sealed: &mut Vec<ir::Block<'a>>,
    shape: &mut Shape<'_>,
) {
    match block {
        ir::Block::Reasoning(node) => sealed.push(reasoning(node, sealer, shape)),
        ir::Block::RedactedReasoning(node) => sealed.extend(redacted(node, sealer, shape)),
        ir::Block::ToolCall(node) => call(node, sealer, sealed, shape),
        ir::Block::Text(mut node) if node.signature.as_ref().is_some_and(|text| !text.is_empty()) => {
            sealer.other();
            let said = node.text.as_ref().is_none_or(Text::is_empty);
            let signature = owned(node.signature.take()).unwrap_or_default();
            node.issuer = None;
            let (at, place) = (node.at, sealer.text(signature.clone(), said));
            let kind = if place == Apart::Lost { EffectKind::Dropped } else { EffectKind::Carried };
            shape.report.member(
                kind,
                at,
                "Block.text",
                "signature",
                match &place {
                    Apart::Own(_) => "the signature of the text says whose it is",
                    Apart::Block(_) => "the signature of the text travels in a block of its own",
                    Apart::Lost => "this protocol's answer has no place for the signature of a text",
                },
            );
            if let Apart::Own(signature) = &place {
                node.signature = Some(Text::plain(signature.clone()));
            }
            // A text that is nothing but its signature is told by the block alone.
            if !said || matches!(place, Apart::Own(_)) {
                sealed.push(ir::Block::Text(node));
            } else {
                shape.report.cx.leftovers(&node.native);
            }
            if let Apart::Block(data) = place {
                if sealer.places().listed {
                    shape.listed.push(SealedBlock {
                        signature: Some(signature),
                        kind: SealedKind::Text,
                        ..SealedBlock::default()
                    });
                } else {
                    sealed.push(extra(data, at));
                }
            }
        }
        other => {
            sealer.other();
            sealed.push(other);
        }
    }
}

fn reasoning<'a>(
    mut node: ir::ReasoningBlock<'a>,
    sealer: &mut Sealer,
    shape: &mut Shape<'_>,
) -> ir::Block<'a> {
    let block = SealedBlock {
        slot: sealer.slot(),
        text: node.text.as_ref().map(|text| text.decode().into_owned()),
        signature: owned(node.signature.take()),
        id: owned(node.id.take()),
        ..SealedBlock::default()
    };
    let signed = block.signature.is_some();
    let place = sealer.reasoning(block.clone());
    if sealer.places().reasoning {
        node.signature = place.map(Text::plain);
        shape.report.node(
            EffectKind::Carried,
            node.at,
            "the reasoning says whose it is in the place of a signature",
        );
    } else if signed {
        shape.report.node(
            EffectKind::Carried,
            node.at,
            "the signature travels in the id of the call it led to",
        );
        if sealer.places().listed {
            shape.listed.push(block);
        }
    }
    ir::Block::Reasoning(node)
}

fn redacted<'a>(
    mut node: ir::RedactedReasoningBlock<'a>,
    sealer: &mut Sealer,
    shape: &mut Shape<'_>,
) -> Option<ir::Block<'a>> {
    let (data, id) = (owned(node.data.take()).unwrap_or_default(), owned(node.id.take()));
    let slot = sealer.slot();
    let place = sealer.redacted(data.clone(), id.clone());
    if !sealer.places().reasoning {
        shape.report.node(EffectKind::Carried, node.at, "it travels in the id of the call it led to");
        if sealer.places().listed {
            shape.listed.push(SealedBlock { slot, data: Some(data), id, ..SealedBlock::default() });
        }
        return None;
    }
    let kind = if place == Redacted::Nothing { EffectKind::Dropped } else { EffectKind::Carried };
    shape.report.node(
        kind,
        node.at,
        match place {
            Redacted::Nothing => "encrypted reasoning that is too long for its place",
            _ => "the reasoning says whose it is in the place of a signature",
        },
    );
    match place {
        Redacted::Data(data) => {
            node.data = Some(Text::plain(data));
            Some(ir::Block::RedactedReasoning(node))
        }
        Redacted::Signature(signature) => Some(ir::Block::Reasoning(ir::ReasoningBlock {
            text: Some(Text::plain("")),
            signature: Some(Text::plain(signature)),
            at: node.at,
            native: node.native,
            ..ir::ReasoningBlock::default()
        })),
        Redacted::Nothing => None,
    }
}

fn call<'a>(
    mut node: ir::ToolCallBlock<'a>,
    sealer: &mut Sealer,
    sealed: &mut Vec<ir::Block<'a>>,
    shape: &mut Shape<'_>,
) {
    let id = owned(node.id.take()).unwrap_or_default();
    let signature = owned(node.signature.take());
    node.issuer = None;
    let signed = signature.is_some();
    let call = sealer.call(id, signature);
    let mut lost = call.lost;
    if let Some(block) = call.before {
        // Reasoning right before that has no signature of its own has room for one.
        let before = match sealed.last_mut() {
            Some(ir::Block::Reasoning(before)) if names_its_issuer_alone(before) => Some(before),
            _ => None,
        };
        match before {
            Some(before) => {
                let place = sealer.beside(block).map(Text::plain);
                lost |= place.is_none();
                before.signature = place.or(before.signature.take());
            }
            None => match sealer.block(block) {
                Some(data) => sealed.push(extra(data, node.at)),
                None => lost = true,
            },
        }
    }
    if signed || lost {
        let kind = if lost { EffectKind::Dropped } else { EffectKind::Carried };
        shape.report.member(
            kind,
            node.at,
            "Block.tool_call",
            "signature",
            if lost {
                "the signature of the call has no place in this protocol's answer"
            } else {
                "the signature of the call travels in an envelope"
            },
        );
    }
    node.id = Some(Text::plain(call.id));
    node.signature = call.signature.map(Text::plain);
    sealed.push(ir::Block::ToolCall(node));
}

/// Whether all that stands in the place of the signature is whose the reasoning is.
fn names_its_issuer_alone(node: &ir::ReasoningBlock<'_>) -> bool {
    let envelope = node.signature.as_ref().and_then(|signature| Envelope::open(&signature.decode()));
    envelope.is_some_and(|envelope| envelope.blocks.is_empty())
}

/// A block of encrypted reasoning that holds something else.
fn extra<'a>(data: String, at: busbar_protocols::prelude::At) -> ir::Block<'a> {
    ir::Block::RedactedReasoning(ir::RedactedReasoningBlock {
        data: Some(Text::plain(data)),
        at,
        ..ir::RedactedReasoningBlock::default()
    })
}

fn owned(text: Option<Text<'_>>) -> Option<String> {
    text.filter(|text| !text.is_empty()).map(|text| text.decode().into_owned())
}

/// Makes one text of the reasoning, where the target has room for one.
fn join_reasoning(content: &mut Vec<ir::Block<'_>>) {
    let said: Vec<String> = content
        .iter()
        .filter_map(|block| match block {
            ir::Block::Reasoning(node) => node.text.as_ref().map(|text| text.decode().into_owned()),
            _ => None,
        })
        .filter(|said| !said.is_empty())
        .collect();
    let mut first = true;
    content.retain_mut(|block| {
        let ir::Block::Reasoning(node) = block else { return true };
        let keep = std::mem::take(&mut first) && !said.is_empty();
        if keep {
            node.text = Some(Text::plain(said.join("\n\n")));
        }
        keep
    });
}

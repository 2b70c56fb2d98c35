//! Seals what only its provider can read, in places that the client gives back.

use busbar_protocols::{EffectKind, Text, ir};

use super::super::carriage::{self, SealedBlock};
use super::super::shape::Shape;

/// Seals reasoning in signatures, where the client has them, else in the ids of the calls it led to.
pub(super) fn seal_carriage(response: &mut ir::Response<'_>, shape: &mut Shape<'_>) {
    for (content, _) in super::contents(response) {
        if shape.to.reasoning.signed {
            for block in content.iter_mut() {
                seal_signature(block, shape);
            }
            continue;
        }
        seal_ids(content, shape);
        if !shape.to.reasoning.blocks {
            join_reasoning(content);
        }
    }
}

fn seal_signature(block: &mut ir::Block<'_>, shape: &mut Shape<'_>) {
    let (slot, at) = match block {
        ir::Block::Reasoning(node) => (&mut node.signature, node.at),
        ir::Block::RedactedReasoning(node) => (&mut node.data, node.at),
        _ => return,
    };
    let own = slot.as_ref().map(|signature| signature.decode().into_owned());
    *slot = Some(Text::plain(carriage::seal_signature(shape.source, own.as_deref())));
    shape.report.node(EffectKind::Carried, at, "the reasoning says whose it is in the place of a signature");
}

/// Puts the reasoning in front of each call into the call's id.
fn seal_ids(content: &mut Vec<ir::Block<'_>>, shape: &mut Shape<'_>) {
    let mut waiting: Vec<SealedBlock> = Vec::new();
    let mut others = 0_u32;
    for block in content.iter_mut() {
        match block {
            ir::Block::Reasoning(node) if node.signature.is_some() => {
                let sealed = SealedBlock {
                    slot: others,
                    text: node.text.as_ref().map(|text| text.decode().into_owned()),
                    signature: node.signature.take().map(|signature| signature.decode().into_owned()),
                    data: None,
                };
                shape.report.node(
                    EffectKind::Carried,
                    node.at,
                    "the signature travels in the id of the call it led to",
                );
                shape.listed.push(sealed.clone());
                waiting.push(sealed);
            }
            ir::Block::RedactedReasoning(node) => {
                let data = node.data.take().map(|data| data.decode().into_owned());
                let sealed = SealedBlock { slot: others, data, ..SealedBlock::default() };
                shape.report.node(EffectKind::Carried, node.at, "it travels in the id of the call it led to");
                shape.listed.push(sealed.clone());
                waiting.push(sealed);
            }
            ir::Block::ToolCall(node) => {
                let id = node.id.as_ref().map(|id| id.decode().into_owned()).unwrap_or_default();
                let blocks = std::mem::take(&mut waiting);
                let sealed =
                    shape.carriage.seal_id(shape.source, &id, blocks, &shape.state.scope, shape.state.now);
                node.id = Some(Text::plain(sealed));
                others = 0;
            }
            ir::Block::Reasoning(_) => {}
            _ => others += 1,
        }
    }
    content.retain(|block| !matches!(block, ir::Block::RedactedReasoning(_)));
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

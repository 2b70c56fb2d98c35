//! Reasoning and signatures of earlier turns.

use busbar_protocols::prelude::Native;
use busbar_protocols::{EffectKind, Text, ir};

use super::super::{shape::Shape, text};
use super::turns::is_reasoning;

/// Fits the reasoning of earlier turns: what the target issued goes back to it, of the rest only the text.
pub(super) fn fit_history_reasoning(request: &mut ir::Request<'_>, shape: &mut Shape<'_>) {
    let target = shape.target.name();
    // A step of the model is all that it says between two turns of others.
    let mut step_has_call = false;
    for turn in request.turns.iter_mut().flatten() {
        let of_model = super::of_model(turn);
        step_has_call &= of_model;
        let Some(content) = &mut turn.content else { continue };
        if !shape.facts.signatures {
            forget_signatures(content, shape);
        }
        for block in content.iter_mut() {
            fit_signature(block, target, shape);
            if of_model && let ir::Block::ToolCall(node) = block {
                if !step_has_call {
                    sign_first(node, shape);
                }
                step_has_call = true;
            }
        }
        if !content.iter().any(is_reasoning) {
            continue;
        }
        let mut fitted = Vec::with_capacity(content.len());
        for block in content.drain(..) {
            match block {
                ir::Block::Reasoning(node) => fitted.extend(fit_block(node, target, shape)),
                ir::Block::RedactedReasoning(mut node) => {
                    let own = node.issuer.as_ref().is_some_and(|issuer| *issuer == *target);
                    if own && shape.to.reasoning.redacted {
                        node.id = item_id(node.id, node.data.as_ref(), shape);
                        fitted.push(ir::Block::RedactedReasoning(node));
                    } else {
                        shape.report.node(
                            EffectKind::Dropped,
                            node.at,
                            "encrypted reasoning of another provider has no text",
                        );
                    }
                }
                other => fitted.push(other),
            }
        }
        if !shape.to.reasoning.blocks && turn.role == Some(ir::Role::Assistant) {
            join_reasoning(&mut fitted);
        }
        *content = fitted;
    }
}

/// Leaves out what the target has found to be no signature of its own, and what has no meaning without one.
fn forget_signatures(content: &mut Vec<ir::Block<'_>>, shape: &mut Shape<'_>) {
    const REASON: &str = "the target does not accept the signature";
    content.retain_mut(|block| {
        let (slot, at, kind) = match block {
            ir::Block::Reasoning(node) => {
                node.id = None;
                (&mut node.signature, node.at, "Block.reasoning")
            }
            ir::Block::ToolCall(node) => (&mut node.signature, node.at, "Block.tool_call"),
            ir::Block::Text(node) => (&mut node.signature, node.at, "Block.text"),
            ir::Block::RedactedReasoning(node) => {
                shape.report.node(EffectKind::Dropped, node.at, REASON);
                return false;
            }
            _ => return true,
        };
        if slot.take().is_some() {
            shape.report.member(EffectKind::Dropped, at, kind, "signature", REASON);
        }
        true
    });
}

fn fit_block<'a>(
    mut node: ir::ReasoningBlock<'a>,
    target: &str,
    shape: &mut Shape<'_>,
) -> Option<ir::Block<'a>> {
    let rules = shape.to.reasoning;
    let own = node.issuer.as_ref().is_none_or(|issuer| *issuer == *target);
    let signed = node.signature.as_ref().is_some_and(|signature| !signature.is_empty());
    // What the provider keeps itself is known by its id.
    let kept = shape.home() && node.id.is_some();
    if own && (signed || !rules.signed || kept) {
        node.id = item_id(node.id, node.signature.as_ref(), shape);
        return Some(ir::Block::Reasoning(node));
    }
    let said = node.text.as_ref().map(|text| text.decode().into_owned()).unwrap_or_default();
    node.id = None;
    if signed || node.signature.is_some() {
        node.signature = None;
        shape.report.member(
            EffectKind::Dropped,
            node.at,
            "Block.reasoning",
            "signature",
            "only the provider that made the signature can read it",
        );
    }
    if said.trim().is_empty() {
        shape.report.cx.leftovers(&node.native);
        return None;
    }
    if rules.signed {
        shape.report.node(
            EffectKind::Adapted,
            node.at,
            "reasoning without a signature of the target stands as marked text",
        );
        let mut block = text::block(format!("<reasoning>\n{said}\n</reasoning>"), node.at);
        block.native_mut().append(node.native);
        return Some(block);
    }
    if !shape.facts.reasoning_history {
        shape.report.node(
            EffectKind::Dropped,
            node.at,
            "the backend does not read reasoning of earlier turns",
        );
        return None;
    }
    Some(ir::Block::Reasoning(node))
}

/// The id of reasoning that goes back to its provider, where it has ids; the same in every turn.
fn item_id<'a>(id: Option<Text<'a>>, opaque: Option<&Text<'_>>, shape: &Shape<'_>) -> Option<Text<'a>> {
    let prefix = shape.to.carriage.item_prefix;
    if prefix.is_empty() {
        return None;
    }
    let made = || Some(Text::plain(format!("{prefix}{:016x}", super::ids::hash(&opaque?.decode(), 0))));
    id.or_else(made)
}

/// Leaves out the signature of a call or a text that the target cannot read.
fn fit_signature(block: &mut ir::Block<'_>, target: &str, shape: &mut Shape<'_>) {
    let places = shape.to.carriage;
    let (slot, issuer, at, kind, place) = match block {
        ir::Block::ToolCall(node) => {
            (&mut node.signature, &node.issuer, node.at, "Block.tool_call", places.calls)
        }
        ir::Block::Text(node) => (&mut node.signature, &node.issuer, node.at, "Block.text", places.texts),
        _ => return,
    };
    if slot.is_none() || (place && issuer.as_ref().is_none_or(|issuer| *issuer == *target)) {
        return;
    }
    *slot = None;
    let reason = "only the provider that made the signature can read it";
    shape.report.member(EffectKind::Dropped, at, kind, "signature", reason);
}

/// Signs the first call of a step that another provider made, where the target has a word for that.
fn sign_first(node: &mut ir::ToolCallBlock<'_>, shape: &mut Shape<'_>) {
    let word = shape.to.carriage.unsigned_call;
    let foreign = node.issuer.as_ref().is_some_and(|issuer| *issuer != *shape.target.name());
    // At home a call without a signature is one that never had any.
    let lost = !shape.facts.signatures;
    if word.is_empty() || node.signature.is_some() || (shape.home() && !foreign && !lost) {
        return;
    }
    node.signature = Some(Text::plain(word));
    shape.report.member(
        EffectKind::Injected,
        node.at,
        "Block.tool_call",
        "signature",
        "the target wants a signature at calls, and takes this word for those that another provider made",
    );
}

/// Joins the blocks of reasoning of a turn, where the target has room for one text.
fn join_reasoning(content: &mut Vec<ir::Block<'_>>) {
    let said: Vec<String> = content
        .iter()
        .filter_map(|block| match block {
            ir::Block::Reasoning(node) => node.text.as_ref().map(|text| text.decode().into_owned()),
            _ => None,
        })
        .collect();
    if said.len() < 2 {
        return;
    }
    let mut leftovers = Native::default();
    let mut first = true;
    content.retain_mut(|block| {
        let ir::Block::Reasoning(node) = block else { return true };
        leftovers.append(std::mem::take(&mut node.native));
        if first {
            node.text = Some(Text::plain(said.join("\n\n")));
        }
        std::mem::take(&mut first)
    });
    if let Some(ir::Block::Reasoning(node)) =
        content.iter_mut().find(|b| matches!(b, ir::Block::Reasoning(_)))
    {
        node.native = leftovers;
    }
}

//! Why an answer ended.

use busbar_protocols::{EffectKind, Text, ir};

use super::super::{shape::Shape, text};

/// Keeps the first answer, where clients expect one.
pub(super) fn first_candidate(response: &mut ir::Response<'_>, shape: &mut Shape<'_>) {
    let candidates = response.candidates.get_or_insert_with(Vec::new);
    if candidates.is_empty() {
        candidates.push(ir::Candidate::default());
    }
    if !shape.to.answer.one_text {
        drop_wordless(response);
    }
    keep_leftovers(response, shape);
    let candidates = response.candidates.get_or_insert_with(Vec::new);
    if shape.to.answer.several {
        return;
    }
    for extra in candidates.drain(1..) {
        shape.report.node(EffectKind::Dropped, extra.at, "this protocol's answer is one");
    }
}

/// Takes the leftovers of nodes that the target's answer does not have to one that it has, where they are reported.
fn keep_leftovers(response: &mut ir::Response<'_>, shape: &mut Shape<'_>) {
    for candidate in response.candidates.iter_mut().flatten() {
        if shape.to.answer.one_text {
            for block in candidate.content.iter_mut().flatten() {
                if matches!(
                    block,
                    ir::Block::Text(_)
                        | ir::Block::Refusal(_)
                        | ir::Block::Reasoning(_)
                        | ir::Block::RedactedReasoning(_)
                ) {
                    candidate.native.append(std::mem::take(block.native_mut()));
                }
            }
        }
        if !shape.to.answer.several {
            response.native.append(std::mem::take(&mut candidate.native));
        }
        if (shape.to.answer.logprobs.is_empty() || shape.to.answer.logprobs != shape.from.answer.logprobs)
            && candidate.logprobs.take().is_some()
        {
            let reason = "this protocol's answers have no token probabilities";
            shape.report.member(EffectKind::Dropped, candidate.at, "Candidate", "logprobs", reason);
        }
    }
}

/// Leaves out texts without a word, which answers in blocks do not have.
///
/// Some providers say beside calls that there is no text, or no citation of it.
fn drop_wordless(response: &mut ir::Response<'_>) {
    for candidate in response.candidates.iter_mut().flatten() {
        let native = &mut candidate.native;
        for content in candidate.content.iter_mut() {
            content.retain_mut(|block| {
                let ir::Block::Text(node) = block else { return true };
                // What is signed is told to the client in a place of its own.
                let wordless = node.signature.is_none()
                    && node.text.as_ref().is_none_or(Text::is_empty)
                    && node.citations.as_ref().is_none_or(Vec::is_empty);
                if wordless {
                    native.append(std::mem::take(&mut node.native));
                } else {
                    node.text.get_or_insert_with(|| Text::plain(""));
                }
                !wordless
            });
        }
    }
}

/// Says why the answer ended: calls end in calls, and none without one.
pub(super) fn fit_finish(response: &mut ir::Response<'_>, _: &mut Shape<'_>) {
    for (content, stop) in super::contents(response) {
        let calls = content.iter().any(|block| matches!(block, ir::Block::ToolCall(_)));
        stop.reason = Some(match stop.reason.take() {
            None | Some(ir::StopReason::End) if calls => ir::StopReason::ToolCalls,
            Some(ir::StopReason::ToolCalls) if !calls => ir::StopReason::End,
            Some(reason) => reason,
            None => ir::StopReason::End,
        });
    }
}

/// A refusal is content for some and a reason to stop for others.
pub(super) fn fit_refusal(response: &mut ir::Response<'_>, shape: &mut Shape<'_>) {
    let as_content = shape.to.answer.refusal_content;
    for (content, stop) in super::contents(response) {
        if as_content {
            let refused = stop.reason == Some(ir::StopReason::Refusal);
            let said = if refused { stop.explanation.take() } else { None };
            if let Some(said) = said {
                content.push(ir::Block::Refusal(ir::RefusalBlock {
                    text: Some(said),
                    ..ir::RefusalBlock::default()
                }));
            }
            continue;
        }
        for block in content.iter_mut() {
            let ir::Block::Refusal(node) = block else { continue };
            let said = node.text.take().map(|said| said.decode().into_owned()).unwrap_or_default();
            let mut stands = text::block(said.clone(), node.at);
            stands.native_mut().append(std::mem::take(&mut node.native));
            *block = stands;
            stop.reason = Some(ir::StopReason::Refusal);
            stop.explanation = stop.explanation.take().or(Some(Text::plain(said)));
        }
    }
}

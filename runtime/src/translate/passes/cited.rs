//! Citations in earlier answers.

use busbar_protocols::{EffectKind, ir};

use super::super::answer::keep_address;
use super::super::shape::Shape;

/// Keeps the citations of earlier answers that the target has a form for.
pub(super) fn fit_cited_history(request: &mut ir::Request<'_>, shape: &mut Shape<'_>) {
    let (from, to) = (shape.from.answer.citations, shape.to.answer.citations);
    if from && to {
        return;
    }
    for block in request.turns.iter_mut().flatten().flat_map(|turn| turn.content.iter_mut().flatten()) {
        let ir::Block::Text(node) = block else { continue };
        let Some(citations) = &mut node.citations else { continue };
        let length = node.text.as_ref().map_or(0, |text| text.decode().chars().count() as u64);
        citations.retain_mut(|citation| {
            if !to {
                return keep_address(citation, length, shape);
            }
            let reason = "an earlier citation without the proof that the target wants back";
            shape.report.node(EffectKind::Dropped, citation.at, reason);
            false
        });
        node.citations.take_if(|citations| citations.is_empty());
    }
}

//! Shape passes of buffered answers: what a client of the target expects.

mod calls;
mod citations;
mod envelope;
mod finish;
mod seal;
mod text;

use busbar_protocols::{AnswerPass, ir};

use super::shape::Shape;

pub(crate) use calls::ONE_CALL;
pub(super) use citations::keep_address;
pub(crate) use envelope::made_id;

/// Runs the passes that the client's protocol lists, in its order.
pub(super) fn run(response: &mut ir::Response<'_>, shape: &mut Shape<'_>) {
    for pass in shape.to.response {
        if shape.home() && !matches!(pass, AnswerPass::CutStops | AnswerPass::UnfenceJson) {
            // The answer is in its client's shape already.
            continue;
        }
        match pass {
            AnswerPass::FirstCandidate => finish::first_candidate(response, shape),
            AnswerPass::RestoreCalls => calls::restore_calls(response, shape),
            AnswerPass::CutStops => text::cut_stops(response, shape),
            AnswerPass::UnfenceJson => text::unfence_json(response, shape),
            AnswerPass::FitFinish => finish::fit_finish(response, shape),
            AnswerPass::FitRefusal => finish::fit_refusal(response, shape),
            AnswerPass::FitCitations => citations::fit_citations(response, shape),
            AnswerPass::JoinText => text::join_text(response, shape),
            AnswerPass::SealCarriage => seal::seal_carriage(response, shape),
            AnswerPass::FitEnvelope => envelope::fit_envelope(response, shape),
        }
    }
}

/// The candidates with their content.
fn contents<'r, 'a>(
    response: &'r mut ir::Response<'a>,
) -> impl Iterator<Item = (&'r mut Vec<ir::Block<'a>>, &'r mut ir::Stop<'a>)> {
    response
        .candidates
        .iter_mut()
        .flatten()
        .map(|candidate| (candidate.content.get_or_insert_with(Vec::new), &mut candidate.stop))
}

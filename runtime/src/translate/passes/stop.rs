//! Texts that end the answer.

use busbar_protocols::{EffectKind, ir};

use super::super::shape::Shape;

/// Keeps what the target takes of the texts that end the answer; the gateway looks for the rest itself.
pub(super) fn fit_stop(request: &mut ir::Request<'_>, shape: &mut Shape<'_>) {
    let Some(stops) = request.output.stop.take() else { return };
    let rules = shape.to.output;
    let mut kept = Vec::with_capacity(stops.len());
    for stop in stops {
        let said = stop.decode();
        if said.is_empty() {
            shape.report.request(
                EffectKind::Adapted,
                "output.stop",
                "an empty text ends nothing and is left out",
            );
        } else if (!rules.blank_stops && said.trim().is_empty()) || kept.len() >= rules.stops {
            shape.state.stops.push(said.into_owned());
            shape.report.request(
                EffectKind::Emulated,
                "output.stop",
                "the gateway cuts the answer at texts that the target does not take",
            );
        } else {
            kept.push(stop);
        }
    }
    request.output.stop = (!kept.is_empty()).then_some(kept);
}

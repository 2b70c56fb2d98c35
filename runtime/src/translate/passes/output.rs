//! The bounds of the answer.

use busbar_protocols::{EffectKind, Num, ir};

use super::super::shape::Shape;

/// Times at most that a backend is asked for the answers of one request.
pub(in crate::translate) const MAX_CHOICES: u8 = 8;

/// Bounds the answer as the target demands, and says who speaks to which model.
pub(super) fn fit_output(request: &mut ir::Request<'_>, shape: &mut Shape<'_>) {
    // Where nothing is kept, there is nothing to forbid.
    request.store.take_if(|store| !*store && !shape.to.output.stored);
    let output = &mut request.output;
    let given = output.max_tokens.as_ref().and_then(Num::as_u64);
    let ceiling = shape.facts.max_output_tokens;
    match (given, shape.to.output.max_tokens) {
        (None, Some(fallback)) => {
            output.max_tokens = Some(Num::from(ceiling.unwrap_or(fallback)));
            let reason = match ceiling {
                Some(_) => "the target wants a bound; it is the model's own",
                None => "the target wants a bound, and the model's own is not known",
            };
            shape.report.request(EffectKind::Injected, "output.max_tokens", reason);
        }
        (Some(given), _) => {
            if let Some(ceiling) = ceiling.filter(|ceiling| *ceiling < given) {
                output.max_tokens = Some(Num::from(ceiling));
                shape.report.request(
                    EffectKind::Adapted,
                    "output.max_tokens",
                    "more than the model answers with; lowered to its own bound",
                );
            }
            if given < shape.to.output.min_tokens {
                output.max_tokens = Some(Num::from(shape.to.output.min_tokens));
                let reason = "fewer than the target takes; raised to the least that it does";
                shape.report.request(EffectKind::Adapted, "output.max_tokens", reason);
            }
        }
        (None, None) => {}
    }
    if let Some(candidates) = output.candidates.as_ref().and_then(Num::as_u64)
        && (shape.to.output.candidates == 1 || candidates > shape.to.output.candidates)
    {
        let most = shape.to.output.candidates;
        output.candidates = (most > 1).then(|| Num::from(most));
        match most {
            1 if candidates > u64::from(MAX_CHOICES) => {
                let reason =
                    format!("the backend gives one answer, and is asked at most {MAX_CHOICES} times");
                shape.report.lose_request("output.candidates", reason);
            }
            1 if candidates > 1 => {
                shape.state.choices = u8::try_from(candidates).unwrap_or(MAX_CHOICES);
                let reason = "the backend gives one answer: it is asked for each of them at the same time";
                shape.report.request(EffectKind::Emulated, "output.candidates", reason);
            }
            1 => {}
            _ => shape
                .report
                .lose_request("output.candidates", format!("this protocol gives {most} answers at most")),
        }
    }
    if let Some(modalities) = &output.modalities
        && !shape.to.media.audio
    {
        if modalities.iter().any(|kind| *kind != "text") {
            shape.report.lose_request("output.modalities", "this protocol answers in text");
        }
        output.modalities = None;
    }
}

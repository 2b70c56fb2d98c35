//! How tokens are drawn.

use busbar_protocols::{EffectKind, Num, ir};

use super::super::shape::Shape;

/// Smallest probability mass that may be asked for while the model reasons.
const MIN_TOP_P: f64 = 0.95;

/// Brings sampling into the target's range, and leaves out what does not go with reasoning.
pub(super) fn fit_sampling(request: &mut ir::Request<'_>, shape: &mut Shape<'_>) {
    let reasons = matches!(
        request.reasoning.mode,
        Some(ir::ReasoningMode::On | ir::ReasoningMode::Adaptive | ir::ReasoningMode::Other(_))
    );
    let sampling = &mut request.sampling;
    if !shape.facts.sampling {
        const REASON: &str = "the model does not take it";
        drop_if(sampling.temperature.take(), "sampling.temperature", REASON, shape);
        drop_if(sampling.top_p.take(), "sampling.top_p", REASON, shape);
        drop_if(sampling.top_k.take(), "sampling.top_k", REASON, shape);
        return;
    }
    if reasons && !shape.to.reasoning.with_sampling {
        const REASON: &str = "it does not go with reasoning";
        let plain = sampling.temperature.as_ref().and_then(Num::as_f64) == Some(1.0);
        if !plain {
            drop_if(sampling.temperature.take(), "sampling.temperature", REASON, shape);
        }
        drop_if(sampling.top_k.take(), "sampling.top_k", REASON, shape);
        if sampling.top_p.as_ref().and_then(Num::as_f64).is_some_and(|p| p < MIN_TOP_P) {
            drop_if(sampling.top_p.take(), "sampling.top_p", REASON, shape);
        }
    }
    if !shape.facts.sampling_together && sampling.temperature.is_some() {
        drop_if(sampling.top_p.take(), "sampling.top_p", "the model takes it or the temperature", shape);
    }
    let rules = shape.to.sampling;
    bound(&mut sampling.temperature, 0.0, rules.max_temperature, "sampling.temperature", shape);
    bound(&mut sampling.top_p, rules.min_top_p, rules.max_top_p, "sampling.top_p", shape);
    if let Some(most) = rules.max_top_k {
        bound(&mut sampling.top_k, 0.0, most as f64, "sampling.top_k", shape);
    }
    let too_few =
        |asked: &Num<'_>| rules.min_top_k.is_some_and(|least| asked.as_u64().is_some_and(|k| k < least));
    if sampling.top_k.as_ref().is_some_and(too_few) {
        sampling.top_k = None;
        shape.report.request(EffectKind::Dropped, "sampling.top_k", "the target has no word for all tokens");
    }
    fit_seed(&mut sampling.seed, rules.max_seed, shape);
    let (least, most) = (rules.min_penalty, rules.max_penalty);
    bound(&mut sampling.presence_penalty, least, most, "sampling.presence_penalty", shape);
    bound(&mut sampling.frequency_penalty, least, most, "sampling.frequency_penalty", shape);
}

/// Folds a seed into the target's range: the same one every time is all that it is for.
fn fit_seed(seed: &mut Option<Num<'_>>, most: Option<u64>, shape: &mut Shape<'_>) {
    let (Some(asked), Some(most)) = (&*seed, most) else { return };
    let digits = asked.digits().trim_start_matches('-');
    let Some(whole) = digits.parse::<u64>().ok().filter(|whole| *whole > most) else { return };
    *seed = Some(Num::from(whole % most.saturating_add(1)));
    shape.report.request(
        EffectKind::Adapted,
        "sampling.seed",
        "larger than the target takes; folded into its range",
    );
}

/// Brings a number into the target's range.
fn bound(value: &mut Option<Num<'_>>, least: f64, most: f64, path: &str, shape: &mut Shape<'_>) {
    let Some(asked) = value.as_ref().and_then(Num::as_f64) else { return };
    let (nearest, reason) = if asked > most {
        (most, "higher than the target takes; lowered to its highest")
    } else if asked < least {
        (least, "lower than the target takes; raised to its lowest")
    } else {
        return;
    };
    *value = Some(whole_or(nearest));
    shape.report.request(EffectKind::Adapted, path, reason);
}

fn drop_if(value: Option<Num<'_>>, path: &str, reason: &'static str, shape: &mut Shape<'_>) {
    if value.is_some() {
        shape.report.request(EffectKind::Dropped, path, reason);
    }
}

/// A whole number is written without a point.
fn whole_or(value: f64) -> Num<'static> {
    if value.fract() == 0.0 && (0.0..1e9).contains(&value) {
        Num::from(value as u64)
    } else {
        Num::from(value)
    }
}

//! How well a lane suits a policy, and the line that says so.

use std::fmt::Write as _;

use super::{Availability, Candidate, Policy};

/// Lanes whose time to the first token is within this factor of the best are equally fast.
///
/// Else the whole load goes to the one that is faster by a millisecond, until that makes it the slower one.
const AS_FAST: f64 = 1.1;

/// Headroom is told apart in steps of this size, for the same reason.
const HEADROOM_STEP: f64 = 0.1;

/// A score for each candidate, the least the best; what nothing is known of is never a NaN.
pub(super) fn all(policy: Policy, candidates: &[Candidate]) -> Vec<f64> {
    let each = |score: &dyn Fn(&Candidate) -> f64| candidates.iter().map(score).collect();
    match policy {
        Policy::Weighted => vec![0.0; candidates.len()],
        // A lane without a price may cost anything.
        Policy::Cheapest => each(&|it| known(it.price).unwrap_or(f64::INFINITY)),
        // A lane that nothing is known of is as good as the best, or it would never be measured.
        Policy::Fastest { .. } => {
            let best = fastest(candidates);
            each(&|it| first_token(it).map_or(best, |time| if time <= best * AS_FAST { best } else { time }))
        }
        Policy::LeastBusy => {
            let limited = candidates.iter().all(|it| it.limit.is_some());
            each(&|it| load(it, limited))
        }
        // A lane that tells no quota has none that is known to run out.
        Policy::Usage => each(&|it| -(headroom(it) / HEADROOM_STEP).round()),
    }
}

/// The candidate, as good as the first in all but the policy's eyes, that is measured least.
pub(super) fn least_measured(candidates: &[Candidate], first: usize) -> Option<usize> {
    let rank = candidates[first].rank();
    let weight = |at: &usize| candidates[*at].first_token.map_or(0.0, |average| average.weight);
    (0..candidates.len())
        .filter(|at| candidates[*at].rank() == rank)
        .min_by(|a, b| weight(a).total_cmp(&weight(b)))
        .filter(|at| *at != first)
}

/// Why the first of an order is first.
pub(super) fn why(policy: Policy, candidates: &[Candidate], order: &[usize], explores: bool) -> String {
    let mut line = format!("{}: ", policy.name());
    let Some(first) = order.first().map(|at| &candidates[*at]) else { return line };
    let equals = || candidates.iter().filter(|it| it.rank() == first.rank());
    // Writing to a string does not fail.
    let _ = match policy {
        _ if equals().count() == 1 => write!(line, "the only one of its kind"),
        _ if explores => write!(line, "explores the one measured least"),
        Policy::Weighted => {
            let total: u64 = equals().map(|it| u64::from(it.weight)).sum();
            write!(line, "weight {} of {total}", first.weight)
        }
        Policy::Cheapest => match known(first.price) {
            Some(price) => write!(line, "{price:.6} dollars expected"),
            None => write!(line, "no price known, by weight"),
        },
        Policy::Fastest { .. } => match first_token(first) {
            Some(time) => write!(line, "{:.0} ms to the first token", time * 1000.0),
            None => write!(line, "not measured of late"),
        },
        Policy::LeastBusy => match first.limit {
            Some(limit) => write!(line, "{} of {limit} in flight", first.in_flight),
            None => write!(line, "{} in flight at weight {}", first.in_flight, first.weight),
        },
        Policy::Usage if first.headroom.is_none() => write!(line, "no quota known"),
        Policy::Usage => write!(line, "{:.0} % of quota left", headroom(first) * 100.0),
    };
    if first.tier > 0 {
        let _ = write!(line, "; standby tier {}", first.tier);
    }
    for (holds, note) in [
        (first.availability == Availability::Ramping, "; coming back"),
        (first.availability == Availability::Out, "; out"),
        (!first.fits, "; with loss"),
        (first.is_full(), "; full"),
    ] {
        if holds {
            line.push_str(note);
        }
    }
    line
}

fn known(value: Option<f64>) -> Option<f64> {
    value.filter(|value| value.is_finite() && *value >= 0.0)
}

fn first_token(candidate: &Candidate) -> Option<f64> {
    known(candidate.first_token.map(|average| average.value))
}

/// The best time to the first token among those that would be first by rank; 0 when none is known.
fn fastest(candidates: &[Candidate]) -> f64 {
    let rank = candidates.iter().map(Candidate::rank).min();
    let firsts = candidates.iter().filter(|it| Some(it.rank()) == rank);
    firsts.filter_map(first_token).min_by(f64::total_cmp).unwrap_or(0.0)
}

fn load(candidate: &Candidate, limited: bool) -> f64 {
    let room = match candidate.limit {
        Some(limit) if limited => limit,
        _ => candidate.weight,
    };
    // With the one to come: of two idle lanes the wider is less busy.
    (f64::from(candidate.in_flight) + 1.0) / f64::from(room.max(1))
}

fn headroom(candidate: &Candidate) -> f64 {
    // More than all may have been used.
    candidate.headroom.filter(|left| !left.is_nan()).map_or(1.0, |left| left.clamp(0.0, 1.0))
}

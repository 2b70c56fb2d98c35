//! How much of a pool may be out at once, and which lane to try when none is willing.

use std::cmp::Ordering;
use std::time::Instant;

use super::State;

/// The lanes that are to be tried although they are out, the least bad first.
///
/// Of the lanes of a pool, no more than `share` (0 to 1) may be out by the breaker's own judgement; past that
/// its judgement is doubted, as when the fault is a network's that all of them are behind. Lanes that the
/// upstream asked to leave alone, or whose credential it refused, are out by the upstream's judgement: they
/// count as members, and are not tried.
///
/// A share of 1 is the useful default: the lanes of a pool are few and differ in provider, so several that
/// are out have failed one by one, and to try them again costs a caller's time. See [`least_bad`] for the
/// case that no lane is left.
pub fn must_try(states: &[State], share: f64) -> Vec<usize> {
    let allowed = (states.len() as f64 * share.clamp(0.0, 1.0)).floor() as usize;
    let mut open: Vec<usize> = (0..states.len())
        .filter(|at| matches!(states[*at], State::Open { .. } | State::HalfOpen { probing: true }))
        .collect();
    open.sort_by(|a, b| compare(&states[*a], &states[*b]).then(a.cmp(b)));
    open.truncate(open.len().saturating_sub(allowed));
    open
}

/// The lane with the best chance, of those that all refuse.
///
/// One that is being probed, then those that are out, the soonest back first; then those that asked to be left
/// alone, which are certain to refuse; a refused credential last.
pub fn least_bad(states: &[State]) -> Option<usize> {
    (0..states.len()).min_by(|a, b| compare(&states[*a], &states[*b]))
}

/// When the first of the lanes is worth asking again: an honest `retry-after` for a pool that is exhausted.
pub fn soonest(states: &[State]) -> Option<Instant> {
    states.iter().filter_map(State::until).min()
}

fn compare(a: &State, b: &State) -> Ordering {
    badness(a).cmp(&badness(b)).then_with(|| a.until().cmp(&b.until()))
}

fn badness(state: &State) -> u8 {
    match state {
        State::Closed => 0,
        State::Ramp { .. } => 1,
        State::HalfOpen { .. } => 2,
        State::Open { .. } => 3,
        State::Cooling { .. } => 4,
        State::Benched { .. } => 5,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn states() -> [State; 7] {
        let start = Instant::now();
        let until = |seconds| start + Duration::from_secs(seconds);
        [
            State::Benched { until: until(1) },
            State::Open { until: until(9) },
            State::Cooling { until: until(2) },
            State::Open { until: until(4) },
            State::HalfOpen { probing: true },
            State::Ramp { since: start, share: 0.2 },
            State::Closed,
        ]
    }

    #[test]
    fn past_the_share_the_least_bad_are_tried() {
        let states = states();
        assert!(must_try(&states, 1.0).is_empty());
        assert!(must_try(&states, 0.43).is_empty());
        assert_eq!(must_try(&states, 0.3), [4]);
        assert_eq!(must_try(&states, 0.15), [4, 3]);
        assert_eq!(must_try(&states, 0.0), [4, 3, 1]);
        assert_eq!(must_try(&states, -1.0), [4, 3, 1]);
        assert!(must_try(&[], 0.5).is_empty());
    }

    #[test]
    fn the_best_chance_is_first() {
        let states = states();
        let best = |left: &[usize]| least_bad(&left.iter().map(|at| states[*at]).collect::<Vec<_>>());
        assert_eq!(best(&[0, 1, 2, 3, 4, 5, 6]), Some(6));
        assert_eq!(best(&[0, 1, 2, 3, 4]), Some(4));
        assert_eq!(best(&[0, 1, 2, 3]), Some(3));
        assert_eq!(best(&[0, 2]), Some(1));
        assert_eq!(best(&[]), None);
    }

    #[test]
    fn a_pool_is_worth_asking_again_with_its_first_lane() {
        let states = states();
        assert_eq!(soonest(&states), states[0].until());
        assert_eq!(soonest(&states[5..]), None);
    }
}

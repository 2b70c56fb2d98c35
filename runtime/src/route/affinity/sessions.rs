//! Sessions stay where they are.

use std::time::{Duration, Instant};

use super::mix;
use super::recent::Recent;

/// Orders lanes for a key, each first for a share of the keys by its weight.
///
/// Lanes are given as their number and weight; the result are indices into them. When a lane comes or goes,
/// only the keys that it gets or had change places. Lanes without a weight come last.
pub fn rendezvous(key: u64, lanes: &[(u64, u32)]) -> Vec<usize> {
    // The least of -ln(uniform) / weight is each one's with a chance in proportion to its weight.
    let score = |(lane, weight): (u64, u32)| {
        // 53 bits fill a float; never 0, whose logarithm is none.
        let uniform = ((mix(mix(key) ^ lane) >> 11) as f64 + 0.5) / (1_u64 << 53) as f64;
        if weight == 0 { f64::INFINITY } else { -uniform.ln() / f64::from(weight) }
    };
    let mut order: Vec<usize> = (0..lanes.len()).collect();
    order.sort_by(|a, b| score(lanes[*a]).total_cmp(&score(lanes[*b])));
    order
}

/// Where sessions were served last.
#[derive(Clone, Debug)]
pub struct Sessions {
    idle: Duration,
    pins: Recent<(u64, Instant)>,
}

impl Sessions {
    /// Keeps at most so many sessions, each for as long as it is not idle for longer than this.
    pub fn new(most: usize, idle: Duration) -> Self {
        Self { idle, pins: Recent::new(most) }
    }

    /// The lane that served a session last; its key is a fingerprint of the caller and the session.
    pub fn lane(&self, now: Instant, session: u64) -> Option<u64> {
        let (lane, until) = self.pins.get(session)?;
        (now < *until).then_some(*lane)
    }

    /// Notes that a lane has served a session.
    pub fn served(&mut self, now: Instant, session: u64, lane: u64) {
        let until = now + self.idle;
        self.pins.put(session, |_| (lane, until));
    }

    /// How many sessions are known, idle ones too.
    pub fn len(&self) -> usize {
        self.pins.len()
    }

    /// Whether none is known.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::fingerprint;
    use super::*;

    fn lanes<const N: usize>(weights: [u32; N]) -> Vec<(u64, u32)> {
        let named = |(at, weight): (usize, u32)| (fingerprint(0, format!("lane-{at}").as_bytes()), weight);
        weights.into_iter().enumerate().map(named).collect()
    }

    #[test]
    fn keys_spread_by_weight() {
        let lanes = lanes([5, 3, 2, 0]);
        let mut had = [0_u32; 4];
        for key in 0..10_000 {
            let order = rendezvous(key, &lanes);
            had[order[0]] += 1;
            assert_eq!(order[3], 3);
        }
        for (had, expected) in had.into_iter().zip([5000, 3000, 2000, 0]) {
            assert!(had.abs_diff(expected) < 200, "{had} of {expected}");
        }
    }

    #[test]
    fn a_session_stays_where_it_was_last() {
        let (now, idle) = (Instant::now(), Duration::from_secs(300));
        let mut sessions = Sessions::new(2, idle);
        assert_eq!(sessions.lane(now, 1), None);
        assert!(sessions.is_empty());
        sessions.served(now, 1, 10);
        // Failed over, and stays there.
        sessions.served(now, 1, 20);
        assert_eq!(sessions.lane(now + idle / 2, 1), Some(20));
        sessions.served(now + idle / 2, 1, 20);
        assert_eq!(sessions.lane(now + idle, 1), Some(20));
        assert_eq!(sessions.lane(now + idle * 2, 1), None);
        sessions.served(now, 2, 10);
        sessions.served(now, 3, 10);
        assert_eq!((sessions.lane(now, 1), sessions.len()), (None, 2));
    }

    proptest! {
        /// Whoever goes, the others keep their order; so only the keys of the one that goes move.
        #[test]
        fn only_the_keys_of_a_lane_that_goes_move(key: u64, gone in 0_usize..5) {
            let mut lanes = lanes([1, 4, 2, 2, 9]);
            let before: Vec<u64> = rendezvous(key, &lanes).into_iter().map(|at| lanes[at].0).collect();
            let (number, _) = lanes.remove(gone);
            let after: Vec<u64> = rendezvous(key, &lanes).into_iter().map(|at| lanes[at].0).collect();
            let left: Vec<u64> = before.into_iter().filter(|lane| *lane != number).collect();
            prop_assert_eq!(left, after);
        }
    }
}

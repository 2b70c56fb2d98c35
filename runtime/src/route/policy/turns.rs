//! Whose turn it is: smooth weighted round robin.

/// What is remembered between the choices of a pool, one number a member.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Turns(Vec<i64>);

impl Turns {
    /// Where nobody has had a turn.
    pub fn new(members: usize) -> Self {
        Self(vec![0; members])
    }

    /// Gives the turn to one of those that are named with their weights; none when no weight is above zero.
    ///
    /// Each one's credit grows by its weight, the largest serves and pays the sum. So shares are exact and
    /// evenly spread, and one that was away comes back with no more credit than it left with.
    pub fn next(&mut self, among: impl Iterator<Item = (usize, u32)>) -> Option<usize> {
        let mut total = 0;
        let mut best: Option<usize> = None;
        for (at, weight) in among.filter(|(_, weight)| *weight > 0) {
            if at >= self.0.len() {
                self.0.resize(at + 1, 0);
            }
            total += i64::from(weight);
            self.0[at] += i64::from(weight);
            if best.is_none_or(|best| self.0[at] > self.0[best]) {
                best = Some(at);
            }
        }
        self.0[best?] -= total;
        best
    }

    /// What one is owed; below zero, what it has had too much.
    pub fn credit(&self, at: usize) -> i64 {
        self.0.get(at).copied().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn next(turns: &mut Turns, weights: &[u32]) -> Option<usize> {
        turns.next(weights.iter().copied().enumerate())
    }

    #[test]
    fn shares_are_exact_and_spread() {
        let mut turns = Turns::new(3);
        let picks: Vec<_> = (0..7).map(|_| next(&mut turns, &[5, 1, 1]).unwrap()).collect();
        assert_eq!(picks, [0, 0, 1, 0, 2, 0, 0]);
        assert_eq!(turns, Turns::new(3));
    }

    #[test]
    fn no_weight_no_turn() {
        let mut turns = Turns::new(2);
        assert_eq!(next(&mut turns, &[0, 3]), Some(1));
        assert_eq!(next(&mut turns, &[0, 0]), None);
        assert_eq!(next(&mut turns, &[]), None);
    }

    proptest! {
        #[test]
        fn each_gets_its_weight_whoever_is_away_for_a_while(
            weights in proptest::collection::vec(1_u32..50, 1..6),
            away in proptest::collection::vec(any::<u8>(), 0..60),
        ) {
            let mut turns = Turns::default();
            for away in away {
                let here = weights.iter().copied().enumerate().filter(|(at, _)| away >> at & 1 == 0);
                turns.next(here);
            }
            let total: u32 = weights.iter().sum();
            // Credit is bounded, so nobody floods or starves when it is back.
            for at in 0..weights.len() {
                prop_assert!(turns.credit(at).unsigned_abs() <= u64::from(total) * weights.len() as u64);
            }
            let mut had = vec![0_u32; weights.len()];
            for _ in 0..total * 100 {
                had[next(&mut turns, &weights).unwrap()] += 1;
            }
            for (had, weight) in had.iter().zip(&weights) {
                prop_assert!(had.abs_diff(weight * 100) <= weights.len() as u32 + 1, "{had} of {weight}");
            }
        }
    }
}

//! In what order the lanes of a pool are tried: pure functions of a snapshot.
//!
//! Whatever the policy, some things come first: a lane that is in before one that is out, one that loses nothing
//! of the request before one that does, an earlier tier before a later one, one with a weight before one
//! without, one with room before one that is full. The policy decides among those that are equal in all of
//! this, and where it finds them equal too, they take turns by weight.

mod ewma;
mod score;
#[cfg(test)]
mod tests;
mod turns;

use std::cmp::Ordering;

pub use ewma::{Average, Ewma, LEAST_WEIGHT};
pub use turns::Turns;

/// How the lanes of a pool are ordered.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Policy {
    /// In proportion to the weights, evenly spread.
    Weighted,
    /// The least expected cost of this request.
    Cheapest,
    /// The shortest time to the first token, as far as measured.
    Fastest {
        /// The share of requests (0 to 1) that go to the lane that is measured least.
        explore: f64,
    },
    /// The fewest requests in flight, for its limit or its weight.
    LeastBusy,
    /// The most headroom of quota.
    Usage,
}

impl Policy {
    /// The share of requests that [`Policy::Fastest`] explores with unless told otherwise.
    pub const EXPLORE: f64 = 0.05;

    /// The name in config, logs and answers.
    pub const fn name(self) -> &'static str {
        match self {
            Policy::Weighted => "weighted",
            Policy::Cheapest => "cheapest",
            Policy::Fastest { .. } => "fastest",
            Policy::LeastBusy => "least_busy",
            Policy::Usage => "usage",
        }
    }
}

/// Whether a lane's breaker lets requests through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Availability {
    /// It does.
    #[default]
    Available,
    /// It lets some through: the lane takes its place in the order, or it would never come back.
    Ramping,
    /// It does not.
    Out,
}

/// What is known of one lane when a request is to be placed.
#[derive(Clone, Debug, PartialEq)]
pub struct Candidate {
    /// Its share of the requests; at 0 it serves when the others of its tier do not.
    pub weight: u32,
    /// 0 serves; the tiers after it stand by, the least first.
    pub tier: u8,
    /// Whether its breaker lets requests through.
    pub availability: Availability,
    /// Whether it can serve this request without loss, by context window and capability.
    pub fits: bool,
    /// Requests that it serves now.
    pub in_flight: u32,
    /// How many it may serve at once.
    pub limit: Option<u32>,
    /// What this request is expected to cost, in dollars.
    pub price: Option<f64>,
    /// Time to the first token, in seconds.
    pub first_token: Option<Average>,
    /// The share of the provider's quota or of the budget that is left, 0 to 1.
    pub headroom: Option<f64>,
}

impl Default for Candidate {
    fn default() -> Self {
        Self {
            weight: 1,
            tier: 0,
            availability: Availability::Available,
            fits: true,
            in_flight: 0,
            limit: None,
            price: None,
            first_token: None,
            headroom: None,
        }
    }
}

impl Candidate {
    /// What comes before any policy; less is better.
    fn rank(&self) -> (bool, bool, u8, bool, bool) {
        let out = self.availability == Availability::Out;
        (out, !self.fits, self.tier, self.weight == 0, self.is_full())
    }

    /// Whether it comes before another, whatever the policy.
    pub fn is_before(&self, other: &Self) -> bool {
        self.rank() < other.rank()
    }

    fn is_full(&self) -> bool {
        self.limit.is_some_and(|limit| self.in_flight >= limit)
    }
}

/// The lanes in the order in which to try them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ranking {
    /// Indices of all candidates, each once.
    pub order: Vec<usize>,
    /// Why the first is first, in one short line of ASCII.
    pub why: String,
}

impl Ranking {
    /// Puts a candidate first, for a reason of its own.
    pub fn prefer(&mut self, first: usize, why: String) {
        self.order.retain(|at| *at != first);
        self.order.insert(0, first);
        self.why = why;
    }
}

/// Orders the candidates; `turns` belongs to the pool, `draw` is a random number from 0 to 1.
pub fn order(policy: Policy, candidates: &[Candidate], turns: &mut Turns, draw: f64) -> Ranking {
    let scores = score::all(policy, candidates);
    let compare = |a: usize, b: usize| -> Ordering {
        candidates[a].rank().cmp(&candidates[b].rank()).then(scores[a].total_cmp(&scores[b]))
    };
    let Some(best) = (0..candidates.len()).min_by(|a, b| compare(*a, *b)) else {
        return Ranking { order: Vec::new(), why: format!("{}: no lanes", policy.name()) };
    };
    let equals = (0..candidates.len()).filter(|at| compare(*at, best).is_eq());
    let mut first = turns.next(equals.map(|at| (at, candidates[at].weight))).unwrap_or(best);
    let mut explores = false;
    if let Policy::Fastest { explore } = policy
        && draw < explore
        && let Some(other) = score::least_measured(candidates, first)
    {
        (first, explores) = (other, true);
    }
    let mut order: Vec<usize> = (0..candidates.len()).collect();
    order.sort_by(|a, b| {
        (*b == first)
            .cmp(&(*a == first))
            .then_with(|| compare(*a, *b))
            .then_with(|| turns.credit(*b).cmp(&turns.credit(*a)))
            .then_with(|| a.cmp(b))
    });
    let why = score::why(policy, candidates, &order, explores);
    Ranking { order, why }
}

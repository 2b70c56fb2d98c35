//! What a breaker is asked, told and says.

use std::time::{Duration, Instant};

use super::Counts;

/// The share of its requests that a lane gets at the very start of its ramp.
pub const RAMP_FLOOR: f64 = 0.1;

/// Where a breaker stands at a moment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum State {
    /// Used.
    Closed,
    /// Healthy as far as known, but asked to be left alone.
    Cooling {
        /// When that is over.
        until: Instant,
    },
    /// Taken out.
    Open {
        /// When a probe may go.
        until: Instant,
    },
    /// Taken out, because its credential or its model was refused.
    Benched {
        /// When a probe may go.
        until: Instant,
    },
    /// One request at a time may find out whether it is back.
    HalfOpen {
        /// Whether one is on its way.
        probing: bool,
    },
    /// Back, with less than its share.
    Ramp {
        /// When it came back.
        since: Instant,
        /// The share of requests that it gets now, up to 1.
        share: f64,
    },
}

impl State {
    /// The name in logs, metrics and answers.
    pub const fn name(&self) -> &'static str {
        match self {
            State::Closed => "closed",
            State::Cooling { .. } => "cooling",
            State::Open { .. } => "open",
            State::Benched { .. } => "benched",
            State::HalfOpen { .. } => "half_open",
            State::Ramp { .. } => "ramp",
        }
    }

    /// When it may be asked again, of one that admits none until then.
    pub const fn until(&self) -> Option<Instant> {
        match *self {
            State::Cooling { until } | State::Open { until } | State::Benched { until } => Some(until),
            State::Closed | State::HalfOpen { .. } | State::Ramp { .. } => None,
        }
    }
}

/// What came of a request that was admitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was answered.
    Success {
        /// How long the lane took, by the measure that [`Slow::after`](super::Slow::after) is meant in.
        took: Duration,
    },
    /// It failed by the lane's own doing.
    Failure {
        /// How long the upstream asked to be left alone.
        retry_after: Option<Duration>,
    },
    /// There were too many requests; the lane is as healthy as it was.
    RateLimited {
        /// How long the upstream asked to be left alone.
        retry_after: Option<Duration>,
    },
    /// The gateway's credential or the model was refused; every request would be.
    Benched,
    /// It says nothing of the lane, such as a bad request of the caller's.
    Neutral,
}

/// Why a request is not to be sent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Refused {
    /// The state that refuses.
    pub state: State,
    /// When to ask again, where that is known: not of a lane that waits for a probe or is on its ramp.
    pub until: Option<Instant>,
}

/// What made a breaker change its state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Failures in a row.
    Consecutive,
    /// The share of failures.
    Rate,
    /// The share of slow answers.
    Slow,
    /// The probe failed.
    Probe,
    /// The credential or the model was refused.
    Benched,
    /// A rate limit.
    Limited,
    /// A failure that named a time.
    RetryAfter,
    /// The probe succeeded.
    Recovered,
    /// The ramp ended well.
    Healthy,
    /// An operator said so.
    Reset,
}

impl Reason {
    /// The name in logs, metrics and answers.
    pub const fn name(self) -> &'static str {
        match self {
            Reason::Consecutive => "consecutive_failures",
            Reason::Rate => "failure_rate",
            Reason::Slow => "slow",
            Reason::Probe => "probe_failed",
            Reason::Benched => "refused",
            Reason::Limited => "rate_limited",
            Reason::RetryAfter => "retry_after",
            Reason::Recovered => "probe_succeeded",
            Reason::Healthy => "ramp_over",
            Reason::Reset => "reset",
        }
    }
}

/// A change of state that a result brought about.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Transition {
    /// What it was.
    pub from: State,
    /// What it is.
    pub to: State,
    /// Why.
    pub reason: Reason,
}

/// All that an operator may want to know of a breaker.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Snapshot {
    /// Where it stands.
    pub state: State,
    /// For how long it has; none when it never stood anywhere else.
    pub age: Option<Duration>,
    /// How long it will admit none.
    pub left: Option<Duration>,
    /// The results in the window, since the last change between in and out.
    pub counts: Counts,
    /// Failures in a row.
    pub consecutive: u32,
    /// How often the lane was taken out, ever.
    pub trips: u64,
    /// How often it was asked to be left alone, ever.
    pub cools: u64,
    /// What brought about the last change.
    pub reason: Option<Reason>,
}

//! Whether a lane or a credential is used at the moment: a circuit breaker without clock, lock or I/O.
//!
//! Whoever sends asks [`Breaker::admit`], and gives the [`Pass`] back with what came of it
//! ([`Breaker::record`]) or, when the caller left, without ([`Breaker::cancel`]).
//!
//! | state | admits | left when |
//! |---|---|---|
//! | closed | all | failures or slowness of late trip it; its credential or model is refused |
//! | cooling | none | the time is over that a rate limit or a `retry-after` asked for; says nothing of health |
//! | open, benched | none | its time is over: half-open |
//! | half-open | one probe at a time | the probe succeeds: ramp; it fails: open, for twice as long |
//! | ramp | a share that grows with time | the time is over: closed; it trips: open, for twice as long |
//!
//! Time passes by being told, so a lane that nobody uses has no timer. A result of a request that was admitted
//! before the lane was taken out changes no state; only a time that the upstream asks for is obeyed from
//! any result, and the later of two such times stands.

mod cap;
mod rules;
mod state;
mod window;

#[cfg(test)]
mod model;
#[cfg(test)]
mod tests;

use std::mem;
use std::time::{Duration, Instant};

pub use cap::{least_bad, must_try, soonest};
use rules::stretched;
pub use rules::{MAX_WAIT, Rules, Slow};
pub use state::{Outcome, RAMP_FLOOR, Reason, Refused, Snapshot, State, Transition};
pub use window::Counts;
use window::Window;

/// The right to send one request; goes back by [`Breaker::record`] or [`Breaker::cancel`].
#[derive(Debug)]
#[must_use = "a pass that is not given back holds a half-open lane up until its lease ends"]
pub struct Pass {
    kind: Kind,
    /// How often the lane had been taken out, and asked to be left alone, before this was admitted.
    outs: u64,
    asks: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Ordinary,
    Probe(u64),
    /// Sent although the breaker refused.
    Forced,
}

impl Pass {
    /// Whether this is the one request that finds out whether the lane is back.
    pub const fn is_probe(&self) -> bool {
        matches!(self.kind, Kind::Probe(_))
    }
}

/// The breaker of one lane or one credential.
#[derive(Debug)]
pub struct Breaker {
    rules: Rules,
    window: Window,
    phase: Phase,
    /// Asked to be left alone, from when until when.
    hold: Option<(Instant, Instant)>,
    probe: Option<Probe>,
    /// The number of the next probe.
    next: u64,
    consecutive: u32,
    /// Trips and benches since the last healthy ramp, and rate limits since the last success.
    level: u32,
    benches: u32,
    limits: u32,
    /// Every time that it was taken out or asked to be left alone; tells late results from others.
    outs: u64,
    asks: u64,
    /// The same for the operator, to whom a reset is neither.
    trips: u64,
    cools: u64,
    reason: Option<Reason>,
}

#[derive(Clone, Copy, Debug)]
enum Phase {
    Closed { since: Option<Instant> },
    Out { since: Instant, until: Instant, benched: bool },
    Ramp { since: Instant },
}

/// How much a result says of a lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Weight {
    /// Nothing: the request was admitted before the lane was last taken out.
    Late,
    /// That it is back, at best.
    Forced,
    /// Whether it is back.
    Probe,
    /// One result among others.
    Counted,
}

#[derive(Clone, Copy, Debug)]
struct Probe {
    number: u64,
    lease: Instant,
}

impl Breaker {
    /// A breaker that knows nothing bad.
    pub fn new(rules: Rules) -> Self {
        Self {
            window: Window::new(rules.window),
            rules,
            phase: Phase::Closed { since: None },
            hold: None,
            probe: None,
            next: 0,
            consecutive: 0,
            level: 0,
            benches: 0,
            limits: 0,
            outs: 0,
            asks: 0,
            trips: 0,
            cools: 0,
            reason: None,
        }
    }

    /// Goes over to other rules; what is known of the lane stays, and so does a time that it is out until.
    pub fn adopt(&mut self, rules: Rules) {
        self.window.resize(rules.window);
        self.rules = rules;
    }

    /// Forgets what is known against the lane, as when an operator has given it another key.
    pub fn reset(&mut self, now: Instant) {
        self.window.clear();
        self.phase = Phase::Closed { since: Some(now) };
        (self.hold, self.probe) = (None, None);
        (self.consecutive, self.level, self.benches, self.limits) = (0, 0, 0, 0);
        self.outs += 1;
        self.asks += 1;
        self.reason = Some(Reason::Reset);
    }

    /// Where it stands.
    pub fn state(&self, now: Instant) -> State {
        let hold = self.hold.map(|(_, until)| until).filter(|until| now < *until);
        match (self.phase, hold) {
            (Phase::Out { until, benched, .. }, _) if now < until => {
                let until = hold.map_or(until, |hold| hold.max(until));
                if benched { State::Benched { until } } else { State::Open { until } }
            }
            (_, Some(until)) => State::Cooling { until },
            (Phase::Out { .. }, None) => {
                State::HalfOpen { probing: self.probe.is_some_and(|probe| now < probe.lease) }
            }
            (Phase::Ramp { since }, None) if !self.is_ramp_over(since, now) => {
                let gone = now.saturating_duration_since(since).as_secs_f64();
                let share = (gone / self.rules.ramp.as_secs_f64()).clamp(RAMP_FLOOR, 1.0);
                State::Ramp { since, share }
            }
            (Phase::Closed { .. } | Phase::Ramp { .. }, None) => State::Closed,
        }
    }

    /// Whether a request may be admitted now; on a ramp, whether the draw can be lucky.
    pub fn would_admit(&self, now: Instant) -> bool {
        matches!(self.state(now), State::Closed | State::Ramp { .. } | State::HalfOpen { probing: false })
    }

    /// Admits a request, or says why not; `draw` is a random number from 0 to 1.
    pub fn admit(&mut self, now: Instant, draw: f64) -> Result<Pass, Refused> {
        let state = self.state(now);
        let kind = match state {
            State::Closed => Kind::Ordinary,
            State::Ramp { share, .. } if draw < share => Kind::Ordinary,
            State::HalfOpen { probing: false } => {
                let number = self.next;
                self.next += 1;
                self.probe = Some(Probe { number, lease: now + self.rules.lease.min(MAX_WAIT) });
                Kind::Probe(number)
            }
            _ => return Err(Refused { state, until: state.until() }),
        };
        Ok(self.pass(kind))
    }

    /// Admits a request whatever the state, for want of a better lane; see [`least_bad`] and [`must_try`].
    ///
    /// Of a lane that is out, its success brings it back early, and its failure does not count.
    pub fn admit_anyway(&mut self, now: Instant) -> Pass {
        let out = matches!(self.phase, Phase::Out { .. });
        self.admit(now, 0.0).unwrap_or_else(|_| self.pass(if out { Kind::Forced } else { Kind::Ordinary }))
    }

    fn pass(&self, kind: Kind) -> Pass {
        Pass { kind, outs: self.outs, asks: self.asks }
    }

    /// Takes in what came of a request; `draw` is a random number from 0 to 1.
    pub fn record(&mut self, now: Instant, pass: Pass, outcome: Outcome, draw: f64) -> Option<Transition> {
        let ramped = self.end_ramp(now);
        let from = match self.state(now) {
            State::Closed => ramped.unwrap_or(State::Closed),
            other => other,
        };
        self.free(&pass);
        let weight = self.weight(&pass);
        // Sent before the lane was asked to be left alone.
        let unaware = pass.asks != self.asks;
        match outcome {
            Outcome::Success { took } => {
                if !unaware {
                    self.limits = 0;
                }
                self.succeed(now, weight, took, draw);
            }
            Outcome::Failure { retry_after } => {
                if let Some(wish) = retry_after {
                    self.leave_alone(now, self.rules.obey(wish), Reason::RetryAfter);
                }
                self.fail(now, weight, draw);
            }
            Outcome::RateLimited { retry_after } => match retry_after {
                Some(wish) if !wish.is_zero() => {
                    self.leave_alone(now, self.rules.obey(wish), Reason::Limited);
                }
                // The others of the same burst say what the first has said.
                _ if unaware => {}
                _ => {
                    let wait = stretched(self.rules.limited, self.rules.longest, self.limits, draw);
                    self.limits = self.limits.saturating_add(1);
                    self.leave_alone(now, wait, Reason::Limited);
                }
            },
            Outcome::Benched if matches!(weight, Weight::Counted | Weight::Probe) => self.bench(now, draw),
            Outcome::Benched | Outcome::Neutral => {}
        }
        self.transition(from, now)
    }

    /// Takes a pass back whose request ended by the caller's leaving: counts nothing.
    pub fn cancel(&mut self, pass: Pass) {
        self.free(&pass);
    }

    /// What there is to know.
    pub fn snapshot(&self, now: Instant) -> Snapshot {
        let state = self.state(now);
        let since = match (state, self.phase) {
            (State::Cooling { .. }, _) => self.hold.map(|(since, _)| since),
            (State::HalfOpen { .. }, Phase::Out { until, .. }) => {
                Some(self.hold.map_or(until, |(_, hold)| hold.max(until)))
            }
            (State::Closed, Phase::Ramp { since }) => Some(since + self.rules.ramp.min(MAX_WAIT)),
            (_, Phase::Closed { since }) => since,
            (_, Phase::Out { since, .. } | Phase::Ramp { since }) => Some(since),
        };
        Snapshot {
            state,
            age: since.map(|since| now.saturating_duration_since(since)),
            left: state.until().map(|until| until.saturating_duration_since(now)),
            counts: self.window.counts(now),
            consecutive: self.consecutive,
            trips: self.trips,
            cools: self.cools,
            reason: self.reason,
        }
    }

    fn weight(&self, pass: &Pass) -> Weight {
        match (self.phase, pass.kind) {
            _ if pass.outs != self.outs => Weight::Late,
            (Phase::Out { .. }, Kind::Forced) => Weight::Forced,
            // Also one whose lease is over: what it says is as new as what the next would say.
            (Phase::Out { .. }, _) => Weight::Probe,
            _ => Weight::Counted,
        }
    }

    fn succeed(&mut self, now: Instant, weight: Weight, took: Duration, draw: f64) {
        let slow = self.rules.is_slow(took);
        match weight {
            Weight::Late => {}
            Weight::Forced if slow => {}
            Weight::Probe if slow => self.trip(now, Reason::Slow, draw),
            Weight::Forced | Weight::Probe => {
                self.window.clear();
                self.consecutive = 0;
                self.probe = None;
                self.phase = Phase::Ramp { since: now };
                self.reason = Some(Reason::Recovered);
            }
            Weight::Counted => {
                self.consecutive = 0;
                self.window.add(now, Counts { successes: 1, failures: 0, slow: u32::from(slow) });
                if slow && self.is_too_slow(now) {
                    self.trip(now, Reason::Slow, draw);
                }
            }
        }
    }

    fn fail(&mut self, now: Instant, weight: Weight, draw: f64) {
        match weight {
            Weight::Late | Weight::Forced => {}
            Weight::Probe => self.trip(now, Reason::Probe, draw),
            Weight::Counted => {
                self.consecutive = self.consecutive.saturating_add(1);
                self.window.add(now, Counts { successes: 0, failures: 1, slow: 0 });
                let counts = self.window.counts(now);
                if self.rules.consecutive > 0 && self.consecutive >= self.rules.consecutive {
                    self.trip(now, Reason::Consecutive, draw);
                } else if counts.total() >= self.rules.least && counts.error_rate() >= self.rules.rate {
                    self.trip(now, Reason::Rate, draw);
                }
            }
        }
    }

    fn is_too_slow(&self, now: Instant) -> bool {
        let counts = self.window.counts(now);
        counts.total() >= self.rules.least
            && self.rules.slow.is_some_and(|slow| counts.slow_rate() >= slow.rate)
    }

    fn trip(&mut self, now: Instant, reason: Reason, draw: f64) {
        let wait = stretched(self.rules.cooldown, self.rules.longest, self.level, draw);
        self.level = self.level.saturating_add(1);
        self.take_out(now, wait, false, reason);
    }

    fn bench(&mut self, now: Instant, draw: f64) {
        let wait = stretched(self.rules.bench, self.rules.longest_bench, self.benches, draw);
        self.benches = self.benches.saturating_add(1);
        self.take_out(now, wait, true, Reason::Benched);
    }

    fn take_out(&mut self, now: Instant, wait: Duration, benched: bool, reason: Reason) {
        self.window.clear();
        self.consecutive = 0;
        self.probe = None;
        self.outs += 1;
        self.trips += 1;
        self.phase = Phase::Out { since: now, until: now + wait, benched };
        self.reason = Some(reason);
    }

    /// Holds everything back for a while; never shortens a while that was asked for before.
    fn leave_alone(&mut self, now: Instant, wait: Duration, reason: Reason) {
        let until = now + wait;
        let held = self.hold.filter(|(_, held)| now < *held);
        if until <= held.map_or(now, |(_, held)| held) {
            return;
        }
        if held.is_none() {
            self.asks += 1;
            self.cools += 1;
            self.reason = Some(reason);
        }
        self.hold = Some((held.map_or(now, |(since, _)| since), until));
    }

    /// Closes a lane whose ramp has gone well; gives the state that it leaves.
    fn end_ramp(&mut self, now: Instant) -> Option<State> {
        let Phase::Ramp { since } = self.phase else { return None };
        if !self.is_ramp_over(since, now) {
            return None;
        }
        self.phase = Phase::Closed { since: Some(since + self.rules.ramp.min(MAX_WAIT)) };
        (self.level, self.benches) = (0, 0);
        self.reason = Some(Reason::Healthy);
        Some(State::Ramp { since, share: 1.0 })
    }

    fn is_ramp_over(&self, since: Instant, now: Instant) -> bool {
        now.saturating_duration_since(since) >= self.rules.ramp.min(MAX_WAIT)
    }

    fn free(&mut self, pass: &Pass) {
        if let (Kind::Probe(number), Some(probe)) = (pass.kind, self.probe)
            && probe.number == number
        {
            self.probe = None;
        }
    }

    fn transition(&self, from: State, now: Instant) -> Option<Transition> {
        let to = self.state(now);
        (mem::discriminant(&from) != mem::discriminant(&to))
            .then_some(self.reason)
            .flatten()
            .map(|reason| Transition { from, to, reason })
    }
}

//! When a lane is taken out, for how long, and how it comes back.

use std::time::Duration;

/// The longest that any rule or upstream can keep a lane out: what asks for more is cut to this.
pub const MAX_WAIT: Duration = Duration::from_secs(24 * 60 * 60);

/// The rules of one breaker.
#[derive(Clone, Debug, PartialEq)]
pub struct Rules {
    /// How far back the rates look.
    pub window: Duration,
    /// Fewer results than this in the window say nothing about a rate.
    pub least: u32,
    /// The share of failures in the window that takes the lane out; above 1 turns the rule off.
    pub rate: f64,
    /// So many failures in a row take the lane out, however few results there are; 0 turns the rule off.
    pub consecutive: u32,
    /// How long a lane is out the first time; doubled each time that it fails again before it is healthy.
    ///
    /// One second: shorter than the blip of a deployment behind a balancer, so that a pool of one lane is
    /// back soon, and a lane that stays dead has cost six probes in its first minute.
    pub cooldown: Duration,
    /// Where the doubling ends.
    pub longest: Duration,
    /// The first wait after a rate limit that names no time; doubled while nothing succeeds in between.
    pub limited: Duration,
    /// How long a lane is out whose credential or model was refused; doubled like `cooldown`.
    pub bench: Duration,
    /// Where the doubling of `bench` ends.
    pub longest_bench: Duration,
    /// How much of a `retry-after` is obeyed.
    ///
    /// An hour: a wrong value (milliseconds as seconds, a date far off) costs an hour and not a day, and an
    /// honest quota of a day costs one refused request an hour.
    pub obeyed: Duration,
    /// Takes a lane out that answers, but late.
    pub slow: Option<Slow>,
    /// How long a lane that has recovered gets less than its share.
    pub ramp: Duration,
    /// After this long, a probe that has not reported no longer keeps the next one back.
    pub lease: Duration,
}

/// When slowness takes a lane out.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Slow {
    /// A success that took this long is slow.
    pub after: Duration,
    /// The share of slow ones among the results of the window that takes the lane out.
    pub rate: f64,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            window: Duration::from_secs(30),
            least: 10,
            rate: 0.5,
            consecutive: 5,
            cooldown: Duration::from_secs(1),
            longest: Duration::from_secs(60),
            limited: Duration::from_secs(1),
            bench: Duration::from_secs(60),
            longest_bench: Duration::from_secs(60 * 60),
            obeyed: Duration::from_secs(60 * 60),
            slow: None,
            ramp: Duration::from_secs(10),
            lease: Duration::from_secs(60),
        }
    }
}

impl Rules {
    /// Whether a success that took this long is a slow one.
    pub(super) fn is_slow(&self, took: Duration) -> bool {
        self.slow.is_some_and(|slow| took >= slow.after)
    }

    /// As much of an upstream's wish as is obeyed.
    pub(super) fn obey(&self, wish: Duration) -> Duration {
        wish.min(self.obeyed).min(MAX_WAIT)
    }
}

/// `first`, doubled `level` times up to `longest`, give or take a quarter by `draw` (0 to 1).
///
/// Gateways that lost a lane in the same moment do not all come back to it in the same moment.
pub(super) fn stretched(first: Duration, longest: Duration, level: u32, draw: f64) -> Duration {
    let factor = 1_u32.checked_shl(level).unwrap_or(u32::MAX);
    let wait = first.saturating_mul(factor).min(longest).min(MAX_WAIT);
    let draw = if draw.is_nan() { 0.5 } else { draw.clamp(0.0, 1.0) };
    wait.mul_f64(0.75 + draw / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn waits_double_up_to_the_longest() {
        let waits = [0, 1, 2, 5, 6, 31, 32, u32::MAX].map(|level| stretched(SECOND, SECOND * 60, level, 0.5));
        assert_eq!(waits.map(|wait| wait.as_secs()), [1, 2, 4, 32, 60, 60, 60, 60]);
    }

    #[test]
    fn waits_spread_by_a_quarter() {
        let wait = |draw| stretched(SECOND * 4, SECOND * 60, 0, draw).as_secs_f64();
        assert_eq!([wait(0.0), wait(1.0), wait(-7.0), wait(7.0), wait(f64::NAN)], [3.0, 5.0, 3.0, 5.0, 4.0]);
    }

    #[test]
    fn no_wait_is_past_the_bound() {
        assert_eq!(stretched(Duration::MAX, Duration::MAX, 3, 1.0), MAX_WAIT.mul_f64(1.25));
        let rules = Rules { obeyed: Duration::MAX, ..Rules::default() };
        assert_eq!(rules.obey(Duration::MAX), MAX_WAIT);
        assert_eq!(Rules::default().obey(SECOND * 86400), SECOND * 3600);
    }
}

//! The breaker's rules, one by one, each on a clock of its own.

use std::time::{Duration, Instant};

use super::*;

const SECOND: Duration = Duration::from_secs(1);
/// A draw in the middle: waits are exactly as long as the rules say.
const EVEN: f64 = 0.5;
const GOOD: Outcome = Outcome::Success { took: Duration::ZERO };
const BAD: Outcome = Outcome::Failure { retry_after: None };
const LIMITED: Outcome = Outcome::RateLimited { retry_after: None };

/// A breaker with a clock.
struct Lane {
    breaker: Breaker,
    start: Instant,
    now: Instant,
}

impl Lane {
    fn new() -> Self {
        Self::with(Rules::default())
    }

    fn with(rules: Rules) -> Self {
        let start = Instant::now();
        Self { breaker: Breaker::new(rules), start, now: start }
    }

    /// One that failed five times in a row.
    fn tripped() -> Self {
        let mut lane = Self::new();
        assert_eq!(lane.fail(5).unwrap().reason, Reason::Consecutive);
        lane
    }

    fn at(&mut self, seconds: f64) -> &mut Self {
        self.now = self.start + Duration::from_secs_f64(seconds);
        self
    }

    fn admit(&mut self) -> Pass {
        self.breaker.admit(self.now, 0.0).expect("admitted")
    }

    fn give(&mut self, pass: Pass, outcome: Outcome) -> Option<Transition> {
        self.breaker.record(self.now, pass, outcome, EVEN)
    }

    fn serve(&mut self, outcome: Outcome) -> Option<Transition> {
        let pass = self.admit();
        self.give(pass, outcome)
    }

    fn fail(&mut self, times: usize) -> Option<Transition> {
        (0..times).map(|_| self.serve(BAD)).last().flatten()
    }

    fn state(&self) -> &'static str {
        self.breaker.state(self.now).name()
    }

    /// Seconds since the start until which nothing is admitted.
    fn until(&mut self) -> Option<f64> {
        let refused = self.breaker.admit(self.now, 0.0).err()?;
        refused.until.map(|until| until.duration_since(self.start).as_secs_f64())
    }
}

#[test]
fn failures_in_a_row_trip_it() {
    let mut lane = Lane::new();
    lane.fail(4);
    lane.serve(GOOD);
    assert_eq!(lane.fail(4), None);
    let change = lane.fail(1).unwrap();
    assert_eq!((change.from, change.reason), (State::Closed, Reason::Consecutive));
    assert_eq!(change.to, State::Open { until: lane.now + SECOND });
    assert_eq!(lane.until(), Some(1.0));
    assert!(!lane.breaker.would_admit(lane.now));
}

#[test]
fn a_share_of_failures_trips_it_from_the_floor_on() {
    let mut lane = Lane::new();
    for _ in 0..4 {
        assert_eq!(lane.serve(GOOD), None);
        assert_eq!(lane.serve(BAD), None);
    }
    assert_eq!(lane.serve(GOOD), None);
    assert_eq!(lane.serve(BAD).unwrap().reason, Reason::Rate);

    let mut lane = Lane::with(Rules { rate: 2.0, consecutive: 0, ..Rules::default() });
    assert_eq!(lane.fail(1000), None);
}

#[test]
fn failures_that_have_left_the_window_do_not_count() {
    let mut lane = Lane::with(Rules { consecutive: 0, ..Rules::default() });
    lane.fail(9);
    lane.at(33.0);
    assert_eq!(lane.fail(1), None);
    assert_eq!(lane.breaker.snapshot(lane.now).counts.failures, 1);
}

#[test]
fn slow_answers_trip_it() {
    let slow = Slow { after: 5 * SECOND, rate: 0.8 };
    let mut lane = Lane::with(Rules { slow: Some(slow), ..Rules::default() });
    let late = Outcome::Success { took: 5 * SECOND };
    for _ in 0..2 {
        lane.serve(GOOD);
    }
    for _ in 0..7 {
        assert_eq!(lane.serve(late), None);
    }
    assert_eq!(lane.serve(late).unwrap().reason, Reason::Slow);
    // A slow probe is no recovery.
    lane.at(1.0);
    assert_eq!(lane.serve(late).unwrap().reason, Reason::Slow);
    assert_eq!(lane.until(), Some(3.0));
    lane.at(3.0);
    assert_eq!(lane.serve(GOOD).unwrap().reason, Reason::Recovered);
}

#[test]
fn one_probe_at_a_time() {
    let mut lane = Lane::tripped();
    lane.at(0.999);
    assert_eq!((lane.state(), lane.until()), ("open", Some(1.0)));
    lane.at(1.0);
    assert_eq!(lane.state(), "half_open");
    assert!(lane.breaker.would_admit(lane.now));
    let probe = lane.admit();
    assert!(probe.is_probe());
    assert!(!lane.breaker.would_admit(lane.now));
    let refused = lane.breaker.admit(lane.now, 0.0).unwrap_err();
    assert_eq!(refused, Refused { state: State::HalfOpen { probing: true }, until: None });
    let change = lane.give(probe, GOOD).unwrap();
    assert_eq!(
        (change.from.name(), change.to.name(), change.reason.name()),
        ("half_open", "ramp", "probe_succeeded")
    );
}

#[test]
fn each_trip_waits_twice_as_long_until_a_ramp_goes_well() {
    let mut lane = Lane::tripped();
    let mut at = 1.0;
    for wait in [2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0] {
        lane.at(at);
        assert_eq!(lane.serve(BAD).unwrap().reason, Reason::Probe);
        at += wait;
        assert_eq!(lane.until(), Some(at));
    }
    // Back, and out again before the ramp is over: no shorter.
    lane.at(at).serve(GOOD);
    lane.at(at + 5.0).fail(5);
    at += 65.0;
    assert_eq!(lane.until(), Some(at));
    // Back for good.
    lane.at(at).serve(GOOD);
    at += 10.0;
    let change = lane.at(at).serve(GOOD).unwrap();
    assert_eq!((change.from.name(), change.to.name(), change.reason), ("ramp", "closed", Reason::Healthy));
    lane.fail(5);
    assert_eq!(lane.until(), Some(at + 1.0));
    assert_eq!(lane.breaker.snapshot(lane.now).trips, 10);
}

#[test]
fn a_ramp_grows_with_time() {
    let mut lane = Lane::tripped();
    lane.at(1.0).serve(GOOD);
    for (at, share) in [(1.0, RAMP_FLOOR), (1.5, RAMP_FLOOR), (3.0, 0.2), (8.5, 0.75)] {
        lane.at(at);
        let State::Ramp { share: now, .. } = lane.breaker.state(lane.now) else { panic!("no ramp") };
        assert!((now - share).abs() < 1e-9, "{now} at {at}");
        let pass = lane.breaker.admit(lane.now, share - 0.01).unwrap();
        lane.breaker.cancel(pass);
        let refused = lane.breaker.admit(lane.now, share + 0.01).unwrap_err();
        assert_eq!((refused.state.name(), refused.until), ("ramp", None));
    }
    lane.at(11.0);
    assert_eq!(lane.state(), "closed");
    assert!(lane.breaker.admit(lane.now, 1.0).is_ok());
}

#[test]
fn a_probe_that_never_reports_holds_back_for_its_lease() {
    let mut lane = Lane::tripped();
    let lost = lane.at(1.0).admit();
    lane.at(60.9);
    assert!(lane.breaker.admit(lane.now, 0.0).is_err());
    let second = lane.at(61.0).admit();
    assert!(second.is_probe());
    // The lost one does not free the second's place, and what it says counts.
    lane.breaker.cancel(lost);
    assert!(lane.breaker.admit(lane.now, 0.0).is_err());
    let third = lane.at(121.0).admit();
    assert_eq!(lane.give(second, GOOD).unwrap().reason, Reason::Recovered);
    assert_eq!(lane.give(third, GOOD), None);
}

#[test]
fn a_caller_that_leaves_frees_the_probe_and_counts_for_nothing() {
    let mut lane = Lane::tripped();
    let probe = lane.at(1.0).admit();
    lane.breaker.cancel(probe);
    assert_eq!(lane.state(), "half_open");
    let probe = lane.admit();
    assert_eq!(lane.give(probe, Outcome::Neutral), None);
    assert!(lane.admit().is_probe());

    let mut lane = Lane::new();
    for _ in 0..100 {
        let pass = lane.admit();
        lane.breaker.cancel(pass);
        assert_eq!(lane.serve(Outcome::Neutral), None);
    }
    assert_eq!(lane.breaker.snapshot(lane.now), Breaker::new(Rules::default()).snapshot(lane.now));
}

#[test]
fn results_from_before_a_trip_change_nothing() {
    let mut lane = Lane::new();
    let mut early: Vec<Pass> = (0..20).map(|_| lane.admit()).collect();
    lane.fail(5);
    assert_eq!(lane.give(early.pop().unwrap(), GOOD), None);
    assert_eq!(lane.give(early.pop().unwrap(), BAD), None);
    assert_eq!(lane.give(early.pop().unwrap(), Outcome::Benched), None);
    assert_eq!(lane.until(), Some(1.0));
    let probe = lane.at(1.0).admit();
    assert_eq!(lane.give(early.pop().unwrap(), BAD), None);
    assert_eq!(lane.give(early.pop().unwrap(), GOOD), None);
    assert_eq!(lane.state(), "half_open");
    lane.give(probe, GOOD);
    for pass in early {
        assert_eq!(lane.give(pass, BAD), None);
    }
    assert_eq!(lane.state(), "ramp");
}

#[test]
fn retry_after_is_a_floor() {
    let mut lane = Lane::new();
    lane.fail(4);
    lane.serve(Outcome::Failure { retry_after: Some(30 * SECOND) });
    assert_eq!((lane.state(), lane.until()), ("open", Some(30.0)));
    assert_eq!(lane.breaker.snapshot(lane.now).left, Some(30 * SECOND));
    lane.at(29.9);
    assert_eq!(lane.until(), Some(30.0));
    lane.at(30.0);
    assert!(lane.admit().is_probe());

    // Shorter than the breaker's own wait: no ceiling.
    let mut lane = Lane::new();
    lane.fail(4);
    lane.serve(Outcome::Failure { retry_after: Some(SECOND / 10) });
    assert_eq!(lane.until(), Some(1.0));
}

#[test]
fn a_failure_that_names_a_time_is_obeyed_by_a_healthy_lane_too() {
    let mut lane = Lane::new();
    let change = lane.serve(Outcome::Failure { retry_after: Some(3 * SECOND) }).unwrap();
    assert_eq!((change.to.name(), change.reason), ("cooling", Reason::RetryAfter));
    lane.at(3.0);
    assert_eq!(lane.state(), "closed");
    assert_eq!(lane.breaker.snapshot(lane.now).consecutive, 1);
}

#[test]
fn the_later_of_two_times_stands() {
    let mut lane = Lane::new();
    let (slow, slower) = (lane.admit(), lane.admit());
    lane.serve(Outcome::RateLimited { retry_after: Some(SECOND) });
    assert_eq!(lane.until(), Some(1.0));
    lane.give(slow, Outcome::RateLimited { retry_after: Some(60 * SECOND) });
    lane.give(slower, Outcome::RateLimited { retry_after: Some(2 * SECOND) });
    assert_eq!(lane.until(), Some(60.0));
}

#[test]
fn a_time_out_of_all_reason_is_cut() {
    let mut lane = Lane::new();
    lane.serve(Outcome::RateLimited { retry_after: Some(Duration::MAX) });
    assert_eq!(lane.until(), Some(3600.0));
}

#[test]
fn rate_limits_cool_and_do_not_count() {
    let mut lane = Lane::new();
    let mut at = 0.0;
    for wait in [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0] {
        lane.at(at);
        let change = lane.serve(LIMITED).unwrap();
        assert_eq!((change.to.name(), change.reason.name()), ("cooling", "rate_limited"));
        at += wait;
        assert_eq!(lane.until(), Some(at));
    }
    lane.at(at);
    assert_eq!(lane.state(), "closed");
    let seen = lane.breaker.snapshot(lane.now);
    assert_eq!((seen.trips, seen.cools, seen.consecutive, seen.counts.total()), (0, 8, 0, 0));
    lane.serve(GOOD);
    lane.serve(Outcome::RateLimited { retry_after: Some(Duration::ZERO) });
    assert_eq!(lane.until(), Some(at + 1.0));
}

#[test]
fn a_burst_of_rate_limits_is_one() {
    let mut lane = Lane::new();
    let burst: Vec<Pass> = (0..50).map(|_| lane.admit()).collect();
    for pass in burst {
        lane.give(pass, LIMITED);
    }
    assert_eq!(lane.until(), Some(1.0));
    lane.at(1.0).serve(LIMITED);
    assert_eq!(lane.until(), Some(3.0));
}

#[test]
fn a_probe_that_meets_a_rate_limit_is_made_up_for() {
    let mut lane = Lane::tripped();
    let change = lane.at(1.0).serve(Outcome::RateLimited { retry_after: Some(5 * SECOND) }).unwrap();
    assert_eq!((change.from.name(), change.to.name()), ("half_open", "cooling"));
    assert_eq!(lane.until(), Some(6.0));
    lane.at(6.0);
    assert!(lane.admit().is_probe());
    assert_eq!(lane.breaker.snapshot(lane.now).trips, 1);
}

#[test]
fn a_refused_credential_benches_at_once() {
    let mut lane = Lane::new();
    let late = lane.admit();
    let change = lane.serve(Outcome::Benched).unwrap();
    assert_eq!((change.to.name(), change.reason.name()), ("benched", "refused"));
    assert_eq!(lane.give(late, Outcome::Benched), None);
    assert_eq!(lane.until(), Some(60.0));
    lane.at(60.0).serve(Outcome::Benched);
    assert_eq!(lane.until(), Some(180.0));
    lane.at(180.0).serve(GOOD);
    assert_eq!(lane.state(), "ramp");
    lane.at(190.0).serve(GOOD);
    lane.serve(Outcome::Benched);
    assert_eq!(lane.until(), Some(250.0));
    lane.breaker.reset(lane.now);
    assert_eq!((lane.state(), lane.breaker.snapshot(lane.now).reason), ("closed", Some(Reason::Reset)));
}

#[test]
fn a_lane_that_is_tried_anyway_comes_back_early() {
    let mut lane = Lane::tripped();
    let pass = lane.breaker.admit_anyway(lane.now);
    assert!(!pass.is_probe());
    assert_eq!(lane.give(pass, BAD), None);
    assert_eq!(lane.until(), Some(1.0));
    let pass = lane.breaker.admit_anyway(lane.now);
    assert_eq!(lane.give(pass, GOOD).unwrap().from.name(), "open");
    assert_eq!(lane.state(), "ramp");

    // Where a probe may go, it is the probe; the next is not.
    let mut lane = Lane::tripped();
    lane.at(1.0);
    let (probe, other) = (lane.breaker.admit_anyway(lane.now), lane.breaker.admit_anyway(lane.now));
    assert!(probe.is_probe() && !other.is_probe());
    assert_eq!(lane.give(other, BAD), None);
    assert_eq!(lane.give(probe, BAD).unwrap().reason, Reason::Probe);
}

#[test]
fn a_cooling_lane_that_is_tried_anyway_is_judged_as_ever() {
    let mut lane = Lane::new();
    lane.serve(Outcome::RateLimited { retry_after: Some(30 * SECOND) });
    for _ in 0..5 {
        let pass = lane.breaker.admit_anyway(lane.now);
        lane.give(pass, BAD);
    }
    assert_eq!((lane.state(), lane.until()), ("open", Some(30.0)));
}

#[test]
fn other_rules_keep_what_is_known() {
    let mut lane = Lane::tripped();
    lane.breaker.adopt(Rules { cooldown: 20 * SECOND, consecutive: 2, ..Rules::default() });
    assert_eq!(lane.until(), Some(1.0));
    lane.at(1.0).serve(BAD);
    assert_eq!(lane.until(), Some(41.0));
    lane.at(41.0).serve(GOOD);
    lane.at(42.0).fail(1);
    lane.breaker.adopt(Rules { consecutive: 3, window: 60 * SECOND, ..Rules::default() });
    assert_eq!(lane.breaker.snapshot(lane.now).counts.failures, 1);
    lane.fail(1);
    assert_eq!(lane.fail(1).unwrap().reason, Reason::Consecutive);
}

#[test]
fn a_snapshot_says_since_when() {
    let mut lane = Lane::new();
    assert_eq!(lane.breaker.snapshot(lane.now).age, None);
    let age = |lane: &Lane| lane.breaker.snapshot(lane.now).age.map(|age| age.as_secs_f64());
    lane.at(2.0).fail(5);
    lane.at(2.5);
    assert_eq!((lane.state(), age(&lane)), ("open", Some(0.5)));
    lane.at(4.0);
    assert_eq!((lane.state(), age(&lane)), ("half_open", Some(1.0)));
    lane.serve(GOOD);
    lane.at(7.0);
    assert_eq!((lane.state(), age(&lane)), ("ramp", Some(3.0)));
    lane.at(16.0);
    assert_eq!((lane.state(), age(&lane)), ("closed", Some(2.0)));
    lane.serve(Outcome::RateLimited { retry_after: Some(3 * SECOND) });
    lane.at(17.0);
    assert_eq!((lane.state(), age(&lane)), ("cooling", Some(1.0)));
    let seen = lane.breaker.snapshot(lane.now);
    assert_eq!((seen.left, seen.cools, seen.trips), (Some(2 * SECOND), 1, 1));
}

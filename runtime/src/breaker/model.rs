//! The breaker against a naive one that keeps everything it was ever told, in whole milliseconds.

use std::time::{Duration, Instant};

use proptest::prelude::*;
use proptest::sample::select;

use super::*;

const SLOW: u64 = 5_000;

/// Rules with few results, so that short runs reach every state.
fn rules() -> Rules {
    Rules {
        window: Duration::from_secs(10),
        least: 4,
        consecutive: 3,
        slow: Some(Slow { after: Duration::from_millis(SLOW), rate: 0.75 }),
        lease: Duration::from_secs(8),
        ..Rules::default()
    }
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Wait(u64),
    Admit {
        draw: f64,
        anyway: bool,
    },
    Record {
        which: usize,
        outcome: Outcome,
        draw: f64,
    },
    Cancel(usize),
    /// A pass is never given back.
    Lose(usize),
    Adopt,
    Reset,
}

/// A pass, as the naive one sees it: when it was admitted, in steps, and what as.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Ticket {
    step: usize,
    at: u64,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Place {
    In,
    Out { until: u64, benched: bool },
    Ramp { since: u64 },
}

#[derive(Debug)]
struct Naive {
    place: Place,
    /// Results since the last move between in and out: when, failed, slow.
    results: Vec<(u64, bool, bool)>,
    holds: Vec<u64>,
    /// The steps in which it was taken out or reset, and in which a hold began.
    outs: Vec<usize>,
    asks: Vec<usize>,
    probes: Vec<Ticket>,
    trips_in_row: u32,
    benches_in_row: u32,
    limits_in_row: u32,
    trips: u64,
}

impl Naive {
    fn hold(&self, now: u64) -> Option<u64> {
        self.holds.iter().copied().filter(|until| *until > now).max()
    }

    fn name(&self, now: u64) -> &'static str {
        match self.place {
            Place::Out { until, benched: true } if now < until => "benched",
            Place::Out { until, benched: false } if now < until => "open",
            _ if self.hold(now).is_some() => "cooling",
            Place::Out { .. } => "half_open",
            Place::Ramp { since } if now < since + 10_000 => "ramp",
            Place::In | Place::Ramp { .. } => "closed",
        }
    }

    /// What a request would be admitted as.
    fn admits(&self, now: u64, draw: f64) -> Option<&'static str> {
        match (self.name(now), self.place) {
            ("closed", _) => Some("ordinary"),
            ("ramp", Place::Ramp { since }) => {
                (draw < ((now - since) as f64 / 10_000.0).max(0.1)).then_some("ordinary")
            }
            ("half_open", _) => self.probes.iter().all(|probe| now >= probe.at + 8_000).then_some("probe"),
            _ => None,
        }
    }

    fn record(&mut self, now: u64, step: usize, ticket: Ticket, outcome: Outcome, draw: f64) {
        if matches!(self.place, Place::Ramp { since } if now >= since + 10_000) {
            self.place = Place::In;
            (self.trips_in_row, self.benches_in_row) = (0, 0);
        }
        self.probes.retain(|probe| *probe != ticket);
        let late = self.outs.iter().any(|out| *out >= ticket.step);
        let unaware = self.asks.iter().any(|ask| *ask >= ticket.step);
        let out = matches!(self.place, Place::Out { .. });
        let hint = out && ticket.kind == Kind::Forced;
        let scale = |base: u64, level: u32, most: u64| {
            let wait = (0..level).fold(base, |wait, _| (wait * 2).min(most));
            (wait as f64 * (0.75 + draw / 2.0)) as u64
        };
        match outcome {
            Outcome::Success { took } => {
                let slow = took.as_millis() as u64 >= SLOW;
                if !unaware {
                    self.limits_in_row = 0;
                }
                match (late, out) {
                    (true, _) => {}
                    (false, true) if !slow => {
                        self.place = Place::Ramp { since: now };
                        self.results.clear();
                        self.probes.clear();
                    }
                    (false, true) if hint => {}
                    (false, true) => self.trip(now, step, scale(1_000, self.trips_in_row, 60_000)),
                    (false, false) => {
                        self.results.push((now, false, slow));
                        let (all, _, slows) = self.window(now);
                        if slow && all >= 4 && slows * 4 >= all * 3 {
                            self.trip(now, step, scale(1_000, self.trips_in_row, 60_000));
                        }
                    }
                }
            }
            Outcome::Failure { retry_after } => {
                if let Some(wish) = retry_after {
                    self.ask(now, step, wish.as_millis() as u64);
                }
                if late || hint {
                    return;
                }
                self.results.push((now, true, false));
                let (all, failed, _) = self.window(now);
                let row = self.results.iter().rev().take_while(|(_, failed, _)| *failed).count();
                if out || row >= 3 || (all >= 4 && failed * 2 >= all) {
                    self.trip(now, step, scale(1_000, self.trips_in_row, 60_000));
                }
            }
            Outcome::RateLimited { retry_after: Some(wish) } => {
                self.ask(now, step, wish.as_millis() as u64);
            }
            Outcome::RateLimited { retry_after: None } if !unaware => {
                self.ask(now, step, scale(1_000, self.limits_in_row, 60_000));
                self.limits_in_row += 1;
            }
            Outcome::Benched if !late && !hint => {
                let wait = scale(60_000, self.benches_in_row, 3_600_000);
                self.benches_in_row += 1;
                self.take_out(now, step, wait, true);
            }
            Outcome::RateLimited { .. } | Outcome::Benched | Outcome::Neutral => {}
        }
    }

    fn ask(&mut self, now: u64, step: usize, wait: u64) {
        if self.hold(now).is_none() {
            self.asks.push(step);
        }
        self.holds.push(now + wait);
    }

    fn trip(&mut self, now: u64, step: usize, wait: u64) {
        self.trips_in_row += 1;
        self.take_out(now, step, wait, false);
    }

    fn take_out(&mut self, now: u64, step: usize, wait: u64, benched: bool) {
        self.place = Place::Out { until: now + wait, benched };
        self.trips += 1;
        self.outs.push(step);
        self.results.clear();
        self.probes.clear();
    }

    /// All, failed and slow results of the last ten parts of the window.
    fn window(&self, now: u64) -> (usize, usize, usize) {
        let Some((first, ..)) = self.results.first() else { return (0, 0, 0) };
        let part = |at: u64| (at - first) / 1_000;
        let seen: Vec<_> = self.results.iter().filter(|(at, ..)| part(*at) + 10 > part(now)).collect();
        (
            seen.len(),
            seen.iter().filter(|(_, failed, _)| *failed).count(),
            seen.iter().filter(|(.., slow)| *slow).count(),
        )
    }
}

fn outcome() -> impl Strategy<Value = Outcome> {
    let retry_after =
        || prop_oneof![3 => Just(None), 1 => (1_u64..40_000).prop_map(|ms| Some(Duration::from_millis(ms)))];
    prop_oneof![
        6 => (0..7_000_u64).prop_map(|ms| Outcome::Success { took: Duration::from_millis(ms) }),
        6 => retry_after().prop_map(|retry_after| Outcome::Failure { retry_after }),
        2 => retry_after().prop_map(|retry_after| Outcome::RateLimited { retry_after }),
        1 => Just(Outcome::Benched),
        1 => Just(Outcome::Neutral),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let draw = || select(vec![0.0, 0.5, 1.0]);
    prop_oneof![
        6 => (0_u64..1_500).prop_map(Step::Wait),
        3 => (0_u64..70_000).prop_map(Step::Wait),
        24 => (0.0..1.0).prop_map(|draw| Step::Admit { draw, anyway: false }),
        3 => (0.0..1.0).prop_map(|draw| Step::Admit { draw, anyway: true }),
        24 => (0_usize..64, outcome(), draw())
            .prop_map(|(which, outcome, draw)| Step::Record { which, outcome, draw }),
        2 => (0_usize..64).prop_map(Step::Cancel),
        2 => (0_usize..64).prop_map(Step::Lose),
        1 => Just(Step::Adopt),
        1 => Just(Step::Reset),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn it_does_what_the_naive_one_does(steps in proptest::collection::vec(step(), 0..120)) {
        let start = Instant::now();
        let mut breaker = Breaker::new(rules());
        let mut naive = Naive {
            place: Place::In,
            results: Vec::new(),
            holds: Vec::new(),
            outs: Vec::new(),
            asks: Vec::new(),
            probes: Vec::new(),
            trips_in_row: 0,
            benches_in_row: 0,
            limits_in_row: 0,
            trips: 0,
        };
        let mut passes: Vec<(Pass, Ticket)> = Vec::new();
        let mut now = 0;
        for (number, step) in steps.into_iter().enumerate() {
            let at = start + Duration::from_millis(now);
            match step {
                Step::Wait(ms) => now += ms,
                Step::Admit { draw, anyway } => {
                    let state = breaker.state(at);
                    let expected = naive.admits(now, if anyway { 0.0 } else { draw });
                    let given = if anyway { Ok(breaker.admit_anyway(at)) } else { breaker.admit(at, draw) };
                    match (given, expected) {
                        (Ok(pass), Some(kind)) => {
                            prop_assert_eq!(pass.is_probe(), kind == "probe");
                            // Open admits nobody early, and of a ramp its share at most.
                            prop_assert!(state.until().is_none_or(|until| at >= until));
                            if let State::Ramp { share, .. } = state {
                                prop_assert!(anyway || draw < share);
                            }
                            let ticket = Ticket { step: number, at: now, kind: pass.kind };
                            if pass.is_probe() {
                                naive.probes.push(ticket);
                            }
                            passes.push((pass, ticket));
                        }
                        (Ok(pass), None) => {
                            prop_assert!(anyway && !pass.is_probe());
                            let ticket = Ticket { step: number, at: now, kind: pass.kind };
                            passes.push((pass, ticket));
                        }
                        (Err(refused), expected) => {
                            prop_assert_eq!(expected, None);
                            prop_assert!(!anyway);
                            prop_assert_eq!(refused.until, state.until());
                            prop_assert!(refused.until.is_none_or(|until| until > at));
                        }
                    }
                }
                Step::Record { which, outcome, draw } if !passes.is_empty() => {
                    let (pass, ticket) = passes.swap_remove(which % passes.len());
                    let before = breaker.state(at).name();
                    let ramping = matches!(naive.place, Place::Ramp { .. });
                    let change = breaker.record(at, pass, outcome, draw);
                    naive.record(now, number, ticket, outcome, draw);
                    // A change is told exactly when there is one, a ramp's end late.
                    let after = breaker.state(at).name();
                    let ended = ramping && before == "closed";
                    prop_assert_eq!(change.is_some(), before != after || ended);
                    if let Some(change) = change {
                        prop_assert_eq!(change.from.name(), if ended { "ramp" } else { before });
                        prop_assert_eq!(change.to.name(), after);
                    }
                }
                Step::Cancel(which) if !passes.is_empty() => {
                    let (pass, ticket) = passes.swap_remove(which % passes.len());
                    breaker.cancel(pass);
                    naive.probes.retain(|probe| *probe != ticket);
                }
                Step::Lose(which) if !passes.is_empty() => {
                    let _ = passes.swap_remove(which % passes.len());
                }
                Step::Adopt => breaker.adopt(rules()),
                Step::Reset => {
                    breaker.reset(at);
                    naive.place = Place::In;
                    naive.results.clear();
                    naive.holds.clear();
                    naive.probes.clear();
                    naive.outs.push(number);
                    naive.asks.push(number);
                    (naive.trips_in_row, naive.benches_in_row, naive.limits_in_row) = (0, 0, 0);
                }
                Step::Record { .. } | Step::Cancel(_) | Step::Lose(_) => {}
            }
            let at = start + Duration::from_millis(now);
            let seen = breaker.snapshot(at);
            prop_assert_eq!(seen.state.name(), naive.name(now));
            let (all, failed, slow) = naive.window(now);
            prop_assert_eq!(seen.counts.total() as usize, all);
            prop_assert_eq!(seen.counts.failures as usize, failed);
            prop_assert_eq!(seen.counts.slow as usize, slow);
            prop_assert_eq!(seen.trips, naive.trips);
            prop_assert_eq!(breaker.would_admit(at), naive.admits(now, 0.0).is_some());
            // Never more than one probe that has neither reported nor run out of its lease.
            let out = passes.iter().filter(|(pass, ticket)| {
                pass.is_probe() && pass.outs == breaker.outs && now < ticket.at + 8_000
            });
            let half_open = matches!(breaker.phase, Phase::Out { .. });
            prop_assert!(!half_open || out.count() <= 1);
        }
    }

}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(50))]

    /// Requests walk a pool in order; whatever its first lanes do, the healthy last one serves each of them.
    #[test]
    fn a_storm_starves_no_healthy_lane(
        storm in proptest::collection::vec((0_u64..2_000, outcome(), outcome(), 0.0..1.0), 1..200),
    ) {
        let start = Instant::now();
        let mut lanes: Vec<Breaker> = (0..3).map(|_| Breaker::new(Rules::default())).collect();
        let (mut now, mut served, mut tries) = (0, 0, 0);
        for (wait, first, second, draw) in &storm {
            now += wait;
            let at = start + Duration::from_millis(now);
            let good = Outcome::Success { took: Duration::ZERO };
            for (lane, outcome) in lanes.iter_mut().zip([*first, *second, good]) {
                let Ok(pass) = lane.admit(at, *draw) else { continue };
                tries += 1;
                lane.record(at, pass, outcome, *draw);
                if matches!(outcome, Outcome::Success { .. }) {
                    served += 1;
                    break;
                }
            }
        }
        prop_assert_eq!(served, storm.len());
        prop_assert!(tries <= 3 * storm.len());
        let healthy = lanes[2].snapshot(start + Duration::from_millis(now));
        prop_assert_eq!((healthy.state, healthy.trips), (State::Closed, 0));
    }

    /// A dead lane costs the trips' failures and then a probe for each wait, however many requests come.
    #[test]
    fn a_dead_lane_costs_little(gaps in proptest::collection::vec(0_u64..200, 1000..1001), draw in 0.0..1.0) {
        let start = Instant::now();
        let mut lane = Breaker::new(Rules::default());
        let (mut now, mut tries) = (0, 0);
        for gap in gaps {
            now += gap;
            let at = start + Duration::from_millis(now);
            if let Ok(pass) = lane.admit(at, draw) {
                tries += 1;
                lane.record(at, pass, Outcome::Failure { retry_after: None }, draw);
            }
        }
        // Waits of at least 0.75, 1.5, 3, 6, 12, 24, 45, 45 ... seconds in some 100 seconds.
        prop_assert!(tries <= 5 + 9, "{tries} in {now} ms");
    }

    /// Of the requests on a ramp about as many are admitted as the share says, from a tenth to all.
    #[test]
    fn a_ramp_lets_through_what_it_says(draws in proptest::collection::vec(0.0..1.0, 2000..2001)) {
        let start = Instant::now();
        let mut lane = Breaker::new(Rules { consecutive: 1, ..Rules::default() });
        let pass = lane.admit(start, 0.0).expect("closed");
        lane.record(start, pass, Outcome::Failure { retry_after: None }, 0.5);
        let back = start + Duration::from_secs(1);
        let pass = lane.admit(back, 0.0).expect("half-open");
        lane.record(back, pass, Outcome::Success { took: Duration::ZERO }, 0.5);
        let mut admitted = [0_u32; 10];
        for (number, draw) in draws.iter().enumerate() {
            let at = back + Duration::from_millis(5 * number as u64);
            if let Ok(pass) = lane.admit(at, *draw) {
                lane.cancel(pass);
                admitted[number / 200] += 1;
            }
        }
        for (second, admitted) in admitted.into_iter().enumerate() {
            let share = f64::from(admitted) / 200.0;
            let expected = ((second as f64 + 0.5) / 10.0).max(RAMP_FLOOR);
            prop_assert!((share - expected).abs() < 0.2, "{share} in second {second}");
        }
    }
}

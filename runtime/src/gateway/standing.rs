//! How each lane stands: what is known of it from the requests that it served, shared by all workers.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use http::HeaderMap;
use serde::Serialize;
use tokio::sync::oneshot;

use super::caller::Caller;
use crate::breaker::{self, Breaker, Outcome, Pass, Refused, Rules, Slow, State, Transition};
use crate::config::{self, Member, Settings, Span, raw};
use crate::count::Size;
use crate::fault::{Fault, Penalty};
use crate::observe::metrics;
use crate::route::Choice;
use crate::route::headroom::{self, Quotas};
use crate::route::policy::{Availability, Candidate, Ewma};
use crate::route::queue::{Bounds, Entered, Queue};
use crate::translate::Repair;

/// In this time what is known of a lane's pace fades to a third.
const FADE: Duration = Duration::from_secs(60);
/// The share of slow answers that takes a lane out, where only what is slow is said.
const SLOW_RATE: f64 = 0.5;
/// Most fields that a lane is known not to take; each has a kind of its own otherwise.
const MAX_DROPPED: usize = 32;

/// Every lane and every credential.
#[derive(Debug)]
pub(crate) struct Standing {
    lanes: Vec<Arc<Lane>>,
    /// One for each provider: what a refused key means to all its lanes.
    keys: Vec<Arc<Key>>,
}

/// One lane.
#[derive(Debug)]
pub(crate) struct Lane {
    name: String,
    /// What it is: with another model or provider behind its name it is another lane.
    identity: (String, String),
    seats: Mutex<Seats>,
    judged: Mutex<Judged>,
    /// What its provider has said is to be put otherwise; the latest word of each kind.
    learnt: Mutex<Vec<Repair>>,
    /// Whether anything has been, so that nobody waits to find out that nothing has.
    has_learnt: AtomicBool,
}

/// The requests that run on a lane, and those that wait to.
#[derive(Debug)]
struct Seats {
    queue: Queue<Caller>,
    /// Who waits for which number; dropped, a place is lost to another.
    wakers: HashMap<u64, oneshot::Sender<()>>,
}

#[derive(Debug)]
struct Judged {
    breaker: Breaker,
    /// Seconds to the first content.
    first_content: Ewma,
    /// What its provider says is left.
    quotas: Quotas,
}

#[derive(Debug)]
struct Key {
    provider: String,
    breaker: Mutex<Breaker>,
}

/// A lane as operators see it.
#[derive(Debug, Serialize)]
pub(super) struct Shown<'a> {
    lane: &'a str,
    provider: &'a str,
    upstream_model: &'a str,
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    since_s: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    admits_in_s: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    in_flight: usize,
    waiting: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_concurrent: Option<usize>,
    successes: u32,
    failures: u32,
    slow: u32,
    consecutive_failures: u32,
    trips: u64,
    rate_limits: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    first_content_s: Option<f64>,
    /// The share of the scarcest quota of its provider that is left, 0 to 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    quota_left: Option<f64>,
    credential: &'static str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    learnt: Vec<&'static str>,
}

impl Standing {
    /// How the lanes of these settings stand; what was known of them stays known.
    pub(super) fn new(settings: &Settings, before: Option<&Standing>) -> Self {
        let lanes = settings.lanes.iter().map(|lane| {
            let provider = &settings.providers[lane.provider].name;
            let identity = (provider.clone(), lane.upstream_model.clone());
            let known = before.and_then(|before| {
                before.lanes.iter().find(|known| known.name == lane.name && known.identity == identity)
            });
            if let Some(known) = known {
                known.judged().breaker.adopt(rules(&lane.breaker));
                let mut seats = lock(&known.seats);
                let served = seats.queue.adopt(Instant::now(), bounds(lane));
                seats.wake(&served);
                drop(seats);
                return Arc::clone(known);
            }
            Arc::new(Lane {
                name: lane.name.clone(),
                identity,
                seats: Mutex::new(Seats { queue: Queue::new(bounds(lane)), wakers: HashMap::new() }),
                judged: Mutex::new(Judged {
                    breaker: Breaker::new(rules(&lane.breaker)),
                    first_content: Ewma::new(FADE),
                    quotas: Quotas::default(),
                }),
                learnt: Mutex::new(Vec::new()),
                has_learnt: AtomicBool::new(false),
            })
        });
        // A credential may have been changed: whether it is refused is found out anew.
        let keys = settings.providers.iter().map(|provider| {
            let rules = Rules { consecutive: 0, rate: f64::INFINITY, ..rules(&settings.breaker) };
            Arc::new(Key { provider: provider.name.clone(), breaker: Mutex::new(Breaker::new(rules)) })
        });
        Self { lanes: lanes.collect(), keys: keys.collect() }
    }

    /// A lane.
    pub(super) fn lane(&self, lane: usize) -> &Arc<Lane> {
        &self.lanes[lane]
    }

    /// Where a lane stands, its credential included.
    pub(super) fn state(&self, choice: &Choice<'_>, now: Instant) -> State {
        let key = lock(&self.keys[choice.provider].breaker).state(now);
        match (key, choice.lane) {
            (State::Closed, Some(lane)) => self.lanes[lane].judged().breaker.state(now),
            (key, _) => key,
        }
    }

    /// What a policy knows of a lane of a pool.
    ///
    /// What the request itself says of it, its cost and whether it fits, is known where its size is.
    pub(super) fn candidate(
        &self,
        settings: &Settings,
        member: Member,
        size: Option<Size>,
        now: Instant,
    ) -> Candidate {
        let lane = &settings.lanes[member.lane];
        let known = &self.lanes[member.lane];
        let key = lock(&self.keys[lane.provider].breaker).would_admit(now);
        let judged = known.judged();
        let availability = match judged.breaker.state(now) {
            _ if !key => Availability::Out,
            State::Closed => Availability::Available,
            State::Ramp { .. } | State::HalfOpen { probing: false } => Availability::Ramping,
            _ => Availability::Out,
        };
        Candidate {
            weight: member.weight,
            tier: member.tier,
            availability,
            in_flight: count(lock(&known.seats).queue.served()),
            limit: lane.max_concurrent.map(count),
            fits: size.zip(lane.facts.context_window).is_none_or(|(size, window)| size.fits(window)),
            price: size.zip(lane.facts.price.as_ref()).map(|(size, price)| size.cost(price)),
            first_token: judged.first_content.average(now),
            headroom: judged.quotas.left(now).map(|left| left.share_left),
        }
    }

    /// The right to send one request to a lane.
    ///
    /// With `anyway` it is given whatever is known: for want of a better lane.
    ///
    /// # Errors
    /// [`Refused`], when the lane or its credential is out.
    pub(super) fn admit(&self, choice: &Choice<'_>, anyway: bool) -> Result<Permit, Refused> {
        let now = Instant::now();
        let key = &self.keys[choice.provider];
        let pass = take(&mut lock(&key.breaker), now, anyway)?;
        let mut permit = Permit { key: Some((Arc::clone(key), pass)), lane: None };
        if let Some(lane) = choice.lane {
            let lane = &self.lanes[lane];
            let pass = take(&mut lane.judged().breaker, now, anyway)?;
            permit.lane = Some((Arc::clone(lane), pass));
        }
        Ok(permit)
    }

    /// A lane answered: what it says is left of its quotas.
    pub(super) fn heard(&self, lane: usize, headers: &HeaderMap) {
        if headroom::is_told(headers) {
            self.lanes[lane].judged().quotas.update(headers, Instant::now(), SystemTime::now());
        }
    }

    /// An answer that had begun broke off by the provider's doing.
    pub(super) fn cut(&self, lane: usize) {
        let now = Instant::now();
        let lane = &self.lanes[lane];
        let mut judged = lane.judged();
        let pass = judged.breaker.admit_anyway(now);
        let change =
            judged.breaker.record(now, pass, Outcome::Failure { retry_after: None }, fastrand::f64());
        drop(judged);
        lane.tell(change);
    }

    /// Every lane's name, and the name of its breaker's state.
    pub(super) fn states(&self) -> impl Iterator<Item = (&str, &'static str)> {
        let now = Instant::now();
        self.lanes.iter().map(move |lane| (lane.name.as_str(), lane.judged().breaker.state(now).name()))
    }

    /// Every lane, for operators.
    pub(super) fn shown<'a>(&'a self, settings: &'a Settings) -> impl Iterator<Item = Shown<'a>> {
        let now = Instant::now();
        settings.lanes.iter().zip(&self.lanes).map(move |(lane, known)| {
            let (in_flight, waiting) = known.seated();
            let judged = known.judged();
            let breaker::Snapshot { state, age, left, counts, consecutive, trips, cools, reason } =
                judged.breaker.snapshot(now);
            Shown {
                lane: &lane.name,
                provider: &settings.providers[lane.provider].name,
                upstream_model: &lane.upstream_model,
                state: state.name(),
                since_s: age.map(|age| age.as_secs_f64()),
                admits_in_s: left.map(|left| left.as_secs_f64()),
                reason: reason.map(breaker::Reason::name),
                in_flight,
                waiting,
                max_concurrent: lane.max_concurrent,
                successes: counts.successes,
                failures: counts.failures,
                slow: counts.slow,
                consecutive_failures: consecutive,
                trips,
                rate_limits: cools,
                quota_left: judged.quotas.left(now).map(|left| left.share_left),
                first_content_s: judged.first_content.average(now).map(|average| average.value),
                credential: lock(&self.keys[lane.provider].breaker).state(now).name(),
                learnt: lock(&known.learnt).iter().map(Repair::name).collect(),
            }
        })
    }
}

impl Lane {
    fn judged(&self) -> MutexGuard<'_, Judged> {
        lock(&self.judged)
    }

    /// How many requests run here, and how many wait for a place.
    pub(super) fn seated(&self) -> (usize, usize) {
        let seats = lock(&self.seats);
        (seats.queue.served(), seats.queue.waiting())
    }

    /// A place among the requests that run here, if one is free.
    pub(super) fn try_sit(self: &Arc<Self>) -> Option<Seat> {
        let number = lock(&self.seats).queue.try_enter()?;
        Some(Seat { lane: Arc::clone(self), number })
    }

    /// A place among the requests that run here, waited for in turn; none where too many wait or it takes too long.
    pub(super) async fn sit(self: &Arc<Self>, caller: Caller, by: Instant) -> Option<Seat> {
        let (waker, woken) = oneshot::channel();
        let (seat, until) = {
            let mut seats = lock(&self.seats);
            match seats.queue.enter(Instant::now(), &caller) {
                Entered::Served(number) => return Some(Seat { lane: Arc::clone(self), number }),
                Entered::Full => return None,
                Entered::Waits { number, until, ousted } => {
                    if let Some(ousted) = ousted {
                        seats.wakers.remove(&ousted);
                    }
                    seats.wakers.insert(number, waker);
                    // Whatever comes of the wait, dropping this gives the number back.
                    (Seat { lane: Arc::clone(self), number }, until.min(by))
                }
            }
        };
        match tokio::time::timeout_at(until.into(), woken).await {
            Ok(Ok(())) => Some(seat),
            Ok(Err(_)) | Err(_) => None,
        }
    }

    /// What is to be put otherwise than the configuration says.
    pub(super) fn learnt(&self) -> Vec<Repair> {
        if self.has_learnt.load(Ordering::Relaxed) { lock(&self.learnt).clone() } else { Vec::new() }
    }

    /// Remembers what put a request right.
    pub(super) fn learn(&self, repair: Repair) {
        let mut learnt = lock(&self.learnt);
        if let (Repair::DropParameters(paths), Some(Repair::DropParameters(known))) =
            (&repair, learnt.iter_mut().find(|known| matches!(known, Repair::DropParameters(_))))
        {
            let new: Vec<_> = paths.iter().filter(|path| !known.contains(path)).cloned().collect();
            known.extend(new.into_iter().take(MAX_DROPPED.saturating_sub(known.len())));
        } else {
            learnt.retain(|known| known.name() != repair.name());
            learnt.push(repair);
        }
        self.has_learnt.store(true, Ordering::Relaxed);
    }

    fn tell(&self, change: Option<Transition>) {
        let Some(Transition { from, to, reason }) = change else { return };
        metrics::count_transition(&self.name, to.name(), reason.name());
        tracing::warn!(
            lane = self.name,
            from = from.name(),
            to = to.name(),
            reason = reason.name(),
            "a lane's breaker changed"
        );
    }
}

impl Seats {
    fn wake(&mut self, served: &[u64]) {
        for number in served {
            if let Some(waker) = self.wakers.remove(number) {
                // Who has left in this moment gives the number back by dropping its seat.
                let _ = waker.send(());
            }
        }
    }
}

/// A place among the requests that run on a lane; given back when it is dropped.
#[derive(Debug)]
pub(super) struct Seat {
    lane: Arc<Lane>,
    number: u64,
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut seats = lock(&self.lane.seats);
        seats.wakers.remove(&self.number);
        let served = seats.queue.leave(Instant::now(), self.number);
        seats.wake(&served);
    }
}

/// The right to send one request; dropping it says nothing of the lane, as when the caller has left.
#[derive(Debug)]
#[must_use]
pub(super) struct Permit {
    key: Option<(Arc<Key>, Pass)>,
    lane: Option<(Arc<Lane>, Pass)>,
}

impl Permit {
    /// The lane began to answer, after this time.
    pub(super) fn succeeded(mut self, took: Duration) {
        let now = Instant::now();
        if let Some((lane, pass)) = self.lane.take() {
            let mut judged = lane.judged();
            judged.first_content.add(now, took.as_secs_f64());
            let change = judged.breaker.record(now, pass, Outcome::Success { took }, fastrand::f64());
            drop(judged);
            lane.tell(change);
        }
        self.judge_key(now, Outcome::Success { took });
    }

    /// The lane did not answer.
    pub(super) fn failed(mut self, fault: &Fault) {
        let now = Instant::now();
        let verdict = fault.verdict();
        let outcome = match verdict.penalty {
            _ if verdict.benches => Outcome::Benched,
            Penalty::RateLimit => Outcome::RateLimited { retry_after: fault.retry_after },
            Penalty::Failure => Outcome::Failure { retry_after: fault.retry_after },
            Penalty::None => Outcome::Neutral,
        };
        let (of_lane, of_key) = match verdict.credential {
            true => (Outcome::Neutral, outcome),
            false => (outcome, Outcome::Neutral),
        };
        if let Some((lane, pass)) = self.lane.take() {
            let change = lane.judged().breaker.record(now, pass, of_lane, fastrand::f64());
            lane.tell(change);
        }
        self.judge_key(now, of_key);
    }

    fn judge_key(&mut self, now: Instant, outcome: Outcome) {
        let Some((key, pass)) = self.key.take() else { return };
        let change = lock(&key.breaker).record(now, pass, outcome, fastrand::f64());
        if let Some(Transition { to, reason, .. }) = change {
            tracing::warn!(
                provider = key.provider,
                to = to.name(),
                reason = reason.name(),
                "the standing of a provider's credential changed"
            );
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if let Some((key, pass)) = self.key.take() {
            lock(&key.breaker).cancel(pass);
        }
        if let Some((lane, pass)) = self.lane.take() {
            lane.judged().breaker.cancel(pass);
        }
    }
}

/// How many a lane serves at once, and how many wait.
fn bounds(lane: &config::Lane) -> Bounds {
    Bounds {
        limit: lane.max_concurrent.unwrap_or(usize::MAX),
        waiting: lane.max_waiting,
        wait: lane.max_wait,
    }
}

/// The rules of a breaker, as far as the configuration says something of them.
fn rules(raw: &raw::Breaker) -> Rules {
    let default = Rules::default();
    let span = |said: Option<Span>, otherwise: Duration| said.map_or(otherwise, |said| said.0);
    Rules {
        window: span(raw.window, default.window),
        least: raw.least.unwrap_or(default.least),
        rate: raw.rate.unwrap_or(default.rate),
        consecutive: raw.consecutive.unwrap_or(default.consecutive),
        cooldown: span(raw.cooldown, default.cooldown),
        longest: span(raw.longest, default.longest),
        slow: raw.slow_after.map(|after| Slow { after: after.0, rate: raw.slow_rate.unwrap_or(SLOW_RATE) }),
        ramp: span(raw.ramp, default.ramp),
        obeyed: span(raw.retry_after, default.obeyed),
        ..default
    }
}

fn take(breaker: &mut Breaker, now: Instant, anyway: bool) -> Result<Pass, Refused> {
    if anyway { Ok(breaker.admit_anyway(now)) } else { breaker.admit(now, fastrand::f64()) }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

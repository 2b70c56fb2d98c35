//! One lane after the other, until one has begun to answer.

use std::sync::Arc;
use std::time::Duration;

use busbar_protocols::Ledger;
use bytes::Bytes;
use http::HeaderMap;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::context::{self, Ctx};
use super::forwarded::{self, Held};
use super::plan::{Asking, Planned};
use super::standing::{Permit, Seat};
use super::{Gateway, choices, failures::Failures, lane, passthrough, read, translated};
use crate::breaker::{self, State};
use crate::count::Size;
use crate::dialect::{self, headers};
use crate::fault::{Class, Fault};
use crate::observe::metrics;
use crate::route::affinity::Near;
use crate::route::{Choice, Ladder, Router, Rung};
use crate::translate::{CallState, Repair, embed};
use crate::upstream;

/// An answer that will be sent: from here on its status stands.
pub(super) enum Committed {
    /// The provider's own bytes, with those that were read to be sure.
    Forwarded(upstream::Answer, Held),
    /// Made from the provider's answer; what was changed on both ways.
    Translated(upstream::Answer, translated::Answer, Ledger),
    /// The gateway's own, of which no provider knows.
    Own(Vec<u8>),
}

/// An attempt that failed before anything was sent to the caller.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) fault: Fault,
    /// What the provider said, where it is the caller's own dialect: the rest of its words, and their beginning.
    pub(super) words: Option<(upstream::Answer, Option<Bytes>)>,
    /// What its answer said beside its body.
    pub(super) headers: HeaderMap,
    /// What would put the request right, where the gateway's own translation was wrong.
    repair: Option<Repair>,
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Self {
        Self { fault, words: None, headers: HeaderMap::new(), repair: None }
    }
}

/// How an answer is made into the caller's.
enum Back {
    Generated(Box<CallState>),
    Vectors(embed::Reply),
}

/// A request on its way along a ladder.
struct Climb<'a> {
    failures: Failures<'a>,
    /// Why the first lane that would lose something was passed over.
    refused: Option<Fault>,
    /// Lanes that served as many as they may.
    full: Vec<Choice<'a>>,
    /// The largest window, in tokens, that the prompt did not fit into.
    overflown: Option<u64>,
    deadline: Instant,
    content_by: Instant,
}

/// What came of one lane.
#[expect(
    clippy::large_enum_variant,
    reason = "made once a lane and taken apart at once; a box would cost more"
)]
enum Step {
    Committed(Committed),
    PassedOver,
    Failed,
    /// It failed in a way that no other lane can make good.
    Final,
}

impl Gateway {
    /// The lanes for a model that a client named, best first.
    pub(super) fn ladder<'a>(&'a self, asked: &'a str, near: &Near, body: &[u8]) -> Option<Ladder<'a>> {
        self.ladder_of(&self.shared.router, asked, near, body)
    }

    /// The same, with the turns of a router of one's own.
    pub(super) fn ladder_of<'a>(
        &self,
        router: &'a Router,
        asked: &'a str,
        near: &Near,
        body: &[u8],
    ) -> Option<Ladder<'a>> {
        let shared = &*self.shared;
        let now = std::time::Instant::now();
        let size = router.minds_size(asked, body.len()).then(|| Size::of(body)).flatten();
        let view = |member| shared.standing.candidate(&shared.settings, member, size, now);
        router.ladder(asked, &view, near, fastrand::f64())
    }

    /// Sends the request to one lane after the other until one begins to answer; then nothing can be taken back.
    ///
    /// A lane that is out or full, or that cannot express what the request is about, is passed over and costs no
    /// attempt. None is tried twice, though several pools may have it. Where all are out, the least bad is tried:
    /// only a lane that has said until when it wants to be left alone is left alone.
    pub(super) async fn climb(
        &self,
        ctx: &mut Ctx,
        asking: &mut Asking<'_>,
        ladder: &Ladder<'_>,
        deadline: Instant,
    ) -> Result<Committed, Fault> {
        let content_by = ladder.deadline.map_or(deadline, |most| deadline.min(Instant::now() + most));
        let mut climb = Climb {
            failures: Failures::default(),
            refused: None,
            full: Vec::new(),
            overflown: None,
            deadline,
            content_by,
        };
        let mut out = Vec::new();
        let is_lone = ladder.is_lone();
        for rung in &ladder.rungs {
            if ctx.why.is_empty() {
                ctx.why.clone_from(&rung.why);
            }
            let doubted = self.doubted(rung);
            let mut left = rung.attempts;
            for choice in &rung.lanes {
                if left == 0 {
                    break;
                }
                if climb.failures.tried(choice) || !self.is_wider(choice, climb.overflown) {
                    continue;
                }
                if climb.failures.any() && Instant::now() >= content_by {
                    return self.give_up(ctx, asking, ladder, climb);
                }
                let anyway = is_lone || doubted.iter().any(|lane| Some(*lane) == choice.lane);
                let permit = match self.shared.standing.admit(choice, anyway) {
                    Ok(permit) => permit,
                    Err(refused) => {
                        out.push((choice, refused.state));
                        continue;
                    }
                };
                match self.step(ctx, asking, choice, permit, None, &mut climb).await? {
                    Step::Committed(committed) => return Ok(committed),
                    Step::PassedOver => {}
                    Step::Failed => left -= 1,
                    Step::Final => return self.give_up(ctx, asking, ladder, climb),
                }
            }
        }
        // A lane that is full is worth a wait, more so than one that is out is worth a try.
        let mut full = std::mem::take(&mut climb.full);
        let mut left = ladder.rungs.first().map_or(1, |rung| rung.attempts);
        while left > 0
            && let Some((at, seat)) = self.wait(ctx, &full, content_by).await
        {
            let choice = full.swap_remove(at);
            if !self.is_wider(&choice, climb.overflown) {
                continue;
            }
            let Ok(permit) = self.shared.standing.admit(&choice, true) else { continue };
            match self.step(ctx, asking, &choice, permit, Some(seat), &mut climb).await? {
                Step::Committed(committed) => return Ok(committed),
                Step::PassedOver => {}
                Step::Failed => left -= 1,
                Step::Final => return self.give_up(ctx, asking, ladder, climb),
            }
        }
        if !climb.failures.any() && !out.is_empty() {
            let states: Vec<_> = out.iter().map(|(_, state)| *state).collect();
            if states.iter().all(|state| matches!(state, State::Cooling { .. })) {
                let now = std::time::Instant::now();
                let wait = breaker::soonest(&states).map_or(Duration::ZERO, |until| until - now);
                let message = "every model of the pool has been asked to be left alone for a while";
                climb
                    .failures
                    .passed_over(Fault::upstream(Class::RateLimited, message).with_retry_after(wait));
            } else if let Some((choice, _)) = breaker::least_bad(&states).map(|at| out[at])
                && let Ok(permit) = self.shared.standing.admit(choice, true)
                && let Step::Committed(committed) =
                    self.step(ctx, asking, choice, permit, None, &mut climb).await?
            {
                return Ok(committed);
            }
        }
        self.give_up(ctx, asking, ladder, climb)
    }

    /// The tokens that a lane's prompt and answer have room for, if that is known.
    fn window(&self, choice: &Choice<'_>) -> Option<u64> {
        self.shared.settings.lanes[choice.lane?].facts.context_window
    }

    /// Whether a prompt may fit into a lane that did not fit into another.
    fn is_wider(&self, choice: &Choice<'_>, overflown: Option<u64>) -> bool {
        !matches!((self.window(choice), overflown), (Some(window), Some(overflown)) if window <= overflown)
    }

    /// Lanes of a pool that are tried though they are out, because too much of the pool is.
    pub(super) fn doubted(&self, rung: &Rung<'_>) -> Vec<usize> {
        let most_out = |choice: &Choice<'_>| Some(self.shared.settings.pools[choice.pool?].most_out);
        let Some(most_out) = rung.lanes.first().and_then(most_out).filter(|share| *share < 1.0) else {
            return Vec::new();
        };
        let now = std::time::Instant::now();
        let states: Vec<_> =
            rung.lanes.iter().map(|choice| self.shared.standing.state(choice, now)).collect();
        let doubted = breaker::must_try(&states, most_out).into_iter();
        doubted.filter_map(|at| rung.lanes[at].lane).collect()
    }

    /// Tries one lane.
    async fn step<'a>(
        &self,
        ctx: &mut Ctx,
        asking: &mut Asking<'_>,
        choice: &Choice<'a>,
        permit: Permit,
        seat: Option<Seat>,
        climb: &mut Climb<'a>,
    ) -> Result<Step, Fault> {
        if let Err(full) = self.enter(ctx, asking, choice, seat) {
            climb.failures.passed_over(full);
            climb.full.push(choice.clone());
            return Ok(Step::PassedOver);
        }
        asking.repairs.clear();
        let planned = match self.plan(ctx, asking, choice).await {
            Ok(planned) => planned,
            Err(fault) if fault.retry_safe => {
                climb.refused.get_or_insert(fault);
                return Ok(Step::PassedOver);
            }
            Err(fault) => return Err(fault),
        };
        ctx.settlement.attempts += 1;
        let begun = std::time::Instant::now();
        let mut tried = self.attempt(ctx, asking, choice, planned, climb.deadline, climb.content_by).await;
        // What the gateway itself put wrong is put right, once.
        if let Err(Failure { repair: Some(repair), .. }) = &tried {
            let repair = repair.clone();
            metrics::count_repair(&ctx.settlement.label, repair.name());
            asking.repairs.push(repair.clone());
            if let Ok(planned) = self.plan(ctx, asking, choice).await {
                tried = self.attempt(ctx, asking, choice, planned, climb.deadline, climb.content_by).await;
                if let (Ok(_), Some(lane), true) = (&tried, choice.lane, repair.is_of_model()) {
                    tracing::warn!(
                        lane = ctx.settlement.label,
                        repair = repair.name(),
                        "a model takes requests otherwise than is known of it; remembered"
                    );
                    self.shared.standing.lane(lane).learn(repair);
                }
            }
        }
        match tried {
            Ok(committed) => {
                permit.succeeded(begun.elapsed());
                self.settle_near(ctx, asking, choice);
                Ok(Step::Committed(committed))
            }
            Err(failure) => {
                metrics::count_failed_attempt(&ctx.settlement.label, failure.fault.class.name());
                permit.failed(&failure.fault);
                let is_final = !failure.fault.verdict().elsewhere;
                if failure.fault.class == Class::ContextLength {
                    climb.overflown = climb.overflown.max(self.window(choice));
                }
                climb.failures.push(choice.clone(), failure);
                Ok(if is_final { Step::Final } else { Step::Failed })
            }
        }
    }

    /// Notes where a request is served, and tells what the provider's cache had of it elsewhere.
    fn settle_near(&self, ctx: &mut Ctx, asking: &Asking<'_>, choice: &Choice<'_>) {
        let (Some(prompt), Some(lane)) = (&asking.prompt, choice.lane) else { return };
        self.shared.note_served(lane, prompt);
        if let Some(given_up) = asking.near.given_up(self.shared.router.number(lane)) {
            metrics::count_given_up(&ctx.settlement.label, given_up.tokens);
            let more = format!("; gives up about {} cached tokens", given_up.tokens);
            ctx.why.push_str(&more);
        }
    }

    /// Tells what tells most of all that failed.
    fn give_up(
        &self,
        ctx: &mut Ctx,
        asking: &Asking<'_>,
        ladder: &Ladder<'_>,
        climb: Climb<'_>,
    ) -> Result<Committed, Fault> {
        match (self.told(ctx, asking, climb.failures), climb.refused) {
            (Some(told), _) => told,
            (None, Some(fault)) => Err(self.with_advice(ctx.caller, asking, ladder, fault)),
            (None, None) => Err(Failures::none_left()),
        }
    }

    /// The failure that the caller is told of; none when there was none.
    pub(super) fn told(
        &self,
        ctx: &mut Ctx,
        asking: &Asking<'_>,
        failures: Failures<'_>,
    ) -> Option<Result<Committed, Fault>> {
        let (choice, failure) = failures.tell()?;
        if let Some(choice) = choice {
            self.name(ctx, asking, &choice);
        }
        Some(match failure.words {
            // Once the caller has been sent a head, a provider's own words have no place any more.
            Some((answer, words)) if !ctx.company.has_begun() => {
                Ok(Committed::Forwarded(answer, Held::of(words)))
            }
            Some((answer, _)) => {
                ctx.upstream_headers = answer.headers;
                Err(failure.fault)
            }
            None => {
                ctx.upstream_headers = failure.headers;
                Err(failure.fault)
            }
        })
    }

    /// Notes the lane, and takes a place among the requests that run on it.
    fn enter(
        &self,
        ctx: &mut Ctx,
        asking: &Asking<'_>,
        choice: &Choice<'_>,
        seat: Option<Seat>,
    ) -> Result<(), Fault> {
        ctx.settlement.seat = None;
        self.name(ctx, asking, choice);
        let Some(lane) = choice.lane else { return Ok(()) };
        ctx.settlement.seat = seat.or_else(|| self.shared.standing.lane(lane).try_sit());
        if ctx.settlement.seat.is_some() {
            return Ok(());
        }
        let message = "the model serves as many requests as it may";
        let mut fault = Fault::gateway(Class::RateLimited, message).with_retry_after(Duration::from_secs(1));
        fault.retry_safe = true;
        Err(fault)
    }

    /// Waits in turn for a place on any of the lanes that are full; says on which.
    async fn wait(&self, ctx: &Ctx, full: &[Choice<'_>], by: Instant) -> Option<(usize, Seat)> {
        let mut waits = JoinSet::new();
        for (at, choice) in full.iter().enumerate() {
            let Some(lane) = choice.lane else { continue };
            let by = by.min(Instant::now() + self.shared.settings.lanes[lane].max_wait).into_std();
            let (lane, caller) = (Arc::clone(self.shared.standing.lane(lane)), ctx.caller);
            waits.spawn(async move { Some((at, lane.sit(caller, by).await?)) });
        }
        // Dropped with the set, the other waits give their numbers back.
        while let Some(waited) = waits.join_next().await {
            if let Ok(Some(seated)) = waited {
                return Some(seated);
            }
        }
        None
    }

    /// Notes the lane.
    pub(super) fn name(&self, ctx: &mut Ctx, asking: &Asking<'_>, choice: &Choice<'_>) {
        let settings = &self.shared.settings;
        let provider = &settings.providers[choice.provider];
        let settlement = &mut ctx.settlement;
        settlement.backend = Some(provider.protocol_for(asking.call.protocol));
        settlement.place = choice.lane;
        match choice.lane {
            Some(lane) => {
                settlement.lane.clone_from(&settings.lanes[lane].name);
                settlement.label.clone_from(&settings.lanes[lane].name);
            }
            None => {
                settlement.lane.clone_from(&settlement.model);
                settlement.label = format!("{}/*", provider.name);
            }
        }
    }

    /// Sends the request to one lane, and waits until that begins to answer.
    pub(super) async fn attempt(
        &self,
        ctx: &mut Ctx,
        asking: &Asking<'_>,
        choice: &Choice<'_>,
        planned: Planned,
        deadline: Instant,
        content_by: Instant,
    ) -> Result<Committed, Failure> {
        let Asking { call, parts, streamed, .. } = *asking;
        let backend = ctx.settlement.backend.unwrap_or(call.protocol);
        let (plan, translation) = match planned {
            Planned::Forward(plan) => {
                ctx.settlement.fidelity.clear();
                (plan, None)
            }
            Planned::Translate(made) => {
                ctx.settlement.note_effects(&made.ledger);
                ctx.settlement.fidelity = made.ledger.summary(context::MAX_FIDELITY);
                // The answer of a provider that speaks the caller's protocol is the caller's as it is.
                if backend == call.protocol {
                    (lane::at_home(made.plan, parts), None)
                } else {
                    let json_array = dialect::wants_array(call, parts.uri.query());
                    let state = CallState { json_array, ..made.state };
                    (made.plan, Some((Back::Generated(Box::new(state)), made.ledger)))
                }
            }
            Planned::Embed(made) => {
                ctx.settlement.note_effects(&made.ledger);
                ctx.settlement.fidelity = made.ledger.summary(context::MAX_FIDELITY);
                (made.plan, Some((Back::Vectors(made.reply), made.ledger)))
            }
        };

        // 6. Send.
        let timeouts = self.timeouts(choice);
        let now = Instant::now();
        let upstream = &self.upstreams[choice.provider];
        let request = || upstream::Request {
            protocol: backend,
            path: &plan.path,
            headers: &parts.headers,
            goes_up: plan.goes_up,
            accept: plan.accept,
            body: plan.body.clone(),
            deadline: deadline.min(now + timeouts.total),
            content_by: content_by.min(now + timeouts.first_content.min(timeouts.total)),
            timeouts,
            keep: headers::comes_back,
        };
        let asked = match &translation {
            Some((Back::Generated(state), _)) => state.choices.max(1),
            _ => 1,
        };
        let (mut answer, mut others) = if asked == 1 {
            (upstream.send(request()).await?, Vec::new())
        } else {
            // One call for each of the answers that the caller wants; what one of them lacks, all lack.
            let going =
                (0..asked).map(|_| -> choices::Going<'_, _, _> { Box::pin(upstream.send(request())) });
            let mut answers = choices::all(going.collect()).await?;
            let told = answers.iter().position(|answer| !answer.status.is_success()).unwrap_or(0);
            (answers.remove(told), answers)
        };
        ctx.settlement.answered = true;
        if let Some(lane) = choice.lane {
            self.shared.standing.heard(lane, &answer.headers);
        }

        // 7. Commit: of a stream, nothing is sent before its first content, and of a whole answer nothing before
        // its end. What fails until then can still be another lane's to answer.
        if !answer.status.is_success() {
            return Err(match translation {
                None => {
                    let (words, fault) = match read::failure(&mut answer).await {
                        Ok(words) => {
                            let words = words.map(|words| upstream.masked(words));
                            let fault =
                                translated::told(&answer, backend, words.as_deref().unwrap_or_default());
                            (Some(words), fault)
                        }
                        // What the status says is true even if the words about it broke off.
                        Err(_) => (None, translated::told(&answer, backend, b"")),
                    };
                    answer.body.settle_down();
                    match words {
                        Some(words) => Failure { words: Some((answer, words)), ..fault.into() },
                        None => Failure { headers: answer.headers, ..fault.into() },
                    }
                }
                Some(_) => {
                    let (fault, repair) = translated::failure(&mut answer, backend, upstream).await;
                    Failure { headers: answer.headers, repair, ..fault.into() }
                }
            });
        }
        let limits = &self.limits;
        let committed = match translation {
            None => match forwarded::begin(&mut answer, call, streamed, limits).await {
                Ok(held) => Ok(Committed::Forwarded(answer, held)),
                Err(fault) => Err((fault, answer.headers)),
            },
            Some((back, mut ledger)) => {
                let made = match back {
                    Back::Generated(state) => {
                        let carriage = &self.shared.carriage;
                        let bodies = others.drain(..).map(|answer| answer.body).collect();
                        translated::answer(&mut answer, bodies, *state, streamed, limits, carriage).await
                    }
                    Back::Vectors(reply) => passthrough::vectors(&mut answer, &reply, limits).await,
                };
                match made {
                    Ok(made) => {
                        answer.body.settle_down();
                        if let translated::Answer::Whole(_, effects, _) = &made {
                            ctx.settlement.note_answer_effects(effects);
                            ledger.extend(effects.clone());
                        }
                        Ok(Committed::Translated(answer, made, ledger))
                    }
                    Err(fault) => Err((fault, answer.headers)),
                }
            }
        };
        committed.map_err(|(fault, headers)| Failure { headers, ..fault.into() })
    }
}

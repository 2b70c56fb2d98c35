//! The translate lane: a request made into the backend's protocol, and its answer made into the caller's.

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use busbar_protocols::prelude::Checked;
use busbar_protocols::{EffectKind, Ledger};
use bytes::{Bytes, BytesMut};
use tokio::time::{Instant, Sleep};

use super::choices;
use super::context::{MAX_FIDELITY, is_of_type};
use super::lane::Plan;
use super::settle::Settlement;
use super::watch;
use crate::Protocol;
use crate::config::raw::{Fidelity, MaxTokensField, Reasoning};
use crate::config::{Limits, Settings};
use crate::dialect::{self, Call, Operation, headers};
use crate::fault::{Class, Fault};
use crate::observe::metrics::{Outcome, Tokens};
use crate::route::Choice;
use crate::stream::{self, Transcoder};
use crate::translate::{
    self, CallState, Carriage, Fetched, ReasoningForm, Refusal, Repair, TargetFacts, UpstreamError, Wanted,
};
use crate::upstream;

/// Most bytes of a translated stream that wait for its first content.
const MAX_HELD: usize = 1 << 20;
/// Bytes of a translated stream that are gathered before they are sent, where the provider is quicker.
const MAX_GATHERED: usize = 256 << 10;
/// How long a provider may take to end a stream whose answer is complete.
const STOPPED_WAIT: Duration = Duration::from_secs(5);
/// Most bytes of a provider's failure that are looked at.
const MAX_FAILURE: usize = 256 << 10;

/// A translated request, and what its answer's translation must know.
#[derive(Debug)]
pub(super) struct Translated {
    pub(super) plan: Plan,
    pub(super) state: CallState,
    pub(super) ledger: Ledger,
}

/// A translated answer that may be sent.
#[derive(Debug)]
pub(super) enum Answer {
    /// All of it.
    Whole(Vec<u8>, Ledger, Tokens),
    /// Its beginning, and what makes the rest.
    Stream(Vec<u8>, Box<Transcoding>),
}

/// A stream that is being translated.
#[derive(Debug)]
pub(super) struct Transcoding {
    transcoder: Transcoder,
    /// Bodies beside the one that is polled, where the backend was asked several times.
    others: Vec<upstream::Body>,
    /// Whose turn it is.
    turn: usize,
    /// What was changed on the way there.
    pub(super) ledger: Ledger,
    /// What is still to be told after what was sent.
    failed: Option<Fault>,
    over: bool,
    silence: Silence,
}

impl Transcoding {
    fn new(
        transcoder: Transcoder,
        others: Vec<upstream::Body>,
        failed: Option<Fault>,
        limits: &Limits,
    ) -> Self {
        Self {
            transcoder,
            others,
            turn: 0,
            ledger: Ledger::default(),
            failed,
            over: false,
            silence: Silence::new(limits.keep_alive),
        }
    }

    /// Whether the caller gets one JSON array.
    pub(super) fn is_array(&self) -> bool {
        self.transcoder.is_array()
    }

    /// What the next piece of the provider's stream, or its end, becomes; none when the caller's stream is over.
    pub(super) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        body: &mut upstream::Body,
        settlement: &mut Settlement,
    ) -> Poll<Option<Bytes>> {
        let polled = self.poll_content(cx, body, settlement);
        if polled.is_ready() {
            self.silence.broken();
            return polled;
        }
        ready!(self.silence.poll(cx));
        let mut out = Vec::new();
        self.transcoder.keep_alive(&mut out);
        Poll::Ready(Some(Bytes::from(out)))
    }

    /// Tells the settlement what the stream has shown.
    pub(super) fn settle(&mut self, settlement: &mut Settlement) {
        settlement.tokens = watch::tokens(self.transcoder.usage());
        let effects = self.transcoder.ledger();
        if !effects.is_empty() {
            settlement.note_answer_effects(effects);
            self.ledger.extend(effects.clone());
            settlement.fidelity = self.ledger.summary(MAX_FIDELITY);
        }
    }

    fn poll_content(
        &mut self,
        cx: &mut Context<'_>,
        body: &mut upstream::Body,
        settlement: &mut Settlement,
    ) -> Poll<Option<Bytes>> {
        let mut out = Vec::new();
        loop {
            if let Some(fault) = self.failed.take() {
                settlement.failed(Outcome::Cut, &fault);
                self.transcoder.fail(&fault, &settlement.request_id, &mut out);
                self.over = true;
                return Poll::Ready(Some(Bytes::from(out)));
            }
            if self.over {
                return Poll::Ready(None);
            }
            if self.transcoder.progress().done {
                self.over = true;
                settlement.outcome = Outcome::Complete;
                drain(cx, body);
                self.others.iter_mut().for_each(|other| drain(cx, other));
                return Poll::Ready((!out.is_empty()).then(|| Bytes::from(out)));
            }
            if out.len() >= MAX_GATHERED {
                return Poll::Ready(Some(Bytes::from(out)));
            }
            let stopped = self.transcoder.progress().stopped;
            let Self { transcoder, others, turn, .. } = self;
            let polled = choices::poll_any(cx, body, others, |source| transcoder.is_over(source), turn);
            let (source, polled) = match polled {
                Poll::Pending if out.is_empty() => return Poll::Pending,
                Poll::Pending => return Poll::Ready(Some(Bytes::from(out))),
                Poll::Ready(polled) => polled,
            };
            let result = match polled {
                Some(Ok(piece)) => self.transcoder.push_of(source, &piece, &mut out),
                // The answer is complete but for its last formalities: a provider that breaks off then, or
                // sends nothing but signs of life, has said all that matters.
                Some(Err(_)) if stopped => self.transcoder.finish_of(source, &mut out),
                Some(Err(broken)) => {
                    self.failed = Some(upstream::fault(broken));
                    continue;
                }
                None => self.transcoder.finish_of(source, &mut out),
            };
            match result {
                Ok(progress) if progress.stopped && !stopped => {
                    body.hurry(STOPPED_WAIT);
                    self.others.iter_mut().for_each(|other| other.hurry(STOPPED_WAIT));
                }
                Ok(_) => {}
                Err(fault) => self.failed = Some(fault.fault()),
            }
        }
    }
}

/// Measures how long nothing has been sent to a client.
///
/// Its timer is set when a wait begins and runs on through what is sent meanwhile, so that a lively stream never
/// touches it.
#[derive(Debug)]
struct Silence {
    most: Duration,
    since: Instant,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Silence {
    fn new(most: Duration) -> Self {
        Self { most, since: Instant::now(), timer: None }
    }

    /// Something is sent.
    fn broken(&mut self) {
        self.since = Instant::now();
    }

    /// Ready when it has lasted too long, and a new one begins.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.most.is_zero() {
            return Poll::Pending;
        }
        let until = self.since + self.most;
        let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(until)));
        ready!(timer.as_mut().poll(cx));
        let now = Instant::now();
        if now >= until {
            self.since = now;
            timer.as_mut().reset(now + self.most);
            return Poll::Ready(());
        }
        timer.as_mut().reset(until);
        // Polled again, so that it is known whom to wake.
        timer.as_mut().poll(cx).map(|()| self.since = now)
    }
}

/// Takes what is there of the formal end of a body, so that its connection can be used again.
fn drain(cx: &mut Context<'_>, body: &mut upstream::Body) {
    const MOST: usize = 8;
    for _ in 0..MOST {
        if !matches!(body.poll(cx), Poll::Ready(Some(Ok(_)))) {
            return;
        }
    }
}

/// What is known about the model that was chosen; `scope` is whose request it is.
pub(super) fn facts<'a>(
    settings: &Settings,
    choice: &'a Choice<'_>,
    call: &'a Call<'_>,
    scope: &'a str,
    fidelity: Fidelity,
    fetched: Option<&'a HashMap<String, Fetched>>,
) -> TargetFacts<'a> {
    let known = match choice.lane {
        Some(lane) => settings.lanes[lane].facts,
        None => settings.facts_of(choice.provider, &choice.upstream_model),
    };
    TargetFacts {
        upstream_model: &choice.upstream_model,
        max_output_tokens: known.max_output_tokens,
        max_tokens_field_legacy: known.max_tokens_field == MaxTokensField::MaxTokens,
        reasoning: match known.reasoning {
            Reasoning::Budget => ReasoningForm::Budget,
            Reasoning::Adaptive => ReasoningForm::Adaptive,
            Reasoning::Always => ReasoningForm::Always,
            Reasoning::None => ReasoningForm::None,
        },
        reasoning_off: known.reasoning_off,
        reasoning_history: known.reasoning_history,
        signatures: true,
        sampling: known.sampling,
        sampling_together: known.sampling_together,
        prefill: known.prefill,
        forced_tools: known.forced_tools,
        asked_model: call.model.as_deref(),
        asked_stream: call.operation == Operation::GenerateStream,
        now: std::time::SystemTime::UNIX_EPOCH.elapsed().map_or(0, |since| since.as_secs()),
        scope,
        allow_semantic_loss: fidelity == Fidelity::Allow,
        fetched,
    }
}

/// Why a request does not go to a lane.
#[derive(Debug)]
pub(super) enum Refused {
    /// It cannot.
    Fault(Box<Fault>),
    /// What these addresses hold is needed first.
    Wants(Vec<Wanted>),
}

impl From<Fault> for Refused {
    fn from(fault: Fault) -> Self {
        Self::Fault(Box::new(fault))
    }
}

/// Why a translation is refused.
pub(super) fn refused(refusal: Refusal) -> Refused {
    if !refusal.wanted.is_empty() {
        return Refused::Wants(refusal.wanted);
    }
    let mut fault = Fault::client(Class::InvalidRequest, refusal.to_string());
    fault.retry_safe = refusal.semantic;
    if refusal.path.is_empty() { fault.into() } else { fault.with_param(refusal.path).into() }
}

/// What a translation has to go by beside the target.
#[derive(Clone, Copy, Debug)]
pub(super) struct Terms<'a> {
    pub(super) fidelity: Fidelity,
    pub(super) carriage: &'a Carriage,
    /// What the model is known to take otherwise than the facts say.
    pub(super) repairs: &'a [Repair],
}

/// Makes a request into one for the backend.
pub(super) fn request(
    call: &Call<'_>,
    backend: Protocol,
    facts: &TargetFacts<'_>,
    body: &[u8],
    streamed: bool,
    terms: &Terms<'_>,
) -> Result<Translated, Refused> {
    let Terms { fidelity, carriage, repairs } = *terms;
    // The walk has checked the syntax when it looked for the model.
    let document =
        Checked::assume(body).map_err(|error| Fault::client(Class::InvalidRequest, error.to_string()))?;
    let mut outbound =
        translate::request(call.protocol, backend, document, facts, carriage).map_err(refused)?;
    for repair in repairs {
        let Some((body, left_out)) = repair.strip(&outbound.body) else { continue };
        outbound.body = body;
        for path in left_out {
            outbound.ledger.note(EffectKind::Dropped, path, "the model does not take it");
        }
    }
    if fidelity == Fidelity::Strict {
        let lost = outbound.ledger.effects().iter().find(|effect| effect.kind == EffectKind::Dropped);
        if let Some(lost) = lost {
            let message =
                format!("`{}` would be lost, and the request is strict: {}", lost.path, lost.reason);
            let mut fault = Fault::client(Class::InvalidRequest, message).with_param(lost.path.clone());
            fault.retry_safe = true;
            return Err(fault.into());
        }
    }
    let in_path = !dialect::model_in_body(backend);
    let operation = if in_path && streamed { Operation::GenerateStream } else { Operation::Generate };
    let mut path =
        dialect::upstream_path(backend, operation, facts.upstream_model, call.version).into_owned();
    // A caller of the same protocol has its own query, which goes along.
    if backend == Protocol::Gemini && call.protocol != backend && streamed {
        path.push_str("?alt=sse");
    }
    let plan = Plan {
        path,
        body: [Bytes::from(outbound.body), Bytes::new(), Bytes::new()],
        goes_up: headers::goes_up_anywhere,
        accept: Some(if streamed { dialect::stream_type(backend) } else { "application/json" }),
    };
    Ok(Translated { plan, state: outbound.state, ledger: outbound.ledger })
}

/// Makes a provider's failure into one that can be told in any dialect, with what would put the request right.
pub(super) async fn failure(
    answer: &mut upstream::Answer,
    backend: Protocol,
    upstream: &upstream::Upstream,
) -> (Fault, Option<Repair>) {
    let body = match whole(&mut answer.body, MAX_FAILURE).await {
        Ok(body) => upstream.masked(body),
        // What the status says is true even if the words about it are too many or broke off.
        Err(_) => Bytes::new(),
    };
    let error = read(answer, backend, &body);
    let repair = translate::repair_of(backend, &error);
    (error.into_fault(), repair)
}

/// The fault that a provider's status, head and words tell of.
pub(super) fn told(answer: &upstream::Answer, backend: Protocol, words: &[u8]) -> Fault {
    read(answer, backend, words).into_fault()
}

fn read(answer: &upstream::Answer, backend: Protocol, words: &[u8]) -> UpstreamError {
    let now = std::time::SystemTime::now();
    translate::upstream_error(backend, answer.status.as_u16(), &answer.headers, words, now)
}

/// Makes a provider's answer into the caller's, as far as is needed to be sure that it is one.
pub(super) async fn answer(
    answer: &mut upstream::Answer,
    mut others: Vec<upstream::Body>,
    state: CallState,
    streamed: bool,
    limits: &Limits,
    carriage: &Carriage,
) -> Result<Answer, Fault> {
    if !streamed {
        if is_of_type(answer, dialect::stream_type(state.backend)) {
            let message = "the provider sent a stream where a whole answer was asked for";
            return Err(Fault::upstream(Class::Malformed, message));
        }
        let mut made = Vec::with_capacity(others.len() + 1);
        let (mut effects, mut tokens) = (Ledger::default(), Tokens::default());
        for body in std::iter::once(&mut answer.body).chain(&mut others) {
            let body = whole(body, limits.response).await?;
            tokens.add(&watch::tokens_of(state.backend, &body));
            let (body, ledger) = translate::response(&body, &state, carriage).map_err(|malformed| {
                // Some servers tell of a failure under a status that says the contrary.
                stream::error_within(state.backend, &body)
                    .unwrap_or_else(|| Fault::upstream(Class::Malformed, malformed.to_string()))
            })?;
            effects.extend(ledger);
            made.push(body);
        }
        let body = match made.len() {
            1 => made.swap_remove(0),
            _ => translate::merge_answers(&made, &state)
                .map_err(|malformed| Fault::upstream(Class::Malformed, malformed.to_string()))?,
        };
        return Ok(Answer::Whole(body, effects, tokens));
    }
    let bounds = stream::Limits {
        line: limits.stream_line,
        event: limits.stream_event,
        body: limits.response,
        ..stream::Limits::default()
    };
    let mut transcoder = Transcoder::new(state, bounds, carriage.clone())?;
    let (mut out, mut turn) = (Vec::new(), 0);
    loop {
        let (source, piece) = std::future::poll_fn(|cx| {
            let over = |source| transcoder.is_over(source);
            choices::poll_any(cx, &mut answer.body, &mut others, over, &mut turn)
        })
        .await;
        let result = match piece {
            Some(piece) => transcoder.push_of(source, &piece.map_err(upstream::fault)?, &mut out),
            None => transcoder.finish_of(source, &mut out),
        };
        let (progress, failed) = match result {
            Ok(progress) => (progress, None),
            // Something of the answer is there: it is sent, and the failure is told after it.
            Err(fault) if transcoder.progress().meaningful => (transcoder.progress(), Some(fault.fault())),
            Err(fault) => return Err(fault.fault()),
        };
        if progress.meaningful || progress.done || out.len() > MAX_HELD {
            if progress.stopped {
                answer.body.hurry(STOPPED_WAIT);
                others.iter_mut().for_each(|other| other.hurry(STOPPED_WAIT));
            }
            others.iter_mut().for_each(upstream::Body::settle_down);
            return Ok(Answer::Stream(out, Box::new(Transcoding::new(transcoder, others, failed, limits))));
        }
    }
}

pub(super) async fn whole(body: &mut upstream::Body, limit: usize) -> Result<Bytes, Fault> {
    let too_large = || {
        let message =
            format!("the provider's answer has more than {limit} bytes, the gateway's `response` limit");
        Fault::upstream(Class::Malformed, message)
    };
    let mut first = Bytes::new();
    let mut rest = BytesMut::new();
    while let Some(piece) = body.next().await {
        let piece = piece.map_err(upstream::fault)?;
        if first.len() + rest.len() + piece.len() > limit {
            return Err(too_large());
        }
        if first.is_empty() && rest.is_empty() {
            first = piece;
            continue;
        }
        if rest.is_empty() {
            let known = body.length().and_then(|length| usize::try_from(length).ok()).unwrap_or(0);
            rest.reserve(known.min(limit).max(first.len() + piece.len()));
            rest.extend_from_slice(&std::mem::take(&mut first));
        }
        rest.extend_from_slice(&piece);
    }
    Ok(if rest.is_empty() { first } else { rest.freeze() })
}

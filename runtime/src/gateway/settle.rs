//! The end of a request: counted and recorded exactly once, by completion or by drop.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use busbar_protocols::Ledger;

use super::Shared;
use super::context::excerpt;
use super::standing::Seat;
use crate::Protocol;
use crate::dialect::Operation;
use crate::fault::{Blame, Class, Fault};
use crate::observe::access::{self, Record};
use crate::observe::metrics::{self, Counted, Outcome, Tokens};

/// The most of a failure's text that a record holds, in bytes.
const MAX_ERROR: usize = 256;

/// What is known of a request so far; dropping it settles it.
///
/// Until something else is said the caller counts as gone: that is what a drop in the middle means.
#[derive(Debug)]
pub(super) struct Settlement {
    shared: Arc<Shared>,
    pub(super) started: Instant,
    pub(super) request_id: String,
    pub(super) protocol: Protocol,
    pub(super) operation: Option<Operation>,
    pub(super) model: String,
    pub(super) lane: String,
    /// Its index, of one that is configured.
    pub(super) place: Option<usize>,
    /// The lane's name in metrics; bounded by what is configured.
    pub(super) label: String,
    pub(super) backend: Option<Protocol>,
    pub(super) streamed: bool,
    pub(super) status: u16,
    pub(super) outcome: Outcome,
    pub(super) fidelity: String,
    pub(super) bytes_in: u64,
    pub(super) bytes_out: u64,
    pub(super) first_byte: Option<Duration>,
    pub(super) tokens: Tokens,
    /// How many lanes the request was sent to.
    pub(super) attempts: u32,
    /// Whether a provider has answered, so that a failure's words may be the provider's.
    pub(super) answered: bool,
    failure: Option<(Blame, Class)>,
    error: String,
    permit: Option<Permit>,
    /// A place among the requests that run on a lane.
    pub(super) seat: Option<Seat>,
}

impl Settlement {
    pub(super) fn new(shared: &Arc<Shared>, request_id: String) -> Self {
        Self {
            shared: Arc::clone(shared),
            started: Instant::now(),
            request_id,
            protocol: Protocol::OpenaiChat,
            operation: None,
            model: String::new(),
            lane: String::new(),
            place: None,
            label: String::new(),
            backend: None,
            streamed: false,
            status: 0,
            outcome: Outcome::ClientGone,
            fidelity: String::new(),
            bytes_in: 0,
            bytes_out: 0,
            first_byte: None,
            tokens: Tokens::default(),
            attempts: 0,
            answered: false,
            failure: None,
            error: String::new(),
            permit: None,
            seat: None,
        }
    }

    /// Takes a place among all requests that run at a time.
    pub(super) fn admit(&mut self, limit: usize) -> Result<(), Fault> {
        let permit = Permit::take(&self.shared, limit).ok_or_else(|| {
            Fault::gateway(Class::Overloaded, "the gateway serves as many requests as it may")
                .with_retry_after(Duration::from_secs(1))
        })?;
        self.permit = Some(permit);
        Ok(())
    }

    /// Counts what was changed on the way to the backend.
    pub(super) fn note_effects(&self, ledger: &Ledger) {
        Self::count_effects(self.protocol, self.backend.unwrap_or(self.protocol), ledger);
    }

    /// Counts what was changed on the way back.
    pub(super) fn note_answer_effects(&self, ledger: &Ledger) {
        Self::count_effects(self.backend.unwrap_or(self.protocol), self.protocol, ledger);
    }

    fn count_effects(from: Protocol, to: Protocol, ledger: &Ledger) {
        for effect in ledger.effects() {
            // The top of the path alone: what is below may be the caller's own words, and without bound.
            let top = effect.path.split(['.', '[']).next().unwrap_or_default();
            metrics::count_effect(from, to, effect.kind.name(), top);
        }
    }

    /// Notes a failure.
    pub(super) fn failed(&mut self, outcome: Outcome, fault: &Fault) {
        metrics::count_fault(fault);
        self.outcome = outcome;
        self.failure = Some((fault.blame, fault.class));
        if outcome == Outcome::Cut && fault.verdict().counts {
            self.broke_off();
        }
        // What a provider says may repeat the prompt or a key; what the gateway says does not.
        if !self.answered {
            self.error = excerpt(&fault.message, MAX_ERROR);
        }
    }

    /// Notes an upstream's failure that is handed on as it is.
    pub(super) fn upstream_failed(&mut self, status: u16) {
        let fault = Fault::upstream(Class::of_status(status), "");
        metrics::count_fault(&fault);
        self.failure = Some((fault.blame, fault.class));
    }

    /// Notes that an answer told of an error after it had begun.
    pub(super) fn failed_within(&mut self) {
        if self.failure.is_none() {
            self.broke_off();
            self.upstream_failed(500);
        }
    }

    /// The lane did not keep what it had begun.
    fn broke_off(&self) {
        if let Some(lane) = self.place {
            self.shared.standing.cut(lane);
        }
    }
}

impl Drop for Settlement {
    fn drop(&mut self) {
        let duration = self.started.elapsed();
        metrics::count(&Counted {
            protocol: self.protocol,
            lane: &self.label,
            status: self.status,
            outcome: self.outcome,
            duration,
            first_byte: self.first_byte,
            tokens: self.tokens,
        });
        let log = self.shared.settings.log;
        if !log.access {
            return;
        }
        access::record(
            log.format,
            &Record {
                time: access::now(),
                request_id: &self.request_id,
                protocol: self.protocol.name(),
                operation: self.operation.map_or("", Operation::name),
                model: &self.model,
                lane: &self.lane,
                backend: self.backend.map_or("", Protocol::name),
                stream: self.streamed,
                status: self.status,
                attempts: self.attempts,
                outcome: self.outcome.name(),
                blame: self.failure.map_or("", |(blame, _)| blame.name()),
                class: self.failure.map_or("", |(_, class)| class.name()),
                fidelity: &self.fidelity,
                error: &self.error,
                bytes_in: self.bytes_in,
                bytes_out: self.bytes_out,
                tokens: self.tokens,
                first_byte_us: self.first_byte.map(access::micros),
                duration_us: access::micros(duration),
            },
        );
    }
}

/// A place among requests that run at a time; given back when it is dropped.
#[derive(Debug)]
struct Permit(Arc<Shared>);

impl Permit {
    fn take(shared: &Arc<Shared>, limit: usize) -> Option<Self> {
        let running = shared.lasting.running.fetch_add(1, Ordering::Relaxed);
        // Built before the check: a refusal gives its place back by dropping it.
        let permit = Self(Arc::clone(shared));
        (running < limit).then_some(permit)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.lasting.running.fetch_sub(1, Ordering::Relaxed);
    }
}

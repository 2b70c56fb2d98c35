//! What one request carries along its walk, and how its answer is made.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use busbar_protocols::Ledger;
use http::header::{ALLOW, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode};

use super::attempt::Committed;
use super::body::{Body, Pump, Teller};
use super::caller::Caller;
use super::forwarded::{Held, Pieces};
use super::lane::FIDELITY_HEADER;
use super::settle::Settlement;
use super::waiting::Company;
use super::watch::Watch;
use super::{ATTEMPTS_HEADER, LANE_HEADER, POLICY_HEADER, REQUEST_ID_HEADER, Shared, TOKENS_HEADER};
use super::{passthrough, translated};
use crate::Protocol;
use crate::count;
use crate::dialect::{Operation, headers, request_id_header, stream_type};
use crate::fault::{Fault, render};
use crate::observe::metrics::Outcome;
use crate::stream::error_event;
use crate::stream::event_stream::Boundary;
use crate::stream::unread::Events;
use crate::upstream;

/// The most of a caller's text that an answer or a log repeats, in bytes.
pub(super) const MAX_EXCERPT: usize = 128;

/// The longest report of what was changed in a header, in bytes.
pub(super) const MAX_FIDELITY: usize = 1024;

/// Where Bedrock names the kind of a failure.
const ERROR_TYPE: &str = "x-amzn-errortype";

/// One request, from its head to its answer.
#[derive(Debug)]
pub(super) struct Ctx {
    /// What will be counted and recorded; travels with the answer's body.
    pub(super) settlement: Settlement,
    /// Whose request it is.
    pub(super) caller: Caller,
    /// What a provider's failed answer said beside its body: its id of the request, limits.
    pub(super) upstream_headers: HeaderMap,
    /// Why a pool's policy put the first lane first.
    pub(super) why: String,
    /// Whether the answer is an estimate.
    pub(super) estimated: bool,
    /// What a wrong method's answer says is allowed.
    pub(super) allow: Option<&'static str>,
    /// Whether the caller has been sent a head already, while it waits.
    pub(super) company: Arc<Company>,
}

impl Ctx {
    pub(super) fn new<B>(shared: &Arc<Shared>, request: &Request<B>, company: Arc<Company>) -> Self {
        let id = headers::caller_request_id(request.headers()).map_or_else(new_request_id, str::to_owned);
        Self {
            settlement: Settlement::new(shared, id),
            caller: Caller::default(),
            upstream_headers: HeaderMap::new(),
            why: String::new(),
            estimated: false,
            allow: None,
            company,
        }
    }

    /// What came of the walk, as the caller gets it.
    pub(super) fn answer(self, result: Result<Committed, Fault>) -> Response<Body> {
        match result {
            Ok(Committed::Forwarded(answer, held)) => self.forward(answer, held),
            Ok(Committed::Translated(answer, made, ledger)) => self.translate(answer, made, ledger),
            Ok(Committed::Own(body)) => self.own(body),
            Err(fault) => self.refuse(&fault),
        }
    }

    /// A failure, told in a stream that has begun.
    pub(super) fn fail_within(mut self, fault: &Fault) -> Body {
        let mut told = Vec::new();
        error_event(self.settlement.protocol, fault, &self.settlement.request_id, &mut told);
        self.settlement.status = StatusCode::OK.as_u16();
        self.settlement.failed(Outcome::Refused, fault);
        self.settlement.bytes_out = told.len() as u64;
        Body::full(told.into())
    }

    /// A failure, in the caller's own dialect.
    pub(super) fn refuse(mut self, fault: &Fault) -> Response<Body> {
        let protocol = self.settlement.protocol;
        let rendered = render(protocol, fault, &self.settlement.request_id);
        self.settlement.status = rendered.status;
        self.settlement.failed(Outcome::Refused, fault);
        self.settlement.bytes_out = rendered.body.len() as u64;
        let status = StatusCode::from_u16(rendered.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = super::json(status, rendered.body);
        let headers = response.headers_mut();
        // How the failure is told is the gateway's own: its form, its kind, and how long to wait.
        for (name, value) in &self.upstream_headers {
            if ![CONTENT_TYPE.as_str(), RETRY_AFTER.as_str(), ERROR_TYPE].contains(&name.as_str()) {
                headers.append(name, value.clone());
            }
        }
        if let Some(kind) = rendered.error_type.and_then(|kind| HeaderValue::from_str(&kind).ok()) {
            headers.insert(HeaderName::from_static(ERROR_TYPE), kind);
        }
        if let Some(seconds) = rendered.retry_after {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        if let Some(allowed) = self.allow {
            headers.insert(ALLOW, HeaderValue::from_static(allowed));
        }
        self.stamp(&mut response);
        response
    }

    /// An answer of the gateway's own, in the caller's form.
    pub(super) fn own(mut self, body: Vec<u8>) -> Response<Body> {
        self.settlement.status = StatusCode::OK.as_u16();
        self.settlement.outcome = Outcome::Complete;
        self.settlement.bytes_out = body.len() as u64;
        let mut response = super::json(StatusCode::OK, body);
        self.stamp(&mut response);
        response
    }

    /// A provider's answer, handed on as it is.
    pub(super) fn forward(self, mut answer: upstream::Answer, held: Held) -> Response<Body> {
        // A stream that was read as one is called one, whatever the provider calls it: clients go by that.
        if held.ends_itself {
            let kind = stream_type(self.settlement.protocol);
            if !is_of_type(&answer, kind) {
                answer.headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
            }
        }
        let mut response = Response::new(Body::Empty);
        *response.status_mut() = answer.status;
        let is_events = is_event_stream(&answer);
        // Of what passes without being JSON nothing is read.
        let is_document = !matches!(self.settlement.operation, Some(Operation::Passed(_)))
            || is_of_type(&answer, "application/json");
        *response.headers_mut() = answer.headers;
        self.stamp(&mut response);
        let mut settlement = self.settlement;
        settlement.status = answer.status.as_u16();
        let mut watch = None;
        if matches!(settlement.operation, Some(Operation::Passed(_))) {
            settlement.tokens = passthrough::counted_in(response.headers());
        }
        if !answer.status.is_success() {
            settlement.upstream_failed(answer.status.as_u16());
        } else if settlement.operation != Some(Operation::CountTokens) && (is_events || is_document) {
            let length = answer.body.length();
            watch = Some(Watch::new(settlement.protocol, is_events, held.ends_itself, length));
        }
        let teller = match settlement.protocol {
            _ if is_events => Teller::Event(Events::default()),
            Protocol::Bedrock if held.ends_itself => Teller::Message(Boundary::default()),
            _ => Teller::Cut,
        };
        let Held { pieces: held, .. } = held;
        let (body, transcoding, cutting, unreadable) = (answer.body, None, false, None);
        *response.body_mut() = Body::Pump(Box::new(Pump {
            held,
            body,
            teller,
            unreadable,
            cutting,
            transcoding,
            watch,
            settlement,
        }));
        response
    }

    /// A translation of a provider's answer.
    pub(super) fn translate(
        mut self,
        answer: upstream::Answer,
        made: translated::Answer,
        ledger: Ledger,
    ) -> Response<Body> {
        let mut response = Response::new(Body::Empty);
        *response.status_mut() = answer.status;
        *response.headers_mut() = answer.headers;
        let kind = match made {
            translated::Answer::Whole(..) => "application/json",
            translated::Answer::Stream(_, ref transcoding) if transcoding.is_array() => "application/json",
            translated::Answer::Stream(..) => stream_type(self.settlement.protocol),
        };
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        self.settlement.fidelity = ledger.summary(MAX_FIDELITY);
        self.stamp(&mut response);
        let mut settlement = self.settlement;
        settlement.status = answer.status.as_u16();
        settlement.first_byte = Some(settlement.started.elapsed());
        settlement.bytes_out = 0;
        *response.body_mut() = match made {
            translated::Answer::Whole(body, _, tokens) => {
                settlement.tokens = tokens;
                settlement.outcome = Outcome::Complete;
                settlement.bytes_out = body.len() as u64;
                Body::full(body.into())
            }
            translated::Answer::Stream(first, mut transcoding) => {
                transcoding.ledger = ledger;
                Body::Pump(Box::new(Pump {
                    held: Pieces::from([first.into()]),
                    body: answer.body,
                    teller: Teller::Event(Events::default()),
                    unreadable: None,
                    cutting: false,
                    transcoding: Some(transcoding),
                    watch: None,
                    settlement,
                }))
            }
        };
        response
    }

    /// Names the request and the lane, and what was not said in the backend's own words.
    fn stamp(&self, response: &mut Response<Body>) {
        let headers = response.headers_mut();
        if let Ok(id) = HeaderValue::from_str(&self.settlement.request_id) {
            let native = HeaderName::from_static(request_id_header(self.settlement.protocol));
            headers.entry(native).or_insert_with(|| id.clone());
            headers.insert(REQUEST_ID_HEADER, id);
        }
        if let Some(lane) = HeaderValue::from_str(&self.settlement.lane).ok().filter(|lane| !lane.is_empty())
        {
            headers.insert(LANE_HEADER, lane);
        }
        if let Some(why) = HeaderValue::from_str(&self.why).ok().filter(|why| !why.is_empty()) {
            headers.insert(POLICY_HEADER, why);
        }
        if self.estimated {
            let how = format!("estimate; error={}%", count::ERROR_PERCENT);
            headers.extend(HeaderValue::from_str(&how).map(|how| (TOKENS_HEADER, how)));
        }
        if self.settlement.attempts > 1 {
            headers.insert(ATTEMPTS_HEADER, HeaderValue::from(self.settlement.attempts));
        }
        let fidelity = HeaderValue::from_str(&self.settlement.fidelity);
        if let Some(fidelity) = fidelity.ok().filter(|fidelity| !fidelity.is_empty()) {
            headers.insert(FIDELITY_HEADER, fidelity);
        }
    }
}

/// Whether an answer is a stream of server-sent events.
pub(super) fn is_event_stream(answer: &upstream::Answer) -> bool {
    is_of_type(answer, "text/event-stream")
}

/// Whether an answer says that it is of this type.
pub(super) fn is_of_type(answer: &upstream::Answer, kind: &str) -> bool {
    answer.headers.get(CONTENT_TYPE).is_some_and(|said| said.as_bytes().starts_with(kind.as_bytes()))
}

/// The beginning of a text, fit to be shown.
pub(super) fn excerpt(text: &str, most: usize) -> String {
    let mut end = text.len().min(most);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].chars().map(|letter| if letter.is_control() { '\u{fffd}' } else { letter }).collect()
}

/// A new id: unique in this process, and by its beginning among processes.
fn new_request_id() -> String {
    use std::hash::{BuildHasher, RandomState};
    use std::sync::LazyLock;
    static BEGIN: LazyLock<String> =
        LazyLock::new(|| format!("req_{:016x}", RandomState::new().hash_one(std::process::id())));
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("{}{number:08x}", *BEGIN)
}

//! What one request carries along its walk.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderName, HeaderValue, Request, Response, StatusCode};

use super::body::{Body, Pump};
use super::{LANE_HEADER, REQUEST_ID_HEADER, Shared};
use crate::Protocol;
use crate::dialect::{headers, request_id_header};
use crate::fault::{Class, Fault, render};
use crate::upstream;

/// The most of a caller's text that an answer or a log repeats, in bytes.
const MAX_EXCERPT: usize = 128;

/// One request, from its head to its end.
#[derive(Debug)]
pub(super) struct Ctx {
    pub(super) started: Instant,
    pub(super) request_id: String,
    pub(super) protocol: Protocol,
    pub(super) allow: Option<&'static str>,
    pub(super) lane: Option<String>,
    pub(super) permit: Option<Permit>,
}

impl Ctx {
    pub(super) fn new<B>(request: &Request<B>) -> Self {
        Self {
            started: Instant::now(),
            request_id: headers::caller_request_id(request.headers())
                .map_or_else(new_request_id, str::to_owned),
            protocol: Protocol::OpenaiChat,
            allow: None,
            lane: None,
            permit: None,
        }
    }

    /// A failure, in the caller's own dialect.
    pub(super) fn refuse(&mut self, fault: &Fault) -> Response<Body> {
        let rendered = render(self.protocol, fault, &self.request_id);
        let status = StatusCode::from_u16(rendered.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = super::json(status, rendered.body);
        if let Some(kind) = rendered.error_type.and_then(|kind| HeaderValue::from_str(&kind).ok()) {
            response.headers_mut().insert(HeaderName::from_static("x-amzn-errortype"), kind);
        }
        if let Some(seconds) = rendered.retry_after {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        if let Some(allowed) = self.allow {
            super::allow(&mut response, allowed);
        }
        self.stamp(&mut response);
        response
    }

    /// A provider's answer, handed on as it is.
    pub(super) fn forward(
        &mut self,
        answer: upstream::Answer,
        first: Option<Bytes>,
        streamed: bool,
    ) -> Response<Body> {
        let mut response = Response::new(Body::Empty);
        *response.status_mut() = answer.status;
        let is_events = answer
            .headers
            .get(CONTENT_TYPE)
            .is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream"));
        *response.headers_mut() = answer.headers;
        self.stamp(&mut response);
        *response.body_mut() = Body::Pump(Box::new(Pump {
            first,
            body: answer.body,
            events: (streamed && is_events).then(|| (self.protocol, self.request_id.clone())),
            permit: self.permit.take(),
        }));
        response
    }

    /// Names the request and the lane.
    fn stamp(&self, response: &mut Response<Body>) {
        let headers = response.headers_mut();
        if let Ok(id) = HeaderValue::from_str(&self.request_id) {
            let native = HeaderName::from_static(request_id_header(self.protocol));
            headers.entry(native).or_insert_with(|| id.clone());
            headers.insert(REQUEST_ID_HEADER, id);
        }
        if let Some(lane) = self.lane.as_deref().and_then(|lane| HeaderValue::from_str(lane).ok()) {
            headers.insert(LANE_HEADER, lane);
        }
    }
}

/// A place among the requests that run at a time; given back when it is dropped.
#[derive(Debug)]
pub(super) struct Permit {
    shared: Arc<Shared>,
}

impl Permit {
    pub(super) fn take(shared: &Arc<Shared>, limit: usize) -> Result<Self, Fault> {
        let running = shared.running.fetch_add(1, Ordering::Relaxed);
        let permit = Self { shared: Arc::clone(shared) };
        if running < limit {
            return Ok(permit);
        }
        let fault = Fault::gateway(Class::Overloaded, "the gateway serves as many requests as it may");
        Err(fault.with_retry_after(Duration::from_secs(1)))
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.shared.running.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The beginning of a caller's text, fit to be shown.
pub(super) fn excerpt(text: &str) -> String {
    let mut end = text.len().min(MAX_EXCERPT);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].chars().map(|letter| if letter.is_control() { '\u{fffd}' } else { letter }).collect()
}

/// A new id: unique in this process, and by its beginning among processes.
fn new_request_id() -> String {
    use std::hash::{BuildHasher, RandomState};
    use std::sync::LazyLock;
    static BEGIN: LazyLock<u64> = LazyLock::new(|| RandomState::new().hash_one(std::process::id()));
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("req_{:016x}{number:08x}", *BEGIN)
}

//! A caller that waits for the first content of a stream: told now and then that somebody is still at it.
//!
//! Proxies and SDKs give up on a connection that says nothing. After a silence the head of a stream is sent and signs
//! of life follow, in the caller's protocol; failover goes on behind them, since nothing of an answer has been sent.
//! What is lost is the status: if all lanes fail, the stream says so itself.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Response, StatusCode};
use tokio::time::{Instant, Sleep};

use super::attempt::Committed;
use super::body::Body;
use super::context::Ctx;
use crate::Protocol;
use crate::dialect::stream_type;
use crate::fault::Fault;
use crate::stream;

/// A request that has been walked to its end.
pub(super) type Walked = (Box<Ctx>, Result<Committed, Fault>);

/// A request under way.
pub(super) type Walk = Pin<Box<dyn Future<Output = Walked> + Send>>;

/// What a request under way and its waiting caller's answer know of each other.
#[derive(Debug, Default)]
pub(super) struct Company {
    /// The protocol of the stream that is wanted, and the request's id, once they are known.
    wanted: OnceLock<(Protocol, String)>,
    /// Whether the answer's head has been sent.
    begun: AtomicBool,
}

impl Company {
    /// A stream of events is wanted.
    pub(super) fn want(&self, protocol: Protocol, request_id: &str) {
        // A request is read once.
        let _ = self.wanted.set((protocol, request_id.to_owned()));
    }

    /// Whether a failure can still have a status.
    pub(super) fn has_begun(&self) -> bool {
        self.begun.load(Ordering::Relaxed)
    }
}

/// Waits for a request's answer; after a silence, for no longer.
pub(super) async fn answer(mut walk: Walk, company: Arc<Company>, every: Duration) -> Response<Body> {
    let begun = Instant::now();
    let mut timer: Option<Pin<Box<Sleep>>> = None;
    let walked = std::future::poll_fn(|cx| {
        if let Poll::Ready(walked) = walk.as_mut().poll(cx) {
            return Poll::Ready(Ok(walked));
        }
        let Some(wanted) = company.wanted.get().filter(|_| !every.is_zero()) else {
            return Poll::Pending;
        };
        let timer = timer.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(begun + every)));
        timer.as_mut().poll(cx).map(|()| Err(wanted))
    });
    match walked.await {
        Ok((ctx, result)) => ctx.answer(result),
        Err((protocol, request_id)) => {
            company.begun.store(true, Ordering::Relaxed);
            let mut response = Response::new(Body::Empty);
            *response.status_mut() = StatusCode::OK;
            let headers = response.headers_mut();
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(stream_type(*protocol)));
            if let Ok(id) = HeaderValue::from_str(request_id) {
                headers.insert(super::REQUEST_ID_HEADER, id);
            }
            let timer = Box::pin(tokio::time::sleep(Duration::ZERO));
            let waiting = Waiting { walk, protocol: *protocol, every, timer };
            *response.body_mut() = Body::Waiting(Box::new(waiting));
            response
        }
    }
}

/// The body of an answer whose content is waited for.
pub struct Waiting {
    walk: Walk,
    protocol: Protocol,
    every: Duration,
    timer: Pin<Box<Sleep>>,
}

impl Waiting {
    /// The next sign of life, or the body of the answer.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Bytes, Body>> {
        if let Poll::Ready((ctx, result)) = self.walk.as_mut().poll(cx) {
            return Poll::Ready(Err(match result {
                Err(fault) => ctx.fail_within(&fault),
                answered => ctx.answer(answered).into_body(),
            }));
        }
        ready!(self.timer.as_mut().poll(cx));
        self.timer.as_mut().reset(Instant::now() + self.every);
        let mut sign = Vec::new();
        stream::keep_alive(self.protocol, &mut sign);
        // Registers the timer with whom to wake.
        let _ = self.timer.as_mut().poll(cx);
        Poll::Ready(Ok(Bytes::from(sign)))
    }
}

impl fmt::Debug for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Waiting").field("protocol", &self.protocol).finish_non_exhaustive()
    }
}

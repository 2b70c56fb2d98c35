//! The body of an answer to a client.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Frame, SizeHint};

use super::settle::Settlement;
use super::translated::Transcoding;
use super::watch::Watch;
use crate::observe::metrics::Outcome;
use crate::stream::error_event;
use crate::upstream;

/// The answer cannot be completed; the connection is cut, so that nobody takes it for a whole one.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the answer was cut off")]
pub struct Aborted;

/// The body of an answer to a client.
#[derive(Debug)]
pub enum Body {
    /// Nothing, or nothing more.
    Empty,
    /// All of it.
    Full(Bytes),
    /// What a provider is still sending.
    Pump(Box<Pump>),
}

impl Body {
    /// A body that is there as a whole.
    pub fn full(bytes: Bytes) -> Self {
        if bytes.is_empty() { Body::Empty } else { Body::Full(bytes) }
    }
}

/// Hands a provider's bytes on as they come.
#[derive(Debug)]
pub struct Pump {
    /// What was read before the answer was committed.
    pub(super) first: Option<Bytes>,
    pub(super) body: upstream::Body,
    /// Whether the client can be told within the stream that it broke: in server-sent events alone.
    pub(super) is_events: bool,
    /// What makes the caller's stream of the provider's; none where they speak the same.
    pub(super) transcoding: Option<Box<Transcoding>>,
    /// What looks at an answer that passes unread.
    pub(super) watch: Option<Watch>,
    pub(super) settlement: Settlement,
}

impl Pump {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Aborted>>> {
        let settlement = &mut self.settlement;
        if let Some(transcoding) = &mut self.transcoding {
            let piece = match self.first.take() {
                Some(first) => Some(first),
                None => std::task::ready!(transcoding.poll(cx, &mut self.body, settlement)),
            };
            settlement.bytes_out += piece.as_ref().map_or(0, Bytes::len) as u64;
            return Poll::Ready(piece.map(Ok));
        }
        let piece = match self.first.take() {
            Some(first) => Some(Ok(first)),
            None => std::task::ready!(self.body.poll(cx)),
        };
        if self.first.is_none() && self.body.is_done() {
            settlement.outcome = Outcome::Complete;
        }
        Poll::Ready(match piece {
            Some(Ok(bytes)) => {
                if let Some(watch) = &mut self.watch {
                    watch.push(&bytes);
                }
                if settlement.first_byte.is_none() {
                    settlement.first_byte = Some(settlement.started.elapsed());
                }
                settlement.bytes_out += bytes.len() as u64;
                Some(Ok(bytes))
            }
            Some(Err(broken)) => {
                let fault = upstream::fault(broken);
                settlement.failed(Outcome::Cut, &fault);
                if self.is_events {
                    // The blank line ends an event that was cut in the middle.
                    let mut told = b"\n\n".to_vec();
                    error_event(settlement.protocol, &fault, &settlement.request_id, &mut told);
                    Some(Ok(Bytes::from(told)))
                } else {
                    Some(Err(Aborted))
                }
            }
            None => None,
        })
    }
}

impl Drop for Pump {
    /// The settlement, which goes next, is told what the answer has shown, whole or not.
    fn drop(&mut self) {
        if let Some(transcoding) = &mut self.transcoding {
            transcoding.settle(&mut self.settlement);
        }
        if let Some(watch) = &mut self.watch {
            watch.settle(&mut self.settlement);
        }
    }
}

impl hyper::body::Body for Body {
    type Data = Bytes;
    type Error = Aborted;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Aborted>>> {
        let this = &mut *self;
        match this {
            Body::Empty => Poll::Ready(None),
            Body::Full(bytes) => {
                let bytes = std::mem::take(bytes);
                *this = Body::Empty;
                Poll::Ready(Some(Ok(Frame::data(bytes))))
            }
            Body::Pump(pump) => {
                let frame = std::task::ready!(pump.poll(cx));
                let over = !matches!(frame, Some(Ok(_))) || matches!(pump.settlement.outcome, Outcome::Cut);
                if over {
                    *this = Body::Empty;
                }
                Poll::Ready(frame.map(|frame| frame.map(Frame::data)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Body::Empty => true,
            Body::Full(_) => false,
            Body::Pump(pump) => pump.first.is_none() && pump.transcoding.is_none() && pump.body.is_done(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Body::Empty => SizeHint::with_exact(0),
            Body::Full(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Body::Pump(pump) => match pump.body.length() {
                Some(length) if pump.transcoding.is_none() => SizeHint::with_exact(length),
                _ => SizeHint::default(),
            },
        }
    }
}

//! The body of an answer to a client.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Frame, SizeHint};

use crate::Protocol;
use crate::fault::stream_event;
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
    /// How to tell the client, within the stream, that it broke: possible in server-sent events alone.
    pub(super) events: Option<(Protocol, String)>,
    pub(super) permit: Option<super::context::Permit>,
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
                if let Some(first) = pump.first.take() {
                    return Poll::Ready(Some(Ok(Frame::data(first))));
                }
                let frame = match std::task::ready!(pump.body.poll(cx)) {
                    Some(Ok(bytes)) => return Poll::Ready(Some(Ok(Frame::data(bytes)))),
                    None => None,
                    Some(Err(broken)) => {
                        let fault = upstream::fault(broken);
                        let event =
                            pump.events.take().and_then(|(protocol, id)| stream_event(protocol, &fault, &id));
                        Some(event.map(|event| Frame::data(event.into())).ok_or(Aborted))
                    }
                };
                *this = Body::Empty;
                Poll::Ready(frame)
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Body::Empty => true,
            Body::Full(_) => false,
            Body::Pump(pump) => pump.first.is_none() && pump.body.is_done(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Body::Empty => SizeHint::with_exact(0),
            Body::Full(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Body::Pump(pump) => match pump.body.length() {
                Some(length) => SizeHint::with_exact(length),
                None => SizeHint::default(),
            },
        }
    }
}

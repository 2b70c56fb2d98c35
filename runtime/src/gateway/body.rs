//! The body of an answer to a client.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Frame, SizeHint};

use super::forwarded::Pieces;
use super::settle::Settlement;
use super::translated::Transcoding;
use super::waiting::Waiting;
use super::watch::Watch;
use crate::fault::Fault;
use crate::observe::metrics::Outcome;
use crate::stream::event_stream::Boundary;
use crate::stream::unread::Events;
use crate::stream::{StreamFault, error_event};
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
    /// Signs of life, until there is an answer.
    Waiting(Box<Waiting>),
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
    pub(super) held: Pieces,
    pub(super) body: upstream::Body,
    /// How the client can be told that a stream broke that is handed on as it is.
    pub(super) teller: Teller,
    /// What is wrong with what comes next, which is not handed on.
    pub(super) unreadable: Option<StreamFault>,
    /// Whether the connection is to be cut as soon as what was sent before is out.
    pub(super) cutting: bool,
    /// What makes the caller's stream of the provider's; none where they speak the same.
    pub(super) transcoding: Option<Box<Transcoding>>,
    /// What looks at an answer that passes unread.
    pub(super) watch: Option<Watch>,
    pub(super) settlement: Settlement,
}

/// How the client of a stream that is handed on can be told that it broke.
#[derive(Clone, Copy, Debug)]
pub(super) enum Teller {
    /// By one more event.
    Event(Events),
    /// By one more message, between two others.
    Message(Boundary),
    /// Not at all, but by a cut.
    Cut,
}

impl Pump {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Aborted>>> {
        if self.cutting {
            return Poll::Ready(Some(Err(Aborted)));
        }
        if let Some(fault) = self.unreadable.take() {
            return self.cut(&fault.fault(), cx);
        }
        let settlement = &mut self.settlement;
        if let Some(transcoding) = &mut self.transcoding {
            let piece = match self.held.pop_front() {
                Some(held) => Some(held),
                None => std::task::ready!(transcoding.poll(cx, &mut self.body, settlement)),
            };
            settlement.bytes_out += piece.as_ref().map_or(0, Bytes::len) as u64;
            return Poll::Ready(piece.map(Ok));
        }
        let piece = match self.held.pop_front() {
            Some(held) => Some(Ok(held)),
            None => std::task::ready!(self.body.poll(cx)),
        };
        if self.held.is_empty() && self.body.is_done() {
            settlement.outcome = Outcome::Complete;
        }
        match piece {
            Some(Ok(mut bytes)) => {
                let judges = self.watch.as_ref().is_some_and(Watch::judges);
                let (wrong, fault) = match &mut self.teller {
                    Teller::Event(events) if judges => (events.push(&bytes), StreamFault::NotJson),
                    Teller::Message(boundary) => (boundary.push(&bytes), StreamFault::BadFrame),
                    Teller::Event(_) | Teller::Cut => (None, StreamFault::NotJson),
                };
                if let Some(at) = wrong {
                    // The client gets what it can read, and then is told.
                    if at == 0 {
                        return self.cut(&fault.fault(), cx);
                    }
                    bytes.truncate(at);
                    self.unreadable = Some(fault);
                }
                if let Some(watch) = &mut self.watch {
                    watch.push(&bytes);
                }
                if settlement.first_byte.is_none() {
                    settlement.first_byte = Some(settlement.started.elapsed());
                }
                settlement.bytes_out += bytes.len() as u64;
                Poll::Ready(Some(Ok(bytes)))
            }
            Some(Err(broken)) => self.cut(&upstream::fault(broken), cx),
            None if self.watch.as_mut().is_some_and(Watch::is_cut) => self.cut(&StreamFault::Cut.fault(), cx),
            None => Poll::Ready(None),
        }
    }

    /// Tells the client that the answer broke off, in the stream where that is possible.
    fn cut(&mut self, fault: &Fault, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Aborted>>> {
        self.settlement.failed(Outcome::Cut, fault);
        let mut told = Vec::new();
        match self.teller {
            // The blank line ends an event that was cut in the middle.
            Teller::Event(_) => told.extend_from_slice(b"\n\n"),
            Teller::Message(boundary) if boundary.is_between() => {}
            Teller::Message(_) | Teller::Cut => {
                // Polled again once what was sent before has left: a cut would take it along.
                self.cutting = true;
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
        }
        error_event(self.settlement.protocol, fault, &self.settlement.request_id, &mut told);
        Poll::Ready(Some(Ok(Bytes::from(told))))
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
        if let Body::Waiting(waiting) = this {
            match std::task::ready!(waiting.poll(cx)) {
                Ok(sign) => return Poll::Ready(Some(Ok(Frame::data(sign)))),
                Err(answer) => *this = answer,
            }
        }
        match this {
            Body::Waiting(_) => Poll::Pending,
            Body::Empty => Poll::Ready(None),
            Body::Full(bytes) => {
                let bytes = std::mem::take(bytes);
                *this = Body::Empty;
                Poll::Ready(Some(Ok(Frame::data(bytes))))
            }
            Body::Pump(pump) => {
                let frame = std::task::ready!(pump.poll(cx));
                let over = !matches!(frame, Some(Ok(_))) || pump.settlement.outcome == Outcome::Cut;
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
            Body::Full(_) | Body::Waiting(_) => false,
            Body::Pump(pump) => {
                // A stream that has to end itself is asked whether it did.
                let is_judged = pump.transcoding.is_some() || pump.watch.as_ref().is_some_and(Watch::judges);
                pump.held.is_empty() && !is_judged && pump.body.is_done()
            }
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Body::Empty => SizeHint::with_exact(0),
            Body::Full(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Body::Waiting(_) => SizeHint::default(),
            Body::Pump(pump) => match pump.body.length() {
                Some(length) if pump.transcoding.is_none() => SizeHint::with_exact(length),
                _ => SizeHint::default(),
            },
        }
    }
}

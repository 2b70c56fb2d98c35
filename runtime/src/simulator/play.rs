//! A response body that follows a script: bytes, pauses, and an end or a break.

use std::collections::VecDeque;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use tokio::time::{Sleep, sleep};

/// Bytes in a piece of a stream that is cut without regard to characters and frames.
const SHRED: usize = 7;

/// Lets what was written before reach the peer, since a broken connection drops what waits.
const FLUSH: Duration = Duration::from_millis(20);

/// One step of a script.
#[derive(Clone, Debug)]
enum Step {
    Send(Bytes),
    Wait(Duration),
    Break,
}

/// The body.
pub(super) struct Play {
    steps: VecDeque<Step>,
    waiting: Option<Pin<Box<Sleep>>>,
    /// Bytes to come, where that is to be announced.
    length: Option<u64>,
}

impl Play {
    /// A body that is whole at once.
    pub(super) fn whole(body: Bytes) -> Self {
        let length = Some(body.len() as u64);
        Self { steps: VecDeque::from([Step::Send(body)]), waiting: None, length }
    }

    /// Frames one after another, with a pause before each but the first.
    pub(super) fn stream(frames: Vec<Bytes>, pace: Option<Duration>) -> Self {
        let mut steps = VecDeque::with_capacity(frames.len() * 2);
        for frame in frames {
            if let Some(pace) = pace.filter(|_| !steps.is_empty()) {
                steps.push_back(Step::Wait(pace));
            }
            steps.push_back(Step::Send(frame));
        }
        Self { steps, waiting: None, length: None }
    }

    /// The same bytes in pieces that respect neither frames nor characters.
    pub(super) fn shredded(frames: &[Bytes]) -> Self {
        let whole = Bytes::from(frames.concat());
        let pieces = (0..whole.len()).step_by(SHRED).map(|at| whole.slice(at..whole.len().min(at + SHRED)));
        // Without a pause the pieces would be joined again on their way to the socket.
        Self::stream(pieces.collect(), Some(Duration::from_micros(200)))
    }

    /// The frames and then a broken connection.
    pub(super) fn broken(frames: Vec<Bytes>) -> Self {
        let mut play = Self::stream(frames, None);
        play.steps.extend([Step::Wait(FLUSH), Step::Break]);
        play
    }

    /// Some bytes at a time, a pause before each but the first.
    pub(super) fn drip(whole: &Bytes, bytes: usize, every: Duration, length: Option<usize>) -> Self {
        let bytes = bytes.max(1);
        let pieces = (0..whole.len()).step_by(bytes).map(|at| whole.slice(at..whole.len().min(at + bytes)));
        let mut play = Self::stream(pieces.collect(), Some(every));
        play.length = length.map(|length| length as u64);
        play
    }

    /// Adds a pause before all of it.
    pub(super) fn hold(&mut self, time: Duration) {
        if !time.is_zero() {
            self.steps.push_front(Step::Wait(time));
        }
    }

    /// Nothing for a time, then a broken connection.
    pub(super) fn silent(time: Duration) -> Self {
        Self { steps: VecDeque::from([Step::Wait(time), Step::Break]), waiting: None, length: None }
    }
}

impl Body for Play {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        loop {
            if let Some(waiting) = &mut self.waiting {
                ready!(waiting.as_mut().poll(context));
                self.waiting = None;
            }
            match self.steps.pop_front() {
                None => return Poll::Ready(None),
                Some(Step::Send(bytes)) => return Poll::Ready(Some(Ok(Frame::data(bytes)))),
                Some(Step::Wait(time)) => self.waiting = Some(Box::pin(sleep(time))),
                Some(Step::Break) => {
                    return Poll::Ready(Some(Err(io::Error::other("the scenario breaks the connection"))));
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.steps.is_empty() && self.waiting.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        match self.length {
            Some(length) if !self.steps.is_empty() => SizeHint::with_exact(length),
            _ => SizeHint::default(),
        }
    }
}

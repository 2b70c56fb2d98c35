//! What a stream is made of, whatever frames it.

use super::{Limits, StreamFault, event_stream, sse};
use crate::Protocol;

/// What a decoder found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Frame<'a> {
    /// An event with data.
    Event {
        /// Its name, outside the data; empty without one.
        name: &'a [u8],
        /// Its data.
        data: &'a [u8],
    },
    /// An error, told by the framing itself.
    Exception {
        /// Its name.
        kind: &'a str,
        /// What is said about it, as JSON.
        data: &'a [u8],
    },
    /// A comment line, which providers send to keep a connection open.
    Comment,
    /// The whole answer: a JSON body instead of events.
    Body(&'a [u8]),
}

/// The decoder of a backend's streams.
#[derive(Debug)]
pub(crate) enum Decoder {
    Sse(sse::Decoder),
    EventStream(event_stream::Decoder),
}

impl Decoder {
    /// A decoder at the start of a stream.
    pub(crate) fn new(backend: Protocol, limits: Limits) -> Self {
        match backend {
            Protocol::Bedrock => Self::EventStream(event_stream::Decoder::new(limits)),
            _ => Self::Sse(sse::Decoder::new(limits)),
        }
    }

    /// Takes the next piece and hands each frame that it completes to `sink`.
    pub(crate) fn push(
        &mut self,
        piece: &[u8],
        sink: &mut impl FnMut(Frame<'_>) -> Result<(), StreamFault>,
    ) -> Result<(), StreamFault> {
        match self {
            Self::Sse(decoder) => decoder.push(piece, sink),
            Self::EventStream(decoder) => decoder.push(piece, sink),
        }
    }

    /// Takes the end of the stream.
    pub(crate) fn finish(
        &mut self,
        sink: &mut impl FnMut(Frame<'_>) -> Result<(), StreamFault>,
    ) -> Result<(), StreamFault> {
        match self {
            Self::Sse(decoder) => decoder.finish(sink),
            Self::EventStream(decoder) => decoder.finish(sink),
        }
    }
}

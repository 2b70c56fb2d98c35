//! What ends a stream early.

use std::fmt;

use super::{event_stream, sse};
use crate::Protocol;
use crate::fault::{Class, Fault, stream_error};

/// Why a stream cannot go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StreamFault {
    /// A line is longer than the limit.
    LineTooLong {
        /// Bytes at most.
        limit: usize,
    },
    /// An event's data is longer than the limit.
    EventTooLarge {
        /// Bytes at most.
        limit: usize,
    },
    /// A JSON body in place of a stream is longer than the limit.
    BodyTooLarge {
        /// Bytes at most.
        limit: usize,
    },
    /// Blocks that have to wait for each other, or are told once more as a whole, hold more than the limit.
    TooMuchHeld {
        /// Bytes at most.
        limit: usize,
    },
    /// The answer has more blocks than the limit.
    TooManyBlocks {
        /// Blocks at most.
        limit: usize,
    },
    /// A frame's lengths or checksums are wrong, or there are no frames at all.
    BadFrame,
    /// An event's data is not JSON.
    NotJson,
    /// An event is JSON of the wrong form; the JSON path and what is wrong with it.
    Malformed {
        /// Path of the value at fault.
        path: String,
        /// What was expected and what was found.
        message: String,
    },
    /// Events come in an order that has no meaning.
    OutOfOrder(&'static str),
    /// The upstream ended the stream before the answer was complete.
    Cut,
    /// The upstream told of an error within the stream.
    Upstream(Box<Fault>),
}

impl StreamFault {
    /// The failure to tell the caller, and to judge another attempt by.
    pub fn fault(&self) -> Fault {
        match self {
            Self::Upstream(fault) => (**fault).clone(),
            Self::Cut => Fault::upstream(Class::Cut, self.to_string()),
            _ => Fault::upstream(Class::Malformed, self.to_string()),
        }
    }
}

/// Appends an error in the client's own form and framing; what stands before must be whole events.
pub fn error_event(client: Protocol, fault: &Fault, request_id: &str, out: &mut Vec<u8>) {
    let error = stream_error(client, fault, request_id);
    match (client, error.name) {
        (Protocol::Bedrock, Some(kind)) => event_stream::write_exception(out, kind, error.data),
        (_, name) => sse::write_event(out, name, |out| out.extend_from_slice(&error.data)),
    }
}

impl fmt::Display for StreamFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LineTooLong { limit } => {
                write!(f, "the provider's stream has a line of more than {limit} bytes")
            }
            Self::EventTooLarge { limit } => {
                write!(f, "the provider's stream has an event of more than {limit} bytes")
            }
            Self::BodyTooLarge { limit } => write!(f, "the provider's answer has more than {limit} bytes"),
            Self::TooMuchHeld { limit } => {
                write!(f, "parts of the provider's answer that have to be kept hold more than {limit} bytes")
            }
            Self::TooManyBlocks { limit } => write!(f, "the provider's answer has more than {limit} parts"),
            Self::BadFrame => f.write_str("the provider's stream is damaged, or is no event stream"),
            Self::NotJson => f.write_str("the provider sent an event that is not JSON"),
            Self::Malformed { path, message } if path.is_empty() => {
                write!(f, "the provider sent an event of the wrong form: {message}")
            }
            Self::Malformed { path, message } => {
                write!(f, "the provider sent an event of the wrong form: {path}: {message}")
            }
            Self::OutOfOrder(what) => write!(f, "the provider's stream makes no sense: {what}"),
            Self::Cut => f.write_str("the provider ended the stream before the answer was complete"),
            Self::Upstream(fault) => f.write_str(&fault.message),
        }
    }
}

impl std::error::Error for StreamFault {}

impl From<busbar_protocols::WireError> for StreamFault {
    fn from(error: busbar_protocols::WireError) -> Self {
        Self::Malformed { path: error.path().to_owned(), message: error.message().to_owned() }
    }
}

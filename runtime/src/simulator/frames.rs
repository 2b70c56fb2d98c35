//! The pieces that a streamed body is sent in.

use bytes::Bytes;
use serde_json::Value;

/// The whole stream of an answer, frame by frame.
pub(super) struct Frames {
    /// How many frames come before the first content.
    pub(super) start: usize,
    pub(super) all: Vec<Bytes>,
}

/// A server-sent event without a name.
pub(super) fn sse(data: &Value) -> Bytes {
    Bytes::from(format!("data: {data}\n\n"))
}

/// A server-sent event with a name.
pub(super) fn sse_named(name: &str, data: &Value) -> Bytes {
    Bytes::from(format!("event: {name}\ndata: {data}\n\n"))
}

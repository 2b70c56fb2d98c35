//! Streams: bytes to events, events of one protocol to events of another, and a look at those that pass.
//!
//! [`Transcoder`] is the translate lane's stream: decoder, reader, shaper, writer, one after the other, without
//! I/O and without a clock. Any chunking of the bytes gives the same output.

mod counted;
pub mod event_stream;
mod fault;
mod frame;
mod limits;
mod opening;
mod read;
mod replay;
mod said;
pub mod scan;
mod shape;
pub mod sse;
mod transcoder;
pub mod unread;
mod usage;
mod write;

pub use fault::{StreamFault, error_event};
pub use frame::Frame;
pub use limits::Limits;
pub use opening::Opening;
pub use replay::error_within;
pub use transcoder::{Progress, Transcoder};
pub use usage::Counts;
pub use write::keep_alive;

#[cfg(test)]
mod tests;

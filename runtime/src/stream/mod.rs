//! Streams: bytes to events, events of one protocol to events of another, and a look at those that pass.

mod fault;
mod limits;
pub mod sse;

pub use fault::StreamFault;
pub use limits::Limits;

//! A self-hosted LLM gateway: six wire protocols in, six out, nothing lost in silence.

pub mod config;
pub mod fault;

/// One of the six wire protocols.
pub use busbar_catalog::Protocol;

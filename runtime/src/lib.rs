//! A self-hosted LLM gateway: six wire protocols in, six out, nothing lost in silence.

pub mod admin;
pub mod breaker;
pub mod config;
pub mod count;
pub mod demo;
pub mod dialect;
pub mod fault;
pub mod fetch;
pub mod gateway;
pub mod lists;
pub mod observe;
pub mod route;
pub mod server;
pub mod simulator;
pub mod stream;
pub mod translate;
pub mod upstream;

/// One of the six wire protocols.
pub use busbar_protocols::Protocol;

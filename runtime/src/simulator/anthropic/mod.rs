//! The `anthropic` protocol: strict requests, native answers.

mod content;
mod emit;
mod request;

pub(super) use emit::{buffered, error_frame, frames};
pub(super) use request::validate;

#[cfg(test)]
mod tests;

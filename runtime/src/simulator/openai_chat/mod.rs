//! The `openai_chat` protocol: strict requests, native answers.

mod emit;
mod messages;
mod request;
pub(super) mod schema;

pub(super) use emit::{buffered, error_frame, frames};
pub(super) use request::validate;

#[cfg(test)]
mod tests;

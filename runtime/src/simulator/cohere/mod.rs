//! The `cohere` protocol: strict requests of chat version 2, native answers.
//!
//! Where the rules come from. Known fields, types and enumerations: the models of the vendor's SDK;
//! an unknown field is refused at any depth, as the API does. Ranges, the counts of stop sequences,
//! images and strict fields, and what does not go together: the API reference and the guides to
//! structured outputs, tools, images and safety modes. The words: the vendor's list of errors, where it has
//! one that fits, and answers that callers have published. A body that cannot be decoded is 422, one
//! that breaks a rule 400. The shapes of answers and streams: the SDK's models and recorded answers.
//!
//! What only some models refuse is taken: both penalties at once, safety switched off, a system
//! message in mid-conversation. So is what the guides only call unsupported in schemas.

mod emit;
mod messages;
mod request;
mod schema;

pub(super) use emit::{buffered, error_frame, error_frame_saying, frames};
pub(super) use request::validate;

#[cfg(test)]
mod tests;

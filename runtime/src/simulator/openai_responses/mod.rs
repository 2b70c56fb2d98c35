//! The `openai_responses` protocol: strict requests, native answers.
//!
//! Members, types and words of requests, items and events are those of the models in the `openai`
//! Python package (`types/responses`) and of the published OpenAPI document; so are the limits that
//! the document states (16 output tokens, 20 log probabilities, 64 characters of a call's id).
//! Pairing, what has to follow reasoning, prefixes of ids, and the words of errors are what the API
//! is seen to answer. Looser than the models are: `id` of reasoning that carries its encrypted
//! content, `id`, `status` and `annotations` of an assistant's message, `strict` and `parameters` of
//! a function, and `detail` of an image, since the API takes requests without them.
//!
//! Nothing is stored. The ids of an answer that asked to be stored tell that they were, so that a
//! reference to one is taken; what it refers to is not remembered. A conversation or a background
//! run is refused. A free-form tool's grammar is checked in form and not followed in a call.

mod content;
mod emit;
mod events;
mod ids;
mod items;
mod request;
mod shape;
mod tools;

pub(super) use emit::{buffered, failed};
pub(super) use events::{error_frame, failed_frame, frames};
pub(super) use request::validate;

#[cfg(test)]
mod tests;

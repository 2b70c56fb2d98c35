//! The `bedrock` protocol: strict requests of Converse and ConverseStream, native answers.
//!
//! Where the rules come from. Members, types, unions, words, lengths, ranges and patterns: the service
//! model of `bedrock-runtime` in botocore, which tells the two operations apart. Counts of pictures and
//! documents, names of documents, the text beside a document, and who may send what: the comments of that
//! model on `Message` and `DocumentBlock`. Roles in turn, blank texts, pairs of calls and results, objects
//! where the model has any JSON, conflicts of additional fields: the service's answers as reported in
//! public issues. Rules around thinking, signatures, cache marks, closed schemas and choices of tools: those
//! of Anthropic's models, which the service hands on behind words of its own. Where no words are known
//! they are our own.
//!
//! Stricter than the service model: an id of a call has letters, digits, `_` and `-` only, since Anthropic's
//! models refuse the rest; the role `system` and changes of tools in mid-conversation are for models that
//! the simulator does not play. Lenient: any model is served, fields of a model that are unknown here are
//! taken, and sizes of pictures and documents are not measured.

mod emit;
mod fields;
mod frame;
mod request;
mod shape;
mod shapes;
mod turns;

pub(super) use emit::{buffered, error_frame, exception_frame, failed_frame, frames};
pub(super) use request::validate;

#[cfg(test)]
mod tests;

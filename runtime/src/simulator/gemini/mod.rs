//! The `gemini` protocol: strict requests, native answers.
//!
//! Where the rules come from. Messages, fields, words and which of a part's members exclude each other:
//! Google's published descriptors of `google.ai.generativelanguage.v1beta`, with the newer fields of the
//! Google SDK that it sends to the Gemini API (those it keeps for Vertex AI are unknown here). Ranges,
//! what goes with what, allowed function names, the five safety categories with settings: the comments
//! of those descriptors. Signatures of calls, the two values that stand for one, public addresses as
//! files, media types and those in results: the guides on thought signatures, file input, and function
//! calling. The words of complaints, and rules that are only seen there (counts and order of calls and
//! results, `$ref` in a result, the schema dialect, names, duplicate functions, budgets, the cache):
//! the API's answers as reported in public issues. Where none is known the words are our own.
//!
//! Lenient: an empty text is a text, a prompt may end with the model's words, thoughts are shown unless
//! `includeThoughts` is false, a signature of words may come back on any part with words, and contents
//! of the model in a row are one turn, as the SDK's own chats send what they read from a stream.

mod emit;
mod fields;
mod parts;
mod proto;
mod request;
mod schema;

pub(super) use emit::{buffered, error_frame, frames, in_array};
pub(super) use request::validate;

#[cfg(test)]
mod tests;

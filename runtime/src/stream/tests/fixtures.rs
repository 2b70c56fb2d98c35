//! Streams as providers send them.

/// Messages: thinking, text, two calls, with pings and counts in the two places.
pub(in crate::stream) const ANTHROPIC_TOOLS: &[u8] = include_bytes!("fixtures/anthropic_tools.sse");
/// Messages: text alone.
pub(in crate::stream) const ANTHROPIC_TEXT: &[u8] = include_bytes!("fixtures/anthropic_text.sse");
/// Chunks: text alone, usage in a chunk of its own.
pub(in crate::stream) const CHAT_TEXT: &[u8] = include_bytes!("fixtures/chat_text.sse");
/// Chunks: reasoning, text, two calls whose arguments come by turns.
pub(in crate::stream) const CHAT_TOOLS: &[u8] = include_bytes!("fixtures/chat_tools.sse");
/// Responses: text alone, with an annotation.
pub(in crate::stream) const RESPONSES_TEXT: &[u8] = include_bytes!("fixtures/responses_text.sse");
/// Responses: reasoning in two parts with its encrypted form, text, two calls.
pub(in crate::stream) const RESPONSES_TOOLS: &[u8] = include_bytes!("fixtures/responses_tools.sse");
/// Responses: text and its signature, counts in each.
pub(in crate::stream) const GEMINI_TEXT: &[u8] = include_bytes!("fixtures/gemini_text.sse");
/// Responses: thoughts, text, two calls of which the first is signed.
pub(in crate::stream) const GEMINI_TOOLS: &[u8] = include_bytes!("fixtures/gemini_tools.sse");
/// Chat events: text, and a citation behind its end.
pub(in crate::stream) const COHERE_TEXT: &[u8] = include_bytes!("fixtures/cohere_text.sse");
/// Chat events: thinking, text, a plan, two calls.
pub(in crate::stream) const COHERE_TOOLS: &[u8] = include_bytes!("fixtures/cohere_tools.sse");

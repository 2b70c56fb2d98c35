//! Lossless wire types of six LLM protocols, a common intermediate form (IR), and the maps between them.
//!
//! ```
//! use busbar_protocols::prelude::{Paths, ReadCx, WriteCx};
//! use busbar_protocols::{Protocol, Wire, anthropic, openai_chat};
//!
//! let body = br#"{"model":"m","max_tokens":64,"top_k":5,"messages":[{"role":"user","content":"Hi \u2603"}]}"#;
//!
//! // Anthropic's request, typed; text still borrows from `body`, escapes and all.
//! let wire = anthropic::MessageCreateParams::parse(body).unwrap();
//!
//! // Into the IR, and out as a Chat Completions request.
//! let mut read = ReadCx::default();
//! let node = anthropic::request_to_ir(wire, &mut read);
//! let mut write = WriteCx::new(Protocol::Anthropic, Protocol::OpenaiChat, &read.paths);
//! let chat = openai_chat::request_from_ir(&node, &mut write);
//!
//! assert!(String::from_utf8(chat.to_json()).unwrap().contains(r#""content":"Hi \u2603""#));
//! assert_eq!(write.ledger.summary(200), "dropped=top_k");
//! ```
//!
//! Every wire object keeps the members that its schema does not declare, in their order; numbers keep
//! their spelling; absent, null and empty are three things; enums are open; a missing member is no error.
//! So `parse` and then `write` gives the same JSON, for any document, including ones newer than this crate.
//!
//! Not here: I/O, streams' framing, and the shape passes that a translation needs between reading and
//! writing (turn order, tool results, signatures); the gateway `busbar` has those.

#![cfg_attr(rustfmt, rustfmt_skip)]

#[cfg(feature = "openai_chat")]
#[rustfmt::skip]
pub mod openai_chat;
#[cfg(feature = "openai_responses")]
#[rustfmt::skip]
pub mod openai_responses;
#[cfg(feature = "anthropic")]
#[rustfmt::skip]
pub mod anthropic;
#[cfg(feature = "gemini")]
#[rustfmt::skip]
pub mod gemini;
#[cfg(feature = "bedrock")]
#[rustfmt::skip]
pub mod bedrock;
#[cfg(feature = "cohere")]
#[rustfmt::skip]
pub mod cohere;
#[rustfmt::skip]
pub mod ir;
#[allow(dead_code, reason = "one protocol alone needs a part of it")]
pub mod prelude;
pub use prelude::{
    AnswerPass, Effect, EffectKind, Fate, Field, Json, Lack, Ledger, Num, Object, Pass,
    Protocol, Row, Rules, Text, Wire, WireError,
};
/// The map of a protocol, row by row; empty when its feature is off.
pub fn rows(protocol: Protocol) -> &'static [Row] {
    match protocol {
        #[cfg(feature = "openai_chat")]
        Protocol::OpenaiChat => openai_chat::ROWS,
        #[cfg(feature = "openai_responses")]
        Protocol::OpenaiResponses => openai_responses::ROWS,
        #[cfg(feature = "anthropic")]
        Protocol::Anthropic => anthropic::ROWS,
        #[cfg(feature = "gemini")]
        Protocol::Gemini => gemini::ROWS,
        #[cfg(feature = "bedrock")]
        Protocol::Bedrock => bedrock::ROWS,
        #[cfg(feature = "cohere")]
        Protocol::Cohere => cohere::ROWS,
        #[allow(unreachable_patterns, reason = "reached when a feature is off")]
        _ => &[],
    }
}
/// What a protocol has no form for; empty when its feature is off.
pub fn lacks(protocol: Protocol) -> &'static [Lack] {
    match protocol {
        #[cfg(feature = "openai_chat")]
        Protocol::OpenaiChat => openai_chat::LACKS,
        #[cfg(feature = "openai_responses")]
        Protocol::OpenaiResponses => openai_responses::LACKS,
        #[cfg(feature = "anthropic")]
        Protocol::Anthropic => anthropic::LACKS,
        #[cfg(feature = "gemini")]
        Protocol::Gemini => gemini::LACKS,
        #[cfg(feature = "bedrock")]
        Protocol::Bedrock => bedrock::LACKS,
        #[cfg(feature = "cohere")]
        Protocol::Cohere => cohere::LACKS,
        #[allow(unreachable_patterns, reason = "reached when a feature is off")]
        _ => &[],
    }
}
/// The limits and quirks of a protocol; none when its feature is off.
pub fn rules(protocol: Protocol) -> Option<&'static Rules> {
    match protocol {
        #[cfg(feature = "openai_chat")]
        Protocol::OpenaiChat => Some(&openai_chat::RULES),
        #[cfg(feature = "openai_responses")]
        Protocol::OpenaiResponses => Some(&openai_responses::RULES),
        #[cfg(feature = "anthropic")]
        Protocol::Anthropic => Some(&anthropic::RULES),
        #[cfg(feature = "gemini")]
        Protocol::Gemini => Some(&gemini::RULES),
        #[cfg(feature = "bedrock")]
        Protocol::Bedrock => Some(&bedrock::RULES),
        #[cfg(feature = "cohere")]
        Protocol::Cohere => Some(&cohere::RULES),
        #[allow(unreachable_patterns, reason = "reached when a feature is off")]
        _ => None,
    }
}
/// The wire path, in its node, of a path of an IR type.
pub(crate) fn wire_name(
    protocol: Protocol,
    ir: &str,
    path: &str,
) -> Option<&'static str> {
    match protocol {
        #[cfg(feature = "openai_chat")]
        Protocol::OpenaiChat => openai_chat::wire_name(ir, path),
        #[cfg(feature = "openai_responses")]
        Protocol::OpenaiResponses => openai_responses::wire_name(ir, path),
        #[cfg(feature = "anthropic")]
        Protocol::Anthropic => anthropic::wire_name(ir, path),
        #[cfg(feature = "gemini")]
        Protocol::Gemini => gemini::wire_name(ir, path),
        #[cfg(feature = "bedrock")]
        Protocol::Bedrock => bedrock::wire_name(ir, path),
        #[cfg(feature = "cohere")]
        Protocol::Cohere => cohere::wire_name(ir, path),
        #[allow(unreachable_patterns, reason = "reached when a feature is off")]
        _ => None,
    }
}
/// Why a wire field is carried as it is, and whether losing it changes the question.
pub(crate) fn keep_reason(
    protocol: Protocol,
    wire: &str,
    field: &str,
) -> Option<(&'static str, bool)> {
    rows(protocol)
        .iter()
        .find(|row| row.wire == wire && row.field == field)
        .and_then(|row| match row.fate {
            Fate::Keep(reason) | Fate::Hand(reason) => Some((reason, false)),
            Fate::KeepSemantic(reason) => Some((reason, true)),
            _ => None,
        })
}

//! What is known about the model that a request goes to: data, never a guess by its name.

use std::collections::HashMap;

/// What is known about the model that a request goes to.
#[derive(Debug, Clone)]
pub struct TargetFacts<'a> {
    /// The model as the provider calls it.
    pub upstream_model: &'a str,
    /// Tokens that the model answers with at most.
    pub max_output_tokens: Option<u64>,
    /// The bound of the answer goes under its older name, which servers that follow OpenAI from afar read.
    pub max_tokens_field_legacy: bool,
    /// How the model takes the wish to reason.
    pub reasoning: ReasoningForm,
    /// Whether the model knows a word for "do not reason".
    pub reasoning_off: bool,
    /// Whether the backend reads reasoning of earlier turns.
    pub reasoning_history: bool,
    /// Whether the backend accepts the signatures of earlier turns; otherwise they are left out with what they sign.
    pub signatures: bool,
    /// Whether the model takes temperature and the like.
    pub sampling: bool,
    /// Whether temperature and probability mass may be set together.
    pub sampling_together: bool,
    /// Whether the model goes on with an answer that is begun for it.
    pub prefill: bool,
    /// Whether the model can be made to call a tool.
    pub forced_tools: bool,
    /// The model as the caller named it in the path, where its protocol has it there and not in the body.
    pub asked_model: Option<&'a str>,
    /// The path asked for a stream, where the caller's protocol does so there and not in the body.
    pub asked_stream: bool,
    /// Seconds since the Unix epoch.
    pub now: u64,
    /// Whose request it is: what one caller leaves in the gateway no other finds.
    pub scope: &'a str,
    /// Whether losing what a request is about is allowed by policy.
    pub allow_semantic_loss: bool,
    /// What was got from addresses in the request so far; none where nothing is to be got.
    pub fetched: Option<&'a HashMap<String, Fetched>>,
}

impl Default for TargetFacts<'_> {
    fn default() -> Self {
        Self {
            upstream_model: "",
            max_output_tokens: None,
            max_tokens_field_legacy: false,
            reasoning: ReasoningForm::Budget,
            reasoning_off: false,
            reasoning_history: true,
            signatures: true,
            sampling: true,
            sampling_together: true,
            prefill: true,
            forced_tools: true,
            asked_model: None,
            asked_stream: false,
            now: 0,
            scope: "",
            allow_semantic_loss: false,
            fetched: None,
        }
    }
}

/// What is at an address that the caller named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetched {
    /// Its media type.
    pub media_type: String,
    /// All of it, in base64.
    pub base64: String,
}

/// An address in a request whose content the target needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// Path of the field that holds it, as the caller wrote it.
    pub path: String,
    /// The address.
    pub address: String,
}

/// How a model takes the wish to reason, where its protocol knows several ways.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum ReasoningForm {
    /// By a number of tokens.
    #[default]
    Budget,
    /// By a word for the effort; the model decides how much.
    Adaptive,
    /// As `Adaptive`, and it cannot be kept from it.
    Always,
    /// Not at all.
    None,
}

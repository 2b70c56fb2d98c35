//! The six protocols from the outside: where a client calls, and how it recognises an error.

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::http::Message;

/// One of the six wire protocols.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// OpenAI chat completions.
    OpenaiChat,
    /// OpenAI responses.
    OpenaiResponses,
    /// Anthropic messages.
    Anthropic,
    /// Gemini generate content.
    Gemini,
    /// Amazon Bedrock converse.
    Bedrock,
    /// Cohere chat, second version.
    Cohere,
}

/// All six.
pub const ALL: [Dialect; 6] = [
    Dialect::OpenaiChat,
    Dialect::OpenaiResponses,
    Dialect::Anthropic,
    Dialect::Gemini,
    Dialect::Bedrock,
    Dialect::Cohere,
];

impl Dialect {
    /// The one name the protocol has everywhere.
    pub fn name(self) -> &'static str {
        match self {
            Self::OpenaiChat => "openai_chat",
            Self::OpenaiResponses => "openai_responses",
            Self::Anthropic => "anthropic",
            Self::Gemini => "gemini",
            Self::Bedrock => "bedrock",
            Self::Cohere => "cohere",
        }
    }

    /// What a provider's base URL has after the address, as the protocol's official SDK means it.
    pub fn base(self) -> &'static str {
        match self {
            Self::OpenaiChat | Self::OpenaiResponses => "/v1",
            _ => "",
        }
    }

    /// The path of a call for a model.
    pub fn path(self, model: &str, stream: bool) -> String {
        match (self, stream) {
            (Self::OpenaiChat, _) => "/v1/chat/completions".into(),
            (Self::OpenaiResponses, _) => "/v1/responses".into(),
            (Self::Anthropic, _) => "/v1/messages".into(),
            (Self::Gemini, false) => format!("/v1beta/models/{model}:generateContent"),
            (Self::Gemini, true) => format!("/v1beta/models/{model}:streamGenerateContent?alt=sse"),
            (Self::Bedrock, false) => format!("/model/{model}/converse"),
            (Self::Bedrock, true) => format!("/model/{model}/converse-stream"),
            (Self::Cohere, _) => "/v2/chat".into(),
        }
    }

    /// Whether a body names the model and asks for a stream; the path does otherwise.
    pub fn names_model_in_body(self) -> bool {
        !matches!(self, Self::Gemini | Self::Bedrock)
    }

    /// A small valid request for a model.
    pub fn request(self, model: &str, stream: bool) -> String {
        let stream = if stream { r#","stream":true"# } else { "" };
        match self {
            Self::OpenaiChat => {
                format!(r#"{{"model":"{model}","messages":[{{"role":"user","content":"Hi"}}]{stream}}}"#)
            }
            Self::OpenaiResponses => format!(r#"{{"model":"{model}","input":"Hi"{stream}}}"#),
            Self::Anthropic => format!(
                r#"{{"model":"{model}","max_tokens":64,"messages":[{{"role":"user","content":"Hi"}}]{stream}}}"#
            ),
            Self::Gemini => r#"{"contents":[{"role":"user","parts":[{"text":"Hi"}]}]}"#.into(),
            Self::Bedrock => r#"{"messages":[{"role":"user","content":[{"text":"Hi"}]}]}"#.into(),
            Self::Cohere => {
                let stream = if stream.is_empty() { r#","stream":false"# } else { stream };
                format!(r#"{{"model":"{model}","messages":[{{"role":"user","content":"Hi"}}]{stream}}}"#)
            }
        }
    }

    /// Reads an error as this protocol's clients do.
    ///
    /// # Errors
    /// When the answer is not an error in the protocol's own form.
    pub fn error(self, answer: &Message) -> Result<NativeError> {
        let content_type = answer.header("content-type").unwrap_or_default();
        ensure!(
            content_type.starts_with("application/json"),
            "content-type {content_type:?}: {}",
            answer.text()
        );
        let body = answer.json()?;
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let (kind, message, param) = match self {
            Self::OpenaiChat | Self::OpenaiResponses => {
                let error = &body["error"];
                for key in ["message", "type", "param", "code"] {
                    ensure!(error.get(key).is_some(), "an OpenAI error has {key}: {body}");
                }
                let kind = text(&error["code"]).or_else(|| text(&error["type"]));
                (kind, text(&error["message"]), text(&error["param"]))
            }
            Self::Anthropic => {
                ensure!(body["type"] == "error", "no Anthropic error: {body}");
                ensure!(body["request_id"].is_string(), "no request id: {body}");
                (text(&body["error"]["type"]), text(&body["error"]["message"]), None)
            }
            Self::Gemini => {
                ensure!(body["error"]["code"] == answer.status(), "code and status differ: {body}");
                (text(&body["error"]["status"]), text(&body["error"]["message"]), None)
            }
            Self::Bedrock => {
                (answer.header("x-amzn-errortype").map(str::to_owned), text(&body["message"]), None)
            }
            Self::Cohere => (Some(String::new()), text(&body["message"]), None),
        };
        Ok(NativeError {
            kind: kind.with_context(|| format!("no kind of error: {body}"))?,
            message: message.with_context(|| format!("no message: {body}"))?,
            param,
        })
    }
}

/// An error as a client sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NativeError {
    /// The machine-readable kind: OpenAI's code, else type; empty for Cohere, which has none.
    pub kind: String,
    /// The text for people.
    pub message: String,
    /// The field at fault, where the protocol has a place for it.
    pub param: Option<String>,
}

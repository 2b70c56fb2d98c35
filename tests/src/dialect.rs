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

    /// The head of a provider's streamed answer, in chunks.
    pub fn stream_head(self) -> Vec<u8> {
        let kind = match self {
            Self::Bedrock => "application/vnd.amazon.eventstream",
            _ => "text/event-stream",
        };
        format!("HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ntransfer-encoding: chunked\r\n\r\n").into_bytes()
    }

    /// What a stream says by these words, without what begins and ends it.
    pub fn words(self, text: &str) -> Vec<u8> {
        let text = Value::from(text);
        let data = match self {
            Self::OpenaiChat => format!(
                r#"{{"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[{{"index":0,"delta":{{"content":{text}}},"finish_reason":null}}]}}"#
            ),
            Self::OpenaiResponses => format!(
                r#"{{"type":"response.output_text.delta","item_id":"i","output_index":0,"content_index":0,"delta":{text},"logprobs":[],"sequence_number":4}}"#
            ),
            Self::Anthropic => format!(
                r#"{{"type":"content_block_delta","index":0,"delta":{{"type":"text_delta","text":{text}}}}}"#
            ),
            Self::Gemini => {
                format!(
                    r#"{{"candidates":[{{"content":{{"role":"model","parts":[{{"text":{text}}}]}},"index":0}}]}}"#
                )
            }
            Self::Bedrock => {
                let payload = format!(r#"{{"contentBlockIndex":0,"delta":{{"text":{text}}}}}"#);
                return frame("contentBlockDelta", payload.as_bytes());
            }
            Self::Cohere => format!(
                r#"{{"type":"content-delta","index":0,"delta":{{"message":{{"content":{{"text":{text}}}}}}}}}"#
            ),
        };
        event(&data)
    }

    /// What says that a stream is complete.
    pub fn end(self) -> Vec<u8> {
        event(match self {
            Self::OpenaiChat => {
                r#"{"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#
            }
            Self::OpenaiResponses => {
                r#"{"type":"response.completed","sequence_number":9,"response":{"id":"r","object":"response","created_at":1,"model":"m","status":"completed","output":[]}}"#
            }
            Self::Anthropic => r#"{"type":"message_stop"}"#,
            Self::Gemini => r#"{"candidates":[{"finishReason":"STOP","index":0}]}"#,
            Self::Bedrock => return frame("messageStop", br#"{"stopReason":"end_turn"}"#),
            Self::Cohere => r#"{"type":"message-end","delta":{"finish_reason":"COMPLETE"}}"#,
        })
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

fn event(data: &str) -> Vec<u8> {
    format!("data: {data}\n\n").into_bytes()
}

/// An event in an AWS event stream.
pub fn frame(event: &str, payload: &[u8]) -> Vec<u8> {
    message(&[(":message-type", "event"), (":event-type", event)], payload)
}

/// An exception in an AWS event stream.
pub fn exception(kind: &str, payload: &[u8]) -> Vec<u8> {
    message(&[(":message-type", "exception"), (":exception-type", kind)], payload)
}

fn message(fields: &[(&str, &str)], payload: &[u8]) -> Vec<u8> {
    /// The prelude, its checksum and the one of the whole.
    const AROUND: usize = 16;
    /// A header's value is text.
    const TEXT: u8 = 7;
    let mut headers = Vec::new();
    for (name, value) in fields.iter().chain([&(":content-type", "application/json")]) {
        headers.push(u8::try_from(name.len()).expect("a short name"));
        headers.extend_from_slice(name.as_bytes());
        headers.push(TEXT);
        headers.extend_from_slice(&u16::try_from(value.len()).expect("a short value").to_be_bytes());
        headers.extend_from_slice(value.as_bytes());
    }
    let length = u32::try_from(AROUND + headers.len() + payload.len()).expect("a short frame");
    let mut frame = length.to_be_bytes().to_vec();
    frame.extend_from_slice(&u32::try_from(headers.len()).expect("short headers").to_be_bytes());
    frame.extend_from_slice(&crc32fast::hash(&frame).to_be_bytes());
    frame.extend_from_slice(&headers);
    frame.extend_from_slice(payload);
    frame.extend_from_slice(&crc32fast::hash(&frame).to_be_bytes());
    frame
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

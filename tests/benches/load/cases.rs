//! What is measured: the request a client sends and the answer the upstream has ready.

use std::time::Duration;

use busbar_tests::dialect;
use serde_json::{Value, json};

/// Chunks of every streamed answer.
const STREAM_CHUNKS: usize = 100;

/// A large body, on the wire, is about this long.
const LARGE: usize = 1_000_000;

/// The model name upstream; what clients send is the case's own name.
pub(crate) const UPSTREAM_MODEL: &str = "bench-model-2026-01-01";

/// The dialects of the bench: clients speak all but Gemini's and Bedrock's, providers all but Responses and Cohere's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    OpenaiChat,
    OpenaiResponses,
    Anthropic,
    Gemini,
    Bedrock,
    Cohere,
}

impl Protocol {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::OpenaiChat => "openai_chat",
            Self::OpenaiResponses => "openai_responses",
            Self::Anthropic => "anthropic",
            Self::Gemini => "gemini",
            Self::Bedrock => "bedrock",
            Self::Cohere => "cohere",
        }
    }

    /// The path a client posts to.
    pub(crate) fn path(self) -> &'static str {
        match self {
            Self::OpenaiChat => "/v1/chat/completions",
            Self::OpenaiResponses => "/v1/responses",
            Self::Anthropic => "/v1/messages",
            Self::Cohere => "/v2/chat",
            Self::Gemini | Self::Bedrock => unreachable!("no client of the bench speaks it"),
        }
    }

    /// What a provider's base URL has after the address, as that protocol's SDK means it.
    pub(crate) fn base(self) -> &'static str {
        match self {
            Self::OpenaiChat | Self::OpenaiResponses => "/v1",
            Self::Anthropic | Self::Gemini | Self::Bedrock | Self::Cohere => "",
        }
    }

    /// The type of a provider's stream.
    fn stream_type(self) -> &'static str {
        match self {
            Self::Bedrock => "application/vnd.amazon.eventstream",
            _ => "text/event-stream",
        }
    }
}

/// How the upstream sends its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    Small,
    Large,
    /// All chunks in one write.
    Burst,
    /// One chunk at a time.
    Paced(Duration),
}

/// One row of the table.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Case {
    pub name: &'static str,
    pub client: Protocol,
    pub backend: Protocol,
    pub large_request: bool,
    pub answer: Answer,
    pub connections: usize,
    /// The highest CPU per request, as a multiple of nginx's, that is aimed at.
    pub aim: Option<f64>,
}

impl Case {
    pub(crate) fn streams(&self) -> bool {
        matches!(self.answer, Answer::Burst | Answer::Paced(_))
    }

    /// The request's body.
    pub(crate) fn request_body(&self) -> Vec<u8> {
        let text = if self.large_request { prose(LARGE) } else { prose(600) };
        let turns = json!([
            {"role": "user", "content": "Which parts of this report should I read first?"},
            {"role": "assistant", "content": "Send it to me and I will tell you."},
            {"role": "user", "content": text},
        ]);
        let mut body = match self.client {
            Protocol::OpenaiResponses => {
                json!({"model": self.name, "max_output_tokens": 1024, "temperature": 0.2, "input": turns})
            }
            _ => json!({"model": self.name, "max_tokens": 1024, "temperature": 0.2, "messages": turns}),
        };
        if self.streams() {
            body["stream"] = json!(true);
        }
        body.to_string().into_bytes()
    }

    /// The answer's head and the pieces that are written after it.
    pub(crate) fn answer(&self) -> (Vec<u8>, Vec<Vec<u8>>) {
        if self.streams() {
            let head = format!(
                "HTTP/1.1 200 OK\r\ncontent-type: {}\r\nrequest-id: req_bench\r\ntransfer-encoding: chunked\r\n\r\n",
                self.backend.stream_type()
            );
            let mut pieces: Vec<Vec<u8>> = events(self.backend).iter().map(|event| chunk(event)).collect();
            pieces.push(b"0\r\n\r\n".to_vec());
            return (head.into(), pieces);
        }
        let text = if self.answer == Answer::Large { prose(LARGE) } else { prose(700) };
        let body = buffered(self.backend, &text).to_string();
        let head = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nrequest-id: req_bench\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        (head.into(), vec![body.into()])
    }

    /// What a right answer, seen by the client, has in it.
    pub(crate) fn proof(&self) -> &'static [&'static str] {
        match (self.client, self.streams()) {
            (Protocol::OpenaiChat, false) => &["\"chat.completion\"", "end-of-prose"],
            (Protocol::OpenaiChat, true) => &["word-0 ", "word-99 ", "data: [DONE]"],
            (Protocol::Anthropic, false) => &["\"type\":\"message\"", "end-of-prose"],
            (Protocol::Anthropic, true) => &["word-0 ", "word-99 ", "event: message_stop"],
            (Protocol::OpenaiResponses, false) => &["\"object\":\"response\"", "end-of-prose"],
            (Protocol::OpenaiResponses, true) => &["word-0 ", "word-99 ", "event: response.completed"],
            (Protocol::Cohere, false) => &["\"finish_reason\":\"COMPLETE\"", "end-of-prose"],
            (Protocol::Cohere, true) => &["word-0 ", "word-99 ", "\"message-end\""],
            (Protocol::Gemini | Protocol::Bedrock, _) => &[],
        }
    }
}

/// Every case, in the order of the table.
pub(crate) fn all() -> Vec<Case> {
    use Answer::{Burst, Large, Paced, Small};
    use Protocol::{Anthropic, Bedrock, Cohere, Gemini, OpenaiChat, OpenaiResponses};
    let paced = Paced(Duration::from_millis(5));
    let case = |name, client, backend, large_request, answer, connections, aim| Case {
        name,
        client,
        backend,
        large_request,
        answer,
        connections,
        aim,
    };
    vec![
        case("forward-small", OpenaiChat, OpenaiChat, false, Small, 32, Some(1.5)),
        case("forward-stream", OpenaiChat, OpenaiChat, false, Burst, 16, Some(1.2)),
        case("forward-stream-paced", OpenaiChat, OpenaiChat, false, paced, 16, Some(1.2)),
        case("forward-1mb-request", OpenaiChat, OpenaiChat, true, Small, 8, Some(1.2)),
        case("forward-1mb-answer", OpenaiChat, OpenaiChat, false, Large, 8, Some(1.2)),
        case("translate-small", OpenaiChat, Anthropic, false, Small, 32, Some(2.0)),
        case("translate-stream", OpenaiChat, Anthropic, false, Burst, 16, Some(1.5)),
        case("translate-stream-paced", OpenaiChat, Anthropic, false, paced, 16, Some(1.5)),
        case("translate-1mb-request", OpenaiChat, Anthropic, true, Small, 8, Some(2.0)),
        case("translate-1mb-answer", OpenaiChat, Anthropic, false, Large, 8, Some(2.0)),
        case("back-small", Anthropic, OpenaiChat, false, Small, 32, Some(2.0)),
        case("back-stream", Anthropic, OpenaiChat, false, Burst, 16, Some(1.5)),
        case("back-1mb-request", Anthropic, OpenaiChat, true, Small, 8, Some(2.0)),
        case("messages-to-bedrock-small", Anthropic, Bedrock, false, Small, 32, Some(2.0)),
        case("messages-to-bedrock-stream", Anthropic, Bedrock, false, Burst, 16, Some(1.5)),
        case("messages-to-bedrock-1mb-request", Anthropic, Bedrock, true, Small, 8, Some(2.0)),
        case("responses-to-gemini-small", OpenaiResponses, Gemini, false, Small, 32, Some(2.0)),
        case("responses-to-gemini-stream", OpenaiResponses, Gemini, false, Burst, 16, Some(1.5)),
        case("responses-to-gemini-1mb-request", OpenaiResponses, Gemini, true, Small, 8, Some(2.0)),
        case("cohere-to-chat-small", Cohere, OpenaiChat, false, Small, 32, Some(2.0)),
        case("cohere-to-chat-stream", Cohere, OpenaiChat, false, Burst, 16, Some(1.5)),
        case("cohere-to-chat-1mb-request", Cohere, OpenaiChat, true, Small, 8, Some(2.0)),
    ]
}

/// Text as people send it: lines, quotes, some letters outside ASCII.
fn prose(length: usize) -> String {
    const LINE: &str =
        "The \"northern\" route takes 14 minutes longer, but the café at Łódź is open till late.\n";
    let mut text = LINE.repeat(length / LINE.len());
    text.push_str("end-of-prose");
    text
}

fn buffered(protocol: Protocol, text: &str) -> Value {
    match protocol {
        Protocol::OpenaiChat => json!({
            "id": "chatcmpl-bench", "object": "chat.completion", "created": 1767225600, "model": UPSTREAM_MODEL,
            "choices": [{"index": 0, "message": {"role": "assistant", "content": text, "refusal": null},
                         "logprobs": null, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 240, "completion_tokens": 180, "total_tokens": 420,
                      "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0}},
            "service_tier": "default"
        }),
        Protocol::Anthropic => json!({
            "id": "msg_bench", "type": "message", "role": "assistant", "model": UPSTREAM_MODEL,
            "content": [{"type": "text", "text": text}], "stop_reason": "end_turn", "stop_sequence": null,
            "usage": {"input_tokens": 240, "output_tokens": 180, "cache_creation_input_tokens": 0,
                      "cache_read_input_tokens": 0, "service_tier": "standard"}
        }),
        Protocol::Gemini => json!({
            "candidates": [{"content": {"role": "model", "parts": [{"text": text}]}, "finishReason": "STOP", "index": 0}],
            "usageMetadata": {"promptTokenCount": 240, "candidatesTokenCount": 180, "totalTokenCount": 420,
                              "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 240}]},
            "modelVersion": UPSTREAM_MODEL, "responseId": "bench"
        }),
        Protocol::Bedrock => json!({
            "output": {"message": {"role": "assistant", "content": [{"text": text}]}}, "stopReason": "end_turn",
            "usage": {"inputTokens": 240, "outputTokens": 180, "totalTokens": 420}, "metrics": {"latencyMs": 551}
        }),
        Protocol::OpenaiResponses | Protocol::Cohere => unreachable!("no provider of the bench speaks it"),
    }
}

/// A stream's events as text, one per chunk, the closing ones included in the count.
fn events(protocol: Protocol) -> Vec<Vec<u8>> {
    let words = (0..STREAM_CHUNKS).map(|index| format!("word-{index} "));
    match protocol {
        Protocol::OpenaiChat => {
            let event = |delta: Value, finish: Value| {
                let body = json!({
                    "id": "chatcmpl-bench", "object": "chat.completion.chunk", "created": 1767225600,
                    "model": UPSTREAM_MODEL, "service_tier": "default", "system_fingerprint": "fp_bench",
                    "choices": [{"index": 0, "delta": delta, "logprobs": null, "finish_reason": finish}]
                });
                format!("data: {body}\n\n").into_bytes()
            };
            let mut events = vec![event(json!({"role": "assistant", "content": ""}), Value::Null)];
            events.extend(words.map(|word| event(json!({"content": word}), Value::Null)));
            events.push(event(json!({}), json!("stop")));
            events.push(b"data: [DONE]\n\n".to_vec());
            events
        }
        Protocol::Anthropic => {
            let event = |body: Value| {
                let kind = body["type"].as_str().unwrap_or_default().to_owned();
                format!("event: {kind}\ndata: {body}\n\n").into_bytes()
            };
            let mut events = vec![
                event(json!({"type": "message_start", "message": {
                    "id": "msg_bench", "type": "message", "role": "assistant", "model": UPSTREAM_MODEL,
                    "content": [], "stop_reason": null, "stop_sequence": null,
                    "usage": {"input_tokens": 240, "output_tokens": 1, "cache_creation_input_tokens": 0,
                              "cache_read_input_tokens": 0}}})),
                event(json!({"type": "content_block_start", "index": 0,
                             "content_block": {"type": "text", "text": ""}})),
            ];
            events.extend(words.map(|word| {
                event(json!({"type": "content_block_delta", "index": 0,
                             "delta": {"type": "text_delta", "text": word}}))
            }));
            events.push(event(json!({"type": "content_block_stop", "index": 0})));
            events.push(event(json!({"type": "message_delta", "delta": {"stop_reason": "end_turn",
                "stop_sequence": null}, "usage": {"output_tokens": 180}})));
            events.push(event(json!({"type": "message_stop"})));
            events
        }
        Protocol::Gemini => {
            let event = |text: &str, finish: Value| {
                let mut candidate =
                    json!({"content": {"role": "model", "parts": [{"text": text}]}, "index": 0});
                if !finish.is_null() {
                    candidate["finishReason"] = finish;
                }
                let body = json!({
                    "candidates": [candidate],
                    "usageMetadata": {"promptTokenCount": 240, "candidatesTokenCount": 180, "totalTokenCount": 420},
                    "modelVersion": UPSTREAM_MODEL, "responseId": "bench"
                });
                format!("data: {body}\r\n\r\n").into_bytes()
            };
            let mut events: Vec<_> = words.map(|word| event(&word, Value::Null)).collect();
            events.push(event("", json!("STOP")));
            events
        }
        Protocol::Bedrock => {
            let mut events = vec![frame("messageStart", &json!({"role": "assistant"}))];
            events.extend(words.map(|word| {
                frame("contentBlockDelta", &json!({"contentBlockIndex": 0, "delta": {"text": word}}))
            }));
            events.push(frame("contentBlockStop", &json!({"contentBlockIndex": 0})));
            events.push(frame("messageStop", &json!({"stopReason": "end_turn"})));
            let usage = json!({"inputTokens": 240, "outputTokens": 180, "totalTokens": 420});
            events.push(frame("metadata", &json!({"usage": usage, "metrics": {"latencyMs": 551}})));
            events
        }
        Protocol::OpenaiResponses | Protocol::Cohere => unreachable!("no provider of the bench speaks it"),
    }
}

fn frame(kind: &str, body: &Value) -> Vec<u8> {
    dialect::frame(kind, body.to_string().as_bytes())
}

fn chunk(payload: &[u8]) -> Vec<u8> {
    [format!("{:x}\r\n", payload.len()).as_bytes(), payload, b"\r\n"].concat()
}

//! What is measured: the request a client sends and the answer the upstream has ready.

use std::time::Duration;

use serde_json::{Value, json};

/// Chunks of every streamed answer.
const STREAM_CHUNKS: usize = 100;

/// A large body, on the wire, is about this long.
const LARGE: usize = 1_000_000;

/// The model name upstream; what clients send is the case's own name.
pub(crate) const UPSTREAM_MODEL: &str = "bench-model-2026-01-01";

/// The two dialects of the bench.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    OpenaiChat,
    Anthropic,
}

impl Protocol {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::OpenaiChat => "openai_chat",
            Self::Anthropic => "anthropic",
        }
    }

    /// The path a client posts to.
    pub(crate) fn path(self) -> &'static str {
        match self {
            Self::OpenaiChat => "/v1/chat/completions",
            Self::Anthropic => "/v1/messages",
        }
    }

    /// What a provider's base URL has after the address, as that protocol's SDK means it.
    pub(crate) fn base(self) -> &'static str {
        match self {
            Self::OpenaiChat => "/v1",
            Self::Anthropic => "",
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
        let mut body = json!({"model": self.name, "max_tokens": 1024, "temperature": 0.2, "messages": turns});
        if self.streams() {
            body["stream"] = json!(true);
        }
        body.to_string().into_bytes()
    }

    /// The answer's head and the pieces that are written after it.
    pub(crate) fn answer(&self) -> (Vec<u8>, Vec<Vec<u8>>) {
        if self.streams() {
            let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nrequest-id: req_bench\r\n\
                        transfer-encoding: chunked\r\n\r\n";
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
        }
    }
}

/// Every case, in the order of the table.
pub(crate) fn all() -> Vec<Case> {
    use Answer::{Burst, Large, Paced, Small};
    use Protocol::{Anthropic, OpenaiChat};
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
    }
}

/// A stream's events as text, one per chunk, the closing ones included in the count.
fn events(protocol: Protocol) -> Vec<String> {
    let words = (0..STREAM_CHUNKS).map(|index| format!("word-{index} "));
    match protocol {
        Protocol::OpenaiChat => {
            let event = |delta: Value, finish: Value| {
                let body = json!({
                    "id": "chatcmpl-bench", "object": "chat.completion.chunk", "created": 1767225600,
                    "model": UPSTREAM_MODEL, "service_tier": "default", "system_fingerprint": "fp_bench",
                    "choices": [{"index": 0, "delta": delta, "logprobs": null, "finish_reason": finish}]
                });
                format!("data: {body}\n\n")
            };
            let mut events = vec![event(json!({"role": "assistant", "content": ""}), Value::Null)];
            events.extend(words.map(|word| event(json!({"content": word}), Value::Null)));
            events.push(event(json!({}), json!("stop")));
            events.push("data: [DONE]\n\n".into());
            events
        }
        Protocol::Anthropic => {
            let event = |body: Value| {
                let kind = body["type"].as_str().unwrap_or_default().to_owned();
                format!("event: {kind}\ndata: {body}\n\n")
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
    }
}

fn chunk(payload: &str) -> Vec<u8> {
    format!("{:x}\r\n{payload}\r\n", payload.len()).into_bytes()
}

//! Answers in the form of chat version 2: one message, or the events that make it.

use bytes::Bytes;
use serde_json::{Value, json};

use crate::simulator::answer::{Answer, Finish, Piece, Seen, Usage, tokens};
use crate::simulator::frames::{Frames, sse_named};

/// What is said before the first call.
const PLAN: &str = "I will use the tools.";

/// The whole answer.
pub(in crate::simulator) fn buffered(seen: &Seen, answer: &Answer) -> Value {
    let mut message = json!({"role": "assistant"});
    let mut content = Vec::new();
    let mut calls = Vec::new();
    let mut logprobs = Vec::new();
    for piece in shown(answer) {
        match piece {
            Piece::Text(text) | Piece::Refusal(text) | Piece::Cited(text) => {
                if matches!(piece, Piece::Cited(_)) && !seen.no_citations {
                    message["citations"] = json!([citation(seen, text, content.len())]);
                }
                content.push(json!({"type": "text", "text": text}));
                logprobs.extend(tokens(text).map(logprob));
            }
            Piece::Thinking(text) => {
                content.push(json!({"type": "thinking", "thinking": text}));
                logprobs.extend(tokens(text).map(logprob));
            }
            Piece::Call { name, arguments } => calls.push(call(answer, calls.len(), name, arguments)),
            Piece::Redacted(_) => {}
        }
    }
    if !content.is_empty() {
        message["content"] = Value::Array(content);
    }
    if !calls.is_empty() {
        message["tool_plan"] = Value::from(PLAN);
        message["tool_calls"] = Value::Array(calls);
    }
    let mut whole = json!({
        "id": id(answer), "finish_reason": reason(&answer.finish), "message": message,
        "usage": usage(&answer.usage),
    });
    if seen.logprobs {
        whole["logprobs"] = Value::Array(logprobs);
    }
    whole
}

/// The events of a streamed answer.
pub(in crate::simulator) fn frames(seen: &Seen, answer: &Answer) -> Frames {
    let start = json!({"message": {
        "role": "assistant", "content": [], "tool_plan": "", "tool_calls": [], "citations": [],
    }});
    let mut all = vec![event(json!({"id": id(answer), "type": "message-start", "delta": start}))];
    let mut calls = 0;
    let mut blocks = 0;
    for piece in shown(answer) {
        match piece {
            Piece::Text(text) | Piece::Cited(text) | Piece::Refusal(text) | Piece::Thinking(text) => {
                block(seen, piece, text, blocks, &mut all);
                blocks += 1;
            }
            Piece::Call { name, arguments } => {
                if calls == 0 {
                    all.extend(tokens(PLAN).map(|token| {
                        event(json!({"type": "tool-plan-delta", "delta": {"message": {"tool_plan": token}}}))
                    }));
                }
                all.push(event(json!({
                    "type": "tool-call-start", "index": calls,
                    "delta": {"message": {"tool_calls": call(answer, calls, name, "")}},
                })));
                all.extend(halves(arguments).into_iter().map(|part| {
                    event(json!({
                        "type": "tool-call-delta", "index": calls,
                        "delta": {"message": {"tool_calls": {"function": {"arguments": part}}}},
                    }))
                }));
                all.push(event(json!({"type": "tool-call-end", "index": calls})));
                calls += 1;
            }
            Piece::Redacted(_) => {}
        }
    }
    let end = json!({"finish_reason": reason(&answer.finish), "usage": usage(&answer.usage)});
    all.push(event(json!({"type": "message-end", "delta": end})));
    Frames { start: 1, all }
}

/// How a stream that fails ends: there is no error event, the last one tells it.
pub(in crate::simulator) fn error_frame() -> Bytes {
    error_frame_saying("internal server error")
}

/// The same in other words.
pub(in crate::simulator) fn error_frame_saying(words: &str) -> Bytes {
    event(json!({"type": "message-end", "delta": {
        "finish_reason": "ERROR", "error": words,
        "usage": {"billed_units": {"input_tokens": 0, "output_tokens": 0}},
    }}))
}

/// The events of one block of content.
fn block(seen: &Seen, piece: &Piece, text: &str, index: usize, all: &mut Vec<Bytes>) {
    let kind = if matches!(piece, Piece::Thinking(_)) { "thinking" } else { "text" };
    all.push(event(json!({
        "type": "content-start", "index": index,
        "delta": {"message": {"content": {"type": kind, kind: ""}}},
    })));
    for token in tokens(text) {
        let mut delta = json!({
            "type": "content-delta", "index": index, "delta": {"message": {"content": {kind: token}}},
        });
        if seen.logprobs {
            delta["logprobs"] = logprob(token);
        }
        all.push(event(delta));
    }
    if matches!(piece, Piece::Cited(_)) && !seen.no_citations {
        all.push(event(json!({
            "type": "citation-start", "index": 0,
            "delta": {"message": {"citations": citation(seen, text, index)}},
        })));
        all.push(event(json!({"type": "citation-end", "index": 0})));
    }
    all.push(event(json!({"type": "content-end", "index": index})));
}

/// An event bears its type as its name, too.
fn event(event: Value) -> Bytes {
    sse_named(event.get("type").and_then(Value::as_str).unwrap_or_default(), &event)
}

/// The pieces without the thinking, where that is switched off.
fn shown(answer: &Answer) -> impl Iterator<Item = &Piece> {
    let hidden = |piece: &Piece| answer.omit_thinking && matches!(piece, Piece::Thinking(_));
    answer.pieces.iter().filter(move |piece| !hidden(piece))
}

/// Arguments in two parts; a call without arguments has no delta at all.
fn halves(arguments: &str) -> Vec<&str> {
    if arguments == "{}" {
        return Vec::new();
    }
    let middle = arguments.char_indices().nth(arguments.chars().count() / 2).map_or(0, |(at, _)| at);
    let (first, second) = arguments.split_at(middle);
    [first, second].into_iter().filter(|part| !part.is_empty()).collect()
}

/// A UUID.
fn id(answer: &Answer) -> String {
    let digits = format!("{:016x}{:016x}", answer.seed, answer.seed.rotate_left(32));
    let (a, b, c, d, e) = (&digits[..8], &digits[8..12], &digits[13..16], &digits[17..20], &digits[20..]);
    format!("{a}-{b}-4{c}-8{d}-{e}")
}

fn call(answer: &Answer, n: usize, name: &str, arguments: &str) -> Value {
    let id = format!("{name}_{:08x}{n:04x}", answer.seed & 0xffff_ffff);
    json!({"id": id, "type": "function", "function": {"name": name, "arguments": arguments}})
}

/// A citation of the whole text, from all that was given with the request.
fn citation(seen: &Seen, text: &str, index: usize) -> Value {
    let plain =
        || json!([{"type": "document", "id": "doc:0", "document": {"id": "doc:0", "title": "A document"}}]);
    let sources = if seen.sources.is_empty() { plain() } else { Value::from(seen.sources.clone()) };
    let mut citation = json!({
        "start": 0, "end": text.chars().count(), "text": text, "sources": sources, "type": "TEXT_CONTENT",
    });
    // The first block is what is meant where none is named.
    if index > 0 {
        citation["content_index"] = Value::from(index);
    }
    citation
}

fn logprob(token: &str) -> Value {
    let id: u32 = token.bytes().fold(0, |id, byte| (id * 31 + u32::from(byte)) % 255_000);
    json!({"text": token, "token_ids": [id], "logprobs": [-0.25]})
}

fn reason(finish: &Finish) -> &'static str {
    match finish {
        Finish::End | Finish::Refusal => "COMPLETE",
        Finish::Calls => "TOOL_CALL",
        Finish::Limit | Finish::Window => "MAX_TOKENS",
        Finish::Sequence(_) => "STOP_SEQUENCE",
    }
}

/// All tokens of the prompt, those of the cache among them; what is billed is less.
fn usage(usage: &Usage) -> Value {
    json!({
        "billed_units": {"input_tokens": usage.input, "output_tokens": usage.output},
        "tokens": {"input_tokens": usage.prompt(), "output_tokens": usage.output},
        "cached_tokens": usage.cache_read,
    })
}

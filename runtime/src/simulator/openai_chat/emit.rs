//! Answers in the Chat Completions form: one completion, or its chunks.

use bytes::Bytes;
use serde_json::{Map, Value, json};

use crate::simulator::Wire;
use crate::simulator::answer::{Answer, Finish, Piece, Seen, Usage, tokens};
use crate::simulator::frames::{Frames, sse};
use crate::simulator::refusal::Refusal;

/// Every answer was made at this second, so that equal requests get equal answers.
const CREATED: u64 = 1_760_000_000;

/// The whole completion.
pub(in crate::simulator) fn buffered(seen: &Seen, answer: &Answer) -> Value {
    let mut message = Map::new();
    message.insert("role".to_owned(), Value::from("assistant"));
    message.insert("content".to_owned(), Value::Null);
    message.insert("refusal".to_owned(), Value::Null);
    let mut calls = Vec::new();
    let mut annotations = Vec::new();
    for piece in &answer.pieces {
        match piece {
            Piece::Text(text) => append(&mut message, "content", text),
            Piece::Cited(text) => {
                append(&mut message, "content", text);
                annotations.push(annotation(text));
            }
            Piece::Thinking(text) => append(&mut message, "reasoning_content", text),
            Piece::Refusal(text) => append(&mut message, "refusal", text),
            Piece::Call { name, arguments } => calls.push(json!({
                "id": answer.id("call_", calls.len()), "type": "function",
                "function": {"name": name, "arguments": arguments},
            })),
            // Nothing of hidden reasoning is shown here but its tokens in the usage.
            Piece::Redacted(_) => {}
        }
    }
    message.insert("annotations".to_owned(), Value::Array(annotations));
    if calls.is_empty() {
        // An answer without content is an empty text here, but a refusal has none.
        if message["content"].is_null() && message["refusal"].is_null() {
            message.insert("content".to_owned(), Value::from(""));
        }
    } else {
        message.insert("tool_calls".to_owned(), Value::Array(calls));
    }
    let finish = reason(answer);
    let choices: Vec<Value> = (0..seen.choices.max(1))
        .map(|index| json!({"index": index, "message": message, "logprobs": null, "finish_reason": finish}))
        .collect();
    json!({
        "id": answer.id("chatcmpl-", 0), "object": "chat.completion", "created": CREATED, "model": seen.model,
        "choices": choices,
        "usage": usage(&answer.usage), "service_tier": "default", "system_fingerprint": "fp_simulator",
    })
}

/// The chunks of a streamed completion.
pub(in crate::simulator) fn frames(seen: &Seen, answer: &Answer) -> Frames {
    let choices = seen.choices.max(1);
    // All alternatives say the same, one chunk each in turn, in one frame.
    let chunk = |delta: Value, finish: Value| {
        let chunks = (0..choices).map(|index| {
            let mut chunk = shell(seen, answer);
            chunk["choices"] =
                json!([{"index": index, "delta": delta, "logprobs": null, "finish_reason": finish}]);
            sse(&chunk)
        });
        Bytes::from(chunks.collect::<Vec<_>>().concat())
    };
    let delta = |delta: Value| chunk(delta, Value::Null);
    let mut all = vec![delta(json!({"role": "assistant", "content": "", "refusal": null}))];
    let mut calls = 0;
    for piece in &answer.pieces {
        match piece {
            Piece::Text(text) => all.extend(tokens(text).map(|token| delta(json!({"content": token})))),
            Piece::Cited(text) => {
                all.extend(tokens(text).map(|token| delta(json!({"content": token}))));
                all.push(delta(json!({"annotations": [annotation(text)]})));
            }
            Piece::Thinking(text) => {
                all.extend(tokens(text).map(|token| delta(json!({"reasoning_content": token}))));
            }
            Piece::Refusal(text) => all.extend(tokens(text).map(|token| delta(json!({"refusal": token})))),
            Piece::Call { name, arguments } => {
                all.push(delta(json!({"tool_calls": [{
                    "index": calls, "id": answer.id("call_", calls), "type": "function",
                    "function": {"name": name, "arguments": ""},
                }]})));
                let middle =
                    arguments.char_indices().nth(arguments.chars().count() / 2).map_or(0, |(at, _)| at);
                let (first, second) = arguments.split_at(middle);
                all.extend([first, second].iter().map(|part| {
                    delta(json!({"tool_calls": [{"index": calls, "function": {"arguments": part}}]}))
                }));
                calls += 1;
            }
            Piece::Redacted(_) => {}
        }
    }
    all.push(chunk(json!({}), Value::from(reason(answer))));
    if seen.include_usage {
        let mut last = shell(seen, answer);
        last["choices"] = json!([]);
        last["usage"] = usage(&answer.usage);
        all.push(sse(&last));
    }
    all.push(Bytes::from_static(b"data: [DONE]\n\n"));
    Frames { start: 1, all }
}

/// An error inside a stream.
pub(in crate::simulator) fn error_frame() -> Bytes {
    let refusal =
        Refusal::status(Wire::OpenaiChat, 500, "The server had an error while processing your request.");
    sse(&refusal.body(Wire::OpenaiChat, ""))
}

fn shell(seen: &Seen, answer: &Answer) -> Value {
    let mut shell = json!({
        "id": answer.id("chatcmpl-", 0), "object": "chat.completion.chunk", "created": CREATED,
        "model": seen.model, "service_tier": "default", "system_fingerprint": "fp_simulator", "choices": [],
    });
    if seen.include_usage {
        shell["usage"] = Value::Null;
    }
    shell
}

fn append(message: &mut Map<String, Value>, name: &str, text: &str) {
    let before = message.get(name).and_then(Value::as_str).unwrap_or_default();
    let after = format!("{before}{text}");
    message.insert(name.to_owned(), Value::from(after));
}

fn annotation(text: &str) -> Value {
    json!({"type": "url_citation", "url_citation": {
        "url": "https://example.com/sky", "title": "The sky", "start_index": 0, "end_index": text.chars().count(),
    }})
}

fn reason(answer: &Answer) -> &'static str {
    let refused = answer.pieces.iter().any(|piece| matches!(piece, Piece::Refusal(_)));
    match answer.finish {
        // A refusal that the model does not tell comes from a filter.
        Finish::Refusal if !refused => "content_filter",
        Finish::End | Finish::Sequence(_) | Finish::Refusal => "stop",
        Finish::Calls => "tool_calls",
        Finish::Limit | Finish::Window => "length",
    }
}

fn usage(usage: &Usage) -> Value {
    json!({
        "prompt_tokens": usage.prompt(),
        "completion_tokens": usage.output,
        "total_tokens": usage.prompt() + usage.output,
        "prompt_tokens_details": {"cached_tokens": usage.cache_read, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": usage.reasoning, "audio_tokens": 0,
            "accepted_prediction_tokens": 0, "rejected_prediction_tokens": 0,
        },
    })
}

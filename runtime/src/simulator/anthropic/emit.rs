//! Answers in the Messages API's form: one message, or its events in their exact order.

use bytes::Bytes;
use serde_json::{Value, json};

use crate::simulator::Wire;
use crate::simulator::answer::{Answer, Finish, Piece, Usage, tokens};
use crate::simulator::frames::{Frames, sse_named};
use crate::simulator::refusal::Refusal;
use crate::simulator::sign;

/// The whole message.
pub(in crate::simulator) fn buffered(model: &str, answer: &Answer) -> Value {
    let content: Vec<Value> =
        answer.pieces.iter().enumerate().filter_map(|(n, piece)| block(answer, n, piece)).collect();
    let (reason, sequence) = stop(&answer.finish);
    let mut message = head(model, answer, usage(&answer.usage, answer.usage.output));
    message["content"] = Value::Array(content);
    message["stop_reason"] = Value::from(reason);
    message["stop_sequence"] = sequence;
    message["stop_details"] = details(answer);
    message
}

/// The events of a streamed message.
pub(in crate::simulator) fn frames(model: &str, answer: &Answer) -> Frames {
    let mut out = Vec::new();
    push(&mut out, json!({"type": "message_start", "message": head(model, answer, usage(&answer.usage, 1))}));
    push(&mut out, json!({"type": "ping"}));
    let start = out.len();
    let mut index = 0;
    for (n, piece) in answer.pieces.iter().enumerate() {
        let Some(whole) = block(answer, n, piece) else { continue };
        let (opening, deltas) = parts(whole, piece);
        push(&mut out, json!({"type": "content_block_start", "index": index, "content_block": opening}));
        for delta in deltas {
            push(&mut out, json!({"type": "content_block_delta", "index": index, "delta": delta}));
        }
        push(&mut out, json!({"type": "content_block_stop", "index": index}));
        index += 1;
    }
    let (reason, sequence) = stop(&answer.finish);
    let counted = &answer.usage;
    push(
        &mut out,
        json!({
            "type": "message_delta",
            "delta": {"stop_reason": reason, "stop_sequence": sequence, "stop_details": details(answer)},
            "usage": {
                "input_tokens": counted.input,
                "cache_creation_input_tokens": counted.cache_write(),
                "cache_read_input_tokens": counted.cache_read,
                "output_tokens": counted.output,
                "output_tokens_details": {"thinking_tokens": counted.reasoning},
            },
        }),
    );
    push(&mut out, json!({"type": "message_stop"}));
    Frames { start, all: out }
}

/// An error event inside a stream.
pub(in crate::simulator) fn error_frame() -> Bytes {
    let refusal = Refusal::status(Wire::Anthropic, 529, "Overloaded");
    sse_named("error", &refusal.body(Wire::Anthropic, "req_in_stream"))
}

fn push(out: &mut Vec<Bytes>, event: Value) {
    let name = event.get("type").and_then(Value::as_str).unwrap_or_default().to_owned();
    out.push(sse_named(&name, &event));
}

fn head(model: &str, answer: &Answer, usage: Value) -> Value {
    json!({
        "id": answer.id("msg_01", 0), "type": "message", "role": "assistant", "model": model, "content": [],
        "stop_reason": null, "stop_sequence": null, "stop_details": null, "usage": usage,
    })
}

fn block(answer: &Answer, n: usize, piece: &Piece) -> Option<Value> {
    Some(match piece {
        Piece::Text(text) => json!({"type": "text", "text": text}),
        Piece::Cited(text) => json!({"type": "text", "text": text, "citations": [{
            "type": "char_location", "cited_text": text, "document_index": 0, "document_title": "A document",
            "start_char_index": 0, "end_char_index": text.chars().count(), "file_id": null,
        }]}),
        Piece::Thinking(text) => {
            let shown = if answer.omit_thinking { "" } else { text };
            json!({"type": "thinking", "thinking": shown, "signature": sign::sign("anthropic", shown)})
        }
        Piece::Redacted(text) => json!({"type": "redacted_thinking", "data": sign::seal("anthropic", text)}),
        Piece::Call { name, arguments } => {
            // Arguments that the limit cut are no JSON; the buffered form has only an object.
            let input = serde_json::from_str(arguments).unwrap_or_else(|_| json!({}));
            json!({"type": "tool_use", "id": answer.id("toolu_01", n), "name": name, "input": input})
        }
        // A refusal has no content of its own here: its words stand in `stop_details`.
        Piece::Refusal(_) => return None,
    })
}

/// How a block opens, and what is then added to it.
fn parts(mut whole: Value, piece: &Piece) -> (Value, Vec<Value>) {
    let mut deltas = Vec::new();
    match piece {
        Piece::Text(text) | Piece::Cited(text) => {
            if let Some(citation) = whole.get("citations").and_then(|list| list.get(0)) {
                deltas.push(json!({"type": "citations_delta", "citation": citation}));
                whole["citations"] = json!([]);
            }
            whole["text"] = Value::from("");
            let texts = tokens(text).map(|token| json!({"type": "text_delta", "text": token}));
            deltas.splice(0..0, texts);
        }
        Piece::Thinking(_) => {
            let thought = whole["thinking"].as_str().unwrap_or_default().to_owned();
            deltas.extend(tokens(&thought).map(|token| json!({"type": "thinking_delta", "thinking": token})));
            deltas.push(json!({"type": "signature_delta", "signature": whole["signature"]}));
            whole["thinking"] = Value::from("");
            whole["signature"] = Value::from("");
        }
        Piece::Call { arguments, .. } => {
            whole["input"] = json!({});
            deltas.push(json!({"type": "input_json_delta", "partial_json": ""}));
            let middle = arguments.char_indices().nth(arguments.chars().count() / 2).map_or(0, |(at, _)| at);
            let (first, second) = arguments.split_at(middle);
            for part in [first, second] {
                deltas.push(json!({"type": "input_json_delta", "partial_json": part}));
            }
        }
        Piece::Redacted(_) | Piece::Refusal(_) => {}
    }
    (whole, deltas)
}

fn stop(finish: &Finish) -> (&'static str, Value) {
    match finish {
        Finish::End => ("end_turn", Value::Null),
        Finish::Calls => ("tool_use", Value::Null),
        Finish::Limit => ("max_tokens", Value::Null),
        Finish::Window => ("model_context_window_exceeded", Value::Null),
        Finish::Sequence(sequence) => ("stop_sequence", Value::from(sequence.as_str())),
        Finish::Refusal => ("refusal", Value::Null),
    }
}

fn details(answer: &Answer) -> Value {
    match answer.pieces.first() {
        Some(Piece::Refusal(said)) => json!({"type": "refusal", "category": null, "explanation": said}),
        _ => Value::Null,
    }
}

fn usage(usage: &Usage, output: u64) -> Value {
    json!({
        "input_tokens": usage.input,
        "cache_creation_input_tokens": usage.cache_write(),
        "cache_read_input_tokens": usage.cache_read,
        "cache_creation": {
            "ephemeral_5m_input_tokens": usage.cache_write_5m,
            "ephemeral_1h_input_tokens": usage.cache_write_1h,
        },
        "output_tokens": output,
        "output_tokens_details": {"thinking_tokens": usage.reasoning},
        "server_tool_use": null,
        "service_tier": "standard",
    })
}

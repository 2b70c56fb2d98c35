//! Answers in the form of Converse: one document, or the frames of an event stream.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde_json::{Value, json};

use super::fields;
use super::frame::{event, exception};
use crate::simulator::Wire;
use crate::simulator::answer::{Answer, Finish, Piece, Seen, Usage, tokens};
use crate::simulator::frames::Frames;
use crate::simulator::refusal::Refusal;
use crate::simulator::sign;

/// What a guardrail says in place of an answer.
const BLOCKED: &str = "Sorry, the model cannot answer this question.";

const LATENCY: u64 = 12;

/// The whole answer.
pub(in crate::simulator) fn buffered(seen: &Seen, answer: &Answer) -> Value {
    let content: Vec<Value> = pieces(answer)
        .iter()
        .enumerate()
        .map(|(n, piece)| match piece {
            Piece::Text(text) | Piece::Refusal(text) => json!({"text": text}),
            Piece::Cited(text) => json!({"citationsContent": {
                "content": [{"text": text}], "citations": citations(seen, text),
            }}),
            Piece::Thinking(text) => json!({"reasoningContent": {"reasoningText": {
                "text": text, "signature": sign::sign("bedrock", text),
            }}}),
            Piece::Redacted(text) => json!({"reasoningContent": {"redactedContent": hidden(text)}}),
            Piece::Call { name, arguments } => json!({"toolUse": {
                "toolUseId": answer.id("tooluse_", n), "name": name,
                // Arguments that the limit cut are no JSON; the buffered form has only an object.
                "input": serde_json::from_str(arguments).unwrap_or_else(|_| json!({})),
            }}),
        })
        .collect();
    let mut whole = json!({
        "output": {"message": {"role": "assistant", "content": content}},
        "stopReason": reason(answer),
        "usage": usage(&answer.usage),
        "metrics": {"latencyMs": LATENCY},
    });
    if let Some(wanted) = fields::wanted(seen, &answer.finish) {
        whole["additionalModelResponseFields"] = wanted;
    }
    repeat(seen, answer, &mut whole);
    whole
}

/// The frames of a streamed answer.
pub(in crate::simulator) fn frames(seen: &Seen, answer: &Answer) -> Frames {
    let mut all = vec![event("messageStart", &json!({"role": "assistant"}))];
    for (n, piece) in pieces(answer).iter().enumerate() {
        let delta =
            |delta: Value| event("contentBlockDelta", &json!({"contentBlockIndex": n, "delta": delta}));
        match piece {
            Piece::Text(text) | Piece::Refusal(text) => {
                all.extend(tokens(text).map(|token| delta(json!({"text": token}))));
            }
            Piece::Cited(text) => {
                all.extend(tokens(text).map(|token| delta(json!({"text": token}))));
                all.extend(
                    citations(seen, text).into_iter().map(|citation| delta(json!({"citation": citation}))),
                );
            }
            Piece::Thinking(text) => {
                all.extend(tokens(text).map(|token| delta(json!({"reasoningContent": {"text": token}}))));
                all.push(delta(json!({"reasoningContent": {"signature": sign::sign("bedrock", text)}})));
            }
            Piece::Redacted(text) => {
                all.push(delta(json!({"reasoningContent": {"redactedContent": hidden(text)}})));
            }
            Piece::Call { name, arguments } => {
                let start = json!({"toolUse": {"toolUseId": answer.id("tooluse_", n), "name": name}});
                all.push(event("contentBlockStart", &json!({"contentBlockIndex": n, "start": start})));
                let middle =
                    arguments.char_indices().nth(arguments.chars().count() / 2).map_or(0, |(at, _)| at);
                let (first, second) = arguments.split_at(middle);
                all.extend([first, second].iter().map(|part| delta(json!({"toolUse": {"input": part}}))));
            }
        }
        all.push(event("contentBlockStop", &json!({"contentBlockIndex": n})));
    }
    let mut stop = json!({"stopReason": reason(answer)});
    if let Some(wanted) = fields::wanted(seen, &answer.finish) {
        stop["additionalModelResponseFields"] = wanted;
    }
    all.push(event("messageStop", &stop));
    let mut metadata = json!({"usage": usage(&answer.usage), "metrics": {"latencyMs": LATENCY}});
    repeat(seen, answer, &mut metadata);
    all.push(event("metadata", &metadata));
    Frames { start: 1, all }
}

/// An exception inside a stream.
pub(in crate::simulator) fn error_frame() -> Bytes {
    let refusal = Refusal::status(Wire::Bedrock, 429, "Too many requests");
    exception("throttlingException", &refusal.body(Wire::Bedrock, ""))
}

/// An exception of a status inside a stream.
pub(in crate::simulator) fn exception_frame(status: u16, body: &Value) -> Bytes {
    let name = match status {
        424 => "modelStreamErrorException",
        429 => "throttlingException",
        503 | 529 => "serviceUnavailableException",
        400..500 => "validationException",
        _ => "internalServerException",
    };
    exception(name, body)
}

/// A failure of the model inside a stream, which tells what the model itself said.
pub(in crate::simulator) fn failed_frame() -> Bytes {
    let said = json!({
        "message": "The model stream failed.", "originalStatusCode": 500, "originalMessage": "Internal server error",
    });
    exception("modelStreamErrorException", &said)
}

/// What is said: where nothing may be, a guardrail speaks.
fn pieces(answer: &Answer) -> Vec<Piece> {
    if is_blocked(answer) { vec![Piece::Text(BLOCKED.to_owned())] } else { answer.pieces.clone() }
}

fn is_blocked(answer: &Answer) -> bool {
    answer.finish == Finish::Refusal && answer.pieces.is_empty()
}

/// Adds what the answer repeats of its request, and the trace of a guardrail where it is asked for.
fn repeat(seen: &Seen, answer: &Answer, whole: &mut Value) {
    for name in ["performanceConfig", "serviceTier"] {
        if let Some(value) = seen.echo.get(name) {
            whole[name] = value.clone();
        }
    }
    let Some(guardrail) = seen.echo.get("guardrailConfig") else { return };
    let traced = guardrail.get("trace").is_some_and(|trace| trace != "disabled");
    if traced && is_blocked(answer) {
        let id = guardrail.get("guardrailIdentifier").and_then(Value::as_str).unwrap_or_default();
        let topic = json!({"name": "topic", "type": "DENY", "action": "BLOCKED"});
        whole["trace"] =
            json!({"guardrail": {"inputAssessment": {id: {"topicPolicy": {"topics": [topic]}}}}});
    }
}

fn hidden(text: &str) -> String {
    STANDARD.encode(sign::seal("bedrock", text))
}

/// One citation of each source that may be cited; of a made-up one where none is.
fn citations(seen: &Seen, text: &str) -> Vec<Value> {
    if seen.sources.is_empty() {
        return vec![json!({
            "title": "A document", "sourceContent": [{"text": text}],
            "location": {"documentChar": {"documentIndex": 0, "start": 0, "end": text.chars().count()}},
        })];
    }
    let mut sources = seen.sources.clone();
    for source in &mut sources {
        source["sourceContent"] = json!([{"text": text}]);
    }
    sources
}

fn reason(answer: &Answer) -> &'static str {
    match answer.finish {
        Finish::End => "end_turn",
        Finish::Calls => "tool_use",
        Finish::Limit => "max_tokens",
        Finish::Window => "model_context_window_exceeded",
        Finish::Sequence(_) => "stop_sequence",
        Finish::Refusal if is_blocked(answer) => "guardrail_intervened",
        Finish::Refusal => "content_filtered",
    }
}

/// What is billed; writes to the cache are told by how long they live.
fn usage(usage: &Usage) -> Value {
    let mut counted = json!({
        "inputTokens": usage.input, "outputTokens": usage.output, "totalTokens": usage.prompt() + usage.output,
        "cacheReadInputTokens": usage.cache_read, "cacheWriteInputTokens": usage.cache_write(),
    });
    let details: Vec<Value> = [("5m", usage.cache_write_5m), ("1h", usage.cache_write_1h)]
        .iter()
        .filter(|(_, tokens)| *tokens > 0)
        .map(|(ttl, tokens)| json!({"ttl": ttl, "inputTokens": tokens}))
        .collect();
    if !details.is_empty() {
        counted["cacheDetails"] = Value::Array(details);
    }
    counted
}

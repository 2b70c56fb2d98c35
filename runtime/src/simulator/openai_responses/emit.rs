//! Answers in the Responses form: the whole response and its items.

use serde_json::{Map, Value, json};

use super::ids;
use crate::simulator::answer::{Answer, Finish, Piece, Seen, Usage, tokens};
use crate::simulator::sign;

/// Every answer was made at this second, so that equal requests get equal answers.
const CREATED: u64 = 1_760_000_000;

/// How a response stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    InProgress,
    Completed,
    Incomplete(&'static str),
    Failed,
}

/// The whole response.
pub(in crate::simulator) fn buffered(seen: &Seen, answer: &Answer) -> Value {
    let items = (0..answer.pieces.len()).map(|n| item(seen, answer, n)).collect();
    response(seen, answer, items, ending(answer))
}

/// A response that failed, which has status 200 when it is not streamed.
pub(in crate::simulator) fn failed(seen: &Seen, answer: &Answer) -> Value {
    response(seen, answer, Vec::new(), Standing::Failed)
}

/// How an answer ends.
pub(super) fn ending(answer: &Answer) -> Standing {
    let refused = answer.pieces.iter().any(|piece| matches!(piece, Piece::Refusal(_)));
    match answer.finish {
        Finish::Limit | Finish::Window => Standing::Incomplete("max_output_tokens"),
        // A refusal that the model tells is a whole answer; one that is not told comes from a filter.
        Finish::Refusal if !refused => Standing::Incomplete("content_filter"),
        _ => Standing::Completed,
    }
}

/// The `n`th item, whole.
pub(super) fn item(seen: &Seen, answer: &Answer, n: usize) -> Value {
    let Some(piece) = answer.pieces.get(n) else { return Value::Null };
    let last = n + 1 == answer.pieces.len();
    let status = match ending(answer) {
        Standing::Incomplete(_) if last => "incomplete",
        _ => "completed",
    };
    let stored = seen.echo.get("store") != Some(&Value::Bool(false));
    let id = |prefix: &str| ids::issue(answer, prefix, n, stored);
    let message = |part: Value| json!({"id": id("msg_"), "type": "message", "status": status, "role": "assistant", "content": [part]});
    match piece {
        Piece::Text(text) => message(text_part(seen, text, json!([]))),
        Piece::Cited(text) => message(text_part(
            seen,
            text,
            json!([{
                "type": "url_citation", "url": "https://example.com/sky", "title": "The sky", "start_index": 0,
                "end_index": text.chars().count(),
            }]),
        )),
        Piece::Refusal(text) => message(json!({"type": "refusal", "refusal": text})),
        Piece::Thinking(text) | Piece::Redacted(text) => {
            let hidden = answer.omit_thinking || matches!(piece, Piece::Redacted(_));
            let summary = if hidden { json!([]) } else { json!([{"type": "summary_text", "text": text}]) };
            // It comes without being asked for, as the document says of this member.
            json!({
                "id": id("rs_"), "type": "reasoning", "summary": summary,
                "encrypted_content": sign::seal("responses", text),
            })
        }
        Piece::Call { name, arguments } if seen.custom.contains(name) => json!({
            "id": id("ctc_"), "type": "custom_tool_call", "status": status, "call_id": answer.id("call_", n),
            "name": name, "input": free_form(arguments),
        }),
        Piece::Call { name, arguments } => json!({
            "id": id("fc_"), "type": "function_call", "status": status, "call_id": answer.id("call_", n),
            "name": name, "arguments": arguments,
        }),
    }
}

/// A free-form tool is called with a JSON string, which the limit may have cut; this is its text.
fn free_form(arguments: &str) -> String {
    serde_json::from_str(arguments).unwrap_or_else(|_| arguments.trim_start_matches('"').to_owned())
}

fn text_part(seen: &Seen, text: &str, annotations: Value) -> Value {
    json!({"type": "output_text", "text": text, "annotations": annotations, "logprobs": logprobs(seen, text)})
}

/// Probabilities of each token, where they are asked for.
pub(super) fn logprobs(seen: &Seen, text: &str) -> Value {
    if !seen.logprobs {
        return json!([]);
    }
    let one = |token: &str| json!({"token": token, "bytes": token.as_bytes(), "logprob": -0.25, "top_logprobs": []});
    tokens(text).map(one).collect()
}

/// The response itself, around the items that it has so far.
pub(super) fn response(seen: &Seen, answer: &Answer, output: Vec<Value>, standing: Standing) -> Value {
    let stored = seen.echo.get("store") != Some(&Value::Bool(false));
    let status = match standing {
        Standing::InProgress => "in_progress",
        Standing::Completed => "completed",
        Standing::Incomplete(_) => "incomplete",
        Standing::Failed => "failed",
    };
    let details = match standing {
        Standing::Incomplete(reason) => json!({"reason": reason}),
        _ => Value::Null,
    };
    let error = match standing {
        Standing::Failed => {
            json!({"code": "server_error", "message": "The model failed to generate a response."})
        }
        _ => Value::Null,
    };
    let counted = matches!(standing, Standing::Completed | Standing::Incomplete(_));
    let mut all: Map<String, Value> = seen.echo.clone();
    if counted {
        all.insert("service_tier".to_owned(), json!("default"));
    }
    let own = json!({
        "id": ids::issue(answer, "resp_", 0, stored), "object": "response", "created_at": CREATED,
        "status": status, "background": false,
        "completed_at": (standing == Standing::Completed).then_some(CREATED + 1), "error": error,
        "incomplete_details": details, "model": seen.model, "output": output,
        "usage": counted.then(|| usage(&answer.usage)),
    });
    if let Value::Object(own) = own {
        all.extend(own);
    }
    Value::Object(all)
}

fn usage(usage: &Usage) -> Value {
    json!({
        "input_tokens": usage.prompt(),
        "input_tokens_details": {
            "cached_tokens": usage.cache_read, "cache_write_tokens": usage.cache_write(),
        },
        "output_tokens": usage.output,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning},
        "total_tokens": usage.prompt() + usage.output,
    })
}

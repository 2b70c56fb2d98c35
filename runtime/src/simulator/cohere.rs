//! The `cohere` protocol: chat version 2, the basics checked.

use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::answer::{Answer, Finish, Piece, Seen, Tool, Usage, tokens};
use super::frames::{Frames, sse_named};
use super::refusal::Refusal;

const FIELDS: &[&str] = &[
    "citation_options",
    "documents",
    "frequency_penalty",
    "k",
    "logprobs",
    "max_tokens",
    "messages",
    "model",
    "p",
    "presence_penalty",
    "priority",
    "raw_prompting",
    "reasoning_effort",
    "response_format",
    "safety_mode",
    "seed",
    "stop_sequences",
    "stream",
    "strict_tools",
    "temperature",
    "thinking",
    "tool_choice",
    "tools",
];

const MAX_STOPS: usize = 5;

/// Checks a request.
pub(super) fn validate(body: &Value) -> Result<Seen, Refusal> {
    let invalid = |said: &str| Refusal::invalid(format!("invalid request: {said}"));
    let body = body.as_object().ok_or_else(|| invalid("the body must be an object"))?;
    if let Some(name) = body.keys().find(|name| !FIELDS.contains(&name.as_str())) {
        return Err(invalid(&format!("unknown field: parameter '{name}' is not a valid field")));
    }
    let model = body.get("model").and_then(Value::as_str).filter(|model| !model.is_empty());
    let mut seen = Seen {
        model: model.ok_or_else(|| invalid("model is required"))?.to_owned(),
        stream: body.get("stream").and_then(Value::as_bool).unwrap_or(false),
        limit: body.get("max_tokens").and_then(Value::as_u64),
        documents: body.get("documents").and_then(Value::as_array).map_or(0, Vec::len),
        no_calls: body.get("tool_choice").and_then(Value::as_str) == Some("NONE"),
        ..Seen::default()
    };
    match body.get("temperature").map(Value::as_f64) {
        None => {}
        Some(Some(number)) if (0.0..=1.0).contains(&number) => {}
        Some(_) => return Err(invalid("temperature must be between 0 and 1.0 inclusive")),
    }
    let stops = body.get("stop_sequences").and_then(Value::as_array);
    seen.stop = stops.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect();
    if seen.stop.len() > MAX_STOPS {
        return Err(invalid("too many stop sequences provided"));
    }
    if let Some(format) = body.get("response_format")
        && format.get("type").and_then(Value::as_str) == Some("json_object")
    {
        seen.schema = Some(format.get("json_schema").cloned().unwrap_or_else(|| json!({})));
    }
    for tool in body.get("tools").and_then(Value::as_array).into_iter().flatten() {
        let name = tool.pointer("/function/name").and_then(Value::as_str).filter(|name| !name.is_empty());
        let name = name.ok_or_else(|| invalid("tools must have a function with a name"))?;
        let schema = tool.pointer("/function/parameters").cloned().unwrap_or_else(|| json!({}));
        seen.tools.push(Tool { name: name.to_owned(), schema });
    }
    messages(body, &mut seen)?;
    Ok(seen)
}

fn messages(body: &Map<String, Value>, seen: &mut Seen) -> Result<(), Refusal> {
    let invalid = |said: String| Refusal::invalid(format!("invalid request: {said}"));
    let list = body.get("messages").and_then(Value::as_array).filter(|list| !list.is_empty());
    let list = list.ok_or_else(|| invalid("at least one message is required in 'messages'.".to_owned()))?;
    seen.messages = list.len();
    let mut waiting: Vec<&str> = Vec::new();
    for (n, message) in list.iter().enumerate() {
        let role = message.get("role").and_then(Value::as_str).unwrap_or_default();
        if role != "tool" {
            if !waiting.is_empty() {
                return Err(invalid(format!(
                    "tool calls without results before messages[{n}]: {}",
                    waiting.join(", ")
                )));
            }
            seen.results.clear();
        }
        let said = text(message.get("content"), seen);
        match role {
            "system" | "developer" => seen.system += 1,
            "user" => match said {
                Some(said) if !said.is_empty() => seen.user = said,
                Some(_) if message.get("content").is_some_and(Value::is_array) => {}
                _ => return Err(invalid(format!("message at index {n} must have non-empty content."))),
            },
            "assistant" => {
                let calls = message.get("tool_calls").and_then(Value::as_array);
                waiting = calls.into_iter().flatten().filter_map(|call| call.get("id")?.as_str()).collect();
                if said.is_none() && waiting.is_empty() {
                    return Err(invalid(format!("message at index {n} must have content or tool_calls.")));
                }
            }
            "tool" => {
                let id = message.get("tool_call_id").and_then(Value::as_str).unwrap_or_default();
                let at = waiting.iter().position(|call| *call == id);
                let at =
                    at.ok_or_else(|| invalid(format!("no matching tool call for tool_call_id '{id}'")))?;
                waiting.remove(at);
                seen.results.push(said.unwrap_or_default());
            }
            other => return Err(invalid(format!("unknown role '{other}' at index {n}"))),
        }
    }
    if waiting.is_empty() { Ok(()) } else { Err(invalid("the last tool calls have no results".to_owned())) }
}

fn text(content: Option<&Value>, seen: &mut Seen) -> Option<String> {
    match content {
        Some(Value::String(said)) => Some(said.clone()),
        Some(Value::Array(parts)) => {
            let mut said = String::new();
            for part in parts {
                match part.get("type").and_then(Value::as_str) {
                    Some("image_url") => seen.images += 1,
                    Some("document") => {
                        said.push_str(&part.get("document").map(Value::to_string).unwrap_or_default())
                    }
                    _ => said.push_str(part.get("text").and_then(Value::as_str).unwrap_or_default()),
                }
            }
            Some(said)
        }
        _ => None,
    }
}

/// The whole answer.
pub(super) fn buffered(answer: &Answer) -> Value {
    let mut message = json!({"role": "assistant"});
    let mut content = Vec::new();
    let mut calls = Vec::new();
    for (n, piece) in answer.pieces.iter().enumerate() {
        match piece {
            Piece::Text(text) | Piece::Refusal(text) => content.push(json!({"type": "text", "text": text})),
            Piece::Cited(text) => {
                content.push(json!({"type": "text", "text": text}));
                message["citations"] = json!([citation(text)]);
            }
            Piece::Thinking(text) => content.push(json!({"type": "thinking", "thinking": text})),
            Piece::Call { name, arguments } => calls.push(call(answer, n, name, arguments)),
            Piece::Redacted(_) => {}
        }
    }
    if !content.is_empty() {
        message["content"] = Value::Array(content);
    }
    if !calls.is_empty() {
        message["tool_plan"] = Value::from("I will use the tools.");
        message["tool_calls"] = Value::Array(calls);
    }
    json!({
        "id": answer.id("", 0), "finish_reason": reason(&answer.finish), "message": message,
        "usage": usage(&answer.usage),
    })
}

/// The events of a streamed answer.
pub(super) fn frames(answer: &Answer) -> Frames {
    let mut all = Vec::new();
    let mut push = |kind: &str, index: Option<usize>, delta: Value| {
        let mut event = json!({"type": kind});
        if let Some(index) = index {
            event["index"] = Value::from(index);
        }
        if !delta.is_null() {
            event["delta"] = delta;
        }
        if kind == "message-start" {
            event["id"] = Value::from(answer.id("", 0));
        }
        all.push(sse_named(kind, &event));
    };
    let start = json!({"message": {
        "role": "assistant", "content": [], "tool_plan": "", "tool_calls": [], "citations": [],
    }});
    push("message-start", None, start);
    let mut calls = 0;
    let mut blocks = 0;
    for (n, piece) in answer.pieces.iter().enumerate() {
        match piece {
            Piece::Text(text) | Piece::Cited(text) | Piece::Refusal(text) | Piece::Thinking(text) => {
                let kind = if matches!(piece, Piece::Thinking(_)) { "thinking" } else { "text" };
                let content = |said: &str| json!({"message": {"content": {kind: said}}});
                let mut opening = content("");
                opening["message"]["content"]["type"] = Value::from(kind);
                push("content-start", Some(blocks), opening);
                for token in tokens(text) {
                    push("content-delta", Some(blocks), content(token));
                }
                if matches!(piece, Piece::Cited(_)) {
                    push("citation-start", Some(0), json!({"message": {"citations": citation(text)}}));
                    push("citation-end", Some(0), Value::Null);
                }
                push("content-end", Some(blocks), Value::Null);
                blocks += 1;
            }
            Piece::Call { name, arguments } => {
                if calls == 0 {
                    push("tool-plan-delta", None, json!({"message": {"tool_plan": "I will use the tools."}}));
                }
                push(
                    "tool-call-start",
                    Some(calls),
                    json!({"message": {"tool_calls": call(answer, n, name, "")}}),
                );
                let part = json!({"message": {"tool_calls": {"function": {"arguments": arguments}}}});
                push("tool-call-delta", Some(calls), part);
                push("tool-call-end", Some(calls), Value::Null);
                calls += 1;
            }
            Piece::Redacted(_) => {}
        }
    }
    let end = json!({"finish_reason": reason(&answer.finish), "usage": usage(&answer.usage)});
    push("message-end", None, end);
    Frames { start: 1, all }
}

/// How a stream that fails ends: there is no error event, the last one tells it.
pub(super) fn error_frame() -> Bytes {
    let end = json!({"type": "message-end", "delta": {
        "finish_reason": "ERROR", "error": "internal server error",
        "usage": {"billed_units": {"input_tokens": 0, "output_tokens": 0}},
    }});
    sse_named("message-end", &end)
}

fn call(answer: &Answer, n: usize, name: &str, arguments: &str) -> Value {
    json!({"id": answer.id(&format!("{name}_"), n), "type": "function", "function": {"name": name, "arguments": arguments}})
}

fn citation(text: &str) -> Value {
    json!({
        "start": 0, "end": text.chars().count(), "text": text, "type": "TEXT_CONTENT",
        "sources": [{"type": "document", "id": "doc:0", "document": {"id": "doc:0", "title": "A document"}}],
    })
}

fn reason(finish: &Finish) -> &'static str {
    match finish {
        Finish::End | Finish::Refusal => "COMPLETE",
        Finish::Calls => "TOOL_CALL",
        Finish::Limit => "MAX_TOKENS",
        Finish::Sequence(_) => "STOP_SEQUENCE",
    }
}

fn usage(usage: &Usage) -> Value {
    json!({
        "billed_units": {"input_tokens": usage.prompt(), "output_tokens": usage.output},
        "tokens": {"input_tokens": usage.prompt(), "output_tokens": usage.output},
        "cached_tokens": usage.cache_read,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bad_requests_are_told_in_the_providers_words() {
        let user = json!({"role": "user", "content": "hi"});
        assert!(validate(&json!({"model": "m", "messages": [user]})).is_ok());
        let cases = [
            (json!({"messages": [user]}), "invalid request: model is required"),
            (json!({"model": "m"}), "invalid request: at least one message is required in 'messages'."),
            (
                json!({"model": "m", "messages": [user], "n": 1}),
                "invalid request: unknown field: parameter 'n' is not a valid field",
            ),
            (
                json!({"model": "m", "messages": [user, {"role": "tool", "tool_call_id": "x", "content": "y"}]}),
                "invalid request: no matching tool call for tool_call_id 'x'",
            ),
        ];
        for (body, said) in cases {
            assert_eq!(validate(&body).expect_err("is refused").message, said, "{body}");
        }
    }
}

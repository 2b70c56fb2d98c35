//! The `openai_responses` protocol: the basics checked, typed events with sequence numbers.

use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::Wire;
use super::answer::{Answer, Finish, Piece, Seen, Tool, Usage, tokens};
use super::frames::{Frames, sse_named};
use super::refusal::Refusal;
use super::sign;

const FIELDS: &[&str] = &[
    "background",
    "background_options",
    "client_metadata",
    "context_management",
    "conversation",
    "include",
    "input",
    "instructions",
    "max_output_tokens",
    "max_tool_calls",
    "metadata",
    "model",
    "moderation",
    "parallel_tool_calls",
    "previous_response_id",
    "prompt",
    "prompt_cache_key",
    "prompt_cache_options",
    "prompt_cache_retention",
    "reasoning",
    "safety_identifier",
    "service_tier",
    "store",
    "stream",
    "stream_options",
    "temperature",
    "text",
    "tool_choice",
    "tools",
    "top_logprobs",
    "top_p",
    "truncation",
    "user",
];

/// Items that calls, of functions or free-form, and their results come as.
const CALLS: &[&str] = &["function_call", "custom_tool_call"];
const RESULTS: &[&str] = &["function_call_output", "custom_tool_call_output"];

const MAX_CALL_ID: usize = 64;

/// Every answer was made at this second, so that equal requests get equal answers.
const CREATED: u64 = 1_760_000_000;

/// Checks a request.
pub(super) fn validate(body: &Value) -> Result<Seen, Refusal> {
    let body = body.as_object().ok_or_else(|| Refusal::invalid("The body must be a JSON object."))?;
    if let Some(name) = body.keys().find(|name| !FIELDS.contains(&name.as_str())) {
        return Err(Refusal::field(format!("Unknown parameter: '{name}'."), name, Some("unknown_parameter")));
    }
    let model = body.get("model").and_then(Value::as_str).filter(|model| !model.is_empty());
    let model = model.ok_or_else(|| missing("model"))?;
    let set = |name: &str| body.get(name).filter(|value| !value.is_null());
    let mut seen = Seen {
        model: model.to_owned(),
        stream: set("stream").and_then(Value::as_bool).unwrap_or(false),
        limit: set("max_output_tokens").and_then(Value::as_u64),
        one_call: set("parallel_tool_calls") == Some(&Value::Bool(false)),
        no_calls: set("tool_choice").and_then(Value::as_str) == Some("none"),
        forced: set("tool_choice").and_then(|choice| choice.get("name")?.as_str()).map(str::to_owned),
        system: usize::from(set("instructions").is_some()),
        ..Seen::default()
    };
    match set("temperature").map(Value::as_f64) {
        None => {}
        Some(Some(number)) if (0.0..=2.0).contains(&number) => {}
        Some(_) => {
            return Err(Refusal::field(
                "Invalid 'temperature': expected a value from 0 to 2.",
                "temperature",
                Some("decimal_above_max_value"),
            ));
        }
    }
    if let Some(format) = set("text").and_then(|text| text.get("format")) {
        match format.get("type").and_then(Value::as_str) {
            Some("json_schema") => {
                let schema = format.get("schema").ok_or_else(|| missing("text.format.schema"))?;
                seen.schema = Some(schema.clone());
            }
            Some("json_object") => seen.schema = Some(json!({})),
            Some("text") => {}
            _ => return Err(missing("text.format.type")),
        }
    }
    tools(set("tools"), &mut seen)?;
    match set("input") {
        Some(Value::String(said)) => {
            seen.messages = 1;
            said.clone_into(&mut seen.user);
        }
        Some(Value::Array(items)) => input(items, body.contains_key("previous_response_id"), &mut seen)?,
        Some(_) => return Err(Refusal::field("Invalid type for 'input'.", "input", Some("invalid_type"))),
        None if set("prompt").is_some() || set("previous_response_id").is_some() => {}
        None => return Err(missing("input")),
    }
    Ok(seen)
}

fn missing(path: &str) -> Refusal {
    Refusal::field(format!("Missing required parameter: '{path}'."), path, Some("missing_required_parameter"))
}

fn tools(value: Option<&Value>, seen: &mut Seen) -> Result<(), Refusal> {
    for (n, tool) in value.and_then(Value::as_array).into_iter().flatten().enumerate() {
        match tool.get("type").and_then(Value::as_str) {
            Some("function") => {
                let name = tool.get("name").and_then(Value::as_str).filter(|name| !name.is_empty());
                let name = name.ok_or_else(|| missing(&format!("tools[{n}].name")))?;
                let schema = tool.get("parameters").cloned().unwrap_or_else(|| json!({}));
                seen.tools.push(Tool { name: name.to_owned(), schema });
            }
            // Free-form tools and those that run at the provider are never called by a scenario.
            Some(_) => {}
            None => return Err(missing(&format!("tools[{n}].type"))),
        }
    }
    Ok(())
}

fn input(items: &[Value], continued: bool, seen: &mut Seen) -> Result<(), Refusal> {
    seen.messages = items.len();
    let mut open: Vec<&str> = Vec::new();
    for (n, item) in items.iter().enumerate() {
        let path = format!("input[{n}]");
        let kind = item.get("type").and_then(Value::as_str);
        match kind {
            None | Some("message") => {
                seen.results.clear();
                message(item, &path, seen)?;
            }
            Some(kind) if CALLS.contains(&kind) => {
                seen.results.clear();
                let id = call_id(item, &path)?;
                if kind == "function_call" && !item.get("arguments").is_some_and(Value::is_string) {
                    return Err(missing(&format!("{path}.arguments")));
                }
                open.push(id);
            }
            Some(kind) if RESULTS.contains(&kind) => {
                let id = call_id(item, &path)?;
                match open.iter().position(|call| *call == id) {
                    Some(at) => drop(open.remove(at)),
                    None if continued => {}
                    None => {
                        return Err(Refusal::field(
                            format!("No tool call found for function call output with call_id {id}."),
                            "input",
                            None,
                        ));
                    }
                }
                let output = item.get("output").ok_or_else(|| missing(&format!("{path}.output")))?;
                seen.results.push(output.as_str().map_or_else(|| output.to_string(), str::to_owned));
            }
            Some("reasoning") => {
                let token = item.get("encrypted_content").and_then(Value::as_str);
                if token.is_some_and(|token| !sign::sealed("responses", token)) {
                    return Err(Refusal {
                        code: Some("invalid_encrypted_content"),
                        ..Refusal::invalid("The encrypted content could not be verified.")
                    });
                }
                if !item.get("summary").is_some_and(Value::is_array) {
                    return Err(missing(&format!("{path}.summary")));
                }
            }
            Some(_) => {}
        }
    }
    match open.first() {
        Some(id) => {
            Err(Refusal::field(format!("No tool output found for function call {id}."), "input", None))
        }
        None => Ok(()),
    }
}

fn call_id<'a>(item: &'a Value, path: &str) -> Result<&'a str, Refusal> {
    let id = item.get("call_id").and_then(Value::as_str).unwrap_or_default();
    if id.is_empty() {
        return Err(missing(&format!("{path}.call_id")));
    }
    let length = id.chars().count();
    if length > MAX_CALL_ID {
        return Err(Refusal::field(
            format!(
                "Invalid '{path}.call_id': string too long. Expected a string with maximum length {MAX_CALL_ID}, but got a string with length {length} instead."
            ),
            format!("{path}.call_id"),
            Some("string_above_max_length"),
        ));
    }
    Ok(id)
}

fn message(item: &Value, path: &str, seen: &mut Seen) -> Result<(), Refusal> {
    let role = item.get("role").and_then(Value::as_str);
    let role = role.ok_or_else(|| missing(&format!("{path}.role")))?;
    if !matches!(role, "user" | "assistant" | "system" | "developer") {
        return Err(Refusal::field(
            format!(
                "Invalid value: '{role}'. Supported values are: 'assistant', 'system', 'developer', and 'user'."
            ),
            format!("{path}.role"),
            Some("invalid_value"),
        ));
    }
    seen.system += usize::from(matches!(role, "system" | "developer"));
    let mut said = String::new();
    match item.get("content") {
        Some(Value::String(text)) => text.clone_into(&mut said),
        Some(Value::Array(parts)) => {
            for (n, part) in parts.iter().enumerate() {
                let kind = part.get("type").and_then(Value::as_str).unwrap_or_default();
                match (kind, role) {
                    ("input_text", "user" | "system" | "developer")
                    | ("output_text" | "refusal", "assistant") => {
                        said.push_str(part.get("text").and_then(Value::as_str).unwrap_or_default());
                    }
                    ("input_image", _) => seen.images += 1,
                    ("input_file", _) => seen.documents += 1,
                    _ => {
                        return Err(Refusal::field(
                            format!("Invalid value: '{kind}'."),
                            format!("{path}.content[{n}]"),
                            Some("invalid_value"),
                        ));
                    }
                }
            }
        }
        _ => return Err(missing(&format!("{path}.content"))),
    }
    if role == "user" && !said.is_empty() {
        seen.user = said;
    }
    Ok(())
}

/// The whole answer.
pub(super) fn buffered(seen: &Seen, answer: &Answer) -> Value {
    let output =
        answer.pieces.iter().enumerate().map(|(n, piece)| item(answer, n, piece, "completed")).collect();
    response(seen, answer, output, ending(answer))
}

/// The events of a streamed answer.
pub(super) fn frames(seen: &Seen, answer: &Answer) -> Frames {
    let mut events = Events::default();
    let begun = response(seen, answer, Vec::new(), "in_progress");
    events.push("response.created", json!({"response": begun}));
    events.push("response.in_progress", json!({"response": begun}));
    let start = events.all.len();
    let mut output = Vec::new();
    for (n, piece) in answer.pieces.iter().enumerate() {
        let whole = item(answer, n, piece, "completed");
        let id = whole["id"].clone();
        let mut opening = item(answer, n, piece, "in_progress");
        match piece {
            Piece::Call { .. } => opening["arguments"] = Value::from(""),
            Piece::Thinking(_) => opening["summary"] = json!([]),
            Piece::Redacted(_) => {}
            _ => opening["content"] = json!([]),
        }
        events.push("response.output_item.added", json!({"output_index": n, "item": opening}));
        let place = json!({"item_id": id, "output_index": n});
        match piece {
            Piece::Text(text) | Piece::Cited(text) => {
                let (delta, done) = ("response.output_text.delta", "response.output_text.done");
                events.part(&place, text, &whole["content"][0], "text", (delta, done));
            }
            Piece::Refusal(text) => {
                let (delta, done) = ("response.refusal.delta", "response.refusal.done");
                events.part(&place, text, &whole["content"][0], "refusal", (delta, done));
            }
            Piece::Thinking(text) => events.summary(&place, text),
            Piece::Call { name, arguments } => {
                let middle =
                    arguments.char_indices().nth(arguments.chars().count() / 2).map_or(0, |(at, _)| at);
                let (first, second) = arguments.split_at(middle);
                for part in [first, second] {
                    let event = with(&place, json!({"delta": part}));
                    events.push("response.function_call_arguments.delta", event);
                }
                let event = with(&place, json!({"name": name, "arguments": arguments}));
                events.push("response.function_call_arguments.done", event);
            }
            Piece::Redacted(_) => {}
        }
        events.push("response.output_item.done", json!({"output_index": n, "item": whole}));
        output.push(whole);
    }
    let status = ending(answer);
    let name = if status == "completed" { "response.completed" } else { "response.incomplete" };
    events.push(name, json!({"response": response(seen, answer, output, status)}));
    Frames { start, all: events.all }
}

/// An error inside a stream.
pub(super) fn error_frame() -> Bytes {
    let event = json!({
        "type": "error", "sequence_number": 99, "code": "server_error", "param": null,
        "message": Refusal::status(Wire::OpenaiResponses, 500, "The server had an error.").message,
    });
    sse_named("error", &event)
}

/// Events under their sequence numbers.
#[derive(Default)]
struct Events {
    all: Vec<Bytes>,
}

impl Events {
    fn push(&mut self, name: &str, fields: Value) {
        let event = with(&json!({"type": name, "sequence_number": self.all.len()}), fields);
        self.all.push(sse_named(name, &event));
    }

    fn part(&mut self, place: &Value, text: &str, whole: &Value, field: &str, names: (&str, &str)) {
        let place = with(place, json!({"content_index": 0}));
        let mut opening = whole.clone();
        opening[field] = Value::from("");
        let logprobs = if field == "text" { json!({"logprobs": []}) } else { json!({}) };
        if field == "text" {
            opening["annotations"] = json!([]);
        }
        self.push("response.content_part.added", with(&place, json!({"part": opening})));
        for token in tokens(text) {
            self.push(names.0, with(&with(&place, json!({"delta": token})), logprobs.clone()));
        }
        for (n, annotation) in whole["annotations"].as_array().into_iter().flatten().enumerate() {
            let event = with(&place, json!({"annotation_index": n, "annotation": annotation}));
            self.push("response.output_text.annotation.added", event);
        }
        self.push(names.1, with(&with(&place, json!({field: text})), logprobs));
        self.push("response.content_part.done", with(&place, json!({"part": whole})));
    }

    fn summary(&mut self, place: &Value, text: &str) {
        let place = with(place, json!({"summary_index": 0}));
        let part = |text: &str| json!({"part": {"type": "summary_text", "text": text}});
        self.push("response.reasoning_summary_part.added", with(&place, part("")));
        for token in tokens(text) {
            self.push("response.reasoning_summary_text.delta", with(&place, json!({"delta": token})));
        }
        self.push("response.reasoning_summary_text.done", with(&place, json!({"text": text})));
        self.push("response.reasoning_summary_part.done", with(&place, part(text)));
    }
}

fn with(first: &Value, second: Value) -> Value {
    let mut all: Map<String, Value> = first.as_object().cloned().unwrap_or_default();
    if let Value::Object(more) = second {
        all.extend(more);
    }
    Value::Object(all)
}

fn item(answer: &Answer, n: usize, piece: &Piece, status: &str) -> Value {
    let message = |part: Value| {
        json!({
            "id": answer.id("msg_", n), "type": "message", "status": status, "role": "assistant", "content": [part],
        })
    };
    match piece {
        Piece::Text(text) => {
            message(json!({"type": "output_text", "text": text, "annotations": [], "logprobs": []}))
        }
        Piece::Cited(text) => message(json!({
            "type": "output_text", "text": text, "logprobs": [],
            "annotations": [{
                "type": "url_citation", "url": "https://example.com/sky", "title": "The sky", "start_index": 0,
                "end_index": text.chars().count(),
            }],
        })),
        Piece::Refusal(text) => message(json!({"type": "refusal", "refusal": text})),
        Piece::Thinking(text) => json!({
            "id": answer.id("rs_", n), "type": "reasoning", "summary": [{"type": "summary_text", "text": text}],
            "encrypted_content": sign::seal("responses", text),
        }),
        Piece::Redacted(text) => json!({
            "id": answer.id("rs_", n), "type": "reasoning", "summary": [],
            "encrypted_content": sign::seal("responses", text),
        }),
        Piece::Call { name, arguments } => json!({
            "id": answer.id("fc_", n), "type": "function_call", "status": status, "call_id": answer.id("call_", n),
            "name": name, "arguments": arguments,
        }),
    }
}

fn ending(answer: &Answer) -> &'static str {
    if answer.finish == Finish::Limit { "incomplete" } else { "completed" }
}

fn response(seen: &Seen, answer: &Answer, output: Vec<Value>, status: &str) -> Value {
    let done = status != "in_progress";
    let details = (status == "incomplete").then(|| json!({"reason": "max_output_tokens"}));
    json!({
        "id": answer.id("resp_", 0), "object": "response", "created_at": CREATED, "status": status,
        "background": false, "error": null, "incomplete_details": details, "instructions": null,
        "max_output_tokens": seen.limit, "model": seen.model, "output": output,
        "parallel_tool_calls": !seen.one_call, "previous_response_id": null,
        "reasoning": {"effort": null, "summary": null}, "service_tier": "default", "store": false,
        "temperature": 1.0, "text": {"format": {"type": "text"}}, "tool_choice": "auto", "tools": [],
        "top_p": 1.0, "truncation": "disabled", "usage": done.then(|| usage(&answer.usage)), "user": null,
        "metadata": {},
    })
}

fn usage(usage: &Usage) -> Value {
    json!({
        "input_tokens": usage.prompt(), "input_tokens_details": {"cached_tokens": usage.cache_read},
        "output_tokens": usage.output, "output_tokens_details": {"reasoning_tokens": usage.reasoning},
        "total_tokens": usage.prompt() + usage.output,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bad_requests_are_told_in_the_providers_words() {
        assert!(validate(&json!({"model": "m", "input": "hi"})).is_ok());
        let call = json!({"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"});
        let cases = [
            (json!({"input": "hi"}), "Missing required parameter: 'model'."),
            (json!({"model": "m"}), "Missing required parameter: 'input'."),
            (json!({"model": "m", "input": "hi", "n": 1}), "Unknown parameter: 'n'."),
            (json!({"model": "m", "input": [call]}), "No tool output found for function call c."),
        ];
        for (body, said) in cases {
            assert_eq!(validate(&body).expect_err("is refused").message, said, "{body}");
        }
    }
}

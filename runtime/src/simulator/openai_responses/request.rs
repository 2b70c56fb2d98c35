//! What the Responses API refuses of a request, in its own words; tools and input stand apart.

use serde_json::{Map, Value, json};

use super::shape::Is::{Any, Flag, Integer, List, Number, Object, Text, TextOrList, TextOrObject, Word};
use super::shape::Need::{May, Must};
use super::shape::{
    Member, Range, invalid, kind, list, missing, name, not_empty, object, one_of, set, shape, text, too_long,
    within,
};
use super::{ids, items, tools};
use crate::simulator::answer::Seen;
use crate::simulator::openai_chat::schema;
use crate::simulator::refusal::Refusal;

const MEMBERS: &[Member] = &[
    ("access_programs", Object, May),
    ("background", Flag, May),
    ("background_options", Object, May),
    ("client_metadata", Object, May),
    ("context_management", List, May),
    ("conversation", TextOrObject, May),
    ("image", Object, May),
    ("include", List, May),
    ("input", TextOrList, May),
    ("instructions", Text, May),
    ("max_output_tokens", Integer, May),
    ("max_tool_calls", Integer, May),
    ("metadata", Object, May),
    ("model", Text, Must),
    ("moderation", Object, May),
    ("parallel_tool_calls", Flag, May),
    ("previous_response_id", Text, May),
    ("prompt", Object, May),
    ("prompt_cache_key", Text, May),
    ("prompt_cache_options", Object, May),
    ("prompt_cache_retention", Word(&["in_memory", "24h"]), May),
    ("reasoning", Object, May),
    ("safety_identifier", Text, May),
    ("service_tier", Word(&["auto", "default", "flex", "scale", "priority", "fast", "ultrafast"]), May),
    ("store", Flag, May),
    ("stream", Flag, May),
    ("stream_options", Object, May),
    ("temperature", Number, May),
    ("text", Object, May),
    ("tool_choice", TextOrObject, May),
    ("tools", List, May),
    ("top_logprobs", Integer, May),
    ("top_p", Number, May),
    ("truncation", Word(&["auto", "disabled"]), May),
    ("user", Text, May),
];

const RANGES: &[(&str, Range)] = &[
    ("temperature", Range::Decimal(0.0, 2.0)),
    ("top_p", Range::Decimal(0.0, 1.0)),
    ("top_logprobs", Range::Integer(0.0, 20.0)),
    ("max_output_tokens", Range::Integer(16.0, f64::INFINITY)),
    ("max_tool_calls", Range::Integer(1.0, f64::INFINITY)),
];

const INCLUDES: &[&str] = &[
    "file_search_call.results",
    "web_search_call.results",
    "web_search_call.action.sources",
    "message.input_image.image_url",
    "computer_call_output.output.image_url",
    "code_interpreter_call.outputs",
    "reasoning.encrypted_content",
    "message.output_text.logprobs",
];

const SUMMARY: super::shape::Is = Word(&["auto", "concise", "detailed"]);

const REASONING: &[Member] = &[
    ("context", Word(&["auto", "current_turn", "all_turns"]), May),
    ("effort", Word(&["none", "minimal", "low", "medium", "high", "xhigh", "max"]), May),
    ("generate_summary", SUMMARY, May),
    ("mode", Text, May),
    ("summary", SUMMARY, May),
];

/// What an answer repeats of its request, with what it says where the request is silent.
const REPEATED: &[(&str, Value)] = &[
    ("instructions", Value::Null),
    ("max_output_tokens", Value::Null),
    ("max_tool_calls", Value::Null),
    ("previous_response_id", Value::Null),
    ("prompt", Value::Null),
    ("prompt_cache_key", Value::Null),
    ("prompt_cache_retention", Value::Null),
    ("safety_identifier", Value::Null),
    ("user", Value::Null),
    ("parallel_tool_calls", Value::Bool(true)),
    ("store", Value::Bool(true)),
];

const MAX_PAIRS: usize = 16;
const MAX_PAIR_NAME: usize = 64;
const MAX_PAIR_VALUE: usize = 512;
const MAX_SCHEMA_NAME: usize = 64;
const MAX_SAFETY_IDENTIFIER: usize = 64;

/// Checks a request.
pub(in crate::simulator) fn validate(body: &Value) -> Result<Seen, Refusal> {
    let body = body.as_object().ok_or_else(|| {
        Refusal::invalid("We could not parse the JSON body of your request: an object is expected.")
    })?;
    shape(body, "", MEMBERS)?;
    let model = text(body, "", "model")?;
    if model.is_empty() {
        return Err(missing("model"));
    }
    for (name, range) in RANGES {
        if let Some(given) = set(body, name) {
            within(given, name, *range)?;
        }
    }
    let flag = |name: &str| body.get(name).and_then(Value::as_bool);
    let mut seen = Seen {
        model: model.to_owned(),
        stream: flag("stream").unwrap_or(false),
        limit: body.get("max_output_tokens").and_then(Value::as_u64),
        one_call: flag("parallel_tool_calls") == Some(false),
        system: usize::from(set(body, "instructions").is_some()),
        // Reasoning is told in words only where a summary is asked for.
        omit_thinking: true,
        ..Seen::default()
    };
    for (name, silent) in REPEATED {
        seen.echo.insert((*name).to_owned(), set(body, name).unwrap_or(silent).clone());
    }
    let defaults = [
        ("metadata", json!({})),
        ("temperature", json!(1.0)),
        ("top_p", json!(1.0)),
        ("top_logprobs", json!(0)),
        ("truncation", json!("disabled")),
        ("service_tier", json!("auto")),
    ];
    for (name, silent) in defaults {
        seen.echo.insert(name.to_owned(), set(body, name).cloned().unwrap_or(silent));
    }
    strings(body)?;
    includes(body, &mut seen)?;
    reasoning(body, &mut seen)?;
    stream_options(body, &seen)?;
    tools::check(body, &mut seen)?;
    let json_mode = text_options(body, &mut seen)?;
    let continued = state(body)?;
    match set(body, "input") {
        Some(Value::String(said)) => {
            seen.messages = 1;
            said.clone_into(&mut seen.user);
        }
        Some(Value::Array(list)) if continued || !list.is_empty() => {
            items::check(list, continued, flag("store").unwrap_or(true), &mut seen)?;
        }
        _ if continued || set(body, "prompt").is_some() => {}
        _ => {
            return Err(Refusal::field(
                "One of \"input\" or \"previous_response_id\" or 'prompt' or 'conversation_id' must be provided.",
                "input",
                Some("missing_required_parameter"),
            ));
        }
    }
    let asks = |name: &str| {
        set(body, name).is_some_and(|said| said.to_string().to_ascii_lowercase().contains("json"))
    };
    if json_mode && !asks("input") && !asks("instructions") {
        return Err(Refusal::field(
            "Response input messages must contain the word 'json' in some form to use 'text.format' of type 'json_object'.",
            "input",
            None,
        ));
    }
    Ok(seen)
}

fn strings(body: &Map<String, Value>) -> Result<(), Refusal> {
    if let Some(said) = body.get("safety_identifier").and_then(Value::as_str) {
        too_long(said, "safety_identifier", MAX_SAFETY_IDENTIFIER)?;
    }
    if let Some(prompt) = body.get("prompt").and_then(Value::as_object) {
        shape(prompt, "prompt", &[("id", Text, Must), ("variables", Object, May), ("version", Text, May)])?;
    }
    let Some(pairs) = body.get("metadata").and_then(Value::as_object) else { return Ok(()) };
    if pairs.len() > MAX_PAIRS {
        return Err(Refusal::field(
            format!(
                "Invalid 'metadata': too many properties. Expected an object with at most {MAX_PAIRS} properties, but got an object with {} properties instead.",
                pairs.len()
            ),
            "metadata",
            Some("object_above_max_properties"),
        ));
    }
    for (name, value) in pairs {
        let path = format!("metadata.{name}");
        too_long(name, &path, MAX_PAIR_NAME)?;
        too_long(value.as_str().ok_or_else(|| kind(&path, "a string", value))?, &path, MAX_PAIR_VALUE)?;
    }
    Ok(())
}

fn includes(body: &Map<String, Value>, seen: &mut Seen) -> Result<(), Refusal> {
    for (n, entry) in list(body, "include").iter().enumerate() {
        let path = format!("include[{n}]");
        let word = entry.as_str().ok_or_else(|| kind(&path, "a string", entry))?;
        one_of(word, INCLUDES, &path)?;
        seen.logprobs |= word == "message.output_text.logprobs";
    }
    Ok(())
}

fn reasoning(body: &Map<String, Value>, seen: &mut Seen) -> Result<(), Refusal> {
    let mut told = json!({"effort": null, "summary": null});
    if let Some(reasoning) = body.get("reasoning").and_then(Value::as_object) {
        shape(reasoning, "reasoning", REASONING)?;
        let summary = set(reasoning, "summary").or_else(|| set(reasoning, "generate_summary"));
        seen.omit_thinking = summary.is_none();
        told["summary"] = summary.cloned().unwrap_or(Value::Null);
        told["effort"] = reasoning.get("effort").cloned().unwrap_or(Value::Null);
    }
    seen.echo.insert("reasoning".to_owned(), told);
    Ok(())
}

fn stream_options(body: &Map<String, Value>, seen: &Seen) -> Result<(), Refusal> {
    let Some(options) = body.get("stream_options").and_then(Value::as_object) else { return Ok(()) };
    if !seen.stream {
        return Err(invalid(
            "stream_options",
            "The 'stream_options' parameter is only allowed when 'stream' is enabled.",
        ));
    }
    shape(options, "stream_options", &[("include_obfuscation", Flag, May)])
}

/// Checks `text`; whether it asks for JSON without a schema is returned.
fn text_options(body: &Map<String, Value>, seen: &mut Seen) -> Result<bool, Refusal> {
    let mut told = json!({"format": {"type": "text"}, "verbosity": "medium"});
    let mut json_mode = false;
    if let Some(options) = body.get("text").and_then(Value::as_object) {
        let verbosity = Word(&["low", "medium", "high"]);
        shape(options, "text", &[("format", Object, May), ("verbosity", verbosity, May)])?;
        if let Some(verbosity) = set(options, "verbosity") {
            told["verbosity"] = verbosity.clone();
        }
        if let Some(format) = options.get("format").and_then(Value::as_object) {
            told["format"] = self::format(format, seen)?;
            json_mode = told["format"]["type"] == "json_object";
        }
    }
    seen.echo.insert("text".to_owned(), told);
    Ok(json_mode)
}

fn format(format: &Map<String, Value>, seen: &mut Seen) -> Result<Value, Refusal> {
    let path = "text.format";
    let mut told = Value::Object(format.clone());
    match text(format, path, "type")? {
        "text" => shape(format, path, &[("type", Text, Must)])?,
        "json_object" => {
            shape(format, path, &[("type", Text, Must)])?;
            seen.schema = Some(json!({}));
        }
        "json_schema" => {
            let members = [
                ("type", Text, Must),
                ("name", Text, Must),
                ("description", Text, May),
                ("schema", Object, Must),
                ("strict", Flag, May),
            ];
            shape(format, path, &members)?;
            let label = text(format, path, "name")?;
            name(label, "text.format.name", MAX_SCHEMA_NAME)?;
            let given = format.get("schema").cloned().unwrap_or_default();
            if format.get("strict") == Some(&Value::Bool(true))
                && let Some(said) = schema::strict(&given)
            {
                return Err(Refusal::field(
                    format!("Invalid schema for response_format '{label}': {said}"),
                    "text.format.schema",
                    Some("invalid_json_schema"),
                ));
            }
            seen.schema = Some(given);
            for name in ["description", "strict"] {
                let silent = if name == "strict" { json!(false) } else { Value::Null };
                told[name] = set(format, name).cloned().unwrap_or(silent);
            }
        }
        other => {
            return Err(super::shape::value(
                "text.format.type",
                other,
                &["json_object", "json_schema", "text"],
            ));
        }
    }
    Ok(told)
}

/// Checks what points at something stored; whether the input goes on from it is returned.
fn state(body: &Map<String, Value>) -> Result<bool, Refusal> {
    if body.get("background") == Some(&Value::Bool(true)) {
        return Err(invalid("background", "Background mode is not supported by this model."));
    }
    for (n, entry) in list(body, "context_management").iter().enumerate() {
        let path = format!("context_management[{n}]");
        let members = [("type", Text, Must), ("compact_threshold", Any, May)];
        shape(object(entry, &path)?, &path, &members)?;
    }
    if body.get("context_management").is_some_and(Value::is_array) {
        not_empty(list(body, "context_management"), "context_management")?;
    }
    let previous = body.get("previous_response_id").and_then(Value::as_str);
    if let Some(conversation) = set(body, "conversation") {
        if previous.is_some() {
            return Err(Refusal::field(
                "Mutually exclusive parameters: 'previous_response_id' and 'conversation'. Ensure you are only providing one of: 'previous_response_id' or 'conversation'.",
                "conversation",
                Some("mutually_exclusive_parameters"),
            ));
        }
        let id = match conversation {
            Value::Object(map) => {
                shape(map, "conversation", &[("id", Text, Must)])?;
                text(map, "conversation", "id")?
            }
            other => other.as_str().unwrap_or_default(),
        };
        let said = format!("Conversation with id '{id}' not found.");
        return Err(Refusal { status: 404, ..Refusal::field(said, "conversation", None) });
    }
    match previous {
        None => Ok(false),
        Some(id) if !id.starts_with("resp") => Err(items::foreign(id, "previous_response_id", "resp")),
        Some(id) if ids::is_stored(id) => Ok(true),
        Some(id) => Err(Refusal::field(
            format!("Previous response with id '{id}' not found."),
            "previous_response_id",
            Some("previous_response_not_found"),
        )),
    }
}

//! What the Chat Completions API refuses, in its own words.

use serde_json::{Map, Value};

use super::{messages, schema};
use crate::simulator::answer::{Seen, Tool};
use crate::simulator::refusal::Refusal;

const FIELDS: &[&str] = &[
    "audio",
    "frequency_penalty",
    "function_call",
    "functions",
    "logit_bias",
    "logprobs",
    "max_completion_tokens",
    "max_tokens",
    "messages",
    "metadata",
    "modalities",
    "model",
    "moderation",
    "n",
    "parallel_tool_calls",
    "prediction",
    "presence_penalty",
    "prompt_cache_key",
    "prompt_cache_options",
    "prompt_cache_retention",
    "reasoning_effort",
    "response_format",
    "safety_identifier",
    "seed",
    "service_tier",
    "stop",
    "store",
    "stream",
    "stream_options",
    "temperature",
    "tool_choice",
    "tools",
    "top_logprobs",
    "top_p",
    "user",
    "verbosity",
    "web_search_options",
];

const MAX_STOPS: usize = 4;
const MAX_NAME: usize = 64;
const MAX_TOOLS: usize = 128;
const MAX_CHOICES: u64 = 128;
const MAX_METADATA: usize = 16;

/// Numbers and the range each may be in.
const RANGES: &[(&str, f64, f64)] = &[
    ("temperature", 0.0, 2.0),
    ("top_p", 0.0, 1.0),
    ("frequency_penalty", -2.0, 2.0),
    ("presence_penalty", -2.0, 2.0),
    ("top_logprobs", 0.0, 20.0),
];

/// Strings that are one of a few.
const CHOICES: &[(&str, &[&str])] = &[
    ("reasoning_effort", &["none", "minimal", "low", "medium", "high", "xhigh", "max"]),
    ("verbosity", &["low", "medium", "high"]),
    ("service_tier", &["auto", "default", "flex", "scale", "priority", "fast"]),
    ("prompt_cache_retention", &["in_memory", "24h"]),
];

/// A value of the wrong type.
pub(super) fn kind(path: &str, wanted: &str, got: &Value) -> Refusal {
    let got = match got {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(number) if number.is_f64() => "a decimal number",
        Value::Number(_) => "an integer",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    };
    Refusal::field(
        format!("Invalid type for '{path}': expected {wanted}, but got {got} instead."),
        path,
        Some("invalid_type"),
    )
}

/// A value outside of the few that are allowed.
pub(super) fn value(path: &str, said: &str) -> Refusal {
    Refusal::field(format!("Invalid value for '{path}': {said}"), path, Some("invalid_value"))
}

/// A member that is not there.
pub(super) fn missing(path: &str) -> Refusal {
    Refusal::field(format!("Missing required parameter: '{path}'."), path, Some("missing_required_parameter"))
}

/// Refuses members that are not known.
pub(super) fn closed(map: &Map<String, Value>, path: &str, known: &[&str]) -> Result<(), Refusal> {
    match map.keys().find(|name| !known.contains(&name.as_str())) {
        Some(name) => Err(Refusal::field(
            format!("Unknown parameter: '{path}.{name}'."),
            format!("{path}.{name}"),
            Some("unknown_parameter"),
        )),
        None => Ok(()),
    }
}

/// A member that has to be there and be a string.
pub(super) fn text<'a>(map: &'a Map<String, Value>, path: &str, name: &str) -> Result<&'a str, Refusal> {
    let path = format!("{path}.{name}");
    let value = map.get(name).ok_or_else(|| missing(&path))?;
    value.as_str().ok_or_else(|| kind(&path, "a string", value))
}

/// Checks a request.
pub(in crate::simulator) fn validate(body: &Value) -> Result<Seen, Refusal> {
    let body = body.as_object().ok_or_else(|| {
        Refusal::invalid("We could not parse the JSON body of your request: an object is expected.")
    })?;
    if let Some(name) = body.keys().find(|name| !FIELDS.contains(&name.as_str())) {
        return Err(Refusal::field(
            format!("Unrecognized request argument supplied: {name}"),
            name,
            Some("unknown_parameter"),
        ));
    }
    let model = match body.get("model") {
        None => return Err(Refusal::invalid("you must provide a model parameter")),
        Some(Value::String(model)) if !model.is_empty() => model.clone(),
        Some(other) => return Err(kind("model", "a string", other)),
    };
    scalars(body)?;
    let mut seen = Seen {
        model,
        limit: limit(body)?,
        choices: body.get("n").and_then(Value::as_u64).unwrap_or(1),
        stop: stop(body)?,
        stream: flag(body, "stream")?.unwrap_or(false),
        one_call: flag(body, "parallel_tool_calls")? == Some(false),
        tools: tools(body)?,
        ..Seen::default()
    };
    if body.contains_key("parallel_tool_calls") && !body.contains_key("tools") {
        return Err(value(
            "parallel_tool_calls",
            "'parallel_tool_calls' is only allowed when 'tools' are specified.",
        ));
    }
    tool_choice(body, &mut seen)?;
    response_format(body, &mut seen)?;
    stream_options(body, &mut seen)?;
    messages::check(body.get("messages").ok_or_else(|| missing("messages"))?, &mut seen)?;
    Ok(seen)
}

fn scalars(body: &Map<String, Value>) -> Result<(), Refusal> {
    for (name, least, most) in RANGES {
        let Some(given) = body.get(*name).filter(|given| !given.is_null()) else { continue };
        let number = given.as_f64().ok_or_else(|| kind(name, "a decimal", given))?;
        if number < *least {
            return Err(Refusal::field(
                format!(
                    "Invalid '{name}': decimal below minimum value. Expected a value >= {least}, but got {given} instead."
                ),
                *name,
                Some("decimal_below_min_value"),
            ));
        }
        if number > *most {
            return Err(Refusal::field(
                format!(
                    "Invalid '{name}': decimal above maximum value. Expected a value <= {most}, but got {given} instead."
                ),
                *name,
                Some("decimal_above_max_value"),
            ));
        }
    }
    for (name, allowed) in CHOICES {
        let Some(given) = body.get(*name).filter(|given| !given.is_null()) else { continue };
        let word = given.as_str().ok_or_else(|| kind(name, "a string", given))?;
        if !allowed.contains(&word) {
            return Err(value(name, &format!("'{word}'. Supported values are: '{}'.", allowed.join("', '"))));
        }
    }
    for name in ["logprobs", "store"] {
        flag(body, name)?;
    }
    if body.contains_key("top_logprobs") && body.get("logprobs") != Some(&Value::Bool(true)) {
        return Err(value("top_logprobs", "logprobs must be set to true if top_logprobs is used."));
    }
    for name in ["user", "safety_identifier", "prompt_cache_key"] {
        match body.get(name) {
            None | Some(Value::Null | Value::String(_)) => {}
            Some(other) => return Err(kind(name, "a string", other)),
        }
    }
    match body.get("n") {
        None | Some(Value::Null) => {}
        Some(n) => match n.as_u64() {
            Some(1..=MAX_CHOICES) => {}
            Some(_) => return Err(value("n", &format!("expected an integer from 1 to {MAX_CHOICES}."))),
            None => return Err(kind("n", "an integer", n)),
        },
    }
    match body.get("seed") {
        Some(seed) if !seed.is_null() && seed.as_i64().is_none() => {
            return Err(kind("seed", "an integer", seed));
        }
        _ => {}
    }
    match body.get("metadata") {
        None | Some(Value::Null) => Ok(()),
        Some(Value::Object(map)) if map.len() > MAX_METADATA => {
            Err(value("metadata", &format!("at most {MAX_METADATA} pairs are allowed.")))
        }
        Some(Value::Object(map)) => match map.iter().find(|(_, value)| !value.is_string()) {
            Some((name, other)) => Err(kind(&format!("metadata.{name}"), "a string", other)),
            None => Ok(()),
        },
        Some(other) => Err(kind("metadata", "an object", other)),
    }
}

fn limit(body: &Map<String, Value>) -> Result<Option<u64>, Refusal> {
    let mut limit = None;
    for name in ["max_tokens", "max_completion_tokens"] {
        let Some(given) = body.get(name).filter(|given| !given.is_null()) else { continue };
        if limit.is_some() {
            return Err(Refusal::invalid(
                "Setting 'max_tokens' and 'max_completion_tokens' at the same time is not supported.",
            ));
        }
        let number = given.as_i64().ok_or_else(|| kind(name, "an integer", given))?;
        match u64::try_from(number) {
            Ok(number @ 1..) => limit = Some(number),
            _ => {
                return Err(Refusal::field(
                    format!(
                        "Invalid '{name}': integer below minimum value. Expected a value >= 1, but got {number} instead."
                    ),
                    name,
                    Some("integer_below_min_value"),
                ));
            }
        }
    }
    Ok(limit)
}

fn stop(body: &Map<String, Value>) -> Result<Vec<String>, Refusal> {
    match body.get("stop") {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::String(stop)) => Ok(vec![stop.clone()]),
        Some(Value::Array(list)) if list.len() > MAX_STOPS => Err(Refusal::field(
            format!(
                "Invalid 'stop': array too long. Expected an array with maximum length {MAX_STOPS}, but got an array with length {} instead.",
                list.len()
            ),
            "stop",
            Some("array_above_max_length"),
        )),
        Some(Value::Array(list)) => list
            .iter()
            .enumerate()
            .map(|(n, stop)| {
                let text = stop.as_str().ok_or_else(|| kind(&format!("stop[{n}]"), "a string", stop))?;
                Ok(text.to_owned())
            })
            .collect(),
        Some(other) => Err(kind("stop", "a string or array of strings", other)),
    }
}

fn tools(body: &Map<String, Value>) -> Result<Vec<Tool>, Refusal> {
    let list = match body.get("tools") {
        None | Some(Value::Null) => return Ok(Vec::new()),
        Some(Value::Array(list)) => list,
        Some(other) => return Err(kind("tools", "an array of objects", other)),
    };
    if list.is_empty() || list.len() > MAX_TOOLS {
        let (word, code) =
            if list.is_empty() { ("short", "empty_array") } else { ("long", "array_above_max_length") };
        return Err(Refusal::field(format!("Invalid 'tools': array too {word}."), "tools", Some(code)));
    }
    let mut tools = Vec::with_capacity(list.len());
    for (n, tool) in list.iter().enumerate() {
        let path = format!("tools[{n}]");
        let map = tool.as_object().ok_or_else(|| kind(&path, "an object", tool))?;
        match text(map, &path, "type")? {
            "function" => {}
            "custom" => {
                let custom = map.get("custom").and_then(Value::as_object);
                let custom = custom.ok_or_else(|| missing(&format!("{path}.custom")))?;
                let name = text(custom, &format!("{path}.custom"), "name")?;
                check_name(name, &format!("{path}.custom.name"))?;
                continue;
            }
            other => {
                return Err(value(
                    &format!("{path}.type"),
                    &format!("'{other}'. Supported values are: 'function' and 'custom'."),
                ));
            }
        }
        closed(map, &path, &["type", "function"])?;
        let path = format!("{path}.function");
        let function = map.get("function").ok_or_else(|| missing(&path))?;
        let function = function.as_object().ok_or_else(|| kind(&path, "an object", function))?;
        closed(function, &path, &["name", "description", "parameters", "strict"])?;
        let name = text(function, &path, "name")?;
        check_name(name, &format!("{path}.name"))?;
        let schema = match function.get("parameters") {
            None | Some(Value::Null) => Value::Object(Map::new()),
            Some(schema @ Value::Object(map)) => {
                let empty = map.is_empty();
                if !empty && map.get("type").and_then(Value::as_str) != Some("object") {
                    return Err(bad_schema(
                        &format!("{path}.parameters"),
                        &format!(
                            "Invalid schema for function '{name}': schema must be a JSON Schema of 'type: \"object\"'"
                        ),
                    ));
                }
                schema.clone()
            }
            Some(other) => return Err(kind(&format!("{path}.parameters"), "an object", other)),
        };
        if function.get("strict") == Some(&Value::Bool(true))
            && let Some(said) = schema::strict(&schema)
        {
            return Err(bad_schema(
                &format!("{path}.parameters"),
                &format!("Invalid schema for function '{name}': {said}"),
            ));
        }
        tools.push(Tool { name: name.to_owned(), schema });
    }
    Ok(tools)
}

fn bad_schema(path: &str, said: &str) -> Refusal {
    Refusal::field(said, path, Some("invalid_function_parameters"))
}

/// Checks the name of a function or schema.
pub(super) fn check_name(name: &str, path: &str) -> Result<(), Refusal> {
    let plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-');
    if name.is_empty() || !plain {
        return Err(Refusal::field(
            format!(
                "Invalid '{path}': string does not match pattern. Expected a string that matches the pattern '^[a-zA-Z0-9_-]+$'."
            ),
            path,
            Some("invalid_value"),
        ));
    }
    too_long(name, path, MAX_NAME)
}

/// Refuses a string of more characters than allowed.
pub(super) fn too_long(text: &str, path: &str, most: usize) -> Result<(), Refusal> {
    let length = text.chars().count();
    if length <= most {
        return Ok(());
    }
    Err(Refusal::field(
        format!(
            "Invalid '{path}': string too long. Expected a string with maximum length {most}, but got a string with length {length} instead."
        ),
        path,
        Some("string_above_max_length"),
    ))
}

fn tool_choice(body: &Map<String, Value>, seen: &mut Seen) -> Result<(), Refusal> {
    let choice = match body.get("tool_choice") {
        None | Some(Value::Null) => return Ok(()),
        Some(choice) => choice,
    };
    if !body.contains_key("tools") {
        return Err(value("tool_choice", "'tool_choice' is only allowed when 'tools' are specified."));
    }
    match choice {
        Value::String(word) => match word.as_str() {
            "none" => seen.no_calls = true,
            "required" => seen.must_call = true,
            "auto" => {}
            other => {
                return Err(value(
                    "tool_choice",
                    &format!("'{other}'. Supported values are: 'none', 'auto', and 'required'."),
                ));
            }
        },
        Value::Object(map) => match text(map, "tool_choice", "type")? {
            "function" => {
                let name = choice.pointer("/function/name").and_then(Value::as_str);
                let name = name.ok_or_else(|| missing("tool_choice.function.name"))?;
                if !seen.tools.iter().any(|tool| tool.name == name) {
                    return Err(value(
                        "tool_choice",
                        &format!("Tool choice '{name}' not found in 'tools' parameter."),
                    ));
                }
                seen.forced = Some(name.to_owned());
            }
            "allowed_tools" | "custom" => {}
            other => return Err(value("tool_choice.type", &format!("'{other}'."))),
        },
        other => return Err(kind("tool_choice", "a string or object", other)),
    }
    Ok(())
}

fn response_format(body: &Map<String, Value>, seen: &mut Seen) -> Result<(), Refusal> {
    let format = match body.get("response_format") {
        None | Some(Value::Null) => return Ok(()),
        Some(format) => format,
    };
    let map = format.as_object().ok_or_else(|| kind("response_format", "an object", format))?;
    match text(map, "response_format", "type")? {
        "text" => closed(map, "response_format", &["type"]),
        "json_object" => {
            closed(map, "response_format", &["type"])?;
            if !body
                .get("messages")
                .is_some_and(|messages| messages.to_string().to_lowercase().contains("json"))
            {
                return Err(Refusal::field(
                    "'messages' must contain the word 'json' in some form, to use 'response_format' of type 'json_object'.",
                    "messages",
                    None,
                ));
            }
            seen.schema = Some(Value::Object(Map::new()));
            Ok(())
        }
        "json_schema" => {
            closed(map, "response_format", &["type", "json_schema"])?;
            let path = "response_format.json_schema";
            let inner = map.get("json_schema").ok_or_else(|| missing(path))?;
            let inner = inner.as_object().ok_or_else(|| kind(path, "an object", inner))?;
            closed(inner, path, &["name", "description", "schema", "strict"])?;
            let name = text(inner, path, "name")?;
            check_name(name, &format!("{path}.name"))?;
            let schema = inner.get("schema").cloned().unwrap_or_else(|| Value::Object(Map::new()));
            if inner.get("strict") == Some(&Value::Bool(true))
                && let Some(said) = schema::strict(&schema)
            {
                return Err(Refusal::field(
                    format!("Invalid schema for response_format '{name}': {said}"),
                    "response_format",
                    None,
                ));
            }
            seen.schema = Some(schema);
            Ok(())
        }
        other => Err(value(
            "response_format.type",
            &format!("'{other}'. Supported values are: 'json_object', 'json_schema', and 'text'."),
        )),
    }
}

fn stream_options(body: &Map<String, Value>, seen: &mut Seen) -> Result<(), Refusal> {
    let options = match body.get("stream_options") {
        None | Some(Value::Null) => return Ok(()),
        Some(options) => options,
    };
    if !seen.stream {
        return Err(value(
            "stream_options",
            "The 'stream_options' parameter is only allowed when 'stream' is enabled.",
        ));
    }
    let map = options.as_object().ok_or_else(|| kind("stream_options", "an object", options))?;
    closed(map, "stream_options", &["include_usage", "include_obfuscation"])?;
    seen.include_usage = flag(map, "include_usage")?.unwrap_or(false);
    Ok(())
}

fn flag(map: &Map<String, Value>, name: &str) -> Result<Option<bool>, Refusal> {
    match map.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Bool(flag)) => Ok(Some(*flag)),
        Some(other) => Err(kind(name, "a boolean", other)),
    }
}

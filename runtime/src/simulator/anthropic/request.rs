//! What the Messages API refuses, in its own words.

use http::HeaderMap;
use serde_json::{Map, Value};

use super::content;
use crate::simulator::answer::{Seen, Tool};
use crate::simulator::refusal::Refusal;

/// Fields of a request that need no flag.
const FIELDS: &[&str] = &[
    "cache_control",
    "container",
    "diagnostics",
    "inference_geo",
    "max_tokens",
    "messages",
    "metadata",
    "model",
    "output_config",
    "service_tier",
    "speed",
    "stop_sequences",
    "stream",
    "system",
    "temperature",
    "thinking",
    "thread",
    "tool_choice",
    "tools",
    "top_k",
    "top_p",
];

/// Fields that are refused unless the caller sends a flag that begins with the text beside them.
const GATED: &[(&str, &str)] = &[
    ("context_management", "context-management-"),
    ("mcp_servers", "mcp-client-"),
    ("output_format", "structured-outputs-"),
    ("fallbacks", "server-side-fallback-"),
    ("compaction", "compact-"),
];

/// Fields that counting tokens takes.
const COUNT_FIELDS: &[&str] = &[
    "cache_control",
    "messages",
    "model",
    "output_config",
    "speed",
    "system",
    "thinking",
    "tool_choice",
    "tools",
];

const MAX_CACHE_MARKS: usize = 4;
const MAX_TOOL_NAME: usize = 128;
const MIN_THINKING_BUDGET: u64 = 1024;

/// A refusal that names the place first, as this provider does.
pub(super) fn at(path: &str, said: &str) -> Refusal {
    Refusal::invalid(format!("{path}: {said}"))
}

/// Checks a request, for an answer or (with `counting`) for its tokens only.
pub(in crate::simulator) fn validate(
    headers: &HeaderMap,
    body: &Value,
    counting: bool,
) -> Result<Seen, Refusal> {
    if !headers.contains_key("anthropic-version") {
        return Err(at("anthropic-version", "header is required"));
    }
    let body = body.as_object().ok_or_else(|| Refusal::invalid("Input should be a valid dictionary"))?;
    fields(headers, body, counting)?;
    let model = required(body, "", "model")?.as_str().filter(|model| !model.is_empty());
    let model = model.ok_or_else(|| at("model", "Input should be a valid string"))?;
    let limit = limit(body, counting)?;
    sampling(body)?;
    let thinking = thinking(body, limit)?;
    let mut seen = Seen {
        model: model.to_owned(),
        limit,
        omit_thinking: body.get("thinking").and_then(|thinking| thinking.get("display"))
            == Some(&Value::from("omitted")),
        stream: flag(body, "stream")?,
        stop: stop_sequences(body)?,
        tools: tools(body)?,
        ..Seen::default()
    };
    tool_choice(body, &mut seen)?;
    output(body, &mut seen)?;
    metadata(body)?;
    thread(body)?;
    content::system(body, &mut seen)?;
    content::messages(required(body, "", "messages")?, thinking == Thinking::Budget, &mut seen)?;
    let mut marks = 0;
    for part in ["cache_control", "system", "tools", "messages"] {
        if let Some(value) = body.get(part) {
            marks += if part == "cache_control" { 1 } else { cache_marks(value) };
        }
    }
    if marks > MAX_CACHE_MARKS {
        return Err(Refusal::invalid(format!(
            "A maximum of {MAX_CACHE_MARKS} blocks with cache_control may be provided. Found {marks}."
        )));
    }
    Ok(seen)
}

/// No conversation is held here, which the provider tells organisations for which it holds none.
fn thread(body: &Map<String, Value>) -> Result<(), Refusal> {
    match body.get("thread").filter(|thread| !thread.is_null()) {
        None => Ok(()),
        Some(thread) => match thread["type"].as_str() {
            Some("create" | "continue") => Err(Refusal {
                code: Some("thread_unsupported_request"),
                ..at("thread", "this request cannot be part of a thread")
            }),
            _ => Err(at("thread.type", "Input should be 'create' or 'continue'")),
        },
    }
}

/// What the caller asked of thinking.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Thinking {
    Off,
    Budget,
    Adaptive,
}

fn fields(headers: &HeaderMap, body: &Map<String, Value>, counting: bool) -> Result<(), Refusal> {
    let flags: Vec<&str> = headers
        .get_all("anthropic-beta")
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .collect();
    for name in body.keys() {
        let gate = GATED.iter().find(|(field, _)| field == name);
        let open = gate.is_some_and(|(_, prefix)| flags.iter().any(|flag| flag.starts_with(prefix)));
        let known = if counting { COUNT_FIELDS } else { FIELDS };
        if !open && !known.contains(&name.as_str()) {
            return Err(at(name, "Extra inputs are not permitted"));
        }
    }
    Ok(())
}

fn limit(body: &Map<String, Value>, counting: bool) -> Result<Option<u64>, Refusal> {
    if counting {
        return Ok(None);
    }
    let limit = required(body, "", "max_tokens")?;
    let limit = limit.as_i64().ok_or_else(|| at("max_tokens", "Input should be a valid integer"))?;
    match u64::try_from(limit) {
        Ok(limit @ 1..) => Ok(Some(limit)),
        _ => Err(at("max_tokens", "Input should be greater than or equal to 1")),
    }
}

fn sampling(body: &Map<String, Value>) -> Result<(), Refusal> {
    for name in ["temperature", "top_p"] {
        let Some(value) = body.get(name) else { continue };
        let number = value.as_f64().ok_or_else(|| at(name, "Input should be a valid number"))?;
        if number > 1.0 {
            return Err(at(name, "Input should be less than or equal to 1"));
        }
        if number < 0.0 {
            return Err(at(name, "Input should be greater than or equal to 0"));
        }
    }
    match body.get("top_k") {
        Some(value) if value.as_u64().is_none() => Err(at("top_k", "Input should be a valid integer")),
        _ => Ok(()),
    }
}

fn thinking(body: &Map<String, Value>, limit: Option<u64>) -> Result<Thinking, Refusal> {
    let Some(asked) = body.get("thinking") else { return Ok(Thinking::Off) };
    let asked = asked.as_object().ok_or_else(|| at("thinking", "Input should be a valid dictionary"))?;
    let (kind, known): (_, &[&str]) = match asked.get("type").and_then(Value::as_str) {
        Some("disabled") => (Thinking::Off, &["type"]),
        Some("between_tools") => (Thinking::Adaptive, &["type"]),
        Some("adaptive") => (Thinking::Adaptive, &["type", "display"]),
        Some("enabled") => (Thinking::Budget, &["type", "budget_tokens", "display"]),
        _ => {
            return Err(at(
                "thinking",
                "Input tag does not match any of the expected tags: 'adaptive', 'between_tools', 'disabled', 'enabled'",
            ));
        }
    };
    closed(asked, "thinking", known)?;
    if kind == Thinking::Off {
        return Ok(kind);
    }
    if kind == Thinking::Budget {
        let budget = required(asked, "thinking.enabled", "budget_tokens")?;
        let budget = budget
            .as_u64()
            .ok_or_else(|| at("thinking.enabled.budget_tokens", "Input should be a valid integer"))?;
        if budget < MIN_THINKING_BUDGET {
            return Err(at(
                "thinking.enabled.budget_tokens",
                &format!("Input should be greater than or equal to {MIN_THINKING_BUDGET}"),
            ));
        }
        if limit.is_some_and(|limit| budget >= limit) {
            return Err(Refusal::invalid("`max_tokens` must be greater than `thinking.budget_tokens`."));
        }
    }
    if body.get("temperature").and_then(Value::as_f64).is_some_and(|temperature| temperature < 1.0) {
        return Err(Refusal::invalid("`temperature` may only be set to 1 when thinking is enabled."));
    }
    if body.contains_key("top_k") {
        return Err(Refusal::invalid("`top_k` must be unset when thinking is enabled."));
    }
    if body.get("top_p").and_then(Value::as_f64).is_some_and(|top_p| top_p < 0.95) {
        return Err(Refusal::invalid(
            "`top_p` must be greater than or equal to 0.95 or unset when thinking is enabled.",
        ));
    }
    if matches!(body.get("tool_choice").and_then(|choice| choice.get("type")?.as_str()), Some("any" | "tool"))
    {
        return Err(Refusal::invalid("Thinking may not be enabled when tool_choice forces tool use."));
    }
    Ok(kind)
}

fn stop_sequences(body: &Map<String, Value>) -> Result<Vec<String>, Refusal> {
    let Some(value) = body.get("stop_sequences") else { return Ok(Vec::new()) };
    let list = value.as_array().ok_or_else(|| at("stop_sequences", "Input should be a valid list"))?;
    let mut sequences = Vec::with_capacity(list.len());
    for (n, value) in list.iter().enumerate() {
        let text = value
            .as_str()
            .ok_or_else(|| at(&format!("stop_sequences.{n}"), "Input should be a valid string"))?;
        if text.trim().is_empty() {
            return Err(at("stop_sequences", "each stop sequence must contain non-whitespace"));
        }
        sequences.push(text.to_owned());
    }
    Ok(sequences)
}

fn tools(body: &Map<String, Value>) -> Result<Vec<Tool>, Refusal> {
    let Some(value) = body.get("tools") else { return Ok(Vec::new()) };
    let list = value.as_array().ok_or_else(|| at("tools", "Input should be a valid list"))?;
    let mut tools: Vec<Tool> = Vec::with_capacity(list.len());
    for (n, tool) in list.iter().enumerate() {
        let path = format!("tools.{n}");
        let tool = tool.as_object().ok_or_else(|| at(&path, "Input should be a valid dictionary"))?;
        match tool.get("type") {
            None | Some(Value::Null) => {}
            Some(Value::String(kind)) if kind == "custom" => {}
            // The provider's own tools run on its side and are never called by the client.
            Some(Value::String(kind)) if kind.contains("_20") => continue,
            Some(_) => return Err(at(&path, "Input tag does not match any of the expected tags")),
        }
        let path = format!("tools.{n}.custom");
        closed(
            tool,
            &path,
            &[
                "type",
                "name",
                "description",
                "input_schema",
                "cache_control",
                "strict",
                "defer_loading",
                "allowed_callers",
                "eager_input_streaming",
                "input_examples",
            ],
        )?;
        let name = text(tool, &path, "name")?;
        if name.is_empty() || name.len() > MAX_TOOL_NAME || !plain(name) {
            return Err(at(
                &format!("{path}.name"),
                &format!("String should match pattern '^[a-zA-Z0-9_-]{{1,{MAX_TOOL_NAME}}}$'"),
            ));
        }
        if tools.iter().any(|other| other.name == name) {
            return Err(at("tools", "Tool names must be unique."));
        }
        let schema = required(tool, &path, "input_schema")?;
        if !schema.is_object() {
            return Err(at(&format!("{path}.input_schema"), "Input should be a valid dictionary"));
        }
        match schema.get("type").map(Value::as_str) {
            Some(Some("object")) => {}
            None => return Err(at(&format!("{path}.input_schema.type"), "Field required")),
            Some(_) => return Err(at(&format!("{path}.input_schema.type"), "Input should be 'object'")),
        }
        if tool.get("description").is_some_and(|said| !said.is_string()) {
            return Err(at(&format!("{path}.description"), "Input should be a valid string"));
        }
        tools.push(Tool { name: name.to_owned(), schema: schema.clone() });
    }
    Ok(tools)
}

fn tool_choice(body: &Map<String, Value>, seen: &mut Seen) -> Result<(), Refusal> {
    let Some(choice) = body.get("tool_choice") else { return Ok(()) };
    let choice = choice.as_object().ok_or_else(|| at("tool_choice", "Input should be a valid dictionary"))?;
    if !body.contains_key("tools") {
        return Err(at("tool_choice", "may only be specified while providing tools"));
    }
    let known: &[&str] = match choice.get("type").and_then(Value::as_str) {
        Some("none") => {
            seen.no_calls = true;
            &["type"]
        }
        Some(kind @ ("auto" | "any")) => {
            seen.must_call = kind == "any";
            &["type", "disable_parallel_tool_use"]
        }
        Some("tool") => {
            let name = text(choice, "tool_choice.tool", "name")?;
            if !seen.tools.iter().any(|tool| tool.name == name) {
                return Err(Refusal::invalid(format!("Tool '{name}' not found in provided tools")));
            }
            seen.forced = Some(name.to_owned());
            &["type", "name", "disable_parallel_tool_use"]
        }
        _ => {
            return Err(at(
                "tool_choice",
                "Input tag does not match any of the expected tags: 'any', 'auto', 'none', 'tool'",
            ));
        }
    };
    closed(choice, "tool_choice", known)?;
    seen.one_call = flag(choice, "disable_parallel_tool_use")?;
    Ok(())
}

fn output(body: &Map<String, Value>, seen: &mut Seen) -> Result<(), Refusal> {
    let format = match body.get("output_config") {
        None => body.get("output_format"),
        Some(config) => {
            let config = config
                .as_object()
                .ok_or_else(|| at("output_config", "Input should be a valid dictionary"))?;
            closed(config, "output_config", &["effort", "format", "task_budget"])?;
            if let Some(effort) = config.get("effort").filter(|effort| !effort.is_null())
                && !matches!(effort.as_str(), Some("low" | "medium" | "high" | "xhigh" | "max"))
            {
                return Err(at(
                    "output_config.effort",
                    "Input should be 'low', 'medium', 'high', 'xhigh' or 'max'",
                ));
            }
            config.get("format")
        }
    };
    let Some(format) = format.filter(|format| !format.is_null()) else { return Ok(()) };
    let path = "output_config.format";
    let format = format.as_object().ok_or_else(|| at(path, "Input should be a valid dictionary"))?;
    closed(format, path, &["type", "schema"])?;
    if format.get("type").and_then(Value::as_str) != Some("json_schema") {
        return Err(at(&format!("{path}.type"), "Input should be 'json_schema'"));
    }
    let schema = required(format, path, "schema")?;
    if let Some(place) = open_object(schema, 0) {
        return Err(at(
            &format!("{path}.schema"),
            &format!("For 'object' type, 'additionalProperties' must be explicitly set to false ({place})"),
        ));
    }
    seen.schema = Some(schema.clone());
    Ok(())
}

/// The kind of place where an object schema does not close itself.
fn open_object(schema: &Value, depth: usize) -> Option<&'static str> {
    const MAX_DEPTH: usize = 64;
    if depth > MAX_DEPTH {
        return Some("too deep");
    }
    match schema {
        Value::Object(map) => {
            let object = map.get("type").and_then(Value::as_str) == Some("object");
            if object && map.get("additionalProperties") != Some(&Value::Bool(false)) {
                return Some(if depth == 0 { "at the root" } else { "below the root" });
            }
            map.values().find_map(|value| open_object(value, depth + 1))
        }
        Value::Array(list) => list.iter().find_map(|value| open_object(value, depth + 1)),
        _ => None,
    }
}

fn metadata(body: &Map<String, Value>) -> Result<(), Refusal> {
    let Some(metadata) = body.get("metadata") else { return Ok(()) };
    let metadata =
        metadata.as_object().ok_or_else(|| at("metadata", "Input should be a valid dictionary"))?;
    closed(metadata, "metadata", &["user_id"])
}

/// Counts cache marks on blocks and tools, not inside the JSON that tools carry.
fn cache_marks(value: &Value) -> usize {
    match value {
        Value::Array(list) => list.iter().map(cache_marks).sum(),
        Value::Object(map) => {
            usize::from(map.get("cache_control").is_some_and(|mark| !mark.is_null()))
                + map.get("content").map_or(0, cache_marks)
        }
        _ => 0,
    }
}

/// A member that has to be there.
pub(super) fn required<'a>(
    map: &'a Map<String, Value>,
    path: &str,
    name: &str,
) -> Result<&'a Value, Refusal> {
    let dot = if path.is_empty() { "" } else { "." };
    map.get(name).ok_or_else(|| at(&format!("{path}{dot}{name}"), "Field required"))
}

/// A member that has to be there and be a string.
pub(super) fn text<'a>(map: &'a Map<String, Value>, path: &str, name: &str) -> Result<&'a str, Refusal> {
    required(map, path, name)?
        .as_str()
        .ok_or_else(|| at(&format!("{path}.{name}"), "Input should be a valid string"))
}

/// Refuses members that are not known.
pub(super) fn closed(map: &Map<String, Value>, path: &str, known: &[&str]) -> Result<(), Refusal> {
    match map.keys().find(|name| !known.contains(&name.as_str())) {
        Some(name) => Err(at(&format!("{path}.{name}"), "Extra inputs are not permitted")),
        None => Ok(()),
    }
}

/// Whether a name is of letters, digits, underscores and hyphens only.
pub(super) fn plain(name: &str) -> bool {
    name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-')
}

fn flag(map: &Map<String, Value>, name: &str) -> Result<bool, Refusal> {
    match map.get(name) {
        None => Ok(false),
        Some(value) => value.as_bool().ok_or_else(|| at(name, "Input should be a valid boolean")),
    }
}

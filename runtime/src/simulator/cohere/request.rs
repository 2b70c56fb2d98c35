//! What the Chat API refuses, in its own words.

use std::collections::HashMap;

use serde_json::{Map, Value, json};

use super::{messages, schema};
use crate::simulator::answer::{Seen, Tool};
use crate::simulator::refusal::Refusal;

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

/// Fields in all tools together where they are strict.
const MAX_STRICT_FIELDS: usize = 200;

/// Numbers, and the range each may be in as the provider spells it.
const RANGES: &[(&str, f64, f64, &str)] = &[
    ("temperature", 0.0, 1.0, "0 and 1.0"),
    ("p", 0.01, 0.99, "0.01 and 0.99"),
    ("frequency_penalty", 0.0, 1.0, "0 and 1"),
    ("presence_penalty", 0.0, 1.0, "0 and 1"),
];

const MAX_K: i64 = 500;

/// What the provider adds where a body cannot be decoded.
const HELP: &str = "For proper usage, please refer to https://docs.cohere.com/reference/chat";

/// A request that breaks a rule.
pub(super) fn invalid(said: impl AsRef<str>) -> Refusal {
    Refusal::invalid(format!("invalid request: {}", said.as_ref()))
}

/// A body that cannot be decoded.
pub(super) fn undecodable(said: impl AsRef<str>) -> Refusal {
    Refusal { status: 422, ..Refusal::invalid(format!("{}. {HELP}", said.as_ref())) }
}

/// A value of the wrong type.
pub(super) fn kind(path: &str, wanted: &str, got: &Value) -> Refusal {
    let got = match got {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    undecodable(format!("invalid type: parameter '{path}' is of type {got} but should be of type {wanted}"))
}

/// A member that is not there.
pub(super) fn missing(path: &str) -> Refusal {
    invalid(format!("{path} is required."))
}

/// Refuses members that are not known.
pub(super) fn closed(map: &Map<String, Value>, known: &[&str]) -> Result<(), Refusal> {
    match map.keys().find(|name| !known.contains(&name.as_str())) {
        Some(name) => Err(undecodable(format!("unknown field: parameter '{name}' is not a valid field"))),
        None => Ok(()),
    }
}

/// A member that is there: `null` says as little as nothing.
pub(super) fn member<'a>(map: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    map.get(name).filter(|value| !value.is_null())
}

/// A value that has to be an object.
pub(super) fn object<'a>(value: &'a Value, path: &str) -> Result<&'a Map<String, Value>, Refusal> {
    value.as_object().ok_or_else(|| kind(path, "object", value))
}

/// A member that may be there and is then a string.
pub(super) fn text<'a>(
    map: &'a Map<String, Value>,
    path: &str,
    name: &str,
) -> Result<Option<&'a str>, Refusal> {
    member(map, name)
        .map(|value| value.as_str().ok_or_else(|| kind(&format!("{path}{name}"), "string", value)))
        .transpose()
}

/// A member that has to be there and be a string.
pub(super) fn needed<'a>(map: &'a Map<String, Value>, path: &str, name: &str) -> Result<&'a str, Refusal> {
    text(map, path, name)?.ok_or_else(|| missing(&format!("{path}{name}")))
}

/// A member that may be there and is then a list.
pub(super) fn list<'a>(map: &'a Map<String, Value>, path: &str, name: &str) -> Result<&'a [Value], Refusal> {
    match member(map, name) {
        None => Ok(&[]),
        Some(Value::Array(list)) => Ok(list),
        Some(other) => Err(kind(&format!("{path}{name}"), "array", other)),
    }
}

/// A word that is one of a few; `what` is how the provider calls it.
pub(super) fn word<'a>(given: &'a str, what: &str, known: &[&str]) -> Result<&'a str, Refusal> {
    match known.contains(&given) {
        true => Ok(given),
        false => Err(undecodable(format!("unrecognized {what} '{given}'"))),
    }
}

/// Checks a request.
pub(in crate::simulator) fn validate(body: &Value) -> Result<Seen, Refusal> {
    let body = object(body, "body")?;
    closed(body, FIELDS)?;
    let model = text(body, "", "model")?.filter(|model| !model.is_empty());
    let model = model.ok_or_else(|| Refusal::invalid("a model parameter is required for this endpoint."))?;
    numbers(body)?;
    let mut seen = Seen {
        model: model.to_owned(),
        stream: flag(body, "stream")?,
        logprobs: flag(body, "logprobs")?,
        limit: limit(body)?,
        stop: stops(body)?,
        tools: tools(body)?,
        ..Seen::default()
    };
    tool_choice(body, &mut seen)?;
    documents(body, &mut seen)?;
    citation_options(body, &mut seen)?;
    response_format(body, &mut seen)?;
    thinking(body, &mut seen)?;
    safety_mode(body, &seen)?;
    messages::check(body, &mut seen)?;
    Ok(seen)
}

fn flag(body: &Map<String, Value>, name: &str) -> Result<bool, Refusal> {
    match member(body, name) {
        None => Ok(false),
        Some(Value::Bool(flag)) => Ok(*flag),
        Some(other) => Err(kind(name, "bool", other)),
    }
}

fn integer(map: &Map<String, Value>, path: &str, name: &str) -> Result<Option<i64>, Refusal> {
    member(map, name)
        .map(|value| value.as_i64().ok_or_else(|| kind(&format!("{path}{name}"), "integer", value)))
        .transpose()
}

fn numbers(body: &Map<String, Value>) -> Result<(), Refusal> {
    for (name, least, most, spelled) in RANGES {
        let Some(given) = member(body, name) else { continue };
        let number = given.as_f64().ok_or_else(|| kind(name, "float", given))?;
        if !(*least..=*most).contains(&number) {
            return Err(invalid(format!("{name} must be between {spelled} inclusive.")));
        }
    }
    if integer(body, "", "k")?.is_some_and(|k| !(0..=MAX_K).contains(&k)) {
        return Err(invalid(format!("k must be between 0 and {MAX_K} inclusive.")));
    }
    if integer(body, "", "priority")?.is_some_and(i64::is_negative) {
        return Err(invalid("priority cannot be less than 0."));
    }
    match member(body, "seed") {
        Some(seed) if !seed.is_i64() && !seed.is_u64() => Err(kind("seed", "integer", seed)),
        _ => Ok(()),
    }
}

fn limit(body: &Map<String, Value>) -> Result<Option<u64>, Refusal> {
    integer(body, "", "max_tokens")?
        .map(|limit| u64::try_from(limit).map_err(|_| invalid("max_tokens cannot be less than 0.")))
        .transpose()
}

fn stops(body: &Map<String, Value>) -> Result<Vec<String>, Refusal> {
    let stops = list(body, "", "stop_sequences")?;
    if stops.len() > MAX_STOPS {
        return Err(invalid(format!(
            "too many stop sequences provided, maximum is {MAX_STOPS}, received {}.",
            stops.len()
        )));
    }
    let text =
        |stop: &Value| stop.as_str().map(str::to_owned).ok_or_else(|| kind("stop_sequences", "string", stop));
    stops.iter().map(text).collect()
}

fn tools(body: &Map<String, Value>) -> Result<Vec<Tool>, Refusal> {
    let mut tools = Vec::new();
    for (n, tool) in list(body, "", "tools")?.iter().enumerate() {
        let path = format!("tools[{n}].");
        let tool = object(tool, &format!("tools[{n}]"))?;
        closed(tool, &["type", "function"])?;
        if needed(tool, &path, "type")? != "function" {
            return Err(Refusal::invalid("tool must be of type function"));
        }
        let path = format!("{path}function");
        let function = object(member(tool, "function").ok_or_else(|| missing(&path))?, &path)?;
        closed(function, &["name", "description", "parameters"])?;
        let path = format!("{path}.");
        let name = needed(function, &path, "name")?;
        let known = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        if name.is_empty() || !known || name.starts_with(|first: char| first.is_ascii_digit()) {
            return Err(invalid(format!(
                "tool names can only contain certain characters (A-Za-z0-9_) and can't begin with a digit (provided name: '{name}')."
            )));
        }
        text(function, &path, "description")?;
        let path = format!("{path}parameters");
        let schema = member(function, "parameters").ok_or_else(|| missing(&path))?;
        let map = object(schema, &path)?;
        if member(map, "type").is_some_and(|kind| kind != "object") {
            return Err(Refusal::invalid("schema must be an object"));
        }
        tools.push(Tool { name: name.to_owned(), schema: schema.clone() });
    }
    if flag(body, "strict_tools")? {
        strict(&tools)?;
    }
    Ok(tools)
}

fn strict(tools: &[Tool]) -> Result<(), Refusal> {
    let fields: usize = tools.iter().map(|tool| schema::fields(&tool.schema, 0)).sum();
    if fields > MAX_STRICT_FIELDS {
        return Err(invalid(format!(
            "strict_tools allows at most {MAX_STRICT_FIELDS} fields across all tools, received {fields}."
        )));
    }
    let some = |tool: &Tool, name: &str| {
        let of = tool.schema.get(name);
        of.and_then(Value::as_array).is_some_and(|list| !list.is_empty())
            || of.and_then(Value::as_object).is_some_and(|map| !map.is_empty())
    };
    match tools.iter().find(|tool| some(tool, "properties") && !some(tool, "required")) {
        Some(tool) => Err(invalid(format!(
            "tool '{}' must have at least one required parameter when strict_tools is enabled.",
            tool.name
        ))),
        None => Ok(()),
    }
}

fn tool_choice(body: &Map<String, Value>, seen: &mut Seen) -> Result<(), Refusal> {
    let Some(choice) = text(body, "", "tool_choice")? else { return Ok(()) };
    let choice = word(choice, "tool choice", &["REQUIRED", "NONE"])?;
    if seen.tools.is_empty() {
        return Err(invalid("tool_choice can only be specified when tools are provided."));
    }
    seen.must_call = choice == "REQUIRED";
    seen.no_calls = choice == "NONE";
    Ok(())
}

fn documents(body: &Map<String, Value>, seen: &mut Seen) -> Result<(), Refusal> {
    let list = list(body, "", "documents")?;
    let mut places = HashMap::new();
    for (n, given) in list.iter().enumerate() {
        let (id, mut shown) = document(given, &format!("documents[{n}]"), n)?;
        let id = id.unwrap_or_else(|| format!("doc:{n}"));
        if let Some(first) = places.insert(id.clone(), n) {
            return Err(invalid(format!("duplicate document ID {id} at index {n} and {first}")));
        }
        shown.insert("id".to_owned(), Value::from(id.as_str()));
        seen.sources.push(json!({"type": "document", "id": id, "document": shown}));
    }
    seen.documents = list.len();
    Ok(())
}

/// Checks a document; its id, and what a citation shows of it.
pub(super) fn document(
    given: &Value,
    path: &str,
    n: usize,
) -> Result<(Option<String>, Map<String, Value>), Refusal> {
    let plain = |said: &str| Map::from_iter([("text".to_owned(), Value::from(said))]);
    let (id, shown) = match given {
        Value::String(said) if said.is_empty() => (None, Map::new()),
        Value::String(said) => (None, plain(said)),
        Value::Object(map) => {
            closed(map, &["id", "data"])?;
            let id = text(map, &format!("{path}."), "id")?.map(str::to_owned);
            match member(map, "data") {
                None => return Err(missing(&format!("{path}.data"))),
                Some(Value::Object(data)) => (id, data.clone()),
                // The guides give the data as text, too, which the SDK's models do not know of.
                Some(Value::String(said)) if said.is_empty() => (id, Map::new()),
                Some(Value::String(said)) => (id, plain(said)),
                Some(other) => return Err(kind(&format!("{path}.data"), "object", other)),
            }
        }
        other => return Err(kind(path, "object", other)),
    };
    match shown.is_empty() {
        true => Err(invalid(format!("document at index {n} cannot be empty"))),
        false => Ok((id, shown)),
    }
}

fn citation_options(body: &Map<String, Value>, seen: &mut Seen) -> Result<(), Refusal> {
    let Some(options) = member(body, "citation_options") else { return Ok(()) };
    let options = object(options, "citation_options")?;
    closed(options, &["mode"])?;
    if let Some(mode) = text(options, "citation_options.", "mode")? {
        let mode = word(mode, "citation mode", &["ENABLED", "DISABLED", "FAST", "ACCURATE", "OFF"])?;
        seen.no_citations = matches!(mode, "DISABLED" | "OFF");
    }
    Ok(())
}

fn response_format(body: &Map<String, Value>, seen: &mut Seen) -> Result<(), Refusal> {
    let Some(format) = member(body, "response_format") else { return Ok(()) };
    let format = object(format, "response_format")?;
    closed(format, &["type", "json_schema"])?;
    let path = "response_format.";
    let wanted = member(format, "json_schema");
    match word(needed(format, path, "type")?, "response format type", &["text", "json_object"])? {
        "text" if wanted.is_some() => {
            Err(invalid("json_schema must not be specified when the response_format type is text."))
        }
        "text" => Ok(()),
        _ if !seen.tools.is_empty() => Err(invalid("response_format is not supported with tools.")),
        _ if seen.documents > 0 => Err(invalid("response_format is not supported with RAG.")),
        _ => {
            if let Some(schema) = wanted {
                object(schema, "response_format.json_schema")?;
                if let Some(said) = schema::broken(schema) {
                    return Err(Refusal::invalid(said));
                }
            }
            seen.schema = Some(wanted.cloned().unwrap_or_else(|| json!({})));
            Ok(())
        }
    }
}

fn thinking(body: &Map<String, Value>, seen: &mut Seen) -> Result<(), Refusal> {
    let Some(thinking) = member(body, "thinking") else { return Ok(()) };
    let thinking = object(thinking, "thinking")?;
    closed(thinking, &["type", "token_budget"])?;
    let kind = word(needed(thinking, "thinking.", "type")?, "thinking type", &["enabled", "disabled"])?;
    if integer(thinking, "thinking.", "token_budget")?.is_some_and(|budget| budget < 1) {
        return Err(invalid("thinking.token_budget must be a positive integer."));
    }
    seen.omit_thinking = kind == "disabled";
    Ok(())
}

fn safety_mode(body: &Map<String, Value>, seen: &Seen) -> Result<(), Refusal> {
    let Some(mode) = text(body, "", "safety_mode")? else { return Ok(()) };
    word(mode, "safety mode", &["CONTEXTUAL", "STRICT", "OFF"])?;
    match seen.tools.is_empty() && seen.documents == 0 {
        true => Ok(()),
        false => Err(invalid("safety_mode is not supported in combination with tools and documents.")),
    }
}

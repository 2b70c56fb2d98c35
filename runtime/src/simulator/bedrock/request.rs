//! The rules for a request beside its turns.

use serde_json::{Map, Value};

use super::shape::{self, malformed};
use super::{fields, shapes, turns};
use crate::simulator::answer::{Seen, Tool};
use crate::simulator::refusal::Refusal;

const MAX_CACHE_POINTS: usize = 4;

/// How deep schemas may nest before they are no longer followed.
const MAX_DEPTH: usize = 64;

/// What an answer repeats.
const REPEATED: &[&str] = &["performanceConfig", "serviceTier", "guardrailConfig"];

/// Checks a request for one model.
pub(in crate::simulator) fn validate(model: &str, body: &Value, stream: bool) -> Result<Seen, Refusal> {
    let body = shape::read(if stream { &shapes::STREAM_REQUEST } else { &shapes::REQUEST }, body)?;
    let mut seen = Seen { model: model.to_owned(), ..Seen::default() };
    inference(&body, &mut seen)?;
    tools(&body, &mut seen)?;
    output(&body, &mut seen)?;
    system(&body, &mut seen)?;
    let thinking = fields::check(&body, &seen)?;
    fields::paths(&body, &mut seen)?;
    turns::check(&body, thinking, &mut seen)?;
    cache_points(&body)?;
    for name in REPEATED {
        if let Some(value) = body.get(*name) {
            seen.echo.insert((*name).to_owned(), value.clone());
        }
    }
    Ok(seen)
}

/// What the model itself refuses, as the service hands it on.
pub(super) fn model_says(said: &str) -> Refusal {
    Refusal::invalid(format!("The model returned the following errors: {said}"))
}

/// Any JSON in the service model that has to be an object all the same.
pub(super) fn not_an_object(path: &str) -> Refusal {
    Refusal::invalid(format!(
        "The format of the value at {path} is invalid. Provide a json object for the field and try again."
    ))
}

/// The elements of a list that may be absent.
pub(super) fn list<'a>(map: &'a Map<String, Value>, name: &str) -> &'a [Value] {
    map.get(name).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn inference(body: &Map<String, Value>, seen: &mut Seen) -> Result<(), Refusal> {
    let Some(config) = body.get("inferenceConfig").and_then(Value::as_object) else { return Ok(()) };
    seen.limit = config.get("maxTokens").and_then(Value::as_u64);
    for stop in list(config, "stopSequences").iter().filter_map(Value::as_str) {
        if stop.trim().is_empty() {
            return Err(model_says("stop_sequences: each stop sequence must contain non-whitespace"));
        }
        seen.stop.push(stop.to_owned());
    }
    Ok(())
}

fn tools(body: &Map<String, Value>, seen: &mut Seen) -> Result<(), Refusal> {
    let Some(config) = body.get("toolConfig").and_then(Value::as_object) else { return Ok(()) };
    for (n, tool) in list(config, "tools").iter().enumerate() {
        let Some(spec) = tool.get("toolSpec") else { continue };
        let path = format!("toolConfig.tools.{n}.toolSpec.inputSchema.json");
        let schema = spec.pointer("/inputSchema/json").filter(|schema| schema.is_object());
        let schema = schema.ok_or_else(|| not_an_object(&path))?;
        if schema.get("type").and_then(Value::as_str) != Some("object") {
            return Err(Refusal::invalid(format!(
                "The value at {path}.type must be one of the following: object."
            )));
        }
        let name = spec.get("name").and_then(Value::as_str).unwrap_or_default();
        if seen.tools.iter().any(|other| other.name == name) {
            return Err(model_says("tools: Tool names must be unique."));
        }
        seen.tools.push(Tool { name: name.to_owned(), schema: schema.clone() });
    }
    let Some(choice) = config.get("toolChoice") else { return Ok(()) };
    if seen.tools.is_empty() {
        return Err(model_says("tool_choice: may only be specified while providing tools"));
    }
    seen.must_call = choice.get("any").is_some();
    if let Some(name) = choice.pointer("/tool/name").and_then(Value::as_str) {
        if !seen.tools.iter().any(|tool| tool.name == name) {
            return Err(model_says(&format!("Tool '{name}' not found in provided tools")));
        }
        seen.forced = Some(name.to_owned());
    }
    Ok(())
}

fn output(body: &Map<String, Value>, seen: &mut Seen) -> Result<(), Refusal> {
    const PATH: &str = "outputConfig.textFormat.structure.jsonSchema.schema";
    let schema =
        body.get("outputConfig").and_then(|config| config.pointer("/textFormat/structure/jsonSchema/schema"));
    let Some(text) = schema.and_then(Value::as_str) else { return Ok(()) };
    let schema: Value =
        serde_json::from_str(text).map_err(|_| malformed(&format!("the value at {PATH} is not JSON")))?;
    if !schema.is_object() {
        return Err(not_an_object(PATH));
    }
    if let Some(place) = open_object(&schema, 0) {
        return Err(model_says(&format!(
            "output_config.format.schema: For 'object' type, 'additionalProperties' must be explicitly set to false ({place})"
        )));
    }
    seen.schema = Some(schema);
    Ok(())
}

/// The kind of place where an object schema does not close itself.
fn open_object(schema: &Value, depth: usize) -> Option<&'static str> {
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

fn system(body: &Map<String, Value>, seen: &mut Seen) -> Result<(), Refusal> {
    for (n, block) in list(body, "system").iter().enumerate() {
        if block.get("text").and_then(Value::as_str).is_some_and(|said| said.trim().is_empty()) {
            return Err(Refusal::invalid(format!(
                "The text field in the SystemContentBlock object at system.{n} is blank. Add text to the text field, and try again."
            )));
        }
        seen.system += 1;
    }
    Ok(())
}

/// Counts the marks on system text, tools and turns.
fn cache_points(body: &Map<String, Value>) -> Result<(), Refusal> {
    let tools =
        body.get("toolConfig").and_then(Value::as_object).map_or(&[][..], |config| list(config, "tools"));
    let turns = list(body, "messages").iter().filter_map(|turn| turn.get("content")?.as_array()).flatten();
    let blocks = list(body, "system").iter().chain(tools).chain(turns);
    let count = blocks.filter(|block| block.get("cachePoint").is_some()).count();
    if count > MAX_CACHE_POINTS {
        return Err(model_says(&format!(
            "A maximum of {MAX_CACHE_POINTS} blocks with cache_control may be provided. Found {count}."
        )));
    }
    Ok(())
}

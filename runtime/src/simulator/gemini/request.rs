//! What the API refuses of a request around its contents: settings, tools, safety, the cache.

use serde_json::{Map, Value, json};

use super::fields::{COUNT, REQUEST};
use super::{parts, proto, schema};
use crate::simulator::Wire;
use crate::simulator::answer::{Seen, Tool};
use crate::simulator::refusal::Refusal;

const MAX_STOPS: usize = 5;
const MAX_NAME: usize = 64;
const MAX_LOGPROBS: i64 = 20;
const MAX_CANDIDATES: i64 = 8;
/// The most that any documented model thinks; -1 lets the model decide.
const MAX_BUDGET: i64 = 32_768;

const MIME_TYPES: &[&str] =
    &["text/plain", "application/json", "application/xml", "application/yaml", "text/x.enum"];

/// The categories that Gemini models have settings for.
const CATEGORIES: &[&str] = &[
    "HARM_CATEGORY_HATE_SPEECH",
    "HARM_CATEGORY_SEXUALLY_EXPLICIT",
    "HARM_CATEGORY_DANGEROUS_CONTENT",
    "HARM_CATEGORY_HARASSMENT",
    "HARM_CATEGORY_CIVIC_INTEGRITY",
];

/// What can be true of one model and not of another.
pub(super) struct Model {
    /// A call of the current turn needs the signature it came with.
    pub(super) signed_calls: bool,
    /// Tools and a JSON answer go together.
    pub(super) tools_with_json: bool,
}

/// Every model here is like those of the third generation.
const MODEL: Model = Model { signed_calls: true, tools_with_json: true };

/// A validator's complaint about one place.
pub(super) fn at(path: &str, said: &str) -> Refusal {
    Refusal::invalid(format!("* GenerateContentRequest.{path}: {said}"))
}

/// Checks a request for one model; `count` is the one for counting tokens, which may be wrapped.
pub(in crate::simulator) fn validate(model: &str, body: &Value, count: bool) -> Result<Seen, Refusal> {
    let mut body = proto::read(if count { &COUNT } else { &REQUEST }, body)?;
    if let Some(Value::Object(inner)) = body.remove("generateContentRequest") {
        body = inner;
    }
    let mut seen = Seen { model: model.to_owned(), ..Seen::default() };
    instruction(&body, &mut seen)?;
    generation(&body, &mut seen)?;
    tools(&body, &mut seen)?;
    tool_config(&body, &mut seen)?;
    if seen.schema.is_some() && !seen.tools.is_empty() && !MODEL.tools_with_json {
        return Err(Refusal::invalid(
            "Function calling with a response mime type: 'application/json' is unsupported",
        ));
    }
    safety(&body)?;
    cache(&body)?;
    parts::contents(&body, &MODEL, &mut seen)?;
    Ok(seen)
}

fn instruction(body: &Map<String, Value>, seen: &mut Seen) -> Result<(), Refusal> {
    let Some(instruction) = body.get("systemInstruction") else { return Ok(()) };
    let parts = instruction.get("parts").and_then(Value::as_array).filter(|parts| !parts.is_empty());
    let parts = parts.ok_or_else(|| at("system_instruction.parts", "contents.parts must not be empty."))?;
    for (n, part) in parts.iter().enumerate() {
        let path = format!("system_instruction.parts[{n}]");
        let Some(data) = parts::data(part) else { return Err(parts::no_data(&path)) };
        if data != "text" {
            return Err(at(&path, "only text is supported in system_instruction."));
        }
    }
    seen.system = 1;
    Ok(())
}

fn generation(body: &Map<String, Value>, seen: &mut Seen) -> Result<(), Refusal> {
    let Some(config) = body.get("generationConfig").and_then(Value::as_object) else { return Ok(()) };
    let path = |name: &str| format!("generation_config.{}", proto::snake(name));
    for (name, least, most) in [("temperature", 0.0, 2.0), ("topP", 0.0, 1.0)] {
        if let Some(number) =
            config.get(name).and_then(Value::as_f64).filter(|number| !(least..=most).contains(number))
        {
            let said =
                format!("{} must be in the range [{least:.1}, {most:.1}], got {number}.", proto::snake(name));
            return Err(at(&path(name), &said));
        }
    }
    for name in ["presencePenalty", "frequencyPenalty"] {
        if config.get(name).and_then(Value::as_f64).is_some_and(|number| !(-2.0..2.0).contains(&number)) {
            return Err(at(
                &path(name),
                &format!("{} must be in the range [-2.0, 2.0).", proto::snake(name)),
            ));
        }
    }
    let integer = |name: &str| config.get(name).and_then(Value::as_i64);
    for name in ["maxOutputTokens", "topK"] {
        if integer(name).is_some_and(|number| number < 1) {
            return Err(at(&path(name), &format!("{} must be positive.", proto::snake(name))));
        }
    }
    if integer("candidateCount").is_some_and(|number| !(1..=MAX_CANDIDATES).contains(&number)) {
        let said = format!("candidate_count must be in the range [1, {MAX_CANDIDATES}].");
        return Err(at(&path("candidateCount"), &said));
    }
    if let Some(number) = integer("logprobs") {
        if config.get("responseLogprobs") != Some(&Value::Bool(true)) {
            return Err(at(&path("logprobs"), "logprobs requires response_logprobs to be set."));
        }
        if !(0..=MAX_LOGPROBS).contains(&number) {
            return Err(at(
                &path("logprobs"),
                &format!("logprobs must be in the range [0, {MAX_LOGPROBS}]."),
            ));
        }
    }
    let stops = config.get("stopSequences").and_then(Value::as_array);
    if let Some(stops) = stops.filter(|stops| stops.len() > MAX_STOPS) {
        let said = format!("The number of stop sequences must not exceed {MAX_STOPS}, got {}.", stops.len());
        return Err(at(&path("stopSequences"), &said));
    }
    seen.stop = stops.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect();
    seen.limit = integer("maxOutputTokens").and_then(|number| u64::try_from(number).ok());
    seen.choices = integer("candidateCount").and_then(|number| u64::try_from(number).ok()).unwrap_or(1);
    output(config, seen)?;
    thinking(config, seen)
}

fn output(config: &Map<String, Value>, seen: &mut Seen) -> Result<(), Refusal> {
    let mime = config.get("responseMimeType").and_then(Value::as_str).unwrap_or("text/plain");
    if !MIME_TYPES.contains(&mime) {
        return Err(at(
            "generation_config.response_mime_type",
            "allowed mimetypes are `text/plain`, `application/json`, `application/xml`, `application/yaml` and `text/x.enum`.",
        ));
    }
    let own = config.get("responseSchema");
    let free = config.get("responseJsonSchema").filter(|schema| !schema.is_null());
    if own.is_some() && free.is_some() {
        return Err(at(
            "generation_config",
            "only one of response_schema and response_json_schema may be set.",
        ));
    }
    if let Some(said) = own.and_then(|schema| schema::check(schema, "generation_config.response_schema")) {
        return Err(Refusal::invalid(format!("* GenerateContentRequest.{said}")));
    }
    if free.is_some_and(|schema| !schema.is_object()) {
        return Err(at("generation_config.response_json_schema", "schema must be an object."));
    }
    let allowed = mime == "application/json" || (mime == "text/x.enum" && own.is_some());
    if let (true, false) = (own.or(free).is_some(), allowed) {
        let name = if own.is_some() { "response_schema" } else { "response_json_schema" };
        return Err(at(
            &format!("generation_config.{name}"),
            "only allowed with response_mime_type `application/json`.",
        ));
    }
    if mime == "application/json" {
        seen.schema = Some(own.or(free).cloned().unwrap_or_else(|| json!({})));
    }
    Ok(())
}

fn thinking(config: &Map<String, Value>, seen: &mut Seen) -> Result<(), Refusal> {
    let Some(thinking) = config.get("thinkingConfig") else { return Ok(()) };
    let budget = thinking.get("thinkingBudget").and_then(Value::as_i64);
    if budget.is_some() && thinking.get("thinkingLevel").is_some() {
        return Err(Refusal::invalid("You can only set only one of thinking budget and thinking level."));
    }
    if let Some(budget) = budget.filter(|budget| !(-1..=MAX_BUDGET).contains(budget)) {
        return Err(Refusal::invalid(format!(
            "The thinking budget ({budget}) is invalid. Please choose a value between 0 and {MAX_BUDGET}."
        )));
    }
    // Thoughts are shown only on request; a scenario that is asked for by name shows them unasked.
    seen.omit_thinking = thinking.get("includeThoughts") == Some(&Value::Bool(false));
    Ok(())
}

fn tools(body: &Map<String, Value>, seen: &mut Seen) -> Result<(), Refusal> {
    let tools = body.get("tools").and_then(Value::as_array).into_iter().flatten();
    for (t, tool) in tools.enumerate() {
        let functions = tool.get("functionDeclarations").and_then(Value::as_array);
        for (f, function) in functions.into_iter().flatten().enumerate() {
            let tool = declared(function, &format!("tools[{t}].function_declarations[{f}]"))?;
            if seen.tools.iter().any(|other| other.name == tool.name) {
                return Err(Refusal::invalid(format!("Duplicate function declaration found: {}", tool.name)));
            }
            seen.tools.push(tool);
        }
    }
    Ok(())
}

fn declared(function: &Value, path: &str) -> Result<Tool, Refusal> {
    let name = function.get("name").and_then(Value::as_str).unwrap_or_default();
    let first = name.starts_with(|letter: char| letter.is_ascii_alphabetic() || letter == '_');
    let rest = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.:-".contains(&byte));
    if !first || !rest || name.len() > MAX_NAME {
        return Err(at(
            &format!("{path}.name"),
            "Invalid function name. Must start with a letter or an underscore. Must be alphameric (a-z, A-Z, 0-9), underscores (_), dots (.), colons (:), or dashes (-), with a maximum length of 64.",
        ));
    }
    for (own, free) in [("parameters", "parametersJsonSchema"), ("response", "responseJsonSchema")] {
        let schema = function.get(own);
        if schema.is_some() && function.get(free).is_some_and(|schema| !schema.is_null()) {
            let said = format!("only one of {own} and {} may be set.", proto::snake(free));
            return Err(at(path, &said));
        }
        if let Some(said) = schema.and_then(|schema| schema::check(schema, &format!("{path}.{own}"))) {
            return Err(Refusal::invalid(format!("* GenerateContentRequest.{said}")));
        }
    }
    let own = function.get("parameters");
    if own.is_some_and(|schema| schema.get("type").and_then(Value::as_str) != Some("OBJECT")) {
        return Err(at(&format!("{path}.parameters"), "schema should be of type OBJECT."));
    }
    let free = function.get("parametersJsonSchema").filter(|schema| !schema.is_null());
    if free.is_some_and(|schema| schema.get("type").and_then(Value::as_str) != Some("object")) {
        return Err(at(&format!("{path}.parameters_json_schema"), "schema should be of type object."));
    }
    Ok(Tool { name: name.to_owned(), schema: own.or(free).cloned().unwrap_or_else(|| json!({})) })
}

fn tool_config(body: &Map<String, Value>, seen: &mut Seen) -> Result<(), Refusal> {
    let config = body.get("toolConfig").and_then(|config| config.get("functionCallingConfig"));
    let Some(config) = config else { return Ok(()) };
    if seen.tools.is_empty() {
        return Err(Refusal::invalid("Function calling config is set without function_declarations."));
    }
    let mode = config.get("mode").and_then(Value::as_str).unwrap_or("AUTO");
    seen.no_calls = mode == "NONE";
    seen.must_call = mode == "ANY";
    let names = config.get("allowedFunctionNames").and_then(Value::as_array);
    let names: Vec<&str> = names.into_iter().flatten().filter_map(Value::as_str).collect();
    let path = "tool_config.function_calling_config.allowed_function_names";
    if !names.is_empty() && !matches!(mode, "ANY" | "VALIDATED") {
        return Err(at(path, "only allowed when the mode is ANY or VALIDATED."));
    }
    if let Some(name) = names.iter().find(|name| !seen.tools.iter().any(|tool| tool.name == **name)) {
        return Err(at(path, &format!("`{name}` is not among the function declarations.")));
    }
    if !names.is_empty() {
        seen.tools.retain(|tool| names.contains(&tool.name.as_str()));
    }
    if let ("ANY", [name]) = (mode, names.as_slice()) {
        seen.forced = Some((*name).to_owned());
    }
    Ok(())
}

fn safety(body: &Map<String, Value>) -> Result<(), Refusal> {
    let settings = body.get("safetySettings").and_then(Value::as_array).into_iter().flatten();
    let mut before: Vec<&str> = Vec::new();
    for (n, setting) in settings.enumerate() {
        let category = setting.get("category").and_then(Value::as_str).unwrap_or_default();
        if !CATEGORIES.contains(&category) {
            let known: Vec<String> = CATEGORIES.iter().map(|name| format!("HarmCategory.{name}")).collect();
            return Err(at(
                &format!("safety_settings[{n}].category"),
                &format!("element predicate failed: $.category in ({})", known.join(", ")),
            ));
        }
        if before.contains(&category) {
            return Err(at(
                "safety_settings",
                "there should not be more than one setting for each category.",
            ));
        }
        before.push(category);
    }
    Ok(())
}

fn cache(body: &Map<String, Value>) -> Result<(), Refusal> {
    let Some(name) = body.get("cachedContent").and_then(Value::as_str) else { return Ok(()) };
    if name.strip_prefix("cachedContents/").is_none_or(str::is_empty) {
        return Err(at("cached_content", "must be of the form cachedContents/{id}."));
    }
    // Nothing was ever cached here.
    Err(Refusal::status(Wire::Gemini, 403, "CachedContent not found (or permission denied)"))
}

//! The rules for tools and for the choice among them.

use serde_json::{Map, Value, json};

use super::shape::Is::{self, Any, Flag, Integer, List, Object, Text, TextOrObject, Word};
use super::shape::Need::{May, Must};
use super::shape::{
    Member, at, invalid, list, missing, name, not_empty, object, one_of, set, shape, text, too_many, value,
};
use crate::simulator::answer::{Seen, Tool};
use crate::simulator::openai_chat::schema;
use crate::simulator::refusal::Refusal;

const MAX_TOOLS: usize = 128;
const MAX_NAME: usize = 64;

const CONTEXT_SIZE: Is = Word(&["low", "medium", "high"]);

const FUNCTION: &[Member] = &[
    ("type", Text, Must),
    ("name", Text, Must),
    ("description", Text, May),
    ("parameters", Object, May),
    ("strict", Flag, May),
    ("async", Flag, May),
    ("allowed_callers", List, May),
    ("defer_loading", Flag, May),
    ("output_schema", Object, May),
];

const CUSTOM: &[Member] = &[
    ("type", Text, Must),
    ("name", Text, Must),
    ("description", Text, May),
    ("format", Object, May),
    ("async", Flag, May),
    ("allowed_callers", List, May),
    ("defer_loading", Flag, May),
];

const WEB_SEARCH: &[Member] = &[
    ("type", Text, Must),
    ("external_web_access", Flag, May),
    ("filters", Object, May),
    ("search_context_size", CONTEXT_SIZE, May),
    ("user_location", Object, May),
];

const WEB_SEARCH_PREVIEW: &[Member] = &[
    ("type", Text, Must),
    ("search_content_types", List, May),
    ("search_context_size", CONTEXT_SIZE, May),
    ("user_location", Object, May),
];

const CALLERS: &[Member] = &[("type", Text, Must), ("allowed_callers", List, May)];

const BARE: &[Member] = &[("type", Text, Must)];

/// Tools that run at the provider or that a client runs by a fixed contract.
const HOSTED: &[(&str, &[Member])] = &[
    (
        "file_search",
        &[
            ("type", Text, Must),
            ("vector_store_ids", List, Must),
            ("filters", Object, May),
            ("max_num_results", Integer, May),
            ("ranking_options", Object, May),
        ],
    ),
    ("computer", BARE),
    (
        "computer_use_preview",
        &[
            ("type", Text, Must),
            ("display_height", Integer, Must),
            ("display_width", Integer, Must),
            ("environment", Word(&["windows", "mac", "linux", "ubuntu", "browser"]), Must),
        ],
    ),
    ("web_search", WEB_SEARCH),
    ("web_search_2025_08_26", WEB_SEARCH),
    ("web_search_preview", WEB_SEARCH_PREVIEW),
    ("web_search_preview_2025_03_11", WEB_SEARCH_PREVIEW),
    (
        "mcp",
        &[
            ("type", Text, Must),
            ("server_label", Text, Must),
            ("allowed_callers", List, May),
            ("allowed_tools", Any, May),
            ("authorization", Text, May),
            ("connector_id", Text, May),
            ("defer_loading", Flag, May),
            ("headers", Object, May),
            ("require_approval", TextOrObject, May),
            ("server_description", Text, May),
            ("server_url", Text, May),
            ("tunnel_id", Text, May),
        ],
    ),
    (
        "code_interpreter",
        &[("type", Text, Must), ("container", TextOrObject, Must), ("allowed_callers", List, May)],
    ),
    ("programmatic_tool_calling", BARE),
    (
        "image_generation",
        &[
            ("type", Text, Must),
            ("action", Word(&["generate", "edit", "auto"]), May),
            ("background", Word(&["transparent", "opaque", "auto"]), May),
            ("complexity", CONTEXT_SIZE, May),
            ("frame_count", Integer, May),
            ("frame_duration_ms", Integer, May),
            ("input_fidelity", Word(&["high", "low"]), May),
            ("input_image_mask", Object, May),
            ("model", Text, May),
            ("moderation", Word(&["auto", "low"]), May),
            ("output_compression", Integer, May),
            ("output_format", Word(&["png", "webp", "jpeg", "gif", "svg"]), May),
            ("partial_images", Integer, May),
            ("quality", Word(&["low", "medium", "high", "xhigh", "max", "auto"]), May),
            ("size", Text, May),
            ("svg", Object, May),
        ],
    ),
    ("local_shell", BARE),
    ("shell", &[("type", Text, Must), ("allowed_callers", List, May), ("environment", Object, May)]),
    (
        "tool_search",
        &[
            ("type", Text, Must),
            ("description", Text, May),
            ("execution", Word(&["server", "client"]), May),
            ("parameters", Any, May),
        ],
    ),
    ("apply_patch", CALLERS),
];

/// Checks `tools` and `tool_choice`.
pub(super) fn check(body: &Map<String, Value>, seen: &mut Seen) -> Result<(), Refusal> {
    let tools = list(body, "tools");
    too_many(tools.len(), "tools", MAX_TOOLS)?;
    let mut told = Vec::with_capacity(tools.len());
    for (n, tool) in tools.iter().enumerate() {
        told.push(one(tool, &format!("tools[{n}]"), seen)?);
    }
    if let Some(choice) = set(body, "tool_choice") {
        self::choice(choice, tools, seen)?;
    }
    seen.echo.insert("tools".to_owned(), Value::Array(told));
    let choice = set(body, "tool_choice").cloned().unwrap_or_else(|| json!("auto"));
    seen.echo.insert("tool_choice".to_owned(), choice);
    Ok(())
}

/// Checks one tool of those that come in a list elsewhere; what it would offer is not kept.
pub(super) fn elsewhere(tool: &Value, path: &str) -> Result<(), Refusal> {
    one(tool, path, &mut Seen::default()).map(drop)
}

/// Checks one tool; how an answer repeats it is returned.
fn one(tool: &Value, path: &str, seen: &mut Seen) -> Result<Value, Refusal> {
    let map = object(tool, path)?;
    let mut told = tool.clone();
    match text(map, path, "type")? {
        "function" => {
            let (tool, strict) = function(map, path)?;
            seen.tools.push(tool);
            told["strict"] = Value::Bool(strict);
            told["description"] = map.get("description").cloned().unwrap_or_default();
            told["parameters"] = map.get("parameters").cloned().unwrap_or_default();
        }
        "custom" => {
            let name = custom(map, path)?;
            // What a free-form tool is given is a text, so its call is made as one.
            seen.tools.push(Tool { name: name.to_owned(), schema: json!({"type": "string"}) });
            seen.custom.push(name.to_owned());
            if set(map, "format").is_none() {
                told["format"] = json!({"type": "text"});
            }
        }
        "namespace" => {
            let members = [
                ("type", Text, Must),
                ("name", Text, Must),
                ("description", Text, Must),
                ("tools", List, Must),
            ];
            shape(map, path, &members)?;
            name(text(map, path, "name")?, &at(path, "name"), MAX_NAME)?;
            let inner = list(map, "tools");
            not_empty(inner, &at(path, "tools"))?;
            for (n, tool) in inner.iter().enumerate() {
                let path = format!("{path}.tools[{n}]");
                let tool = object(tool, &path)?;
                match text(tool, &path, "type")? {
                    "function" => drop(function(tool, &path)?),
                    "custom" => drop(custom(tool, &path)?),
                    other => return Err(value(&at(&path, "type"), other, &["function", "custom"])),
                }
            }
        }
        other => match HOSTED.iter().find(|(name, _)| *name == other) {
            Some((_, members)) => shape(map, path, members)?,
            None => {
                let words: Vec<&str> = ["function", "custom", "namespace"]
                    .into_iter()
                    .chain(HOSTED.iter().map(|(name, _)| *name))
                    .collect();
                return Err(value(&at(path, "type"), other, &words));
            }
        },
    }
    Ok(told)
}

/// Checks a function; whether its schema is kept to strictly is returned with it.
fn function(map: &Map<String, Value>, path: &str) -> Result<(Tool, bool), Refusal> {
    shape(map, path, FUNCTION)?;
    let label = text(map, path, "name")?;
    name(label, &at(path, "name"), MAX_NAME)?;
    let bad = |said: &str| {
        Refusal::field(
            format!("Invalid schema for function '{label}': {said}"),
            at(path, "parameters"),
            Some("invalid_function_parameters"),
        )
    };
    let schema = set(map, "parameters").cloned().unwrap_or_else(|| json!({}));
    let empty = schema.as_object().is_none_or(Map::is_empty);
    let kind = schema.get("type");
    if !empty && kind.and_then(Value::as_str) != Some("object") {
        let kind = kind.map_or_else(|| "None".to_owned(), Value::to_string);
        return Err(bad(&format!("schema must be a JSON Schema of 'type: \"object\"', got 'type: {kind}'.")));
    }
    let broken = schema::strict(&schema);
    let strict = match map.get("strict").and_then(Value::as_bool) {
        Some(true) => match broken {
            Some(said) => return Err(bad(&said)),
            None => true,
        },
        Some(false) => false,
        // A function is strict where nothing else is said and its schema allows for it.
        None => broken.is_none(),
    };
    Ok((Tool { name: label.to_owned(), schema }, strict))
}

/// Checks a free-form tool and gives its name.
fn custom<'a>(map: &'a Map<String, Value>, path: &str) -> Result<&'a str, Refusal> {
    shape(map, path, CUSTOM)?;
    let label = text(map, path, "name")?;
    name(label, &at(path, "name"), MAX_NAME)?;
    let path = at(path, "format");
    let Some(format) = map.get("format").and_then(Value::as_object) else { return Ok(label) };
    match text(format, &path, "type")? {
        "text" => shape(format, &path, BARE)?,
        "grammar" => {
            let members = [
                ("type", Text, Must),
                ("syntax", Word(&["lark", "regex"]), Must),
                ("definition", Text, Must),
            ];
            shape(format, &path, &members)?;
            if text(format, &path, "definition")?.is_empty() {
                return Err(invalid(&at(&path, "definition"), "Invalid grammar: the definition is empty."));
            }
        }
        other => return Err(value(&at(&path, "type"), other, &["text", "grammar"])),
    }
    Ok(label)
}

fn choice(choice: &Value, tools: &[Value], seen: &mut Seen) -> Result<(), Refusal> {
    let Some(map) = choice.as_object() else {
        let word = choice.as_str().unwrap_or_default();
        one_of(word, &["none", "auto", "required"], "tool_choice")?;
        if word == "required" && tools.is_empty() {
            return Err(Refusal::field(
                "Tool choice 'required' must be specified with 'tools' parameter.",
                "tool_choice",
                None,
            ));
        }
        seen.no_calls = word == "none";
        seen.must_call = word == "required";
        return Ok(());
    };
    let path = "tool_choice";
    if text(map, path, "type")? != "allowed_tools" {
        if let Some(name) = chosen(map, path, tools)? {
            seen.forced = Some(name.to_owned());
        }
        return Ok(());
    }
    let members = [("type", Text, Must), ("mode", Word(&["auto", "required"]), Must), ("tools", List, Must)];
    shape(map, path, &members)?;
    let allowed = list(map, "tools");
    not_empty(allowed, "tool_choice.tools")?;
    let mut names = Vec::with_capacity(allowed.len());
    for (n, tool) in allowed.iter().enumerate() {
        let path = format!("tool_choice.tools[{n}]");
        names.extend(chosen(object(tool, &path)?, &path, tools)?);
    }
    seen.tools.retain(|tool| names.contains(&tool.name.as_str()));
    seen.must_call = map.get("mode").and_then(Value::as_str) == Some("required");
    Ok(())
}

/// Checks that one declared tool is named; the name is returned where the caller runs the tool.
fn chosen<'a>(map: &'a Map<String, Value>, path: &str, tools: &[Value]) -> Result<Option<&'a str>, Refusal> {
    let word = text(map, path, "type")?;
    let label = match word {
        "function" | "custom" => {
            shape(map, path, &[("type", Text, Must), ("name", Text, Must)])?;
            Some(text(map, path, "name")?)
        }
        "mcp" => {
            shape(map, path, &[("type", Text, Must), ("server_label", Text, Must), ("name", Text, May)])?;
            Some(text(map, path, "server_label")?)
        }
        _ if HOSTED.iter().any(|(name, _)| *name == word) || word == "computer_use" => {
            shape(map, path, BARE)?;
            None
        }
        _ => {
            let words: Vec<&str> = ["function", "custom", "allowed_tools"]
                .into_iter()
                .chain(HOSTED.iter().map(|(name, _)| *name))
                .collect();
            return Err(value(&at(path, "type"), word, &words));
        }
    };
    let member = if word == "mcp" { "server_label" } else { "name" };
    let declared = tools.iter().any(|tool| {
        let kind = tool.get("type").and_then(Value::as_str).unwrap_or_default();
        kind == word && label.is_none_or(|label| tool.get(member).and_then(Value::as_str) == Some(label))
            || word == "computer_use" && kind.starts_with("computer")
    });
    if !declared {
        return Err(Refusal::field(
            format!("Tool choice '{}' not found in 'tools' parameter.", label.unwrap_or(word)),
            path.split_once('.').map_or(path, |(root, _)| root),
            None,
        ));
    }
    if word == "mcp" {
        return Ok(None);
    }
    if label.is_some_and(str::is_empty) {
        return Err(missing(&at(path, "name")));
    }
    Ok(label)
}

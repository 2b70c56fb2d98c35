//! Answers in JSON.

use busbar_protocols::{EffectKind, Text, ir};
use serde_json::Value;

use super::super::{shape::Shape, text};

/// What the model is told where the target cannot ask for JSON.
const ASK_JSON: &str = "Answer with one JSON object and nothing else: no prose around it and no code fence.";
/// Name of a schema that has none.
const SCHEMA_NAME: &str = "answer";
/// Schemas nest no deeper than this where they are read.
const MAX_DEPTH: usize = 64;

/// Asks for JSON in the target's way: by schema, by mode, or in words.
pub(super) fn fit_schema_output(request: &mut ir::Request<'_>, shape: &mut Shape<'_>) {
    let rules = shape.to.output;
    let some = |list: Option<usize>| list.is_some_and(|length| length > 0);
    let beside = some(request.tools.as_ref().map(Vec::len)) || some(request.documents.as_ref().map(Vec::len));
    match &request.output.format {
        Some(ir::OutputFormat::Text) if !rules.json => request.output.format = None,
        Some(ir::OutputFormat::Json) if !rules.json || (beside && !rules.json_beside) => {
            request.output.format = None;
            ask_in_words(request, ASK_JSON.to_owned(), "output.format", shape);
        }
        Some(ir::OutputFormat::JsonSchema) if beside && !rules.json_beside => {
            schema_in_words(request, shape);
        }
        Some(ir::OutputFormat::JsonSchema) => fit_schema(request, shape),
        _ => {}
    }
}

/// Asks for JSON by a schema where that cannot be done beside tools and documents.
fn schema_in_words(request: &mut ir::Request<'_>, shape: &mut Shape<'_>) {
    let output = &mut request.output;
    output.format = None;
    let schema = output.schema.take();
    let schema = schema.as_ref().map_or("{}", busbar_protocols::Json::as_str);
    let mut words = format!("{ASK_JSON}\n\nThe object must be valid by this JSON schema:\n{schema}");
    if let Some(said) = output.schema_description.take() {
        words.push_str(&format!("\n\nWhat it is for: {said}"));
    }
    let lost = [
        (output.schema_name.take().is_some(), "output.schema_name"),
        (output.schema_strict.take().is_some(), "output.schema_strict"),
    ];
    for (_, path) in lost.into_iter().filter(|(is_said, _)| *is_said) {
        shape.report.request(EffectKind::Dropped, path, "the schema is said in words");
    }
    ask_in_words(request, words, "output.schema", shape);
}

fn ask_in_words(request: &mut ir::Request<'_>, words: String, path: &str, shape: &mut Shape<'_>) {
    super::instructions::instruct(request, words, shape);
    shape.state.bare_json = true;
    shape.report.request(EffectKind::Emulated, path, "the model is asked for JSON in words");
}

fn fit_schema(request: &mut ir::Request<'_>, shape: &mut Shape<'_>) {
    let (from, to) = (shape.from.output, shape.to.output);
    let output = &mut request.output;
    let Some(mut schema) = output.schema.as_ref().and_then(|schema| schema.to_value().ok()) else { return };
    if to.closed_schema && close(&mut schema, 0) {
        output.schema = Some(text::json(&schema));
        shape.report.request(
            EffectKind::Adapted,
            "output.schema",
            "objects say that they have no further members, as the target wants",
        );
    }
    if to.schema_name {
        if output.schema_name.is_none() {
            output.schema_name = Some(Text::plain(SCHEMA_NAME));
        }
        if from.always_strict && output.schema_strict.is_none() {
            // The stricter reading of the target wants every member required.
            output.schema_strict = Some(all_required(&schema, 0));
        }
    } else {
        output.schema_name = None;
    }
    if to.always_strict {
        if output.schema_strict == Some(false) {
            shape.report.request(
                EffectKind::Adapted,
                "output.schema_strict",
                "the target always obeys the schema",
            );
        }
        output.schema_strict = None;
    }
}

/// Says of every object that it has no further members; whether anything was said.
fn close(schema: &mut Value, depth: usize) -> bool {
    let mut changed = false;
    if depth > MAX_DEPTH {
        return false;
    }
    match schema {
        Value::Object(members) => {
            let is_object = match members.get("type") {
                Some(Value::String(kind)) => kind == "object",
                Some(Value::Array(kinds)) => kinds.iter().any(|kind| kind == "object"),
                _ => members.contains_key("properties"),
            };
            if is_object && !members.contains_key("additionalProperties") {
                members.insert("additionalProperties".to_owned(), Value::Bool(false));
                changed = true;
            }
            for (name, member) in members.iter_mut() {
                // What stands beneath these is data, not schema.
                if !matches!(name.as_str(), "enum" | "const" | "default" | "examples") {
                    changed |= close(member, depth + 1);
                }
            }
        }
        Value::Array(items) => {
            for item in items {
                changed |= close(item, depth + 1);
            }
        }
        _ => {}
    }
    changed
}

/// Whether every object is closed and requires all its members.
fn all_required(schema: &Value, depth: usize) -> bool {
    if depth > MAX_DEPTH {
        return false;
    }
    match schema {
        Value::Object(members) => {
            let own = match members.get("properties") {
                Some(Value::Object(properties)) => {
                    let required = members.get("required").and_then(Value::as_array);
                    members.get("additionalProperties") == Some(&Value::Bool(false))
                        && properties
                            .keys()
                            .all(|name| required.is_some_and(|names| names.iter().any(|known| known == name)))
                }
                _ => members.get("type").and_then(Value::as_str) != Some("object"),
            };
            own && members
                .iter()
                .filter(|(name, _)| !matches!(name.as_str(), "enum" | "const" | "default" | "examples"))
                .all(|(_, member)| all_required(member, depth + 1))
        }
        Value::Array(items) => items.iter().all(|item| all_required(item, depth + 1)),
        _ => true,
    }
}

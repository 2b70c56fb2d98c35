//! The rules that the guide to structured outputs puts on a JSON Schema.

use serde_json::Value;

/// How deep schemas may nest before they are no longer followed.
const MAX_DEPTH: usize = 32;

/// Members that say what a property is.
const TELLING: &[&str] = &["type", "enum", "const", "anyOf", "oneOf", "allOf", "$ref"];

/// What breaks the rules, in the provider's words.
pub(super) fn broken(schema: &Value) -> Option<String> {
    if schema.get("type").and_then(Value::as_str) != Some("object") {
        return Some("schema must be an object".to_owned());
    }
    walk(schema, 0)
}

fn walk(schema: &Value, depth: usize) -> Option<String> {
    let map = schema.as_object()?;
    if depth > MAX_DEPTH {
        return Some("schema is nested too deeply".to_owned());
    }
    let properties = map.get("properties").and_then(Value::as_object);
    let required: Vec<&str> = map
        .get("required")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    if let Some(name) = required.iter().find(|name| properties.is_none_or(|map| !map.contains_key(**name))) {
        return Some(format!("required field {name} not found in properties"));
    }
    if map.get("type").and_then(Value::as_str) == Some("object") && required.is_empty() {
        return Some("every object in the schema must have at least one required field".to_owned());
    }
    for (name, property) in properties.into_iter().flatten() {
        if !TELLING.iter().any(|member| property.get(*member).is_some()) {
            return Some(format!("property {name} must have a type"));
        }
    }
    let defined = map.get("$defs").and_then(Value::as_object);
    let named = properties.into_iter().chain(defined).flat_map(|map| map.values());
    let choices = map.get("anyOf").and_then(Value::as_array).into_iter().flatten();
    named.chain(choices).chain(map.get("items")).find_map(|inner| walk(inner, depth + 1))
}

/// Counts the fields of a schema, those of nested objects included.
pub(super) fn fields(schema: &Value, depth: usize) -> usize {
    if depth > MAX_DEPTH {
        return 0;
    }
    let properties = schema.get("properties").and_then(Value::as_object);
    let own = properties.map_or(0, serde_json::Map::len);
    let inner = properties.into_iter().flat_map(|map| map.values()).chain(schema.get("items"));
    own + inner.map(|inner| fields(inner, depth + 1)).sum::<usize>()
}

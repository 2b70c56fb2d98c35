//! The rules that `strict: true` puts on a JSON Schema.

use serde_json::Value;

/// How deep schemas may nest.
const MAX_DEPTH: usize = 32;

/// What breaks the strict rules, in the provider's words.
pub(in crate::simulator) fn strict(schema: &Value) -> Option<String> {
    if schema.get("type").and_then(Value::as_str) != Some("object") {
        return Some("schema must be a JSON Schema of 'type: \"object\"'".to_owned());
    }
    walk(schema, "()", 0)
}

fn walk(schema: &Value, context: &str, depth: usize) -> Option<String> {
    if depth > MAX_DEPTH {
        return Some(format!("In context={context}, schema exceeds the maximum depth"));
    }
    let map = schema.as_object()?;
    let object = match map.get("type") {
        Some(Value::String(kind)) => kind == "object",
        Some(Value::Array(kinds)) => kinds.iter().any(|kind| kind == "object"),
        _ => false,
    };
    if object {
        if map.get("additionalProperties") != Some(&Value::Bool(false)) {
            return Some(format!(
                "In context={context}, 'additionalProperties' is required to be supplied and to be false."
            ));
        }
        let required = map.get("required").and_then(Value::as_array);
        for name in map.get("properties").and_then(Value::as_object).into_iter().flat_map(|map| map.keys()) {
            if !required.is_some_and(|list| list.iter().any(|entry| entry == name.as_str())) {
                return Some(format!(
                    "In context={context}, 'required' is required to be supplied and to be an array including every key in properties. Missing '{name}'."
                ));
            }
        }
    }
    for group in ["properties", "$defs", "definitions"] {
        for (name, schema) in map.get(group).and_then(Value::as_object).into_iter().flatten() {
            if let Some(said) = walk(schema, &format!("('{group}', '{name}')"), depth + 1) {
                return Some(said);
            }
        }
    }
    if let Some(said) = map.get("items").and_then(|items| walk(items, "('items')", depth + 1)) {
        return Some(said);
    }
    let choices = map.get("anyOf").and_then(Value::as_array);
    choices.into_iter().flatten().find_map(|choice| walk(choice, "('anyOf')", depth + 1))
}

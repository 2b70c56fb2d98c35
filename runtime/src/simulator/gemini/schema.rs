//! What the API's own schema dialect, a subset of OpenAPI's, asks for beyond known fields.
//!
//! Unknown keywords have been refused before. The words are those of the API's validator.

use serde_json::{Map, Value};

/// The first rule that a schema breaks: where, and what the API says of it.
pub(super) fn check(schema: &Value, path: &str) -> Option<String> {
    let schema = schema.as_object()?;
    let kind = schema.get("type").and_then(Value::as_str).filter(|kind| *kind != "TYPE_UNSPECIFIED");
    let choices = schema.get("anyOf").and_then(Value::as_array);
    if kind.is_none() && choices.is_none_or(Vec::is_empty) {
        return Some(format!(
            "{path}.type: must be specified when not using one_of, any_of or all_of fields"
        ));
    }
    let properties = schema.get("properties").and_then(Value::as_object);
    let only = |name: &str, wanted: &str| {
        let there = schema.contains_key(name) && kind.is_some_and(|kind| kind != wanted);
        there.then(|| format!("{path}.{name}: only allowed for {wanted} type"))
    };
    let rules = [
        only("properties", "OBJECT"),
        only("required", "OBJECT"),
        only("items", "ARRAY"),
        (kind == Some("OBJECT") && properties.is_none_or(Map::is_empty))
            .then(|| format!("{path}.properties: should be non-empty for OBJECT type")),
        (kind == Some("ARRAY") && !schema.contains_key("items"))
            .then(|| format!("{path}.items: missing field.")),
        (schema.contains_key("enum") && kind.is_some_and(|kind| kind != "STRING"))
            .then(|| format!("{path}.enum: only allowed for STRING type")),
    ];
    if let Some(said) = rules.into_iter().flatten().next() {
        return Some(said);
    }
    let names =
        schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    for (n, name) in names.enumerate() {
        if properties.is_none_or(|properties| !properties.contains_key(name)) {
            return Some(format!("{path}.required[{n}]: property is not defined"));
        }
    }
    for (n, value) in schema.get("enum").and_then(Value::as_array).into_iter().flatten().enumerate() {
        if value.as_str() == Some("") {
            return Some(format!("{path}.enum[{n}]: cannot be empty"));
        }
    }
    let below = properties.into_iter().flatten();
    below
        .map(|(name, schema)| (format!("{path}.properties[{name}]"), schema))
        .chain(schema.get("items").map(|items| (format!("{path}.items"), items)))
        .chain(
            choices
                .into_iter()
                .flatten()
                .enumerate()
                .map(|(n, choice)| (format!("{path}.any_of[{n}]"), choice)),
        )
        .find_map(|(path, schema)| check(schema, &path))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_rule_is_told_at_its_place() {
        let text = json!({"type": "STRING"});
        let cases = [
            (json!({}), "s.type: must be specified when not using one_of, any_of or all_of fields"),
            (
                json!({"type": "OBJECT", "properties": {}}),
                "s.properties: should be non-empty for OBJECT type",
            ),
            (json!({"type": "ARRAY"}), "s.items: missing field."),
            (
                json!({"type": "STRING", "properties": {"a": text}}),
                "s.properties: only allowed for OBJECT type",
            ),
            (json!({"type": "STRING", "required": ["a"]}), "s.required: only allowed for OBJECT type"),
            (json!({"type": "STRING", "items": text}), "s.items: only allowed for ARRAY type"),
            (json!({"type": "INTEGER", "enum": ["1"]}), "s.enum: only allowed for STRING type"),
            (json!({"type": "STRING", "enum": ["a", ""]}), "s.enum[1]: cannot be empty"),
            (
                json!({"type": "OBJECT", "properties": {"a": text}, "required": ["a", "b"]}),
                "s.required[1]: property is not defined",
            ),
            (
                json!({"type": "OBJECT", "properties": {"a": {"type": "ARRAY", "items": {"anyOf": [text, {"type": "ARRAY"}]}}}}),
                "s.properties[a].items.any_of[1].items: missing field.",
            ),
        ];
        for (schema, said) in cases {
            assert_eq!(check(&schema, "s").as_deref(), Some(said), "{schema}");
        }
        let good = json!({
            "type": "OBJECT", "properties": {"a": {"anyOf": [text, {"type": "NULL"}]}, "b": {"type": "ARRAY", "items": text}},
            "required": ["a"],
        });
        assert_eq!(check(&good, "s"), None);
    }
}

//! Google's dialect of schemas, which is OpenAPI's of old, as JSON Schema.

use busbar_protocols::Json;
use serde_json::{Map, Value, json};

use super::super::super::text;

/// Schemas in schemas are read no deeper than this.
const MAX_DEPTH: usize = 64;

/// The schema as JSON Schema: types in lower case, and a type that may be null in a list.
pub(super) fn json_schema<'a>(schema: &Json<'a>) -> Json<'a> {
    let Ok(mut value) = schema.to_value() else { return schema.clone() };
    convert(&mut value, 0);
    text::json(&value)
}

fn convert(schema: &mut Value, depth: usize) {
    let Value::Object(members) = schema else { return };
    if depth == MAX_DEPTH {
        return;
    }
    respell(members);
    if let Some(Value::String(kind)) = members.get_mut("type") {
        kind.make_ascii_lowercase();
    }
    if members.get("type").is_some_and(|kind| kind == UNSPECIFIED) {
        members.shift_remove("type");
    }
    if let Some(Value::String(place)) = members.get_mut(REFERENCE)
        && let Some(name) = place.strip_prefix("#/defs/")
    {
        *place = format!("#/$defs/{name}");
    }
    if let Some(example) = members.get_mut("examples").filter(|example| !example.is_array()) {
        *example = json!([example.take()]);
    }
    let nullable = matches!(members.get("nullable"), Some(Value::Bool(_)))
        && members.shift_remove("nullable") == Some(json!(true));
    if nullable {
        allow_null(members);
    }
    // Counts are text in the JSON form of 64-bit numbers.
    for name in ["minItems", "maxItems", "minLength", "maxLength", "minProperties", "maxProperties"] {
        if let Some(count) = members.get_mut(name)
            && let Some(number) = count.as_str().and_then(|text| text.parse::<u64>().ok())
        {
            *count = json!(number);
        }
    }
    if let Some(order) = members.shift_remove("propertyOrdering") {
        order_properties(members, &order);
    }
    for name in ["items", "additionalProperties"] {
        if let Some(inner) = members.get_mut(name) {
            convert(inner, depth + 1);
        }
    }
    for name in ["anyOf", "prefixItems"] {
        for inner in members.get_mut(name).and_then(Value::as_array_mut).into_iter().flatten() {
            convert(inner, depth + 1);
        }
    }
    for name in ["properties", "$defs"] {
        let inner = members.get_mut(name).and_then(Value::as_object_mut);
        inner.into_iter().flat_map(Map::values_mut).for_each(|inner| convert(inner, depth + 1));
    }
}

/// Puts properties in the order that is asked for, which is the order that models answer in; others come last.
fn order_properties(members: &mut Map<String, Value>, order: &Value) {
    let Some(Value::Object(properties)) = members.get_mut("properties") else { return };
    let names = order.as_array().into_iter().flatten().filter_map(Value::as_str);
    let mut ordered = Map::new();
    for name in names {
        if let Some((name, schema)) = properties.shift_remove_entry(name) {
            ordered.insert(name, schema);
        }
    }
    ordered.append(properties);
    *properties = ordered;
}

/// Names of members as JSON Schema has them.
///
/// The JSON form of protocol buffers takes the second spelling of a name as well, and a reference has no `$` there.
fn respell(members: &mut Map<String, Value>) {
    if !members.keys().any(|name| OTHER_NAMES.iter().any(|(other, _)| name == other)) {
        return;
    }
    let said = std::mem::take(members);
    for (name, value) in said {
        let known = OTHER_NAMES.iter().find(|(other, _)| name == *other);
        let name = known.map_or(name, |(_, name)| (*name).to_owned());
        members.entry(name).or_insert(value);
    }
}

/// What is said of a type that is not known.
const UNSPECIFIED: &str = "type_unspecified";
/// The member that names another schema.
const REFERENCE: &str = "$ref";

/// Names that JSON Schema does not know, and those that it has for them.
const OTHER_NAMES: [(&str, &str); 13] = [
    ("any_of", "anyOf"),
    ("prefix_items", "prefixItems"),
    ("additional_properties", "additionalProperties"),
    ("min_items", "minItems"),
    ("max_items", "maxItems"),
    ("min_length", "minLength"),
    ("max_length", "maxLength"),
    ("min_properties", "minProperties"),
    ("max_properties", "maxProperties"),
    ("property_ordering", "propertyOrdering"),
    ("ref", REFERENCE),
    ("defs", "$defs"),
    ("example", "examples"),
];

fn allow_null(members: &mut Map<String, Value>) {
    if let Some(kind) = members.get_mut("type") {
        *kind = json!([kind.take(), "null"]);
        if let Some(Value::Array(words)) = members.get_mut("enum") {
            words.push(Value::Null);
        }
    } else if let Some(Value::Array(forms)) = members.get_mut("anyOf") {
        forms.push(json!({"type": "null"}));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_lower_case_and_null_is_a_type() {
        let schema = Json::parse(
            r#"{"type":"OBJECT","properties":{"type":{"type":"STRING","nullable":true,"enum":["A"]},
                "list":{"type":"ARRAY","minItems":"1","items":{"type":"INTEGER","format":"int32"}}},
                "required":["type"],"propertyOrdering":["list","type"]}"#,
        )
        .unwrap();
        let expected = json!({
            "type": "object",
            "properties": {
                "type": {"type": ["string", "null"], "enum": ["A", null]},
                "list": {"type": "array", "minItems": 1, "items": {"type": "integer", "format": "int32"}},
            },
            "required": ["type"],
        });
        let schema = json_schema(&schema).to_value().unwrap();
        assert_eq!(schema, expected);
        let names: Vec<&String> = schema["properties"].as_object().unwrap().keys().collect();
        assert_eq!(names, ["list", "type"], "in the order that was asked for");
    }

    #[test]
    fn members_have_the_names_of_json_schema_and_properties_their_own() {
        let schema = Json::parse(
            r##"{"type":"OBJECT","any_of":[{"type":"ARRAY","min_items":"2"}],
                "properties":{"min_items":{"type":"TYPE_UNSPECIFIED","nullable":true},"ref":{"ref":"#/defs/P"}},
                "defs":{"P":{"type":"STRING","example":"e","property_ordering":["x"]}}}"##,
        )
        .unwrap();
        let expected = json!({
            "type": "object",
            "anyOf": [{"type": "array", "minItems": 2}],
            "properties": {"min_items": {}, "ref": {"$ref": "#/$defs/P"}},
            "$defs": {"P": {"type": "string", "examples": ["e"]}},
        });
        assert_eq!(json_schema(&schema).to_value().unwrap(), expected);
    }

    #[test]
    fn what_is_no_schema_stays() {
        for raw in ["true", "[1]", r#"{"x":1}"#] {
            assert_eq!(json_schema(&Json::parse(raw).unwrap()).as_str(), raw);
        }
    }
}

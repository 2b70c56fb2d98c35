//! Reads protocol buffer descriptors (a file descriptor set as JSON), with proto3's JSON mapping applied.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::node::{Document, Node, Prop};

/// The method's message types.
const ROOTS: [&str; 2] = ["GenerateContentRequest", "GenerateContentResponse"];

/// Nesting of messages that is still read.
const MAX_DEPTH: usize = 16;

/// Reads `{"file": [...]}`.
pub fn read(document: &Value) -> Result<Document> {
    let mut out = Document::default();
    for file in list(document, "file") {
        let package = text(file, "package").unwrap_or_default();
        scope(file, &format!(".{package}"), "", &mut out, 0).with_context(|| format!("package {package}"))?;
    }
    let [request, response] = ROOTS.map(|name| vec![name.to_owned()]);
    out.roots = [request, response.clone(), response, vec!["ErrorResponse".to_owned()]];
    error_envelope(&mut out);
    Ok(out)
}

/// Google's REST front end wraps `google.rpc.Status`, which no descriptor says.
pub fn error_envelope(out: &mut Document) {
    let optional = |node: Node| Prop { node, required: false, nullable: false };
    let status = BTreeMap::from([
        ("code".to_owned(), optional(Node::Integer)),
        ("message".to_owned(), optional(Node::String)),
        ("status".to_owned(), optional(Node::String)),
        ("details".to_owned(), optional(Node::Array(Box::new(Node::Any)))),
    ]);
    out.defs.insert("Status".to_owned(), Node::Object(status));
    let envelope = BTreeMap::from([("error".to_owned(), optional(Node::to("Status")))]);
    out.defs.insert("ErrorResponse".to_owned(), Node::Object(envelope));
}

/// Messages and enums of a file or, nested, of a message. Nested names are joined: `Candidate.FinishReason` is
/// `CandidateFinishReason`.
fn scope(holder: &Value, path: &str, prefix: &str, out: &mut Document, depth: usize) -> Result<()> {
    if depth > MAX_DEPTH {
        bail!("messages nested deeper than {MAX_DEPTH}");
    }
    let (messages, enums) = if depth == 0 { ("messageType", "enumType") } else { ("nestedType", "enumType") };
    for item in list(holder, enums) {
        let name = text(item, "name").context("an enum has no name")?;
        let values = list(item, "value").filter_map(|value| text(value, "name")).map(str::to_owned).collect();
        out.defs.insert(format!("{prefix}{name}"), Node::Enum(values));
    }
    for message in list(holder, messages) {
        let name = text(message, "name").context("a message has no name")?;
        let full = format!("{prefix}{name}");
        let node = match well_known(&format!("{path}.{name}")) {
            Some(node) => node,
            None if message.pointer("/options/mapEntry") == Some(&Value::Bool(true)) => Node::Map,
            None => fields(message).with_context(|| format!("message {full}"))?,
        };
        out.defs.insert(full.clone(), node);
        scope(message, &format!("{path}.{name}"), &full, out, depth + 1)?;
    }
    Ok(())
}

fn fields(message: &Value) -> Result<Node> {
    let mut props = BTreeMap::new();
    for field in list(message, "field") {
        let name = text(field, "name").context("a field has no name")?;
        let node = field_type(field).with_context(|| format!("field {name}"))?;
        // A map is a repeated entry message, but one object in JSON.
        let repeated = text(field, "label") == Some("LABEL_REPEATED");
        let is_map = repeated && is_map_entry(message, field);
        let node = match (is_map, repeated) {
            (true, _) => Node::Map,
            (false, true) => Node::Array(Box::new(node)),
            (false, false) => node,
        };
        let wire = text(field, "jsonName").map_or_else(|| lower_camel(name), str::to_owned);
        props.insert(wire.trim_end_matches('_').to_owned(), Prop { node, required: false, nullable: false });
    }
    Ok(Node::Object(props))
}

fn field_type(field: &Value) -> Result<Node> {
    Ok(match text(field, "type").context("no type")? {
        "TYPE_DOUBLE" | "TYPE_FLOAT" => Node::Number,
        "TYPE_INT32" | "TYPE_UINT32" | "TYPE_SINT32" | "TYPE_FIXED32" | "TYPE_SFIXED32" => Node::Integer,
        "TYPE_INT64" | "TYPE_UINT64" | "TYPE_SINT64" | "TYPE_FIXED64" | "TYPE_SFIXED64" => Node::Int64,
        "TYPE_BOOL" => Node::Boolean,
        "TYPE_STRING" => Node::String,
        "TYPE_BYTES" => Node::Base64,
        "TYPE_MESSAGE" | "TYPE_ENUM" => {
            let target = text(field, "typeName").context("no type name")?;
            match well_known(target) {
                Some(node) => node,
                None => Node::to(&local_name(target)),
            }
        }
        other => bail!("unknown type {other:?}"),
    })
}

/// Messages that have a JSON form of their own.
fn well_known(name: &str) -> Option<Node> {
    Some(match name.strip_prefix(".google.protobuf.")? {
        "Struct" => Node::Map,
        "Value" | "ListValue" | "Any" => Node::Any,
        "Duration" | "Timestamp" | "FieldMask" | "StringValue" => Node::String,
        "Int64Value" | "UInt64Value" => Node::Int64,
        "Int32Value" | "UInt32Value" => Node::Integer,
        "DoubleValue" | "FloatValue" => Node::Number,
        "BoolValue" => Node::Boolean,
        "BytesValue" => Node::Base64,
        _ => return None,
    })
}

fn is_map_entry(message: &Value, field: &Value) -> bool {
    let target = text(field, "typeName").and_then(|name| name.rsplit('.').next());
    list(message, "nestedType").any(|nested| {
        text(nested, "name") == target && nested.pointer("/options/mapEntry") == Some(&Value::Bool(true))
    })
}

/// `.google.ai.v1.Candidate.FinishReason` to `CandidateFinishReason`: packages are lower case, types are not.
fn local_name(target: &str) -> String {
    target.split('.').filter(|part| part.starts_with(|c: char| c.is_ascii_uppercase())).collect()
}

fn lower_camel(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    let mut upper = false;
    for c in name.chars() {
        match c {
            '_' => upper = true,
            c if upper => {
                out.push(c.to_ascii_uppercase());
                upper = false;
            }
            c => out.push(c),
        }
    }
    out
}

fn list<'a>(value: &'a Value, key: &str) -> impl Iterator<Item = &'a Value> {
    value.get(key).and_then(Value::as_array).into_iter().flatten()
}

fn text<'a>(value: &'a Value, key: &str) -> Option<&'a str> {
    value.get(key).and_then(Value::as_str)
}

#[cfg(test)]
mod tests {
    use super::super::testing::golden;
    use insta::assert_snapshot;

    #[test]
    fn messages_take_their_json_form() {
        let set = serde_json::json!({"file": [{"package": "google.ai.v1", "messageType": [
            {"name": "GenerateContentRequest", "field": [
                {"name": "max_tokens", "type": "TYPE_INT32", "label": "LABEL_OPTIONAL"},
                {"name": "license_", "type": "TYPE_STRING"},
                {"name": "size_bytes", "type": "TYPE_INT64"},
                {"name": "data", "type": "TYPE_BYTES"},
                {"name": "args", "type": "TYPE_MESSAGE", "typeName": ".google.protobuf.Struct"},
                {"name": "offset", "type": "TYPE_MESSAGE", "typeName": ".google.protobuf.Duration"},
                {"name": "labels", "label": "LABEL_REPEATED", "type": "TYPE_MESSAGE", "typeName": ".google.ai.v1.GenerateContentRequest.LabelsEntry"}],
             "nestedType": [{"name": "LabelsEntry", "options": {"mapEntry": true}}]},
            {"name": "GenerateContentResponse", "field": [
                {"name": "reasons", "label": "LABEL_REPEATED", "type": "TYPE_ENUM", "typeName": ".google.ai.v1.GenerateContentResponse.Reason"}],
             "enumType": [{"name": "Reason", "value": [{"name": "STOP"}, {"name": "SAFETY"}]}]}
        ]}]});
        assert_snapshot!(golden(&super::read(&set).unwrap()), @r#"
        request: GenerateContentRequest
        response: GenerateContentResponse
        stream: GenerateContentResponse
        error: ErrorResponse
        ErrorResponse = {error?: Status}
        GenerateContentRequest = {args?: map, data?: base64, labels?: map, license?: string, maxTokens?: integer, offset?: string, sizeBytes?: int64}
        GenerateContentRequestLabelsEntry = map
        GenerateContentResponse = {reasons?: [GenerateContentResponseReason]}
        GenerateContentResponseReason = "STOP" | "SAFETY"
        Status = {code?: integer, details?: [any], message?: string, status?: string}
        "#);
    }
}

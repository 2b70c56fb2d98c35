//! Reads AWS service models (`service-2.json`): shapes, and the operations that say which of them are used.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, bail};
use serde_json::{Map, Value};

use super::merge::merge;
use super::node::{Document, Node, Prop};

/// The buffered operation and the streamed one.
const OPERATIONS: [&str; 2] = ["Converse", "ConverseStream"];

/// Name of the type of all errors' bodies.
const ERROR: &str = "ErrorBody";

/// Reads a service model.
pub fn read(document: &Value) -> Result<Document> {
    let shapes = document.get("shapes").and_then(Value::as_object).context("no shapes")?;
    let operations = document.get("operations").context("no operations")?;
    let mut out = Document::default();
    for (name, shape) in shapes {
        out.defs.insert(name.clone(), node(shape).with_context(|| format!("shape {name}"))?);
    }
    let mut error: Option<Node> = None;
    for (index, name) in OPERATIONS.iter().enumerate() {
        let operation = operations.get(name).with_context(|| format!("no operation {name}"))?;
        out.roots[0].push(shape_name(operation.get("input"))?.to_owned());
        let output = shape_name(operation.get("output"))?;
        out.roots[1 + index].push(if index == 0 {
            output.to_owned()
        } else {
            events(shapes, output)?.to_owned()
        });
        for shape in operation.get("errors").and_then(Value::as_array).into_iter().flatten() {
            let body = out.defs.get(shape_name(Some(shape))?).cloned();
            error = match (error, body) {
                (Some(error), Some(body)) => Some(merge(error, body)),
                (error, body) => error.or(body),
            };
        }
    }
    out.defs.insert(ERROR.to_owned(), error.unwrap_or_else(|| Node::Object(BTreeMap::new())));
    out.roots[3].push(ERROR.to_owned());
    Ok(out)
}

fn node(shape: &Value) -> Result<Node> {
    let flag = |name: &str| shape.get(name) == Some(&Value::Bool(true));
    Ok(match shape.get("type").and_then(Value::as_str).context("no type")? {
        "structure" if flag("document") => Node::Any,
        "structure" => {
            let members = shape.get("members").and_then(Value::as_object).context("no members")?;
            // A union is an object of one member, and an event a frame that says which member it is.
            if flag("union") || flag("eventstream") {
                let forms = members
                    .iter()
                    .map(|(name, member)| Ok((name.clone(), Node::to(shape_name(Some(member))?))));
                return Ok(Node::Key(forms.collect::<Result<_>>()?));
            }
            structure(members, shape.get("required"))?
        }
        "list" => Node::Array(Box::new(Node::to(shape_name(shape.get("member"))?))),
        "map" => Node::Map,
        "string" => match shape.get("enum").and_then(Value::as_array) {
            Some(values) => Node::Enum(values.iter().filter_map(Value::as_str).map(str::to_owned).collect()),
            None => Node::String,
        },
        "blob" => Node::Base64,
        "boolean" => Node::Boolean,
        "integer" | "long" | "short" | "byte" => Node::Integer,
        // REST-JSON writes times as seconds.
        "float" | "double" | "bigdecimal" | "timestamp" => Node::Number,
        other => bail!("unknown type {other:?}"),
    })
}

fn structure(members: &Map<String, Value>, required: Option<&Value>) -> Result<Node> {
    let required: BTreeSet<&str> =
        required.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
    let mut props = BTreeMap::new();
    for (name, member) in members {
        // What has a location is in the path or a header, not in the body.
        if member.get("location").is_none() {
            let wire = member.get("locationName").and_then(Value::as_str).unwrap_or(name);
            let node = Node::to(shape_name(Some(member))?);
            props.insert(
                wire.to_owned(),
                Prop { node, required: required.contains(name.as_str()), nullable: false },
            );
        }
    }
    Ok(Node::Object(props))
}

/// The event stream an operation's output carries.
fn events<'a>(shapes: &'a Map<String, Value>, output: &str) -> Result<&'a str> {
    let members = shapes.get(output).and_then(|s| s.get("members")).and_then(Value::as_object);
    let mut names = members.into_iter().flatten().filter_map(|(_, member)| member.get("shape")?.as_str());
    names
        .find(|name| shapes.get(*name).and_then(|s| s.get("eventstream")) == Some(&Value::Bool(true)))
        .with_context(|| format!("{output} has no event stream"))
}

fn shape_name(reference: Option<&Value>) -> Result<&str> {
    reference.and_then(|r| r.get("shape")).and_then(Value::as_str).context("a reference names no shape")
}

#[cfg(test)]
mod tests {
    use super::super::testing::golden;
    use insta::assert_snapshot;

    #[test]
    fn shapes_become_types_and_unions_are_by_key() {
        let model = serde_json::json!({
            "operations": {
                "Converse": {"input": {"shape": "ConverseRequest"}, "output": {"shape": "Answer"},
                    "errors": [{"shape": "Throttled"}, {"shape": "ModelError"}]},
                "ConverseStream": {"input": {"shape": "ConverseStreamRequest"}, "output": {"shape": "Streamed"}}
            },
            "shapes": {
                "ConverseRequest": {"type": "structure", "required": ["id", "text"], "members": {
                    "id": {"shape": "Text", "location": "uri"}, "text": {"shape": "Text"}, "extra": {"shape": "Doc"}}},
                "ConverseStreamRequest": {"type": "structure", "members": {"text": {"shape": "Text"}}},
                "Answer": {"type": "structure", "members": {"block": {"shape": "Block"}, "tags": {"shape": "Tags"}}},
                "Streamed": {"type": "structure", "members": {"stream": {"shape": "Events"}}},
                "Events": {"type": "structure", "eventstream": true, "members": {"start": {"shape": "Answer"}, "throttled": {"shape": "Throttled"}}},
                "Block": {"type": "structure", "union": true, "members": {"text": {"shape": "Text"}, "bytes": {"shape": "Bytes"}}},
                "Throttled": {"type": "structure", "exception": true, "members": {"message": {"shape": "Text"}}},
                "ModelError": {"type": "structure", "exception": true, "members": {"message": {"shape": "Text"}, "status": {"shape": "Count"}}},
                "Tags": {"type": "list", "member": {"shape": "Tag"}},
                "Tag": {"type": "string", "enum": ["a", "b"]},
                "Text": {"type": "string"}, "Bytes": {"type": "blob"}, "Count": {"type": "integer"},
                "Doc": {"type": "structure", "members": {}, "document": true}
            }
        });
        assert_snapshot!(golden(&super::read(&model).unwrap()), @r#"
        request: ConverseRequest + ConverseStreamRequest
        response: Answer
        stream: Events
        error: ErrorBody
        Answer = {block?: Block, tags?: Tags}
        Block = key(bytes: Bytes, text: Text)
        Bytes = base64
        ConverseRequest = {extra?: Doc, text: Text}
        ConverseStreamRequest = {text?: Text}
        Count = integer
        Doc = any
        ErrorBody = {message?: Text, status?: Count}
        Events = key(start: Answer, throttled: Throttled)
        ModelError = {message?: Text, status?: Count}
        Streamed = {stream?: Events}
        Tag = "a" | "b"
        Tags = [Tag]
        Text = string
        Throttled = {message?: Text}
        "#);
    }
}

//! Reads OpenAPI 3.0 and 3.1: the components, and the chat operation that says which of them are the roots.

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::json_schema;
use super::node::{Document, Node};

/// Where each protocol's chat operation is posted to: how the path ends.
const PATHS: [(&str, &str); 4] = [
    ("openai_chat", "/chat/completions"),
    ("openai_responses", "/responses"),
    ("anthropic", "/messages"),
    ("cohere", "/chat"),
];

/// Reads an OpenAPI document. `protocol` says which operation.
pub fn read(protocol: &str, document: &Value) -> Result<Document> {
    let schemas =
        document.pointer("/components/schemas").and_then(Value::as_object).context("no components")?;
    let mut out = Document { defs: json_schema::definitions(schemas)?, ..Document::default() };
    let Some((_, end)) = PATHS.iter().find(|(name, _)| *name == protocol) else {
        bail!("no path is known for {protocol} in an OpenAPI document");
    };
    let paths = document.get("paths").and_then(Value::as_object).context("no paths")?;
    // Of several versions, the newest is the last.
    let mut fitting: Vec<&String> =
        paths.iter().filter(|(p, v)| p.ends_with(end) && v.get("post").is_some()).map(|(p, _)| p).collect();
    fitting.sort();
    let path = fitting.last().with_context(|| format!("no path ends in {end}"))?;
    let post = &paths[*path]["post"];
    let response = &post["responses"]["200"]["content"];
    let request = &post["requestBody"]["content"]["application/json"]["schema"];
    let streamed = [&response["text/event-stream"]["schema"], &post["x-oaiMeta"]["stream"]]
        .into_iter()
        .find(|s| !s.is_null());
    let roots = [
        ("Request", Some(request)),
        ("Response", Some(&response["application/json"]["schema"])),
        ("StreamEvent", streamed),
        ("ErrorResponse", error(post)),
    ];
    for (index, (name, schema)) in roots.into_iter().enumerate() {
        let target = root(&mut out, name, schema, index)?;
        out.roots[index].push(target);
    }
    Ok(out)
}

/// The root's type; one written in place gets the root's name.
fn root(out: &mut Document, name: &str, schema: Option<&Value>, index: usize) -> Result<String> {
    let schema = schema.filter(|s| !s.is_null());
    match schema.map(json_schema::schema).transpose()? {
        Some(Node::Ref(target)) => Ok(target),
        Some(node) => {
            out.defs.insert(name.to_owned(), node);
            Ok(name.to_owned())
        }
        // Some documents do not tell a stream's event from the answer, nor what errors look like.
        None if index == 2 => guess(out, "Stream").or_else(|_| Ok(out.roots[1][0].clone())),
        None if index == 3 => guess(out, "ErrorResponse"),
        None => bail!("the operation has no {name}"),
    }
}

fn guess(out: &Document, part: &str) -> Result<String> {
    let response = out.roots[1].first().cloned().unwrap_or_default();
    let stem = response.trim_end_matches("Response");
    [
        format!("{stem}{part}Response"),
        format!("{stem}{part}"),
        format!("{response}{part}Event"),
        part.to_owned(),
    ]
    .into_iter()
    .find(|name| out.defs.contains_key(name))
    .with_context(|| format!("no {part} type"))
}

fn error(post: &Value) -> Option<&Value> {
    let responses = post.get("responses")?.as_object()?;
    let errors = responses.iter().filter(|(status, _)| status.starts_with('4') || *status == "default");
    errors
        .map(|(_, response)| &response["content"]["application/json"]["schema"])
        .find(|schema| !schema.is_null())
}

#[cfg(test)]
mod tests {
    use super::super::testing::golden;
    use insta::assert_snapshot;

    #[test]
    fn the_operation_says_the_roots() {
        let document = serde_json::json!({
            "paths": {"/chat/completions": {"post": {
                "requestBody": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/CreateChatRequest"}}}},
                "responses": {"200": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/CreateChatResponse"}}}}}}}},
            "components": {"schemas": {
                "CreateChatRequest": {"type": "object", "properties": {"n": {"type": "integer", "nullable": true}}},
                "CreateChatResponse": {"type": "object", "properties": {}},
                "CreateChatStreamResponse": {"type": "object", "properties": {}},
                "ErrorResponse": {"type": "object", "properties": {}}
            }}
        });
        assert_snapshot!(golden(&super::read("openai_chat", &document).unwrap()), @r"
        request: CreateChatRequest
        response: CreateChatResponse
        stream: CreateChatStreamResponse
        error: ErrorResponse
        CreateChatRequest = {n?: one(integer, null)}
        CreateChatResponse = {}
        CreateChatStreamResponse = {}
        ErrorResponse = {}
        ");
    }
}

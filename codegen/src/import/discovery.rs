//! Reads Google discovery documents.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use serde_json::Value;

use super::descriptors::error_envelope;
use super::json_schema;
use super::node::Document;

/// What the request type's name ends in.
const REQUEST: &str = "GenerateContentRequest";
/// What the response type's name ends in.
const RESPONSE: &str = "GenerateContentResponse";

/// Reads `{"schemas": {...}}`. Names lose the API's prefix.
pub fn read(document: &Value) -> Result<Document> {
    let schemas = document.get("schemas").and_then(Value::as_object).context("no schemas")?;
    let mut out = Document { defs: json_schema::definitions(schemas)?, ..Document::default() };
    let request =
        out.defs.keys().find(|name| name.ends_with(REQUEST)).context("no GenerateContentRequest")?;
    let prefix = request.trim_end_matches(REQUEST).to_owned();
    let rename: BTreeMap<String, String> = out
        .defs
        .keys()
        .filter_map(|name| Some((name.clone(), name.strip_prefix(&prefix)?.to_owned())))
        .filter(|(_, short)| !short.is_empty() && !out.defs.contains_key(short))
        .collect();
    out.roots = [REQUEST, RESPONSE, RESPONSE, "ErrorResponse"].map(|name| vec![name.to_owned()]);
    out.rename(&rename);
    error_envelope(&mut out);
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::super::testing::golden;
    use insta::assert_snapshot;

    #[test]
    fn names_lose_the_prefix() {
        let document = serde_json::json!({"schemas": {
            "ApiV1GenerateContentRequest": {"type": "object", "properties": {
                "part": {"$ref": "ApiV1Part"}, "size": {"type": "string", "format": "int64"}, "any": {"type": "any"}}},
            "ApiV1GenerateContentResponse": {"type": "object", "properties": {}},
            "ApiV1Part": {"type": "object", "properties": {"data": {"type": "string", "format": "byte"}}}
        }});
        assert_snapshot!(golden(&super::read(&document).unwrap()), @r"
        request: GenerateContentRequest
        response: GenerateContentResponse
        stream: GenerateContentResponse
        error: ErrorResponse
        ErrorResponse = {error?: Status}
        GenerateContentRequest = {any?: any, part?: Part, size?: int64}
        GenerateContentResponse = {}
        Part = {data?: base64}
        Status = {code?: integer, details?: [any], message?: string, status?: string}
        ");
    }
}

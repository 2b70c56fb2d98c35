//! Helpers of the passes' tests.

use super::json_schema;
use super::node::Document;

/// A document of these `$defs`.
pub(crate) fn read(defs: &str) -> Document {
    let defs: serde_json::Value = serde_json::from_str(defs).unwrap();
    Document { defs: json_schema::definitions(defs.as_object().unwrap()).unwrap(), ..Document::default() }
}

/// What a pass made of it.
pub(crate) fn golden(document: &Document) -> String {
    document.to_string()
}

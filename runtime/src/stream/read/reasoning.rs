//! The `reasoning_details` that some chat servers send beside the text of the reasoning.

use busbar_protocols::Json;
use serde::Deserialize;

/// One thing that a list of details says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Detail {
    /// Reasoning, or a summary of it.
    Text(String),
    /// Proof of the reasoning before it.
    Signature(String),
    /// Reasoning that cannot be read.
    Encrypted {
        /// The provider's id of the item.
        id: Option<String>,
        /// The opaque content.
        data: String,
    },
}

#[derive(Deserialize)]
struct Item {
    id: Option<String>,
    text: Option<String>,
    summary: Option<String>,
    data: Option<String>,
    signature: Option<String>,
}

/// What the list says, in its order; nothing when it is no such list.
pub(super) fn details(list: &Json<'_>) -> Vec<Detail> {
    let items: Vec<Item> = serde_json::from_str(list.as_str()).unwrap_or_default();
    let mut details = Vec::new();
    for item in items {
        if let Some(data) = item.data {
            details.push(Detail::Encrypted { id: item.id, data });
            continue;
        }
        details.extend(item.text.or(item.summary).map(Detail::Text));
        details.extend(item.signature.filter(|signature| !signature.is_empty()).map(Detail::Signature));
    }
    details
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_form_is_read_in_its_order() {
        let list = r#"[{"type":"reasoning.text","text":"hm","signature":null,"index":0},
            {"type":"reasoning.text","signature":"S","format":"anthropic-claude-v1","index":0},
            {"type":"reasoning.encrypted","data":"E","id":"r1"},{"type":"reasoning.summary","summary":"s"}]"#;
        assert_eq!(
            details(&Json::parse(list).unwrap()),
            [
                Detail::Text("hm".into()),
                Detail::Signature("S".into()),
                Detail::Encrypted { id: Some("r1".into()), data: "E".into() },
                Detail::Text("s".into()),
            ]
        );
        assert_eq!(details(&Json::parse("\"none\"").unwrap()), []);
    }
}

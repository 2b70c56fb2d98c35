//! References to declared tools as Responses writes them: `{"type": "function", "name": "x"}`.

use serde_json::{Value, json};

use crate::ir::{ToolKind, ToolName};
use crate::prelude::{Json, Text};

/// The tools, if every item names a function or a custom tool and says nothing else.
pub fn read(items: Vec<Json<'_>>) -> Result<Vec<ToolName<'_>>, Vec<Json<'_>>> {
    match items.iter().map(read_one).collect() {
        Some(names) => Ok(names),
        None => Err(items),
    }
}

fn read_one(item: &Json<'_>) -> Option<ToolName<'static>> {
    let value = item.to_value().ok()?;
    let (kind, word) = kind(value.get("type")?.as_str()?)?;
    let name = value.get("name")?.as_str()?;
    (value == form(word, name)).then(|| ToolName {
        kind,
        name: Some(Text::plain(name.to_owned())),
        ..ToolName::default()
    })
}

/// The items.
pub fn write<'s>(names: &'s Vec<ToolName<'_>>) -> Option<Vec<Json<'s>>> {
    names
        .iter()
        .map(|tool| Some(Json::from_value(&form(word(tool)?, &tool.name.as_ref()?.decode()))))
        .collect()
}

fn form(word: &str, name: &str) -> Value {
    json!({"type": word, "name": name})
}

/// The kind of tool that a word says, which is a function where nothing is said.
pub(super) fn kind(word: &str) -> Option<(Option<ToolKind<'static>>, &str)> {
    match word {
        "function" => Some((None, word)),
        "custom" => Some((Some(ToolKind::Custom), word)),
        _ => None,
    }
}

/// The word for the kind of a tool.
pub(super) fn word(tool: &ToolName<'_>) -> Option<&'static str> {
    match tool.kind {
        None | Some(ToolKind::Function) => Some("function"),
        Some(ToolKind::Custom) => Some("custom"),
        Some(ToolKind::Search | ToolKind::Other(_)) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_is_written_back() {
        let items = vec![
            Json::parse(r#"{"type":"function","name":"a"}"#).unwrap(),
            Json::parse(r#"{"type":"custom","name":"b"}"#).unwrap(),
        ];
        let names = read(items.clone()).unwrap();
        assert_eq!(names[1].kind, Some(ToolKind::Custom));
        assert_eq!(names[0].name.as_ref().unwrap(), "a");
        let written = write(&names).unwrap();
        for (item, again) in items.iter().zip(&written) {
            assert_eq!(item.to_value().unwrap(), again.to_value().unwrap());
        }
    }

    #[test]
    fn other_tools_stay_as_they_are() {
        for item in [r#"{"type":"image_generation"}"#, r#"{"type":"function","name":"a","x":1}"#, "1"] {
            let items = vec![Json::parse(item).unwrap()];
            assert_eq!(read(items.clone()), Err(items));
        }
    }
}

//! Tool-call arguments: JSON text in a string, and the JSON itself.

use crate::prelude::{Json, Text};

/// Arguments that are a JSON object become that object; any other text stays a JSON string.
pub fn read<'a>(text: Text<'a>) -> Result<Json<'a>, Text<'a>> {
    let decoded = text.clone().into_decoded();
    match Json::parse(decoded) {
        Ok(json) if json.is_object() => Ok(json),
        _ => {
            let mut quoted = Vec::with_capacity(text.written_len() + 2);
            text.write(&mut quoted);
            Ok(Json::written(quoted))
        }
    }
}

/// The text of the arguments.
pub fn write<'s>(json: &'s Json<'_>) -> Option<Text<'s>> {
    Some(match json.as_text() {
        Some(text) => text,
        None => Text::plain(json.as_str()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_is_written_back() {
        for text in ["{\"a\": 1}", "{}", "", "{\"a\":\"trunc", "null", "[1]", "\"x\"", " {\"a\":1} "] {
            let json = read(Text::plain(text)).unwrap();
            assert_eq!(write(&json).unwrap(), text);
        }
    }

    #[test]
    fn only_objects_become_json() {
        assert_eq!(read(Text::plain("{\"a\": 1}")).unwrap().as_str(), "{\"a\": 1}");
        assert_eq!(read(Text::plain("[1]")).unwrap().as_str(), "\"[1]\"");
        assert_eq!(read(Text::plain("{\"a")).unwrap().as_str(), "\"{\\\"a\"");
    }
}

//! JSON that travels as the text of a string.

use crate::prelude::{Json, Text};

/// The JSON in the text.
pub fn read(text: Text<'_>) -> Result<Json<'_>, Text<'_>> {
    Json::parse(text.clone().into_decoded()).map_err(|_| text)
}

/// The JSON as text.
pub fn write<'s>(json: &'s Json<'_>) -> Option<Text<'s>> {
    Some(Text::plain(json.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_comes_back_as_it_was() {
        let text = "{\"type\": \"object\"}";
        assert_eq!(write(&read(Text::plain(text)).unwrap()).unwrap(), text);
        assert!(read(Text::plain("{")).is_err());
    }
}

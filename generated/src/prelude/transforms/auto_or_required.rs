//! `required` or `auto`, and whether a call is required.

use crate::prelude::Text;

/// Whether the word is `required`; another word than the two is given back.
pub fn read(word: Text<'_>) -> Result<bool, Text<'_>> {
    match &*word.decode() {
        "required" => return Ok(true),
        "auto" => return Ok(false),
        _ => {}
    }
    Err(word)
}

/// The word.
pub fn write(required: &bool) -> Option<Text<'static>> {
    Some(Text::plain(if *required { "required" } else { "auto" }))
}

//! Whether a call failed, where the wire has a word for both.

use crate::prelude::Text;

/// Whether the word says that it failed.
pub fn read(text: Text<'_>) -> Result<bool, Text<'_>> {
    match &*text.decode() {
        "success" => return Ok(false),
        "error" => return Ok(true),
        _ => {}
    }
    Err(text)
}

/// The word.
pub fn write<'s>(failed: &bool) -> Option<Text<'s>> {
    Some(Text::plain(if *failed { "error" } else { "success" }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_words_come_back() {
        for word in ["success", "error"] {
            assert_eq!(write(&read(Text::plain(word)).unwrap()).unwrap(), word);
        }
        assert!(read(Text::plain("pending")).is_err());
    }
}

//! Formats of pictures by short word, and media types.

use crate::prelude::Text;
use crate::prelude::transforms::format_word;

const FORMATS: [(&str, &str); 5] = [
    ("png", "image/png"),
    ("jpeg", "image/jpeg"),
    ("jpeg", "image/jpg"),
    ("gif", "image/gif"),
    ("webp", "image/webp"),
];

/// The media type of a format word that is known.
pub fn read(text: Text<'_>) -> Result<Text<'_>, Text<'_>> {
    format_word::read(&FORMATS, text)
}

/// The format word of a media type that has one.
pub fn write<'s>(media_type: &'s Text<'_>) -> Option<Text<'s>> {
    format_word::write(&FORMATS, media_type)
}

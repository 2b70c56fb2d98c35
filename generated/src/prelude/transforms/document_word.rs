//! Formats of documents by short word, and media types.

use crate::prelude::Text;
use crate::prelude::transforms::format_word;

const FORMATS: [(&str, &str); 9] = [
    ("pdf", "application/pdf"),
    ("csv", "text/csv"),
    ("doc", "application/msword"),
    ("docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
    ("xls", "application/vnd.ms-excel"),
    ("xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
    ("html", "text/html"),
    ("txt", "text/plain"),
    ("md", "text/markdown"),
];

/// The media type of a format word that is known.
pub fn read(text: Text<'_>) -> Result<Text<'_>, Text<'_>> {
    format_word::read(&FORMATS, text)
}

/// The format word of a media type that has one.
pub fn write<'s>(media_type: &'s Text<'_>) -> Option<Text<'s>> {
    format_word::write(&FORMATS, media_type)
}

//! Formats of sound by short word, and media types.

use crate::prelude::Text;
use crate::prelude::transforms::format_word;

const FORMATS: [(&str, &str); 15] = [
    ("mp3", "audio/mpeg"),
    ("opus", "audio/opus"),
    ("wav", "audio/wav"),
    ("aac", "audio/aac"),
    ("flac", "audio/flac"),
    ("mp4", "audio/mp4"),
    ("ogg", "audio/ogg"),
    ("mkv", "audio/x-matroska"),
    ("x-aac", "audio/x-aac"),
    ("m4a", "audio/x-m4a"),
    ("mpga", "audio/mpga"),
    ("pcm", "audio/pcm"),
    ("webm", "audio/webm"),
    ("wav", "audio/x-wav"),
    ("mp3", "audio/mp3"),
];

/// The media type of a format word that is known.
pub fn read(text: Text<'_>) -> Result<Text<'_>, Text<'_>> {
    format_word::read(&FORMATS, text)
}

/// The format word of a media type that has one.
pub fn write<'s>(media_type: &'s Text<'_>) -> Option<Text<'s>> {
    format_word::write(&FORMATS, media_type)
}

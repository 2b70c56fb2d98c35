//! Audio formats by short word, as Chat Completions names them, and media types.

use crate::prelude::Text;

const FORMATS: [(&str, &str); 7] = [
    ("wav", "audio/wav"),
    ("mp3", "audio/mpeg"),
    ("flac", "audio/flac"),
    ("opus", "audio/opus"),
    ("aac", "audio/aac"),
    ("ogg", "audio/ogg"),
    ("m4a", "audio/mp4"),
];

/// The media type of a format word.
pub fn media_type(word: &str) -> Option<&'static str> {
    FORMATS.iter().find(|(format, _)| *format == word).map(|(_, media_type)| *media_type)
}

/// The format word of a media type.
pub fn word(media_type: &str) -> Option<&'static str> {
    FORMATS.iter().find(|(_, known)| *known == media_type).map(|(word, _)| *word)
}

/// The media type of a format word that is known.
pub fn read(text: Text<'_>) -> Result<Text<'_>, Text<'_>> {
    match media_type(&text.decode()) {
        Some(known) => Ok(Text::plain(known)),
        None => Err(text),
    }
}

/// The format word of a media type that has one.
pub fn write<'s>(media_type: &'s Text<'_>) -> Option<Text<'s>> {
    word(&media_type.decode()).map(Text::plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_media_types_pair_up() {
        for (format, kind) in FORMATS {
            assert_eq!(media_type(format), Some(kind));
            assert_eq!(word(kind), Some(format));
        }
        assert_eq!(media_type("midi"), None);
    }
}

//! Short words for formats, and the media types they stand for.

use crate::prelude::Text;

/// The media type of a word that is known.
pub(super) fn read<'a>(formats: &[(&str, &'static str)], text: Text<'a>) -> Result<Text<'a>, Text<'a>> {
    let known = formats.iter().find(|(word, _)| text == **word).map(|(_, media_type)| *media_type);
    known.map(Text::plain).ok_or(text)
}

/// The first word of a media type; parameters and capitals do not matter.
pub(super) fn write<'s>(formats: &[(&'static str, &str)], media_type: &Text<'_>) -> Option<Text<'s>> {
    let decoded = media_type.decode();
    let essence = decoded.split(';').next().unwrap_or_default().trim();
    let known = formats.iter().find(|(_, known)| known.eq_ignore_ascii_case(essence));
    known.map(|(word, _)| Text::plain(*word))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FORMATS: [(&str, &str); 3] = [("jpeg", "image/jpeg"), ("jpeg", "image/jpg"), ("txt", "text/plain")];

    #[test]
    fn words_become_media_types_and_come_back() {
        let read = read(&FORMATS, Text::plain("txt")).unwrap();
        assert_eq!(read, "text/plain");
        assert_eq!(write(&FORMATS, &read).unwrap(), "txt");
    }

    #[test]
    fn spellings_of_a_media_type_have_one_word() {
        for spelling in ["image/jpg", "IMAGE/JPEG", "image/jpeg; q=1"] {
            assert_eq!(write(&FORMATS, &Text::plain(spelling)).unwrap(), "jpeg", "{spelling}");
        }
        assert!(write(&FORMATS, &Text::plain("image/tiff")).is_none());
        assert!(super::read(&FORMATS, Text::plain("tiff")).is_err());
    }
}

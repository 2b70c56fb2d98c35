//! The content of a file, as Responses carries it: a base64 `data:` URL.

use crate::ir::{Source, SourceKind};
use crate::prelude::Text;

/// Splits a `data:` URL; any other text is the bytes alone, of a kind that is not said.
pub fn read(text: Text<'_>) -> Result<Source<'_>, Text<'_>> {
    let source = super::data_url::read(text)?;
    Ok(match source.url {
        None if source.media_type.is_some() => source,
        None => Source { data: source.data.map(|data| bare_url(&data)), ..source },
        Some(text) => Source { kind: Some(SourceKind::Bytes), data: Some(text), ..Source::default() },
    })
}

/// A URL without a media type stays as it is.
fn bare_url(data: &Text<'_>) -> Text<'static> {
    Text::plain(format!("data:;base64,{}", data.decode()))
}

/// The text of a source that is bytes.
pub fn write<'s>(source: &'s Source<'_>) -> Option<Text<'s>> {
    match (&source.kind, &source.media_type) {
        (Some(SourceKind::Bytes), Some(_)) => super::data_url::write(source),
        (Some(SourceKind::Bytes), None) => source.data.as_ref().map(Text::reborrow),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_read_is_written_back() {
        for text in [
            "data:application/pdf;base64,JVBERi0=",
            "data:;base64,JVBERi0=",
            "data:text/plain;charset=utf-8;base64,QQ==",
            "JVBERi0=",
            "https://example.com/a.pdf",
            "",
        ] {
            let source = read(Text::plain(text)).unwrap();
            assert_eq!(source.kind, Some(SourceKind::Bytes), "{text}");
            assert_eq!(write(&source).unwrap(), text);
        }
    }

    #[test]
    fn only_bytes_are_written() {
        let address =
            Source { kind: Some(SourceKind::Url), url: Some("https://a/b".into()), ..Source::default() };
        assert!(write(&address).is_none());
    }
}

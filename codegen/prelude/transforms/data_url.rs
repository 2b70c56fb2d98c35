//! `data:` URLs, as Chat Completions and Responses carry images and files.

use crate::ir::{Source, SourceKind};
use crate::prelude::Text;

/// Splits a base64 `data:` URL; any other text is an address.
///
/// Only the canonical form is split, `data:<type>;base64,<data>`, so that writing gives it back.
pub fn read(text: Text<'_>) -> Result<Source<'_>, Text<'_>> {
    let Some((head, data)) = text.split_once(',') else { return Ok(address(text)) };
    let head = head.decode().into_owned();
    match head.strip_prefix("data:").and_then(|rest| rest.strip_suffix(";base64")) {
        Some(media_type) if !media_type.contains(';') => Ok(Source {
            kind: Some(SourceKind::Bytes),
            media_type: (!media_type.is_empty()).then(|| Text::plain(media_type.to_owned())),
            data: Some(data),
            ..Source::default()
        }),
        _ => Ok(address(text)),
    }
}

fn address(text: Text<'_>) -> Source<'_> {
    Source { kind: Some(SourceKind::Url), url: Some(text), ..Source::default() }
}

/// The URL of a source that is bytes or has an address.
pub fn write<'s>(source: &'s Source<'_>) -> Option<Text<'s>> {
    match (&source.kind, &source.data, &source.url) {
        (Some(SourceKind::Url), _, Some(url)) => Some(url.reborrow()),
        (Some(SourceKind::Bytes), Some(data), _) => {
            let media_type = source.media_type.as_ref().map(Text::decode).unwrap_or_default();
            let mut url = Vec::with_capacity(data.written_len() + media_type.len() + 16);
            url.extend_from_slice(b"data:");
            Text::plain(&*media_type).write_inner(&mut url);
            url.extend_from_slice(b";base64,");
            data.write_inner(&mut url);
            String::from_utf8(url).ok().map(Text::escaped)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn canonical_urls_are_split_and_joined() {
        let source = read(Text::plain("data:image/png;base64,iVBORw0=")).unwrap();
        assert_eq!(source.media_type.as_ref().unwrap(), "image/png");
        assert_eq!(source.data.as_ref().unwrap(), "iVBORw0=");
        assert_eq!(write(&source).unwrap(), "data:image/png;base64,iVBORw0=");
    }

    #[test]
    fn everything_else_is_an_address() {
        for url in [
            "https://example.com/a,b.png",
            "data:text/plain;charset=utf-8;base64,QQ==",
            "gs://b/x",
            "data:,hi",
        ] {
            let source = read(Text::plain(url)).unwrap();
            assert_eq!(source.kind, Some(SourceKind::Url));
            assert_eq!(write(&source).unwrap(), url);
        }
    }
}

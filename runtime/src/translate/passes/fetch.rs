//! Content that callers name by address, for targets that take bytes alone.

use busbar_protocols::{EffectKind, Text, ir};

use super::super::shape::Shape;
use super::super::{Fetched, Wanted};
use super::media::{begins, lacks_type};

/// Puts what is at an address in its place, where the target does not take the address.
pub(super) fn fetch_media(request: &mut ir::Request<'_>, shape: &mut Shape<'_>) {
    name_types(request, shape);
    let Some(fetched) = shape.facts.fetched else { return };
    let media = shape.to.media;
    super::each_block(request, &mut |block| {
        let (source, kind, takes) = match block {
            ir::Block::Image(node) => (&mut node.source, "Block.image", media.image_addresses),
            ir::Block::Document(node) => (&mut node.source, "Block.document", media.document_addresses),
            _ => return,
        };
        let is_web = source.kind == Some(ir::SourceKind::Url) && begins(source, &["https://", "http://"]);
        if !is_web || (begins(source, takes) && !lacks_type(source, shape)) {
            return;
        }
        let address = source.url.as_ref().map(|url| url.decode().into_owned()).unwrap_or_default();
        match fetched.get(&address) {
            Some(file) => {
                put(source, file, &address, kind == "Block.document");
                let reason = "the gateway fetched it, because this protocol takes bytes alone";
                shape.report.member(EffectKind::Emulated, block.at(), kind, "source.url", reason);
            }
            None => {
                let path = shape.report.cx.path(block.at(), kind, "source.url");
                shape.wanted.push(Wanted { path, address });
            }
        }
    });
}

/// Says what is at an address by its ending, where the target wants to be told.
fn name_types(request: &mut ir::Request<'_>, shape: &mut Shape<'_>) {
    if !shape.to.media.address_types {
        return;
    }
    super::each_block(request, &mut |block| {
        let (source, kind) = match block {
            ir::Block::Image(node) => (&mut node.source, "Block.image"),
            ir::Block::Document(node) => (&mut node.source, "Block.document"),
            ir::Block::Audio(node) => (&mut node.source, "Block.audio"),
            ir::Block::Video(node) => (&mut node.source, "Block.video"),
            _ => return,
        };
        if source.media_type.is_some() || source.kind != Some(ir::SourceKind::Url) {
            return;
        }
        let agreed = shape.from.media.document_address_type;
        if kind == "Block.document" && !agreed.is_empty() {
            source.media_type = Some(Text::plain(agreed));
            return;
        }
        source.media_type = source.url.as_ref().and_then(|url| type_of(&url.decode())).map(Text::plain);
        if source.media_type.is_some() {
            let reason = "the target wants to know what is at an address, and its ending tells";
            shape.report.member(EffectKind::Injected, block.at(), kind, "source.media_type", reason);
        }
    });
}

/// Media types by the endings of addresses.
const ENDINGS: [(&str, &str); 9] = [
    (".png", "image/png"),
    (".jpg", "image/jpeg"),
    (".jpeg", "image/jpeg"),
    (".webp", "image/webp"),
    (".gif", "image/gif"),
    (".pdf", "application/pdf"),
    (".mp4", "video/mp4"),
    (".mp3", "audio/mp3"),
    (".wav", "audio/wav"),
];

fn type_of(address: &str) -> Option<&'static str> {
    let path = address.split(['?', '#']).next().unwrap_or_default().to_ascii_lowercase();
    ENDINGS.iter().find(|(ending, _)| path.ends_with(ending)).map(|(_, kind)| *kind)
}

fn put(source: &mut ir::Source<'_>, file: &Fetched, address: &str, is_document: bool) {
    let name = source.filename.take().or_else(|| {
        let path = address.split(['?', '#']).next().unwrap_or_default();
        let last = path.rsplit('/').next().filter(|last| is_document && last.contains('.'))?;
        Some(Text::plain(last.to_owned()))
    });
    *source = ir::Source {
        kind: Some(ir::SourceKind::Bytes),
        media_type: Some(Text::plain(file.media_type.clone())),
        data: Some(Text::plain(file.base64.clone())),
        filename: name,
        ..ir::Source::default()
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ending_of_an_address_tells_what_is_there() {
        for (address, kind) in [
            ("https://a/b.PNG?w=1.pdf", Some("image/png")),
            ("gs://bucket/a.pdf", Some("application/pdf")),
            ("https://a/b.jpeg#x", Some("image/jpeg")),
            ("https://a/png", None),
            ("https://a/b?f=c.png", None),
            ("", None),
        ] {
            assert_eq!(type_of(address), kind, "{address}");
        }
    }
}

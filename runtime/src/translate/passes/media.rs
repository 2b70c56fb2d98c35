//! Pictures, sound and files that the target has no form for.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use busbar_protocols::prelude::At;
use busbar_protocols::{EffectKind, Text, ir};

use super::super::shape::Shape;

/// Reports what the target cannot take at all; what is lost here is what the request is about.
pub(super) fn fit_media(request: &mut ir::Request<'_>, shape: &mut Shape<'_>) {
    for block in request.turns.iter_mut().flatten().flat_map(|turn| turn.content.iter_mut().flatten()) {
        if let ir::Block::ToolResult(node) = block
            && let Some(content) = &mut node.content
        {
            content.retain_mut(|block| keep(block, shape));
        }
    }
    for content in request.turns.iter_mut().flatten().filter_map(|turn| turn.content.as_mut()) {
        content.retain_mut(|block| keep(block, shape));
    }
}

fn keep(block: &mut ir::Block<'_>, shape: &mut Shape<'_>) -> bool {
    let media = shape.to.media;
    let lost = match block {
        ir::Block::Audio(_) if !media.audio => Some("this protocol's models take no sound"),
        ir::Block::Video(_) if !media.video => Some("this protocol's models take no moving pictures"),
        ir::Block::Audio(ir::AudioBlock { source, .. }) | ir::Block::Video(ir::VideoBlock { source, .. }) => {
            recording(source, shape)
        }
        ir::Block::Image(node) => {
            name_format(node, shape);
            one_source(&mut node.source, node.at, "Block.image", shape);
            // Google names a picture, and nobody else does.
            if node.source.filename.take().is_some() {
                let reason = "pictures have no names in this protocol";
                shape.report.member(EffectKind::Dropped, node.at, "Block.image", "source.filename", reason);
            }
            picture(&node.source, shape)
        }
        ir::Block::Document(node) => {
            one_source(&mut node.source, node.at, "Block.document", shape);
            document(&node.source, shape)
        }
        _ => None,
    };
    if let Some(lost) = lost {
        shape.report.lose(block.at(), lost);
    }
    lost.is_none()
}

/// Leaves out an address beside the bytes: a target takes one of them.
fn one_source(source: &mut ir::Source<'_>, at: At, kind: &str, shape: &mut Shape<'_>) {
    if source.kind == Some(ir::SourceKind::Bytes) && source.url.take().is_some() {
        let reason = "the bytes are there, and one source is taken";
        shape.report.member(EffectKind::Dropped, at, kind, "source.url", reason);
    }
}

/// Why a picture cannot go to the target.
fn picture(source: &ir::Source<'_>, shape: &Shape<'_>) -> Option<&'static str> {
    let media = shape.to.media;
    match &source.kind {
        Some(ir::SourceKind::Bytes)
            if media.image_bytes.is_empty() || is_among(source, media.image_bytes) =>
        {
            None
        }
        Some(ir::SourceKind::Bytes) => Some("this protocol takes no pictures of this media type"),
        Some(ir::SourceKind::Url) if lacks_type(source, shape) => Some(UNTYPED),
        Some(ir::SourceKind::Url) if begins(source, media.image_addresses) => None,
        Some(ir::SourceKind::Url) => Some("this protocol takes no pictures from such an address"),
        Some(ir::SourceKind::File) => Some(FOREIGN_FILE),
        _ => Some("this protocol takes pictures as bytes or by address alone"),
    }
}

/// Why sound or a film cannot go to the target, which takes some.
fn recording(source: &ir::Source<'_>, shape: &Shape<'_>) -> Option<&'static str> {
    match &source.kind {
        Some(ir::SourceKind::Url) if !begins(source, shape.to.media.image_addresses) => {
            Some("this protocol takes no recordings from such an address")
        }
        Some(ir::SourceKind::Url) if lacks_type(source, shape) => Some(UNTYPED),
        Some(ir::SourceKind::File) => Some(FOREIGN_FILE),
        _ => None,
    }
}

/// Whether the target wants to be told what is at an address, and that is not known.
pub(super) fn lacks_type(source: &ir::Source<'_>, shape: &Shape<'_>) -> bool {
    shape.to.media.address_types && source.media_type.is_none()
}

/// Why a document cannot go to the target.
fn document(source: &ir::Source<'_>, shape: &Shape<'_>) -> Option<&'static str> {
    let media = shape.to.media;
    match &source.kind {
        Some(ir::SourceKind::Bytes) if is_among(source, media.document_bytes) => None,
        Some(ir::SourceKind::Bytes) => Some("this protocol takes no documents of this media type"),
        Some(ir::SourceKind::Url) if lacks_type(source, shape) => Some(UNTYPED),
        Some(ir::SourceKind::Url) if begins(source, media.document_addresses) => None,
        Some(ir::SourceKind::Url) if media.document_addresses.is_empty() => {
            Some("this protocol takes no documents by address")
        }
        Some(ir::SourceKind::Url) => Some("this protocol takes no documents from such an address"),
        Some(ir::SourceKind::File) => Some(FOREIGN_FILE),
        _ => None,
    }
}

fn is_among(source: &ir::Source<'_>, kinds: &[&str]) -> bool {
    source.media_type.as_ref().is_some_and(|kind| kinds.contains(&&*kind.decode()))
}

/// Whether the source is an address that begins in one of these ways.
pub(super) fn begins(source: &ir::Source<'_>, schemes: &[&str]) -> bool {
    source.url.as_ref().is_some_and(|url| {
        let url = url.decode();
        schemes.iter().any(|scheme| {
            url.get(..scheme.len()).is_some_and(|beginning| beginning.eq_ignore_ascii_case(scheme))
        })
    })
}

/// Says what a picture is by its bytes where its label says something else, which providers refuse.
fn name_format(node: &mut ir::ImageBlock<'_>, shape: &mut Shape<'_>) {
    let Some(found) = node.source.data.as_ref().and_then(|data| format_of(&data.decode())) else { return };
    let label = node.source.media_type.as_ref().map(|kind| kind.decode().into_owned()).unwrap_or_default();
    if label != found {
        node.source.media_type = Some(Text::plain(found));
        shape.report.member(
            EffectKind::Adapted,
            node.at,
            "Block.image",
            "source.media_type",
            format!("the bytes are {found}"),
        );
    }
}

/// Characters of base64 that tell what a picture is: twelve bytes of it.
const HEAD: usize = 16;

/// The media type of a picture, by how its bytes begin.
fn format_of(base64: &str) -> Option<&'static str> {
    let head = STANDARD.decode(base64.get(..HEAD)?).ok()?;
    match head.as_slice() {
        [0x89, b'P', b'N', b'G', ..] => Some("image/png"),
        [0xff, 0xd8, 0xff, ..] => Some("image/jpeg"),
        [b'G', b'I', b'F', b'8', ..] => Some("image/gif"),
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Some("image/webp"),
        _ => None,
    }
}

const UNTYPED: &str = "this protocol wants to know the media type of what is at an address";
const FOREIGN_FILE: &str = "the file is stored at another provider";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_is_known_by_its_first_bytes() {
        for (head, kind) in [
            (&b"\x89PNG\r\n\x1a\n0000"[..], Some("image/png")),
            (b"\xff\xd8\xff\xe000000000", Some("image/jpeg")),
            (b"GIF89a000000", Some("image/gif")),
            (b"RIFF0000WEBPVP8 ", Some("image/webp")),
            (b"RIFF0000WAVEfmt ", None),
            (b"BM0000000000", None),
            (b"GIF8", None),
        ] {
            assert_eq!(format_of(&STANDARD.encode(head)), kind, "{head:?}");
        }
    }

    #[test]
    fn an_address_is_told_by_its_beginning_in_any_case() {
        let source = |url: &str| ir::Source { url: Some(Text::plain(url.to_owned())), ..Default::default() };
        assert!(begins(&source("HTTPS://a/b"), &["https://"]));
        assert!(!begins(&source("http://a/b"), &["https://"]));
        assert!(!begins(&source("é"), &["https://"]));
        assert!(begins(&source("s3://bucket/x"), &["https://", "s3://"]));
        assert!(!begins(&source("s3://bucket/x"), &[]));
    }
}

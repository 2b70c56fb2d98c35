//! Content that callers name by address, for targets that take bytes alone.

use busbar_protocols::{EffectKind, Text, ir};

use super::super::shape::Shape;
use super::super::{Fetched, Wanted};
use super::media::begins;

/// Puts what is at an address in its place, where the target does not take the address.
pub(super) fn fetch_media(request: &mut ir::Request<'_>, shape: &mut Shape<'_>) {
    let Some(fetched) = shape.facts.fetched else { return };
    let media = shape.to.media;
    super::each_block(request, &mut |block| {
        let (source, kind, takes) = match block {
            ir::Block::Image(node) => (&mut node.source, "Block.image", media.image_addresses),
            ir::Block::Document(node) => (&mut node.source, "Block.document", media.document_addresses),
            _ => return,
        };
        let is_web = source.kind == Some(ir::SourceKind::Url) && begins(source, &["https://", "http://"]);
        if !is_web || begins(source, takes) {
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

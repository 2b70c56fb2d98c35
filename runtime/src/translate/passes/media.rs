//! Pictures, sound and files that the target has no form for.

use busbar_protocols::ir;

use super::super::shape::Shape;

/// Reports what the target cannot take at all; what is lost here is what the request is about.
pub(super) fn fit_media(request: &mut ir::Request<'_>, shape: &mut Shape<'_>) {
    for block in request.turns.iter_mut().flatten().flat_map(|turn| turn.content.iter_mut().flatten()) {
        if let ir::Block::ToolResult(node) = block
            && let Some(content) = &mut node.content
        {
            content.retain(|block| keep(block, shape));
        }
    }
    for content in request.turns.iter_mut().flatten().filter_map(|turn| turn.content.as_mut()) {
        content.retain(|block| keep(block, shape));
    }
}

fn keep(block: &ir::Block<'_>, shape: &mut Shape<'_>) -> bool {
    let media = shape.to.media;
    let lost = match block {
        ir::Block::Audio(_) if !media.audio => "this protocol's models take no sound",
        ir::Block::Video(_) if !media.video => "this protocol's models take no moving pictures",
        ir::Block::Image(node) => match &node.source.kind {
            Some(ir::SourceKind::Bytes | ir::SourceKind::Url) => return true,
            Some(ir::SourceKind::File) => FOREIGN_FILE,
            _ => "this protocol takes pictures as bytes or by address alone",
        },
        ir::Block::Document(node) => match &node.source.kind {
            Some(ir::SourceKind::Bytes) => {
                let kind = node.source.media_type.as_ref().map(|kind| kind.decode()).unwrap_or_default();
                if media.document_bytes.contains(&&*kind) {
                    return true;
                }
                "this protocol takes no documents of this media type"
            }
            Some(ir::SourceKind::Url) if media.document_url => return true,
            Some(ir::SourceKind::Url) => "this protocol takes no documents by address",
            Some(ir::SourceKind::File) => FOREIGN_FILE,
            _ => return true,
        },
        _ => return true,
    };
    shape.report.lose(block.at(), lost);
    false
}

const FOREIGN_FILE: &str = "the file is stored at another provider";

//! Marks for the prompt cache.

use busbar_protocols::{EffectKind, ir};

use super::super::shape::Shape;

/// Leaves out cache marks, where the target caches by itself.
pub(super) fn drop_cache_marks(request: &mut ir::Request<'_>, shape: &mut Shape<'_>) {
    const REASON: &str = "this protocol's providers cache prompts without marks";
    if shape.to.turns.cache_marks {
        return;
    }
    if std::mem::take(&mut request.cache) != ir::CacheMark::default() {
        shape.report.request(EffectKind::Dropped, "cache", REASON);
    }
    for tool in request.tools.iter_mut().flatten() {
        if let ir::Tool::Function(node) = tool
            && std::mem::take(&mut node.cache) != ir::CacheMark::default()
        {
            shape.report.member(EffectKind::Dropped, node.at, "Tool.function", "cache", REASON);
        }
    }
    let report = &mut shape.report;
    super::each_block(request, &mut |block| {
        let (cache, kind, at) = match block {
            ir::Block::Audio(node) => (&mut node.cache, "Block.audio", node.at),
            ir::Block::Document(node) => (&mut node.cache, "Block.document", node.at),
            ir::Block::Image(node) => (&mut node.cache, "Block.image", node.at),
            ir::Block::SearchResult(node) => (&mut node.cache, "Block.search_result", node.at),
            ir::Block::Text(node) => (&mut node.cache, "Block.text", node.at),
            ir::Block::ToolCall(node) => (&mut node.cache, "Block.tool_call", node.at),
            ir::Block::ToolResult(node) => (&mut node.cache, "Block.tool_result", node.at),
            ir::Block::Video(node) => (&mut node.cache, "Block.video", node.at),
            _ => return,
        };
        if std::mem::take(cache) != ir::CacheMark::default() {
            report.member(EffectKind::Dropped, at, kind, "cache", REASON);
        }
    });
}

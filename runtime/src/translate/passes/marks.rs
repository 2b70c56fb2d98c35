//! Marks for the prompt cache.

use busbar_protocols::{EffectKind, ir};

use super::super::shape::Shape;

/// Leaves out cache marks, where the target caches by itself.
pub(super) fn drop_cache_marks(request: &mut ir::Request<'_>, shape: &mut Shape<'_>) {
    const REASON: &str = "this protocol's providers cache prompts without marks";
    if shape.to.turns.cache_marks {
        return mark_blocks(request, shape);
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
    for turn in request.turns.iter_mut().flatten() {
        if std::mem::take(&mut turn.cache) != ir::CacheMark::default() {
            shape.report.member(EffectKind::Dropped, turn.at, "Turn", "cache", REASON);
        }
    }
    let report = &mut shape.report;
    super::each_block(request, &mut |block| {
        let at = block.at();
        if let Some((cache, kind)) = mark(block)
            && std::mem::take(cache) != ir::CacheMark::default()
        {
            report.member(EffectKind::Dropped, at, kind, "cache", REASON);
        }
    });
}

fn mark_blocks(request: &mut ir::Request<'_>, shape: &mut Shape<'_>) {
    request.turns.iter_mut().flatten().for_each(|turn| mark_last(turn, shape));
}

/// A mark of a whole turn stands at the turn's last block, where blocks alone have marks.
pub(super) fn mark_last(turn: &mut ir::Turn<'_>, shape: &mut Shape<'_>) {
    if turn.cache == ir::CacheMark::default() {
        return;
    }
    let marked = std::mem::take(&mut turn.cache);
    match turn.content.iter_mut().flatten().rev().find_map(mark) {
        Some((cache, _)) if *cache == ir::CacheMark::default() => *cache = marked,
        Some(_) => shape.report.member(
            EffectKind::Adapted,
            turn.at,
            "Turn",
            "cache",
            "the last block of the message has a mark of its own, which holds",
        ),
        // Nothing in the turn can be marked; what is left is reported by the map.
        None => turn.cache = marked,
    }
}

/// The cache mark of a block, and the block's type.
fn mark<'b, 'a>(block: &'b mut ir::Block<'a>) -> Option<(&'b mut ir::CacheMark<'a>, &'static str)> {
    Some(match block {
        ir::Block::Audio(node) => (&mut node.cache, "Block.audio"),
        ir::Block::Document(node) => (&mut node.cache, "Block.document"),
        ir::Block::Image(node) => (&mut node.cache, "Block.image"),
        ir::Block::SearchResult(node) => (&mut node.cache, "Block.search_result"),
        ir::Block::Text(node) => (&mut node.cache, "Block.text"),
        ir::Block::ToolCall(node) => (&mut node.cache, "Block.tool_call"),
        ir::Block::ToolResult(node) => (&mut node.cache, "Block.tool_result"),
        ir::Block::Video(node) => (&mut node.cache, "Block.video"),
        _ => return None,
    })
}

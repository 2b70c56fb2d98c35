//! Results that are errors.

use busbar_protocols::{EffectKind, ir};

use super::super::{shape::Shape, text};

/// Says in words that a result is an error, where the target has no mark for it.
pub(super) fn fit_errors(request: &mut ir::Request<'_>, shape: &mut Shape<'_>) {
    // An object that is the result says it itself.
    if shape.to.tools.error_flag || shape.to.tools.object_results {
        return;
    }
    for block in request.turns.iter_mut().flatten().flat_map(|turn| turn.content.iter_mut().flatten()) {
        let ir::Block::ToolResult(node) = block else { continue };
        let failed = node.is_error.take() == Some(true);
        if !failed {
            continue;
        }
        let content = node.content.get_or_insert_with(Vec::new);
        for block in content.iter_mut() {
            if let ir::Block::Text(node) = block {
                node.bare = None;
            }
        }
        let said = text::joined(content, "\n");
        content.retain(|block| !matches!(block, ir::Block::Text(_) | ir::Block::Json(_)));
        let marked = if said.is_empty() { "[tool error]".to_owned() } else { format!("[tool error] {said}") };
        content.insert(0, text::block(marked, node.at));
        shape.report.member(
            EffectKind::Emulated,
            node.at,
            "Block.tool_result",
            "is_error",
            "the text of the result says that it is an error",
        );
    }
}

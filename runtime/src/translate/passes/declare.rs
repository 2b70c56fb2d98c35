//! Tools that a history speaks of and the request no longer declares.

use std::collections::HashSet;

use busbar_protocols::prelude::At;
use busbar_protocols::{EffectKind, ir};
use serde_json::json;

use super::super::{shape::Shape, text};

/// Declares the tools of the history where the target refuses calls of tools that nobody declares.
///
/// The caller offers none, so none may be called; what fits the choice says it in the target's way.
pub(super) fn declare_tools(request: &mut ir::Request<'_>, shape: &mut Shape<'_>) {
    if !shape.to.tools.declared || request.tools.iter().flatten().any(is_function) {
        return;
    }
    let mut first: Option<At> = None;
    let mut seen = HashSet::new();
    let mut tools = Vec::new();
    for block in request.turns.iter().flatten().flat_map(|turn| turn.content.iter().flatten()) {
        let ir::Block::ToolCall(node) = block else { continue };
        first.get_or_insert(node.at);
        if let Some(name) = &node.name
            && seen.insert(name.decode().into_owned())
        {
            tools.push(ir::Tool::Function(ir::FunctionTool {
                name: Some(name.clone()),
                description: Some("A tool of an earlier part of the conversation.".into()),
                parameters: Some(text::json(&json!({ "type": "object" }))),
                at: node.at,
                ..ir::FunctionTool::default()
            }));
        }
    }
    if let Some(at) = first {
        request.tools.get_or_insert_default().extend(tools);
        super::choice::take_choice(request, shape);
        request.tool_choice = ir::ToolChoice { mode: Some(ir::ChoiceMode::None), ..Default::default() };
        shape.report.node(
            EffectKind::Injected,
            at,
            "the target wants tools of the history declared, so they are, and none may be called",
        );
    }
}

fn is_function(tool: &ir::Tool<'_>) -> bool {
    matches!(tool, ir::Tool::Function(_))
}

//! Tools whose argument is free text.

use busbar_protocols::{EffectKind, Text, ir};
use serde_json::json;

use super::super::state::FREE_TEXT;
use super::super::{shape::Shape, text};

/// Makes functions with one text argument out of tools with free text, where the target knows functions alone.
pub(super) fn fit_custom_tools(request: &mut ir::Request<'_>, shape: &mut Shape<'_>) {
    if shape.to.tools.custom {
        return;
    }
    for tool in request.tools.iter_mut().flatten() {
        let ir::Tool::Custom(node) = tool else { continue };
        shape.report.node(
            EffectKind::Emulated,
            node.at,
            "the tool with free text is offered as a function with one text argument",
        );
        if let Some(name) = &node.name {
            shape.state.custom_tools.insert(name.decode().into_owned());
        }
        let mut said = node.description.take().map(|said| said.decode().into_owned()).unwrap_or_default();
        if let Some(format) = &node.format {
            said.push_str(&format!("\n\nThe `{FREE_TEXT}` must have this format: {}", format.as_str()));
        }
        *tool = ir::Tool::Function(ir::FunctionTool {
            name: node.name.take(),
            description: (!said.is_empty()).then(|| Text::plain(said.trim_start().to_owned())),
            parameters: Some(text::json(&json!({
                "type": "object",
                "properties": { FREE_TEXT: { "type": "string" } },
                "required": [FREE_TEXT],
                "additionalProperties": false,
            }))),
            at: node.at,
            native: std::mem::take(&mut node.native),
            ..ir::FunctionTool::default()
        });
    }
    for block in request.turns.iter_mut().flatten().flat_map(|turn| turn.content.iter_mut().flatten()) {
        match block {
            ir::Block::ToolCall(node) if node.kind == Some(ir::ToolKind::Custom) => {
                let said = node.text.take().map(|said| said.decode().into_owned()).unwrap_or_default();
                node.input = Some(text::json(&json!({ FREE_TEXT: said })));
                node.kind = Some(ir::ToolKind::Function);
            }
            ir::Block::ToolResult(node) if node.kind == Some(ir::ToolKind::Custom) => {
                node.kind = Some(ir::ToolKind::Function);
            }
            _ => {}
        }
    }
    let choice = &mut request.tool_choice;
    for kind in [&mut choice.kind].into_iter().chain(choice.allowed.iter_mut().flatten().map(|t| &mut t.kind))
    {
        if *kind == Some(ir::ToolKind::Custom) {
            *kind = Some(ir::ToolKind::Function);
        }
    }
}

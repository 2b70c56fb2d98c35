//! Whether and what the model must call.

use busbar_protocols::{EffectKind, ir};
use serde_json::json;

use super::super::{shape::Shape, text};

/// Fits the choice of tools, and the declarations that it speaks of.
pub(super) fn fit_tool_choice(request: &mut ir::Request<'_>, shape: &mut Shape<'_>) {
    if request.tools.as_ref().is_none_or(Vec::is_empty) {
        request.tools = None;
        if request.tool_choice != ir::ToolChoice::default() {
            let silent =
                matches!(request.tool_choice.mode, None | Some(ir::ChoiceMode::Auto | ir::ChoiceMode::None));
            request.tool_choice = ir::ToolChoice::default();
            if !silent {
                shape.report.request(EffectKind::Dropped, "tool_choice", "there is no tool to choose");
            }
        }
        return;
    }
    if shape.to.tools.parameters {
        for tool in request.tools.iter_mut().flatten() {
            if let ir::Tool::Function(node) = tool
                && node.parameters.as_ref().is_none_or(|parameters| !parameters.is_object())
            {
                node.parameters = Some(text::json(&json!({ "type": "object", "properties": {} })));
                shape.report.member(
                    EffectKind::Injected,
                    node.at,
                    "Tool.function",
                    "parameters",
                    "the target wants a schema of the arguments",
                );
            }
        }
    }
    if request.tool_choice.mode == Some(ir::ChoiceMode::Allowed) && !shape.to.tools.allowed {
        offer_allowed(request, shape);
    }
    if shape.to.tools.parallel_in_choice {
        let choice = &mut request.tool_choice;
        match (choice.parallel, &choice.mode) {
            // Several calls are the rule; to say so needs no choice.
            (Some(true), _) | (_, Some(ir::ChoiceMode::None)) => choice.parallel = None,
            (Some(false), None) => choice.mode = Some(ir::ChoiceMode::Auto),
            _ => {}
        }
    }
}

/// Offers the allowed tools alone.
fn offer_allowed(request: &mut ir::Request<'_>, shape: &mut Shape<'_>) {
    let allowed: Vec<String> = request
        .tool_choice
        .allowed
        .take()
        .into_iter()
        .flatten()
        .filter_map(|tool| Some(tool.name?.decode().into_owned()))
        .collect();
    if let Some(tools) = &mut request.tools {
        tools.retain(|tool| {
            let (name, at) = match tool {
                ir::Tool::Function(node) => (&node.name, node.at),
                ir::Tool::Custom(node) => (&node.name, node.at),
                ir::Tool::CacheMark(_) | ir::Tool::Native(_) => return true,
            };
            let is_allowed =
                name.as_ref().is_some_and(|name| allowed.iter().any(|allowed| *name == **allowed));
            if !is_allowed {
                shape.report.node(
                    EffectKind::Emulated,
                    at,
                    "not offered, because it is not among the allowed tools",
                );
            }
            is_allowed
        });
    }
    let choice = &mut request.tool_choice;
    let required = choice.required.take() == Some(true);
    choice.mode = Some(if required { ir::ChoiceMode::Required } else { ir::ChoiceMode::Auto });
    shape.report.request(EffectKind::Emulated, "tool_choice.allowed", "only the allowed tools are offered");
}

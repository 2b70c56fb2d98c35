//! Arguments of calls that are no JSON object.

use busbar_protocols::{EffectKind, ir};
use serde_json::json;

use super::super::state::RAW_ARGUMENTS;
use super::super::{shape::Shape, text};

/// Makes the arguments of every call an object, where the target wants one.
///
/// Nothing becomes `{}`; any other text stays whole under one key.
pub(super) fn fit_arguments(request: &mut ir::Request<'_>, shape: &mut Shape<'_>) {
    if !shape.to.tools.object_arguments {
        return;
    }
    for block in request.turns.iter_mut().flatten().flat_map(|turn| turn.content.iter_mut().flatten()) {
        let ir::Block::ToolCall(node) = block else { continue };
        if node.input.as_ref().is_some_and(busbar_protocols::Json::is_object) {
            continue;
        }
        let raw = match (node.text.take(), node.input.take()) {
            (Some(raw), _) => raw.decode().into_owned(),
            (None, Some(input)) => match input.as_text() {
                Some(raw) => raw.decode().into_owned(),
                None => input.as_str().to_owned(),
            },
            (None, None) => String::new(),
        };
        let blank = raw.trim().is_empty() || raw.trim() == "null";
        node.input = Some(text::json(&if blank { json!({}) } else { json!({ RAW_ARGUMENTS: raw }) }));
        shape.report.member(
            EffectKind::Adapted,
            node.at,
            "Block.tool_call",
            "input",
            "arguments that are no JSON object stand in one",
        );
    }
}

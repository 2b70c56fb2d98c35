//! Calls as the caller knows them.

use std::collections::HashSet;

use busbar_protocols::{EffectKind, Text, ir};
use serde_json::{Value, json};

use super::super::state::FREE_TEXT;
use super::super::{shape::Shape, text};

/// Gives tools the caller's names, custom tools their text, and every call an id of its own.
pub(super) fn restore_calls(response: &mut ir::Response<'_>, shape: &mut Shape<'_>) {
    let seed = response.id.as_ref().map(|id| id.decode().into_owned()).unwrap_or_default();
    let prefix = shape.to.call_ids.prefix;
    for (content, _) in super::contents(response) {
        if shape.state.one_call {
            keep_first(content, shape);
        }
        let mut seen = HashSet::new();
        for (index, block) in content.iter_mut().enumerate() {
            let ir::Block::ToolCall(node) = block else { continue };
            let id = node.id.as_ref().map(|id| id.decode().into_owned()).unwrap_or_default();
            if id.is_empty() || !seen.insert(id.clone()) {
                let id = super::made_id(prefix, &format!("{seed}/{id}/{index}"), shape.state.now);
                node.id = Some(Text::plain(id));
                shape.report.member(
                    EffectKind::Injected,
                    node.at,
                    "Block.tool_call",
                    "id",
                    "the provider gave the call no id of its own",
                );
            }
            if shape.state.restore_name(node) {
                node.text = Some(Text::plain(free_text(node.input.take())));
                node.kind = Some(ir::ToolKind::Custom);
            } else if shape.to.tools.object_arguments || node.kind == Some(ir::ToolKind::Search) {
                object_input(node, shape);
            }
        }
    }
}

/// Why a call of several is left out.
pub(crate) const ONE_CALL: &str =
    "the caller takes one call at a time; the model can make this one when it has the first result";

/// Leaves out all calls but the first.
fn keep_first(content: &mut Vec<ir::Block<'_>>, shape: &mut Shape<'_>) {
    let mut first = true;
    content.retain(|block| {
        let stays = !matches!(block, ir::Block::ToolCall(_)) || std::mem::take(&mut first);
        if !stays {
            shape.report.node(EffectKind::Emulated, block.at(), ONE_CALL);
        }
        stays
    });
}

/// The text that a model gave to a function that stands for a tool with free text.
fn free_text(input: Option<busbar_protocols::Json<'_>>) -> String {
    let Some(input) = input else { return String::new() };
    match input.to_value() {
        Ok(Value::Object(members)) => match members.get(FREE_TEXT) {
            Some(Value::String(said)) => said.clone(),
            _ => input.as_str().to_owned(),
        },
        Ok(Value::String(said)) => said,
        _ => input.as_str().to_owned(),
    }
}

/// Arguments of an answer as an object; what was cut short stays whole under one key.
fn object_input(node: &mut ir::ToolCallBlock<'_>, shape: &mut Shape<'_>) {
    if node.input.as_ref().is_some_and(busbar_protocols::Json::is_object) {
        return;
    }
    let raw = node.input.take().and_then(|input| input.as_text().map(|raw| raw.decode().into_owned()));
    let raw = raw.or_else(|| node.text.take().map(|raw| raw.decode().into_owned())).unwrap_or_default();
    // An object inside a string inside a string is still meant as one.
    let inner = serde_json::from_str::<Value>(&raw).ok();
    let value = match inner {
        Some(Value::String(inner)) => serde_json::from_str::<Value>(&inner).ok().filter(Value::is_object),
        _ => None,
    };
    let blank = raw.trim().is_empty() || raw.trim() == "null";
    node.input = Some(text::json(&value.unwrap_or_else(|| {
        if blank { json!({}) } else { json!({ super::super::state::RAW_ARGUMENTS: raw }) }
    })));
    if !blank {
        shape.report.member(
            EffectKind::Adapted,
            node.at,
            "Block.tool_call",
            "input",
            "arguments that are no JSON object stand in one",
        );
    }
}

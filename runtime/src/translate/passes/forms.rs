//! What a result is made of: text, JSON, or one object that says everything.

use busbar_protocols::{EffectKind, Json, ir};
use serde_json::{Value, json};

use super::super::{shape::Shape, text};

/// The member of an object that is the output of a tool.
const OUTPUT: &str = "output";
/// The member that says what went wrong.
const ERROR: &str = "error";
/// A member with a meaning of its own where results are objects.
const REFERENCE: &str = "$ref";
/// JSON nests no deeper than this where it is read.
const MAX_DEPTH: usize = 64;

/// Gives the results of tools the form that the target has.
pub(super) fn fit_results(request: &mut ir::Request<'_>, shape: &mut Shape<'_>) {
    for block in request.turns.iter_mut().flatten().flat_map(|turn| turn.content.iter_mut().flatten()) {
        let ir::Block::ToolResult(node) = block else { continue };
        if shape.from.tools.object_results {
            unwrap(node);
        }
        if shape.to.tools.object_results {
            wrap(node, shape);
        } else {
            plain(node, shape.to.tools.json_results);
        }
    }
}

/// Takes the output, or the error, out of an object that says which of both it is.
fn unwrap(node: &mut ir::ToolResultBlock<'_>) {
    let mut failed = false;
    for block in node.content.iter_mut().flatten() {
        let ir::Block::Json(json) = block else { continue };
        let Some(Ok(Value::Object(members))) = json.value.as_ref().map(Json::to_value) else { continue };
        let mut members = members.into_iter();
        let (Some((name, value)), None) = (members.next(), members.next()) else { continue };
        if name != OUTPUT && name != ERROR {
            continue;
        }
        failed |= name == ERROR;
        match value {
            Value::String(said) => {
                let mut said = text::block(said, json.at);
                said.native_mut().append(std::mem::take(&mut json.native));
                *block = said;
            }
            value => json.value = Some(text::json(&value)),
        }
    }
    if failed {
        node.is_error.get_or_insert(true);
    }
}

/// Makes text of JSON values, but of objects where the target has a form for them.
fn plain(node: &mut ir::ToolResultBlock<'_>, objects: bool) {
    for block in node.content.iter_mut().flatten() {
        let ir::Block::Json(json) = block else { continue };
        let value = json.value.as_ref();
        let fits = value.is_some_and(|value| value.is_object() && readable(value, &|name| !name.is_empty()));
        if objects && fits {
            json.bare = None;
            continue;
        }
        let mut said = text::block(value.map(text::of_json).unwrap_or_default(), json.at);
        said.native_mut().append(std::mem::take(&mut json.native));
        *block = said;
    }
}

/// Makes one object of the text; pictures and documents stay beside it.
fn wrap(node: &mut ir::ToolResultBlock<'_>, shape: &mut Shape<'_>) {
    let content = node.content.take().unwrap_or_default();
    let (said, mut rest): (Vec<_>, Vec<_>) =
        content.into_iter().partition(|block| matches!(block, ir::Block::Text(_) | ir::Block::Json(_)));
    let whole = text::joined(&said, "\n");
    let failed = node.is_error.take() == Some(true);
    let value = match Json::parse(whole.clone()) {
        _ if failed => text::json(&json!({ ERROR: whole })),
        Ok(value) if value.is_object() && readable(&value, &|name| name != REFERENCE) => value,
        _ => text::json(&json!({ OUTPUT: whole })),
    };
    if failed {
        shape.report.member(
            EffectKind::Adapted,
            node.at,
            "Block.tool_result",
            "is_error",
            "the object that is the result says that it is an error",
        );
    }
    let mut one = ir::JsonBlock { value: Some(value), bare: Some(true), at: node.at, ..Default::default() };
    for mut block in said {
        if let ir::Block::Text(text) = &mut block {
            for citation in text.citations.take().into_iter().flatten() {
                shape.report.node(EffectKind::Dropped, citation.at, "a result in an object is not cited");
            }
        }
        one.native.append(std::mem::take(block.native_mut()));
    }
    rest.insert(0, ir::Block::Json(one));
    node.content = Some(rest);
}

/// Whether all names of members may go up as they are; an object that nests too deep is not looked through.
fn readable(value: &Json<'_>, fits: &dyn Fn(&str) -> bool) -> bool {
    value.to_value().is_ok_and(|value| names_fit(&value, fits, 0))
}

fn names_fit(value: &Value, fits: &dyn Fn(&str) -> bool, depth: usize) -> bool {
    match value {
        Value::Object(_) | Value::Array(_) if depth == MAX_DEPTH => false,
        Value::Object(members) => {
            members.iter().all(|(name, member)| fits(name) && names_fit(member, fits, depth + 1))
        }
        Value::Array(items) => items.iter().all(|item| names_fit(item, fits, depth + 1)),
        _ => true,
    }
}

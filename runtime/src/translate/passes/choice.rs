//! Whether and what the model must call.

use busbar_protocols::{EffectKind, Json, ir};
use serde_json::{Value, json};

use super::super::{shape::Shape, text};

/// Fits the choice of tools, and the declarations that it speaks of.
pub(super) fn fit_tool_choice(request: &mut ir::Request<'_>, shape: &mut Shape<'_>) {
    if request.tools.as_ref().is_none_or(Vec::is_empty) {
        request.tools = None;
        if request.tool_choice != ir::ToolChoice::default() {
            let silent =
                matches!(request.tool_choice.mode, None | Some(ir::ChoiceMode::Auto | ir::ChoiceMode::None));
            if silent {
                request.tool_choice = ir::ToolChoice::default();
            } else {
                take_choice(request, shape);
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
    if shape.to.tools.object_parameters {
        request.tools.iter_mut().flatten().for_each(|tool| say_object(tool, shape));
    }
    if request.tool_choice.mode == Some(ir::ChoiceMode::Allowed) && !shape.to.tools.allowed {
        offer_allowed(request, shape);
    }
    let forced = matches!(request.tool_choice.mode, Some(ir::ChoiceMode::Required | ir::ChoiceMode::Named));
    if forced && !shape.facts.forced_tools {
        request.tool_choice.mode = Some(ir::ChoiceMode::Auto);
        request.tool_choice.name = None;
        request.tool_choice.kind = None;
        shape.report.lose_request("tool_choice.mode", "the model cannot be made to call a tool");
    }
    fit_mode(request, shape);
    if !shape.to.tools.parallel {
        one_at_a_time(request, shape);
    } else if shape.to.tools.parallel_in_choice {
        let choice = &mut request.tool_choice;
        match (choice.parallel, &choice.mode) {
            // Several calls are the rule; to say so needs no choice.
            (Some(true), _) | (_, Some(ir::ChoiceMode::None)) => choice.parallel = None,
            (Some(false), None) => choice.mode = Some(ir::ChoiceMode::Auto),
            _ => {}
        }
    }
}

/// Says in the schema of a tool's parameters that they are an object, which all arguments are.
fn say_object(tool: &mut ir::Tool<'_>, shape: &mut Shape<'_>) {
    let ir::Tool::Function(node) = tool else { return };
    let Some(said) = node.parameters.as_ref().and_then(|parameters| as_object(parameters.as_str())) else {
        return;
    };
    let Ok(said) = Json::parse(said) else { return };
    node.parameters = Some(said);
    let reason = "the target wants to be told that arguments are an object";
    shape.report.member(EffectKind::Adapted, node.at, "Tool.function", "parameters", reason);
}

/// The schema with the type, where it says none or says an object among others; all else stays as it is spelled.
fn as_object(schema: &str) -> Option<String> {
    let Ok(Value::Object(mut members)) = serde_json::from_str(schema) else { return None };
    match members.get("type") {
        None => {
            let rest = schema.trim_start().strip_prefix('{')?;
            let comma = if members.is_empty() { "" } else { "," };
            Some(format!(r#"{{"type":"object"{comma}{rest}"#))
        }
        Some(Value::Array(kinds)) if kinds.iter().any(|kind| kind == OBJECT) => {
            members.insert("type".to_owned(), json!(OBJECT));
            Some(Value::Object(members).to_string())
        }
        Some(_) => None,
    }
}

/// The type of all arguments.
const OBJECT: &str = "object";

/// What the model is told where the target has no switch for several calls in one answer.
const ONE_CALL: &str = "Call at most one tool in an answer, and wait for its result.";
const NO_SWITCH: &str =
    "the model is asked in words for one call at a time, and of several the first is handed on";

/// Asks for one call at a time where the target has no switch; that it is one the answer's way back sees to.
fn one_at_a_time(request: &mut ir::Request<'_>, shape: &mut Shape<'_>) {
    let parallel = request.tool_choice.parallel.take();
    if parallel == Some(false) && request.tools.as_ref().is_some_and(|tools| !tools.is_empty()) {
        shape.state.one_call = true;
        super::instructions::instruct(request, ONE_CALL, shape);
        shape.report.request(EffectKind::Emulated, "tool_choice.parallel", NO_SWITCH);
    }
}

/// Takes the choice out of a request that offers nothing to choose from.
pub(super) fn take_choice(request: &mut ir::Request<'_>, shape: &mut Shape<'_>) {
    let choice = std::mem::take(&mut request.tool_choice);
    let said = [
        (choice.mode.is_some(), "tool_choice.mode"),
        (choice.name.is_some(), "tool_choice.name"),
        (choice.allowed.is_some(), "tool_choice.allowed"),
        (choice.required.is_some(), "tool_choice.required"),
        (choice.parallel.is_some(), "tool_choice.parallel"),
    ];
    for (_, path) in said.into_iter().filter(|(said, _)| *said) {
        shape.report.request(EffectKind::Dropped, path, "there is no tool to choose");
    }
}

/// What the model is told where the target cannot forbid calls.
const NO_CALLS: &str = "Do not call any tool in your next answer; answer in text.";

/// Says the choice in other ways where the target has no word for it.
fn fit_mode(request: &mut ir::Request<'_>, shape: &mut Shape<'_>) {
    let Some(mode) = &request.tool_choice.mode else { return };
    let word = mode.text();
    if shape.to.tools.choices.iter().any(|known| word == **known) {
        return;
    }
    match mode {
        // Without a word the model chooses.
        ir::ChoiceMode::Auto => request.tool_choice.mode = None,
        ir::ChoiceMode::None => forbid(request, shape),
        ir::ChoiceMode::Named => offer_named(request, shape),
        _ => {}
    }
}

/// Offers no tool, or, where the history speaks of tools, asks in words that none be called.
fn forbid(request: &mut ir::Request<'_>, shape: &mut Shape<'_>) {
    request.tool_choice = ir::ToolChoice::default();
    let spoken_of = request.turns.iter().flatten().flat_map(|turn| turn.content.iter().flatten());
    let spoken_of =
        spoken_of.into_iter().any(|block| matches!(block, ir::Block::ToolCall(_) | ir::Block::ToolResult(_)));
    if !spoken_of {
        for tool in request.tools.take().into_iter().flatten() {
            let reason = "not offered, because none may be called";
            shape.report.node(EffectKind::Emulated, tool.at(), reason);
        }
        let reason = "no tool is offered, because none may be called";
        return shape.report.request(EffectKind::Emulated, "tool_choice.mode", reason);
    }
    super::instructions::instruct(request, NO_CALLS, shape);
    let reason = "the model is asked in words to call no tool";
    shape.report.request(EffectKind::Emulated, "tool_choice.mode", reason);
}

/// Offers the one tool that must be called alone.
fn offer_named(request: &mut ir::Request<'_>, shape: &mut Shape<'_>) {
    let name = request.tool_choice.name.take();
    request.tool_choice.kind = None;
    request.tool_choice.mode = Some(ir::ChoiceMode::Required);
    if let (Some(tools), Some(name)) = (&mut request.tools, name) {
        let name = name.decode();
        let is_named = |tool: &ir::Tool<'_>| match tool {
            ir::Tool::Function(node) => node.name.as_ref().is_some_and(|known| *known == *name),
            ir::Tool::Custom(node) => node.name.as_ref().is_some_and(|known| *known == *name),
            _ => false,
        };
        if tools.iter().any(is_named) {
            tools.retain(|tool| {
                let stays = is_named(tool);
                if !stays {
                    let reason = "not offered, because another tool must be called";
                    shape.report.node(EffectKind::Emulated, tool.at(), reason);
                }
                stays
            });
        } else {
            let reason = "there is no tool of that name; any must be called";
            return shape.report.request(EffectKind::Dropped, "tool_choice", reason);
        }
    }
    let reason = "the tool that must be called is the only one that is offered";
    shape.report.request(EffectKind::Emulated, "tool_choice.name", reason);
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
                _ => return true,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schema_of_arguments_says_that_they_are_an_object() {
        for (schema, said) in [
            ("{}", Some(r#"{"type":"object"}"#)),
            (" { } ", Some(r#"{"type":"object" } "#)),
            (
                r#"{"properties":{"a":{"maximum":1.0}}}"#,
                Some(r#"{"type":"object","properties":{"a":{"maximum":1.0}}}"#),
            ),
            (r#"{"title":"t","type":["object","null"]}"#, Some(r#"{"title":"t","type":"object"}"#)),
            (r#"{"type":"object"}"#, None),
            (r#"{"type":"string"}"#, None),
            ("true", None),
        ] {
            assert_eq!(as_object(schema).as_deref(), said, "{schema}");
        }
    }
}

//! The search for tools that are not in the prompt: elsewhere a function, and what it found is declared.

use busbar_protocols::openai_responses as wire;
use busbar_protocols::prelude::Wire as _;
use busbar_protocols::{Field, Json, Text, ir};

/// Name of the function.
const NAME: &str = "tool_search";
/// Who made an item: functions have no place for it.
const CREATOR: &str = "created_by";

/// Makes functions, calls and results out of a search that the caller runs, and takes out the tools that it found.
///
/// Returns which of the tools it is, and its name.
pub(super) fn take<'a>(
    document: &mut wire::root::Request<'a>,
    found: &mut Vec<(usize, Vec<wire::Tool<'a>>)>,
) -> Option<(usize, String)> {
    let name = free_name(document);
    let mut finder = None;
    for (index, tool) in document.tools.as_mut().into_iter().flatten().enumerate() {
        let wire::Tool::ToolSearch(node) = tool else { continue };
        let client = node.execution == Field::Value(wire::ResponseItemToolSearchCallExecution::Client);
        if !client || finder.is_some() {
            continue;
        }
        *tool = wire::Tool::Function(wire::FunctionTool {
            r#type: Field::Value(Text::plain("function")),
            name: Field::Value(Text::plain(name.clone())),
            description: std::mem::take(&mut node.description),
            parameters: std::mem::take(&mut node.parameters),
            unknown: std::mem::take(&mut node.unknown),
            ..Default::default()
        });
        finder = Some(index);
    }
    let Field::Value(wire::ResponseInput::Array(items)) = &mut document.input else {
        return finder.map(|index| (index, name));
    };
    let mut last = Field::Absent;
    for (index, item) in items.iter_mut().enumerate() {
        match item {
            wire::ResponseInputItem::ToolSearchCall(call) => {
                let made = || Field::Value(Text::plain(format!("{NAME}_{index}")));
                last = if call.call_id.as_ref().is_some() { call.call_id.clone() } else { made() };
                let arguments =
                    call.arguments.as_ref().map_or("{}", |arguments| arguments.as_str()).to_owned();
                *item = wire::ResponseInputItem::FunctionCall(wire::ResponseFunctionToolCall {
                    r#type: Field::Value(Text::plain("function_call")),
                    id: std::mem::take(&mut call.id),
                    status: std::mem::take(&mut call.status),
                    call_id: last.clone(),
                    name: Field::Value(Text::plain(name.clone())),
                    arguments: Field::Value(Text::plain(arguments)),
                    unknown: std::mem::take(&mut call.unknown),
                    ..Default::default()
                });
            }
            wire::ResponseInputItem::ToolSearchOutput(result) => {
                super::leave_unknown(&mut result.unknown, CREATOR, std::mem::take(&mut result.created_by));
                let tools = std::mem::take(&mut result.tools).value().unwrap_or_default();
                let call_id =
                    if result.call_id.as_ref().is_some() { result.call_id.clone() } else { last.clone() };
                *item = wire::ResponseInputItem::FunctionCallOutput(wire::ResponseItemFunctionCallOutput {
                    r#type: Field::Value(Text::plain("function_call_output")),
                    id: std::mem::take(&mut result.id),
                    status: std::mem::take(&mut result.status),
                    call_id,
                    output: Field::Value(wire::ResponseToolOutput::String(Text::plain(listed(&tools)))),
                    unknown: std::mem::take(&mut result.unknown),
                    ..Default::default()
                });
                found.push((index, tools));
            }
            _ => {}
        }
    }
    finder.map(|index| (index, name))
}

/// A call of the function as the search that the caller knows.
pub(super) fn call<'a>(call: wire::ResponseFunctionToolCall<'a>) -> wire::ResponseToolSearchCall<'a> {
    let arguments = call.arguments.as_ref().map(|text| text.decode().into_owned()).unwrap_or_default();
    let arguments = Json::parse(arguments.clone()).unwrap_or_else(|_| Json::from_value(&arguments.into()));
    wire::ResponseToolSearchCall {
        r#type: Field::Value(Text::plain("tool_search_call")),
        id: call.id,
        call_id: call.call_id,
        execution: Field::Value(wire::ResponseItemToolSearchCallExecution::Client),
        arguments: Field::Value(arguments),
        status: call.status.value().map_or(Field::Absent, Field::Value),
        ..Default::default()
    }
}

/// Whether a tool that a search found is declared already.
pub(super) fn is_declared(tool: &ir::Tool<'_>, declared: &[ir::Tool<'_>]) -> bool {
    let name = |tool: &ir::Tool<'_>| match tool {
        ir::Tool::Function(node) => node.name.as_ref().map(|name| name.decode().into_owned()),
        ir::Tool::Custom(node) => node.name.as_ref().map(|name| name.decode().into_owned()),
        _ => None,
    };
    name(tool).is_some_and(|own| declared.iter().any(|other| name(other).as_ref() == Some(&own)))
}

/// A name that none of the caller's own tools has.
fn free_name(document: &wire::root::Request<'_>) -> String {
    let mut name = NAME.to_owned();
    let tools = document.tools.as_ref().into_iter().flatten();
    let taken: Vec<&Text<'_>> = tools
        .filter_map(|tool| match tool {
            wire::Tool::Function(node) => node.name.as_ref(),
            wire::Tool::Custom(node) => node.name.as_ref(),
            _ => None,
        })
        .collect();
    while taken.iter().any(|taken| **taken == *name) {
        name.push('_');
    }
    name
}

/// The tools as the model reads them.
fn listed(tools: &[wire::Tool<'_>]) -> String {
    let tools: Vec<String> =
        tools.iter().map(|tool| String::from_utf8_lossy(&tool.to_json()).into_owned()).collect();
    format!("[{}]", tools.join(","))
}

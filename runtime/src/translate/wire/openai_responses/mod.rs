//! What only the words of `openai_responses` can say.

mod answer;
mod find;
mod reasoning;
mod tools;
mod web;

use std::collections::HashMap;

use busbar_protocols::openai_responses as wire;
use busbar_protocols::prelude::{Checked, Paths, ReadCx, Unknown, Wire as _, map};
use busbar_protocols::{Field, Json, Text, WireError, ir};

use super::super::facts::ReasoningForm;
use super::super::shape::Shape;
use super::{Malformed, Request, Response, malformed, no_answer};

pub(crate) use answer::{End, complete_usage, item_word};
pub(super) use answer::{read_response, write_response};

/// The item that declares tools from inside the conversation.
const ADDITIONAL_TOOLS: &str = "additional_tools";

pub(super) fn read_request(body: Checked<'_>, home: bool) -> Result<Request<'_>, WireError> {
    let mut cx = ReadCx::default();
    let mut document = wire::root::Request::from_checked(body)?;
    let logprobs = !home && leave_defaults(&mut document);
    let mut tools = Vec::new();
    let mut finder = None;
    if !home {
        finder = find::take(&mut document, &mut tools);
        tools.extend(take_tools(&mut document));
        document.tools.as_mut().into_iter().flatten().for_each(web::newest);
    }
    let thoughts = match &mut document.input {
        Field::Value(wire::ResponseInput::Array(items)) => reasoning::take(items, home),
        _ => Vec::new(),
    };
    let mut ir = wire::request_to_ir(document, &mut cx);
    if logprobs {
        ir.output.logprobs = Some(true);
    }
    for (index, more) in tools {
        let turn = ir.turns.as_ref().and_then(|turns| turns.get(index));
        let list = turn.map(|turn| cx.member(turn.at, "tools")).unwrap_or_default();
        let declared = ir.tools.get_or_insert_with(Vec::new);
        for (index, tool) in more.into_iter().enumerate() {
            let at = cx.item(list, index);
            let tool = wire::read_tool(tool, &mut cx, at);
            if !find::is_declared(&tool, declared) {
                declared.push(tool);
            }
        }
    }
    for tool in ir.tools.iter_mut().flatten() {
        if let ir::Tool::WebSearch(node) = tool
            && node.place != ir::SearchPlace::default()
        {
            node.place.kind = Some(Text::plain("approximate"));
        }
    }
    let list = cx.member(Paths::ROOT, "tools");
    let finder = finder.map(|(index, name)| (name, cx.item(list, index)));
    let turns = ir.turns.get_or_insert_with(Vec::new);
    for (index, text) in thoughts {
        if let Some(turn) = turns.get_mut(index) {
            reasoning::put(turn, text);
        }
    }
    if !home {
        turns.retain_mut(name_speaker);
        ir.tools.iter_mut().flatten().for_each(tools::nest_grammar);
    }
    if turns.is_empty() {
        ir.turns = None;
    }
    Ok(Request { ir, cx, legacy_calls: false, finder })
}

/// Takes out what says nothing that would not be so without it; whether token probabilities are asked for.
fn leave_defaults(document: &mut wire::root::Request<'_>) -> bool {
    if document.background == Field::Value(false) {
        document.background = Field::Absent;
    }
    if document.truncation == Field::Value(wire::ResponseTruncation::Disabled) {
        document.truncation = Field::Absent;
    }
    if let Field::Value(wire::ResponseInput::Array(items)) = &mut document.input {
        let mut groups = HashMap::new();
        for item in items {
            match item {
                wire::ResponseInputItem::Message(item) => leave_empty(item),
                wire::ResponseInputItem::FunctionCall(call) => {
                    let id = call.call_id.as_ref().map(|id| id.decode().into_owned());
                    groups.insert(id, call.namespace.clone());
                }
                // The call says of which group the tool is; what it does not say is reported.
                wire::ResponseInputItem::FunctionCallOutput(item) => {
                    let id = item.call_id.as_ref().map(|id| id.decode().into_owned());
                    let group = std::mem::take(&mut item.namespace);
                    if groups.get(&id) != Some(&group) {
                        leave_unknown(&mut item.unknown, "namespace", group);
                    }
                }
                _ => {}
            }
        }
    }
    let mut logprobs = false;
    if let Field::Value(include) = &mut document.include {
        include.retain(|member| match member {
            wire::ResponseCreateParamsIncludeItem::MessageOutputTextLogprobs => {
                logprobs = true;
                false
            }
            // What is sealed comes with every answer.
            member => *member != wire::ResponseCreateParamsIncludeItem::ReasoningEncryptedContent,
        });
        if include.is_empty() {
            document.include = Field::Absent;
        }
    }
    logprobs
}

/// Puts a text where what no other protocol knows is reported from.
fn leave_unknown<'a>(unknown: &mut Unknown<'a>, name: &'static str, text: Field<Text<'a>>) {
    if let Field::Value(text) = text {
        unknown.push(Text::plain(name), Json::from_value(&text.decode().as_ref().into()));
    }
}

/// Takes empty lists of token probabilities out of what the model said.
fn leave_empty(item: &mut wire::ResponseInputItemMessage<'_>) {
    let Field::Value(wire::ResponseInputItemMessageContent::Array(parts)) = &mut item.content else { return };
    for part in parts {
        if let wire::ResponseInputItemMessagePart::OutputText(part) = part
            && part.logprobs.as_ref().is_some_and(Vec::is_empty)
        {
            part.logprobs = Field::Absent;
        }
    }
}

/// Takes out the tools that are declared inside the conversation, each list with its place.
fn take_tools<'a>(document: &mut wire::root::Request<'a>) -> Vec<(usize, Vec<wire::Tool<'a>>)> {
    let Field::Value(wire::ResponseInput::Array(items)) = &mut document.input else { return Vec::new() };
    let mut taken = Vec::new();
    for (index, item) in items.iter_mut().enumerate() {
        // An item that says more stays whole, and is reported so.
        if let wire::ResponseInputItem::AdditionalTools(item) = item
            && item.unknown.is_empty()
            && let Some(tools) = std::mem::take(&mut item.tools).value()
        {
            taken.push((index, tools));
        }
    }
    taken
}

/// Says who speaks in an item, and of which kind its call or result is; an item that has been emptied goes.
fn name_speaker(turn: &mut ir::Turn<'_>) -> bool {
    if let Some(value) = turn.native.take_whole() {
        let kind = map::tag_of(&value, "type");
        let emptied = !value.as_str().contains("\"tools\":");
        if emptied && kind.as_ref().is_some_and(|kind| *kind == *ADDITIONAL_TOOLS) {
            return false;
        }
        let native = ir::NativeBlock { kind, value: Some(value), at: turn.at, ..Default::default() };
        turn.content = Some(vec![ir::Block::Native(native)]);
        turn.role = Some(ir::Role::Assistant);
        return true;
    }
    let custom = matches!(turn.item, Some(ir::ItemKind::CustomCall | ir::ItemKind::CustomResult));
    match &turn.item {
        Some(ir::ItemKind::Call | ir::ItemKind::CustomCall | ir::ItemKind::Reasoning) => {
            turn.role = Some(ir::Role::Assistant);
        }
        Some(ir::ItemKind::Result | ir::ItemKind::CustomResult) => turn.role = Some(ir::Role::Tool),
        _ => {}
    }
    for block in turn.content.iter_mut().flatten() {
        match block {
            ir::Block::ToolCall(node) if custom => node.kind = Some(ir::ToolKind::Custom),
            ir::Block::ToolResult(node) if custom => node.kind = Some(ir::ToolKind::Custom),
            ir::Block::Text(node) => node.said = None,
            _ => {}
        }
    }
    true
}

pub(super) fn write_request(request: &mut ir::Request<'_>, shape: &mut Shape<'_>) -> Vec<u8> {
    let expected = shape.expected;
    let home = shape.home();
    if !home {
        request.tools.iter_mut().flatten().for_each(tools::settle);
    }
    let logprobs = if home { None } else { request.output.logprobs.take() };
    if let Some(turns) = &mut request.turns {
        turns.retain_mut(reasoning::settle);
    }
    let mut thoughts = Vec::new();
    for turn in request.turns.iter_mut().flatten() {
        if turn.item == Some(ir::ItemKind::Reasoning) {
            thoughts.push(reasoning::unfold(turn));
        }
        if !home {
            settle_item(turn);
        }
    }
    let mut document = wire::request_from_ir(request, &mut shape.report.cx);
    if let Field::Value(wire::ResponseInput::Array(items)) = &mut document.input {
        let pieces = items.iter_mut().filter_map(|item| match item {
            wire::ResponseInputItem::Reasoning(item) => Some(item),
            _ => None,
        });
        for (item, text) in pieces.zip(thoughts) {
            reasoning::say(item, text);
        }
        if !home {
            items.iter_mut().for_each(complete);
        }
    }
    if !home {
        let mut include = Vec::new();
        // Models that do not reason refuse to be asked for what they would seal.
        if shape.facts.reasoning != ReasoningForm::None {
            include.push(wire::ResponseCreateParamsIncludeItem::ReasoningEncryptedContent);
        }
        if logprobs == Some(true) {
            include.push(wire::ResponseCreateParamsIncludeItem::MessageOutputTextLogprobs);
        }
        if !include.is_empty() {
            document.include = Field::Value(include);
        }
    }
    document.to_json_sized(expected)
}

/// Gives an item the members that its kind has: a message says who speaks, all others say so by their kind.
fn settle_item(turn: &mut ir::Turn<'_>) {
    if turn.item != Some(ir::ItemKind::Message) {
        turn.role = None;
        return;
    }
    if turn.role != Some(ir::Role::Assistant) {
        return;
    }
    for block in turn.content.iter_mut().flatten() {
        if let ir::Block::Text(node) = block {
            node.said = Some(true);
            // A bare text cannot say where it comes from.
            if node.citations.is_some() {
                node.bare = None;
            }
        }
    }
}

/// Adds the members that the provider wants in an item and that others do not have.
fn complete(item: &mut wire::ResponseInputItem<'_>) {
    let empty = || Field::Value(wire::ResponseToolOutput::String(Text::plain("")));
    match item {
        wire::ResponseInputItem::Message(message) => {
            let Field::Value(wire::ResponseInputItemMessageContent::Array(parts)) = &mut message.content
            else {
                return;
            };
            for part in parts {
                if let wire::ResponseInputItemMessagePart::OutputText(text) = part {
                    answer::complete_text(text);
                }
            }
        }
        wire::ResponseInputItem::FunctionCallOutput(item) if item.output.is_absent() => item.output = empty(),
        wire::ResponseInputItem::CustomToolCallOutput(item) if item.output.is_absent() => {
            item.output = empty()
        }
        _ => {}
    }
}

//! What only the words of `openai_chat` can say.

use busbar_protocols::openai_chat as wire;
use busbar_protocols::prelude::{Checked, Native, Paths, ReadCx, Wire as _, transforms};
use busbar_protocols::{Field, Json, Text, WireError, ir};
use serde_json::{Value, json};

use super::super::carriage::{Envelope, SealedBlock, SealedKind};
use super::super::shape::Shape;
use super::{Malformed, Request, Response, malformed, no_answer};

/// Where reasoning is listed that the gateway sealed; other servers list theirs in forms of their own.
pub(crate) const DETAILS_FORMAT: &str = "busbar-v1";

pub(super) fn read_request(body: Checked<'_>, home: bool) -> Result<Request<'_>, WireError> {
    let mut cx = ReadCx::default();
    let mut document = wire::root::Request::from_checked(body)?;
    let legacy_calls = !home && modernise(&mut document);
    let mut choice = if legacy_calls { take(&mut document.function_call) } else { None };
    if let Some(wire::CompletionCreateParamsFunctionCall::Object(one)) = &mut choice
        && !one.unknown.is_empty()
    {
        // What nobody knows of stays behind, where the map reports it.
        let unknown = std::mem::take(&mut one.unknown);
        let rest = wire::ChatCompletionFunctionCallOption { unknown, ..Default::default() };
        document.function_call = Field::Value(wire::CompletionCreateParamsFunctionCall::Object(rest));
    }
    let search = if home { None } else { take(&mut document.web_search_options) };
    let mut ir = wire::request_to_ir(document, &mut cx);
    if let Some(search) = search {
        let search = read_search(search, &mut cx);
        ir.tools.get_or_insert_with(Vec::new).push(ir::Tool::WebSearch(search));
    }
    if let Some(choice) = choice {
        legacy_choice(choice, &mut ir.tool_choice);
    }
    for turn in ir.turns.iter_mut().flatten() {
        if !home {
            pictures_in_results(turn);
        }
        // At home too: what the gateway sealed nobody else can read.
        listed_reasoning(turn);
    }
    Ok(Request { ir, cx, legacy_calls, finder: None })
}

/// The search of the web as a tool, which stands beside the tools here.
fn read_search<'a>(
    options: wire::CompletionCreateParamsWebSearchOptions<'a>,
    cx: &mut ReadCx,
) -> ir::WebSearchTool<'a> {
    let at = cx.member(Paths::ROOT, "web_search_options");
    let mut node = ir::WebSearchTool { at, ..Default::default() };
    let mut native = Native::default();
    wire::read_completion_create_params_web_search_options(options, &mut node, &mut native, cx, at);
    node.native.append(native);
    node
}

/// Takes the search of the web out of the tools.
fn lift_search<'a>(tools: &mut Option<Vec<ir::Tool<'a>>>) -> Option<ir::WebSearchTool<'a>> {
    let list = tools.as_mut()?;
    let place = list.iter().position(|tool| matches!(tool, ir::Tool::WebSearch(_)))?;
    let ir::Tool::WebSearch(node) = list.remove(place) else { return None };
    if list.is_empty() {
        *tools = None;
    }
    Some(node)
}

/// Writes the older form of calls, without ids, in the newer one; whether the request is in the older form.
fn modernise(document: &mut wire::root::Request<'_>) -> bool {
    let mut count = 0_usize;
    let Field::Value(messages) = &mut document.messages else { return false };
    for message in messages {
        match message {
            wire::ChatCompletionMessageParam::Assistant(said) => {
                let Some(call) = take(&mut said.function_call) else { continue };
                count += 1;
                let unknown = call.unknown;
                let function = wire::ChatCompletionMessageFunctionToolCallFunction {
                    name: call.name,
                    arguments: call.arguments,
                    ..Default::default()
                };
                let call = wire::ChatCompletionMessageFunctionToolCall {
                    r#type: Field::Value(Text::plain("function")),
                    id: Field::Value(Text::plain(format!("call_{count}"))),
                    function: Field::Value(function),
                    ..Default::default()
                };
                let call = wire::ChatCompletionMessageToolCallUnion::Function(call);
                if !unknown.is_empty() {
                    // What nobody knows of is reported where it stood.
                    let rest =
                        wire::ChatCompletionAssistantMessageFunctionCall { unknown, ..Default::default() };
                    said.function_call = Field::Value(rest);
                }
                match &mut said.tool_calls {
                    Field::Value(calls) => calls.push(call),
                    none => *none = Field::Value(vec![call]),
                }
            }
            wire::ChatCompletionMessageParam::Function(result) => {
                let said = take(&mut result.content).unwrap_or_default();
                *message = wire::ChatCompletionMessageParam::Tool(wire::ChatCompletionToolMessage {
                    role: Field::Value(Text::plain("tool")),
                    content: Field::Value(wire::ChatCompletionTextContent::String(said)),
                    tool_call_id: Field::Value(Text::plain(format!("call_{count}"))),
                    ..Default::default()
                });
            }
            _ => {}
        }
    }
    count > 0 || document.functions.as_ref().is_some()
}

fn legacy_choice<'a>(choice: wire::CompletionCreateParamsFunctionCall<'a>, into: &mut ir::ToolChoice<'a>) {
    match choice {
        wire::CompletionCreateParamsFunctionCall::Object(one) => {
            into.mode = Some(ir::ChoiceMode::Named);
            into.name = one.name.value();
        }
        wire::CompletionCreateParamsFunctionCall::String(word) => {
            into.mode = Some(match &*word.text().decode() {
                "none" => ir::ChoiceMode::None,
                _ => ir::ChoiceMode::Auto,
            });
        }
        #[allow(unreachable_patterns, reason = "the union may have a form for what the schema does not know")]
        _ => {}
    }
}

/// Takes a value out of a field.
fn take<T>(field: &mut Field<T>) -> Option<T> {
    std::mem::take(field).value()
}

/// Some clients put pictures into tool messages, which the schema does not declare.
fn pictures_in_results(turn: &mut ir::Turn<'_>) {
    for block in turn.content.iter_mut().flatten() {
        let ir::Block::ToolResult(node) = block else { continue };
        for part in node.content.iter_mut().flatten() {
            let ir::Block::Text(text) = part else { continue };
            let Some(value) = text.native.remove("image_url").and_then(|value| value.to_value().ok()) else {
                continue;
            };
            let Some(url) = value.get("url").or(Some(&value)).and_then(Value::as_str) else { continue };
            let Ok(source) = transforms::data_url::read(Text::plain(url.to_owned())) else { continue };
            *part = ir::Block::Image(ir::ImageBlock {
                source,
                detail: value.get("detail").and_then(Value::as_str).map(|word| Text::plain(word.to_owned())),
                at: text.at,
                ..ir::ImageBlock::default()
            });
        }
    }
}

/// Reads the reasoning that the gateway listed beside an answer and the client gave back.
///
/// It is the same reasoning that stands in front of the text in words alone, which gives way.
fn listed_reasoning(turn: &mut ir::Turn<'_>) {
    let ours = turn.native.kept().any(|leftover| {
        *leftover.name() == *"reasoning_details" && leftover.value().as_str().contains(DETAILS_FORMAT)
    });
    if !ours {
        return;
    }
    let details = turn.native.remove("reasoning_details").and_then(|value| value.to_value().ok());
    let Some(Value::Array(details)) = details else { return };
    let mut blocks = Vec::new();
    let mut reasons = false;
    for detail in &details {
        let member = |name: &str| detail.get(name).and_then(Value::as_str);
        let Some(sealed) = member("signature").or(member("data")) else { continue };
        let Some(envelope) = Envelope::open(sealed) else { continue };
        reasons |= envelope.blocks.iter().any(|block| block.kind == SealedKind::Reasoning);
        // What is in the envelope is taken out together with that of all others.
        let (sealed, at) = (Some(Text::plain(sealed.to_owned())), turn.at);
        blocks.push(match member("text") {
            Some(text) => ir::Block::Reasoning(ir::ReasoningBlock {
                text: Some(Text::plain(text.to_owned())),
                signature: sealed,
                at,
                ..Default::default()
            }),
            None => ir::Block::RedactedReasoning(ir::RedactedReasoningBlock {
                data: sealed,
                at,
                ..Default::default()
            }),
        });
    }
    if !blocks.is_empty() {
        let content = turn.content.get_or_insert_with(Vec::new);
        content.retain(|block| !reasons || !matches!(block, ir::Block::Reasoning(_)));
        content.splice(0..0, blocks);
    }
}

pub(super) fn write_request(request: &mut ir::Request<'_>, shape: &mut Shape<'_>) -> Vec<u8> {
    let reasoning: Vec<Option<Text<'_>>> = request
        .turns
        .iter_mut()
        .flatten()
        .filter(|turn| turn.role == Some(ir::Role::Assistant))
        .map(take_reasoning)
        .collect();
    let legacy_bound = shape.facts.max_tokens_field_legacy;
    let search = if shape.home() { None } else { lift_search(&mut request.tools) };
    let request = &*request;
    let mut document = wire::request_from_ir(request, &mut shape.report.cx);
    if let Some(node) = &search {
        let cx = &mut shape.report.cx;
        cx.leftovers(&node.native);
        let options =
            wire::write_completion_create_params_web_search_options(node, &node.native, cx, node.at);
        document.web_search_options = Field::Value(options);
    }
    if legacy_bound && document.max_tokens.is_absent() {
        document.max_tokens = std::mem::take(&mut document.max_completion_tokens);
    }
    let answers = items(&mut document.messages).iter_mut().filter_map(|message| match message {
        wire::ChatCompletionMessageParam::Assistant(said) => Some(said),
        _ => None,
    });
    for (said, text) in answers.zip(reasoning) {
        if let Some(text) = text {
            said.reasoning_content = Field::Value(text);
            if said.content.is_absent() && said.tool_calls.is_absent() {
                said.content =
                    Field::Value(wire::ChatCompletionAssistantMessageContent::String(Text::plain("")));
            }
        }
    }
    document.to_json_sized(shape.expected)
}

/// Takes the reasoning out of a turn: its text has a place of its own here.
fn take_reasoning<'a>(turn: &mut ir::Turn<'a>) -> Option<Text<'a>> {
    let content = turn.content.as_mut()?;
    let mut text = None;
    let native = &mut turn.native;
    content.retain_mut(|block| match block {
        ir::Block::Reasoning(node) => {
            native.append(std::mem::take(&mut node.native));
            text = text.take().or_else(|| node.text.take());
            false
        }
        _ => true,
    });
    text
}

/// The items of a list, if it is there.
fn items<T>(list: &mut Field<Vec<T>>) -> &mut [T] {
    match list {
        Field::Value(items) => items,
        Field::Absent | Field::Null => &mut [],
    }
}

/// Calls in forms that some servers answer with, in the one that the protocol has.
///
/// Arguments that are an object become its text; a call without a type is a function.
pub(super) fn mend_response(body: &[u8]) -> Option<Vec<u8>> {
    memchr::memmem::find(body, b"\"tool_calls\"")?;
    let mut document: Value = serde_json::from_slice(body).ok()?;
    let mut mended = false;
    for choice in document.get_mut("choices")?.as_array_mut()? {
        let Some(calls) = choice.pointer_mut("/message/tool_calls").and_then(Value::as_array_mut) else {
            continue;
        };
        for call in calls.iter_mut().filter_map(Value::as_object_mut) {
            if !call.contains_key("type") && call.contains_key("function") {
                call.insert("type".to_owned(), json!("function"));
                mended = true;
            }
            let Some(arguments) = call.get_mut("function").and_then(|f| f.get_mut("arguments")) else {
                continue;
            };
            if !arguments.is_string() {
                *arguments = if arguments.is_null() { json!("") } else { json!(arguments.to_string()) };
                mended = true;
            }
        }
    }
    mended.then(|| document.to_string().into_bytes())
}

pub(super) fn read_response(body: &[u8]) -> Result<Response<'_>, Malformed> {
    let mut cx = ReadCx::default();
    let document = wire::root::Response::parse(body).map_err(|error| malformed(&error))?;
    if document.choices.as_ref().is_none() {
        return Err(no_answer("choices"));
    }
    let ir = wire::response_to_ir(document, &mut cx);
    Ok(Response { ir, cx })
}

pub(super) fn write_response(response: &ir::Response<'_>, shape: &mut Shape<'_>) -> Vec<u8> {
    let mut document = wire::response_from_ir(response, &mut shape.report.cx);
    if shape.home() {
        return document.to_json_sized(shape.expected);
    }
    let details = details(&shape.listed, shape.source);
    for (index, choice) in items(&mut document.choices).iter_mut().enumerate() {
        if choice.logprobs.is_absent() {
            choice.logprobs = Field::Null;
        }
        let legacy = shape.state.legacy_calls
            && choice.finish_reason == Field::Value(wire::ChatCompletionChoiceFinishReason::ToolCalls);
        let Field::Value(message) = &mut choice.message else { continue };
        if message.content.is_absent() {
            message.content = Field::Null;
        }
        if message.refusal.is_absent() {
            message.refusal = Field::Null;
        }
        if index == 0 && !details.is_empty() {
            message.reasoning_details = Field::Value(Json::from_value(&Value::Array(details.clone())));
        }
        if legacy && one_function(message) {
            choice.finish_reason = Field::Value(wire::ChatCompletionChoiceFinishReason::FunctionCall);
        }
    }
    document.to_json_sized(shape.expected)
}

/// Tells a call in the older form.
fn one_function(message: &mut wire::ChatCompletionMessage<'_>) -> bool {
    let first = take(&mut message.tool_calls).and_then(|calls| calls.into_iter().next());
    let Some(wire::ChatCompletionMessageToolCallUnion::Function(call)) = first else { return false };
    let Some(function) = call.function.value() else { return false };
    message.function_call = Field::Value(wire::ChatCompletionMessageFunctionCall {
        name: function.name,
        arguments: function.arguments,
        ..Default::default()
    });
    true
}

/// Sealed reasoning as a list beside the content, for clients that give the whole message back.
fn details(listed: &[SealedBlock], issuer: crate::Protocol) -> Vec<Value> {
    listed
        .iter()
        .enumerate()
        .map(|(index, block)| {
            let blocks = vec![SealedBlock { slot: 0, text: None, ..block.clone() }];
            let sealed = Envelope { issuer, blocks, id: String::new() }.seal();
            match (&block.data, block.kind) {
                (Some(_), _) | (_, SealedKind::Call | SealedKind::Text) => json!({
                    "type": "reasoning.encrypted", "data": sealed, "format": DETAILS_FORMAT, "index": index,
                }),
                (None, SealedKind::Reasoning) => json!({
                    "type": "reasoning.text",
                    "text": block.text.as_deref().unwrap_or_default(),
                    "signature": sealed,
                    "format": DETAILS_FORMAT,
                    "index": index,
                }),
            }
        })
        .collect()
}

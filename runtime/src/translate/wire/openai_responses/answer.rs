//! Answers: the items of the output, and why it ended.

use std::collections::BTreeMap;

use busbar_protocols::openai_responses as wire;
use busbar_protocols::prelude::{At, Native, Paths, ReadCx, Unknown, Wire, WriteCx, map};
use busbar_protocols::{EffectKind, Field, Json, Num, Text, ir};
use serde_json::value::RawValue;

use super::super::super::{Echo, shape::Shape};
use super::{Malformed, Response, find, malformed, no_answer, reasoning};
use crate::Protocol;

/// Characters of the answer's id that ids of its items repeat.
const MAX_WORD: usize = 40;
/// What the provider says of an answer that it could not finish.
const FAILED: &str = "the provider ended the answer with an error";

pub(in super::super) fn read_response(body: &[u8], client: Protocol) -> Result<Response<'_>, Malformed> {
    let mut cx = ReadCx::default();
    let mut document = wire::root::Response::parse(body).map_err(|error| malformed(&error))?;
    if client == Protocol::OpenaiResponses {
        return Ok(Response { ir: wire::response_to_ir(document, &mut cx), cx });
    }
    if document.error.as_ref().is_some()
        || matches!(
            document.status.as_ref(),
            Some(wire::ResponseStatus::Failed | wire::ResponseStatus::Cancelled)
        )
    {
        return Err(Malformed { message: "the answer failed".to_owned() });
    }
    let Some(items) = std::mem::take(&mut document.output).value() else { return Err(no_answer("output")) };
    let own = busbar_protocols::rules(Protocol::OpenaiResponses).map_or("", |rules| rules.answer.logprobs);
    let shared = busbar_protocols::rules(client).is_some_and(|rules| rules.answer.logprobs == own);
    let status = std::mem::take(&mut document.status).value();
    let mut reason = None;
    if let Field::Value(details) = &mut document.incomplete_details {
        reason = std::mem::take(&mut details.reason).value();
        if details.unknown.is_empty() {
            document.incomplete_details = Field::Absent;
        }
    }
    document.error = Field::Absent;
    leave_repeated(&mut document);
    let mut ir = wire::response_to_ir(document, &mut cx);
    let list = cx.member(Paths::ROOT, "output");
    let mut candidate = ir::Candidate::default();
    let mut tokens = shared.then(Vec::new);
    for (index, item) in items.into_iter().enumerate() {
        let at = cx.item(list, index);
        read_item(item, &mut candidate, &mut tokens, (&mut cx, at));
    }
    candidate.logprobs = tokens.and_then(all_tokens);
    let called = candidate.content.iter().flatten().any(|block| matches!(block, ir::Block::ToolCall(_)));
    candidate.stop.reason = Some(why(status.as_ref(), reason, called));
    ir.candidates = Some(vec![candidate]);
    Ok(Response { ir, cx })
}

/// Takes out what repeats the request, which the caller knows, and when the answer was done.
fn leave_repeated(document: &mut wire::root::Response<'_>) {
    document.background = Field::Absent;
    document.conversation = Field::Absent;
    document.image = Field::Absent;
    document.instructions = Field::Absent;
    document.max_output_tokens = Field::Absent;
    document.max_tool_calls = Field::Absent;
    document.metadata = Field::Absent;
    document.parallel_tool_calls = Field::Absent;
    document.previous_response_id = Field::Absent;
    document.prompt = Field::Absent;
    document.prompt_cache_key = Field::Absent;
    document.prompt_cache_options = Field::Absent;
    document.prompt_cache_retention = Field::Absent;
    document.reasoning = Field::Absent;
    document.safety_identifier = Field::Absent;
    document.temperature = Field::Absent;
    document.text = Field::Absent;
    document.tool_choice = Field::Absent;
    document.tools = Field::Absent;
    document.top_logprobs = Field::Absent;
    document.top_p = Field::Absent;
    document.truncation = Field::Absent;
    document.user = Field::Absent;
    document.access_programs = Field::Absent;
    document.completed_at = Field::Absent;
    let mut unknown = Unknown::default();
    for (name, value) in std::mem::take(&mut document.unknown) {
        if name != *"store" {
            unknown.push(name, value);
        }
    }
    document.unknown = unknown;
}

fn why<'a>(
    status: Option<&wire::ResponseStatus<'a>>,
    reason: Option<wire::ResponseIncompleteDetailsReason<'a>>,
    called: bool,
) -> ir::StopReason<'a> {
    use wire::ResponseIncompleteDetailsReason as Reason;
    let complete = status != Some(&wire::ResponseStatus::Incomplete);
    match reason {
        None if complete && called => ir::StopReason::ToolCalls,
        None if complete => ir::StopReason::End,
        None | Some(Reason::MaxOutputTokens) => ir::StopReason::Length,
        Some(Reason::ContentFilter) => ir::StopReason::ContentFilter,
        // It stopped where it can go on.
        Some(Reason::MaxMessages | Reason::Steered) => ir::StopReason::Pause,
        Some(other) => ir::StopReason::Other(other.text()),
    }
}

fn read_item<'a>(
    item: wire::ResponseOutputItem<'a>,
    candidate: &mut ir::Candidate<'a>,
    tokens: &mut Option<Vec<Vec<u8>>>,
    (cx, at): (&mut ReadCx, At),
) {
    let mut turn = ir::Turn { at, ..ir::Turn::default() };
    let mut native = Native::default();
    let content = candidate.content.get_or_insert_with(Vec::new);
    match item {
        wire::ResponseOutputItem::Message(mut item) => {
            // Where the client's protocol has none, those that are there stay with their text and are reported.
            for part in item.content.as_mut().into_iter().flatten() {
                let wire::ResponseOutputContent::OutputText(part) = part else { continue };
                let any = part.logprobs.as_ref().is_some_and(|said| !said.is_empty());
                if any && tokens.is_none() {
                    continue;
                }
                let said = std::mem::take(&mut part.logprobs).value().unwrap_or_default();
                tokens.iter_mut().for_each(|tokens| tokens.extend(said.iter().map(Wire::to_json)));
            }
            wire::read_response_output_message(item, &mut turn, &mut native, cx, at);
        }
        wire::ResponseOutputItem::FunctionCall(item) => {
            wire::read_response_function_tool_call(item, &mut turn, &mut native, cx, at);
        }
        wire::ResponseOutputItem::CustomToolCall(item) => {
            wire::read_response_custom_tool_call(item, &mut turn, &mut native, cx, at);
            for block in turn.content.iter_mut().flatten() {
                if let ir::Block::ToolCall(node) = block {
                    node.kind = Some(ir::ToolKind::Custom);
                }
            }
        }
        wire::ResponseOutputItem::Reasoning(mut item) => {
            let text = reasoning::text_of(&mut item);
            wire::read_response_reasoning_item(item, &mut turn, &mut native, cx, at);
            reasoning::put(&mut turn, text);
            // What neither says a word nor is sealed is nothing.
            turn.content.iter_mut().for_each(|content| {
                content.retain(|block| !matches!(block, ir::Block::Reasoning(node) if node.text.is_none()));
            });
        }
        other => {
            let value = match other {
                wire::ResponseOutputItem::Other(value) => value,
                known => {
                    match String::from_utf8(known.to_json()).ok().and_then(|json| Json::parse(json).ok()) {
                        Some(value) => value,
                        None => return,
                    }
                }
            };
            let kind = map::tag_of(&value, "type");
            content.push(ir::Block::Native(ir::NativeBlock {
                kind,
                value: Some(value),
                at,
                ..Default::default()
            }));
            return;
        }
    }
    candidate.native.append(native);
    candidate.native.append(turn.native);
    content.extend(turn.content.into_iter().flatten());
}

pub(in super::super) fn write_response(response: &mut ir::Response<'_>, shape: &mut Shape<'_>) -> Vec<u8> {
    let expected = shape.expected;
    if shape.home() {
        return wire::response_from_ir(response, &mut shape.report.cx).to_json_sized(expected);
    }
    let mut candidate = response.candidates.take().and_then(|all| all.into_iter().next()).unwrap_or_default();
    // The labels are those of the request, which the answer repeats.
    response.metadata = None;
    report_ending(&candidate, shape);
    let end = End::of(&candidate.stop);
    let id = response.id.as_ref().map(|id| id.decode().into_owned()).unwrap_or_default();
    let logprobs = candidate.logprobs.take();
    let logprobs = logprobs.as_ref().and_then(|json| tokens_of(json, candidate.at, shape));
    shape.report.cx.leftovers(&candidate.native);
    let turns = items(candidate.content.unwrap_or_default(), &item_word(&id), end);
    let mut output = Vec::with_capacity(turns.len());
    for (turn, text) in &turns {
        output.extend(write_item(turn, text.as_ref(), &mut shape.report.cx));
    }
    if let Some(tokens) = logprobs {
        match output.iter_mut().find_map(first_text) {
            Some(part) => part.logprobs = Field::Value(tokens),
            None => lose_tokens(candidate.at, shape),
        }
    }
    let mut document = wire::response_from_ir(response, &mut shape.report.cx);
    document.output = Field::Value(output);
    document.status = Field::Value(wire::ResponseStatus::from_text(Text::plain(end.status())));
    document.error = match end {
        End::Failed => Field::Value(Box::new(wire::ResponseError {
            code: Field::Value(wire::ResponseErrorCode::ServerError),
            message: Field::Value(Text::plain(FAILED)),
            ..Default::default()
        })),
        _ => Field::Null,
    };
    document.incomplete_details = match end {
        End::Incomplete(reason) => Field::Value(wire::ResponseIncompleteDetails {
            reason: Field::Value(wire::ResponseIncompleteDetailsReason::from_text(Text::plain(reason))),
            ..Default::default()
        }),
        _ => Field::Null,
    };
    let mut usage = std::mem::take(&mut document.usage).value().unwrap_or_default();
    complete_usage(&mut usage);
    document.usage = Field::Value(usage);
    let mut body = document.to_json_sized(expected);
    // The members that repeat the request stand last.
    if body.pop() == Some(b'}') {
        match &shape.state.echo {
            Some(echo) => body.extend_from_slice(echo.members().as_bytes()),
            None => body.extend_from_slice(Echo::of("{}").members().as_bytes()),
        }
        body.push(b'}');
    }
    body
}

/// How an answer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// As it should.
    Completed,
    /// Before its end, with the word for why.
    Incomplete(&'static str),
    /// With an error.
    Failed,
}

impl End {
    /// By the reason that the provider gave.
    pub(crate) fn of(stop: &ir::Stop<'_>) -> Self {
        match stop.reason {
            Some(ir::StopReason::Length | ir::StopReason::ContextWindow) => {
                Self::Incomplete("max_output_tokens")
            }
            Some(ir::StopReason::ContentFilter) => Self::Incomplete("content_filter"),
            Some(ir::StopReason::Error) => Self::Failed,
            _ => Self::Completed,
        }
    }

    /// The word for the state of the answer.
    pub(crate) fn status(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::Incomplete(_) => "incomplete",
            Self::Failed => "failed",
        }
    }
}

/// What a stop says beside its reason has no place here.
fn report_ending(candidate: &ir::Candidate<'_>, shape: &mut Shape<'_>) {
    let stop = &candidate.stop;
    for (said, path) in [
        (stop.category.is_some(), "stop.category"),
        (stop.explanation.is_some(), "stop.explanation"),
        (stop.sequence.is_some(), "stop.sequence"),
    ] {
        if said {
            let reason = "Responses says that the answer ended and not by what";
            shape.report.member(EffectKind::Dropped, candidate.at, "Candidate", path, reason);
        }
    }
}

/// An item of an answer, with the text of reasoning apart.
type OneItem<'a> = (ir::Turn<'a>, Option<Text<'a>>);

/// Makes an item of each call and piece of reasoning, and messages of what stands between them.
fn items<'a>(content: Vec<ir::Block<'a>>, word: &str, end: End) -> Vec<OneItem<'a>> {
    let mut items: Vec<OneItem<'a>> = Vec::with_capacity(content.len());
    for mut block in content {
        let kind = match &block {
            ir::Block::ToolCall(node) if node.kind == Some(ir::ToolKind::Custom) => ir::ItemKind::CustomCall,
            ir::Block::ToolCall(_) => ir::ItemKind::Call,
            ir::Block::Reasoning(_) | ir::Block::RedactedReasoning(_) => ir::ItemKind::Reasoning,
            _ => ir::ItemKind::Message,
        };
        if let ir::Block::Text(node) = &mut block {
            (node.said, node.bare) = (Some(true), None);
        }
        if kind == ir::ItemKind::Message
            && let Some((last, _)) = items.last_mut()
            && last.item == Some(ir::ItemKind::Message)
        {
            last.content.get_or_insert_with(Vec::new).push(block);
            continue;
        }
        let (prefix, status) = match kind {
            ir::ItemKind::Call if is_find(&block) => ("tsc", Some("completed")),
            ir::ItemKind::Call => ("fc", Some("completed")),
            ir::ItemKind::CustomCall => ("ctc", None),
            ir::ItemKind::Reasoning => ("rs", None),
            _ => ("msg", Some("completed")),
        };
        let id = Text::plain(format!("{prefix}_{word}_{}", items.len()));
        if let ir::Block::Reasoning(node) = &mut block {
            node.id = Some(id.clone());
        }
        if let ir::Block::RedactedReasoning(node) = &mut block {
            node.id = Some(id.clone());
        }
        let is_message = kind == ir::ItemKind::Message;
        // Parts of a message report what they keep.
        let native = if is_message { Native::default() } else { std::mem::take(block.native_mut()) };
        let mut turn = ir::Turn {
            at: block.at(),
            role: is_message.then_some(ir::Role::Assistant),
            id: (kind != ir::ItemKind::Reasoning).then_some(id),
            status: status.map(Text::plain),
            item: Some(kind),
            content: Some(vec![block]),
            native,
            ..ir::Turn::default()
        };
        let said = reasoning::unfold(&mut turn);
        items.push((turn, said));
    }
    if end != End::Completed
        && let Some((last, _)) = items.last_mut()
        && last.item == Some(ir::ItemKind::Message)
    {
        last.status = Some(Text::plain("incomplete"));
    }
    items
}

/// The item as it is written; none when all that was in it has no form here.
fn write_item<'s>(
    turn: &'s ir::Turn<'s>,
    said: Option<&'s Text<'s>>,
    cx: &mut WriteCx<'_>,
) -> Option<wire::ResponseOutputItem<'s>> {
    let (native, at) = (&turn.native, turn.at);
    cx.leftovers(native);
    Some(match turn.item {
        Some(ir::ItemKind::Call) => {
            let mut item = wire::write_response_function_tool_call(turn, native, cx, at);
            if item.arguments.is_absent() {
                item.arguments = Field::Value(Text::plain("{}"));
            }
            if turn.content.iter().flatten().any(is_find) {
                return Some(wire::ResponseOutputItem::ToolSearchCall(find::call(item)));
            }
            wire::ResponseOutputItem::FunctionCall(item)
        }
        Some(ir::ItemKind::CustomCall) => {
            let mut item = wire::write_response_custom_tool_call(turn, native, cx, at);
            if item.input.is_absent() {
                item.input = Field::Value(Text::plain(""));
            }
            wire::ResponseOutputItem::CustomToolCall(item)
        }
        Some(ir::ItemKind::Reasoning) => {
            let mut item = wire::write_response_reasoning_item(turn, native, cx, at);
            reasoning::say(&mut item, said.map(Text::reborrow));
            wire::ResponseOutputItem::Reasoning(item)
        }
        _ => {
            let mut item = wire::write_response_output_message(turn, native, cx, at);
            let parts = item.content.as_mut()?;
            for part in parts {
                if let wire::ResponseOutputContent::OutputText(part) = part {
                    complete_text(part);
                }
            }
            wire::ResponseOutputItem::Message(item)
        }
    })
}

/// Whether the caller's search for tools is called.
fn is_find(block: &ir::Block<'_>) -> bool {
    matches!(block, ir::Block::ToolCall(node) if node.kind == Some(ir::ToolKind::Search))
}

/// Adds the members that clients read of a text without asking.
pub(super) fn complete_text(part: &mut wire::ResponseOutputText<'_>) {
    if part.text.is_absent() {
        part.text = Field::Value(Text::plain(""));
    }
    if part.logprobs.is_absent() {
        part.logprobs = Field::Value(Vec::new());
    }
    match &mut part.annotations {
        Field::Value(annotations) => {
            for annotation in annotations {
                if let wire::ResponseOutputTextAnnotation::UrlCitation(annotation) = annotation
                    && annotation.title.is_absent()
                {
                    annotation.title = Field::Value(Text::plain(""));
                }
            }
        }
        none => *none = Field::Value(Vec::new()),
    }
}

fn first_text<'p, 'a>(
    item: &'p mut wire::ResponseOutputItem<'a>,
) -> Option<&'p mut wire::ResponseOutputText<'a>> {
    let wire::ResponseOutputItem::Message(item) = item else { return None };
    item.content.as_mut()?.iter_mut().find_map(|part| match part {
        wire::ResponseOutputContent::OutputText(part) => Some(part),
        _ => None,
    })
}

/// Token probabilities of all texts as one list.
fn all_tokens(tokens: Vec<Vec<u8>>) -> Option<Json<'static>> {
    if tokens.is_empty() {
        return None;
    }
    let json = [&br#"{"content":["#[..], &tokens.join(&b','), br#"],"refusal":null}"#].concat();
    Json::parse(String::from_utf8(json).ok()?).ok()
}

/// Token probabilities of the text, in the form that OpenAI's protocols share.
fn tokens_of<'s>(
    logprobs: &'s Json<'_>,
    at: At,
    shape: &mut Shape<'_>,
) -> Option<Vec<wire::ResponseOutputTextLogprob<'s>>> {
    let mut listed: BTreeMap<String, &'s RawValue> = serde_json::from_str(logprobs.as_str()).ok()?;
    let content = listed.remove("content").map(RawValue::get).unwrap_or_default();
    let tokens: Vec<&'s RawValue> = serde_json::from_str(content).unwrap_or_default();
    if listed.values().any(|more| !matches!(more.get(), "null" | "[]")) {
        lose_tokens(at, shape);
    }
    tokens.iter().map(|token| token_of(token.get())).collect()
}

fn lose_tokens(at: At, shape: &mut Shape<'_>) {
    let reason = "an answer has the probabilities of the tokens of its texts alone";
    shape.report.member(EffectKind::Dropped, at, "Candidate", "logprobs", reason);
}

fn token_of(json: &str) -> Option<wire::ResponseOutputTextLogprob<'_>> {
    let mut token = wire::ResponseOutputTextLogprob::parse(json.as_bytes()).ok()?;
    bytes(&mut token.bytes);
    match &mut token.top_logprobs {
        Field::Value(others) => others.iter_mut().for_each(|other| bytes(&mut other.bytes)),
        none => *none = Field::Value(Vec::new()),
    }
    Some(token)
}

/// Bytes are there, even if none are known.
fn bytes(bytes: &mut Field<Vec<Num<'_>>>) {
    if bytes.as_ref().is_none() {
        *bytes = Field::Value(Vec::new());
    }
}

/// What is the answer's own in its id: all but the prefix, and the end of it when it is long.
pub(crate) fn item_word(id: &str) -> String {
    let own = id.split_once(['_', '-']).map_or(id, |(_, own)| own);
    let own: Vec<char> =
        own.chars().filter(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_')).collect();
    own[own.len().saturating_sub(MAX_WORD)..].iter().collect()
}

/// Makes counts that are not known 0, as clients read them without asking.
pub(crate) fn complete_usage(usage: &mut wire::ResponseUsage<'_>) {
    for count in [&mut usage.input_tokens, &mut usage.output_tokens, &mut usage.total_tokens] {
        zero(count);
    }
    if usage.input_tokens_details.as_ref().is_none() {
        usage.input_tokens_details = Field::Value(Box::default());
    }
    if let Field::Value(details) = &mut usage.input_tokens_details {
        zero(&mut details.cached_tokens);
        zero(&mut details.cache_write_tokens);
    }
    if usage.output_tokens_details.as_ref().is_none() {
        usage.output_tokens_details = Field::Value(Default::default());
    }
    if let Field::Value(details) = &mut usage.output_tokens_details {
        zero(&mut details.reasoning_tokens);
    }
}

fn zero(count: &mut Field<Num<'_>>) {
    if count.as_ref().is_none() {
        *count = Field::Value(Num::from(0));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn ids_of_items_are_made_of_what_is_the_answers_own() {
        assert_eq!(item_word("chatcmpl-AbC"), "AbC");
        assert_eq!(item_word("msg_01A_b-c"), "01A_b-c");
        assert_eq!(item_word("resp:é/1"), "resp1");
        assert_eq!(item_word(&format!("x_{}z", "y".repeat(80))), format!("{}z", "y".repeat(39)));
        assert_eq!(item_word(""), "");
    }

    #[test]
    fn token_probabilities_keep_their_numbers() {
        let json = r#"{"content":[{"token":"a","logprob":-0.10,"bytes":null,"top_logprobs":[{"token":"b","logprob":-2.5,"bytes":[98]}]}],"refusal":null}"#;
        let listed: Value = serde_json::from_str(json).unwrap();
        let token = listed["content"][0].to_string();
        let token = token_of(&token).unwrap();
        let json: Value = serde_json::from_slice(&token.to_json()).unwrap();
        assert_eq!(
            json,
            json!({"token": "a", "logprob": -0.1, "bytes": [],
                "top_logprobs": [{"token": "b", "logprob": -2.5, "bytes": [98]}]})
        );
    }
}

//! A buffered answer where a stream was asked for, told as a stream.

use busbar_protocols::ir::{
    Block, BlockStartEvent, BlockStopEvent, DeltaEvent, EndEvent, Event, Response, StartEvent, StopEvent,
    UsageEvent,
};
use busbar_protocols::prelude::{Checked, ReadCx};
use busbar_protocols::{Text, Wire, anthropic, openai_chat};

use super::read::{Notes, Sink, bedrock, cohere, exception, gemini, number, openai_responses, told};
use super::{Limits, StreamFault};
use crate::Protocol;
use crate::fault::Fault;

/// Tells a whole body of the backend's as events.
pub(crate) fn body(
    backend: Protocol,
    body: &[u8],
    limits: Limits,
    notes: &mut Notes,
    sink: Sink<'_>,
) -> Result<(), StreamFault> {
    let document = Checked::new(body).map_err(|_| StreamFault::NotJson)?;
    if let Some(error) = error_of(backend, document) {
        return Err(error);
    }
    let mut cx = ReadCx::default();
    let response = match backend {
        Protocol::OpenaiChat => {
            openai_chat::response_to_ir(openai_chat::ChatCompletion::from_checked(document)?, &mut cx)
        }
        Protocol::Anthropic => {
            anthropic::response_to_ir(anthropic::Message::from_checked(document)?, &mut cx)
        }
        Protocol::OpenaiResponses => {
            // The last event of a stream has the whole answer as well: what reads the one reads the other.
            return openai_responses::Reader::new(limits).whole(document, notes, sink);
        }
        Protocol::Bedrock => return bedrock::tell(document, limits, notes, sink),
        // A buffered answer is a stream of one response.
        Protocol::Gemini => return gemini::Reader::new(limits).whole(document, notes, sink),
        Protocol::Cohere => return cohere::Reader::new(limits).whole(document, notes, sink),
    };
    events(response, notes, sink)
}

/// The error that a whole body tells of in place of an answer, if it does.
pub fn error_within(backend: Protocol, body: &[u8]) -> Option<Fault> {
    let document = Checked::new(body).ok()?;
    error_of(backend, document).map(|error| error.fault())
}

/// The error that a document tells of, if it does.
pub(super) fn error_of(backend: Protocol, document: Checked<'_>) -> Option<StreamFault> {
    // A list is no envelope, though it could be read as one by position.
    if document.as_str().trim_start().starts_with('[') {
        return None;
    }
    let envelope = serde_json::from_str::<Envelope>(document.as_str()).ok()?;
    if envelope.error.is_some_and(|error| !error.is_null()) {
        return Some(told(backend, document));
    }
    // Its errors are a message alone, where an answer's message is an object.
    if backend == Protocol::Cohere && envelope.message.is_some_and(|message| message.is_string()) {
        return Some(told(backend, document));
    }
    if backend != Protocol::Bedrock || envelope.output.is_some() {
        return None;
    }
    // Its errors have no envelope: what is no answer is one. Some come in a frame of the service behind it.
    let kind = envelope.kind.or(envelope.inner.and_then(|inner| inner.kind)).unwrap_or_default();
    let kind = kind.rsplit('#').next().unwrap_or_default();
    Some(exception(backend, kind, document.as_str().as_bytes()))
}

#[derive(serde::Deserialize)]
struct Envelope {
    error: Option<serde_json::Value>,
    message: Option<serde_json::Value>,
    output: Option<serde::de::IgnoredAny>,
    #[serde(rename = "__type")]
    kind: Option<String>,
    #[serde(rename = "Output")]
    inner: Option<Inner>,
}

#[derive(serde::Deserialize)]
struct Inner {
    #[serde(rename = "__type")]
    kind: Option<String>,
}

fn events(mut response: Response<'_>, notes: &mut Notes, sink: Sink<'_>) -> Result<(), StreamFault> {
    let candidates = response.candidates.take().unwrap_or_default();
    if candidates.is_empty() {
        return Err(StreamFault::Cut);
    }
    let usage = response.usage.take();
    if let Some(usage) = &usage {
        notes.usage(&usage.native);
    }
    sink(Event::Start(StartEvent { response: Some(Box::new(response)), ..StartEvent::default() }))?;
    let mut next = 0;
    let mut stops = Vec::new();
    for (place, candidate) in candidates.into_iter().enumerate() {
        let answer = candidate.index.as_ref().and_then(busbar_protocols::Num::as_u64).unwrap_or(place as u64);
        for content in candidate.content.unwrap_or_default() {
            block(content, answer, next, sink)?;
            next += 1;
        }
        let stop =
            StopEvent { candidate: Some(number(answer)), stop: candidate.stop, ..StopEvent::default() };
        stops.push(stop);
    }
    if let Some(usage) = usage {
        sink(Event::Usage(UsageEvent { usage: Some(usage), ..UsageEvent::default() }))?;
    }
    stops.into_iter().try_for_each(|stop| sink(Event::Stop(stop)))?;
    sink(Event::End(EndEvent::default()))
}

fn block(mut content: Block<'_>, answer: u64, index: u64, sink: Sink<'_>) -> Result<(), StreamFault> {
    let mut deltas = Vec::new();
    match &mut content {
        Block::Text(node) => {
            for citation in node.citations.take().unwrap_or_default() {
                deltas.push(DeltaEvent { citation: Some(Box::new(citation)), ..DeltaEvent::default() });
            }
        }
        Block::ToolCall(node) => {
            let arguments = match (node.input.take(), node.text.take()) {
                (Some(input), _) => Some(Text::from(input.as_str().to_owned())),
                (None, text) => text,
            };
            deltas.push(DeltaEvent { arguments, ..DeltaEvent::default() });
        }
        _ => {}
    }
    sink(Event::BlockStart(BlockStartEvent {
        block: Some(Box::new(content)),
        candidate: Some(number(answer)),
        index: Some(number(index)),
        ..BlockStartEvent::default()
    }))?;
    for mut delta in deltas {
        delta.index = Some(number(index));
        sink(Event::Delta(delta))?;
    }
    sink(Event::BlockStop(BlockStopEvent { index: Some(number(index)), ..BlockStopEvent::default() }))
}

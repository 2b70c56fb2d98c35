//! Readers: events of a protocol into events of the IR.

pub(crate) mod anthropic;
mod balance;
pub(crate) mod bedrock;
mod calls;
pub(crate) mod cohere;
pub(crate) mod gemini;
mod notes;
pub(crate) mod openai_chat;
pub(crate) mod openai_responses;
mod reasoning;
mod repair;
mod upstream_error;

use busbar_protocols::ir::{Event, PingEvent};
use busbar_protocols::prelude::Checked;
use busbar_protocols::{Field, Json, Num, Text, Wire};

pub(crate) use notes::Notes;
pub(crate) use upstream_error::{exception, told};

use super::{Limits, StreamFault};
use crate::Protocol;

/// Takes the events of a frame, one after the other.
pub(crate) type Sink<'s> = &'s mut dyn FnMut(Event<'_>) -> Result<(), StreamFault>;

/// The reader of one protocol's streams.
#[derive(Debug)]
pub(crate) enum Reader {
    Anthropic(anthropic::Reader),
    Cohere(cohere::Reader),
    Gemini(gemini::Reader),
    OpenaiChat(openai_chat::Reader),
    OpenaiResponses(openai_responses::Reader),
    Bedrock(bedrock::Reader),
}

impl Reader {
    /// A reader at the start of a stream.
    pub(crate) fn new(protocol: Protocol, limits: Limits) -> Self {
        match protocol {
            Protocol::Anthropic => Self::Anthropic(anthropic::Reader::new(limits)),
            Protocol::OpenaiChat => Self::OpenaiChat(openai_chat::Reader::new(limits)),
            Protocol::OpenaiResponses => Self::OpenaiResponses(openai_responses::Reader::new(limits)),
            Protocol::Bedrock => Self::Bedrock(bedrock::Reader::new(limits)),
            Protocol::Gemini => Self::Gemini(gemini::Reader::new(limits)),
            Protocol::Cohere => Self::Cohere(cohere::Reader::new(limits)),
        }
    }

    /// Takes one event: its name, where the framing gives it one, and its data.
    pub(crate) fn step(
        &mut self,
        name: &[u8],
        data: &[u8],
        notes: &mut Notes,
        sink: Sink<'_>,
    ) -> Result<(), StreamFault> {
        let data = data.trim_ascii();
        if data.is_empty() {
            return Ok(());
        }
        match (&mut *self, data) {
            (Self::OpenaiChat(reader), b"[DONE]") => return reader.done(sink),
            // Not of this protocol, and some servers send it all the same.
            (Self::OpenaiResponses(reader), b"[DONE]") => return reader.finish(),
            (Self::Cohere(reader), b"[DONE]") => return reader.finish(),
            _ => {}
        }
        match Checked::new(data) {
            Ok(document) => self.document(name, document, notes, sink),
            Err(_) => self.several(name, data, notes, sink),
        }
    }

    /// Takes a comment.
    pub(crate) fn comment(&mut self, sink: Sink<'_>) -> Result<(), StreamFault> {
        match self {
            Self::Anthropic(_)
            | Self::OpenaiResponses(_)
            | Self::Bedrock(_)
            | Self::Gemini(_)
            | Self::Cohere(_) => sink(Event::Ping(PingEvent::default())),
            Self::OpenaiChat(reader) => {
                sink(Event::Ping(PingEvent::default()))?;
                reader.comment(sink)
            }
        }
    }

    /// The upstream's end; an error when the answer is not complete.
    pub(crate) fn finish(&mut self, sink: Sink<'_>) -> Result<(), StreamFault> {
        match self {
            Self::Anthropic(reader) => reader.finish(),
            Self::Cohere(reader) => reader.finish(),
            Self::Gemini(reader) => reader.finish(sink),
            Self::OpenaiChat(reader) => reader.finish(sink),
            Self::OpenaiResponses(reader) => reader.finish(),
            Self::Bedrock(reader) => reader.finish(sink),
        }
    }

    /// Whether it is known why the answer stops; what may follow is usage and the end.
    pub(crate) fn stopped(&self) -> bool {
        match self {
            Self::Anthropic(reader) => reader.stopped(),
            Self::Cohere(reader) => reader.stopped(),
            Self::Gemini(reader) => reader.stopped(),
            Self::OpenaiChat(reader) => reader.stopped(),
            Self::OpenaiResponses(reader) => reader.stopped(),
            Self::Bedrock(reader) => reader.stopped(),
        }
    }

    fn document(
        &mut self,
        name: &[u8],
        document: Checked<'_>,
        notes: &mut Notes,
        sink: Sink<'_>,
    ) -> Result<(), StreamFault> {
        match self {
            Self::Anthropic(reader) => reader.step(document, notes, sink),
            Self::Cohere(reader) => reader.step(document, notes, sink),
            Self::Gemini(reader) => reader.step(document, notes, sink),
            Self::OpenaiChat(reader) => reader.step(document, notes, sink),
            Self::OpenaiResponses(reader) => reader.step(document, notes, sink),
            Self::Bedrock(reader) => reader.step(name, document, notes, sink),
        }
    }

    /// Some servers write several JSON values as one event.
    fn several(
        &mut self,
        name: &[u8],
        data: &[u8],
        notes: &mut Notes,
        sink: Sink<'_>,
    ) -> Result<(), StreamFault> {
        let values = serde_json::Deserializer::from_slice(data).into_iter::<&serde_json::value::RawValue>();
        let mut any = false;
        for value in values {
            let value = value.map_err(|_| StreamFault::NotJson)?;
            any = true;
            self.document(name, Checked::new(value.get().as_bytes())?, notes, sink)?;
        }
        if any { Ok(()) } else { Err(StreamFault::NotJson) }
    }
}

/// A block's number.
fn num(field: &Field<Num<'_>>) -> Result<u64, StreamFault> {
    let number = field.as_ref().and_then(Num::as_u64);
    number.ok_or(StreamFault::OutOfOrder("an event without the number of its block"))
}

/// The `type` of a value.
fn kind_of(value: &Json<'_>) -> Option<Text<'static>> {
    #[derive(serde::Deserialize)]
    struct Tagged {
        r#type: String,
    }
    serde_json::from_str::<Tagged>(value.as_str()).ok().map(|tagged| Text::from(tagged.r#type))
}

/// A small number without an allocation.
pub(crate) fn number(value: u64) -> Num<'static> {
    const SMALL: [&str; 16] =
        ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12", "13", "14", "15"];
    let small = usize::try_from(value).ok().and_then(|place| SMALL.get(place));
    let parsed = small.and_then(|digits| Num::parse(digits.as_bytes()).ok());
    parsed.unwrap_or_else(|| Num::from(value))
}

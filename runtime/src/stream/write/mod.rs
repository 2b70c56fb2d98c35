//! Writers: events of the IR into a protocol's own, in the order in which that protocol has them.

pub(crate) mod anthropic;
pub(crate) mod bedrock;
pub(crate) mod cohere;
pub(crate) mod gemini;
pub(crate) mod openai_chat;
pub(crate) mod openai_responses;
mod turns;

use busbar_protocols::ir::Event;
use busbar_protocols::prelude::{Paths, WriteCx};
use busbar_protocols::{EffectKind, Num, Text};

use super::{Counts, Limits, StreamFault, error_event, event_stream, sse};
use crate::Protocol;
use crate::fault::Fault;
use crate::translate::CallState;

/// Appends something that keeps a connection alive before the stream has begun, and means nothing.
pub fn keep_alive(protocol: Protocol, out: &mut Vec<u8>) {
    if protocol == Protocol::Gemini {
        // Of an answer that nobody has begun, nothing is known that a response could repeat.
        const EMPTY: &[u8] =
            br#"{"candidates":[{"content":{"role":"model","parts":[{"text":""}]},"index":0}]}"#;
        sse::write_event(out, None, |out| out.extend_from_slice(EMPTY));
        return;
    }
    Writer::new(protocol, Limits::default()).keep_alive(out);
}

/// The writer of one protocol's streams.
#[derive(Debug)]
pub(crate) enum Writer {
    Anthropic(anthropic::Writer),
    Cohere(cohere::Writer),
    Gemini(gemini::Writer),
    OpenaiChat(openai_chat::Writer),
    Bedrock(bedrock::Writer),
    OpenaiResponses(openai_responses::Writer),
}

impl Writer {
    /// A writer at the start of a stream.
    pub(crate) fn new(protocol: Protocol, limits: Limits) -> Self {
        match protocol {
            Protocol::Anthropic => Self::Anthropic(anthropic::Writer::new(limits)),
            Protocol::OpenaiChat => Self::OpenaiChat(openai_chat::Writer::new()),
            Protocol::OpenaiResponses => Self::OpenaiResponses(openai_responses::Writer::new(limits)),
            Protocol::Bedrock => Self::Bedrock(bedrock::Writer::new(limits)),
            Protocol::Gemini => Self::Gemini(gemini::Writer::new(limits)),
            Protocol::Cohere => Self::Cohere(cohere::Writer::new(limits)),
        }
    }

    /// Appends what the event becomes.
    pub(crate) fn event(
        &mut self,
        event: &Event<'_>,
        cx: &mut WriteState<'_>,
        out: &mut Vec<u8>,
    ) -> Result<(), StreamFault> {
        note_losses(event, cx);
        match self {
            Self::Anthropic(writer) => writer.event(event, cx, out),
            Self::Cohere(writer) => writer.event(event, cx, out),
            Self::Gemini(writer) => writer.event(event, cx, out),
            Self::OpenaiChat(writer) => writer.event(event, cx, out),
            Self::Bedrock(writer) => writer.event(event, cx, out),
            Self::OpenaiResponses(writer) => writer.event(event, cx, out),
        }
    }

    /// Appends something that keeps the connection alive and means nothing.
    pub(crate) fn keep_alive(&mut self, out: &mut Vec<u8>) {
        match self {
            Self::Anthropic(_) => out.extend_from_slice(b"event: ping\ndata: {\"type\":\"ping\"}\n\n"),
            Self::Gemini(writer) => writer.keep_alive(out),
            // Without the blank line, on which some SDKs try to parse an event without data.
            Self::OpenaiChat(_) | Self::Cohere(_) => out.extend_from_slice(b": ping\n"),
            // An event stream has no comments; its SDKs pass over an event that their model does not have.
            Self::Bedrock(_) => event_stream::write_event(out, "ping", |out| out.extend_from_slice(b"{}")),
            Self::OpenaiResponses(writer) => writer.keep_alive(out),
        }
    }

    /// Ends the stream with an error.
    pub(crate) fn fail(&mut self, client: Protocol, fault: &Fault, request_id: &str, out: &mut Vec<u8>) {
        match self {
            Self::Gemini(writer) => writer.fail(fault, request_id, out),
            Self::OpenaiResponses(writer) => writer.fail(fault, request_id, out),
            _ => error_event(client, fault, request_id, out),
        }
    }
}

/// Reports what an event says of the whole answer and the client's protocol has no form for.
fn note_losses(event: &Event<'_>, cx: &mut WriteState<'_>) {
    if cx.call.client == cx.call.backend {
        return;
    }
    let said: &[(&str, &str, bool)] = match event {
        Event::Start(start) => match &start.response {
            Some(answer) => &[
                ("Response", "fingerprint", answer.fingerprint.is_some()),
                ("Response", "service_tier", answer.service_tier.is_some()),
                ("Response", "metadata", answer.metadata.is_some()),
            ],
            None => return,
        },
        Event::Stop(end) => &[
            ("Candidate", "stop.sequence", end.stop.sequence.is_some()),
            ("Candidate", "stop.category", end.stop.category.is_some()),
            ("Candidate", "stop.explanation", end.stop.explanation.is_some()),
            ("Candidate", "logprobs", end.logprobs.is_some()),
        ],
        _ => return,
    };
    let paths = Paths::default();
    let write = WriteCx::new(cx.call.backend, cx.call.client, &paths);
    for (ir, path, _) in said.iter().filter(|(_, _, is_said)| *is_said) {
        let lack = busbar_protocols::lacks(cx.call.client).iter().find(|l| l.ir == *ir && l.path == *path);
        if let Some(lack) = lack {
            cx.ledger.note(EffectKind::Dropped, write.path(Paths::ROOT, ir, path), lack.reason);
        }
    }
}

/// What a writer may look at beside the event.
pub(crate) struct WriteState<'c> {
    /// The request's side of the call.
    pub(crate) call: &'c CallState,
    /// Token counts so far.
    pub(crate) counts: &'c Counts,
    /// What could not be written.
    pub(crate) ledger: &'c mut busbar_protocols::Ledger,
}

/// Appends a whole number.
fn write_u64(value: u64, out: &mut Vec<u8>) {
    let mut digits = [0u8; 20];
    let mut at = digits.len();
    let mut rest = value;
    loop {
        at -= 1;
        digits[at] = b'0' + u8::try_from(rest % 10).unwrap_or(0);
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

/// Appends a JSON string.
fn write_str(text: &str, out: &mut Vec<u8>) {
    Text::plain(text).write(out);
}

/// A block's number; events of readers always have one.
fn block_of(number: &Option<Num<'_>>) -> u64 {
    number.as_ref().and_then(Num::as_u64).unwrap_or(0)
}

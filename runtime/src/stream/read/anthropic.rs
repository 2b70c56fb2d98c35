//! Reads a stream of Anthropic messages events.

use std::borrow::Cow;

use busbar_protocols::anthropic::{
    self as wire, ContentBlock, RawContentBlockDelta, RawMessageDeltaEvent, RawMessageStreamEvent,
};
use busbar_protocols::ir::{
    self, Block, BlockStartEvent, BlockStopEvent, DeltaEvent, EndEvent, Event, PingEvent, StartEvent,
    StopEvent, UsageEvent,
};
use busbar_protocols::prelude::{Checked, Field, Native, Paths, ReadCx};
use busbar_protocols::{Json, Num, Text, Wire};

use super::{Notes, Sink, kind_of, num, number, told};
use crate::Protocol;
use crate::stream::usage::Counts;
use crate::stream::{Limits, StreamFault};

/// Where a stream of messages events stands.
#[derive(Debug)]
pub(crate) struct Reader {
    limits: Limits,
    blocks: Vec<Open>,
    seen: usize,
    counts: Counts,
    started: bool,
    stopped: bool,
    ended: bool,
}

/// A block that has begun and not ended.
#[derive(Debug)]
struct Open {
    index: u64,
    /// Arguments given when the call began, until a delta makes them moot.
    input: Option<String>,
}

impl Reader {
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            limits,
            blocks: Vec::new(),
            seen: 0,
            counts: Counts::default(),
            started: false,
            stopped: false,
            ended: false,
        }
    }

    pub(crate) fn step(
        &mut self,
        data: Checked<'_>,
        notes: &mut Notes,
        sink: Sink<'_>,
    ) -> Result<(), StreamFault> {
        match RawMessageStreamEvent::from_checked(data)? {
            RawMessageStreamEvent::MessageStart(event) => self.start(event, notes, sink),
            RawMessageStreamEvent::ContentBlockStart(event) => {
                let index = num(&event.index)?;
                let block = event.content_block.value();
                self.block(index, *block.ok_or(StreamFault::OutOfOrder("a block without content"))?, sink)
            }
            RawMessageStreamEvent::ContentBlockDelta(event) => {
                let index = num(&event.index)?;
                let delta = event.delta.value();
                self.delta(
                    index,
                    delta.ok_or(StreamFault::OutOfOrder("a delta without content"))?,
                    notes,
                    sink,
                )
            }
            RawMessageStreamEvent::ContentBlockStop(event) => {
                let index = num(&event.index)?;
                let place = self.place(index)?;
                self.close(place, sink)
            }
            RawMessageStreamEvent::MessageDelta(event) => self.message_delta(event, notes, sink),
            RawMessageStreamEvent::MessageStop(_) => {
                self.close_all(sink)?;
                if !self.stopped {
                    return Err(StreamFault::OutOfOrder("it ends without a stop reason"));
                }
                self.ended = true;
                sink(Event::End(EndEvent::default()))
            }
            RawMessageStreamEvent::Ping(_) => sink(Event::Ping(PingEvent::default())),
            RawMessageStreamEvent::Error(_) => Err(told(Protocol::Anthropic, data)),
            RawMessageStreamEvent::Other(value) => {
                notes.unknown("event", &value);
                Ok(())
            }
        }
    }

    /// The upstream's end.
    pub(crate) fn finish(&mut self) -> Result<(), StreamFault> {
        if self.ended { Ok(()) } else { Err(StreamFault::Cut) }
    }

    pub(crate) fn stopped(&self) -> bool {
        self.stopped
    }

    fn start(
        &mut self,
        event: wire::RawMessageStartEvent<'_>,
        notes: &mut Notes,
        sink: Sink<'_>,
    ) -> Result<(), StreamFault> {
        if self.started {
            return Err(StreamFault::OutOfOrder("it begins twice"));
        }
        self.started = true;
        let mut message = event.message.value().map(|message| *message).unwrap_or_default();
        let mut response =
            ir::Response { id: message.id.value(), model: message.model.value(), ..ir::Response::default() };
        if let Field::Value(usage) = std::mem::take(&mut message.usage) {
            let mut cx = ReadCx::default();
            let (mut node, mut native) = (ir::Usage::default(), Native::default());
            wire::read_usage(*usage, &mut node, &mut native, &mut cx, Paths::ROOT);
            notes.usage(&native);
            self.counts.overlay(&Counts::of(&node));
            response.usage = Some(Box::new(self.counts.usage()));
        }
        sink(Event::Start(StartEvent { response: Some(Box::new(response)), ..StartEvent::default() }))
    }

    fn block(&mut self, index: u64, block: ContentBlock<'_>, sink: Sink<'_>) -> Result<(), StreamFault> {
        if !self.started {
            return Err(StreamFault::OutOfOrder("a block before the beginning"));
        }
        if self.blocks.iter().any(|open| open.index == index) {
            return Err(StreamFault::OutOfOrder("a block begins twice"));
        }
        self.seen += 1;
        if self.seen > self.limits.blocks {
            return Err(StreamFault::TooManyBlocks { limit: self.limits.blocks });
        }
        let mut input = None;
        let block = match block {
            ContentBlock::Text(text) => {
                Block::Text(ir::TextBlock { text: text.text.value(), ..ir::TextBlock::default() })
            }
            ContentBlock::Thinking(thinking) => Block::Reasoning(ir::ReasoningBlock {
                text: thinking.thinking.value(),
                signature: thinking.signature.value().filter(|signature| !signature.is_empty()),
                issuer: None,
                ..ir::ReasoningBlock::default()
            }),
            ContentBlock::RedactedThinking(redacted) => {
                Block::RedactedReasoning(ir::RedactedReasoningBlock {
                    data: redacted.data.value(),
                    ..ir::RedactedReasoningBlock::default()
                })
            }
            ContentBlock::ToolUse(call) => {
                let empty = |json: &str| json.bytes().all(|b| b"{} \t\r\n".contains(&b)) || json == "null";
                input = call.input.as_ref().map(Json::as_str).filter(|json| !empty(json)).map(str::to_owned);
                Block::ToolCall(ir::ToolCallBlock {
                    id: call.id.value(),
                    name: call.name.value(),
                    kind: Some(ir::ToolKind::Function),
                    ..ir::ToolCallBlock::default()
                })
            }
            other => {
                let value = Json::parse(Cow::Owned(String::from_utf8_lossy(&other.to_json()).into_owned()))?;
                let kind = kind_of(&value);
                Block::Native(ir::NativeBlock { kind, value: Some(value), ..ir::NativeBlock::default() })
            }
        };
        self.blocks.push(Open { index, input });
        sink(Event::BlockStart(BlockStartEvent {
            block: Some(Box::new(block)),
            candidate: None,
            index: Some(number(index)),
            ..BlockStartEvent::default()
        }))
    }

    fn delta(
        &mut self,
        index: u64,
        delta: RawContentBlockDelta<'_>,
        notes: &mut Notes,
        sink: Sink<'_>,
    ) -> Result<(), StreamFault> {
        let place = self.place(index)?;
        let mut event = DeltaEvent { index: Some(number(index)), ..DeltaEvent::default() };
        match delta {
            RawContentBlockDelta::TextDelta(delta) => event.text = delta.text.value(),
            RawContentBlockDelta::ThinkingDelta(delta) => event.reasoning = delta.thinking.value(),
            RawContentBlockDelta::SignatureDelta(delta) => event.signature = delta.signature.value(),
            RawContentBlockDelta::InputJsonDelta(delta) => {
                event.arguments = delta.partial_json.value().filter(|text| !text.is_empty());
                if event.arguments.is_none() {
                    return Ok(());
                }
                if let Some(open) = self.blocks.get_mut(place) {
                    open.input = None;
                }
            }
            RawContentBlockDelta::CitationsDelta(delta) => {
                let citation = delta.citation.value().and_then(|citation| read_citation(*citation));
                event.citation = citation.map(Box::new);
            }
            RawContentBlockDelta::CompactionDelta(_) => {
                notes.dropped(
                    "content.compaction",
                    "a summary made by the provider; no other protocol has it",
                );
                return Ok(());
            }
            RawContentBlockDelta::Other(value) => {
                notes.unknown("delta", &value);
                return Ok(());
            }
        }
        sink(Event::Delta(event))
    }

    fn message_delta(
        &mut self,
        event: RawMessageDeltaEvent<'_>,
        notes: &mut Notes,
        sink: Sink<'_>,
    ) -> Result<(), StreamFault> {
        if !self.started {
            return Err(StreamFault::OutOfOrder("it stops before the beginning"));
        }
        if let Field::Value(usage) = event.usage {
            self.counts.overlay(&delta_counts(&usage));
            if usage.server_tool_use.as_ref().is_some() {
                notes.dropped("usage.server_tool_use", "a count of one provider's own");
            }
            let usage = Some(Box::new(self.counts.usage()));
            sink(Event::Usage(UsageEvent { usage, ..UsageEvent::default() }))?;
        }
        if event.context_management.as_ref().is_some() {
            notes.dropped("context_management", "it reports the provider's own edits of the context");
        }
        let Some(delta) = event.delta.value() else { return Ok(()) };
        let Some(reason) = delta.stop_reason.value() else { return Ok(()) };
        if self.stopped {
            return Err(StreamFault::OutOfOrder("it stops twice"));
        }
        self.close_all(sink)?;
        self.stopped = true;
        let (mut category, mut explanation) = (None, None);
        if let Field::Value(details) = delta.stop_details {
            category = details.category.value().map(|category| category.text());
            explanation = details.explanation.value();
        }
        let stop = ir::Stop {
            reason: Some(wire::read_stop_reason(reason)),
            sequence: delta.stop_sequence.value(),
            category,
            explanation,
        };
        sink(Event::Stop(StopEvent { stop, ..StopEvent::default() }))
    }

    fn place(&self, index: u64) -> Result<usize, StreamFault> {
        let place = self.blocks.iter().position(|open| open.index == index);
        place.ok_or(StreamFault::OutOfOrder("a delta of a block that is not open"))
    }

    fn close(&mut self, place: usize, sink: Sink<'_>) -> Result<(), StreamFault> {
        let open = self.blocks.remove(place);
        let index = Some(number(open.index));
        if let Some(input) = open.input {
            let arguments = Some(Text::from(input));
            sink(Event::Delta(DeltaEvent { index: index.clone(), arguments, ..DeltaEvent::default() }))?;
        }
        sink(Event::BlockStop(BlockStopEvent { index, ..BlockStopEvent::default() }))
    }

    fn close_all(&mut self, sink: Sink<'_>) -> Result<(), StreamFault> {
        while !self.blocks.is_empty() {
            self.close(0, sink)?;
        }
        Ok(())
    }
}

/// The counts of the last event, which lacks what only the first one has.
fn delta_counts(usage: &wire::MessageDeltaUsage<'_>) -> Counts {
    let count = |field: &Field<Num<'_>>| field.as_ref().and_then(Num::as_u64);
    Counts {
        fresh_input: count(&usage.input_tokens),
        cache_read: count(&usage.cache_read_input_tokens),
        cache_write: count(&usage.cache_creation_input_tokens),
        output: count(&usage.output_tokens),
        reasoning: usage.output_tokens_details.as_ref().and_then(|details| count(&details.thinking_tokens)),
        ..Counts::default()
    }
}

fn read_citation(citation: wire::TextCitation<'_>) -> Option<ir::Citation<'_>> {
    let mut cx = ReadCx::default();
    let (mut node, mut native) = (ir::Citation::default(), Native::default());
    wire::read_text_citation(citation, &mut node, &mut native, &mut cx, Paths::ROOT).ok()?;
    node.native.append(native);
    Some(node)
}

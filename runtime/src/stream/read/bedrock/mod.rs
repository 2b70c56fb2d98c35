//! Reads a stream of Converse events.
//!
//! Of its blocks calls alone are announced. Any other one begins with its first delta, whose form tells what it is.

mod citation;
mod whole;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use busbar_protocols::bedrock::{
    self as wire, ContentBlockDeltaForm, ContentBlockStartForm, ReasoningContentBlockDeltaForm,
};
use busbar_protocols::ir::{
    self, Block, BlockStartEvent, BlockStopEvent, DeltaEvent, EndEvent, Event, PingEvent, StartEvent,
    StopEvent, UsageEvent,
};
use busbar_protocols::prelude::{Checked, Field, Native, Paths, ReadCx};
use busbar_protocols::{Json, Num, Text, Wire};
use serde::Deserialize;

pub(crate) use whole::tell;

use super::{Notes, Sink, num, number};
use crate::stream::usage::Counts;
use crate::stream::{Limits, StreamFault};

/// Where a stream of Converse events stands.
#[derive(Debug)]
pub(crate) struct Reader {
    limits: Limits,
    blocks: Vec<Open>,
    /// Blocks so far; the number of the next one.
    seen: usize,
    held: usize,
    counts: Counts,
    started: bool,
    stopped: bool,
    /// The last event, with the counts, has come.
    told: bool,
    ended: bool,
}

/// A block that has begun and not ended.
#[derive(Debug)]
struct Open {
    /// The server's number.
    index: u64,
    /// Its number here: what the server calls one block is several when its deltas change their form.
    block: u64,
    kind: Kind,
}

#[derive(Debug, PartialEq, Eq)]
enum Kind {
    Text,
    Reasoning,
    /// Reasoning that cannot be read, so far: it is one block and comes in pieces.
    Redacted(Vec<u8>),
    Call,
    /// Nothing that another protocol has.
    Other,
}

impl Reader {
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            limits,
            blocks: Vec::new(),
            seen: 0,
            held: 0,
            counts: Counts::default(),
            started: false,
            stopped: false,
            told: false,
            ended: false,
        }
    }

    /// Takes one event; what kind it is, its frame says and not its data.
    pub(crate) fn step(
        &mut self,
        name: &[u8],
        data: Checked<'_>,
        notes: &mut Notes,
        sink: Sink<'_>,
    ) -> Result<(), StreamFault> {
        match name {
            b"messageStart" => self.start(sink),
            b"contentBlockStart" => {
                self.block_start(wire::ContentBlockStartEvent::from_checked(data)?, notes, sink)
            }
            b"contentBlockDelta" => {
                self.delta(wire::ContentBlockDeltaEvent::from_checked(data)?, notes, sink)
            }
            b"contentBlockStop" => {
                let index = num(&wire::ContentBlockStopEvent::from_checked(data)?.content_block_index)?;
                // Of an empty block nothing but its end comes.
                let place = self.blocks.iter().position(|open| open.index == index);
                place.map_or(Ok(()), |place| self.close(place, sink))
            }
            b"messageStop" => self.stop(wire::MessageStopEvent::from_checked(data)?, notes, sink),
            b"metadata" => self.metadata(wire::ConverseStreamMetadataEvent::from_checked(data)?, notes, sink),
            b"ping" => sink(Event::Ping(PingEvent::default())),
            other => {
                let path = format!("event.{:.64}", String::from_utf8_lossy(other));
                notes.dropped(&path, "not known to this version");
                Ok(())
            }
        }
    }

    /// The upstream's end; it is complete without the counts.
    pub(crate) fn finish(&mut self, sink: Sink<'_>) -> Result<(), StreamFault> {
        if !self.stopped {
            return Err(StreamFault::Cut);
        }
        self.end(sink)
    }

    pub(crate) fn stopped(&self) -> bool {
        self.stopped
    }

    fn start(&mut self, sink: Sink<'_>) -> Result<(), StreamFault> {
        if self.started {
            return Err(StreamFault::OutOfOrder("it begins twice"));
        }
        self.started = true;
        sink(Event::Start(StartEvent { response: Some(Box::default()), ..StartEvent::default() }))
    }

    fn block_start(
        &mut self,
        event: wire::ContentBlockStartEvent<'_>,
        notes: &mut Notes,
        sink: Sink<'_>,
    ) -> Result<(), StreamFault> {
        let index = num(&event.content_block_index)?;
        if self.blocks.iter().any(|open| open.index == index) {
            return Err(StreamFault::OutOfOrder("a block begins twice"));
        }
        match event.start.value().and_then(|start| start.value) {
            Some(ContentBlockStartForm::ToolUse(call)) if call.r#type.is_absent() => {
                let block = Block::ToolCall(ir::ToolCallBlock {
                    id: call.tool_use_id.value(),
                    name: call.name.value(),
                    kind: Some(ir::ToolKind::Function),
                    ..ir::ToolCallBlock::default()
                });
                self.begin(index, Kind::Call, Some(block), sink)
            }
            Some(ContentBlockStartForm::ToolUse(_)) => {
                notes.dropped("content.toolUse", "a call of a tool that Bedrock runs itself");
                self.begin(index, Kind::Other, None, sink)
            }
            Some(ContentBlockStartForm::ToolResult(_)) => {
                notes.dropped("content.toolResult", "a result of a tool that Bedrock runs itself");
                self.begin(index, Kind::Other, None, sink)
            }
            Some(ContentBlockStartForm::Image(_)) => {
                notes.dropped("content.image", "a picture as the answer of one model");
                self.begin(index, Kind::Other, None, sink)
            }
            None => Ok(()),
        }
    }

    fn delta(
        &mut self,
        event: wire::ContentBlockDeltaEvent<'_>,
        notes: &mut Notes,
        sink: Sink<'_>,
    ) -> Result<(), StreamFault> {
        let index = num(&event.content_block_index)?;
        let delta = event.delta.value().ok_or(StreamFault::OutOfOrder("a delta without content"))?;
        let mut out = DeltaEvent::default();
        match delta.value {
            Some(ContentBlockDeltaForm::Text(text)) => {
                out.index = Some(number(self.within(index, Kind::Text, sink)?));
                out.text = Some(text);
            }
            Some(ContentBlockDeltaForm::Citation(citation)) => {
                out.index = Some(number(self.within(index, Kind::Text, sink)?));
                out.citation = Some(Box::new(citation::read(*citation)));
            }
            Some(ContentBlockDeltaForm::ToolUse(call)) => {
                match self.blocks.iter().find(|open| open.index == index) {
                    Some(Open { kind: Kind::Call, block, .. }) => out.index = Some(number(*block)),
                    Some(Open { kind: Kind::Other, .. }) => return Ok(()),
                    _ => return Err(StreamFault::OutOfOrder("arguments of no call")),
                }
                let Some(input) = call.input.value().filter(|input| !input.is_empty()) else { return Ok(()) };
                out.arguments = Some(input);
            }
            Some(ContentBlockDeltaForm::ReasoningContent(reasoning)) => match reasoning.value {
                Some(ReasoningContentBlockDeltaForm::Text(text)) => {
                    out.index = Some(number(self.within(index, Kind::Reasoning, sink)?));
                    out.reasoning = Some(text);
                }
                Some(ReasoningContentBlockDeltaForm::Signature(signature)) => {
                    out.index = Some(number(self.within(index, Kind::Reasoning, sink)?));
                    out.signature = Some(signature);
                }
                Some(ReasoningContentBlockDeltaForm::RedactedContent(piece)) => {
                    return self.redacted(index, &piece, sink);
                }
                None => {
                    notes.dropped("delta.reasoningContent", "not known to this version");
                    return Ok(());
                }
            },
            // Reported when the block began.
            Some(ContentBlockDeltaForm::ToolResult(_) | ContentBlockDeltaForm::Image(_)) => return Ok(()),
            None => {
                let name = delta.unknown.iter().next().map(|(name, _)| name.decode());
                let path = format!("delta.{:.64}", name.as_deref().unwrap_or("empty"));
                notes.dropped(&path, "not known to this version");
                return Ok(());
            }
        }
        sink(Event::Delta(out))
    }

    /// The number of the open block of this kind; one that is of another kind ends, and a new one begins.
    fn within(&mut self, index: u64, kind: Kind, sink: Sink<'_>) -> Result<u64, StreamFault> {
        let place = self.blocks.iter().position(|open| open.index == index);
        if let Some(place) = place {
            let open = &self.blocks[place];
            if open.kind == kind {
                return Ok(open.block);
            }
            self.close(place, sink)?;
        }
        let block = match kind {
            Kind::Text => Some(Block::Text(ir::TextBlock::default())),
            Kind::Reasoning => Some(Block::Reasoning(ir::ReasoningBlock::default())),
            Kind::Redacted(_) | Kind::Call | Kind::Other => None,
        };
        self.begin(index, kind, block, sink)?;
        Ok(self.seen as u64 - 1)
    }

    fn redacted(&mut self, index: u64, piece: &Text<'_>, sink: Sink<'_>) -> Result<(), StreamFault> {
        let piece = STANDARD.decode(piece.decode().as_bytes()).map_err(|_| StreamFault::Malformed {
            path: "delta.reasoningContent.redactedContent".to_owned(),
            message: "it is not base64".to_owned(),
        })?;
        self.held += piece.len();
        if self.held > self.limits.held {
            return Err(StreamFault::TooMuchHeld { limit: self.limits.held });
        }
        let open = self.blocks.iter_mut().find(|open| open.index == index);
        if let Some(Open { kind: Kind::Redacted(before), .. }) = open {
            before.extend_from_slice(&piece);
            return Ok(());
        }
        self.within(index, Kind::Redacted(piece), sink).map(|_| ())
    }

    fn begin(
        &mut self,
        index: u64,
        kind: Kind,
        block: Option<Block<'_>>,
        sink: Sink<'_>,
    ) -> Result<(), StreamFault> {
        if !self.started {
            return Err(StreamFault::OutOfOrder("a block before the beginning"));
        }
        if self.stopped {
            return Err(StreamFault::OutOfOrder("a block after the end"));
        }
        if self.seen >= self.limits.blocks {
            return Err(StreamFault::TooManyBlocks { limit: self.limits.blocks });
        }
        let number = self.seen as u64;
        self.seen += 1;
        self.blocks.push(Open { index, block: number, kind });
        block.map_or(Ok(()), |block| sink(block_start(number, block)))
    }

    fn close(&mut self, place: usize, sink: Sink<'_>) -> Result<(), StreamFault> {
        let Open { block, kind, .. } = self.blocks.remove(place);
        match kind {
            Kind::Other => return Ok(()),
            Kind::Redacted(bytes) => {
                self.held = self.held.saturating_sub(bytes.len());
                let data = Some(Text::from(STANDARD.encode(bytes)));
                let node = ir::RedactedReasoningBlock { data, ..ir::RedactedReasoningBlock::default() };
                sink(block_start(block, Block::RedactedReasoning(node)))?;
            }
            Kind::Text | Kind::Reasoning | Kind::Call => {}
        }
        sink(Event::BlockStop(BlockStopEvent { index: Some(number(block)), ..BlockStopEvent::default() }))
    }

    fn stop(
        &mut self,
        event: wire::MessageStopEvent<'_>,
        notes: &mut Notes,
        sink: Sink<'_>,
    ) -> Result<(), StreamFault> {
        if !self.started || self.stopped {
            return Err(StreamFault::OutOfOrder("it stops before the beginning, or twice"));
        }
        while !self.blocks.is_empty() {
            self.close(0, sink)?;
        }
        self.stopped = true;
        let sequence = event.additional_model_response_fields.as_ref().and_then(|fields| own(fields, notes));
        let stop = ir::Stop {
            reason: event.stop_reason.value().map(wire::read_stop_reason),
            sequence: sequence.map(Text::from),
            ..ir::Stop::default()
        };
        sink(Event::Stop(StopEvent { stop, ..StopEvent::default() }))?;
        if self.told { self.end(sink) } else { Ok(()) }
    }

    fn metadata(
        &mut self,
        event: wire::ConverseStreamMetadataEvent<'_>,
        notes: &mut Notes,
        sink: Sink<'_>,
    ) -> Result<(), StreamFault> {
        for (name, is_said) in [
            ("metrics", !event.metrics.is_absent()),
            ("performanceConfig", !event.performance_config.is_absent()),
            ("trace", !event.trace.is_absent()),
        ] {
            if is_said {
                let reason = busbar_protocols::bedrock::ROWS.iter().find_map(|row| match row.fate {
                    busbar_protocols::Fate::Keep(reason)
                        if row.wire == "ConverseResponse" && row.field == name =>
                    {
                        Some(reason)
                    }
                    _ => None,
                });
                notes.dropped(name, reason.unwrap_or("no other protocol has it"));
            }
        }
        if event.service_tier.as_ref().is_some() {
            notes.dropped("serviceTier", "it is told at the end, when the begin of the answer has been sent");
        }
        if let Field::Value(mut usage) = event.usage {
            let split = std::mem::take(&mut usage.cache_details).value().unwrap_or_default();
            let (mut node, mut native) = (ir::Usage::default(), Native::default());
            wire::read_token_usage(*usage, &mut node, &mut native, &mut ReadCx::default(), Paths::ROOT);
            notes.usage(&native);
            let mut counts = Counts::of(&node);
            for detail in split {
                let count = detail.input_tokens.as_ref().and_then(Num::as_u64);
                let place = match detail.ttl.value() {
                    Some(wire::CacheTTL::V5m) => &mut counts.cache_write_5m,
                    Some(wire::CacheTTL::V1h) => &mut counts.cache_write_1h,
                    _ => {
                        notes.dropped("usage.cacheDetails", "a time to live that no other protocol counts");
                        continue;
                    }
                };
                if let Some(count) = count {
                    *place = Some(place.unwrap_or(0).saturating_add(count));
                }
            }
            self.counts.overlay(&counts);
            let usage = Some(Box::new(self.counts.usage()));
            sink(Event::Usage(UsageEvent { usage, ..UsageEvent::default() }))?;
        }
        self.told = true;
        if self.stopped { self.end(sink) } else { Ok(()) }
    }

    fn end(&mut self, sink: Sink<'_>) -> Result<(), StreamFault> {
        if self.ended {
            return Ok(());
        }
        self.ended = true;
        sink(Event::End(EndEvent::default()))
    }
}

fn block_start(block: u64, content: Block<'_>) -> Event<'_> {
    Event::BlockStart(BlockStartEvent {
        block: Some(Box::new(content)),
        candidate: None,
        index: Some(number(block)),
        ..BlockStartEvent::default()
    })
}

/// The stop sequence among the fields of the model's own; the others are reported.
fn own(fields: &Json<'_>, notes: &mut Notes) -> Option<String> {
    #[derive(Deserialize)]
    struct Own {
        stop_sequence: Option<String>,
        #[serde(flatten)]
        others: std::collections::BTreeMap<String, serde::de::IgnoredAny>,
    }
    let own: Option<Own> = serde_json::from_str(fields.as_str()).ok();
    if own.as_ref().is_none_or(|own| !own.others.is_empty()) && fields.as_str() != "null" {
        notes.dropped("additionalModelResponseFields", "fields of one model, in the form of its maker");
    }
    own.and_then(|own| own.stop_sequence)
}

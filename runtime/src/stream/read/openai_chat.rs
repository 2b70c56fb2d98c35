//! Reads a stream of chat completion chunks.

use busbar_protocols::ir::{
    self, Block, BlockStartEvent, BlockStopEvent, DeltaEvent, EndEvent, Event, StartEvent, StopEvent,
    UsageEvent,
};
use busbar_protocols::openai_chat::{
    self as wire, ChatCompletionChunk, ChatCompletionChunkChoice, ChatCompletionChunkChoiceDelta,
};
use busbar_protocols::prelude::{Checked, Native, Paths, ReadCx};
use busbar_protocols::{Field, Json, Num, Text, Wire};

use super::calls::Calls;
use super::{Notes, Sink, number, reasoning, repair, told};
use crate::Protocol;
use crate::stream::usage::Counts;
use crate::stream::{Limits, StreamFault};

/// Comments in a row, after the stop reason, after which the stream counts as ended.
const MAX_IDLE: u32 = 8;

/// Where a stream of chunks stands.
#[derive(Debug)]
pub(crate) struct Reader {
    blocks: Numbers,
    answers: Vec<Answer>,
    started: bool,
    ended: bool,
    idle: u32,
}

/// Gives blocks their numbers.
#[derive(Debug)]
pub(super) struct Numbers {
    next: u64,
    limits: Limits,
    /// The answer's id, from which ids of calls without one are made.
    answer: String,
}

/// One of the answers that were asked for.
#[derive(Debug)]
struct Answer {
    index: u64,
    prose: Option<(Prose, u64)>,
    calls: Calls,
    stopped: bool,
}

/// A block that ends where another kind of content begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Prose {
    Text,
    Refusal,
    Reasoning,
    /// Reasoning that has been signed: what follows belongs to the next block.
    Signed,
}

impl Reader {
    pub(crate) fn new(limits: Limits) -> Self {
        Self { blocks: Numbers::new(limits), answers: Vec::new(), started: false, ended: false, idle: 0 }
    }

    pub(crate) fn step(
        &mut self,
        data: Checked<'_>,
        notes: &mut Notes,
        sink: Sink<'_>,
    ) -> Result<(), StreamFault> {
        self.idle = 0;
        match ChatCompletionChunk::from_checked(data) {
            Ok(chunk) => self.chunk(data, chunk, notes, sink),
            Err(error) => {
                let Some(repaired) = repair::arguments(data.as_str()) else { return Err(error.into()) };
                let data = Checked::new(repaired.as_bytes())?;
                let chunk = ChatCompletionChunk::from_checked(data)?;
                self.chunk(data, chunk, notes, sink)
            }
        }
    }

    /// The last event.
    pub(crate) fn done(&mut self, sink: Sink<'_>) -> Result<(), StreamFault> {
        if self.ended {
            return Ok(());
        }
        if !self.stopped() {
            return Err(StreamFault::Cut);
        }
        self.answers.iter_mut().try_for_each(|answer| answer.close(sink))?;
        self.ended = true;
        sink(Event::End(EndEvent::default()))
    }

    /// A comment; some servers send them for ever after the last chunk.
    pub(crate) fn comment(&mut self, sink: Sink<'_>) -> Result<(), StreamFault> {
        self.idle = self.idle.saturating_add(1);
        if self.idle >= MAX_IDLE && self.stopped() { self.done(sink) } else { Ok(()) }
    }

    /// The upstream's end: as good as the last event once every answer has its reason.
    pub(crate) fn finish(&mut self, sink: Sink<'_>) -> Result<(), StreamFault> {
        self.done(sink)
    }

    pub(crate) fn stopped(&self) -> bool {
        !self.answers.is_empty() && self.answers.iter().all(|answer| answer.stopped)
    }

    fn chunk(
        &mut self,
        data: Checked<'_>,
        chunk: ChatCompletionChunk<'_>,
        notes: &mut Notes,
        sink: Sink<'_>,
    ) -> Result<(), StreamFault> {
        if chunk.unknown.get("error").is_some_and(|error| *error != Json::NULL) {
            return Err(told(Protocol::OpenaiChat, data));
        }
        if self.ended {
            return Ok(());
        }
        let choices = chunk.choices.value();
        let usage = chunk.usage.value();
        if choices.is_none() && usage.is_none() {
            return Err(StreamFault::Malformed { path: "choices".into(), message: "is missing".into() });
        }
        let choices = choices.unwrap_or_default();
        // Some servers begin with a chunk about the prompt that has no choices, no id and no model.
        if !self.started && !choices.is_empty() {
            self.started = true;
            self.blocks.name(chunk.id.as_ref());
            let response = ir::Response {
                id: chunk.id.value(),
                model: chunk.model.value(),
                created: chunk.created.value(),
                fingerprint: chunk.system_fingerprint.value(),
                service_tier: chunk.service_tier.value().map(wire::read_chat_completion_service_tier),
                ..ir::Response::default()
            };
            let response = Some(Box::new(response));
            sink(Event::Start(StartEvent { response, ..StartEvent::default() }))?;
        }
        let mut stops = Vec::new();
        for choice in choices {
            self.choice(choice, notes, sink, &mut stops)?;
        }
        if let Some(usage) = usage {
            let mut cx = ReadCx::default();
            let (mut node, mut native) = (ir::Usage::default(), Native::default());
            wire::read_completion_usage(*usage, &mut node, &mut native, &mut cx, Paths::ROOT);
            notes.usage(&native);
            let usage = Some(Box::new(Counts::of(&node).usage()));
            sink(Event::Usage(UsageEvent { usage, ..UsageEvent::default() }))?;
        }
        stops.into_iter().try_for_each(|stop| sink(Event::Stop(stop)))
    }

    /// Takes one choice; its stop waits in `stops`, so that the usage of the same chunk comes first.
    fn choice<'a>(
        &mut self,
        choice: ChatCompletionChunkChoice<'a>,
        notes: &mut Notes,
        sink: Sink<'_>,
        stops: &mut Vec<StopEvent<'a>>,
    ) -> Result<(), StreamFault> {
        let index = choice.index.as_ref().and_then(Num::as_u64).unwrap_or(0);
        let place = match self.answers.iter().position(|answer| answer.index == index) {
            Some(place) => place,
            None => {
                if self.answers.len() as u64 >= self.blocks.limit() {
                    return Err(self.blocks.too_many());
                }
                self.answers.push(Answer { index, prose: None, calls: Calls::default(), stopped: false });
                self.answers.len() - 1
            }
        };
        let Some(answer) = self.answers.get_mut(place) else { return Ok(()) };
        if choice.logprobs.as_ref().is_some() {
            notes.dropped("choices.logprobs", "token probabilities have no form in the stream's target");
        }
        if let Field::Value(delta) = choice.delta {
            answer.delta(*delta, &mut self.blocks, notes, sink)?;
        }
        if let Field::Value(reason) = choice.finish_reason
            && !answer.stopped
        {
            answer.close(sink)?;
            answer.stopped = true;
            let reason = Some(wire::read_chat_completion_choice_finish_reason(reason));
            stops.push(StopEvent {
                candidate: Some(number(index)),
                stop: ir::Stop { reason, ..ir::Stop::default() },
                ..StopEvent::default()
            });
        }
        Ok(())
    }
}

impl Answer {
    fn delta(
        &mut self,
        delta: ChatCompletionChunkChoiceDelta<'_>,
        blocks: &mut Numbers,
        notes: &mut Notes,
        sink: Sink<'_>,
    ) -> Result<(), StreamFault> {
        let thought =
            delta.reasoning_content.value().or(delta.reasoning.value()).filter(|text| !text.is_empty());
        let details = delta.reasoning_details.as_ref().map(reasoning::details).unwrap_or_default();
        let has_thought = thought.is_some();
        if let Some(text) = thought {
            self.say(Prose::Reasoning, text, blocks, sink)?;
        }
        for detail in details {
            self.detail(detail, has_thought, blocks, sink)?;
        }
        if let Some(text) = delta.content.value().filter(|text| !text.is_empty()) {
            self.say(Prose::Text, text, blocks, sink)?;
        }
        if let Some(text) = delta.refusal.value().filter(|text| !text.is_empty()) {
            self.say(Prose::Refusal, text, blocks, sink)?;
        }
        if delta.audio.as_ref().is_some() {
            notes.dropped("choices.delta.audio", "sound has no form in the stream's target");
        }
        for (name, value) in delta.unknown.iter() {
            if *name == "annotations" && self.cite(value, sink)? {
                continue;
            }
            let name = name.decode();
            notes.dropped(&format!("choices.delta.{name:.64}"), "not declared by this protocol's schema");
        }
        if delta.tool_calls.as_ref().is_some_and(|calls| !calls.is_empty())
            || delta.function_call.as_ref().is_some()
        {
            self.end_prose(sink)?;
        }
        for call in delta.tool_calls.value().unwrap_or_default() {
            self.calls.fragment(call.into(), self.index, blocks, sink)?;
        }
        if let Field::Value(call) = delta.function_call {
            self.calls.fragment(call.into(), self.index, blocks, sink)?;
        }
        Ok(())
    }

    /// More of a text, in the block that is open if it is of that kind.
    fn say(
        &mut self,
        kind: Prose,
        text: Text<'_>,
        blocks: &mut Numbers,
        sink: Sink<'_>,
    ) -> Result<(), StreamFault> {
        let block = self.prose(kind, blocks, sink)?;
        let mut event = DeltaEvent { index: Some(number(block)), ..DeltaEvent::default() };
        match kind {
            Prose::Text => event.text = Some(text),
            Prose::Refusal => event.refusal = Some(text),
            Prose::Reasoning | Prose::Signed => event.reasoning = Some(text),
        }
        sink(Event::Delta(event))
    }

    /// What the open text cites; `false` when there is none, or the list is no list of annotations.
    fn cite(&mut self, list: &Json<'_>, sink: Sink<'_>) -> Result<bool, StreamFault> {
        let Some((Prose::Text, block)) = self.prose else { return Ok(*list == Json::NULL) };
        let Ok(document) = Checked::new(list.as_str().as_bytes()) else { return Ok(false) };
        let Ok(list) = Vec::<wire::ChatCompletionMessageAnnotation<'_>>::from_checked(document) else {
            return Ok(*list == Json::NULL);
        };
        for annotation in list {
            let mut cx = ReadCx::default();
            let (mut node, mut native) = (ir::Citation::default(), Native::default());
            wire::read_chat_completion_message_annotation(
                annotation,
                &mut node,
                &mut native,
                &mut cx,
                Paths::ROOT,
            );
            node.native.append(native);
            let (index, citation) = (Some(number(block)), Some(Box::new(node)));
            sink(Event::Delta(DeltaEvent { index, citation, ..DeltaEvent::default() }))?;
        }
        Ok(true)
    }

    fn detail(
        &mut self,
        detail: reasoning::Detail,
        has_thought: bool,
        blocks: &mut Numbers,
        sink: Sink<'_>,
    ) -> Result<(), StreamFault> {
        match detail {
            reasoning::Detail::Text(text) => {
                // The same text stands beside the details in a member of its own.
                if !has_thought && !text.is_empty() {
                    self.say(Prose::Reasoning, Text::from(text), blocks, sink)?;
                }
                Ok(())
            }
            reasoning::Detail::Signature(signature) => {
                let block = self.prose(Prose::Reasoning, blocks, sink)?;
                self.prose = Some((Prose::Signed, block));
                let signature = Some(Text::from(signature));
                sink(Event::Delta(DeltaEvent {
                    index: Some(number(block)),
                    signature,
                    ..DeltaEvent::default()
                }))
            }
            reasoning::Detail::Encrypted { id, data } => {
                self.end_prose(sink)?;
                let block = ir::RedactedReasoningBlock {
                    id: id.map(Text::from),
                    data: Some(Text::from(data)),
                    ..ir::RedactedReasoningBlock::default()
                };
                let index = blocks.take()?;
                begin(index, self.index, Block::RedactedReasoning(block), sink)?;
                end(index, sink)
            }
        }
    }

    /// The number of the open block of this kind, opened if need be.
    fn prose(&mut self, kind: Prose, blocks: &mut Numbers, sink: Sink<'_>) -> Result<u64, StreamFault> {
        if let Some((open, block)) = self.prose
            && open == kind
        {
            return Ok(block);
        }
        self.end_prose(sink)?;
        let index = blocks.take()?;
        let block = match kind {
            Prose::Text => Block::Text(ir::TextBlock::default()),
            Prose::Refusal => Block::Refusal(ir::RefusalBlock::default()),
            Prose::Reasoning | Prose::Signed => Block::Reasoning(ir::ReasoningBlock::default()),
        };
        begin(index, self.index, block, sink)?;
        self.prose = Some((kind, index));
        Ok(index)
    }

    fn end_prose(&mut self, sink: Sink<'_>) -> Result<(), StreamFault> {
        self.prose.take().map_or(Ok(()), |(_, block)| end(block, sink))
    }

    fn close(&mut self, sink: Sink<'_>) -> Result<(), StreamFault> {
        self.end_prose(sink)?;
        self.calls.close(sink)
    }
}

impl Numbers {
    pub(super) fn new(limits: Limits) -> Self {
        Self { next: 0, limits, answer: String::new() }
    }

    /// Takes note of the answer's id.
    pub(super) fn name(&mut self, id: Option<&Text<'_>>) {
        self.answer = id.map(|id| id.decode().into_owned()).unwrap_or_default();
    }

    /// The next number.
    pub(super) fn take(&mut self) -> Result<u64, StreamFault> {
        if self.next >= self.limit() {
            return Err(self.too_many());
        }
        self.next += 1;
        Ok(self.next - 1)
    }

    /// Blocks at most.
    pub(super) fn limit(&self) -> u64 {
        self.limits.blocks as u64
    }

    /// The fault when there are more.
    pub(super) fn too_many(&self) -> StreamFault {
        StreamFault::TooManyBlocks { limit: self.limits.blocks }
    }

    /// An id for a call that came without one: the same however the stream is cut, and of this answer alone.
    pub(super) fn call_id(&self, candidate: u64, call: usize) -> String {
        let answer = self.answer.rsplit('-').next().unwrap_or_default();
        format!("call_{answer}_{candidate}_{call}")
    }

    /// Bytes that may be kept back.
    pub(super) fn held(&self) -> usize {
        self.limits.held
    }
}

/// Begins a block.
pub(super) fn begin(index: u64, candidate: u64, block: Block<'_>, sink: Sink<'_>) -> Result<(), StreamFault> {
    sink(Event::BlockStart(BlockStartEvent {
        block: Some(Box::new(block)),
        candidate: Some(number(candidate)),
        index: Some(number(index)),
        ..BlockStartEvent::default()
    }))
}

/// Ends a block.
pub(super) fn end(index: u64, sink: Sink<'_>) -> Result<(), StreamFault> {
    sink(Event::BlockStop(BlockStopEvent { index: Some(number(index)), ..BlockStopEvent::default() }))
}

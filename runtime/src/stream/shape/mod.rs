//! Gives a stream the shape that its client expects, between reader and writer.
//!
//! What the passes over a buffered answer do to the whole, this does to the events as they come, and keeps
//! back only what it cannot decide yet.

mod custom;
mod cut;
mod seal;

use busbar_protocols::ir::{
    self, Block, BlockStartEvent, BlockStopEvent, DeltaEvent, Event, StartEvent, StopEvent, StopReason,
    ToolKind,
};
use busbar_protocols::{Num, Rules, Text};

use self::custom::FreeText;
use self::cut::{Cutter, Passed};
use self::seal::Seal;
use super::read::{Sink, number};
use super::{Limits, StreamFault};
use crate::translate::{CallState, Carriage};

/// What has been seen of the answers, as far as it bears on what comes.
#[derive(Debug)]
pub(crate) struct Shaper {
    call: CallState,
    to: &'static Rules,
    limits: Limits,
    seal: Seal,
    answers: Vec<Answer>,
    blocks: Vec<Open>,
}

/// One of the answers.
#[derive(Debug)]
struct Answer {
    index: u64,
    calls: u64,
    /// The stop sequence that ended it, though the backend goes on.
    cut: Option<String>,
}

/// A block that has begun and not ended.
#[derive(Debug)]
struct Open {
    block: u64,
    answer: u64,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    /// Passes as it is.
    Plain,
    /// Text in which stop sequences are looked for.
    Cut(Cutter),
    /// Whether a signature has come.
    Reasoning(bool),
    /// Arguments of a function that stands for a tool with free text.
    FreeText(FreeText),
}

impl Shaper {
    pub(crate) fn new(
        call: &CallState,
        from: &'static Rules,
        to: &'static Rules,
        carriage: Carriage,
        limits: Limits,
    ) -> Self {
        let seal = Seal::new(call, from, to, carriage, limits);
        Self { call: call.clone(), to, limits, seal, answers: Vec::new(), blocks: Vec::new() }
    }

    /// Takes an event and hands on what becomes of it.
    pub(crate) fn event(&mut self, event: Event<'_>, emit: Sink<'_>) -> Result<(), StreamFault> {
        match event {
            Event::Start(start) => emit(Event::Start(self.start(start))),
            Event::BlockStart(start) => self.block_start(start, emit),
            Event::Delta(delta) => self.delta(delta, emit),
            Event::BlockStop(stop) => self.block_stop(stop, emit),
            Event::Stop(stop) => self.stop(stop, emit),
            other => emit(other),
        }
    }

    /// The client's own form of id, and the model as the client named it.
    fn start<'a>(&self, mut start: StartEvent<'a>) -> StartEvent<'a> {
        let response = start.response.get_or_insert_default();
        let prefix = self.to.answer.id_prefix;
        let id = response.id.take().map(Text::into_decoded).unwrap_or_default();
        response.id =
            Some(if id.starts_with(prefix) { Text::plain(id) } else { Text::from(format!("{prefix}{id}")) });
        if !self.call.model.is_empty() {
            response.model = Some(Text::from(self.call.model.clone()));
        }
        start
    }

    fn block_start(&mut self, mut start: BlockStartEvent<'_>, emit: Sink<'_>) -> Result<(), StreamFault> {
        let (block, answer) = (count(&start.index), count(&start.candidate));
        let place = self.answer(answer);
        if self.answers[place].cut.is_some() {
            return Ok(());
        }
        let Some(content) = start.block.as_deref_mut() else { return Ok(()) };
        let mut later = None;
        let kind = match content {
            Block::Text(node) => {
                self.seal.other();
                if self.call.stops.is_empty() {
                    Kind::Plain
                } else {
                    later = node.text.take();
                    Kind::Cut(Cutter::default())
                }
            }
            Block::Reasoning(node) => {
                self.seal.begin(node.text.as_ref())?;
                let signature = node.signature.take().filter(|signature| !signature.is_empty());
                let signed = signature.is_some();
                node.signature = signature.map(|signature| self.seal.signature(signature)).transpose()?;
                Kind::Reasoning(signed)
            }
            Block::RedactedReasoning(node) => {
                if let Some(data) = node.data.take() {
                    node.data = Some(self.seal.redacted(data)?);
                }
                Kind::Plain
            }
            Block::ToolCall(node) => {
                self.answers[place].calls += 1;
                node.id = node.id.take().map(|id| self.seal.call(id));
                self.tool(node)
            }
            _ => {
                self.seal.other();
                Kind::Plain
            }
        };
        self.blocks.push(Open { block, answer, kind });
        emit(Event::BlockStart(start))?;
        match later.filter(|text| !text.is_empty()) {
            None => Ok(()),
            text => {
                self.delta(DeltaEvent { index: Some(number(block)), text, ..DeltaEvent::default() }, emit)
            }
        }
    }

    /// Gives a call the name and the kind that the caller knows.
    fn tool(&self, node: &mut ir::ToolCallBlock<'_>) -> Kind {
        let Some(name) = &node.name else { return Kind::Plain };
        let name = name.decode().into_owned();
        if let Some(own) = self.call.tool_names.get(&name) {
            node.name = Some(Text::from(own.clone()));
        }
        if self.call.custom_tools.contains(&name) {
            node.kind = Some(ToolKind::Custom);
            return Kind::FreeText(FreeText::default());
        }
        Kind::Plain
    }

    fn delta(&mut self, mut delta: DeltaEvent<'_>, emit: Sink<'_>) -> Result<(), StreamFault> {
        let block = count(&delta.index);
        let Some(place) = self.blocks.iter().position(|open| open.block == block) else { return Ok(()) };
        let open = &mut self.blocks[place];
        match &mut open.kind {
            Kind::Plain => emit(Event::Delta(delta)),
            Kind::Reasoning(signed) => {
                if let Some(text) = &delta.reasoning {
                    self.seal.text(text)?;
                }
                if let Some(signature) = delta.signature.take().filter(|signature| !signature.is_empty()) {
                    *signed = true;
                    delta.signature = Some(self.seal.signature(signature)?);
                }
                emit(Event::Delta(delta))
            }
            Kind::FreeText(free) => match &delta.arguments {
                Some(arguments) => free.push(arguments, self.limits.held),
                None => Ok(()),
            },
            Kind::Cut(cutter) => {
                let Some(text) = delta.text.take() else { return emit(Event::Delta(delta)) };
                let passed = cutter.push(&text.decode(), &self.call.stops);
                let answer = open.answer;
                self.pass(block, answer, passed, emit)
            }
        }
    }

    /// Hands on text, and after a stop sequence nothing more of that answer.
    fn pass(&mut self, block: u64, answer: u64, passed: Passed, emit: Sink<'_>) -> Result<(), StreamFault> {
        if !passed.text.is_empty() {
            let text = Some(Text::from(passed.text));
            emit(Event::Delta(DeltaEvent { index: Some(number(block)), text, ..DeltaEvent::default() }))?;
        }
        if passed.stop.is_none() {
            return Ok(());
        }
        let place = self.answer(answer);
        self.answers[place].cut = passed.stop;
        for open in self.blocks.extract_if(.., |open| open.answer == answer) {
            emit(block_stop(open.block))?;
        }
        Ok(())
    }

    fn block_stop(&mut self, stop: BlockStopEvent<'_>, emit: Sink<'_>) -> Result<(), StreamFault> {
        let block = count(&stop.index);
        let Some(place) = self.blocks.iter().position(|open| open.block == block) else { return Ok(()) };
        let Open { answer, kind, .. } = self.blocks.remove(place);
        match kind {
            Kind::Plain | Kind::Reasoning(true) => {}
            Kind::Reasoning(false) => {
                if let Some(signature) = self.seal.unsigned() {
                    let (index, signature) = (Some(number(block)), Some(signature));
                    emit(Event::Delta(DeltaEvent { index, signature, ..DeltaEvent::default() }))?;
                }
            }
            Kind::FreeText(free) => {
                let arguments = Some(Text::from(free.finish()));
                let index = Some(number(block));
                emit(Event::Delta(DeltaEvent { index, arguments, ..DeltaEvent::default() }))?;
            }
            Kind::Cut(mut cutter) => {
                let passed = Passed { text: cutter.finish(), stop: None };
                self.pass(block, answer, passed, emit)?;
            }
        }
        emit(Event::BlockStop(stop))
    }

    /// Says why the answer really ended.
    fn stop(&mut self, mut stop: StopEvent<'_>, emit: Sink<'_>) -> Result<(), StreamFault> {
        let place = self.answer(count(&stop.candidate));
        let answer = &mut self.answers[place];
        if let Some(sequence) = answer.cut.take() {
            stop.stop.reason = Some(StopReason::StopSequence);
            stop.stop.sequence = Some(Text::from(sequence));
            return emit(Event::Stop(stop));
        }
        match (&stop.stop.reason, answer.calls) {
            (Some(StopReason::ToolCalls), 0) => stop.stop.reason = Some(StopReason::End),
            (Some(StopReason::End) | None, 1..) => stop.stop.reason = Some(StopReason::ToolCalls),
            _ => {}
        }
        emit(Event::Stop(stop))
    }

    fn answer(&mut self, index: u64) -> usize {
        match self.answers.iter().position(|answer| answer.index == index) {
            Some(place) => place,
            None => {
                self.answers.push(Answer { index, calls: 0, cut: None });
                self.answers.len() - 1
            }
        }
    }
}

fn count(number: &Option<Num<'_>>) -> u64 {
    number.as_ref().and_then(Num::as_u64).unwrap_or(0)
}

fn block_stop(block: u64) -> Event<'static> {
    Event::BlockStop(BlockStopEvent { index: Some(number(block)), ..BlockStopEvent::default() })
}

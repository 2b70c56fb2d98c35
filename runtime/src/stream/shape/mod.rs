//! Gives a stream the shape that its client expects, between reader and writer.
//!
//! What the passes over a buffered answer do to the whole, this does to the events as they come, and keeps
//! back only what it cannot decide yet.

mod cut;
mod held;
mod seal;

use busbar_protocols::ir::{
    self, Block, BlockStartEvent, BlockStopEvent, DeltaEvent, Event, StartEvent, StopEvent, StopReason,
    ToolKind,
};
use busbar_protocols::{EffectKind, Ledger, Num, Rules, Text};

use self::cut::{Cutter, Passed};
use self::held::Held;
use self::seal::{Closed, Seal};
use super::read::{Sink, number};
use super::{Limits, StreamFault};
use crate::translate::carriage::{Apart, Redacted};
use crate::translate::{CallState, Carriage, ONE_CALL, given, made_id};

/// Ids of answers that are longer than this are made anew.
const MAX_ID: usize = 128;
/// Numbers of the blocks that the shaper itself makes, one an answer; no reader counts that far.
const OWN_BLOCKS: u64 = 1 << 32;

/// Why a signature is lost.
const NO_PLACE: &str = "the client's protocol has no place for it";

/// What has been seen of the answers, as far as it bears on what comes.
#[derive(Debug)]
pub(crate) struct Shaper {
    call: CallState,
    to: &'static Rules,
    limits: Limits,
    seal: Seal,
    answers: Vec<Answer>,
    blocks: Vec<Open>,
    /// Blocks that the shaper made for signatures.
    made: u64,
    /// What was changed.
    pub(crate) ledger: Ledger,
}

/// One of the answers.
#[derive(Debug)]
struct Answer {
    index: u64,
    /// Ids of its calls, as the provider gave them.
    calls: Vec<String>,
    /// What the model said in declining.
    refusal: Option<String>,
    /// The stop sequence that ended it, though the backend goes on.
    cut: Option<String>,
}

/// A block that has begun and not ended.
#[derive(Debug)]
struct Open {
    block: u64,
    answer: u64,
    kind: Kind,
    /// The id of a call, as the client knows it without the envelope.
    call: Option<String>,
    /// The signature of a call or a text, which may come at any time before its end.
    signature: Option<String>,
    /// Whether a text has a word.
    said: bool,
}

impl Open {
    fn new(block: u64, answer: u64, kind: Kind) -> Self {
        Self { block, answer, kind, call: None, signature: None, said: false }
    }
}

#[derive(Debug)]
enum Kind {
    /// Passes as it is.
    Plain,
    /// Text in which stop sequences are looked for.
    Cut(Cutter),
    /// Text that must be JSON and has not begun like it.
    Fenced(Held),
    Reasoning,
    Refusal,
    /// Arguments that must be an object; the bytes that came before it was clear that they are none.
    Arguments(Option<Held>),
    /// Arguments of a function that stands for a tool with free text.
    FreeText(Held),
}

impl Shaper {
    pub(crate) fn new(call: &CallState, to: &'static Rules, carriage: Carriage, limits: Limits) -> Self {
        Self {
            call: call.clone(),
            to,
            limits,
            seal: Seal::new(call, to, &carriage, limits),
            answers: Vec::new(),
            blocks: Vec::new(),
            made: 0,
            ledger: Ledger::default(),
        }
    }

    /// Takes an event and hands on what becomes of it.
    pub(crate) fn event(&mut self, event: Event<'_>, emit: Sink<'_>) -> Result<(), StreamFault> {
        match event {
            Event::Start(start) => emit(Event::Start(self.start(start))),
            Event::BlockStart(start) => self.block_start(start, emit),
            Event::Delta(mut delta) => {
                if let Some(citation) = &mut delta.citation {
                    given::name(citation, &self.call.given);
                }
                self.delta(delta, emit)
            }
            Event::BlockStop(stop) => self.block_stop(stop, emit),
            Event::Stop(stop) => self.stop(stop, emit),
            other => emit(other),
        }
    }

    /// An id, a time and a model, where the provider gave none that clients can read.
    fn start<'a>(&self, mut start: StartEvent<'a>) -> StartEvent<'a> {
        let response = start.response.get_or_insert_default();
        let good = response.id.as_ref().map(Text::decode).is_some_and(|id| {
            !id.is_empty() && id.len() <= MAX_ID && id.bytes().all(|byte| byte.is_ascii_graphic())
        });
        if !good {
            let seed = response.id.as_ref().map(|id| id.decode().into_owned()).unwrap_or_default();
            response.id = Some(Text::from(made_id(self.to.answer.id_prefix, &seed, self.call.now)));
        }
        if response.created.is_none() {
            response.created = Some(Num::from(self.call.now));
        }
        if response.model.is_none() {
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
        let another = matches!(content, Block::ToolCall(_)) && !self.answers[place].calls.is_empty();
        if self.call.one_call && another {
            self.ledger.note(EffectKind::Emulated, "tool_calls", ONE_CALL);
            return Ok(());
        }
        let mut said = DeltaEvent::default();
        let (mut call, mut place_of, mut hidden) = (None, None, false);
        let kind = match content {
            Block::Text(node) => {
                self.seal.other(answer);
                said.text = node.text.take();
                said.signature = node.signature.take();
                self.text_kind()
            }
            Block::Refusal(node) if !self.seal.home() => {
                self.seal.other(answer);
                said.refusal = node.text.take();
                if !self.to.answer.refusal_content {
                    *content = Block::Text(ir::TextBlock::default());
                }
                Kind::Refusal
            }
            Block::Reasoning(node) => {
                let id = node.id.as_ref().map(|id| id.decode().into_owned());
                self.seal.begin(answer, id);
                said.reasoning = node.text.take();
                said.signature = node.signature.take();
                Kind::Reasoning
            }
            Block::RedactedReasoning(node) if !self.seal.home() => {
                let data = node.data.take().unwrap_or_default();
                let id = node.id.take().map(|id| id.decode().into_owned());
                match self.seal.redacted(answer, &data, id)? {
                    Redacted::Data(data) => node.data = Some(Text::from(data)),
                    Redacted::Signature(signature) => {
                        *content = Block::Reasoning(ir::ReasoningBlock::default());
                        place_of = Some(Text::from(signature));
                    }
                    Redacted::Nothing => hidden = true,
                }
                Kind::Plain
            }
            Block::ToolCall(node) => {
                let kind = self.tool(node, place);
                let own = node.id.take().map(|id| id.decode().into_owned()).unwrap_or_default();
                let signature = node.signature.take().map(|text| text.decode().into_owned());
                let sealed = self.seal.call(answer, own.clone(), signature.filter(|text| !text.is_empty()));
                node.id = Some(Text::from(sealed.id));
                node.signature = sealed.signature.map(Text::from);
                let before = sealed.before.and_then(|block| self.seal.block(answer, block));
                if sealed.lost {
                    self.ledger.note(EffectKind::Dropped, "tool_calls.signature", NO_PLACE);
                }
                if let Some(data) = before {
                    self.extra(data, answer, emit)?;
                }
                call = Some(own);
                kind
            }
            _ => {
                self.seal.other(answer);
                Kind::Plain
            }
        };
        if hidden {
            return Ok(());
        }
        self.blocks.push(Open { call, ..Open::new(block, answer, kind) });
        emit(Event::BlockStart(start))?;
        if place_of.is_some() {
            let index = Some(number(block));
            emit(Event::Delta(DeltaEvent { index, signature: place_of, ..DeltaEvent::default() }))?;
        }
        if said == DeltaEvent::default() {
            return Ok(());
        }
        said.index = Some(number(block));
        self.delta(said, emit)
    }

    fn text_kind(&self) -> Kind {
        match () {
            () if self.call.bare_json => Kind::Fenced(Held::default()),
            () if self.call.stops.is_empty() => Kind::Plain,
            () => Kind::Cut(Cutter::default()),
        }
    }

    /// Gives a call the name and the kind that the caller knows, and an id of its own.
    fn tool(&mut self, node: &mut ir::ToolCallBlock<'_>, place: usize) -> Kind {
        let own = node.id.as_ref().map(|id| id.decode().into_owned()).unwrap_or_default();
        let calls = &mut self.answers[place].calls;
        let id = if own.is_empty() || (calls.contains(&own) && !self.seal.home()) {
            let seed = format!("{own}/{}", calls.len());
            let reason = "the provider gave the call no id of its own";
            self.ledger.note(EffectKind::Injected, "tool_calls.id", reason);
            made_id(self.to.call_ids.prefix, &seed, self.call.now)
        } else {
            own.clone()
        };
        calls.push(own);
        node.id = Some(Text::from(id));
        let free = self.call.restore_name(node);
        if !self.to.tools.groups && node.namespace.take().is_some() {
            let reason = "the client's protocol has no groups of tools";
            self.ledger.note(EffectKind::Dropped, "tool_calls.namespace", reason);
        }
        if free {
            node.kind = Some(ToolKind::Custom);
            return Kind::FreeText(Held::default());
        }
        let object = self.to.tools.object_arguments || node.kind == Some(ToolKind::Search);
        if object && !self.seal.home() { Kind::Arguments(None) } else { Kind::Plain }
    }

    fn delta(&mut self, mut delta: DeltaEvent<'_>, emit: Sink<'_>) -> Result<(), StreamFault> {
        let block = count(&delta.index);
        let Some(place) = self.blocks.iter().position(|open| open.block == block) else { return Ok(()) };
        let limit = self.limits.held;
        let Open { answer, kind, signature, said, call, .. } = &mut self.blocks[place];
        let answer = *answer;
        *said |= delta.text.as_ref().is_some_and(|text| !text.is_empty());
        let signs = call.is_some() || matches!(kind, Kind::Plain | Kind::Cut(_) | Kind::Fenced(_));
        if !self.seal.home()
            && signs
            && let Some(more) = delta.signature.take()
        {
            // It goes out whole behind the block, sealed.
            self.seal.hold(answer, more.written_len())?;
            if !more.is_empty() {
                signature.get_or_insert_default().push_str(&more.decode());
            }
            if delta == (DeltaEvent { index: delta.index.clone(), ..DeltaEvent::default() }) {
                return Ok(());
            }
        }
        match kind {
            Kind::Plain => {}
            Kind::Reasoning => {
                if let Some(text) = &delta.reasoning {
                    self.seal.text(answer, text)?;
                }
                // It goes out whole when the block ends, sealed if need be.
                if let Some(signature) = delta.signature.take() {
                    self.seal.signature(answer, &signature)?;
                    if delta.reasoning.is_none() {
                        return Ok(());
                    }
                }
            }
            Kind::Refusal => {
                let text = delta.refusal.take().or(delta.text.take()).unwrap_or_default();
                let place = self.answer(answer);
                let said = self.answers[place].refusal.get_or_insert_default();
                if said.len() + text.written_len() > limit {
                    return Err(StreamFault::TooMuchHeld { limit });
                }
                said.push_str(&text.decode());
                if self.to.answer.refusal_content {
                    delta.refusal = Some(text);
                } else {
                    delta.text = Some(text);
                }
            }
            Kind::Arguments(held) => {
                if let Some(text) = &delta.arguments {
                    if held.is_none() && text.decode().trim_start().starts_with('{') {
                        *kind = Kind::Plain;
                    } else {
                        return held.get_or_insert_default().push(text, limit);
                    }
                }
            }
            Kind::FreeText(held) => {
                return delta.arguments.as_ref().map_or(Ok(()), |text| held.push(text, limit));
            }
            Kind::Fenced(held) => {
                if let Some(text) = &delta.text {
                    let bare = held.is_empty() && text.decode().trim_start().starts_with(['{', '[']);
                    if !bare {
                        return held.push(text, limit);
                    }
                    *kind =
                        if self.call.stops.is_empty() { Kind::Plain } else { Kind::Cut(Cutter::default()) };
                    return self.delta(delta, emit);
                }
            }
            Kind::Cut(cutter) => {
                if let Some(text) = delta.text.take() {
                    let passed = cutter.push(&text.decode(), &self.call.stops);
                    return self.pass(block, answer, passed, emit);
                }
            }
        }
        emit(Event::Delta(delta))
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
        let Open { answer, kind, call, signature, said, .. } = self.blocks.remove(place);
        let mut last = DeltaEvent::default();
        let mut behind = None;
        match signature.map(|signature| self.seal.late(answer, call.as_deref(), signature, !said)) {
            None => {}
            Some(Apart::Own(signature)) => last.signature = Some(Text::from(signature)),
            Some(Apart::Block(data)) => behind = Some(data),
            Some(Apart::Lost) => self.ledger.note(EffectKind::Dropped, "content.signature", NO_PLACE),
        }
        match kind {
            Kind::Plain | Kind::Refusal | Kind::Arguments(None) => {}
            Kind::Reasoning => {
                let Closed { signature, text } = self.seal.end(answer);
                last.signature = signature.map(Text::from);
                last.text = text.map(Text::from);
            }
            Kind::FreeText(held) => last.arguments = Some(Text::from(held.free_text())),
            Kind::Arguments(Some(held)) => {
                let reason = "arguments that are no JSON object stand in one";
                self.ledger.note(EffectKind::Adapted, "tool_calls.arguments", reason);
                last.arguments = Some(Text::from(held.object()));
            }
            Kind::Fenced(held) => {
                let (text, taken) = held.bare_json();
                if taken {
                    let reason = "the JSON was taken out of a code fence";
                    self.ledger.note(EffectKind::Emulated, "content.text", reason);
                }
                let passed = Cutter::default().push(&text, &self.call.stops);
                let is_cut = passed.stop.is_some();
                self.blocks.push(Open::new(block, answer, Kind::Plain));
                self.pass(block, answer, passed, emit)?;
                if is_cut {
                    return Ok(());
                }
                self.blocks.retain(|open| open.block != block);
            }
            Kind::Cut(mut cutter) => last.text = Some(Text::from(cutter.finish())),
        }
        if last != DeltaEvent::default() {
            last.index = Some(number(block));
            emit(Event::Delta(last))?;
        }
        emit(Event::BlockStop(stop))?;
        behind.map_or(Ok(()), |data| self.extra(data, answer, emit))
    }

    /// A block of encrypted reasoning that holds a signature of something else.
    fn extra(&mut self, data: String, answer: u64, emit: Sink<'_>) -> Result<(), StreamFault> {
        let index = OWN_BLOCKS.saturating_mul(2).saturating_add(self.made);
        self.made += 1;
        let node = ir::RedactedReasoningBlock { data: Some(Text::from(data)), ..Default::default() };
        emit(Event::BlockStart(BlockStartEvent {
            block: Some(Box::new(Block::RedactedReasoning(node))),
            candidate: Some(number(answer)),
            index: Some(number(index)),
            ..BlockStartEvent::default()
        }))?;
        emit(block_stop(index))
    }

    /// Says why the answer really ended.
    fn stop(&mut self, mut stop: StopEvent<'_>, emit: Sink<'_>) -> Result<(), StreamFault> {
        let candidate = count(&stop.candidate);
        let place = self.answer(candidate);
        let home = self.seal.home();
        if self.seal.leaves(candidate) {
            let reason = "signed reasoning that leads to no call has no place in the client's protocol";
            self.ledger.note(EffectKind::Dropped, "content.reasoning.signature", reason);
        }
        let answer = &mut self.answers[place];
        if let Some(sequence) = answer.cut.take() {
            stop.stop.reason = Some(StopReason::StopSequence);
            stop.stop.sequence = Some(Text::from(sequence));
            return emit(Event::Stop(stop));
        }
        if home {
            return emit(Event::Stop(stop));
        }
        let reason = match stop.stop.reason.take() {
            None | Some(StopReason::End) if !answer.calls.is_empty() => StopReason::ToolCalls,
            Some(StopReason::ToolCalls) if answer.calls.is_empty() => StopReason::End,
            Some(reason) => reason,
            None => StopReason::End,
        };
        stop.stop.reason = Some(reason);
        let stop = self.refused(stop, candidate, emit)?;
        emit(Event::Stop(stop))
    }

    /// A refusal is content for some and a reason to stop for others.
    fn refused<'a>(
        &mut self,
        mut stop: StopEvent<'a>,
        candidate: u64,
        emit: Sink<'_>,
    ) -> Result<StopEvent<'a>, StreamFault> {
        let place = self.answer(candidate);
        let said = self.answers[place].refusal.take();
        let end = &mut stop.stop;
        if self.to.answer.refusal_content {
            let refused = end.reason == Some(StopReason::Refusal);
            let explanation = if refused { end.explanation.take() } else { None };
            if let Some(text) = explanation {
                let index = OWN_BLOCKS.saturating_add(candidate);
                let block =
                    Block::Refusal(ir::RefusalBlock { text: Some(text), ..ir::RefusalBlock::default() });
                emit(Event::BlockStart(BlockStartEvent {
                    block: Some(Box::new(block)),
                    candidate: Some(number(candidate)),
                    index: Some(number(index)),
                    ..BlockStartEvent::default()
                }))?;
                emit(block_stop(index))?;
            }
            return Ok(stop);
        }
        if said.is_some() {
            end.reason = Some(StopReason::Refusal);
            end.explanation = end.explanation.take().or(said.map(Text::from));
        }
        Ok(stop)
    }

    fn answer(&mut self, index: u64) -> usize {
        match self.answers.iter().position(|answer| answer.index == index) {
            Some(place) => place,
            None => {
                self.answers.push(Answer { index, calls: Vec::new(), refusal: None, cut: None });
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

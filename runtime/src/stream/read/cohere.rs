//! Reads a stream of Cohere chat events.

use busbar_protocols::cohere::{
    self as wire, AssistantContent, ChatFinishReason, ChatResponse, ChatStreamEvent, CitationType, ToolCallV2,
};
use busbar_protocols::ir::{self, Block, DeltaEvent, EndEvent, Event, StartEvent, StopEvent, UsageEvent};
use busbar_protocols::prelude::{Checked, Native, Paths, ReadCx};
use busbar_protocols::{Field, Num, Text, Wire};

use super::openai_chat::{Numbers, begin, end};
use super::{Notes, Sink, num, number, told};
use crate::Protocol;
use crate::stream::usage::Counts;
use crate::stream::{Limits, StreamFault};
use crate::translate::cohere;

/// Where a stream of chat events stands.
#[derive(Debug)]
pub(crate) struct Reader {
    blocks: Numbers,
    open: Vec<Open>,
    /// Characters of text so far.
    chars: u64,
    started: bool,
    ended: bool,
}

/// A block that has begun and not ended.
#[derive(Debug)]
struct Open {
    kind: Kind,
    /// The provider's number, counted apart for content and for calls.
    wire: u64,
    block: u64,
    /// Characters of text before it.
    from: u64,
    /// Its end has come. A text stays open for its citations, which come behind it, until something else does.
    is_over: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Plan,
    Text,
    Thinking,
    Call,
}

impl Reader {
    pub(crate) fn new(limits: Limits) -> Self {
        Self { blocks: Numbers::new(limits), open: Vec::new(), chars: 0, started: false, ended: false }
    }

    pub(crate) fn step(
        &mut self,
        data: Checked<'_>,
        notes: &mut Notes,
        sink: Sink<'_>,
    ) -> Result<(), StreamFault> {
        if self.ended {
            return Ok(());
        }
        match ChatStreamEvent::from_checked(data)? {
            ChatStreamEvent::MessageStart(event) => {
                if self.started {
                    return Err(StreamFault::OutOfOrder("it begins twice"));
                }
                self.start(event.id.value(), sink)
            }
            _ if !self.started && is_message(data) => Err(told(Protocol::Cohere, data)),
            ChatStreamEvent::MessageEnd(event) => {
                let delta = event.delta.value().unwrap_or_default();
                let error = delta.error.value().filter(|error| !error.is_empty());
                self.end(delta.finish_reason.value(), delta.usage.value(), error, notes, sink)
            }
            _ if !self.started => Err(StreamFault::OutOfOrder("an event before the beginning")),
            ChatStreamEvent::ContentStart(event) => {
                let message = event.delta.value().and_then(|delta| delta.message.value());
                let content = message.and_then(|message| message.content.value()).unwrap_or_default();
                let is_thinking = content.r#type.as_ref().is_some_and(|kind| kind.text() == *"thinking");
                let kind = if is_thinking { Kind::Thinking } else { Kind::Text };
                let index = num(&event.index)?;
                self.begin(kind, index, sink)?;
                self.say(kind, index, content.thinking.value().or(content.text.value()), sink)
            }
            ChatStreamEvent::ContentDelta(event) => {
                if event.logprobs.as_ref().is_some() {
                    notes.dropped("logprobs", "token probabilities are written in the model's own tokens");
                }
                let message = event.delta.value().and_then(|delta| delta.message.value());
                let content = message.and_then(|message| message.content.value()).unwrap_or_default();
                let index = num(&event.index)?;
                self.say(Kind::Thinking, index, content.thinking.value(), sink)?;
                self.say(Kind::Text, index, content.text.value(), sink)
            }
            ChatStreamEvent::ContentEnd(event) => {
                let index = num(&event.index)?;
                for kind in [Kind::Text, Kind::Thinking] {
                    if let Some(open) = self.find(kind, index) {
                        open.is_over = true;
                    }
                }
                Ok(())
            }
            ChatStreamEvent::ToolPlanDelta(event) => {
                let message = event.delta.value().and_then(|delta| delta.message.value());
                self.plan(message.and_then(|message| message.tool_plan.value()), sink)
            }
            ChatStreamEvent::ToolCallStart(event) => {
                let message = event.delta.value().and_then(|delta| delta.message.value());
                let call = message.and_then(|message| message.tool_calls.value());
                self.call(num(&event.index)?, call.map(|call| *call).unwrap_or_default(), sink)
            }
            ChatStreamEvent::ToolCallDelta(event) => {
                let message = event.delta.value().and_then(|delta| delta.message.value());
                let call = message.and_then(|message| message.tool_calls.value());
                let function = call.and_then(|call| call.function.value());
                let arguments = function.and_then(|function| function.arguments.value());
                self.arguments(num(&event.index)?, arguments, sink)
            }
            ChatStreamEvent::ToolCallEnd(event) => {
                let index = num(&event.index)?;
                self.close(|open| open.kind == Kind::Call && open.wire == index, sink)
            }
            ChatStreamEvent::CitationStart(event) => {
                let message = event.delta.value().and_then(|delta| delta.message.value());
                let citation = message.and_then(|message| message.citations.value());
                citation.map_or(Ok(()), |citation| self.cite(*citation, notes, sink))
            }
            ChatStreamEvent::CitationEnd(_) => Ok(()),
            ChatStreamEvent::Debug(_) => {
                notes.dropped("event.debug", "the prompt as one provider made it");
                Ok(())
            }
            ChatStreamEvent::Other(_) if is_message(data) => Err(told(Protocol::Cohere, data)),
            ChatStreamEvent::Other(value) => {
                notes.unknown("event", &value);
                Ok(())
            }
        }
    }

    /// Takes a whole answer in place of a stream.
    pub(crate) fn whole(
        &mut self,
        data: Checked<'_>,
        notes: &mut Notes,
        sink: Sink<'_>,
    ) -> Result<(), StreamFault> {
        let response = ChatResponse::from_checked(data)?;
        let Some(message) = response.message.value() else { return Err(StreamFault::Cut) };
        if response.logprobs.as_ref().is_some() {
            notes.dropped("logprobs", "token probabilities are written in the model's own tokens");
        }
        self.start(response.id.value(), sink)?;
        self.plan(message.tool_plan.value(), sink)?;
        let mut citations = message.citations.value().unwrap_or_default();
        for (index, content) in (0u64..).zip(message.content.value().unwrap_or_default()) {
            match content {
                AssistantContent::Text(content) => {
                    self.begin(Kind::Text, index, sink)?;
                    self.say(Kind::Text, index, content.text.value(), sink)?;
                }
                AssistantContent::Thinking(content) => {
                    self.begin(Kind::Thinking, index, sink)?;
                    self.say(Kind::Thinking, index, content.thinking.value(), sink)?;
                }
                AssistantContent::Other(value) => notes.unknown("message.content", &value),
            }
            let of_this = |citation: &mut wire::Citation<'_>| {
                citation.content_index.as_ref().and_then(Num::as_u64).is_none_or(|at| at <= index)
            };
            for citation in citations.extract_if(.., of_this) {
                self.cite(citation, notes, sink)?;
            }
        }
        for (index, call) in (0u64..).zip(message.tool_calls.value().unwrap_or_default()) {
            self.call(index, call, sink)?;
            self.close(|open| open.kind == Kind::Call, sink)?;
        }
        self.end(response.finish_reason.value(), response.usage.value(), None, notes, sink)
    }

    /// The upstream's end.
    pub(crate) fn finish(&mut self) -> Result<(), StreamFault> {
        if self.ended { Ok(()) } else { Err(StreamFault::Cut) }
    }

    pub(crate) fn stopped(&self) -> bool {
        self.ended
    }

    fn start(&mut self, id: Option<Text<'_>>, sink: Sink<'_>) -> Result<(), StreamFault> {
        self.started = true;
        let response = Some(Box::new(ir::Response { id, ..ir::Response::default() }));
        sink(Event::Start(StartEvent { response, ..StartEvent::default() }))
    }

    /// Begins a block of text or reasoning.
    fn begin(&mut self, kind: Kind, wire: u64, sink: Sink<'_>) -> Result<(), StreamFault> {
        self.settle(sink)?;
        if self.find(kind, wire).is_some() {
            return Err(StreamFault::OutOfOrder("a block begins twice"));
        }
        let block = match kind {
            Kind::Text => Block::Text(ir::TextBlock::default()),
            Kind::Plan => {
                Block::Reasoning(ir::ReasoningBlock { bare: Some(true), ..ir::ReasoningBlock::default() })
            }
            Kind::Thinking | Kind::Call => Block::Reasoning(ir::ReasoningBlock::default()),
        };
        self.open(kind, wire, block, sink)
    }

    fn open(&mut self, kind: Kind, wire: u64, block: Block<'_>, sink: Sink<'_>) -> Result<(), StreamFault> {
        let number = self.blocks.take()?;
        self.open.push(Open { kind, wire, block: number, from: self.chars, is_over: false });
        begin(number, 0, block, sink)
    }

    /// More of a text or of reasoning.
    fn say(
        &mut self,
        kind: Kind,
        wire: u64,
        text: Option<Text<'_>>,
        sink: Sink<'_>,
    ) -> Result<(), StreamFault> {
        let Some(text) = text.filter(|text| !text.is_empty()) else { return Ok(()) };
        let open =
            self.find(kind, wire).ok_or(StreamFault::OutOfOrder("a delta of a block that is not open"))?;
        let mut event = DeltaEvent { index: Some(number(open.block)), ..DeltaEvent::default() };
        if kind == Kind::Text {
            self.chars += text.decode().chars().count() as u64;
            event.text = Some(text);
        } else {
            event.reasoning = Some(text);
        }
        sink(Event::Delta(event))
    }

    /// More of what the model means to do with its calls.
    fn plan(&mut self, text: Option<Text<'_>>, sink: Sink<'_>) -> Result<(), StreamFault> {
        let Some(text) = text.filter(|text| !text.is_empty()) else { return Ok(()) };
        if self.find(Kind::Plan, 0).is_none() {
            self.begin(Kind::Plan, 0, sink)?;
        }
        self.say(Kind::Plan, 0, Some(text), sink)
    }

    fn call(&mut self, wire: u64, call: ToolCallV2<'_>, sink: Sink<'_>) -> Result<(), StreamFault> {
        self.settle(sink)?;
        if self.find(Kind::Call, wire).is_some() {
            return Err(StreamFault::OutOfOrder("a block begins twice"));
        }
        let function = call.function.value().unwrap_or_default();
        let node = ir::ToolCallBlock {
            id: call.id.value(),
            name: function.name.value(),
            kind: Some(ir::ToolKind::Function),
            ..ir::ToolCallBlock::default()
        };
        self.open(Kind::Call, wire, Block::ToolCall(node), sink)?;
        self.arguments(wire, function.arguments.value(), sink)
    }

    fn arguments(
        &mut self,
        wire: u64,
        arguments: Option<Text<'_>>,
        sink: Sink<'_>,
    ) -> Result<(), StreamFault> {
        let open = self.find(Kind::Call, wire);
        let block = open.ok_or(StreamFault::OutOfOrder("a delta of a call that is not open"))?.block;
        let Some(text) = arguments.filter(|text| !text.is_empty()) else { return Ok(()) };
        let (index, arguments) = (Some(number(block)), Some(text));
        sink(Event::Delta(DeltaEvent { index, arguments, ..DeltaEvent::default() }))
    }

    /// Tells what supports some words of a text, source by source.
    fn cite(
        &mut self,
        citation: wire::Citation<'_>,
        notes: &mut Notes,
        sink: Sink<'_>,
    ) -> Result<(), StreamFault> {
        let of_text = matches!(citation.r#type.as_ref(), None | Some(CitationType::TextContent));
        let index = citation.content_index.as_ref().and_then(Num::as_u64);
        let mut texts = self.open.iter().filter(|open| open.kind == Kind::Text);
        let open = texts.rfind(|open| index.is_none_or(|index| open.wire == index));
        let (Some(open), true) = (open, of_text) else {
            notes.dropped("citations", "it supports something else than the text that is open");
            return Ok(());
        };
        let at = |position: &Field<Num<'_>>| position.as_ref().and_then(Num::as_u64);
        let place = at(&citation.start).zip(at(&citation.end));
        let place =
            place.map(|(start, end)| (open.from.saturating_add(start), open.from.saturating_add(end)));
        let block = open.block;
        let sources = citation.sources.value().unwrap_or_default();
        if sources.is_empty() {
            notes.dropped("citations", "it names no source");
        }
        for source in &sources {
            if let wire::Source::Other(value) = source {
                notes.unknown("citations.sources", value);
                continue;
            }
            let mut node = cohere::cited(source);
            if let Some((start, end)) = place {
                (node.text_start, node.text_end) = (Some(Num::from(start)), Some(Num::from(end)));
            }
            let (index, citation) = (Some(number(block)), Some(Box::new(node)));
            sink(Event::Delta(DeltaEvent { index, citation, ..DeltaEvent::default() }))?;
        }
        Ok(())
    }

    fn end(
        &mut self,
        reason: Option<ChatFinishReason<'_>>,
        usage: Option<Box<wire::Usage<'_>>>,
        error: Option<Text<'_>>,
        notes: &mut Notes,
        sink: Sink<'_>,
    ) -> Result<(), StreamFault> {
        let status = match (&reason, &error) {
            (Some(ChatFinishReason::Timeout), _) => Some(504),
            (Some(ChatFinishReason::Error), _) | (None, Some(_)) => Some(500),
            _ => None,
        };
        if let Some(status) = status {
            let words = error.map_or("the provider could not finish the answer".into(), Text::into_decoded);
            let event = serde_json::json!({ "message": words, "code": status }).to_string();
            return Err(told(Protocol::Cohere, Checked::new(event.as_bytes())?));
        }
        if !self.started {
            return Err(StreamFault::OutOfOrder("an end before the beginning"));
        }
        let Some(reason) = reason else {
            return Err(StreamFault::OutOfOrder("it ends without a finish reason"));
        };
        self.close(|_| true, sink)?;
        if let Some(mut usage) = usage {
            cohere::count(&mut usage);
            let mut cx = ReadCx::default();
            let (mut node, mut native) = (ir::Usage::default(), Native::default());
            wire::read_usage(*usage, &mut node, &mut native, &mut cx, Paths::ROOT);
            notes.usage(&native);
            let usage = Some(Box::new(Counts::of(&node).usage()));
            sink(Event::Usage(UsageEvent { usage, ..UsageEvent::default() }))?;
        }
        self.ended = true;
        let reason = Some(wire::read_chat_finish_reason(reason));
        let stop = ir::Stop { reason, ..ir::Stop::default() };
        sink(Event::Stop(StopEvent { stop, ..StopEvent::default() }))?;
        sink(Event::End(EndEvent::default()))
    }

    fn find(&mut self, kind: Kind, wire: u64) -> Option<&mut Open> {
        self.open.iter_mut().find(|open| open.kind == kind && open.wire == wire && !open.is_over)
    }

    /// Ends what is over, and a plan, which nothing else ends.
    fn settle(&mut self, sink: Sink<'_>) -> Result<(), StreamFault> {
        self.close(|open| open.is_over || open.kind == Kind::Plan, sink)
    }

    fn close(&mut self, which: impl Fn(&Open) -> bool, sink: Sink<'_>) -> Result<(), StreamFault> {
        for open in self.open.extract_if(.., |open| which(open)) {
            end(open.block, sink)?;
        }
        Ok(())
    }
}

/// Whether this is an error as Cohere tells it in place of an answer.
fn is_message(data: Checked<'_>) -> bool {
    #[derive(serde::Deserialize)]
    struct Words {
        #[serde(rename = "message")]
        _message: String,
    }
    serde_json::from_str::<Words>(data.as_str()).is_ok()
}

//! Reads a stream of responses events.
//!
//! Servers differ in how much they stream: what never came in pieces is taken from the event that has all of
//! a part, an item or the answer, and what came in pieces is not taken again.

mod items;
mod view;

use busbar_protocols::ir::{self, EndEvent, Event, PingEvent, StartEvent, StopEvent, StopReason, UsageEvent};
use busbar_protocols::openai_responses as wire;
use busbar_protocols::prelude::{Checked, Native, Paths, ReadCx};
use busbar_protocols::{Text, Wire};

use self::items::{Item, Kind, Source, part_of, whole_part};
use self::view::{Said, Whole};
use super::openai_chat::Numbers;
use super::{Notes, Sink, told};
use crate::Protocol;
use crate::stream::usage::Counts;
use crate::stream::{Limits, StreamFault};

/// Where a stream of responses events stands.
#[derive(Debug)]
pub(crate) struct Reader {
    blocks: Numbers,
    items: Vec<Item>,
    started: bool,
    ended: bool,
}

impl Reader {
    pub(crate) fn new(limits: Limits) -> Self {
        Self { blocks: Numbers::new(limits), items: Vec::new(), started: false, ended: false }
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
        let said: Said<'_> = view::read(data.as_str())?;
        let kind = said.kind();
        let kind = kind.decode();
        match &*kind {
            "response.created" | "response.in_progress" | "response.queued" => {
                if self.started {
                    return sink(Event::Ping(PingEvent::default()));
                }
                let whole = said.response().map(view::read).transpose()?;
                self.start(whole.as_ref(), sink)
            }
            "response.completed" | "response.incomplete" | "response.failed" | "response.cancelled" => {
                match said.response() {
                    Some(response) => self.end(response, &kind, notes, sink),
                    None => Err(StreamFault::OutOfOrder("it ends without its answer")),
                }
            }
            "error" => Err(told(Protocol::OpenaiResponses, data)),
            _ if !self.started => {
                self.start(None, sink)?;
                self.content(&kind, &said, data, notes, sink)
            }
            _ => self.content(&kind, &said, data, notes, sink),
        }
    }

    /// Takes a whole answer in place of a stream.
    pub(crate) fn whole(
        &mut self,
        response: Checked<'_>,
        notes: &mut Notes,
        sink: Sink<'_>,
    ) -> Result<(), StreamFault> {
        self.end(response.as_str(), "response.completed", notes, sink)
    }

    /// The upstream's end, told or not.
    pub(crate) fn finish(&mut self) -> Result<(), StreamFault> {
        if self.ended { Ok(()) } else { Err(StreamFault::Cut) }
    }

    pub(crate) fn stopped(&self) -> bool {
        self.ended
    }

    fn start(&mut self, whole: Option<&Whole<'_>>, sink: Sink<'_>) -> Result<(), StreamFault> {
        self.started = true;
        let mut response = ir::Response::default();
        if let Some(whole) = whole {
            let id = whole.id();
            self.blocks.name(id.as_ref());
            response = ir::Response {
                id,
                model: whole.model(),
                created: whole.created_at(),
                service_tier: whole
                    .service_tier()
                    .map(|tier| wire::read_service_tier(wire::ServiceTier::from_text(tier))),
                ..response
            };
        }
        sink(Event::Start(StartEvent { response: Some(Box::new(response)), ..StartEvent::default() }))
    }

    fn content(
        &mut self,
        kind: &str,
        said: &Said<'_>,
        data: Checked<'_>,
        notes: &mut Notes,
        sink: Sink<'_>,
    ) -> Result<(), StreamFault> {
        let held = self.blocks.held();
        match kind {
            "response.output_text.delta" | "response.refusal.delta" => {
                let part = self.part(said, kind == "response.refusal.delta", sink)?;
                part.say(said.delta().unwrap_or_default(), sink)
            }
            "response.output_text.done" | "response.refusal.done" => {
                let refusal = kind == "response.refusal.done";
                if !said.logprobs().is_empty() {
                    let reason = "token probabilities have no form in the stream's target";
                    notes.dropped("output.content.logprobs", reason);
                }
                let part = self.part(said, refusal, sink)?;
                part.rest(if refusal { said.refusal() } else { said.text() }, sink)
            }
            "response.output_text.annotation.added" => match said.annotation() {
                Some(annotation) => self.part(said, false, sink)?.cite(annotation, notes, sink),
                None => Ok(()),
            },
            "response.function_call_arguments.delta" | "response.custom_tool_call_input.delta" => {
                match &mut self.item(said, call_kind(kind))?.kind {
                    Kind::Call(call) => call.more(said.delta().unwrap_or_default(), held, sink),
                    _ => Err(StreamFault::OutOfOrder("arguments of an item that is no call")),
                }
            }
            "response.function_call_arguments.done" | "response.custom_tool_call_input.done" => {
                match &mut self.item(said, call_kind(kind))?.kind {
                    Kind::Call(call) => call.whole(said.arguments().or(said.input()), sink),
                    _ => Err(StreamFault::OutOfOrder("arguments of an item that is no call")),
                }
            }
            "response.reasoning_summary_text.delta" => {
                let place = (Source::Summary, said.summary_index().unwrap_or(0));
                self.thought(said, place, said.delta(), false, notes, sink)
            }
            "response.reasoning_summary_text.done" => {
                let place = (Source::Summary, said.summary_index().unwrap_or(0));
                self.thought(said, place, said.text(), true, notes, sink)
            }
            "response.reasoning_text.delta" => {
                let place = (Source::Text, said.content_index().unwrap_or(0));
                self.thought(said, place, said.delta(), false, notes, sink)
            }
            "response.output_item.added" => self.added(said, sink),
            "response.output_item.done" => match said.item() {
                Some(json) => {
                    let item: view::Item<'_> = view::read(json)?;
                    let place = self.place(said, &item.kind().decode(), item.id())?;
                    self.finish_item(place, json, notes, sink)
                }
                None => Ok(()),
            },
            "response.content_part.added" => {
                let kind = match said.part() {
                    Some(json) => view::read::<view::Part<'_>>(json)?.kind(),
                    None => Text::default(),
                };
                match &*kind.decode() {
                    "output_text" => self.part(said, false, sink).map(drop),
                    "refusal" => self.part(said, true, sink).map(drop),
                    _ => Ok(()),
                }
            }
            "response.content_part.done" => match said.part() {
                Some(json) => {
                    let place = self.place(said, "", None)?;
                    let index = said.content_index().unwrap_or(0);
                    let Self { blocks, items, .. } = self;
                    match items.get_mut(place).map(|item| &mut item.kind) {
                        Some(Kind::Message(parts)) => whole_part(parts, index, json, blocks, notes, sink),
                        _ => Ok(()),
                    }
                }
                None => Ok(()),
            },
            // The whole of the reasoning comes with its item.
            "response.reasoning_text.done"
            | "response.reasoning_summary_part.added"
            | "response.reasoning_summary_part.done" => Ok(()),
            _ if said.output_index().is_some() && is_hosted(kind) => Ok(()),
            _ => {
                if let Some(value) = view::json(data.as_str()) {
                    notes.unknown("event", &value);
                }
                Ok(())
            }
        }
    }

    fn thought(
        &mut self,
        said: &Said<'_>,
        place: (Source, u64),
        text: Option<Text<'_>>,
        whole: bool,
        notes: &mut Notes,
        sink: Sink<'_>,
    ) -> Result<(), StreamFault> {
        let at = self.place(said, "reasoning", None)?;
        let Self { blocks, items, .. } = self;
        let Some(Item { id, kind: Kind::Reasoning(thought), done: false, .. }) = items.get_mut(at) else {
            return Err(StreamFault::OutOfOrder("reasoning of an item that is none"));
        };
        match text {
            Some(text) if !whole => thought.say(place, text, id, blocks, notes, sink),
            text => thought.rest(place, text, id, blocks, notes, sink),
        }
    }

    fn added(&mut self, said: &Said<'_>, sink: Sink<'_>) -> Result<(), StreamFault> {
        let Some(json) = said.item() else { return Ok(()) };
        let item: view::Item<'_> = view::read(json)?;
        let place = self.place(said, &item.kind().decode(), item.id())?;
        let Self { blocks, items, .. } = self;
        match items.get_mut(place).map(|item| &mut item.kind) {
            Some(Kind::Call(call)) => call.named(&item, place as u64, blocks, sink),
            _ => Ok(()),
        }
    }

    /// The part of a message that the event is about.
    fn part(
        &mut self,
        said: &Said<'_>,
        refusal: bool,
        sink: Sink<'_>,
    ) -> Result<&mut items::Part, StreamFault> {
        let place = self.place(said, "message", None)?;
        let Self { blocks, items, .. } = self;
        match items.get_mut(place) {
            Some(Item { kind: Kind::Message(parts), done: false, .. }) => {
                let index = said.content_index().unwrap_or(0);
                part_of(parts, index, refusal, blocks, sink)
            }
            _ => Err(StreamFault::OutOfOrder("text of an item that is no message, or has ended")),
        }
    }

    fn item(&mut self, said: &Said<'_>, kind: &str) -> Result<&mut Item, StreamFault> {
        let place = self.place(said, kind, None)?;
        self.items.get_mut(place).ok_or(StreamFault::OutOfOrder("an item that is not there"))
    }

    /// The item that an event is about, new if need be: by its number, else by its id, else the last one.
    fn place(&mut self, said: &Said<'_>, kind: &str, id: Option<Text<'_>>) -> Result<usize, StreamFault> {
        let index = said.output_index();
        let id = id.or(said.item_id()).filter(|id| !id.is_empty());
        let named = |item: &Item| id.as_ref().is_some_and(|id| *id == *item.id.as_str());
        let known = index
            .and_then(|index| self.items.iter().rposition(|item| item.index == Some(index)))
            .or_else(|| {
                self.items.iter().rposition(|item| (index.is_none() || item.index.is_none()) && named(item))
            })
            .or_else(|| {
                let last = self.items.len().checked_sub(1)?;
                let item = self.items.get(last)?;
                let unlike = !kind.is_empty() && !item.is_like(kind);
                let other = index.is_some() && item.index.is_some();
                let renamed = id.is_some() && !item.id.is_empty();
                (!item.done && !unlike && !other && !renamed).then_some(last)
            });
        let place = match known {
            Some(place) => place,
            None => self.push(index)?,
        };
        if let Some(item) = self.items.get_mut(place) {
            item.become_kind(kind);
            item.index = item.index.or(index);
            if item.id.is_empty()
                && let Some(id) = id
            {
                item.id = id.into_decoded().into_owned();
            }
        }
        Ok(place)
    }

    fn push(&mut self, index: Option<u64>) -> Result<usize, StreamFault> {
        if self.items.len() as u64 >= self.blocks.limit() {
            return Err(self.blocks.too_many());
        }
        self.items.push(Item { index, id: String::new(), kind: Kind::Unknown, done: false, claimed: false });
        Ok(self.items.len() - 1)
    }

    fn finish_item(
        &mut self,
        place: usize,
        json: &str,
        notes: &mut Notes,
        sink: Sink<'_>,
    ) -> Result<(), StreamFault> {
        let Self { blocks, items, .. } = self;
        match items.get_mut(place) {
            Some(item) if !item.done => item.whole(json, blocks, notes, sink),
            _ => Ok(()),
        }
    }

    /// The answer's end, with all of it.
    fn end(&mut self, json: &str, kind: &str, notes: &mut Notes, sink: Sink<'_>) -> Result<(), StreamFault> {
        let whole: Whole<'_> = view::read(json)?;
        let status = whole.status();
        let status = status.as_ref().map(Text::decode).unwrap_or_default();
        let status =
            if kind == "response.completed" { &status } else { kind.trim_start_matches("response.") };
        if matches!(status, "failed" | "cancelled") {
            return Err(told(Protocol::OpenaiResponses, Checked::new(json.as_bytes())?));
        }
        if !self.started {
            self.start(Some(&whole), sink)?;
        }
        for (index, item) in (0..).zip(whole.output()) {
            let place = self.claim(index, item.get())?;
            self.finish_item(place, item.get(), notes, sink)?;
        }
        self.items.iter_mut().try_for_each(|item| item.close(sink))?;
        if let Some(usage) = whole.usage() {
            let usage = wire::ResponseUsage::from_checked(Checked::assume(usage.as_bytes())?)?;
            let mut cx = ReadCx::default();
            let (mut node, mut native) = (ir::Usage::default(), Native::default());
            wire::read_response_usage(usage, &mut node, &mut native, &mut cx, Paths::ROOT);
            notes.usage(&native);
            let usage = Some(Box::new(Counts::of(&node).usage()));
            sink(Event::Usage(UsageEvent { usage, ..UsageEvent::default() }))?;
        }
        self.ended = true;
        let called = self.items.iter().any(|item| matches!(item.kind, Kind::Call(_)));
        let reason = match whole.reason().filter(|_| status == "incomplete") {
            Some(reason) => match &*reason.decode() {
                "max_output_tokens" => StopReason::Length,
                "content_filter" => StopReason::ContentFilter,
                // It stopped where it can go on.
                "max_messages" | "steered" => StopReason::Pause,
                _ => StopReason::Other(reason.clone()),
            },
            None if status == "incomplete" => StopReason::Length,
            None if called => StopReason::ToolCalls,
            None => StopReason::End,
        };
        let stop = ir::Stop { reason: Some(reason), ..ir::Stop::default() };
        sink(Event::Stop(StopEvent { stop, ..StopEvent::default() }))?;
        sink(Event::End(EndEvent::default()))
    }

    /// The streamed item that an item of the whole answer is, or a new one.
    ///
    /// Servers leave items out at the end, and some give them new ids.
    fn claim(&mut self, index: u64, json: &str) -> Result<usize, StreamFault> {
        let whole: view::Item<'_> = view::read(json)?;
        let (kind, id) = (whole.kind(), whole.id().filter(|id| !id.is_empty()));
        let kind = kind.decode();
        let free = |item: &Item| !item.claimed && item.is_like(&kind);
        let named = |item: &Item| id.as_ref().is_some_and(|id| *id == *item.id.as_str());
        let place = (self.items.iter().position(|item| free(item) && named(item)))
            .or_else(|| self.items.iter().position(|item| free(item) && item.index == Some(index)))
            .or_else(|| self.items.iter().position(free));
        let place = match place {
            Some(place) => place,
            None => self.push(None)?,
        };
        if let Some(item) = self.items.get_mut(place) {
            item.claimed = true;
            item.become_kind(&kind);
            if item.id.is_empty()
                && let Some(id) = &id
            {
                item.id = id.decode().into_owned();
            }
        }
        Ok(place)
    }
}

fn call_kind(event: &str) -> &'static str {
    if event.starts_with("response.custom") { "custom_tool_call" } else { "function_call" }
}

/// Whether the event tells how far a tool of the provider's has come; its item has the outcome.
fn is_hosted(kind: &str) -> bool {
    const TOOLS: [&str; 8] = [
        "web_search_call",
        "file_search_call",
        "code_interpreter_call",
        "image_generation_call",
        "mcp_call",
        "mcp_list_tools",
        "shell_call",
        "apply_patch_call",
    ];
    let Some(rest) = kind.strip_prefix("response.") else { return false };
    TOOLS.iter().any(|tool| rest.starts_with(tool))
}

//! Writes a stream of chat completion chunks.

use busbar_protocols::ir::{
    Block, BlockStartEvent, Citation, CitationKind, DeltaEvent, Event, Response, StopReason, ToolCallBlock,
    ToolKind,
};
use busbar_protocols::openai_chat::{self as wire, ChatCompletionChoiceFinishReason as FinishReason};
use busbar_protocols::prelude::{Native, Paths, WriteCx};
use busbar_protocols::{EffectKind, Field, Num, Text, Wire};

use super::{WriteState, block_of, write_str, write_u64};
use crate::stream::StreamFault;
use crate::stream::sse::write_event;
use crate::translate::DETAILS_FORMAT;

/// Citations of one text at most.
const MAX_CITATIONS: usize = 4096;

/// Where a stream of chunks stands.
#[derive(Debug)]
pub(crate) struct Writer {
    /// What every chunk begins with: id, time and model are the same in all.
    head: Vec<u8>,
    answers: Vec<Answer>,
    blocks: Vec<Open>,
}

#[derive(Debug)]
struct Answer {
    index: u64,
    calls: u64,
    /// Items of `reasoning_details` so far.
    details: u64,
    /// Whether reasoning has been told: the next block of it is parted from the one before.
    thought: bool,
    /// Characters of text so far, which citations count in.
    chars: u64,
    citations: u64,
    finish: Vec<u8>,
}

#[derive(Debug)]
struct Open {
    block: u64,
    answer: u64,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    /// Where it begins in the answer's text, and what it cites.
    Text(u64, Vec<Citation<'static>>),
    /// Whether something of it has been told.
    Reasoning(bool),
    /// Its number among the calls, and whether arguments have been written.
    Function(u64, bool),
    Custom(u64),
    /// A call in the older form; whether arguments have been written.
    Legacy(bool),
}

impl Writer {
    pub(crate) fn new() -> Self {
        Self { head: Vec::new(), answers: Vec::new(), blocks: Vec::new() }
    }

    pub(crate) fn event(
        &mut self,
        event: &Event<'_>,
        cx: &mut WriteState<'_>,
        out: &mut Vec<u8>,
    ) -> Result<(), StreamFault> {
        match event {
            Event::Start(start) => {
                let empty = Response::default();
                self.head = head(start.response.as_deref().unwrap_or(&empty), cx);
                self.answer(0, cx, out);
            }
            Event::BlockStart(start) => self.start(start, cx, out),
            Event::Delta(delta) => self.delta(delta, cx, out),
            Event::BlockStop(stop) => self.stop_block(block_of(&stop.index), cx, out),
            Event::Stop(stop) => {
                let candidate = block_of(&stop.candidate);
                self.answer(candidate, cx, out);
                let reason = stop.stop.reason.as_ref().unwrap_or(&StopReason::End);
                let legacy = cx.call.legacy_calls && *reason == StopReason::ToolCalls;
                let word = wire::write_chat_completion_choice_finish_reason(reason);
                let word = word.filter(|_| !legacy).or(legacy.then_some(FinishReason::FunctionCall));
                let word = word.unwrap_or(FinishReason::Stop).to_json();
                if let Some(answer) = self.answers.iter_mut().find(|answer| answer.index == candidate) {
                    answer.finish = word;
                }
            }
            Event::End(_) => self.end(cx, out),
            Event::Usage(_) | Event::Ping(_) | Event::Error(_) => {}
        }
        Ok(())
    }

    /// Begins an answer with its role, once.
    fn answer(&mut self, index: u64, cx: &WriteState<'_>, out: &mut Vec<u8>) {
        if self.answers.iter().any(|answer| answer.index == index) {
            return;
        }
        self.answers.push(Answer {
            index,
            calls: 0,
            details: 0,
            thought: false,
            chars: 0,
            citations: 0,
            finish: Vec::new(),
        });
        self.chunk(index, cx, out, |out| out.extend_from_slice(br#""role":"assistant","content":"""#));
    }

    fn start(&mut self, start: &BlockStartEvent<'_>, cx: &mut WriteState<'_>, out: &mut Vec<u8>) {
        let (block, candidate) = (block_of(&start.index), block_of(&start.candidate));
        self.answer(candidate, cx, out);
        let Some(place) = self.answers.iter().position(|answer| answer.index == candidate) else { return };
        let answer = &mut self.answers[place];
        let kind = match start.block.as_deref() {
            Some(Block::Text(_) | Block::Refusal(_)) => Kind::Text(answer.chars, Vec::new()),
            Some(Block::Reasoning(_)) => Kind::Reasoning(false),
            Some(Block::RedactedReasoning(node)) => {
                let item = [("data", node.data.as_ref())];
                return self.detail(place, "reasoning.encrypted", &item, cx, out);
            }
            Some(Block::ToolCall(call)) => {
                answer.calls += 1;
                let number = answer.calls - 1;
                match call.kind {
                    _ if cx.call.legacy_calls && number > 0 => {
                        let reason = "the older form of calls that the client asked in knows one call";
                        return cx.ledger.note(EffectKind::Dropped, "message.tool_calls", reason);
                    }
                    _ if cx.call.legacy_calls => Kind::Legacy(false),
                    Some(ToolKind::Custom) => Kind::Custom(number),
                    _ => Kind::Function(number, false),
                }
            }
            Some(other) => {
                let path = format!("content.{}", other.kind());
                let reason = "a streamed answer of the client's protocol has no form for it";
                return cx.ledger.note(EffectKind::Dropped, path, reason);
            }
            None => return,
        };
        match (start.block.as_deref(), &kind) {
            (Some(Block::Refusal(node)), _) => self.text(candidate, "refusal", node.text.as_ref(), cx, out),
            (Some(Block::ToolCall(call)), Kind::Function(number, _)) => {
                self.call(candidate, *number, "function", "arguments", call, cx, out);
            }
            (Some(Block::ToolCall(call)), Kind::Custom(number)) => {
                self.call(candidate, *number, "custom", "input", call, cx, out);
            }
            (Some(Block::ToolCall(call)), Kind::Legacy(_)) => self.chunk(candidate, cx, out, |out| {
                out.extend_from_slice(br#""function_call":{"name":"#);
                write_text(call.name.as_ref(), out);
                out.extend_from_slice(br#","arguments":""}"#);
            }),
            _ => {}
        }
        self.blocks.push(Open { block, answer: candidate, kind });
    }

    fn delta(&mut self, delta: &DeltaEvent<'_>, cx: &mut WriteState<'_>, out: &mut Vec<u8>) {
        let block = block_of(&delta.index);
        let Some(place) = self.blocks.iter().position(|open| open.block == block) else { return };
        let number = self.blocks[place].answer;
        let Some(of) = self.answers.iter().position(|answer| answer.index == number) else { return };
        self.text(number, "refusal", delta.refusal.as_ref(), cx, out);
        let arguments = delta.arguments.as_ref().filter(|text| !text.is_empty());
        match (&mut self.blocks[place].kind, arguments) {
            (Kind::Text(_, citations), _) => {
                if let Some(citation) = &delta.citation
                    && citations.len() < MAX_CITATIONS
                {
                    citations.push(owned(citation));
                }
                if let Some(text) = &delta.text {
                    self.answers[of].chars += text.decode().chars().count() as u64;
                }
                self.text(number, "content", delta.text.as_ref(), cx, out);
            }
            (Kind::Reasoning(begun), _) => {
                if let Some(text) = delta.reasoning.as_ref().filter(|text| !text.is_empty()) {
                    let parted = !std::mem::replace(begun, true) && self.answers[of].thought;
                    self.answers[of].thought = true;
                    self.chunk(number, cx, out, |out| {
                        out.extend_from_slice(br#""reasoning_content":""#);
                        out.extend_from_slice(if parted { br"\n\n" } else { b"" });
                        text.write_inner(out);
                        out.push(b'"');
                    });
                }
                if let Some(signature) = delta.signature.as_ref().filter(|text| !text.is_empty()) {
                    let item = [("text", delta.text.as_ref()), ("signature", Some(signature))];
                    self.detail(of, "reasoning.text", &item, cx, out);
                }
            }
            (Kind::Function(call, begun), Some(arguments)) => {
                let call = *call;
                *begun = true;
                self.fragment(number, call, "function", "arguments", arguments, cx, out);
            }
            (Kind::Custom(call), Some(arguments)) => {
                let call = *call;
                self.fragment(number, call, "custom", "input", arguments, cx, out);
            }
            (Kind::Legacy(begun), Some(arguments)) => {
                *begun = true;
                self.legacy(number, arguments, cx, out);
            }
            (Kind::Function(..) | Kind::Custom(_) | Kind::Legacy(_), None) => {}
        }
    }

    fn stop_block(&mut self, block: u64, cx: &mut WriteState<'_>, out: &mut Vec<u8>) {
        let Some(place) = self.blocks.iter().position(|open| open.block == block) else { return };
        let Open { answer, kind, .. } = self.blocks.remove(place);
        match kind {
            // A call without arguments has none of their text; clients parse it all the same.
            Kind::Function(call, false) => {
                self.fragment(answer, call, "function", "arguments", &Text::plain("{}"), cx, out);
            }
            Kind::Legacy(false) => self.legacy(answer, &Text::plain("{}"), cx, out),
            Kind::Text(start, citations) if !citations.is_empty() => {
                self.annotations(answer, start, citations, cx, out);
            }
            _ => {}
        }
    }

    /// What a text cites: addresses, each with the part of the answer that it supports.
    fn annotations(
        &mut self,
        answer: u64,
        start: u64,
        citations: Vec<Citation<'static>>,
        cx: &mut WriteState<'_>,
        out: &mut Vec<u8>,
    ) {
        let Some(place) = self.answers.iter().position(|known| known.index == answer) else { return };
        let mut items: Vec<Vec<u8>> = Vec::new();
        for mut citation in citations {
            if citation.kind != Some(CitationKind::Url) {
                let reason = "this protocol's answer cites addresses alone";
                cx.ledger.note(EffectKind::Dropped, "content.citations", reason);
                continue;
            }
            // A citation counts from the beginning of its own text, which need not be the first one.
            let counted = |at: &Option<Num<'_>>| at.as_ref().and_then(Num::as_u64).map(|at| at + start);
            citation.text_start = Some(Num::from(counted(&citation.text_start).unwrap_or(start)));
            let end = counted(&citation.text_end).unwrap_or(self.answers[place].chars);
            citation.text_end = Some(Num::from(end));
            (citation.cited_text, citation.encrypted_index) = (None, None);
            let paths = Paths::default();
            let mut write = WriteCx::new(cx.call.backend, cx.call.client, &paths);
            let mut item = wire::write_chat_completion_message_annotation(
                &citation,
                &citation.native,
                &mut write,
                Paths::ROOT,
            )
            .to_json();
            cx.ledger.extend(write.ledger);
            // Some clients join items of lists by their number and fail without it.
            item.pop();
            item.extend_from_slice(br#","index":"#);
            write_u64(self.answers[place].citations, &mut item);
            item.push(b'}');
            self.answers[place].citations += 1;
            items.push(item);
        }
        if !items.is_empty() {
            self.chunk(answer, cx, out, |out| {
                out.extend_from_slice(br#""annotations":["#);
                out.extend_from_slice(&items.join(&b','));
                out.push(b']');
            });
        }
    }

    fn end(&mut self, cx: &mut WriteState<'_>, out: &mut Vec<u8>) {
        for answer in &self.answers {
            let finish: &[u8] = if answer.finish.is_empty() { br#""stop""# } else { &answer.finish };
            self.choice(answer.index, finish, cx, out, |_| {});
        }
        if cx.call.include_usage {
            write_event(out, None, |out| {
                out.extend_from_slice(&self.head);
                out.extend_from_slice(br#","choices":[],"usage":"#);
                write_usage(cx, out);
                out.push(b'}');
            });
        }
        write_event(out, None, |out| out.extend_from_slice(b"[DONE]"));
    }

    fn text(
        &self,
        answer: u64,
        member: &str,
        text: Option<&Text<'_>>,
        cx: &WriteState<'_>,
        out: &mut Vec<u8>,
    ) {
        let Some(text) = text.filter(|text| !text.is_empty()) else { return };
        self.chunk(answer, cx, out, |out| {
            out.push(b'"');
            out.extend_from_slice(member.as_bytes());
            out.extend_from_slice(b"\":");
            text.write(out);
        });
    }

    /// One item of `reasoning_details`; some clients join items by their `index` and fail without it.
    fn detail(
        &mut self,
        place: usize,
        kind: &str,
        members: &[(&str, Option<&Text<'_>>)],
        cx: &WriteState<'_>,
        out: &mut Vec<u8>,
    ) {
        let Answer { index, details, .. } = self.answers[place];
        self.answers[place].details += 1;
        self.chunk(index, cx, out, |out| {
            out.extend_from_slice(br#""reasoning_details":[{"type":""#);
            out.extend_from_slice(kind.as_bytes());
            out.push(b'"');
            for (name, value) in members {
                if let Some(value) = value {
                    out.extend_from_slice(b",\"");
                    out.extend_from_slice(name.as_bytes());
                    out.extend_from_slice(b"\":");
                    value.write(out);
                }
            }
            if cx.call.client != cx.call.backend {
                out.extend_from_slice(b",\"format\":");
                write_str(DETAILS_FORMAT, out);
            }
            out.extend_from_slice(b",\"index\":");
            write_u64(details, out);
            out.extend_from_slice(b"}]");
        });
    }

    fn legacy(&self, answer: u64, arguments: &Text<'_>, cx: &WriteState<'_>, out: &mut Vec<u8>) {
        self.chunk(answer, cx, out, |out| {
            out.extend_from_slice(br#""function_call":{"arguments":"#);
            arguments.write(out);
            out.push(b'}');
        });
    }

    #[expect(clippy::too_many_arguments, reason = "a writer of one JSON shape, and where it goes")]
    fn call(
        &self,
        answer: u64,
        number: u64,
        kind: &str,
        member: &str,
        call: &ToolCallBlock<'_>,
        cx: &WriteState<'_>,
        out: &mut Vec<u8>,
    ) {
        self.chunk(answer, cx, out, |out| {
            out.extend_from_slice(br#""tool_calls":[{"index":"#);
            write_u64(number, out);
            out.extend_from_slice(br#","id":"#);
            write_text(call.id.as_ref(), out);
            out.extend_from_slice(br#","type":""#);
            out.extend_from_slice(kind.as_bytes());
            out.extend_from_slice(b"\",\"");
            out.extend_from_slice(kind.as_bytes());
            out.extend_from_slice(br#"":{"name":"#);
            write_text(call.name.as_ref(), out);
            out.extend_from_slice(b",\"");
            out.extend_from_slice(member.as_bytes());
            out.extend_from_slice(br#"":""}}]"#);
        });
    }

    #[expect(clippy::too_many_arguments, reason = "a writer of one JSON shape, and where it goes")]
    fn fragment(
        &self,
        answer: u64,
        number: u64,
        kind: &str,
        member: &str,
        text: &Text<'_>,
        cx: &WriteState<'_>,
        out: &mut Vec<u8>,
    ) {
        self.chunk(answer, cx, out, |out| {
            out.extend_from_slice(br#""tool_calls":[{"index":"#);
            write_u64(number, out);
            out.extend_from_slice(b",\"");
            out.extend_from_slice(kind.as_bytes());
            out.extend_from_slice(b"\":{\"");
            out.extend_from_slice(member.as_bytes());
            out.extend_from_slice(b"\":");
            text.write(out);
            out.extend_from_slice(b"}}]");
        });
    }

    fn chunk(&self, answer: u64, cx: &WriteState<'_>, out: &mut Vec<u8>, delta: impl FnOnce(&mut Vec<u8>)) {
        self.choice(answer, b"null", cx, out, delta);
    }

    fn choice(
        &self,
        answer: u64,
        finish: &[u8],
        cx: &WriteState<'_>,
        out: &mut Vec<u8>,
        delta: impl FnOnce(&mut Vec<u8>),
    ) {
        write_event(out, None, |out| {
            out.extend_from_slice(&self.head);
            out.extend_from_slice(br#","choices":[{"index":"#);
            write_u64(answer, out);
            out.extend_from_slice(br#","delta":{"#);
            delta(out);
            out.extend_from_slice(br#"},"logprobs":null,"finish_reason":"#);
            out.extend_from_slice(finish);
            out.extend_from_slice(b"}]");
            if cx.call.include_usage {
                out.extend_from_slice(br#","usage":null"#);
            }
            out.push(b'}');
        });
    }
}

fn head(response: &Response<'_>, cx: &WriteState<'_>) -> Vec<u8> {
    let mut head = br#"{"id":"#.to_vec();
    write_text(response.id.as_ref(), &mut head);
    head.extend_from_slice(br#","object":"chat.completion.chunk","created":"#);
    match response.created.as_ref().and_then(busbar_protocols::Num::as_u64) {
        Some(created) => write_u64(created, &mut head),
        None => write_u64(cx.call.now, &mut head),
    }
    head.extend_from_slice(br#","model":"#);
    write_text(response.model.as_ref(), &mut head);
    head
}

fn write_usage(cx: &mut WriteState<'_>, out: &mut Vec<u8>) {
    let paths = Paths::default();
    let mut write = WriteCx::new(cx.call.backend, cx.call.client, &paths);
    let usage = cx.counts.usage();
    let native = Native::default();
    let mut usage = wire::write_completion_usage(&usage, &native, &mut write, Paths::ROOT);
    for count in [&mut usage.prompt_tokens, &mut usage.completion_tokens, &mut usage.total_tokens] {
        if count.as_ref().is_none() {
            *count = Field::Value(Num::from(0));
        }
    }
    usage.write(out);
    for mut effect in write.ledger.effects().iter().cloned() {
        effect.path.insert_str(0, "usage.");
        cx.ledger.push(effect);
    }
}

/// A citation that outlives its event.
fn owned(citation: &Citation<'_>) -> Citation<'static> {
    let text = |text: &Option<Text<'_>>| text.clone().map(Text::into_owned);
    let num = |num: &Option<Num<'_>>| num.clone().map(Num::into_owned);
    Citation {
        kind: match &citation.kind {
            Some(CitationKind::Url) => Some(CitationKind::Url),
            _ => None,
        },
        url: text(&citation.url),
        title: text(&citation.title),
        text_start: num(&citation.text_start),
        text_end: num(&citation.text_end),
        ..Citation::default()
    }
}

fn write_text(text: Option<&Text<'_>>, out: &mut Vec<u8>) {
    match text {
        Some(text) => text.write(out),
        None => write_str("", out),
    }
}

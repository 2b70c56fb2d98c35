//! Writes a stream of Cohere chat events.
//!
//! One block at a time is open, and content and calls are numbered apart.

use busbar_protocols::cohere as wire;
use busbar_protocols::ir::{Block, BlockStartEvent, Citation, DeltaEvent, Event, Response, StopReason};
use busbar_protocols::prelude::{Native, Paths, WriteCx};
use busbar_protocols::{EffectKind, Num, Text, Wire};

use super::turns::Turns;
use super::{WriteState, block_of, write_str, write_u64};
use crate::stream::said::Said;
use crate::stream::sse::write_event;
use crate::stream::{Limits, StreamFault};
use crate::translate::cohere;

/// Citations of one answer at most.
const MAX_CITATIONS: u64 = 4096;

/// Where a stream of chat events stands.
#[derive(Debug)]
pub(crate) struct Writer {
    turns: Turns,
    blocks: Vec<Open>,
    /// The answer's id, in JSON.
    id: Vec<u8>,
    contents: u64,
    calls: u64,
    /// Citations that have come, and those that have been told.
    citations: u64,
    told: u64,
    /// The text so far, whose words citations repeat.
    said: Said,
    reason: Option<Vec<u8>>,
}

/// A block that has begun and not ended.
#[derive(Debug)]
struct Open {
    block: u64,
    /// The client's number.
    index: u64,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    /// Where it begins in the answer's text, in bytes, and what it cites.
    Text(usize, Vec<Cited>),
    Thinking,
    /// Words before calls, which are Cohere's own form of reasoning and no block.
    Plan,
    /// Whether arguments have been written.
    Call(bool),
}

/// One citation of a text: its source, in JSON, and the characters of the answer that it supports, if that is known.
#[derive(Debug)]
struct Cited {
    source: Vec<u8>,
    chars: Option<(usize, usize)>,
}

impl Writer {
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            turns: Turns::new(limits),
            blocks: Vec::new(),
            id: Vec::new(),
            contents: 0,
            calls: 0,
            citations: 0,
            told: 0,
            said: Said::new(limits.held),
            reason: None,
        }
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
                self.message_start(start.response.as_deref().unwrap_or(&empty), out);
                Ok(())
            }
            Event::BlockStart(start) => self.start(start, cx, out),
            Event::Delta(delta) => self.delta(delta, cx, out),
            Event::BlockStop(stop) => self.stop_block(block_of(&stop.index), out),
            Event::Stop(stop) => {
                if block_of(&stop.candidate) == 0 {
                    let reason = stop.stop.reason.as_ref().unwrap_or(&StopReason::End);
                    self.reason = wire::write_chat_finish_reason(reason).map(|word| word.to_json());
                }
                Ok(())
            }
            Event::End(_) => {
                self.end(cx, out);
                Ok(())
            }
            Event::Usage(_) | Event::Ping(_) | Event::Error(_) => Ok(()),
        }
    }

    fn message_start(&mut self, response: &Response<'_>, out: &mut Vec<u8>) {
        if let Some(id) = &response.id {
            id.write(&mut self.id);
        } else {
            write_str("", &mut self.id);
        }
        write_event(out, Some("message-start"), |out| {
            out.extend_from_slice(br#"{"type":"message-start","id":"#);
            out.extend_from_slice(&self.id);
            out.extend_from_slice(
                br#","delta":{"message":{"role":"assistant","content":[],"tool_plan":"","tool_calls":[],"citations":[]}}}"#,
            );
        });
    }

    fn start(
        &mut self,
        start: &BlockStartEvent<'_>,
        cx: &mut WriteState<'_>,
        out: &mut Vec<u8>,
    ) -> Result<(), StreamFault> {
        if block_of(&start.candidate) != 0 {
            cx.ledger.note(EffectKind::Dropped, "choices[1]", "the client's protocol has one answer alone");
            return Ok(());
        }
        let block = block_of(&start.index);
        let at_home = cx.call.client == cx.call.backend;
        let (kind, first) = match start.block.as_deref() {
            Some(Block::Text(node)) => (Kind::Text(self.said.bytes(), Vec::new()), node.text.as_ref()),
            Some(Block::Refusal(node)) => (Kind::Text(self.said.bytes(), Vec::new()), node.text.as_ref()),
            Some(Block::Reasoning(node)) if node.bare == Some(true) && at_home => {
                (Kind::Plan, node.text.as_ref())
            }
            Some(Block::Reasoning(node)) => (Kind::Thinking, node.text.as_ref()),
            Some(Block::ToolCall(_)) => (Kind::Call(false), None),
            Some(other) => {
                let reason = "a streamed answer of the client's protocol has no form for it";
                cx.ledger.note(EffectKind::Dropped, format!("content.{}", other.kind()), reason);
                return Ok(());
            }
            None => return Ok(()),
        };
        let next = match kind {
            Kind::Call(_) => &mut self.calls,
            _ => &mut self.contents,
        };
        let index = *next;
        *next += u64::from(!matches!(kind, Kind::Plan));
        self.turns.begin(block);
        match (start.block.as_deref(), &kind) {
            (Some(Block::ToolCall(node)), _) => self.piece(block, "tool-call-start", index, out, |out| {
                out.extend_from_slice(br#""tool_calls":{"id":"#);
                text_or_empty(node.id.as_ref(), out);
                out.extend_from_slice(br#","type":"function","function":{"name":"#);
                text_or_empty(node.name.as_ref(), out);
                out.extend_from_slice(br#","arguments":""}}"#);
            })?,
            (_, Kind::Plan) => {}
            (_, kind) => {
                let word = if matches!(kind, Kind::Thinking) { "thinking" } else { "text" };
                self.piece(block, "content-start", index, out, |out| {
                    out.extend_from_slice(br#""content":{"type":""#);
                    out.extend_from_slice(word.as_bytes());
                    out.extend_from_slice(b"\",\"");
                    out.extend_from_slice(word.as_bytes());
                    out.extend_from_slice(br#"":""}"#);
                })?;
            }
        }
        self.blocks.push(Open { block, index, kind });
        self.text(self.blocks.len() - 1, first, out)
    }

    fn delta(
        &mut self,
        delta: &DeltaEvent<'_>,
        cx: &mut WriteState<'_>,
        out: &mut Vec<u8>,
    ) -> Result<(), StreamFault> {
        let block = block_of(&delta.index);
        let Some(at) = self.blocks.iter().position(|open| open.block == block) else { return Ok(()) };
        if let (Some(citation), Kind::Text(_, cited)) = (&delta.citation, &mut self.blocks[at].kind) {
            if self.citations < MAX_CITATIONS {
                self.citations += 1;
                note_citation(citation, cx);
                cited.push(Cited::new(citation));
            } else {
                cx.ledger.note(EffectKind::Dropped, "citations", "more citations than one answer may have");
            }
        }
        let text = match self.blocks[at].kind {
            Kind::Text(..) => delta.text.as_ref().or(delta.refusal.as_ref()),
            Kind::Thinking | Kind::Plan => delta.reasoning.as_ref(),
            Kind::Call(_) => delta.arguments.as_ref(),
        };
        self.text(at, text, out)
    }

    /// More of an open block.
    fn text(&mut self, at: usize, text: Option<&Text<'_>>, out: &mut Vec<u8>) -> Result<(), StreamFault> {
        let Some(text) = text.filter(|text| !text.is_empty()) else { return Ok(()) };
        let Some(open) = self.blocks.get_mut(at) else { return Ok(()) };
        let (block, index) = (open.block, open.index);
        match &mut open.kind {
            Kind::Text(..) => {
                self.said.push(&text.decode());
                self.piece(block, "content-delta", index, out, |out| within("content", "text", text, out))
            }
            Kind::Thinking => {
                self.piece(block, "content-delta", index, out, |out| within("content", "thinking", text, out))
            }
            Kind::Plan => self.turns.write(block, out, |_, out| {
                write_event(out, Some("tool-plan-delta"), |out| {
                    out.extend_from_slice(br#"{"type":"tool-plan-delta","delta":{"message":{"tool_plan":"#);
                    text.write(out);
                    out.extend_from_slice(b"}}}");
                });
            }),
            Kind::Call(begun) => {
                *begun = true;
                self.arguments(block, index, text, out)
            }
        }
    }

    fn arguments(
        &mut self,
        block: u64,
        index: u64,
        text: &Text<'_>,
        out: &mut Vec<u8>,
    ) -> Result<(), StreamFault> {
        self.piece(block, "tool-call-delta", index, out, |out| {
            out.extend_from_slice(br#""tool_calls":{"function":{"arguments":"#);
            text.write(out);
            out.extend_from_slice(b"}}");
        })
    }

    fn stop_block(&mut self, block: u64, out: &mut Vec<u8>) -> Result<(), StreamFault> {
        let Some(at) = self.blocks.iter().position(|open| open.block == block) else { return Ok(()) };
        let Open { index, kind, .. } = self.blocks.remove(at);
        match kind {
            Kind::Call(begun) => {
                // A call without arguments has none of their text; clients parse it all the same.
                if !begun {
                    self.arguments(block, index, &Text::plain("{}"), out)?;
                }
                self.mark(block, "tool-call-end", index, out)?;
            }
            Kind::Text(start, cited) => {
                for cited in cited {
                    self.citation(block, index, start, &cited, out)?;
                }
                self.mark(block, "content-end", index, out)?;
            }
            Kind::Thinking => self.mark(block, "content-end", index, out)?,
            Kind::Plan => {}
        }
        self.turns.close(block, out);
        Ok(())
    }

    /// One citation, with the words of the text that it supports: those that its provider names, or all.
    fn citation(
        &mut self,
        block: u64,
        content: u64,
        start: usize,
        cited: &Cited,
        out: &mut Vec<u8>,
    ) -> Result<(), StreamFault> {
        let number = self.told;
        self.told += 1;
        let before = self.said.chars_before(start).unwrap_or(0);
        let all = (start, self.said.bytes());
        let named = cited.chars.and_then(|(first, last)| {
            let (first, last) = (self.said.bytes_before(first)?, self.said.bytes_before(last)?);
            (start <= first && first <= last).then_some((first, last))
        });
        let (from, to) = named.unwrap_or(all);
        let chars =
            |said: &mut Said, at: usize| (said.chars_before(at).unwrap_or(0).saturating_sub(before)) as u64;
        let (first, last) = (chars(&mut self.said, from), chars(&mut self.said, to));
        let words = Text::plain(self.said.between(from, to).unwrap_or_default().to_owned());
        self.piece(block, "citation-start", number, out, |out| {
            out.extend_from_slice(br#""citations":{"start":"#);
            write_u64(first, out);
            out.extend_from_slice(br#","end":"#);
            write_u64(last, out);
            out.extend_from_slice(br#","text":"#);
            words.write(out);
            out.extend_from_slice(br#","sources":["#);
            out.extend_from_slice(&cited.source);
            out.extend_from_slice(br#"],"content_index":"#);
            write_u64(content, out);
            out.extend_from_slice(br#","type":"TEXT_CONTENT"}"#);
        })?;
        self.mark(block, "citation-end", number, out)
    }

    /// An event about a part of the message.
    fn piece(
        &mut self,
        block: u64,
        kind: &str,
        index: u64,
        out: &mut Vec<u8>,
        message: impl FnOnce(&mut Vec<u8>),
    ) -> Result<(), StreamFault> {
        self.turns.write(block, out, |_, out| {
            write_event(out, Some(kind), |out| {
                head(kind, index, out);
                out.extend_from_slice(br#","delta":{"message":{"#);
                message(out);
                out.extend_from_slice(b"}}}");
            });
        })
    }

    /// An event that says no more than that something ends.
    fn mark(&mut self, block: u64, kind: &str, index: u64, out: &mut Vec<u8>) -> Result<(), StreamFault> {
        self.turns.write(block, out, |_, out| {
            write_event(out, Some(kind), |out| {
                head(kind, index, out);
                out.push(b'}');
            });
        })
    }

    fn end(&mut self, cx: &mut WriteState<'_>, out: &mut Vec<u8>) {
        let reason = self.reason.take().unwrap_or_else(|| br#""COMPLETE""#.to_vec());
        write_event(out, Some("message-end"), |out| {
            out.extend_from_slice(br#"{"type":"message-end","id":"#);
            out.extend_from_slice(&self.id);
            out.extend_from_slice(br#","delta":{"finish_reason":"#);
            out.extend_from_slice(&reason);
            out.extend_from_slice(br#","usage":"#);
            write_usage(cx, out);
            out.extend_from_slice(b"}}");
        });
    }
}

impl Cited {
    fn new(citation: &Citation<'_>) -> Self {
        let mut source = Vec::new();
        cohere::source(citation).write(&mut source);
        let at = |position: &Option<Num<'_>>| {
            position.as_ref().and_then(Num::as_u64).and_then(|at| usize::try_from(at).ok())
        };
        Self { source, chars: at(&citation.text_start).zip(at(&citation.text_end)) }
    }
}

/// Reports what a citation says and this protocol does not.
fn note_citation(citation: &Citation<'_>, cx: &mut WriteState<'_>) {
    for (name, is_said) in [
        ("citations.encrypted_index", citation.encrypted_index.is_some()),
        ("citations.file_id", citation.file_id.is_some()),
        ("citations.range", citation.start.is_some() || citation.end.is_some()),
    ] {
        if is_said {
            cx.ledger.note(EffectKind::Dropped, name, "Cohere's citations do not have it");
        }
    }
}

fn head(kind: &str, index: u64, out: &mut Vec<u8>) {
    out.extend_from_slice(br#"{"type":""#);
    out.extend_from_slice(kind.as_bytes());
    out.extend_from_slice(br#"","index":"#);
    write_u64(index, out);
}

fn within(outer: &str, inner: &str, text: &Text<'_>, out: &mut Vec<u8>) {
    out.push(b'"');
    out.extend_from_slice(outer.as_bytes());
    out.extend_from_slice(b"\":{\"");
    out.extend_from_slice(inner.as_bytes());
    out.extend_from_slice(b"\":");
    text.write(out);
    out.push(b'}');
}

fn text_or_empty(text: Option<&Text<'_>>, out: &mut Vec<u8>) {
    match text {
        Some(text) => text.write(out),
        None => write_str("", out),
    }
}

fn write_usage(cx: &mut WriteState<'_>, out: &mut Vec<u8>) {
    let paths = Paths::default();
    let mut write = WriteCx::new(cx.call.backend, cx.call.client, &paths);
    let usage = cx.counts.usage();
    let native = Native::default();
    let mut usage = wire::write_usage(&usage, &native, &mut write, Paths::ROOT);
    cohere::bill(&mut usage);
    usage.write(out);
    for mut effect in write.ledger.effects().iter().cloned() {
        effect.path.insert_str(0, "usage.");
        cx.ledger.push(effect);
    }
}

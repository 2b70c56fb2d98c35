//! Writes a stream of responses events.
//!
//! What came in pieces is told once more as a whole: with its part, with its item, and with the answer at the end.
//! So all of an answer is kept, within the limit of what may be held.

mod citations;
mod json;
mod response;

use busbar_protocols::ir::{
    Block, BlockStartEvent, Citation, DeltaEvent, Event, Response, ToolCallBlock, ToolKind,
};
use busbar_protocols::{EffectKind, Text};

use self::json::{
    Called, custom_call, event, failed_code, function_call, member, member_id, message, quoted, search_call,
};
use self::response::Envelope;
use super::{WriteState, block_of, write_str};
use crate::fault::{self, Fault};
use crate::stream::{Limits, StreamFault};
use crate::translate::End;

/// Citations of one text at most.
const MAX_CITATIONS: usize = 4096;
/// Bytes that an item is taken to need beside its text.
const ITEM: usize = 256;

/// Where a stream of responses events stands.
#[derive(Debug)]
pub(crate) struct Writer {
    limits: Limits,
    /// The number of the next event.
    sequence: u64,
    held: usize,
    envelope: Option<Envelope>,
    items: Vec<Item>,
    blocks: Vec<Open>,
    stop: Option<End>,
}

/// One item of the output; its place in the list is its number.
#[derive(Debug)]
struct Item {
    id: String,
    /// The parts of a message, each written when it is complete.
    parts: Vec<Vec<u8>>,
    /// Parts that are not complete.
    open: usize,
    is_message: bool,
    /// Whether it is a message behind which nothing has begun: more text is a part of it.
    takes: bool,
    /// All of it, once it is complete.
    whole: Vec<u8>,
}

/// A block that has begun and not ended.
#[derive(Debug)]
struct Open {
    block: u64,
    /// Its item, and for text the part of it, once there is a word.
    place: Option<(usize, usize)>,
    kind: Kind,
    /// All of its text, as it stands between the quotes.
    text: Vec<u8>,
}

#[derive(Debug)]
enum Kind {
    Text(Vec<Citation<'static>>),
    Refusal,
    /// The encrypted form, as it stands between the quotes.
    Reasoning(Vec<u8>),
    Function(Called),
    Custom(Called),
    /// The caller's search for tools.
    Search(Called),
}

impl Writer {
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            limits,
            sequence: 0,
            held: 0,
            envelope: None,
            items: Vec::new(),
            blocks: Vec::new(),
            stop: None,
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
                let response = start.response.as_deref().unwrap_or(&empty);
                self.envelope = Some(Envelope::new(response, cx.call));
                self.progress("response.created", out);
                self.progress("response.in_progress", out);
                Ok(())
            }
            Event::BlockStart(start) => self.start(start, cx, out),
            Event::Delta(delta) => self.delta(delta, out),
            Event::BlockStop(stop) => self.stop_block(block_of(&stop.index), cx, out),
            Event::Stop(stop) => {
                if block_of(&stop.candidate) == 0 {
                    self.stop = Some(End::of(&stop.stop));
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

    /// Repeats that the answer is being made: some clients' clocks heed nothing but events with data.
    pub(crate) fn keep_alive(&mut self, out: &mut Vec<u8>) {
        if self.envelope.is_some() {
            self.progress("response.in_progress", out);
        } else {
            // Nothing may come before the first event.
            out.extend_from_slice(b": ping\n");
        }
    }

    /// Ends the stream with an error, and the answer, if it has begun, as failed: some clients know but one of both.
    pub(crate) fn fail(&mut self, fault: &Fault, request_id: &str, out: &mut Vec<u8>) {
        let told = fault::stream_error(crate::Protocol::OpenaiResponses, fault, request_id);
        let told: serde_json::Value = serde_json::from_slice(&told.data).unwrap_or_default();
        let code = told.get("code").and_then(|code| code.as_str()).unwrap_or("server_error");
        event(&mut self.sequence, "error", out, |out| {
            out.extend_from_slice(b",\"code\":");
            write_str(code, out);
            out.extend_from_slice(b",\"message\":");
            write_str(&fault.message, out);
            out.extend_from_slice(b",\"param\":");
            match &fault.param {
                Some(param) => write_str(param, out),
                None => out.extend_from_slice(b"null"),
            }
        });
        if let Some(envelope) = &self.envelope {
            let whole = output(&self.items);
            let code = failed_code(code);
            event(&mut self.sequence, "response.failed", out, |out| {
                envelope.write("failed", Some((code, &fault.message)), None, &whole, None, out);
            });
        }
    }

    fn progress(&mut self, name: &str, out: &mut Vec<u8>) {
        if let Some(envelope) = &self.envelope {
            event(&mut self.sequence, name, out, |out| {
                envelope.write("in_progress", None, None, b"", None, out);
            });
        }
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
        let Some(block) = start.block.as_deref() else { return Ok(()) };
        let number = block_of(&start.index);
        let home = cx.call.client == cx.call.backend;
        let mut said = DeltaEvent { index: start.index.clone(), ..DeltaEvent::default() };
        let (kind, place) = match block {
            Block::Text(node) => {
                said.text = node.text.as_ref().map(Text::reborrow);
                (Kind::Text(Vec::new()), None)
            }
            Block::Refusal(node) => {
                said.refusal = node.text.as_ref().map(Text::reborrow);
                (Kind::Refusal, None)
            }
            Block::Reasoning(node) => {
                said.reasoning = node.text.as_ref().map(Text::reborrow);
                said.signature = node.signature.as_ref().map(Text::reborrow);
                let own = node.id.as_ref().filter(|_| home);
                let item = self.item("rs", own, out)?;
                self.added(item, out, |out| out.extend_from_slice(br#","type":"reasoning","summary":[]"#));
                (Kind::Reasoning(Vec::new()), Some((item, 0)))
            }
            Block::RedactedReasoning(node) => {
                self.hold(node.data.as_ref().map_or(0, Text::written_len))?;
                let own = node.id.as_ref().filter(|_| home);
                let item = self.item("rs", own, out)?;
                self.added(item, out, |out| out.extend_from_slice(br#","type":"reasoning","summary":[]"#));
                self.finish(item, out, |whole| {
                    whole.extend_from_slice(br#","type":"reasoning","summary":[],"encrypted_content":"#);
                    node.data.as_ref().unwrap_or(&Text::plain("")).write(whole);
                });
                return Ok(());
            }
            Block::ToolCall(node) => return self.call(number, node, out),
            Block::Native(node) if home => {
                let Some(value) = &node.value else { return Ok(()) };
                self.hold(value.as_str().len())?;
                let item = self.item("item", None, out)?;
                for name in ["response.output_item.added", "response.output_item.done"] {
                    event(&mut self.sequence, name, out, |out| {
                        member(out, "output_index", item);
                        out.extend_from_slice(b",\"item\":");
                        value.write(out);
                    });
                }
                self.items[item].whole = value.as_str().as_bytes().to_vec();
                return Ok(());
            }
            other => {
                let path = format!("content.{}", other.kind());
                let reason = "a streamed answer of the client's protocol has no form for it";
                cx.ledger.note(EffectKind::Dropped, path, reason);
                return Ok(());
            }
        };
        self.blocks.push(Open { block: number, place, kind, text: Vec::new() });
        self.delta(&said, out)
    }

    fn call(&mut self, number: u64, node: &ToolCallBlock<'_>, out: &mut Vec<u8>) -> Result<(), StreamFault> {
        let json = |text: &Option<Text<'_>>| {
            let mut json = Vec::new();
            text.as_ref().unwrap_or(&Text::plain("")).write(&mut json);
            json
        };
        let group = if node.namespace.is_some() { json(&node.namespace) } else { Vec::new() };
        let called = Called { id: json(&node.id), name: json(&node.name), group };
        self.hold(called.id.len() + called.name.len() + called.group.len())?;
        let kind = match node.kind {
            Some(ToolKind::Custom) => Kind::Custom(called),
            Some(ToolKind::Search) => Kind::Search(called),
            _ => Kind::Function(called),
        };
        let prefix = match kind {
            Kind::Custom(_) => "ctc",
            Kind::Search(_) => "tsc",
            _ => "fc",
        };
        let item = self.item(prefix, None, out)?;
        self.added(item, out, |out| match &kind {
            Kind::Custom(called) => custom_call(called, b"", out),
            Kind::Search(called) => search_call("in_progress", called, b"{}", out),
            Kind::Function(called) => function_call("in_progress", called, b"", out),
            Kind::Text(_) | Kind::Refusal | Kind::Reasoning(_) => {}
        });
        self.blocks.push(Open { block: number, place: Some((item, 0)), kind, text: Vec::new() });
        Ok(())
    }

    fn delta(&mut self, delta: &DeltaEvent<'_>, out: &mut Vec<u8>) -> Result<(), StreamFault> {
        let number = block_of(&delta.index);
        let Some(at) = self.blocks.iter().position(|open| open.block == number) else { return Ok(()) };
        let open = &mut self.blocks[at];
        let text = match &mut open.kind {
            Kind::Text(citations) => {
                if let Some(citation) = &delta.citation
                    && citations.len() < MAX_CITATIONS
                {
                    citations.push(citations::owned(citation));
                }
                &delta.text
            }
            Kind::Refusal => &delta.refusal,
            Kind::Reasoning(proof) => {
                if let Some(signature) = &delta.signature {
                    signature.write_inner(proof);
                    let size = signature.written_len();
                    self.hold(size)?;
                }
                &delta.reasoning
            }
            Kind::Function(_) | Kind::Custom(_) | Kind::Search(_) => &delta.arguments,
        };
        match text {
            Some(text) if !text.is_empty() => self.say(at, text, out),
            _ => Ok(()),
        }
    }

    /// More text of a block.
    fn say(&mut self, at: usize, text: &Text<'_>, out: &mut Vec<u8>) -> Result<(), StreamFault> {
        self.hold(text.written_len())?;
        let (item, part) = self.begun(at, out)?;
        let open = &mut self.blocks[at];
        let name = match &open.kind {
            // It is told as a whole.
            Kind::Search(_) => {
                text.write_inner(&mut open.text);
                return Ok(());
            }
            Kind::Text(_) => "response.output_text.delta",
            Kind::Refusal => "response.refusal.delta",
            Kind::Reasoning(_) => "response.reasoning_summary_text.delta",
            Kind::Function(_) => "response.function_call_arguments.delta",
            Kind::Custom(_) => "response.custom_tool_call_input.delta",
        };
        let id = &self.items[item].id;
        event(&mut self.sequence, name, out, |out| {
            open.at(id, item, part, out);
            out.extend_from_slice(b",\"delta\":");
            text.write(out);
            if matches!(open.kind, Kind::Text(_)) {
                out.extend_from_slice(b",\"logprobs\":[]");
            }
        });
        text.write_inner(&mut open.text);
        Ok(())
    }

    /// The item and the part of a block; a part begins with its first word.
    fn begun(&mut self, at: usize, out: &mut Vec<u8>) -> Result<(usize, usize), StreamFault> {
        let open = &self.blocks[at];
        let (item, part) = match (&open.kind, open.place) {
            (Kind::Text(_) | Kind::Refusal, None) => self.message_part(out)?,
            (Kind::Reasoning(_), Some(place)) if open.text.is_empty() => place,
            (_, place) => return Ok(place.unwrap_or_default()),
        };
        let open = &mut self.blocks[at];
        open.place = Some((item, part));
        let id = &self.items[item].id;
        let (name, empty): (_, &[u8]) = match open.kind {
            Kind::Text(_) => (
                "response.content_part.added",
                br#"{"type":"output_text","annotations":[],"logprobs":[],"text":""}"#,
            ),
            Kind::Refusal => ("response.content_part.added", br#"{"type":"refusal","refusal":""}"#),
            _ => ("response.reasoning_summary_part.added", br#"{"type":"summary_text","text":""}"#),
        };
        event(&mut self.sequence, name, out, |out| {
            open.at(id, item, part, out);
            out.extend_from_slice(b",\"part\":");
            out.extend_from_slice(empty);
        });
        Ok((item, part))
    }

    /// The place of a further part: in the message that comes last, or in a new one.
    fn message_part(&mut self, out: &mut Vec<u8>) -> Result<(usize, usize), StreamFault> {
        let last = self.items.len().checked_sub(1).filter(|last| self.items[*last].takes);
        let item = match last {
            Some(last) => last,
            None => {
                let item = self.new_item("msg", None)?;
                self.items[item].takes = true;
                self.items[item].is_message = true;
                self.added(item, out, |out| message("in_progress", &[], out));
                item
            }
        };
        let message = &mut self.items[item];
        message.parts.push(Vec::new());
        message.open += 1;
        Ok((item, message.parts.len() - 1))
    }

    fn stop_block(
        &mut self,
        number: u64,
        cx: &mut WriteState<'_>,
        out: &mut Vec<u8>,
    ) -> Result<(), StreamFault> {
        let Some(at) = self.blocks.iter().position(|open| open.block == number) else { return Ok(()) };
        match &self.blocks[at].kind {
            // A call without arguments has none of their text; clients parse it all the same.
            Kind::Function(_) | Kind::Search(_) if self.blocks[at].text.is_empty() => {
                self.say(at, &Text::plain("{}"), out)?
            }
            Kind::Text(citations) if !citations.is_empty() => drop(self.begun(at, out)?),
            _ => {}
        }
        let mut open = self.blocks.remove(at);
        let Some((item, part)) = open.place else { return Ok(()) };
        let text = std::mem::take(&mut open.text);
        match std::mem::replace(&mut open.kind, Kind::Refusal) {
            Kind::Text(citations) => {
                let annotations = citations::written(citations, &text, cx);
                self.hold(annotations.iter().map(Vec::len).sum())?;
                open.kind = Kind::Text(Vec::new());
                self.text_done(&open, (item, part), &text, &annotations, out);
            }
            Kind::Refusal => {
                let mut whole = br#"{"type":"refusal","refusal":""#.to_vec();
                whole.extend_from_slice(&text);
                whole.extend_from_slice(b"\"}");
                self.part_done(&open, (item, part), ("response.refusal.done", "refusal"), &text, whole, out);
            }
            Kind::Reasoning(proof) => {
                open.kind = Kind::Reasoning(Vec::new());
                self.reasoning_done(&open, item, &text, &proof, out);
            }
            Kind::Function(called) => {
                let own = &self.items[item].id;
                event(&mut self.sequence, "response.function_call_arguments.done", out, |out| {
                    member_id(out, own, item);
                    out.extend_from_slice(b",\"name\":");
                    out.extend_from_slice(&called.name);
                    quoted(out, "arguments", &text);
                });
                self.finish(item, out, |whole| function_call("completed", &called, &text, whole));
            }
            Kind::Search(called) => {
                self.finish(item, out, |whole| search_call("completed", &called, &text, whole));
            }
            Kind::Custom(called) => {
                let own = &self.items[item].id;
                event(&mut self.sequence, "response.custom_tool_call_input.done", out, |out| {
                    member_id(out, own, item);
                    quoted(out, "input", &text);
                });
                self.finish(item, out, |whole| custom_call(&called, &text, whole));
            }
        }
        Ok(())
    }

    fn text_done(
        &mut self,
        open: &Open,
        (item, part): (usize, usize),
        text: &[u8],
        annotations: &[Vec<u8>],
        out: &mut Vec<u8>,
    ) {
        let id = &self.items[item].id;
        for (n, annotation) in annotations.iter().enumerate() {
            event(&mut self.sequence, "response.output_text.annotation.added", out, |out| {
                open.at(id, item, part, out);
                member(out, "annotation_index", n);
                out.extend_from_slice(b",\"annotation\":");
                out.extend_from_slice(annotation);
            });
        }
        let mut whole = br#"{"type":"output_text","annotations":["#.to_vec();
        whole.extend_from_slice(&annotations.join(&b','));
        whole.extend_from_slice(br#"],"logprobs":[],"text":""#);
        whole.extend_from_slice(text);
        whole.extend_from_slice(b"\"}");
        self.part_done(open, (item, part), ("response.output_text.done", "text"), text, whole, out);
    }

    /// A part of a message is complete; so is the message, when another item has begun behind it.
    fn part_done(
        &mut self,
        open: &Open,
        (item, part): (usize, usize),
        (name, named): (&str, &str),
        text: &[u8],
        whole: Vec<u8>,
        out: &mut Vec<u8>,
    ) {
        let id = &self.items[item].id;
        event(&mut self.sequence, name, out, |out| {
            open.at(id, item, part, out);
            quoted(out, named, text);
            if named == "text" {
                out.extend_from_slice(b",\"logprobs\":[]");
            }
        });
        event(&mut self.sequence, "response.content_part.done", out, |out| {
            open.at(id, item, part, out);
            out.extend_from_slice(b",\"part\":");
            out.extend_from_slice(&whole);
        });
        let message = &mut self.items[item];
        message.parts[part] = whole;
        message.open -= 1;
        if !message.takes {
            self.message_done(item, "completed", out);
        }
    }

    fn reasoning_done(&mut self, open: &Open, item: usize, text: &[u8], proof: &[u8], out: &mut Vec<u8>) {
        let mut part = Vec::new();
        if !text.is_empty() {
            part.extend_from_slice(br#"{"type":"summary_text","text":""#);
            part.extend_from_slice(text);
            part.extend_from_slice(b"\"}");
            let id = &self.items[item].id;
            event(&mut self.sequence, "response.reasoning_summary_text.done", out, |out| {
                open.at(id, item, 0, out);
                quoted(out, "text", text);
            });
            event(&mut self.sequence, "response.reasoning_summary_part.done", out, |out| {
                open.at(id, item, 0, out);
                out.extend_from_slice(b",\"part\":");
                out.extend_from_slice(&part);
            });
        }
        self.finish(item, out, |whole| {
            whole.extend_from_slice(br#","type":"reasoning","summary":["#);
            whole.extend_from_slice(&part);
            whole.push(b']');
            if !proof.is_empty() {
                quoted(whole, "encrypted_content", proof);
            }
        });
    }

    fn message_done(&mut self, item: usize, status: &str, out: &mut Vec<u8>) {
        let message = &mut self.items[item];
        message.takes = false;
        if message.is_message && message.open == 0 && message.whole.is_empty() {
            let parts = std::mem::take(&mut message.parts);
            self.finish(item, out, |whole| self::message(status, &parts, whole));
        }
    }

    fn end(&mut self, cx: &mut WriteState<'_>, out: &mut Vec<u8>) {
        let end = self.stop.unwrap_or(End::Completed);
        let status = if end == End::Completed { "completed" } else { "incomplete" };
        if let Some(last) = self.items.len().checked_sub(1) {
            self.message_done(last, status, out);
        }
        let Some(envelope) = &self.envelope else { return };
        let (whole, usage) = (output(&self.items), response::usage(cx));
        let name = match end {
            End::Completed => "response.completed",
            End::Incomplete(_) => "response.incomplete",
            End::Failed => "response.failed",
        };
        let reason = if let End::Incomplete(reason) = end { Some(reason) } else { None };
        let error =
            (end == End::Failed).then_some(("server_error", "the provider ended the answer with an error"));
        event(&mut self.sequence, name, out, |out| {
            envelope.write(end.status(), error, reason, &whole, Some(&usage), out);
        });
    }

    /// A new item behind the last one, which takes no more parts.
    fn item(
        &mut self,
        prefix: &str,
        own: Option<&Text<'_>>,
        out: &mut Vec<u8>,
    ) -> Result<usize, StreamFault> {
        if let Some(last) = self.items.len().checked_sub(1) {
            self.message_done(last, "completed", out);
        }
        self.new_item(prefix, own)
    }

    fn new_item(&mut self, prefix: &str, own: Option<&Text<'_>>) -> Result<usize, StreamFault> {
        self.hold(ITEM)?;
        let number = self.items.len();
        let id = match (own, &self.envelope) {
            (Some(own), _) => own.decode().into_owned(),
            (None, Some(envelope)) => format!("{prefix}_{}_{number}", envelope.word),
            (None, None) => format!("{prefix}_{number}"),
        };
        self.items.push(Item {
            id,
            parts: Vec::new(),
            open: 0,
            takes: false,
            is_message: false,
            whole: Vec::new(),
        });
        Ok(number)
    }

    fn added(&mut self, item: usize, out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
        let id = &self.items[item].id;
        event(&mut self.sequence, "response.output_item.added", out, |out| {
            member(out, "output_index", item);
            out.extend_from_slice(b",\"item\":{\"id\":");
            write_str(id, out);
            write(out);
            out.push(b'}');
        });
    }

    /// An item is complete.
    fn finish(&mut self, item: usize, out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
        let Item { id, whole, .. } = &mut self.items[item];
        whole.extend_from_slice(b"{\"id\":");
        write_str(id, whole);
        write(whole);
        whole.push(b'}');
        event(&mut self.sequence, "response.output_item.done", out, |out| {
            member(out, "output_index", item);
            out.extend_from_slice(b",\"item\":");
            out.extend_from_slice(whole);
        });
    }

    fn hold(&mut self, bytes: usize) -> Result<(), StreamFault> {
        self.held += bytes;
        if self.held > self.limits.held {
            return Err(StreamFault::TooMuchHeld { limit: self.limits.held });
        }
        Ok(())
    }
}

impl Open {
    /// The members that say where it is.
    fn at(&self, id: &str, item: usize, part: usize, out: &mut Vec<u8>) {
        member_id(out, id, item);
        match self.kind {
            Kind::Text(_) | Kind::Refusal => member(out, "content_index", part),
            Kind::Reasoning(_) => member(out, "summary_index", part),
            Kind::Function(_) | Kind::Custom(_) | Kind::Search(_) => {}
        }
    }
}

/// All items that are complete, with commas between.
fn output(items: &[Item]) -> Vec<u8> {
    let mut all = Vec::new();
    for item in items.iter().filter(|item| !item.whole.is_empty()) {
        if !all.is_empty() {
            all.push(b',');
        }
        all.extend_from_slice(&item.whole);
    }
    all
}

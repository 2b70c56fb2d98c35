//! Writes a stream of chat completion chunks.

use busbar_protocols::ir::{
    Block, BlockStartEvent, DeltaEvent, Event, Response, StopReason, ToolCallBlock, ToolKind,
};
use busbar_protocols::{EffectKind, Text, Wire, openai_chat as wire};

use super::{WriteState, block_of, write_str, write_u64};
use crate::stream::StreamFault;
use crate::stream::sse::write_event;

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
    /// Blocks of reasoning begun; numbers the items of `reasoning_details`.
    thoughts: u64,
    finish: Vec<u8>,
}

#[derive(Debug)]
struct Open {
    block: u64,
    answer: u64,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Text,
    /// Its number among the blocks of reasoning.
    Reasoning(u64),
    /// Its number among the calls, and whether arguments have been written.
    Function(u64, bool),
    Custom(u64),
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
                let word = wire::write_chat_completion_choice_finish_reason(reason);
                let word = word.unwrap_or(wire::ChatCompletionChoiceFinishReason::Stop).to_json();
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
        self.answers.push(Answer { index, calls: 0, thoughts: 0, finish: Vec::new() });
        self.chunk(index, cx, out, |out| out.extend_from_slice(br#""role":"assistant","content":"""#));
    }

    fn start(&mut self, start: &BlockStartEvent<'_>, cx: &mut WriteState<'_>, out: &mut Vec<u8>) {
        let (block, candidate) = (block_of(&start.index), block_of(&start.candidate));
        self.answer(candidate, cx, out);
        let Some(place) = self.answers.iter().position(|answer| answer.index == candidate) else { return };
        let answer = &mut self.answers[place];
        let kind = match start.block.as_deref() {
            Some(Block::Text(_) | Block::Refusal(_)) => Kind::Text,
            Some(Block::Reasoning(_)) => {
                answer.thoughts += 1;
                Kind::Reasoning(answer.thoughts - 1)
            }
            Some(Block::RedactedReasoning(_)) => {
                answer.thoughts += 1;
                Kind::Reasoning(answer.thoughts - 1)
            }
            Some(Block::ToolCall(call)) => {
                answer.calls += 1;
                match call.kind {
                    Some(ToolKind::Custom) => Kind::Custom(answer.calls - 1),
                    _ => Kind::Function(answer.calls - 1, false),
                }
            }
            Some(other) => {
                let path = format!("content.{}", other.kind());
                let reason = "a streamed answer of the client's protocol has no form for it";
                cx.ledger.note(EffectKind::Dropped, path, reason);
                return;
            }
            None => return,
        };
        self.blocks.push(Open { block, answer: candidate, kind });
        match (start.block.as_deref(), kind) {
            (Some(Block::Text(node)), _) => self.text(candidate, "content", node.text.as_ref(), cx, out),
            (Some(Block::Refusal(node)), _) => self.text(candidate, "refusal", node.text.as_ref(), cx, out),
            (Some(Block::Reasoning(node)), Kind::Reasoning(number)) => {
                self.text(candidate, "reasoning_content", node.text.as_ref(), cx, out);
                self.signature(candidate, number, node.signature.as_ref(), cx, out);
            }
            (Some(Block::RedactedReasoning(node)), Kind::Reasoning(number)) => {
                self.detail(candidate, number, "reasoning.encrypted", "data", node.data.as_ref(), cx, out);
            }
            (Some(Block::ToolCall(call)), Kind::Function(number, _)) => {
                self.call(candidate, number, "function", "arguments", call, cx, out);
            }
            (Some(Block::ToolCall(call)), Kind::Custom(number)) => {
                self.call(candidate, number, "custom", "input", call, cx, out);
            }
            _ => {}
        }
    }

    fn delta(&mut self, delta: &DeltaEvent<'_>, cx: &mut WriteState<'_>, out: &mut Vec<u8>) {
        let block = block_of(&delta.index);
        let Some(place) = self.blocks.iter().position(|open| open.block == block) else { return };
        let Open { answer, kind, .. } = self.blocks[place];
        self.text(answer, "content", delta.text.as_ref(), cx, out);
        self.text(answer, "refusal", delta.refusal.as_ref(), cx, out);
        self.text(answer, "reasoning_content", delta.reasoning.as_ref(), cx, out);
        if let Some(arguments) = delta.arguments.as_ref().filter(|text| !text.is_empty()) {
            match kind {
                Kind::Function(number, _) => {
                    self.blocks[place].kind = Kind::Function(number, true);
                    self.fragment(answer, number, "function", "arguments", arguments, cx, out);
                }
                Kind::Custom(number) => self.fragment(answer, number, "custom", "input", arguments, cx, out),
                Kind::Text | Kind::Reasoning(_) => {}
            }
        }
        if let Kind::Reasoning(number) = kind {
            self.signature(answer, number, delta.signature.as_ref(), cx, out);
        }
        if delta.citation.is_some() {
            cx.ledger.note(EffectKind::Dropped, "content.citations", "chunks have no place for a citation");
        }
    }

    fn stop_block(&mut self, block: u64, cx: &WriteState<'_>, out: &mut Vec<u8>) {
        let Some(place) = self.blocks.iter().position(|open| open.block == block) else { return };
        let open = self.blocks.remove(place);
        // A call without arguments has none of their text; clients parse it all the same.
        if let Kind::Function(number, false) = open.kind {
            self.fragment(open.answer, number, "function", "arguments", &Text::plain("{}"), cx, out);
        }
    }

    fn end(&mut self, cx: &WriteState<'_>, out: &mut Vec<u8>) {
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

    fn signature(
        &self,
        answer: u64,
        number: u64,
        signature: Option<&Text<'_>>,
        cx: &WriteState<'_>,
        out: &mut Vec<u8>,
    ) {
        if signature.is_some_and(|text| !text.is_empty()) {
            self.detail(answer, number, "reasoning.text", "signature", signature, cx, out);
        }
    }

    /// One item of `reasoning_details`; some clients join items by their `index` and fail without it.
    #[expect(clippy::too_many_arguments, reason = "a writer of one JSON shape, and where it goes")]
    fn detail(
        &self,
        answer: u64,
        number: u64,
        kind: &str,
        member: &str,
        value: Option<&Text<'_>>,
        cx: &WriteState<'_>,
        out: &mut Vec<u8>,
    ) {
        let Some(value) = value else { return };
        self.chunk(answer, cx, out, |out| {
            out.extend_from_slice(br#""reasoning_details":[{"type":""#);
            out.extend_from_slice(kind.as_bytes());
            out.extend_from_slice(b"\",\"index\":");
            write_u64(number, out);
            out.extend_from_slice(b",\"");
            out.extend_from_slice(member.as_bytes());
            out.extend_from_slice(b"\":");
            value.write(out);
            out.extend_from_slice(b"}]");
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

fn write_usage(cx: &WriteState<'_>, out: &mut Vec<u8>) {
    let counts = cx.counts;
    let (input, output) = (counts.input.unwrap_or(0), counts.output.unwrap_or(0));
    let member = |name: &str, count: u64, out: &mut Vec<u8>| {
        out.extend_from_slice(name.as_bytes());
        write_u64(count, out);
    };
    member(r#"{"prompt_tokens":"#, input, out);
    member(r#","completion_tokens":"#, output, out);
    member(r#","total_tokens":"#, counts.total.unwrap_or(input.saturating_add(output)), out);
    member(r#","prompt_tokens_details":{"cached_tokens":"#, counts.cache_read.unwrap_or(0), out);
    if let Some(count) = counts.cache_write {
        member(r#","cache_write_tokens":"#, count, out);
    }
    if let Some(count) = counts.audio_input {
        member(r#","audio_tokens":"#, count, out);
    }
    member(r#"},"completion_tokens_details":{"reasoning_tokens":"#, counts.reasoning.unwrap_or(0), out);
    for (name, count) in [
        (r#","audio_tokens":"#, counts.audio_output),
        (r#","accepted_prediction_tokens":"#, counts.accepted_prediction),
        (r#","rejected_prediction_tokens":"#, counts.rejected_prediction),
    ] {
        if let Some(count) = count {
            member(name, count, out);
        }
    }
    out.extend_from_slice(b"}}");
}

fn write_text(text: Option<&Text<'_>>, out: &mut Vec<u8>) {
    match text {
        Some(text) => text.write(out),
        None => write_str("", out),
    }
}

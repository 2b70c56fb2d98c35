//! Writes a stream of Anthropic messages events.
//!
//! One block at a time is open: what belongs to another one is kept back until it is that one's turn.

use busbar_protocols::ir::{Block, BlockStartEvent, Citation, DeltaEvent, Event, Response, Stop};
use busbar_protocols::prelude::{Paths, WriteCx};
use busbar_protocols::{EffectKind, Text, Wire, anthropic as wire};

use super::turns::Turns;
use super::{WriteState, block_of, write_str, write_u64};
use crate::stream::sse::write_event;
use crate::stream::{Counts, Limits, StreamFault};

/// Where a stream of messages events stands.
#[derive(Debug)]
pub(crate) struct Writer {
    turns: Turns,
    stop: Option<End>,
}

/// Why the answer ended.
#[derive(Debug)]
struct End {
    reason: wire::StopReason<'static>,
    sequence: Option<String>,
    category: Option<String>,
    explanation: Option<String>,
}

impl Writer {
    pub(crate) fn new(limits: Limits) -> Self {
        Self { turns: Turns::new(limits), stop: None }
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
                message_start(start.response.as_deref().unwrap_or(&empty), cx, out);
                Ok(())
            }
            Event::BlockStart(start) => self.start(start, cx, out),
            Event::Delta(delta) => self.delta(delta, cx, out),
            Event::BlockStop(stop) => self.stop_block(block_of(&stop.index), out),
            Event::Stop(stop) => {
                if block_of(&stop.candidate) == 0 {
                    self.stop = Some(end_of(&stop.stop));
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
        let native;
        let content: &[u8] = match block {
            Block::Text(_) | Block::Refusal(_) => br#"{"type":"text","text":""}"#,
            Block::Reasoning(_) => br#"{"type":"thinking","thinking":"","signature":""}"#,
            Block::RedactedReasoning(node) => {
                let mut json = br#"{"type":"redacted_thinking","data":"#.to_vec();
                text_or_empty(node.data.as_ref(), &mut json);
                json.push(b'}');
                native = json;
                &native
            }
            Block::ToolCall(node) => {
                let mut json = br#"{"type":"tool_use","id":"#.to_vec();
                text_or_empty(node.id.as_ref(), &mut json);
                json.extend_from_slice(br#","name":"#);
                text_or_empty(node.name.as_ref(), &mut json);
                json.extend_from_slice(br#","input":{}}"#);
                native = json;
                &native
            }
            Block::Native(node) if cx.call.client == cx.call.backend => match &node.value {
                Some(value) => value.as_str().as_bytes(),
                None => return Ok(()),
            },
            other => {
                let path = format!("content.{}", other.kind());
                cx.ledger.note(
                    EffectKind::Dropped,
                    path,
                    "a streamed answer of the client's protocol has no form for it",
                );
                return Ok(());
            }
        };
        let number = block_of(&start.index);
        self.turns.begin(number);
        self.turns.write(number, out, |index, out| {
            write_event(out, Some("content_block_start"), |out| {
                out.extend_from_slice(br#"{"type":"content_block_start","index":"#);
                write_u64(index, out);
                out.extend_from_slice(br#","content_block":"#);
                out.extend_from_slice(content);
                out.push(b'}');
            });
        })?;
        match block {
            Block::Text(node) => self.text(number, "text_delta", "text", node.text.as_ref(), out),
            Block::Refusal(node) => self.text(number, "text_delta", "text", node.text.as_ref(), out),
            Block::Reasoning(node) => {
                self.text(number, "thinking_delta", "thinking", node.text.as_ref(), out)?;
                self.text(number, "signature_delta", "signature", node.signature.as_ref(), out)
            }
            _ => Ok(()),
        }
    }

    fn delta(
        &mut self,
        delta: &DeltaEvent<'_>,
        cx: &mut WriteState<'_>,
        out: &mut Vec<u8>,
    ) -> Result<(), StreamFault> {
        let number = block_of(&delta.index);
        let words = delta.text.as_ref().or(delta.refusal.as_ref());
        self.text(number, "text_delta", "text", words, out)?;
        self.text(number, "thinking_delta", "thinking", delta.reasoning.as_ref(), out)?;
        self.text(number, "input_json_delta", "partial_json", delta.arguments.as_ref(), out)?;
        if let Some(citation) = &delta.citation {
            match write_citation(citation, cx) {
                Some(json) => self.piece(number, "citations_delta", "citation", &json, out)?,
                None => {
                    cx.ledger.note(EffectKind::Dropped, "citations", "no form for a citation of this kind")
                }
            }
        }
        self.text(number, "signature_delta", "signature", delta.signature.as_ref(), out)
    }

    fn text(
        &mut self,
        number: u64,
        kind: &str,
        member: &str,
        text: Option<&Text<'_>>,
        out: &mut Vec<u8>,
    ) -> Result<(), StreamFault> {
        let Some(text) = text.filter(|text| !text.is_empty()) else { return Ok(()) };
        self.turns
            .write(number, out, |index, out| delta_event(index, kind, member, out, |out| text.write(out)))
    }

    fn piece(
        &mut self,
        number: u64,
        kind: &str,
        member: &str,
        json: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), StreamFault> {
        self.turns.write(number, out, |index, out| {
            delta_event(index, kind, member, out, |out| out.extend_from_slice(json));
        })
    }

    fn stop_block(&mut self, number: u64, out: &mut Vec<u8>) -> Result<(), StreamFault> {
        self.turns.write(number, out, |index, out| {
            write_event(out, Some("content_block_stop"), |out| {
                out.extend_from_slice(br#"{"type":"content_block_stop","index":"#);
                write_u64(index, out);
                out.push(b'}');
            });
        })?;
        self.turns.close(number, out);
        Ok(())
    }

    fn end(&mut self, cx: &WriteState<'_>, out: &mut Vec<u8>) {
        let end = self.stop.take().unwrap_or_else(|| end_of(&Stop::default()));
        write_event(out, Some("message_delta"), |out| {
            out.extend_from_slice(br#"{"type":"message_delta","delta":{"stop_reason":"#);
            end.reason.write(out);
            out.extend_from_slice(br#","stop_sequence":"#);
            write_or_null(end.sequence.as_deref(), out);
            if end.category.is_some() || end.explanation.is_some() {
                out.extend_from_slice(br#","stop_details":{"type":"refusal","category":"#);
                write_or_null(end.category.as_deref(), out);
                out.extend_from_slice(br#","explanation":"#);
                write_or_null(end.explanation.as_deref(), out);
                out.push(b'}');
            }
            out.extend_from_slice(br#"},"usage":{"#);
            write_counts(cx.counts, out);
            if let Some(reasoning) = cx.counts.reasoning {
                out.extend_from_slice(br#","output_tokens_details":{"thinking_tokens":"#);
                write_u64(reasoning, out);
                out.push(b'}');
            }
            out.extend_from_slice(b"}}");
        });
        write_event(out, Some("message_stop"), |out| out.extend_from_slice(br#"{"type":"message_stop"}"#));
    }
}

fn write_citation(citation: &Citation<'_>, cx: &mut WriteState<'_>) -> Option<Vec<u8>> {
    let paths = Paths::default();
    let mut write = WriteCx::new(cx.call.backend, cx.call.client, &paths);
    let json = wire::write_text_citation(citation, &citation.native, &mut write, Paths::ROOT)?.to_json();
    cx.ledger.extend(write.ledger);
    Some(json)
}

fn message_start(response: &Response<'_>, cx: &WriteState<'_>, out: &mut Vec<u8>) {
    write_event(out, Some("message_start"), |out| {
        out.extend_from_slice(br#"{"type":"message_start","message":{"id":"#);
        text_or_empty(response.id.as_ref(), out);
        out.extend_from_slice(br#","type":"message","role":"assistant","model":"#);
        text_or_empty(response.model.as_ref(), out);
        out.extend_from_slice(br#","content":[],"stop_reason":null,"stop_sequence":null,"usage":{"#);
        write_counts(cx.counts, out);
        out.extend_from_slice(br#","cache_creation":{"ephemeral_5m_input_tokens":"#);
        write_u64(cx.counts.cache_write_5m.unwrap_or(0), out);
        out.extend_from_slice(br#","ephemeral_1h_input_tokens":"#);
        write_u64(cx.counts.cache_write_1h.unwrap_or(0), out);
        out.extend_from_slice(b"}}}}");
    });
}

/// The counts that every usage object has; clients read them without asking whether they are there.
fn write_counts(counts: &Counts, out: &mut Vec<u8>) {
    for (place, (name, count)) in [
        ("input_tokens", counts.fresh_input.or(counts.input)),
        ("cache_creation_input_tokens", counts.cache_write),
        ("cache_read_input_tokens", counts.cache_read),
        ("output_tokens", counts.output),
    ]
    .into_iter()
    .enumerate()
    {
        if place > 0 {
            out.push(b',');
        }
        out.push(b'"');
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(b"\":");
        write_u64(count.unwrap_or(0), out);
    }
}

fn delta_event(index: u64, kind: &str, member: &str, out: &mut Vec<u8>, value: impl FnOnce(&mut Vec<u8>)) {
    write_event(out, Some("content_block_delta"), |out| {
        out.extend_from_slice(br#"{"type":"content_block_delta","index":"#);
        write_u64(index, out);
        out.extend_from_slice(br#","delta":{"type":""#);
        out.extend_from_slice(kind.as_bytes());
        out.extend_from_slice(b"\",\"");
        out.extend_from_slice(member.as_bytes());
        out.extend_from_slice(b"\":");
        value(out);
        out.extend_from_slice(b"}}");
    });
}

fn text_or_empty(text: Option<&Text<'_>>, out: &mut Vec<u8>) {
    match text {
        Some(text) => text.write(out),
        None => out.extend_from_slice(b"\"\""),
    }
}

fn end_of(stop: &Stop<'_>) -> End {
    let text = |text: &Option<Text<'_>>| text.as_ref().map(|text| text.decode().into_owned());
    let word = stop.reason.as_ref().and_then(wire::write_stop_reason);
    let word = word.map_or(Text::plain("end_turn"), |word| word.text());
    End {
        reason: wire::StopReason::from_text(word.into_owned()),
        sequence: text(&stop.sequence),
        category: text(&stop.category),
        explanation: text(&stop.explanation),
    }
}

fn write_or_null(text: Option<&str>, out: &mut Vec<u8>) {
    match text {
        Some(text) => write_str(text, out),
        None => out.extend_from_slice(b"null"),
    }
}

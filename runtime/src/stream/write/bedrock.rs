//! Writes a stream of Converse events.
//!
//! Calls alone are announced: Bedrock's SDKs refuse the begin of a block that is of another kind.

use busbar_protocols::ir::{Block, BlockStartEvent, Citation, CitationKind, DeltaEvent, Event, Stop};
use busbar_protocols::{EffectKind, Num, Text, bedrock as wire};

use super::turns::Turns;
use super::{WriteState, block_of, write_str, write_u64};
use crate::stream::event_stream::write_event;
use crate::stream::{Counts, Limits, StreamFault};

/// Where a stream of Converse events stands.
#[derive(Debug)]
pub(crate) struct Writer {
    turns: Turns,
    /// Blocks that are open, and of what kind; of text it need not be known.
    open: Vec<(u64, Kind)>,
    stop: Option<End>,
    /// The service tier in Bedrock's word.
    tier: Option<String>,
}

/// Blocks that clients expect something of, even if the provider says nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Text, which they give back with the signature.
    Reasoning,
    /// Arguments, which they parse.
    Call,
}

/// Why the answer ended.
#[derive(Debug)]
struct End {
    reason: String,
    sequence: Option<String>,
}

impl Writer {
    pub(crate) fn new(limits: Limits) -> Self {
        Self { turns: Turns::new(limits), open: Vec::new(), stop: None, tier: None }
    }

    pub(crate) fn event(
        &mut self,
        event: &Event<'_>,
        cx: &mut WriteState<'_>,
        out: &mut Vec<u8>,
    ) -> Result<(), StreamFault> {
        match event {
            Event::Start(start) => {
                let tier = start.response.as_ref().and_then(|answer| answer.service_tier.as_ref());
                let word = tier.and_then(wire::write_service_tier_type);
                if tier.is_some() && word.is_none() {
                    let reason = "Bedrock's tiers are priority, default, flex and reserved";
                    cx.ledger.note(EffectKind::Dropped, "service_tier", reason);
                }
                self.tier = word.map(|word| word.text().decode().into_owned());
                write_event(out, "messageStart", |out| out.extend_from_slice(br#"{"role":"assistant"}"#));
                Ok(())
            }
            Event::BlockStart(start) => self.start(start, cx, out),
            Event::Delta(delta) => self.delta(delta, cx, out),
            Event::BlockStop(stop) => self.stop_block(block_of(&stop.index), out),
            Event::Stop(stop) => {
                if block_of(&stop.candidate) == 0 {
                    note_refusal(&stop.stop, cx);
                    self.stop = Some(end_of(&stop.stop));
                }
                Ok(())
            }
            Event::End(_) => {
                let end = self.stop.take().unwrap_or_else(|| end_of(&Stop::default()));
                message_stop(&end, out);
                metadata(cx.counts, self.tier.as_deref(), out);
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
        let number = block_of(&start.index);
        match start.block.as_deref() {
            Some(Block::Text(node)) => {
                self.turns.begin(number);
                self.text(number, "text", node.text.as_ref(), out)
            }
            Some(Block::Refusal(node)) => {
                self.turns.begin(number);
                self.text(number, "text", node.text.as_ref(), out)
            }
            Some(Block::Reasoning(node)) => {
                self.turns.begin(number);
                self.open.push((number, Kind::Reasoning));
                self.reasoning(number, "text", node.text.as_ref(), out)?;
                self.signature(number, node.signature.as_ref(), out)
            }
            Some(Block::RedactedReasoning(node)) => {
                self.turns.begin(number);
                self.reasoning(number, "redactedContent", node.data.as_ref(), out)
            }
            Some(Block::ToolCall(node)) => {
                self.turns.begin(number);
                self.open.push((number, Kind::Call));
                self.turns.write(number, out, |index, out| {
                    write_event(out, "contentBlockStart", |out| {
                        out.extend_from_slice(br#"{"start":{"toolUse":{"toolUseId":"#);
                        text_or_empty(node.id.as_ref(), out);
                        out.extend_from_slice(br#","name":"#);
                        text_or_empty(node.name.as_ref(), out);
                        out.extend_from_slice(br#"}},"contentBlockIndex":"#);
                        write_u64(index, out);
                        out.push(b'}');
                    });
                })
            }
            Some(other) => {
                let path = format!("content.{}", other.kind());
                let reason = "a streamed answer of the client's protocol has no form for it";
                cx.ledger.note(EffectKind::Dropped, path, reason);
                Ok(())
            }
            None => Ok(()),
        }
    }

    fn delta(
        &mut self,
        delta: &DeltaEvent<'_>,
        cx: &mut WriteState<'_>,
        out: &mut Vec<u8>,
    ) -> Result<(), StreamFault> {
        let number = block_of(&delta.index);
        self.text(number, "text", delta.text.as_ref().or(delta.refusal.as_ref()), out)?;
        self.reasoning(number, "text", delta.reasoning.as_ref(), out)?;
        if let Some(arguments) = delta.arguments.as_ref().filter(|text| !text.is_empty()) {
            self.piece(number, out, |out| {
                out.extend_from_slice(br#""toolUse":{"input":"#);
                arguments.write(out);
                out.push(b'}');
            })?;
        }
        if let Some(citation) = &delta.citation {
            note_citation(citation, cx);
            if says_anything(citation) {
                self.piece(number, out, |out| write_citation(citation, out))?;
            }
        }
        self.signature(number, delta.signature.as_ref(), out)
    }

    fn text(
        &mut self,
        number: u64,
        member: &str,
        text: Option<&Text<'_>>,
        out: &mut Vec<u8>,
    ) -> Result<(), StreamFault> {
        let Some(text) = text.filter(|text| !text.is_empty()) else { return Ok(()) };
        self.piece(number, out, |out| member_of(member, text, out))
    }

    fn reasoning(
        &mut self,
        number: u64,
        member: &str,
        text: Option<&Text<'_>>,
        out: &mut Vec<u8>,
    ) -> Result<(), StreamFault> {
        let Some(text) = text.filter(|text| !text.is_empty()) else { return Ok(()) };
        self.reasoning_piece(number, member, text, out)
    }

    fn reasoning_piece(
        &mut self,
        number: u64,
        member: &str,
        text: &Text<'_>,
        out: &mut Vec<u8>,
    ) -> Result<(), StreamFault> {
        self.piece(number, out, |out| {
            out.extend_from_slice(br#""reasoningContent":{"#);
            member_of(member, text, out);
            out.push(b'}');
        })
    }

    /// Writes a signature; a client gives the text back with it, so there is one, be it empty.
    fn signature(
        &mut self,
        number: u64,
        signature: Option<&Text<'_>>,
        out: &mut Vec<u8>,
    ) -> Result<(), StreamFault> {
        if signature.is_some() && self.turns.events(number) == 0 {
            self.reasoning_piece(number, "text", &Text::default(), out)?;
        }
        self.reasoning(number, "signature", signature, out)
    }

    fn piece(
        &mut self,
        number: u64,
        out: &mut Vec<u8>,
        value: impl FnOnce(&mut Vec<u8>),
    ) -> Result<(), StreamFault> {
        self.turns.write(number, out, |index, out| {
            write_event(out, "contentBlockDelta", |out| {
                out.extend_from_slice(br#"{"delta":{"#);
                value(out);
                out.extend_from_slice(br#"},"contentBlockIndex":"#);
                write_u64(index, out);
                out.push(b'}');
            });
        })
    }

    fn stop_block(&mut self, number: u64, out: &mut Vec<u8>) -> Result<(), StreamFault> {
        let place = self.open.iter().position(|(block, _)| *block == number);
        let kind = place.map(|place| self.open.swap_remove(place).1);
        match (kind, self.turns.events(number)) {
            // Its begin alone: a call without arguments is one with none of them.
            (Some(Kind::Call), 1) => {
                self.piece(number, out, |out| out.extend_from_slice(br#""toolUse":{"input":"{}"}"#))?;
            }
            // Without a delta a client would not know of what kind the block is.
            (Some(Kind::Reasoning), 0) => self.reasoning_piece(number, "text", &Text::default(), out)?,
            (None, 0) => self.piece(number, out, |out| member_of("text", &Text::default(), out))?,
            _ => {}
        }
        self.turns.write(number, out, |index, out| {
            write_event(out, "contentBlockStop", |out| {
                out.extend_from_slice(br#"{"contentBlockIndex":"#);
                write_u64(index, out);
                out.push(b'}');
            });
        })?;
        self.turns.close(number, out);
        Ok(())
    }
}

fn message_stop(end: &End, out: &mut Vec<u8>) {
    write_event(out, "messageStop", |out| {
        out.extend_from_slice(br#"{"stopReason":"#);
        write_str(&end.reason, out);
        if let Some(sequence) = &end.sequence {
            out.extend_from_slice(br#","additionalModelResponseFields":{"stop_sequence":"#);
            write_str(sequence, out);
            out.push(b'}');
        }
        out.push(b'}');
    });
}

/// Writes the counts, which come last.
fn metadata(counts: &Counts, tier: Option<&str>, out: &mut Vec<u8>) {
    let total =
        counts.total.unwrap_or_else(|| counts.input.unwrap_or(0).saturating_add(counts.output.unwrap_or(0)));
    write_event(out, "metadata", |out| {
        out.extend_from_slice(br#"{"usage":{"inputTokens":"#);
        write_u64(counts.fresh_input.or(counts.input).unwrap_or(0), out);
        for (name, count) in [
            ("outputTokens", Some(counts.output.unwrap_or(0))),
            ("totalTokens", Some(total)),
            ("cacheReadInputTokens", counts.cache_read),
            ("cacheWriteInputTokens", counts.cache_write),
        ] {
            if let Some(count) = count {
                out.extend_from_slice(b",\"");
                out.extend_from_slice(name.as_bytes());
                out.extend_from_slice(b"\":");
                write_u64(count, out);
            }
        }
        let split = [("5m", counts.cache_write_5m), ("1h", counts.cache_write_1h)];
        let mut lead: &[u8] = br#","cacheDetails":["#;
        let mut is_split = false;
        for (ttl, count) in split {
            if let Some(count) = count.filter(|count| *count > 0) {
                out.extend_from_slice(lead);
                out.extend_from_slice(br#"{"ttl":""#);
                out.extend_from_slice(ttl.as_bytes());
                out.extend_from_slice(br#"","inputTokens":"#);
                write_u64(count, out);
                out.push(b'}');
                lead = b",";
                is_split = true;
            }
        }
        if is_split {
            out.push(b']');
        }
        // The member is required. There is no clock here, so that the same stream is always the same bytes, and
        // the time that the model took is not the gateway's to tell.
        out.extend_from_slice(br#"},"metrics":{"latencyMs":0}"#);
        if let Some(tier) = tier {
            out.extend_from_slice(br#","serviceTier":{"type":"#);
            write_str(tier, out);
            out.push(b'}');
        }
        out.push(b'}');
    });
}

fn member_of(name: &str, text: &Text<'_>, out: &mut Vec<u8>) {
    out.push(b'"');
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\":");
    text.write(out);
}

fn text_or_empty(text: Option<&Text<'_>>, out: &mut Vec<u8>) {
    match text {
        Some(text) => text.write(out),
        None => out.extend_from_slice(b"\"\""),
    }
}

fn end_of(stop: &Stop<'_>) -> End {
    let word = stop.reason.as_ref().and_then(wire::write_stop_reason);
    End {
        reason: word.map_or_else(|| "end_turn".to_owned(), |word| word.text().decode().into_owned()),
        sequence: stop.sequence.as_ref().map(|text| text.decode().into_owned()),
    }
}

/// Reports the words about a refusal, which stand nowhere in this protocol.
fn note_refusal(stop: &Stop<'_>, cx: &mut WriteState<'_>) {
    let reason = "Bedrock has no words about a refusal";
    if stop.category.is_some() {
        cx.ledger.note(EffectKind::Dropped, "stop.category", reason);
        if stop.explanation.is_some() {
            cx.ledger.note(EffectKind::Dropped, "stop.explanation", reason);
        }
    }
}

fn write_citation(citation: &Citation<'_>, out: &mut Vec<u8>) {
    let mut lead: &[u8] = br#""citation":{"#;
    let mut put = |name: &str, out: &mut Vec<u8>| {
        out.extend_from_slice(std::mem::replace(&mut lead, b","));
        out.push(b'"');
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(b"\":");
    };
    for (name, text) in [("title", &citation.title), ("source", &citation.source)] {
        if let Some(text) = text {
            put(name, out);
            text.write(out);
        }
    }
    if let Some(words) = &citation.cited_text {
        put("sourceContent", out);
        out.extend_from_slice(br#"[{"text":"#);
        words.write(out);
        out.extend_from_slice(b"}]");
    }
    if let Some((form, of, number)) = location(citation) {
        put("location", out);
        out.extend_from_slice(b"{\"");
        out.extend_from_slice(form.as_bytes());
        out.extend_from_slice(b"\":{");
        if let Some(url) = citation.url.as_ref().filter(|_| form == WEB) {
            member_of("url", url, out);
        }
        let mut comma = false;
        for (name, number) in
            [(of, number), ("start", citation.start.as_ref()), ("end", citation.end.as_ref())]
        {
            if let Some(number) = number.and_then(Num::as_u64).filter(|_| form != WEB) {
                out.extend_from_slice(if comma { b",\"" } else { b"\"" });
                out.extend_from_slice(name.as_bytes());
                out.extend_from_slice(b"\":");
                write_u64(number, out);
                comma = true;
            }
        }
        out.extend_from_slice(b"}}");
    }
    out.push(b'}');
}

/// Whether anything of a citation has a place in this protocol.
fn says_anything(citation: &Citation<'_>) -> bool {
    location(citation).is_some()
        || [&citation.title, &citation.source, &citation.cited_text].into_iter().any(Option::is_some)
}

/// The form of a location that is an address.
const WEB: &str = "web";

/// The form of a citation's location, and which of the request's sources it is in.
fn location<'c>(citation: &'c Citation<'_>) -> Option<(&'static str, &'static str, Option<&'c Num<'c>>)> {
    let document = citation.document_index.as_ref();
    Some(match citation.kind.as_ref()? {
        CitationKind::Char => ("documentChar", "documentIndex", document),
        CitationKind::Page => ("documentPage", "documentIndex", document),
        CitationKind::Block => ("documentChunk", "documentIndex", document),
        CitationKind::SearchResult => {
            ("searchResultLocation", "searchResultIndex", citation.search_result_index.as_ref())
        }
        CitationKind::Url => (WEB, "url", None),
        CitationKind::FileCitation
        | CitationKind::FilePath
        | CitationKind::ContainerFileCitation
        | CitationKind::Other(_) => return None,
    })
}

/// Reports what a citation says and this protocol does not.
fn note_citation(citation: &Citation<'_>, cx: &mut WriteState<'_>) {
    for (name, is_said) in [
        ("citations.encrypted_index", citation.encrypted_index.is_some()),
        ("citations.file_id", citation.file_id.is_some()),
        ("citations.kind", location(citation).is_none()),
        ("citations.text_range", citation.text_start.is_some() || citation.text_end.is_some()),
    ] {
        if is_said {
            cx.ledger.note(EffectKind::Dropped, name, "Bedrock's citations do not have it");
        }
    }
}

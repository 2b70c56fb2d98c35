//! Writes a stream of generateContent responses, as events or as one JSON array.

use busbar_protocols::gemini as wire;
use busbar_protocols::ir::{
    Block, BlockStartEvent, Citation, CitationKind, DeltaEvent, Event, Response, Source, StopEvent,
    StopReason, ToolCallBlock,
};
use busbar_protocols::prelude::{Native, Paths, WriteCx};
use busbar_protocols::{EffectKind, Field, Json, Num, Text, Wire};

use super::{WriteState, block_of, write_str, write_u64};
use crate::Protocol;
use crate::fault::{self, Fault};
use crate::stream::said::Said;
use crate::stream::{Limits, StreamFault};
use crate::translate::RAW_ARGUMENTS;

/// Citations of one answer at most.
const MAX_CITATIONS: usize = 4096;

/// Where a stream of responses stands.
#[derive(Debug)]
pub(crate) struct Writer {
    limits: Limits,
    /// What every response ends with: model and id are the same in all.
    tail: Vec<u8>,
    answers: Vec<Answer>,
    blocks: Vec<Open>,
    /// Bytes of arguments that wait for the end of their call.
    held: usize,
    /// Whether the client reads one array.
    array: bool,
    /// Whether the array has an element.
    begun: bool,
}

#[derive(Debug)]
struct Answer {
    index: u64,
    /// The text so far, in whose bytes citations count.
    said: Said,
    /// Sources, as elements of `groundingChunks`.
    sources: Vec<Vec<u8>>,
    /// Elements of `groundingSupports`.
    supports: Vec<Vec<u8>>,
    /// What the last response says of why it ends: members, in JSON.
    stop: Vec<u8>,
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
    Text(usize, Vec<Cited>),
    Reasoning,
    Call(Call),
}

/// A call that waits for its last argument.
#[derive(Debug)]
struct Call {
    id: String,
    name: String,
    arguments: String,
    signature: String,
    ended: bool,
}

/// One citation of a text: the place of its source in the list, and what the source's provider says of where.
#[derive(Debug)]
struct Cited {
    source: usize,
    chars: Option<(usize, usize)>,
}

impl Writer {
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            limits,
            tail: Vec::new(),
            answers: Vec::new(),
            blocks: Vec::new(),
            held: 0,
            array: false,
            begun: false,
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
                self.array = cx.call.json_array;
                let empty = Response::default();
                self.tail = tail(start.response.as_deref().unwrap_or(&empty));
                self.answer(0);
                Ok(())
            }
            Event::BlockStart(start) => self.start(start, cx, out),
            Event::Delta(delta) => self.delta(delta, cx, out),
            Event::BlockStop(stop) => {
                self.stop_block(block_of(&stop.index), cx, out);
                Ok(())
            }
            Event::Stop(stop) => {
                let place = self.answer(block_of(&stop.candidate));
                self.answers[place].stop = why(stop, cx);
                Ok(())
            }
            Event::End(_) => {
                self.end(cx, out);
                Ok(())
            }
            Event::Usage(_) | Event::Ping(_) | Event::Error(_) => Ok(()),
        }
    }

    /// Something that means nothing. Google's SDKs take a comment for broken JSON, so it is a response.
    pub(crate) fn keep_alive(&self, out: &mut Vec<u8>) {
        if self.array {
            out.push(b'\n');
            return;
        }
        out.extend_from_slice(b"data: ");
        self.response(0, out, |out| out.extend_from_slice(br#"{"text":""}"#));
        out.extend_from_slice(b"\r\n\r\n");
    }

    /// An error as the last response.
    pub(crate) fn fail(&mut self, fault: &Fault, request_id: &str, out: &mut Vec<u8>) {
        self.begin(out);
        out.extend_from_slice(&fault::render(Protocol::Gemini, fault, request_id).body);
        self.finish(out, true);
    }

    /// The place of an answer.
    fn answer(&mut self, index: u64) -> usize {
        match self.answers.iter().position(|answer| answer.index == index) {
            Some(place) => place,
            None => {
                let said = Said::new(self.limits.held);
                let (sources, supports, stop) = (Vec::new(), Vec::new(), Vec::new());
                self.answers.push(Answer { index, said, sources, supports, stop });
                self.answers.len() - 1
            }
        }
    }

    fn start(
        &mut self,
        start: &BlockStartEvent<'_>,
        cx: &mut WriteState<'_>,
        out: &mut Vec<u8>,
    ) -> Result<(), StreamFault> {
        let (block, answer) = (block_of(&start.index), block_of(&start.candidate));
        let place = self.answer(answer);
        let mut first = DeltaEvent { index: start.index.clone(), ..DeltaEvent::default() };
        let reborrow = |text: &'_ Option<Text<'_>>| text.as_ref().map(|text| text.clone().into_owned());
        let kind = match start.block.as_deref() {
            Some(Block::Text(node)) => {
                (first.text, first.signature) = (reborrow(&node.text), reborrow(&node.signature));
                Kind::Text(self.answers[place].said.bytes(), Vec::new())
            }
            Some(Block::Refusal(node)) => {
                first.text = reborrow(&node.text);
                Kind::Text(self.answers[place].said.bytes(), Vec::new())
            }
            Some(Block::Reasoning(node)) => {
                (first.reasoning, first.signature) = (reborrow(&node.text), reborrow(&node.signature));
                Kind::Reasoning
            }
            Some(Block::RedactedReasoning(node)) => {
                let data = node.data.as_ref().filter(|data| !data.is_empty());
                if let Some(data) = data {
                    self.signature(answer, true, data, out);
                }
                return Ok(());
            }
            Some(Block::ToolCall(node)) => Kind::Call(Call::new(node)),
            Some(Block::Image(node)) if node.source.data.is_some() => {
                self.part(answer, out, |out| media(&node.source, out));
                return Ok(());
            }
            Some(Block::Audio(node)) if node.source.data.is_some() => {
                self.part(answer, out, |out| media(&node.source, out));
                return Ok(());
            }
            Some(Block::Native(node)) if cx.call.client == cx.call.backend => {
                if let Some(value) = &node.value {
                    self.part(answer, out, |out| one_line(value.as_str(), out));
                }
                return Ok(());
            }
            Some(other) => {
                let reason = "a streamed answer of the client's protocol has no form for it";
                cx.ledger.note(EffectKind::Dropped, format!("content.{}", other.kind()), reason);
                return Ok(());
            }
            None => return Ok(()),
        };
        self.blocks.push(Open { block, answer, kind });
        self.delta(&first, cx, out)
    }

    fn delta(
        &mut self,
        delta: &DeltaEvent<'_>,
        cx: &mut WriteState<'_>,
        out: &mut Vec<u8>,
    ) -> Result<(), StreamFault> {
        let block = block_of(&delta.index);
        let Some(at) = self.blocks.iter().position(|open| open.block == block) else { return Ok(()) };
        let answer = self.blocks[at].answer;
        let place = self.answer(answer);
        let signature = delta.signature.as_ref().filter(|text| !text.is_empty());
        match &mut self.blocks[at].kind {
            Kind::Call(call) => {
                let more =
                    [(&mut call.arguments, delta.arguments.as_ref()), (&mut call.signature, signature)];
                for (held, more) in more {
                    let Some(more) = more else { continue };
                    self.held += more.written_len();
                    if self.held > self.limits.held {
                        return Err(StreamFault::TooMuchHeld { limit: self.limits.held });
                    }
                    held.push_str(&more.decode());
                }
            }
            Kind::Text(_, cited) => {
                if let Some(citation) = &delta.citation
                    && cited.len() < MAX_CITATIONS
                {
                    if citation.kind != Some(CitationKind::Url) {
                        let reason =
                            "a citation of a supplied document names the document, not the place in it";
                        cx.ledger.note(EffectKind::Adapted, "content.citations", reason);
                    }
                    cited.extend(self.answers[place].cite(citation));
                }
                if let Some(text) =
                    delta.text.as_ref().or(delta.refusal.as_ref()).filter(|text| !text.is_empty())
                {
                    self.answers[place].said.push(&text.decode());
                    self.part(answer, out, |out| {
                        out.extend_from_slice(br#"{"text":"#);
                        text.write(out);
                        out.push(b'}');
                    });
                }
                if let Some(signature) = signature {
                    self.signature(answer, false, signature, out);
                }
            }
            Kind::Reasoning => {
                if let Some(text) = delta.reasoning.as_ref().filter(|text| !text.is_empty()) {
                    self.part(answer, out, |out| {
                        out.extend_from_slice(br#"{"text":"#);
                        text.write(out);
                        out.extend_from_slice(br#","thought":true}"#);
                    });
                }
                if let Some(signature) = signature {
                    self.signature(answer, true, signature, out);
                }
            }
        }
        Ok(())
    }

    fn stop_block(&mut self, block: u64, cx: &mut WriteState<'_>, out: &mut Vec<u8>) {
        let Some(at) = self.blocks.iter().position(|open| open.block == block) else { return };
        if let Some(Open { kind: Kind::Call(call), .. }) = self.blocks.get_mut(at) {
            call.ended = true;
            return self.calls(cx, out);
        }
        let Open { answer, kind, .. } = self.blocks.remove(at);
        match kind {
            Kind::Call(_) => {}
            Kind::Text(start, cited) => {
                let place = self.answer(answer);
                for cited in cited {
                    self.answers[place].support(start, &cited);
                }
            }
            Kind::Reasoning => {}
        }
    }

    /// Tells the calls that have ended, in the order in which they began: the first one is the one that is signed.
    fn calls(&mut self, cx: &mut WriteState<'_>, out: &mut Vec<u8>) {
        while let Some(at) = self.blocks.iter().position(|open| matches!(open.kind, Kind::Call(_))) {
            if !matches!(&self.blocks[at].kind, Kind::Call(call) if call.ended) {
                return;
            }
            let Open { answer, kind: Kind::Call(call), .. } = self.blocks.remove(at) else { return };
            let held = call.arguments.len() + call.signature.len();
            self.held = self.held.saturating_sub(held);
            self.part(answer, out, |out| call.write(cx, out));
        }
    }

    /// A part that holds a signature alone.
    fn signature(&mut self, answer: u64, thought: bool, signature: &Text<'_>, out: &mut Vec<u8>) {
        self.part(answer, out, |out| {
            out.extend_from_slice(br#"{"text":"""#);
            if thought {
                out.extend_from_slice(br#","thought":true"#);
            }
            out.extend_from_slice(br#","thoughtSignature":"#);
            signature.write(out);
            out.push(b'}');
        });
    }

    /// The last response: why each answer ends, what it cites, and what it took.
    fn end(&mut self, cx: &mut WriteState<'_>, out: &mut Vec<u8>) {
        self.begin(out);
        out.extend_from_slice(br#"{"candidates":["#);
        for (place, answer) in self.answers.iter().enumerate() {
            if place > 0 {
                out.push(b',');
            }
            out.extend_from_slice(br#"{"content":{"parts":[{"text":""}],"role":"model"},"index":"#);
            write_u64(answer.index, out);
            let stop: &[u8] =
                if answer.stop.is_empty() { br#","finishReason":"STOP""# } else { &answer.stop };
            out.extend_from_slice(stop);
            if !answer.supports.is_empty() {
                out.extend_from_slice(br#","groundingMetadata":{"groundingChunks":["#);
                out.extend_from_slice(&answer.sources.join(&b','));
                out.extend_from_slice(br#"],"groundingSupports":["#);
                out.extend_from_slice(&answer.supports.join(&b','));
                out.extend_from_slice(b"]}");
            }
            out.push(b'}');
        }
        out.extend_from_slice(br#"],"usageMetadata":"#);
        write_usage(cx, out);
        out.extend_from_slice(&self.tail);
        self.finish(out, true);
    }

    /// A response with one part of one answer.
    fn part(&mut self, answer: u64, out: &mut Vec<u8>, part: impl FnOnce(&mut Vec<u8>)) {
        self.begin(out);
        self.response(answer, out, part);
        self.finish(out, false);
    }

    fn response(&self, answer: u64, out: &mut Vec<u8>, part: impl FnOnce(&mut Vec<u8>)) {
        out.extend_from_slice(br#"{"candidates":[{"content":{"parts":["#);
        part(out);
        out.extend_from_slice(br#"],"role":"model"},"index":"#);
        write_u64(answer, out);
        out.extend_from_slice(b"}]");
        out.extend_from_slice(&self.tail);
    }

    fn begin(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(match (self.array, std::mem::replace(&mut self.begun, true)) {
            (false, _) => b"data: ",
            (true, false) => b"[",
            (true, true) => b"\n,\r\n",
        });
    }

    fn finish(&self, out: &mut Vec<u8>, last: bool) {
        out.extend_from_slice(match (self.array, last) {
            (false, _) => b"\r\n\r\n",
            (true, false) => b"",
            (true, true) => b"\n]",
        });
    }
}

impl Answer {
    /// Takes note of a citation's source; none when there are too many.
    fn cite(&mut self, citation: &Citation<'_>) -> Option<Cited> {
        let mut source = Vec::new();
        let (tag, address) = match citation.kind {
            Some(CitationKind::Url) => ("web", citation.url.as_ref()),
            _ => ("retrievedContext", citation.url.as_ref().or(citation.source.as_ref())),
        };
        source.extend_from_slice(b"{\"");
        source.extend_from_slice(tag.as_bytes());
        source.extend_from_slice(b"\":{");
        let words = citation.cited_text.as_ref().filter(|_| tag == "retrievedContext");
        let mut is_first = true;
        for (name, value) in [("uri", address), ("title", citation.title.as_ref()), ("text", words)] {
            let Some(value) = value else { continue };
            source.extend_from_slice(if is_first { b"\"" } else { b",\"" });
            source.extend_from_slice(name.as_bytes());
            source.extend_from_slice(b"\":");
            value.write(&mut source);
            is_first = false;
        }
        source.extend_from_slice(b"}}");
        let known = self.sources.iter().position(|known| *known == source);
        let source = match known {
            Some(place) => place,
            None if self.sources.len() >= MAX_CITATIONS => return None,
            None => {
                self.sources.push(source);
                self.sources.len() - 1
            }
        };
        let at = |position: &Option<Num<'_>>| {
            position.as_ref().and_then(Num::as_u64).and_then(|at| usize::try_from(at).ok())
        };
        Some(Cited { source, chars: at(&citation.text_start).zip(at(&citation.text_end)) })
    }

    /// Says what a source supports: what its provider says, or else the whole text block, which ends here.
    fn support(&mut self, block: usize, cited: &Cited) {
        if self.supports.len() >= MAX_CITATIONS {
            return;
        }
        let bytes = cited.chars.and_then(|(first, last)| {
            Some((self.said.bytes_before(first)?, self.said.bytes_before(last)?))
                .filter(|(start, end)| start <= end)
        });
        let (start, end) = bytes.unwrap_or((block, self.said.bytes()));
        let mut support = br#"{"segment":{"startIndex":"#.to_vec();
        write_u64(start as u64, &mut support);
        support.extend_from_slice(br#","endIndex":"#);
        write_u64(end as u64, &mut support);
        if let Some(words) = self.said.between(start, end) {
            support.extend_from_slice(br#","text":"#);
            write_str(words, &mut support);
        }
        support.extend_from_slice(br#"},"groundingChunkIndices":["#);
        write_u64(cited.source as u64, &mut support);
        support.extend_from_slice(b"]}");
        self.supports.push(support);
    }
}

impl Call {
    fn new(node: &ToolCallBlock<'_>) -> Self {
        let text = |text: &Option<Text<'_>>| {
            text.as_ref().map(|text| text.decode().into_owned()).unwrap_or_default()
        };
        Self {
            id: text(&node.id),
            name: text(&node.name),
            arguments: String::new(),
            signature: text(&node.signature),
            ended: false,
        }
    }

    fn write(&self, cx: &mut WriteState<'_>, out: &mut Vec<u8>) {
        out.extend_from_slice(br#"{"functionCall":{"#);
        if !self.id.is_empty() {
            out.extend_from_slice(br#""id":"#);
            write_str(&self.id, out);
            out.push(b',');
        }
        out.extend_from_slice(br#""name":"#);
        write_str(&self.name, out);
        out.extend_from_slice(br#","args":"#);
        let is_object = Json::parse(self.arguments.as_str()).is_ok_and(|json| json.is_object());
        match self.arguments.trim() {
            "" | "null" => out.extend_from_slice(b"{}"),
            object if is_object => one_line(object, out),
            _ => {
                let reason = "arguments that are no JSON object stand in one";
                cx.ledger.note(EffectKind::Adapted, "tool_calls.arguments", reason);
                out.push(b'{');
                write_str(RAW_ARGUMENTS, out);
                out.push(b':');
                write_str(&self.arguments, out);
                out.push(b'}');
            }
        }
        out.push(b'}');
        if !self.signature.is_empty() {
            out.extend_from_slice(br#","thoughtSignature":"#);
            write_str(&self.signature, out);
        }
        out.push(b'}');
    }
}

/// Appends JSON without its line ends, which stand between its tokens alone and would end an event's line.
fn one_line(json: &str, out: &mut Vec<u8>) {
    out.extend(json.bytes().map(|byte| if matches!(byte, b'\n' | b'\r') { b' ' } else { byte }));
}

fn media(source: &Source<'_>, out: &mut Vec<u8>) {
    out.extend_from_slice(br#"{"inlineData":{"mimeType":"#);
    match &source.media_type {
        Some(kind) => kind.write(out),
        None => write_str("application/octet-stream", out),
    }
    out.extend_from_slice(br#","data":"#);
    match &source.data {
        Some(data) => data.write(out),
        None => write_str("", out),
    }
    out.extend_from_slice(b"}}");
}

/// Members that say why an answer ends.
fn why(stop: &StopEvent<'_>, cx: &WriteState<'_>) -> Vec<u8> {
    let reason = stop.stop.reason.as_ref().unwrap_or(&StopReason::End);
    let word = wire::write_candidate_finish_reason(reason);
    let mut members = br#","finishReason":"#.to_vec();
    word.map_or(Text::plain("STOP"), |word| word.text()).write(&mut members);
    if let Some(explanation) = &stop.stop.explanation {
        members.extend_from_slice(br#","finishMessage":"#);
        explanation.write(&mut members);
    }
    if let Some(logprobs) = stop.logprobs.as_ref().filter(|_| cx.call.client == cx.call.backend) {
        members.extend_from_slice(br#","logprobsResult":"#);
        one_line(logprobs.as_str(), &mut members);
    }
    members
}

/// The members that every response ends with, and its brace.
fn tail(response: &Response<'_>) -> Vec<u8> {
    let mut tail = Vec::new();
    for (name, value) in [("modelVersion", &response.model), ("responseId", &response.id)] {
        if let Some(value) = value {
            tail.extend_from_slice(b",\"");
            tail.extend_from_slice(name.as_bytes());
            tail.extend_from_slice(b"\":");
            value.write(&mut tail);
        }
    }
    tail.push(b'}');
    tail
}

fn write_usage(cx: &mut WriteState<'_>, out: &mut Vec<u8>) {
    let paths = Paths::default();
    let mut write = WriteCx::new(cx.call.backend, cx.call.client, &paths);
    let counts = cx.counts;
    let mut usage = counts.usage();
    usage.visible_output =
        counts.output.map(|output| Num::from(output.saturating_sub(counts.reasoning.unwrap_or(0))));
    let all = || Some(counts.input?.saturating_add(counts.output?));
    usage.total = counts.total.or_else(all).map(Num::from);
    let native = Native::default();
    let mut usage =
        wire::write_generate_content_response_usage_metadata(&usage, &native, &mut write, Paths::ROOT);
    for count in
        [&mut usage.prompt_token_count, &mut usage.candidates_token_count, &mut usage.total_token_count]
    {
        if count.as_ref().is_none() {
            *count = Field::Value(Num::from(0));
        }
    }
    usage.write(out);
    for mut effect in write.ledger.effects().iter().cloned() {
        effect.path.insert_str(0, "usageMetadata.");
        cx.ledger.push(effect);
    }
}

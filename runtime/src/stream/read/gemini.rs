//! Reads a stream of generateContent responses.
//!
//! There is no last event: the answer is complete when the stream ends and every candidate has its reason.

use std::hash::{DefaultHasher, Hash, Hasher};

use busbar_protocols::gemini::{
    self as wire, Candidate, CitationMetadata, FunctionCall, GenerateContentResponse, GroundingChunk,
    GroundingMetadata, Part,
};
use busbar_protocols::ir::{
    self, Block, CitationKind, DeltaEvent, EndEvent, Event, SourceKind, StartEvent, StopEvent, StopReason,
    UsageEvent,
};
use busbar_protocols::prelude::{Checked, Native, Paths, ReadCx};
use busbar_protocols::{Field, Json, Num, Text, Wire};

use super::openai_chat::{Numbers, begin, end};
use super::{Notes, Sink, number, told};
use crate::Protocol;
use crate::stream::said::Said;
use crate::stream::usage::Counts;
use crate::stream::{Limits, StreamFault};

/// Citations of one answer at most.
const MAX_CITATIONS: usize = 4096;

/// Ids of answers that are longer than this give no ids to calls.
const MAX_ID: usize = 48;

/// Where a stream of responses stands.
#[derive(Debug)]
pub(crate) struct Reader {
    limits: Limits,
    blocks: Numbers,
    answers: Vec<Answer>,
    counts: Counts,
    started: bool,
    ended: bool,
    /// Whether calls without an id can get one from the answer's.
    named: bool,
}

/// One of the candidates.
#[derive(Debug)]
struct Answer {
    index: u64,
    open: Option<Open>,
    calls: usize,
    /// The text so far, in whose bytes Google counts.
    said: Said,
    /// Fingerprints of the citations that were told: they come again with later chunks.
    cited: Vec<u64>,
    stop: Option<End>,
}

/// A block that ends where another kind of content begins.
#[derive(Clone, Copy, Debug)]
struct Open {
    block: u64,
    thought: bool,
    /// It has its signature: what follows belongs to the next block.
    signed: bool,
}

/// Why an answer ends, told when the stream does.
#[derive(Debug)]
struct End {
    reason: StopReason<'static>,
    category: Option<String>,
    explanation: Option<String>,
    logprobs: Option<Json<'static>>,
}

impl Reader {
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            limits,
            blocks: Numbers::new(limits),
            answers: Vec::new(),
            counts: Counts::default(),
            started: false,
            ended: false,
            named: false,
        }
    }

    pub(crate) fn step(
        &mut self,
        data: Checked<'_>,
        notes: &mut Notes,
        sink: Sink<'_>,
    ) -> Result<(), StreamFault> {
        // A body in place of a stream is a list of the same responses.
        if data.as_str().starts_with('[') {
            for element in Vec::<Json<'_>>::from_checked(data)? {
                self.response(Checked::assume(element.as_str().as_bytes())?, notes, sink)?;
            }
            return Ok(());
        }
        self.response(data, notes, sink)
    }

    /// The upstream's end.
    pub(crate) fn finish(&mut self, sink: Sink<'_>) -> Result<(), StreamFault> {
        if self.ended {
            return Ok(());
        }
        if !self.stopped() {
            return Err(StreamFault::Cut);
        }
        self.ended = true;
        for answer in &mut self.answers {
            answer.close(sink)?;
        }
        for answer in &mut self.answers {
            let Some(stop) = answer.stop.take() else { continue };
            let reason = match stop.reason {
                StopReason::End if answer.calls > 0 => StopReason::ToolCalls,
                reason => reason,
            };
            let explanation = stop.explanation.map(Text::from);
            sink(Event::Stop(StopEvent {
                candidate: Some(number(answer.index)),
                logprobs: stop.logprobs,
                stop: ir::Stop {
                    reason: Some(reason),
                    category: stop.category.map(Text::from),
                    explanation,
                    ..ir::Stop::default()
                },
                ..StopEvent::default()
            }))?;
        }
        sink(Event::End(EndEvent::default()))
    }

    pub(crate) fn stopped(&self) -> bool {
        !self.answers.is_empty() && self.answers.iter().all(|answer| answer.stop.is_some())
    }

    /// Takes a body in place of a stream: one response, or all in a list.
    pub(crate) fn whole(
        &mut self,
        data: Checked<'_>,
        notes: &mut Notes,
        sink: Sink<'_>,
    ) -> Result<(), StreamFault> {
        self.step(data, notes, sink)?;
        self.finish(sink)
    }

    fn response(&mut self, data: Checked<'_>, notes: &mut Notes, sink: Sink<'_>) -> Result<(), StreamFault> {
        let response = GenerateContentResponse::from_checked(data)?;
        if response.unknown.get("error").is_some_and(|error| *error != Json::NULL) {
            return Err(told(Protocol::Gemini, data));
        }
        if self.ended {
            return Ok(());
        }
        let mut usage = None;
        if let Field::Value(mut counts) = response.usage_metadata {
            crate::translate::count_found(&mut counts);
            let mut cx = ReadCx::default();
            let (mut node, mut native) = (ir::Usage::default(), Native::default());
            wire::read_generate_content_response_usage_metadata(
                *counts,
                &mut node,
                &mut native,
                &mut cx,
                Paths::ROOT,
            );
            notes.usage(&native);
            let counts = Counts::of(&node);
            if counts != self.counts {
                self.counts = counts;
                usage = Some(Box::new(counts.usage()));
            }
        }
        if self.started {
            if usage.is_some() {
                sink(Event::Usage(UsageEvent { usage, ..UsageEvent::default() }))?;
            }
        } else {
            self.started = true;
            // All of it, as the ids of calls are made from what stands behind the last dash.
            let id = response.response_id.as_ref().map(|id| id.decode().replace('-', "_"));
            self.named = id.as_ref().is_some_and(|id| !id.is_empty() && id.len() <= MAX_ID);
            self.blocks.name(id.map(Text::from).as_ref());
            let start = ir::Response {
                id: response.response_id.value(),
                model: response.model_version.value(),
                usage,
                ..ir::Response::default()
            };
            sink(Event::Start(StartEvent { response: Some(Box::new(start)), ..StartEvent::default() }))?;
        }
        for candidate in response.candidates.value().unwrap_or_default() {
            self.candidate(candidate, notes, sink)?;
        }
        let feedback = response.prompt_feedback.value();
        if let Some(reason) = feedback.and_then(|feedback| feedback.block_reason.value())
            && self.answers.is_empty()
        {
            let explanation = Some(format!("the prompt was blocked: {}", reason.text().decode()));
            let mut answer = Answer::new(0, self.limits);
            answer.stop =
                Some(End { reason: StopReason::ContentFilter, category: None, explanation, logprobs: None });
            self.answers.push(answer);
        }
        Ok(())
    }

    fn candidate(
        &mut self,
        candidate: Candidate<'_>,
        notes: &mut Notes,
        sink: Sink<'_>,
    ) -> Result<(), StreamFault> {
        let index = candidate.index.as_ref().and_then(Num::as_u64).unwrap_or(0);
        let place = match self.answers.iter().position(|answer| answer.index == index) {
            Some(place) => place,
            None => {
                if self.answers.len() as u64 >= self.blocks.limit() {
                    return Err(self.blocks.too_many());
                }
                self.answers.push(Answer::new(index, self.limits));
                self.answers.len() - 1
            }
        };
        let Some(answer) = self.answers.get_mut(place) else { return Ok(()) };
        let parts = candidate.content.value().and_then(|content| content.parts.value());
        for part in parts.unwrap_or_default() {
            answer.part(part, self.named, &mut self.blocks, notes, sink)?;
        }
        if let Field::Value(metadata) = candidate.grounding_metadata {
            answer.ground(&metadata, notes, sink)?;
        }
        if let Field::Value(metadata) = candidate.citation_metadata {
            answer.recite(metadata, notes, sink)?;
        }
        for (name, is_there) in [
            ("groundingAttributions", candidate.grounding_attributions.as_ref().is_some()),
            ("urlContextMetadata", candidate.url_context_metadata.as_ref().is_some()),
            ("continuationToken", candidate.continuation_token.as_ref().is_some()),
        ] {
            if is_there {
                notes.dropped(&format!("candidates.{name}"), "Google's own, without a form elsewhere");
            }
        }
        let logprobs = candidate.logprobs_result.as_ref().map(|result| {
            notes.dropped(
                "candidates.logprobsResult",
                "token probabilities are written in the model's own tokens",
            );
            Json::parse(String::from_utf8_lossy(&result.to_json()).into_owned())
        });
        let logprobs = logprobs.transpose()?;
        if let Field::Value(reason) = candidate.finish_reason {
            let word = wire::CandidateFinishReason::from_text(reason.text().into_owned());
            let explanation = candidate.finish_message.value();
            answer.stop = Some(End {
                category: crate::translate::wire_category(&word),
                reason: wire::read_candidate_finish_reason(word),
                explanation: explanation.map(|text| text.into_decoded().into_owned()),
                logprobs,
            });
        }
        Ok(())
    }
}

impl Answer {
    fn new(index: u64, limits: Limits) -> Self {
        Self { index, open: None, calls: 0, said: Said::new(limits.held), cited: Vec::new(), stop: None }
    }

    fn part(
        &mut self,
        part: Part<'_>,
        named: bool,
        blocks: &mut Numbers,
        notes: &mut Notes,
        sink: Sink<'_>,
    ) -> Result<(), StreamFault> {
        if part_kind(&part).is_none() {
            for (name, _) in part.unknown.iter() {
                let name = name.decode();
                notes.dropped(
                    &format!("candidates.content.parts.{name:.64}"),
                    "not declared by this protocol's schema",
                );
            }
        }
        let kind = part_kind(&part);
        let signature = part.thought_signature.as_ref().filter(|signature| !signature.is_empty());
        if let Field::Value(call) = part.function_call {
            return self.call(call, signature, named, blocks, notes, sink);
        }
        if let Field::Value(media) = part.inline_data {
            return self.media(media, signature, blocks, notes, sink);
        }
        if let Some(kind) = kind {
            self.close(sink)?;
            let value = Json::parse(String::from_utf8_lossy(&part.to_json()).into_owned())?;
            let (kind, value) = (Some(Text::plain(kind)), Some(value));
            let block = Block::Native(ir::NativeBlock { kind, value, ..ir::NativeBlock::default() });
            let index = blocks.take()?;
            begin(index, self.index, block, sink)?;
            return end(index, sink);
        }
        let thought = part.thought.as_ref().copied().unwrap_or(false);
        let text = part.text.as_ref().filter(|text| !text.is_empty());
        if text.is_none() && signature.is_none() {
            return Ok(());
        }
        let signature = signature.map(Text::reborrow);
        let text = text.map(Text::reborrow);
        let block = self.prose(thought, blocks, sink)?;
        if let Some(text) = &text
            && !thought
        {
            self.said.push(&text.decode());
        }
        if let Some(open) = &mut self.open {
            open.signed = signature.is_some();
        }
        let mut event = DeltaEvent { index: Some(number(block)), signature, ..DeltaEvent::default() };
        if thought {
            event.reasoning = text;
        } else {
            event.text = text;
        }
        sink(Event::Delta(event))
    }

    /// A call, which is whole.
    fn call(
        &mut self,
        call: FunctionCall<'_>,
        signature: Option<&Text<'_>>,
        named: bool,
        blocks: &mut Numbers,
        notes: &mut Notes,
        sink: Sink<'_>,
    ) -> Result<(), StreamFault> {
        self.close(sink)?;
        for (name, _) in call.unknown.iter() {
            let name = name.decode();
            notes.dropped(
                &format!("candidates.content.parts.functionCall.{name:.64}"),
                "not declared by this protocol's schema",
            );
        }
        let given = call.id.value().filter(|id| !id.is_empty());
        let id = given.or_else(|| named.then(|| Text::from(blocks.call_id(self.index, self.calls))));
        self.calls += 1;
        let index = blocks.take()?;
        // The signature is told at once: a client's place for it may be the id.
        let node = ir::ToolCallBlock {
            id,
            name: call.name.value(),
            kind: Some(ir::ToolKind::Function),
            signature: signature.map(Text::reborrow),
            ..ir::ToolCallBlock::default()
        };
        begin(index, self.index, Block::ToolCall(node), sink)?;
        let arguments = match call.args {
            Field::Value(arguments) if arguments != Json::NULL => Some(Text::plain(arguments.into_str())),
            _ => None,
        };
        if arguments.is_some() {
            sink(Event::Delta(DeltaEvent {
                index: Some(number(index)),
                arguments,
                ..DeltaEvent::default()
            }))?;
        }
        end(index, sink)
    }

    /// A picture or a sound.
    fn media(
        &mut self,
        media: wire::Blob<'_>,
        signature: Option<&Text<'_>>,
        blocks: &mut Numbers,
        notes: &mut Notes,
        sink: Sink<'_>,
    ) -> Result<(), StreamFault> {
        self.close(sink)?;
        let is_sound = media.mime_type.as_ref().is_some_and(|kind| kind.starts_with("audio/"));
        let source = ir::Source {
            kind: Some(SourceKind::Bytes),
            data: media.data.value(),
            media_type: media.mime_type.value(),
            ..ir::Source::default()
        };
        let block = if is_sound {
            Block::Audio(ir::AudioBlock { source, ..ir::AudioBlock::default() })
        } else {
            Block::Image(ir::ImageBlock { source, ..ir::ImageBlock::default() })
        };
        if signature.is_some() {
            notes.dropped(
                "candidates.content.parts.thoughtSignature",
                "a picture has no place for a signature",
            );
        }
        let index = blocks.take()?;
        begin(index, self.index, block, sink)?;
        end(index, sink)
    }

    /// The number of the open block of this kind, opened if need be.
    fn prose(&mut self, thought: bool, blocks: &mut Numbers, sink: Sink<'_>) -> Result<u64, StreamFault> {
        if let Some(open) = self.open
            && open.thought == thought
            && !open.signed
        {
            return Ok(open.block);
        }
        self.close(sink)?;
        let block = blocks.take()?;
        let content = if thought {
            Block::Reasoning(ir::ReasoningBlock::default())
        } else {
            Block::Text(ir::TextBlock::default())
        };
        begin(block, self.index, content, sink)?;
        self.open = Some(Open { block, thought, signed: false });
        Ok(block)
    }

    fn close(&mut self, sink: Sink<'_>) -> Result<(), StreamFault> {
        self.open.take().map_or(Ok(()), |open| end(open.block, sink))
    }

    /// What Google's search and retrieval found for parts of the text.
    fn ground(
        &mut self,
        metadata: &GroundingMetadata<'_>,
        notes: &mut Notes,
        sink: Sink<'_>,
    ) -> Result<(), StreamFault> {
        let none = Vec::new();
        let found = metadata.grounding_chunks.as_ref().unwrap_or(&none);
        let supports = metadata.grounding_supports.as_ref().map(Vec::as_slice).unwrap_or_default();
        for support in supports {
            let segment = support.segment.as_ref();
            let at = |position: Option<&Num<'_>>| {
                position.and_then(Num::as_u64).and_then(|at| usize::try_from(at).ok())
            };
            let start = segment.map_or(0, |segment| at(segment.start_index.as_ref()).unwrap_or(0));
            let stop = segment.and_then(|segment| at(segment.end_index.as_ref()));
            for index in support.grounding_chunk_indices.as_ref().map(Vec::as_slice).unwrap_or_default() {
                let chunk = index.as_u64().and_then(|at| found.get(usize::try_from(at).ok()?));
                if let Some(citation) = chunk.and_then(source_of) {
                    self.cite(citation, start, stop, notes, sink)?;
                }
            }
        }
        Ok(())
    }

    /// Works that the text repeats.
    fn recite(
        &mut self,
        metadata: CitationMetadata<'_>,
        notes: &mut Notes,
        sink: Sink<'_>,
    ) -> Result<(), StreamFault> {
        let at = |position: &Field<Num<'_>>| {
            position.as_ref().and_then(Num::as_u64).and_then(|at| usize::try_from(at).ok())
        };
        for source in metadata.citation_sources.value().unwrap_or_default() {
            let (start, stop) = (at(&source.start_index).unwrap_or(0), at(&source.end_index));
            if source.license.as_ref().is_some_and(|license| !license.is_empty()) {
                notes
                    .dropped("candidates.citationMetadata.license", "Google's own, without a form elsewhere");
            }
            if let Some(citation) = address(source.uri.value(), None) {
                self.cite(citation, start, stop, notes, sink)?;
            }
        }
        for source in metadata.citations.value().unwrap_or_default() {
            let (start, stop) = (at(&source.start_index).unwrap_or(0), at(&source.end_index));
            if let Some(citation) = address(source.uri.value(), source.title.value()) {
                self.cite(citation, start, stop, notes, sink)?;
            }
        }
        Ok(())
    }

    /// Tells one citation of the text between two positions in bytes, once.
    fn cite(
        &mut self,
        mut citation: ir::Citation<'_>,
        start: usize,
        stop: Option<usize>,
        notes: &mut Notes,
        sink: Sink<'_>,
    ) -> Result<(), StreamFault> {
        let Some(Open { block, thought: false, .. }) = self.open else {
            notes.dropped("candidates.groundingMetadata", "it comes where no text is open");
            return Ok(());
        };
        let mut hasher = DefaultHasher::new();
        (start, stop).hash(&mut hasher);
        for text in [&citation.url, &citation.title, &citation.source] {
            text.as_ref().map(Text::decode).hash(&mut hasher);
        }
        let seen = hasher.finish();
        if self.cited.contains(&seen) {
            return Ok(());
        }
        if self.cited.len() >= MAX_CITATIONS {
            notes.dropped("candidates.groundingMetadata", "more citations than one answer may have");
            return Ok(());
        }
        self.cited.push(seen);
        let chars =
            stop.and_then(|stop| Some((self.said.chars_before(start)?, self.said.chars_before(stop)?)));
        if let Some((first, last)) = chars {
            citation.text_start = Some(Num::from(first as u64));
            citation.text_end = Some(Num::from(last as u64));
        }
        let citation = Some(Box::new(citation));
        sink(Event::Delta(DeltaEvent { index: Some(number(block)), citation, ..DeltaEvent::default() }))
    }
}

/// What a chunk of grounding names.
fn source_of<'c>(chunk: &'c GroundingChunk<'_>) -> Option<ir::Citation<'c>> {
    let text = |field: &'c Field<Text<'_>>| field.as_ref().map(Text::reborrow);
    if let Some(web) = chunk.web.as_ref() {
        return address(text(&web.uri), text(&web.title));
    }
    if let Some(place) = chunk.maps.as_ref() {
        return address(text(&place.uri), text(&place.title));
    }
    if let Some(image) = chunk.image.as_ref() {
        return address(text(&image.source_uri), text(&image.title));
    }
    let context = chunk.retrieved_context.as_ref()?;
    let uri = text(&context.uri).filter(|uri| !uri.is_empty());
    let is_address = uri.as_ref().is_some_and(|uri| uri.starts_with("http"));
    let (kind, url, source) =
        if is_address { (CitationKind::Url, uri, None) } else { (CitationKind::SearchResult, None, uri) };
    let (title, cited_text) = (text(&context.title), text(&context.text));
    Some(ir::Citation { kind: Some(kind), url, source, title, cited_text, ..ir::Citation::default() })
}

fn address<'c>(url: Option<Text<'c>>, title: Option<Text<'c>>) -> Option<ir::Citation<'c>> {
    let url = Some(url.filter(|url| !url.is_empty())?);
    Some(ir::Citation { kind: Some(CitationKind::Url), url, title, ..ir::Citation::default() })
}

/// What a part is that Google alone has.
fn part_kind(part: &Part<'_>) -> Option<&'static str> {
    [
        ("executableCode", part.executable_code.as_ref().is_some()),
        ("codeExecutionResult", part.code_execution_result.as_ref().is_some()),
        ("fileData", part.file_data.as_ref().is_some()),
        ("functionResponse", part.function_response.as_ref().is_some()),
        ("toolCall", part.tool_call.as_ref().is_some()),
        ("toolResponse", part.tool_response.as_ref().is_some()),
        ("audioTranscription", part.audio_transcription.as_ref().is_some()),
    ]
    .into_iter()
    .find_map(|(kind, is_there)| is_there.then_some(kind))
}

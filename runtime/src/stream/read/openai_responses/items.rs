//! The items of an answer: what is known of each, and the blocks that become of it.

use busbar_protocols::Text;
use busbar_protocols::ir::{self, Block, Citation, CitationKind, DeltaEvent, Event};

use super::super::openai_chat::{Numbers, begin, end};
use super::super::{Notes, Sink, number};
use super::view::{self, Annotation};
use crate::stream::StreamFault;

/// One item of the output.
#[derive(Debug)]
pub(super) struct Item {
    /// The server's number of it.
    pub(super) index: Option<u64>,
    /// The server's id of it; empty when it has none.
    pub(super) id: String,
    pub(super) kind: Kind,
    /// All of it has come.
    pub(super) done: bool,
    /// It has been found in the whole answer at the end.
    pub(super) claimed: bool,
}

#[derive(Debug)]
pub(super) enum Kind {
    Unknown,
    Message(Vec<Part>),
    Reasoning(Thought),
    Call(Call),
    /// Something that the provider's own tools do, told when all of it is there.
    Native,
}

/// One text of a message.
#[derive(Debug)]
pub(super) struct Part {
    /// The server's number of it in its message.
    index: u64,
    block: u64,
    refusal: bool,
    said: bool,
    citations: usize,
    open: bool,
}

/// The reasoning of one item.
#[derive(Debug, Default)]
pub(super) struct Thought {
    block: Option<u64>,
    source: Option<Source>,
    /// The part that was told last.
    part: Option<u64>,
}

/// Which of its two forms the reasoning is taken from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    Summary,
    Text,
}

/// A call of a function or of a tool with free text.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) custom: bool,
    state: State,
}

#[derive(Debug)]
enum State {
    /// Its name has not come; arguments so far.
    Nameless(String),
    /// Whether arguments have come.
    Open(u64, bool),
    Closed,
}

impl Item {
    /// The word for its kind, as far as it matters for finding it again.
    pub(super) fn is_like(&self, kind: &str) -> bool {
        match &self.kind {
            Kind::Unknown => true,
            Kind::Message(_) => kind == "message",
            Kind::Reasoning(_) => kind == "reasoning",
            Kind::Call(call) => kind == if call.custom { "custom_tool_call" } else { "function_call" },
            Kind::Native => !matches!(kind, "message" | "reasoning" | "custom_tool_call" | "function_call"),
        }
    }

    /// Makes it one of this kind, if nothing is known of it yet.
    pub(super) fn become_kind(&mut self, kind: &str) {
        if !matches!(self.kind, Kind::Unknown) {
            return;
        }
        self.kind = match kind {
            "message" => Kind::Message(Vec::new()),
            "reasoning" => Kind::Reasoning(Thought::default()),
            "function_call" => Kind::Call(Call::new(false)),
            "custom_tool_call" => Kind::Call(Call::new(true)),
            "" => Kind::Unknown,
            _ => Kind::Native,
        };
    }

    /// Takes the whole item.
    pub(super) fn whole(
        &mut self,
        json: &str,
        blocks: &mut Numbers,
        notes: &mut Notes,
        sink: Sink<'_>,
    ) -> Result<(), StreamFault> {
        let item: view::Item<'_> = view::read(json)?;
        self.become_kind(&item.kind().decode());
        match &mut self.kind {
            Kind::Unknown => {}
            Kind::Message(parts) => {
                for (index, part) in (0..).zip(item.content()) {
                    whole_part(parts, index, part.get(), blocks, notes, sink)?;
                }
            }
            Kind::Reasoning(thought) => thought.whole(&self.id, &item, blocks, notes, sink)?,
            Kind::Call(call) => {
                let fallback = self.index.unwrap_or(0);
                call.named(&item, fallback, blocks, sink)?;
                let arguments = if call.custom { item.input() } else { item.arguments() };
                call.whole(arguments, sink)?;
            }
            Kind::Native => {
                let index = blocks.take()?;
                let kind = Some(item.kind());
                let value = view::json(json);
                begin(
                    index,
                    0,
                    Block::Native(ir::NativeBlock { kind, value, ..ir::NativeBlock::default() }),
                    sink,
                )?;
                end(index, sink)?;
            }
        }
        self.close(sink)
    }

    /// Ends what is open of it.
    pub(super) fn close(&mut self, sink: Sink<'_>) -> Result<(), StreamFault> {
        self.done = true;
        match &mut self.kind {
            Kind::Unknown | Kind::Native => Ok(()),
            Kind::Message(parts) => parts.iter_mut().try_for_each(|part| part.close(sink)),
            Kind::Reasoning(thought) => thought.block.take().map_or(Ok(()), |block| end(block, sink)),
            Kind::Call(call) => call.close(sink),
        }
    }
}

/// The part of this number, begun if need be.
pub(super) fn part_of<'p>(
    parts: &'p mut Vec<Part>,
    index: u64,
    refusal: bool,
    blocks: &mut Numbers,
    sink: Sink<'_>,
) -> Result<&'p mut Part, StreamFault> {
    let place = match parts.iter().position(|part| part.index == index) {
        Some(place) => place,
        None => {
            let block = blocks.take()?;
            let content = match refusal {
                true => Block::Refusal(ir::RefusalBlock::default()),
                false => Block::Text(ir::TextBlock::default()),
            };
            begin(block, 0, content, sink)?;
            parts.push(Part { index, block, refusal, said: false, citations: 0, open: true });
            parts.len() - 1
        }
    };
    parts.get_mut(place).ok_or(StreamFault::OutOfOrder("a part that is not there"))
}

/// Takes the whole of one part of a message.
pub(super) fn whole_part(
    parts: &mut Vec<Part>,
    index: u64,
    json: &str,
    blocks: &mut Numbers,
    notes: &mut Notes,
    sink: Sink<'_>,
) -> Result<(), StreamFault> {
    let whole: view::Part<'_> = view::read(json)?;
    let kind = whole.kind();
    if kind != "output_text" && kind != "refusal" {
        notes.dropped("output.content", "a kind of content that this version does not know");
        return Ok(());
    }
    let refusal = kind == "refusal";
    let part = part_of(parts, index, refusal, blocks, sink)?;
    if !part.open {
        return Ok(());
    }
    if !whole.logprobs().is_empty() {
        notes.dropped("output.content.logprobs", "token probabilities have no form in the stream's target");
    }
    part.rest(if refusal { whole.refusal() } else { whole.text() }, sink)?;
    for annotation in whole.annotations().into_iter().skip(part.citations) {
        part.cite(annotation.get(), notes, sink)?;
    }
    part.close(sink)
}

impl Part {
    /// More of its text.
    pub(super) fn say(&mut self, text: Text<'_>, sink: Sink<'_>) -> Result<(), StreamFault> {
        if text.is_empty() {
            return Ok(());
        }
        if !self.open {
            return Err(StreamFault::OutOfOrder("more text for a part that has ended"));
        }
        self.said = true;
        let index = Some(number(self.block));
        let (text, refusal) = if self.refusal { (None, Some(text)) } else { (Some(text), None) };
        sink(Event::Delta(DeltaEvent { index, text, refusal, ..DeltaEvent::default() }))
    }

    /// Its whole text, of which nothing more is told when pieces have come.
    pub(super) fn rest(&mut self, text: Option<Text<'_>>, sink: Sink<'_>) -> Result<(), StreamFault> {
        match text {
            Some(text) if !self.said && self.open => self.say(text, sink),
            _ => Ok(()),
        }
    }

    /// One more thing that the text points at.
    pub(super) fn cite(&mut self, json: &str, notes: &mut Notes, sink: Sink<'_>) -> Result<(), StreamFault> {
        self.citations += 1;
        if !self.open || self.refusal {
            return Ok(());
        }
        let annotation: Annotation<'_> = view::read(json)?;
        let Some(citation) = citation(&annotation) else {
            notes.dropped("output.content.annotations", "a kind that this version does not know");
            return Ok(());
        };
        let (index, citation) = (Some(number(self.block)), Some(Box::new(citation)));
        sink(Event::Delta(DeltaEvent { index, citation, ..DeltaEvent::default() }))
    }

    fn close(&mut self, sink: Sink<'_>) -> Result<(), StreamFault> {
        if std::mem::take(&mut self.open) { end(self.block, sink) } else { Ok(()) }
    }
}

fn citation<'a>(annotation: &Annotation<'a>) -> Option<Citation<'a>> {
    let kind = annotation.kind();
    let place = Citation {
        file_id: annotation.file_id(),
        title: annotation.title().or(annotation.filename()),
        text_start: annotation.start_index(),
        text_end: annotation.end_index(),
        ..Citation::default()
    };
    Some(match &*kind.decode() {
        "url_citation" => Citation { kind: Some(CitationKind::Url), url: annotation.url(), ..place },
        "file_citation" => {
            Citation { kind: Some(CitationKind::FileCitation), document_index: annotation.index(), ..place }
        }
        "file_path" => {
            Citation { kind: Some(CitationKind::FilePath), document_index: annotation.index(), ..place }
        }
        "container_file_citation" => Citation {
            kind: Some(CitationKind::ContainerFileCitation),
            source: annotation.container_id(),
            ..place
        },
        _ => return None,
    })
}

impl Thought {
    /// More of the part of this number.
    pub(super) fn say(
        &mut self,
        (source, part): (Source, u64),
        text: Text<'_>,
        id: &str,
        blocks: &mut Numbers,
        notes: &mut Notes,
        sink: Sink<'_>,
    ) -> Result<(), StreamFault> {
        if text.is_empty() {
            return Ok(());
        }
        if *self.source.get_or_insert(source) != source {
            notes.dropped("output.reasoning", "the same reasoning once more, in its other form");
            return Ok(());
        }
        let block = match self.block {
            Some(block) => block,
            None => {
                let block = blocks.take()?;
                let id = Some(id).filter(|id| !id.is_empty()).map(|id| Text::from(id.to_owned()));
                let node = ir::ReasoningBlock { id, ..ir::ReasoningBlock::default() };
                begin(block, 0, Block::Reasoning(node), sink)?;
                self.block = Some(block);
                block
            }
        };
        let parted = self.part.is_some_and(|last| last != part);
        self.part = Some(part);
        if parted {
            thought(block, Text::plain("\n\n"), sink)?;
        }
        thought(block, text, sink)
    }

    /// The whole part of this number, of which nothing more is told when pieces of it have come.
    pub(super) fn rest(
        &mut self,
        place: (Source, u64),
        text: Option<Text<'_>>,
        id: &str,
        blocks: &mut Numbers,
        notes: &mut Notes,
        sink: Sink<'_>,
    ) -> Result<(), StreamFault> {
        let told = self.source.is_some_and(|source| source != place.0)
            || self.part.is_some_and(|last| last >= place.1);
        match text {
            Some(text) if !told => self.say(place, text, id, blocks, notes, sink),
            _ => Ok(()),
        }
    }

    fn whole(
        &mut self,
        id: &str,
        item: &view::Item<'_>,
        blocks: &mut Numbers,
        notes: &mut Notes,
        sink: Sink<'_>,
    ) -> Result<(), StreamFault> {
        for (source, parts) in [(Source::Summary, item.summary()), (Source::Text, item.content())] {
            for (index, part) in (0..).zip(parts) {
                let part: view::Part<'_> = view::read(part.get())?;
                self.rest((source, index), part.text(), id, blocks, notes, sink)?;
            }
        }
        let Some(proof) = item.encrypted_content().filter(|text| !text.is_empty()) else { return Ok(()) };
        if let Some(block) = self.block {
            let (index, signature) = (Some(number(block)), Some(proof));
            return sink(Event::Delta(DeltaEvent { index, signature, ..DeltaEvent::default() }));
        }
        let index = blocks.take()?;
        let id = item.id().filter(|id| !id.is_empty());
        let node =
            ir::RedactedReasoningBlock { id, data: Some(proof), ..ir::RedactedReasoningBlock::default() };
        begin(index, 0, Block::RedactedReasoning(node), sink)?;
        end(index, sink)
    }
}

fn thought(block: u64, text: Text<'_>, sink: Sink<'_>) -> Result<(), StreamFault> {
    let (index, reasoning) = (Some(number(block)), Some(text));
    sink(Event::Delta(DeltaEvent { index, reasoning, ..DeltaEvent::default() }))
}

impl Call {
    fn new(custom: bool) -> Self {
        Self { custom, state: State::Nameless(String::new()) }
    }

    /// Begins the block once the name is known.
    pub(super) fn named(
        &mut self,
        item: &view::Item<'_>,
        place: u64,
        blocks: &mut Numbers,
        sink: Sink<'_>,
    ) -> Result<(), StreamFault> {
        let State::Nameless(before) = &mut self.state else { return Ok(()) };
        let Some(name) = item.name().filter(|name| !name.is_empty()) else { return Ok(()) };
        let before = std::mem::take(before);
        let id = item.call_id().or(item.id()).filter(|id| !id.is_empty());
        let place = usize::try_from(place).unwrap_or(0);
        let id = id.unwrap_or_else(|| Text::from(blocks.call_id(0, place)));
        let kind = if self.custom { ir::ToolKind::Custom } else { ir::ToolKind::Function };
        let block = blocks.take()?;
        let node = ir::ToolCallBlock {
            id: Some(id),
            name: Some(name),
            namespace: item.namespace(),
            kind: Some(kind),
            ..ir::ToolCallBlock::default()
        };
        begin(block, 0, Block::ToolCall(node), sink)?;
        self.state = State::Open(block, false);
        self.more(Text::from(before), 0, sink)
    }

    /// More arguments.
    pub(super) fn more(&mut self, text: Text<'_>, held: usize, sink: Sink<'_>) -> Result<(), StreamFault> {
        if text.is_empty() {
            return Ok(());
        }
        match &mut self.state {
            State::Nameless(before) => {
                if before.len() + text.written_len() > held {
                    return Err(StreamFault::TooMuchHeld { limit: held });
                }
                before.push_str(&text.decode());
                Ok(())
            }
            State::Open(block, any) => {
                *any = true;
                let (index, arguments) = (Some(number(*block)), Some(text));
                sink(Event::Delta(DeltaEvent { index, arguments, ..DeltaEvent::default() }))
            }
            State::Closed => Err(StreamFault::OutOfOrder("more arguments for a call that has ended")),
        }
    }

    /// All arguments, of which nothing more is told when pieces have come.
    pub(super) fn whole(&mut self, text: Option<Text<'_>>, sink: Sink<'_>) -> Result<(), StreamFault> {
        match (&self.state, text) {
            (State::Open(_, false), Some(text)) => self.more(text, 0, sink),
            _ => Ok(()),
        }
    }

    fn close(&mut self, sink: Sink<'_>) -> Result<(), StreamFault> {
        match std::mem::replace(&mut self.state, State::Closed) {
            State::Closed => Ok(()),
            State::Nameless(_) => Err(StreamFault::OutOfOrder("a tool call without a name")),
            State::Open(block, _) => end(block, sink),
        }
    }
}

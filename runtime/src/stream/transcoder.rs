//! A backend's stream made into the client's.

use busbar_protocols::ir::{Block, Event};
use busbar_protocols::prelude::Checked;
use busbar_protocols::{Ledger, Num, rules};

use super::frame::{Decoder, Frame};
use super::read::{Notes, Reader, exception, number, told};
use super::shape::Shaper;
use super::write::{WriteState, Writer};
use super::{Counts, Limits, StreamFault, replay};
use crate::fault::{Class, Fault};
use crate::translate::{CallState, Carriage};

/// Makes a backend's stream into the client's, piece by piece.
///
/// Where the backend is asked several times for the several answers of one request, it makes one stream of theirs.
#[derive(Debug)]
pub struct Transcoder {
    sources: Vec<Source>,
    pipe: Pipe,
}

/// One stream of the backend.
#[derive(Debug)]
struct Source {
    decoder: Decoder,
    reader: Reader,
    notes: Notes,
    /// What of it bears on the one stream of the client.
    part: Part,
}

/// The part that one stream of the backend has in the client's.
#[derive(Clone, Copy, Debug, Default)]
struct Part {
    /// Number of the answer.
    answer: u64,
    /// Whether it is one of several.
    several: bool,
    counts: Counts,
    ended: bool,
}

/// What is known of all other parts while one goes on.
#[derive(Clone, Copy, Debug)]
struct Others {
    counts: Counts,
    ended: bool,
}

/// Numbers of blocks that one of several answers has; no reader counts that far.
const BLOCKS: u64 = 1 << 20;

/// How far a stream has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Content has been written, not only what begins an answer: from here on no other lane can be tried.
    pub meaningful: bool,
    /// The reason why the answer ends is known: nothing but usage can follow, and a short wait for it is enough.
    pub stopped: bool,
    /// The client's stream is complete; what the upstream still sends does not matter.
    pub done: bool,
}

/// From the reader on.
#[derive(Debug)]
struct Pipe {
    call: CallState,
    limits: Limits,
    shaper: Shaper,
    writer: Writer,
    counts: Counts,
    ledger: Ledger,
    progress: Progress,
    begun: bool,
}

impl Transcoder {
    /// A transcoder at the start of a stream.
    ///
    /// # Errors
    /// A fault of the gateway when it cannot read the backend's streams or write the client's.
    pub fn new(call: CallState, limits: Limits, carriage: Carriage) -> Result<Self, Fault> {
        let unsupported = || {
            let (client, backend) = (call.client, call.backend);
            let message = format!("{backend} streams cannot be translated for {client} clients");
            Fault::gateway(Class::Unsupported, message)
        };
        let to = rules(call.client).ok_or_else(unsupported)?;
        let writer = Writer::new(call.client, limits);
        let shaper = Shaper::new(&call, to, carriage, limits);
        let asked = u64::from(call.choices.max(1));
        let source = |answer| Source {
            decoder: Decoder::new(call.backend, limits),
            reader: Reader::new(call.backend, limits),
            notes: Notes::default(),
            part: Part { answer, several: asked > 1, ..Part::default() },
        };
        Ok(Self {
            sources: (0..asked).map(source).collect(),
            pipe: Pipe {
                call,
                limits,
                shaper,
                writer,
                counts: Counts::default(),
                ledger: Ledger::default(),
                progress: Progress::default(),
                begun: false,
            },
        })
    }

    /// Takes the next piece of the upstream's stream and appends all that becomes of it to `out`.
    ///
    /// # Errors
    /// [`StreamFault`] when the stream cannot go on; what was appended before is valid, and
    /// [`Transcoder::fail`] ends it.
    pub fn push(&mut self, piece: &[u8], out: &mut Vec<u8>) -> Result<Progress, StreamFault> {
        self.push_of(0, piece, out)
    }

    /// Takes the next piece of one of several streams.
    ///
    /// # Errors
    /// As [`Transcoder::push`].
    pub fn push_of(
        &mut self,
        source: usize,
        piece: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<Progress, StreamFault> {
        self.go_on(source, |source, others, pipe| {
            let Source { decoder, reader, notes, part } = source;
            decoder.push(piece, &mut |frame| pipe.frame((&mut *part, others), reader, notes, frame, out))
        })
    }

    /// Takes the upstream's end.
    ///
    /// # Errors
    /// [`StreamFault::Cut`] when the answer is not complete: it never passes for a shorter one.
    pub fn finish(&mut self, out: &mut Vec<u8>) -> Result<Progress, StreamFault> {
        self.finish_of(0, out)
    }

    /// Takes the end of one of several streams.
    ///
    /// # Errors
    /// As [`Transcoder::finish`].
    pub fn finish_of(&mut self, source: usize, out: &mut Vec<u8>) -> Result<Progress, StreamFault> {
        self.go_on(source, |source, others, pipe| {
            let Source { decoder, reader, notes, part } = source;
            let mut result =
                decoder.finish(&mut |frame| pipe.frame((&mut *part, others), reader, notes, frame, out));
            if let Err(StreamFault::NotJson | StreamFault::Malformed { .. }) = result {
                // The end came in the middle of an event.
                result = Err(StreamFault::Cut);
            }
            if result.is_ok() && !part.ended {
                result = reader.finish(&mut |event| pipe.event((&mut *part, others), event, out));
            }
            result
        })
    }

    /// How many streams of the backend there are.
    pub fn sources(&self) -> usize {
        self.sources.len()
    }

    /// Whether all has been taken of one of several streams that matters.
    pub fn is_over(&self, source: usize) -> bool {
        self.pipe.progress.done || self.sources.get(source).is_none_or(|source| source.part.ended)
    }

    fn go_on(
        &mut self,
        source: usize,
        step: impl FnOnce(&mut Source, Others, &mut Pipe) -> Result<(), StreamFault>,
    ) -> Result<Progress, StreamFault> {
        if self.is_over(source) {
            return Ok(self.pipe.progress);
        }
        let mut others = Others { counts: Counts::default(), ended: true };
        for (_, other) in self.sources.iter().enumerate().filter(|(place, _)| *place != source) {
            others.counts = others.counts.and(&other.part.counts);
            others.ended &= other.part.ended;
        }
        let Self { sources, pipe } = self;
        let Some(source) = sources.get_mut(source) else { return Ok(pipe.progress) };
        let mut result = step(source, others, pipe);
        if source.part.ended {
            // The end has been told; what is broken behind it is nothing.
            result = Ok(());
        }
        self.settle();
        result.map(|()| self.pipe.progress)
    }

    /// Ends the client's stream with an error in its own form, after something of it has been sent.
    pub fn fail(&mut self, fault: &Fault, request_id: &str, out: &mut Vec<u8>) {
        self.pipe.writer.fail(self.pipe.call.client, fault, request_id, out);
        self.pipe.progress.done = true;
    }

    /// Appends something that keeps the client's connection open and means nothing.
    pub fn keep_alive(&mut self, out: &mut Vec<u8>) {
        self.pipe.writer.keep_alive(out);
    }

    /// Whether the client's stream is one JSON array instead of events.
    pub fn is_array(&self) -> bool {
        self.pipe.call.json_array
    }

    /// How far the stream has come.
    pub fn progress(&self) -> Progress {
        self.pipe.progress
    }

    /// What was changed or lost on the way.
    pub fn ledger(&self) -> &Ledger {
        &self.pipe.ledger
    }

    /// The token counts that the backend has reported so far.
    pub fn usage(&self) -> &Counts {
        &self.pipe.counts
    }

    fn settle(&mut self) {
        let stopped = |source: &Source| source.part.ended || source.reader.stopped();
        self.pipe.progress.stopped |= self.sources.iter().all(stopped);
        let notes = self.sources.iter_mut().map(|source| &mut source.notes.ledger);
        for ledger in notes.chain([&mut self.pipe.shaper.ledger]) {
            if !ledger.is_empty() {
                self.pipe.ledger.extend(std::mem::take(ledger));
            }
        }
    }
}

impl Pipe {
    fn frame(
        &mut self,
        at: (&mut Part, Others),
        reader: &mut Reader,
        notes: &mut Notes,
        frame: Frame<'_>,
        out: &mut Vec<u8>,
    ) -> Result<(), StreamFault> {
        let (part, others) = at;
        if part.ended {
            return Ok(());
        }
        match frame {
            Frame::Event { name: b"error", data } => match Checked::new(data) {
                Ok(document) => Err(told(self.call.backend, document)),
                Err(_) => Err(StreamFault::NotJson),
            },
            Frame::Exception { kind, data } => Err(exception(self.call.backend, kind, data)),
            Frame::Event { name, data } => {
                reader.step(name, data, notes, &mut |event| self.event((&mut *part, others), event, out))
            }
            Frame::Comment => reader.comment(&mut |event| self.event((&mut *part, others), event, out)),
            Frame::Body(body) => {
                let backend = self.call.backend;
                replay::body(backend, body, self.limits, notes, &mut |event| {
                    self.event((&mut *part, others), event, out)
                })
            }
        }
    }

    fn event(
        &mut self,
        (part, others): (&mut Part, Others),
        mut event: Event<'_>,
        out: &mut Vec<u8>,
    ) -> Result<(), StreamFault> {
        let Self { call, shaper, writer, counts, ledger, progress, begun, .. } = self;
        let usage = match &event {
            Event::Usage(event) => event.usage.as_deref(),
            Event::Start(event) => event.response.as_ref().and_then(|response| response.usage.as_deref()),
            _ => None,
        };
        if let Some(usage) = usage {
            part.counts = Counts::of(usage);
            *counts = if part.several { others.counts.and(&part.counts) } else { part.counts };
        }
        part.ended |= matches!(event, Event::End(_));
        if part.several && !joins(&mut event, part, others, begun) {
            return Ok(());
        }
        shaper.event(event, &mut |event| {
            progress.meaningful |= is_meaningful(&event);
            progress.done |= matches!(event, Event::End(_));
            writer.event(&event, &mut WriteState { call, counts, ledger }, out)
        })
    }
}

/// Gives an event of one of several streams its place in the one of the client; whether it has one.
fn joins(event: &mut Event<'_>, part: &Part, others: Others, begun: &mut bool) -> bool {
    let block = |index: &mut Option<Num<'_>>| {
        let own = index.as_ref().and_then(Num::as_u64).unwrap_or(0).min(BLOCKS - 1);
        *index = Some(number(part.answer * BLOCKS + own));
    };
    match event {
        // The answers have one head and one end.
        Event::Start(_) => !std::mem::replace(begun, true),
        Event::End(_) => others.ended,
        Event::BlockStart(start) => {
            block(&mut start.index);
            start.candidate = Some(number(part.answer));
            true
        }
        Event::Delta(delta) => {
            block(&mut delta.index);
            true
        }
        Event::BlockStop(stop) => {
            block(&mut stop.index);
            true
        }
        Event::Stop(stop) => {
            stop.candidate = Some(number(part.answer));
            true
        }
        Event::Usage(_) | Event::Ping(_) | Event::Error(_) => true,
    }
}

/// Whether an event is content, or the reason why there is no more of it.
pub(super) fn is_meaningful(event: &Event<'_>) -> bool {
    match event {
        Event::Delta(_) | Event::Stop(_) => true,
        Event::BlockStart(start) => is_content(start.block.as_deref()),
        _ => false,
    }
}

/// Whether the begin of a block already says something.
fn is_content(block: Option<&Block<'_>>) -> bool {
    match block {
        Some(Block::Text(node)) => node.text.as_ref().is_some_and(|text| !text.is_empty()),
        Some(Block::Refusal(node)) => node.text.as_ref().is_some_and(|text| !text.is_empty()),
        Some(Block::Reasoning(node)) => node.text.as_ref().is_some_and(|text| !text.is_empty()),
        Some(_) => true,
        None => false,
    }
}

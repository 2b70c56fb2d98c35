//! A backend's stream made into the client's.

use busbar_protocols::ir::{Block, Event};
use busbar_protocols::prelude::Checked;
use busbar_protocols::{Ledger, rules};

use super::frame::{Decoder, Frame};
use super::read::{Notes, Reader, exception, told};
use super::shape::Shaper;
use super::write::{WriteState, Writer};
use super::{Counts, Limits, StreamFault, replay};
use crate::fault::{Class, Fault};
use crate::translate::{CallState, Carriage};

/// Makes a backend's stream into the client's, piece by piece.
#[derive(Debug)]
pub struct Transcoder {
    decoder: Decoder,
    reader: Reader,
    notes: Notes,
    pipe: Pipe,
}

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
        let decoder = Decoder::new(call.backend, limits);
        let reader = Reader::new(call.backend, limits);
        let writer = Writer::new(call.client, limits);
        let to = rules(call.client).ok_or_else(unsupported)?;
        let shaper = Shaper::new(&call, to, carriage, limits);
        Ok(Self {
            decoder,
            reader,
            notes: Notes::default(),
            pipe: Pipe {
                call,
                limits,
                shaper,
                writer,
                counts: Counts::default(),
                ledger: Ledger::default(),
                progress: Progress::default(),
            },
        })
    }

    /// Takes the next piece of the upstream's stream and appends all that becomes of it to `out`.
    ///
    /// # Errors
    /// [`StreamFault`] when the stream cannot go on; what was appended before is valid, and
    /// [`Transcoder::fail`] ends it.
    pub fn push(&mut self, piece: &[u8], out: &mut Vec<u8>) -> Result<Progress, StreamFault> {
        if self.pipe.progress.done {
            return Ok(self.pipe.progress);
        }
        let Self { decoder, reader, notes, pipe } = self;
        let mut result = decoder.push(piece, &mut |frame| pipe.frame(reader, notes, frame, out));
        if pipe.progress.done {
            // The end has been told; what is broken behind it is nothing.
            result = Ok(());
        }
        self.settle();
        result.map(|()| self.pipe.progress)
    }

    /// Takes the upstream's end.
    ///
    /// # Errors
    /// [`StreamFault::Cut`] when the answer is not complete: it never passes for a shorter one.
    pub fn finish(&mut self, out: &mut Vec<u8>) -> Result<Progress, StreamFault> {
        if self.pipe.progress.done {
            return Ok(self.pipe.progress);
        }
        let Self { decoder, reader, notes, pipe } = self;
        let mut result = decoder.finish(&mut |frame| pipe.frame(reader, notes, frame, out));
        if let Err(StreamFault::NotJson | StreamFault::Malformed { .. }) = result {
            // The end came in the middle of an event.
            result = Err(StreamFault::Cut);
        }
        if pipe.progress.done {
            result = Ok(());
        } else if result.is_ok() {
            result = reader.finish(&mut |event| pipe.event(event, out));
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
        self.pipe.progress.stopped |= self.reader.stopped();
        for ledger in [&mut self.notes.ledger, &mut self.pipe.shaper.ledger] {
            if !ledger.is_empty() {
                self.pipe.ledger.extend(std::mem::take(ledger));
            }
        }
    }
}

impl Pipe {
    fn frame(
        &mut self,
        reader: &mut Reader,
        notes: &mut Notes,
        frame: Frame<'_>,
        out: &mut Vec<u8>,
    ) -> Result<(), StreamFault> {
        if self.progress.done {
            return Ok(());
        }
        match frame {
            Frame::Event { name: b"error", data } => match Checked::new(data) {
                Ok(document) => Err(told(self.call.backend, document)),
                Err(_) => Err(StreamFault::NotJson),
            },
            Frame::Exception { kind, data } => Err(exception(self.call.backend, kind, data)),
            Frame::Event { name, data } => {
                reader.step(name, data, notes, &mut |event| self.event(event, out))
            }
            Frame::Comment => reader.comment(&mut |event| self.event(event, out)),
            Frame::Body(body) => {
                replay::body(self.call.backend, body, self.limits, notes, &mut |event| self.event(event, out))
            }
        }
    }

    fn event(&mut self, event: Event<'_>, out: &mut Vec<u8>) -> Result<(), StreamFault> {
        let Self { call, shaper, writer, counts, ledger, progress, .. } = self;
        let usage = match &event {
            Event::Usage(event) => event.usage.as_deref(),
            Event::Start(event) => event.response.as_ref().and_then(|response| response.usage.as_deref()),
            _ => None,
        };
        if let Some(usage) = usage {
            *counts = Counts::of(usage);
        }
        shaper.event(event, &mut |event| {
            progress.meaningful |= is_meaningful(&event);
            progress.done |= matches!(event, Event::End(_));
            writer.event(&event, &mut WriteState { call, counts, ledger }, out)
        })
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

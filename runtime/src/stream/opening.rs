//! The beginning of a stream that passes unread: whether it says anything yet, or fails before it does.

use busbar_protocols::ir::Event;
use busbar_protocols::prelude::Checked;

use super::frame::{Decoder, Frame};
use super::read::{Notes, Reader, exception, told};
use super::transcoder::is_meaningful;
use super::{Limits, StreamFault, replay};
use crate::Protocol;

/// Looks at the first events of a stream until one of them is more than a start.
///
/// What it does not understand counts as something said: whoever forwards is no judge of what is new.
#[derive(Debug)]
pub struct Opening {
    protocol: Protocol,
    decoder: Decoder,
    reader: Reader,
    notes: Notes,
    known: bool,
    said: bool,
}

impl Opening {
    /// At the start of a stream.
    pub fn new(protocol: Protocol, limits: Limits) -> Self {
        Self {
            protocol,
            decoder: Decoder::new(protocol, limits),
            reader: Reader::new(protocol, limits),
            notes: Notes::default(),
            known: false,
            said: false,
        }
    }

    /// Takes the next piece; whether something has been said by now.
    ///
    /// # Errors
    /// [`StreamFault`] when the stream fails before it says anything.
    pub fn push(&mut self, piece: &[u8]) -> Result<bool, StreamFault> {
        let Self { protocol, decoder, reader, notes, known, said } = self;
        let result = decoder.push(piece, &mut |frame| look(*protocol, reader, notes, frame, known, said));
        self.judged(result)
    }

    /// Takes the end of the stream; whether something had been said.
    ///
    /// # Errors
    /// [`StreamFault::Cut`] when it ended before it said anything.
    pub fn finish(&mut self) -> Result<bool, StreamFault> {
        let Self { protocol, decoder, reader, notes, known, said } = self;
        let mut result = decoder.finish(&mut |frame| look(*protocol, reader, notes, frame, known, said));
        if let Err(StreamFault::NotJson | StreamFault::BadFrame) = result {
            result = Err(StreamFault::Cut);
        }
        let said = self.judged(result)?;
        if said || !self.known {
            return Ok(said);
        }
        let mut late = false;
        let end = self.reader.finish(&mut |event| {
            late |= is_meaningful(&event) || matches!(event, Event::End(_));
            Ok(())
        });
        match end {
            Err(fault @ (StreamFault::Cut | StreamFault::Upstream(_))) => Err(fault),
            _ => Ok(late),
        }
    }

    fn judged(&mut self, result: Result<(), StreamFault>) -> Result<bool, StreamFault> {
        match result {
            // What follows the first words is for whoever reads them.
            Err(_) if self.said => Ok(true),
            Err(StreamFault::Malformed { .. } | StreamFault::OutOfOrder(_)) => {
                self.said = true;
                Ok(true)
            }
            Err(fault) => Err(fault),
            Ok(()) => Ok(self.said),
        }
    }
}

fn look(
    protocol: Protocol,
    reader: &mut Reader,
    notes: &mut Notes,
    frame: Frame<'_>,
    known: &mut bool,
    said: &mut bool,
) -> Result<(), StreamFault> {
    if *said {
        return Ok(());
    }
    match frame {
        Frame::Comment => Ok(()),
        Frame::Event { name: b"error", data } => match Checked::new(data) {
            Ok(document) => Err(told(protocol, document)),
            Err(_) => Err(StreamFault::NotJson),
        },
        Frame::Exception { kind, data } => Err(exception(protocol, kind, data)),
        Frame::Event { name, data } => reader.step(name, data, notes, &mut |event| {
            *known = true;
            *said |= is_meaningful(&event) || matches!(event, Event::End(_));
            Ok(())
        }),
        Frame::Body(body) => {
            *said = true;
            replay::error_of(protocol, Checked::new(body).map_err(|_| StreamFault::NotJson)?)
                .map_or(Ok(()), Err)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stream::tests::fixtures::{ANTHROPIC_TOOLS, CHAT_TEXT};

    fn open(protocol: Protocol, bytes: &[u8], size: usize) -> (Result<bool, StreamFault>, usize) {
        let mut opening = Opening::new(protocol, Limits::default());
        for (at, piece) in bytes.chunks(size).enumerate() {
            match opening.push(piece) {
                Ok(false) => {}
                done => return (done, (at + 1) * size),
            }
        }
        (opening.finish(), bytes.len())
    }

    #[test]
    fn a_start_says_nothing_however_it_is_cut() {
        let content = memchr::memmem::find(ANTHROPIC_TOOLS, b"content_block_delta").unwrap();
        for size in [1, 7, 64] {
            let (said, at) = open(Protocol::Anthropic, ANTHROPIC_TOOLS, size);
            assert_eq!(said, Ok(true));
            assert!(at > content, "at {at} of {content}");
            assert_eq!(open(Protocol::OpenaiChat, CHAT_TEXT, size).0, Ok(true));
            let start = &ANTHROPIC_TOOLS[..content - 10];
            assert_eq!(open(Protocol::Anthropic, start, size).0, Err(StreamFault::Cut));
        }
    }

    #[test]
    fn an_error_in_place_of_content_is_told() {
        let start = "data: {\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\
            \"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"},\"finish_reason\":null}]}\n\n";
        let error = "data: {\"error\":{\"message\":\"busy\",\"type\":\"server_error\",\"code\":503}}\n\n";
        let both = format!("{start}{error}");
        assert!(matches!(open(Protocol::OpenaiChat, both.as_bytes(), 9).0, Err(StreamFault::Upstream(_))));
        assert_eq!(open(Protocol::OpenaiChat, start.as_bytes(), 9).0, Err(StreamFault::Cut));
        let named = "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"m\"}}\n\n";
        let (fault, _) = open(Protocol::Anthropic, named.as_bytes(), 5);
        assert!(matches!(fault, Err(StreamFault::Upstream(fault)) if fault.status == 529));
    }

    #[test]
    fn what_is_not_understood_passes() {
        let odd = b"data: {\"choices\":[{\"index\":\"new\",\"delta\":7}]}\n\n";
        assert_eq!(open(Protocol::OpenaiChat, odd, 9).0, Ok(true));
        assert_eq!(open(Protocol::OpenaiChat, b"data: hm\n\n", 3).0, Err(StreamFault::NotJson));
        assert_eq!(open(Protocol::Bedrock, b"<html>no such thing</html>", 9).0, Err(StreamFault::BadFrame));
    }
}

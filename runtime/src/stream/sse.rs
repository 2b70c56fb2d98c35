//! Server-sent events: bytes in any pieces into events, and events into bytes.
//!
//! Lines are found on bytes, and text is looked at only once an event is whole, so a piece may end anywhere:
//! inside a character, between CR and LF, inside the byte order mark. An event that lies within one piece is
//! handed on as a slice of it; only what a piece leaves unfinished is copied.

use super::frame::Frame;
use super::{Limits, StreamFault};

/// The state between two pieces of a stream.
#[derive(Debug)]
pub struct Decoder {
    /// The begin of a line that the last piece did not finish.
    line: Vec<u8>,
    /// Data lines of the event that the last piece did not finish.
    data: Vec<u8>,
    /// Whether `data` holds at least one line, be it an empty one.
    has_data: bool,
    /// The event's name.
    name: Vec<u8>,
    /// Whether the last byte was a CR, so that an LF is part of the same line end.
    after_cr: bool,
    shape: Shape,
    limits: Limits,
}

/// What kind of body this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    /// Nothing so far, or a part of a byte order mark, which is in `line`.
    Unknown,
    /// Nothing but white space so far.
    Blank,
    Events,
    /// A JSON value; kept in `line` until the end.
    Json,
}

/// The data of the event being read.
enum Data<'c> {
    None,
    /// One line, all in this piece.
    Slice(&'c [u8]),
    /// In the decoder's own buffer.
    Kept,
}

const BOM: &[u8] = b"\xef\xbb\xbf";

impl Decoder {
    /// A decoder at the start of a stream.
    pub fn new(limits: Limits) -> Self {
        Self {
            line: Vec::new(),
            data: Vec::new(),
            has_data: false,
            name: Vec::new(),
            after_cr: false,
            shape: Shape::Unknown,
            limits,
        }
    }

    /// Takes the next piece and hands each frame that it completes to `sink`.
    ///
    /// An error, the decoder's or the sink's, ends the stream: nothing can be pushed after it.
    pub fn push(
        &mut self,
        piece: &[u8],
        sink: &mut impl FnMut(Frame<'_>) -> Result<(), StreamFault>,
    ) -> Result<(), StreamFault> {
        if self.shape != Shape::Events {
            return self.push_start(piece, sink);
        }
        self.push_events(piece, sink)
    }

    /// Takes the end of the stream: an event that lacks nothing but its blank line, or a JSON body.
    pub fn finish(
        &mut self,
        sink: &mut impl FnMut(Frame<'_>) -> Result<(), StreamFault>,
    ) -> Result<(), StreamFault> {
        if self.shape == Shape::Json {
            let body = std::mem::take(&mut self.line);
            return sink(Frame::Body(&body));
        }
        if self.shape != Shape::Events {
            return Ok(());
        }
        // A line that was cut off may be a truncated event; the reader finds out, as its JSON is broken.
        self.push_events(b"\n\n", sink)
    }

    /// Decides what the body is by its first character that is no white space.
    fn push_start(
        &mut self,
        piece: &[u8],
        sink: &mut impl FnMut(Frame<'_>) -> Result<(), StreamFault>,
    ) -> Result<(), StreamFault> {
        if self.shape == Shape::Json {
            return self.keep(piece);
        }
        let mut joined = std::mem::take(&mut self.line);
        let start = if joined.is_empty() {
            piece
        } else {
            joined.extend_from_slice(piece);
            &joined
        };
        let mut text = start;
        if self.shape == Shape::Unknown {
            if start.len() < BOM.len() && BOM.starts_with(start) {
                self.line.extend_from_slice(start);
                return Ok(());
            }
            self.shape = Shape::Blank;
            text = start.strip_prefix(BOM).unwrap_or(start);
        }
        text = text.trim_ascii_start();
        match text.first() {
            None => Ok(()),
            Some(b'{' | b'[') => {
                self.shape = Shape::Json;
                self.keep(text)
            }
            Some(_) => {
                self.shape = Shape::Events;
                self.push_events(text, sink)
            }
        }
    }

    fn keep(&mut self, piece: &[u8]) -> Result<(), StreamFault> {
        if self.line.len() + piece.len() > self.limits.body {
            return Err(StreamFault::BodyTooLarge { limit: self.limits.body });
        }
        self.line.extend_from_slice(piece);
        Ok(())
    }

    fn push_events(
        &mut self,
        piece: &[u8],
        sink: &mut impl FnMut(Frame<'_>) -> Result<(), StreamFault>,
    ) -> Result<(), StreamFault> {
        let mut rest = piece;
        if self.after_cr && !rest.is_empty() {
            self.after_cr = false;
            rest = rest.strip_prefix(b"\n").unwrap_or(rest);
        }
        let mut data = if self.has_data { Data::Kept } else { Data::None };
        while let Some(end) = memchr::memchr2(b'\n', b'\r', rest) {
            let head = &rest[..end];
            let is_cr = rest[end] == b'\r';
            rest = &rest[end + 1..];
            if is_cr {
                match rest.first() {
                    Some(b'\n') => rest = &rest[1..],
                    Some(_) => {}
                    None => self.after_cr = true,
                }
            }
            if self.line.len() + head.len() > self.limits.line {
                return Err(StreamFault::LineTooLong { limit: self.limits.line });
            }
            if self.line.is_empty() {
                match parse(head) {
                    Line::Data(value) if matches!(data, Data::None) => {
                        self.check_event(value.len())?;
                        data = Data::Slice(value);
                    }
                    line => self.take(line, &mut data, sink)?,
                }
            } else {
                let mut line = std::mem::take(&mut self.line);
                line.extend_from_slice(head);
                self.take(parse(&line), &mut data, sink)?;
                line.clear();
                self.line = line;
            }
        }
        if let Data::Slice(slice) = data {
            self.data.extend_from_slice(slice);
        }
        self.has_data = !matches!(data, Data::None);
        if self.line.len() + rest.len() > self.limits.line {
            return Err(StreamFault::LineTooLong { limit: self.limits.line });
        }
        self.line.extend_from_slice(rest);
        Ok(())
    }

    fn take(
        &mut self,
        line: Line<'_>,
        data: &mut Data<'_>,
        sink: &mut impl FnMut(Frame<'_>) -> Result<(), StreamFault>,
    ) -> Result<(), StreamFault> {
        match line {
            Line::Blank => {
                let result = match std::mem::replace(data, Data::None) {
                    Data::None => Ok(()),
                    Data::Slice(slice) => sink(Frame::Event { name: &self.name, data: slice }),
                    Data::Kept => sink(Frame::Event { name: &self.name, data: &self.data }),
                };
                self.name.clear();
                self.data.clear();
                result
            }
            Line::Comment => sink(Frame::Comment),
            Line::Data(value) => self.take_data(value, data),
            Line::Name(value) => {
                self.name.clear();
                self.name.extend_from_slice(value);
                Ok(())
            }
            Line::Ignored => Ok(()),
        }
    }

    fn take_data(&mut self, value: &[u8], data: &mut Data<'_>) -> Result<(), StreamFault> {
        match std::mem::replace(data, Data::Kept) {
            Data::None => {}
            Data::Slice(slice) => {
                self.data.extend_from_slice(slice);
                self.data.push(b'\n');
            }
            Data::Kept => self.data.push(b'\n'),
        }
        self.check_event(self.data.len() + value.len())?;
        self.data.extend_from_slice(value);
        Ok(())
    }

    fn check_event(&self, len: usize) -> Result<(), StreamFault> {
        if len > self.limits.event {
            return Err(StreamFault::EventTooLarge { limit: self.limits.event });
        }
        Ok(())
    }
}

/// What a line says.
enum Line<'l> {
    Blank,
    Comment,
    Data(&'l [u8]),
    Name(&'l [u8]),
    /// `id` and `retry` are for reconnecting, which no provider offers; other fields are to be ignored.
    Ignored,
}

fn parse(line: &[u8]) -> Line<'_> {
    let (field, value) = match memchr::memchr(b':', line) {
        Some(0) => return Line::Comment,
        Some(colon) => {
            let value = &line[colon + 1..];
            (&line[..colon], value.strip_prefix(b" ").unwrap_or(value))
        }
        None if line.is_empty() => return Line::Blank,
        None => (line, &line[line.len()..]),
    };
    match field {
        b"data" => Line::Data(value),
        b"event" => Line::Name(value),
        _ => Line::Ignored,
    }
}

/// Appends one event; `data` writes its single line.
pub fn write_event(out: &mut Vec<u8>, name: Option<&str>, data: impl FnOnce(&mut Vec<u8>)) {
    if let Some(name) = name {
        out.extend_from_slice(b"event: ");
        out.extend_from_slice(name.as_bytes());
        out.push(b'\n');
    }
    out.extend_from_slice(b"data: ");
    data(out);
    out.extend_from_slice(b"\n\n");
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LIMITS: Limits = Limits { line: 64, event: 96, body: 128, held: 64, blocks: 8 };

    fn decode(pieces: &[&[u8]], limits: Limits) -> Result<Vec<String>, (Vec<String>, StreamFault)> {
        let mut seen = Vec::new();
        let mut sink = |frame: Frame<'_>| {
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            seen.push(match frame {
                Frame::Event { name, data } => format!("{}|{}", text(name), text(data)),
                Frame::Comment => "#".to_owned(),
                Frame::Exception { kind, .. } => unreachable!("{kind}"),
                Frame::Body(body) => format!("body {}", text(body)),
            });
            Ok(())
        };
        let mut decoder = Decoder::new(limits);
        let result = pieces
            .iter()
            .try_for_each(|piece| decoder.push(piece, &mut sink))
            .and_then(|()| decoder.finish(&mut sink));
        match result {
            Ok(()) => Ok(seen),
            Err(fault) => Err((seen, fault)),
        }
    }

    fn all(bytes: &[u8]) -> Vec<String> {
        decode(&[bytes], Limits::default()).unwrap()
    }

    #[test]
    fn every_line_end_and_field_form() {
        assert_eq!(all(b"data: a\n\ndata:b\r\n\r\ndata:  c\r\r"), ["|a", "|b", "| c"]);
        assert_eq!(all(b"event: x\nid: 7\nretry: 5\ndata: a\ndata\ndata: b\n\n"), ["x|a\n\nb"]);
        assert_eq!(all(b"event: lost\n\ndata: a\n\n"), ["|a"], "a name does not outlive its blank line");
        assert_eq!(all(b": hi\n:\ndata: a\n\n"), ["#", "#", "|a"]);
        assert_eq!(all(b"data\n\n"), ["|"], "an empty data line is an event");
        assert_eq!(all("data: 北 😀\n\n".as_bytes()), ["|北 😀"]);
    }

    #[test]
    fn the_end_completes_what_lacks_only_its_blank_line() {
        assert_eq!(all(b"data: a\n\ndata: [DONE]"), ["|a", "|[DONE]"]);
        assert_eq!(all(b"data: a\n"), ["|a"]);
        assert_eq!(all(b""), Vec::<String>::new());
        assert_eq!(all(b" \n\n"), Vec::<String>::new());
    }

    #[test]
    fn a_byte_order_mark_is_skipped_once() {
        assert_eq!(all(b"\xef\xbb\xbfdata: a\n\n"), ["|a"]);
        assert_eq!(all(b"\xef\xbb\xbf{\"a\":1}"), ["body {\"a\":1}"]);
        assert_eq!(all(b"\xef\xbb\xbf\xef\xbb\xbfdata: a\n\n"), Vec::<String>::new());
    }

    #[test]
    fn a_json_body_is_kept_whole() {
        assert_eq!(all(b"\n {\"a\":\n\n\"data: x\"}\n"), ["body {\"a\":\n\n\"data: x\"}\n"]);
    }

    #[test]
    fn bounds_are_faults_however_the_bytes_come() {
        let line = [b"data: ".as_slice(), &[b'x'; 59], b"\n\n"].concat();
        let event = b"data: 0123456789012345678901234567890123456789\n".repeat(3);
        let body = [b"{".as_slice(), &[b' '; 128]].concat();
        for (bytes, fault) in [
            (line, StreamFault::LineTooLong { limit: 64 }),
            (event, StreamFault::EventTooLarge { limit: 96 }),
            (body, StreamFault::BodyTooLarge { limit: 128 }),
        ] {
            for size in [bytes.len(), 1, 7] {
                let pieces: Vec<&[u8]> = bytes.chunks(size).collect();
                assert_eq!(decode(&pieces, LIMITS).unwrap_err().1, fault, "pieces of {size}");
            }
        }
        let fits = [b"data: ".as_slice(), &[b'x'; 58], b"\n\n"].concat();
        assert_eq!(decode(&[&fits], LIMITS).unwrap().len(), 1);
    }

    #[test]
    fn an_event_within_a_piece_is_a_slice_of_it() {
        let piece = b"event: e\ndata: abc\n\n";
        let mut decoder = Decoder::new(Limits::default());
        let mut inside = false;
        decoder
            .push(piece, &mut |frame| {
                if let Frame::Event { data, .. } = frame {
                    inside = piece.as_ptr_range().contains(&data.as_ptr());
                }
                Ok(())
            })
            .unwrap();
        assert!(inside);
        assert_eq!(decoder.data.capacity() + decoder.line.capacity(), 0);
    }

    #[test]
    fn an_event_is_written_as_it_is_read() {
        let mut out = Vec::new();
        write_event(&mut out, Some("ping"), |out| out.extend_from_slice(b"{}"));
        write_event(&mut out, None, |out| out.extend_from_slice(b"[DONE]"));
        assert_eq!(out, b"event: ping\ndata: {}\n\ndata: [DONE]\n\n");
        assert_eq!(all(&out), ["ping|{}", "|[DONE]"]);
    }

    proptest! {
        #[test]
        fn any_chunking_gives_the_same_events(
            parts in proptest::collection::vec(
                prop_oneof![
                    Just(b"\n".to_vec()), Just(b"\r\n".to_vec()), Just(b"\r".to_vec()), Just(b"\n\n".to_vec()),
                    Just(b"data: ".to_vec()), Just(b"data:".to_vec()), Just(b"event: e".to_vec()),
                    Just(b": c".to_vec()), Just(b"{".to_vec()), Just(BOM.to_vec()), Just("北😀".as_bytes().to_vec()),
                    "[a-z ]{0,40}".prop_map(String::into_bytes),
                ],
                0..30,
            ),
            cuts in proptest::collection::vec(1usize..9, 1..40),
        ) {
            let bytes = parts.concat();
            let whole = decode(&[&bytes], LIMITS);
            let single: Vec<&[u8]> = bytes.chunks(1).collect();
            prop_assert_eq!(&decode(&single, LIMITS), &whole);
            let mut pieces = Vec::new();
            let mut rest = bytes.as_slice();
            for cut in cuts.iter().cycle() {
                if rest.is_empty() {
                    break;
                }
                let (head, tail) = rest.split_at((*cut).min(rest.len()));
                pieces.push(head);
                rest = tail;
            }
            prop_assert_eq!(&decode(&pieces, LIMITS), &whole);
        }
    }
}

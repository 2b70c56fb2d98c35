//! AWS's binary event streams: bytes in any pieces into messages, and messages into bytes.
//!
//! The library reads and writes a message once it is whole. What is done here is to make it whole, within a
//! bound, and to look at the checksum of its lengths first: a damaged length would else be waited for.

use aws_smithy_eventstream::frame::{read_message_from, write_message_to};
use aws_smithy_types::event_stream::{Header, HeaderValue, Message};
use bytes::Bytes;

use super::frame::Frame;
use super::{Limits, StreamFault};

/// Two lengths and their checksum.
const PRELUDE: usize = 12;
/// The least a message has: its prelude and its own checksum.
const LEAST: usize = PRELUDE + 4;

/// The state between two pieces of a stream.
#[derive(Debug)]
pub struct Decoder {
    /// The begin of a message that the last piece did not finish; or a JSON body so far.
    held: Vec<u8>,
    shape: Shape,
    limits: Limits,
}

/// What kind of body this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    Unknown,
    Messages,
    /// A JSON value; kept until the end.
    Json,
}

impl Decoder {
    /// A decoder at the start of a stream.
    pub fn new(limits: Limits) -> Self {
        Self { held: Vec::new(), shape: Shape::Unknown, limits }
    }

    /// Takes the next piece and hands each message that it completes to `sink`.
    ///
    /// An error, the decoder's or the sink's, ends the stream: nothing can be pushed after it.
    pub fn push(
        &mut self,
        piece: &[u8],
        sink: &mut impl FnMut(Frame<'_>) -> Result<(), StreamFault>,
    ) -> Result<(), StreamFault> {
        let mut rest = piece;
        if self.shape == Shape::Unknown {
            // The length of a message that is not beyond any bound begins with none of these bytes.
            rest = rest.trim_ascii_start();
            self.shape = match rest.first() {
                None => return Ok(()),
                Some(b'{' | b'[') => Shape::Json,
                Some(_) => Shape::Messages,
            };
        }
        if self.shape == Shape::Json {
            if self.held.len() + rest.len() > self.limits.body {
                return Err(StreamFault::BodyTooLarge { limit: self.limits.body });
            }
            self.held.extend_from_slice(rest);
            return Ok(());
        }
        while !self.held.is_empty() && !rest.is_empty() {
            // Of the piece, what the message lacks and not a byte more.
            let whole = length(&self.held, self.limits)?.unwrap_or(PRELUDE);
            let lacking = whole.saturating_sub(self.held.len()).min(rest.len());
            let (head, more) = rest.split_at(lacking);
            self.held.extend_from_slice(head);
            rest = more;
            if length(&self.held, self.limits)? == Some(self.held.len()) {
                let result = hand_on(&self.held, sink);
                self.held.clear();
                result?;
            }
        }
        while let Some(whole) = length(rest, self.limits)?
            && let Some((message, more)) = rest.split_at_checked(whole)
        {
            hand_on(message, sink)?;
            rest = more;
        }
        self.held.extend_from_slice(rest);
        Ok(())
    }

    /// Takes the end of the stream: a JSON body, or nothing.
    pub fn finish(
        &mut self,
        sink: &mut impl FnMut(Frame<'_>) -> Result<(), StreamFault>,
    ) -> Result<(), StreamFault> {
        let held = std::mem::take(&mut self.held);
        match self.shape {
            Shape::Json => sink(Frame::Body(&held)),
            _ if held.is_empty() => Ok(()),
            _ => Err(StreamFault::Cut),
        }
    }
}

/// The length of the message that begins here, once that is known.
fn length(bytes: &[u8], limits: Limits) -> Result<Option<usize>, StreamFault> {
    let Some(prelude) = bytes.first_chunk::<PRELUDE>() else { return Ok(None) };
    let [a, b, c, d, .., w, x, y, z] = *prelude;
    if crc32fast::hash(&prelude[..PRELUDE - 4]) != u32::from_be_bytes([w, x, y, z]) {
        return Err(StreamFault::BadFrame);
    }
    let length = usize::try_from(u32::from_be_bytes([a, b, c, d])).unwrap_or(usize::MAX);
    if length < LEAST {
        return Err(StreamFault::BadFrame);
    }
    if length > limits.event {
        return Err(StreamFault::EventTooLarge { limit: limits.event });
    }
    Ok(Some(length))
}

/// Checks a whole message and hands it on.
fn hand_on(
    message: &[u8],
    sink: &mut impl FnMut(Frame<'_>) -> Result<(), StreamFault>,
) -> Result<(), StreamFault> {
    let message = read_message_from(message).map_err(|_| StreamFault::BadFrame)?;
    let header = |name: &str| {
        let header = message.headers().iter().find(|header| header.name().as_str() == name)?;
        header.value().as_string().ok().map(|value| value.as_str())
    };
    let name = |name: &str| header(name).unwrap_or_default();
    match name(":message-type") {
        "exception" => sink(Frame::Exception { kind: name(":exception-type"), data: message.payload() }),
        // An error that the service's model does not have: all it says is in the headers.
        "error" => {
            let data = serde_json::json!({ "message": name(":error-message") }).to_string();
            sink(Frame::Exception { kind: name(":error-code"), data: data.as_bytes() })
        }
        _ => sink(Frame::Event { name: name(":event-type").as_bytes(), data: message.payload() }),
    }
}

/// Appends one event; `data` writes its payload.
pub fn write_event(out: &mut Vec<u8>, name: &'static str, data: impl FnOnce(&mut Vec<u8>)) {
    let mut payload = Vec::new();
    data(&mut payload);
    write(
        [(":event-type", name), (":content-type", "application/json"), (":message-type", "event")],
        payload,
        out,
    );
}

/// Knows where the messages of a stream that passes unread begin and end, by their preludes alone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Boundary {
    /// The bytes of a prelude that have come so far, and how many.
    prelude: [u8; PRELUDE],
    known: usize,
    /// Bytes that are still to come of the message.
    left: usize,
}

impl Boundary {
    /// Takes the next piece; where in it a message begins whose prelude is wrong, so that it is none.
    pub fn push(&mut self, piece: &[u8]) -> Option<usize> {
        let mut at = 0;
        let mut begin = 0;
        while at < piece.len() {
            if self.left > 0 {
                let count = self.left.min(piece.len() - at);
                self.left -= count;
                at += count;
                continue;
            }
            if self.known == 0 {
                begin = at;
            }
            self.prelude[self.known] = piece[at];
            self.known += 1;
            at += 1;
            if self.known == PRELUDE {
                let [length, _, checksum] = [0, 4, 8].map(|from| {
                    let mut word = [0; 4];
                    word.copy_from_slice(&self.prelude[from..from + 4]);
                    u32::from_be_bytes(word)
                });
                if crc32fast::hash(&self.prelude[..8]) != checksum {
                    self.known = 0;
                    // What began in an earlier piece stays open: it has been handed on.
                    self.left = if at < PRELUDE { usize::MAX } else { 0 };
                    return Some(begin);
                }
                self.left = usize::try_from(length).unwrap_or(usize::MAX).saturating_sub(PRELUDE);
                self.known = 0;
            }
        }
        None
    }

    /// Whether no message is open.
    pub const fn is_between(&self) -> bool {
        self.left == 0 && self.known == 0
    }
}

/// Appends an error that the service's model has.
pub fn write_exception(out: &mut Vec<u8>, kind: &'static str, data: Vec<u8>) {
    write(
        [(":exception-type", kind), (":content-type", "application/json"), (":message-type", "exception")],
        data,
        out,
    );
}

fn write(headers: [(&'static str, &'static str); 3], payload: Vec<u8>, out: &mut Vec<u8>) {
    let headers = headers.map(|(name, value)| Header::new(name, HeaderValue::String(value.into())));
    let message = Message::new_from_parts(headers.to_vec(), Bytes::from(payload));
    let begin = out.len();
    // Only lengths beyond 32 bits can fail, and no message comes near them.
    if write_message_to(&message, out).is_err() {
        out.truncate(begin);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LIMITS: Limits = Limits { line: 64, event: 256, body: 128, held: 64, blocks: 8 };

    #[test]
    fn a_boundary_is_known_however_the_bytes_are_cut() {
        let mut bytes = Vec::new();
        write_exception(&mut bytes, "validationException", b"{}".to_vec());
        let one = bytes.len();
        bytes.extend_from_within(..);
        for size in [1, 3, 50, bytes.len()] {
            let mut boundary = Boundary::default();
            let mut between = Vec::new();
            let mut at = 0;
            for piece in bytes.chunks(size) {
                boundary.push(piece);
                at += piece.len();
                if boundary.is_between() {
                    between.push(at);
                }
            }
            let expected: Vec<_> =
                [one, 2 * one].into_iter().filter(|end| end % size == 0 || *end == bytes.len()).collect();
            assert_eq!(between, expected, "{size}");
        }
    }

    #[test]
    fn what_is_no_message_is_found_where_it_begins() {
        let mut bytes = Vec::new();
        write_event(&mut bytes, "messageStart", |out| out.extend_from_slice(b"{}"));
        let one = bytes.len();
        bytes.extend_from_slice(b"\x00\x00\x00\x20\x00\x00\x00\x04garbage in place of frames");
        let mut boundary = Boundary::default();
        assert_eq!((boundary.push(&bytes), boundary.is_between()), (Some(one), true));
        let mut boundary = Boundary::default();
        assert_eq!(boundary.push(&bytes[..one + 5]), None);
        assert_eq!((boundary.push(&bytes[one + 5..]), boundary.is_between()), (Some(0), false));
    }

    fn decode(pieces: &[&[u8]]) -> (Vec<String>, Result<(), StreamFault>) {
        let mut seen = Vec::new();
        let mut sink = |frame: Frame<'_>| {
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            seen.push(match frame {
                Frame::Event { name, data } => format!("{}|{}", text(name), text(data)),
                Frame::Exception { kind, data } => format!("!{kind}|{}", text(data)),
                Frame::Comment => "#".to_owned(),
                Frame::Body(body) => format!("body {}", text(body)),
            });
            Ok(())
        };
        let mut decoder = Decoder::new(LIMITS);
        let result = pieces
            .iter()
            .try_for_each(|piece| decoder.push(piece, &mut sink))
            .and_then(|()| decoder.finish(&mut sink));
        (seen, result)
    }

    fn three() -> Vec<u8> {
        let mut out = Vec::new();
        write_event(&mut out, "messageStart", |out| out.extend_from_slice(b"{\"role\":\"assistant\"}"));
        write_event(&mut out, "x", |_| {});
        write_exception(&mut out, "throttlingException", b"{\"message\":\"slow\"}".to_vec());
        out
    }

    const THREE: [&str; 3] =
        ["messageStart|{\"role\":\"assistant\"}", "x|", "!throttlingException|{\"message\":\"slow\"}"];

    proptest! {
        #[test]
        fn any_pieces_give_the_same_messages(mut cuts in proptest::collection::vec(0usize..400, 0..12)) {
            let bytes = three();
            cuts.iter_mut().for_each(|cut| *cut = (*cut).min(bytes.len()));
            cuts.sort_unstable();
            let mut pieces = Vec::new();
            let mut from = 0;
            for cut in cuts.into_iter().chain([bytes.len()]) {
                pieces.push(&bytes[from..cut]);
                from = cut;
            }
            prop_assert_eq!(decode(&pieces), (THREE.map(str::to_owned).to_vec(), Ok(())));
        }
    }

    #[test]
    fn one_byte_at_a_time() {
        let bytes = three();
        let pieces: Vec<&[u8]> = bytes.chunks(1).collect();
        assert_eq!(decode(&pieces), (THREE.map(str::to_owned).to_vec(), Ok(())));
    }

    #[test]
    fn a_flipped_bit_anywhere_is_seen() {
        let bytes = three();
        for place in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[place] ^= 0x10;
            let (seen, result) = decode(&[&damaged]);
            assert!(result.is_err(), "byte {place}");
            assert!(THREE.map(str::to_owned).starts_with(&seen), "byte {place}: {seen:?}");
        }
    }

    #[test]
    fn a_message_is_bounded_and_an_end_within_one_is_a_cut() {
        let mut long = Vec::new();
        write_event(&mut long, "x", |out| out.resize(LIMITS.event, b' '));
        assert_eq!(decode(&[&long[..PRELUDE]]).1, Err(StreamFault::EventTooLarge { limit: 256 }));
        let bytes = three();
        let (seen, result) = decode(&[&bytes[..bytes.len() - 1]]);
        assert_eq!((seen.len(), result), (2, Err(StreamFault::Cut)));
    }

    #[test]
    fn a_body_in_place_of_a_stream() {
        assert_eq!(decode(&[b" ", b"\n{\"a\":", b"1}"]), (vec!["body {\"a\":1}".to_owned()], Ok(())));
        assert_eq!(decode(&[b"<html>nothing here</html>"]).1, Err(StreamFault::BadFrame));
        assert_eq!(decode(&[b"[", &[b' '; 128]]).1, Err(StreamFault::BodyTooLarge { limit: 128 }));
    }

    #[test]
    fn an_error_outside_the_model_is_told_in_headers() {
        let header =
            |name: &'static str, value: &'static str| Header::new(name, HeaderValue::String(value.into()));
        let headers = vec![
            header(":message-type", "error"),
            header(":error-code", "InternalFailure"),
            header(":error-message", "it \"broke\""),
        ];
        let mut bytes = Vec::new();
        write_message_to(&Message::new_from_parts(headers, Bytes::new()), &mut bytes).unwrap();
        assert_eq!(decode(&[&bytes]).0, ["!InternalFailure|{\"message\":\"it \\\"broke\\\"\"}"]);
    }
}

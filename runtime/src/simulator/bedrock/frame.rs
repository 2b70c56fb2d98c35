//! One binary frame of an event stream: lengths and their checksum, headers, payload, checksum of it all.

use bytes::Bytes;
use serde_json::Value;

/// The type byte of a string header.
const STRING: u8 = 7;

/// Two lengths and two checksums.
const AROUND: usize = 16;

/// An event with its payload.
pub(super) fn event(name: &str, payload: &Value) -> Bytes {
    let headers = [(":event-type", name), (":content-type", "application/json"), (":message-type", "event")];
    encode(&headers, payload.to_string().as_bytes())
}

/// An exception, which ends a stream.
pub(super) fn exception(name: &str, payload: &Value) -> Bytes {
    let headers =
        [(":exception-type", name), (":content-type", "application/json"), (":message-type", "exception")];
    encode(&headers, payload.to_string().as_bytes())
}

fn encode(headers: &[(&str, &str)], payload: &[u8]) -> Bytes {
    let mut head = Vec::new();
    for (name, value) in headers {
        head.push(u8::try_from(name.len()).unwrap_or(u8::MAX));
        head.extend_from_slice(name.as_bytes());
        head.push(STRING);
        head.extend_from_slice(&u16::try_from(value.len()).unwrap_or(u16::MAX).to_be_bytes());
        head.extend_from_slice(value.as_bytes());
    }
    let number = |length: usize| u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes();
    let mut frame = Vec::with_capacity(head.len() + payload.len() + AROUND);
    frame.extend_from_slice(&number(head.len() + payload.len() + AROUND));
    frame.extend_from_slice(&number(head.len()));
    let checksum = crc32fast::hash(&frame);
    frame.extend_from_slice(&checksum.to_be_bytes());
    frame.extend_from_slice(&head);
    frame.extend_from_slice(payload);
    let checksum = crc32fast::hash(&frame);
    frame.extend_from_slice(&checksum.to_be_bytes());
    Bytes::from(frame)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_has_the_published_layout_and_checksums() {
        let frame = encode(&[("a", "b")], b"{}");
        assert_eq!(frame.len(), 16 + 6 - 1 + 1 + 2);
        assert_eq!(frame[..8], [0, 0, 0, 24, 0, 0, 0, 6]);
        assert_eq!(frame[8..12], crc32fast::hash(&frame[..8]).to_be_bytes());
        assert_eq!(frame[12..18], [1, b'a', 7, 0, 1, b'b']);
        assert_eq!(frame[20..], crc32fast::hash(&frame[..20]).to_be_bytes());
    }
}

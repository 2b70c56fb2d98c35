//! Whether the events of a stream that passes unread can be read by who gets them.

use memchr::memchr;

/// Follows the events of a stream by their lines alone.
///
/// An event is beyond doubt unreadable when its data begins like a JSON document and does not end like one; what
/// spans lines, or two pieces of the stream, is not judged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Events {
    /// Whether the last piece ended within an event.
    within: bool,
    /// Whether it ended within a line.
    within_line: bool,
}

impl Events {
    /// Takes the next piece; where in it an event begins that nobody can read.
    pub fn push(&mut self, piece: &[u8]) -> Option<usize> {
        let mut at = 0;
        let mut begin = (!self.within).then_some(0);
        // The one line of data so far, or that there are several.
        let mut data: Option<&[u8]> = None;
        let mut several = false;
        if self.within_line {
            at = memchr(b'\n', piece)? + 1;
        }
        while let Some(end) = memchr(b'\n', &piece[at..]) {
            let line = &piece[at..at + end];
            at += end + 1;
            match line.strip_suffix(b"\r").unwrap_or(line) {
                b"" => {
                    if !several && data.is_some_and(is_broken) && begin.is_some() {
                        return begin;
                    }
                    (begin, data, several) = (Some(at), None, false);
                }
                line => {
                    if let Some(more) = line.strip_prefix(b"data:") {
                        several |= data.is_some();
                        data = Some(more);
                    }
                }
            }
        }
        self.within_line = at < piece.len();
        self.within = begin != Some(piece.len());
        None
    }
}

fn is_broken(data: &[u8]) -> bool {
    match data.trim_ascii() {
        [b'{', rest @ ..] => rest.last() != Some(&b'}'),
        [b'[', rest @ ..] => rest.last() != Some(&b']'),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn first(pieces: &[&str]) -> Option<(usize, usize)> {
        let mut events = Events::default();
        pieces.iter().enumerate().find_map(|(number, piece)| Some((number, events.push(piece.as_bytes())?)))
    }

    #[test]
    fn an_event_that_breaks_off_inside_is_found_where_it_begins() {
        assert_eq!(first(&["data: {\"a\":1}\n\ndata: {\"a\n\n"]), Some((0, 15)));
        assert_eq!(first(&["data: {\"a\":1}\n\n", "event: x\r\ndata: {no JSON\r\n\r\n"]), Some((1, 0)));
        assert_eq!(first(&["data: {\"a\":", "1}\n\ndata: [1, 2\n\n"]), Some((1, 4)));
        assert_eq!(first(&["data: {\"a\":1}\n", "\n", ": hello\n\n", "data: [\n\n"]), Some((3, 0)));
    }

    #[test]
    fn what_is_whole_or_in_doubt_passes() {
        let stream = ": hello\n\nevent: x\nid: 1\ndata: {\"a\":{}}\n\ndata:{\ndata: \"a\":1}\n\ndata: ping\n\ndata: [DONE]\n\n";
        for size in 1..=stream.len() {
            let mut events = Events::default();
            for piece in stream.as_bytes().chunks(size) {
                assert_eq!(events.push(piece), None, "{size}: {:?}", String::from_utf8_lossy(piece));
            }
        }
        // Told too late to take it back.
        assert_eq!(first(&["data: {\"a", "\n\ndata: {}\n\n"]), None);
        // Its end is still to come.
        assert_eq!(first(&["data: {}\n\ndata: {\"a"]), None);
    }
}

//! A look at answers that pass unread: token counts, whether there is content yet, and how they end.
//!
//! Nothing is parsed but the few small objects that are looked for. A quoted word cannot occur inside a JSON
//! string, where its quotes would be escaped, so a search for bytes finds members and values alone.

use std::sync::LazyLock;

use memchr::memmem::Finder;
use serde_json::Value;

use super::{Counts, counted};
use crate::Protocol;

/// Bytes that are kept of a line, or of a body, that goes on; counts stand near its end.
const MAX_TAIL: usize = 64 << 10;

/// A search for a word, made ready once.
macro_rules! word {
    ($word:literal) => {{
        static WORD: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new($word));
        &*WORD
    }};
}

/// Watches one answer go by.
#[derive(Debug)]
pub struct Scanner {
    protocol: Protocol,
    /// Lines are looked at one by one, as they come; otherwise the end of the body at its end.
    lines: bool,
    tail: Vec<u8>,
    counts: Counts,
    seen: Seen,
}

/// What an answer has shown so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Content, not only what begins an answer.
    pub content: bool,
    /// That the answer is complete, so that the end of its bytes is no cut.
    pub complete: bool,
    /// An error told within the answer.
    pub failed: bool,
}

impl Scanner {
    /// A scanner at the start of an answer; `stream` says whether it is a stream of events.
    pub fn new(protocol: Protocol, stream: bool) -> Self {
        Self {
            protocol,
            lines: stream && protocol != Protocol::Bedrock,
            tail: Vec::new(),
            counts: Counts::default(),
            seen: Seen::default(),
        }
    }

    /// Looks at the next piece.
    pub fn push(&mut self, piece: &[u8]) {
        let mut rest = piece;
        if self.lines {
            let Some(last) = memchr::memrchr(b'\n', piece) else { return self.keep(piece) };
            let (mut whole, after) = piece.split_at(last + 1);
            if !self.tail.is_empty() {
                let first = memchr::memchr(b'\n', whole).map_or(whole.len(), |end| end + 1);
                let (head, more) = whole.split_at(first);
                self.keep(head);
                let mut tail = std::mem::take(&mut self.tail);
                self.look(&tail);
                tail.clear();
                self.tail = tail;
                whole = more;
            }
            self.look(whole);
            rest = after;
        }
        self.keep(rest);
    }

    /// Looks at what is left at the answer's end.
    pub fn finish(&mut self) {
        let tail = std::mem::take(&mut self.tail);
        self.look(&tail);
        self.seen.content |= !self.lines && !self.seen.failed;
    }

    /// The token counts reported so far.
    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    /// What has been seen so far.
    pub fn seen(&self) -> Seen {
        self.seen
    }

    fn keep(&mut self, piece: &[u8]) {
        let piece = &piece[piece.len().saturating_sub(MAX_TAIL)..];
        if self.tail.len() + piece.len() > 2 * MAX_TAIL {
            let excess = self.tail.len().saturating_sub(MAX_TAIL);
            self.tail.drain(..excess);
        }
        self.tail.extend_from_slice(piece);
    }

    fn look(&mut self, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        let name =
            if self.protocol == Protocol::Gemini { word!("\"usageMetadata\"") } else { word!("\"usage\"") };
        // Cohere's answers that are no chat have their counts there.
        let beside = (self.protocol == Protocol::Cohere).then(|| values(bytes, word!("\"meta\"")));
        for value in beside
            .into_iter()
            .flatten()
            .chain(values(bytes, name))
            .filter(|value| value.first() == Some(&b'{'))
        {
            // The rest of the line follows the object; it is read up to where it ends.
            if let Some(counts) = counted::read(self.protocol, value) {
                if self.protocol == Protocol::Anthropic {
                    self.counts.overlay(&counts);
                } else if counts != Counts::default() {
                    self.counts = counts;
                }
            }
        }
        let has = |word: &Finder<'_>| word.find(bytes).is_some();
        let says =
            |name: &Finder<'_>, start: &[u8]| values(bytes, name).any(|value| value.starts_with(start));
        let mut seen = self.seen;
        match self.protocol {
            Protocol::OpenaiChat => {
                seen.complete |= says(word!("\"finish_reason\""), b"\"");
                seen.failed |= leads(bytes, word!("\"error\""));
                seen.content =
                    seen.content || self.lines && bytes.split(|byte| *byte == b'\n').any(chunk_has_content);
            }
            Protocol::OpenaiResponses => {
                seen.complete |=
                    has(word!("\"response.completed\"")) || has(word!("\"response.incomplete\""));
                seen.complete |= !self.lines && says(word!("\"status\""), b"\"completed\"");
                seen.failed |= has(word!("\"response.failed\"")) || says(word!("\"type\""), b"\"error\"");
                seen.content |= has(word!(".delta\"")) || has(word!("\"response.output_item.done\""));
            }
            Protocol::Anthropic => {
                seen.complete |= has(word!("\"message_stop\""));
                seen.complete |= !self.lines && says(word!("\"stop_reason\""), b"\"");
                seen.failed |= says(word!("\"type\""), b"\"error\"");
                seen.content |=
                    has(word!("\"content_block_delta\"")) || says(word!("\"stop_reason\""), b"\"");
            }
            Protocol::Gemini => {
                seen.complete |= says(word!("\"finishReason\""), b"\"");
                seen.failed |= leads(bytes, word!("\"error\""));
                seen.content |= has(word!("\"parts\"")) || seen.complete;
            }
            Protocol::Bedrock => {
                seen.complete |= has(word!("messageStop")) || says(word!("\"stopReason\""), b"\"");
                seen.failed |= has(word!(":exception-type"));
                seen.content |= has(word!("contentBlockDelta"));
            }
            Protocol::Cohere => {
                seen.complete |= has(word!("\"message-end\""));
                seen.complete |= !self.lines && says(word!("\"finish_reason\""), b"\"");
                seen.failed |= says(word!("\"finish_reason\""), b"\"ERROR");
                seen.content |= has(word!("-delta\"")) || has(word!("\"tool-call-start\"")) || seen.complete;
            }
        }
        self.seen = seen;
    }
}

/// What follows each member of this name; `name` with its quotes.
fn values<'b>(bytes: &'b [u8], name: &'b Finder<'_>) -> impl Iterator<Item = &'b [u8]> {
    name.find_iter(bytes).filter_map(move |at| {
        let after = bytes.get(at + name.needle().len()..)?.trim_ascii_start();
        after.strip_prefix(b":").map(<[u8]>::trim_ascii_start)
    })
}

/// Whether a member is the first one of a document.
fn leads(bytes: &[u8], name: &Finder<'_>) -> bool {
    name.find_iter(bytes).any(|at| {
        let before = bytes[..at].trim_ascii_end();
        let before = before.strip_suffix(b"{").map(<[u8]>::trim_ascii_end);
        before.is_some_and(|before| before.is_empty() || before.ends_with(b"data:") || before.ends_with(b"["))
    })
}

/// Whether a line of a stream of chunks says more than that an answer begins.
fn chunk_has_content(line: &[u8]) -> bool {
    let data = line.strip_prefix(b"data:").and_then(|data| serde_json::from_slice::<Value>(data).ok());
    let Some(data) = data else { return false };
    let choices = data.get("choices").and_then(Value::as_array).into_iter().flatten();
    let says = |value: &Value| match value {
        Value::Null => false,
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        _ => true,
    };
    choices.into_iter().any(|choice| {
        let delta = choice.get("delta").and_then(Value::as_object);
        delta.is_some_and(|delta| delta.iter().any(|(name, value)| name != "role" && says(value)))
            || choice.get("finish_reason").is_some_and(says)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stream::tests::fixtures::{ANTHROPIC_TOOLS, CHAT_TEXT};

    fn scan(protocol: Protocol, stream: bool, bytes: &[u8], size: usize) -> (Counts, Seen) {
        let mut scanner = Scanner::new(protocol, stream);
        bytes.chunks(size).for_each(|piece| scanner.push(piece));
        scanner.finish();
        (*scanner.counts(), scanner.seen())
    }

    const WHOLE: Seen = Seen { content: true, complete: true, failed: false };

    #[test]
    fn streams_are_counted_however_they_are_cut() {
        for size in [1, 7, 100, usize::MAX] {
            let (counts, seen) = scan(Protocol::Anthropic, true, ANTHROPIC_TOOLS, size);
            assert_eq!((counts.input, counts.fresh_input, counts.output), (Some(123), Some(100), Some(89)));
            assert_eq!((counts.cache_write_5m, counts.reasoning), (Some(3), Some(12)));
            assert_eq!(seen, WHOLE);
            let (counts, seen) = scan(Protocol::OpenaiChat, true, CHAT_TEXT, size);
            assert_eq!((counts.input, counts.cache_read, counts.output), (Some(1000), Some(800), Some(50)));
            assert_eq!(seen, WHOLE);
        }
    }

    #[test]
    fn a_start_is_no_content_and_an_error_is_seen() {
        let start =
            ANTHROPIC_TOOLS.split_inclusive(|byte| *byte == b'\n').take(6).collect::<Vec<_>>().concat();
        assert_eq!(scan(Protocol::Anthropic, true, &start, 50).1, Seen::default());
        let error = b"event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\"}}\n\n";
        assert!(scan(Protocol::Anthropic, true, error, 9).1.failed);
        let role = b"data: {\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"},\"finish_reason\":null}]}\n\n";
        assert_eq!(scan(Protocol::OpenaiChat, true, role, 30).1, Seen::default());
        let error = b"data: {\"error\":{\"message\":\"m\"}}\n\n";
        assert!(scan(Protocol::OpenaiChat, true, error, 9).1.failed);
    }

    #[test]
    fn words_inside_text_are_not_taken_for_members() {
        let text =
            serde_json::to_string("{\"usage\":{\"prompt_tokens\":9},\"error\":1,\"finish_reason\":\"stop\"}")
                .unwrap();
        let line = format!(
            "data: {{\"choices\":[{{\"delta\":{{\"content\":{text}}},\"finish_reason\":null}}]}}\n\n"
        );
        let (counts, seen) = scan(Protocol::OpenaiChat, true, line.as_bytes(), 11);
        assert_eq!(counts, Counts::default());
        assert_eq!(seen, Seen { content: true, ..Seen::default() });
    }

    #[test]
    fn buffered_bodies_of_every_protocol() {
        type Case = (Protocol, &'static [u8], [Option<u64>; 4]);
        let cases: [Case; 6] = [
            (
                Protocol::OpenaiChat,
                br#"{"choices":[{"finish_reason": "stop"}],"usage": {"prompt_tokens":5,"completion_tokens":2,"total_tokens":7}}"#,
                [Some(5), None, Some(2), None],
            ),
            (
                Protocol::OpenaiResponses,
                br#"{"status":"completed","usage":{"input_tokens":5,"input_tokens_details":{"cached_tokens":1},"output_tokens":2,"output_tokens_details":{"reasoning_tokens":1}}}"#,
                [Some(5), Some(1), Some(2), Some(1)],
            ),
            (
                Protocol::Anthropic,
                br#"{"stop_reason":"end_turn","usage":{"input_tokens":5,"cache_read_input_tokens":1,"output_tokens":2}}"#,
                [Some(6), Some(1), Some(2), None],
            ),
            (
                Protocol::Gemini,
                br#"{"candidates":[{"finishReason":"STOP"}],"usageMetadata":{"promptTokenCount":100,"cachedContentTokenCount":90,"candidatesTokenCount":6,"thoughtsTokenCount":190,"totalTokenCount":296}}"#,
                [Some(100), Some(90), Some(196), Some(190)],
            ),
            (
                Protocol::Bedrock,
                br#"{"stopReason":"end_turn","usage":{"inputTokens":5,"cacheReadInputTokens":1,"outputTokens":2,"totalTokens":8}}"#,
                [Some(6), Some(1), Some(2), None],
            ),
            (
                Protocol::Cohere,
                br#"{"finish_reason":"COMPLETE","usage":{"billed_units":{"input_tokens":1},"tokens":{"input_tokens":5,"output_tokens":2}}}"#,
                [Some(5), None, Some(2), None],
            ),
        ];
        for (protocol, body, expected) in cases {
            let (counts, seen) = scan(protocol, false, body, 13);
            let told = [counts.input, counts.cache_read, counts.output, counts.reasoning];
            assert_eq!(told, expected, "{protocol}");
            assert_eq!(seen, WHOLE, "{protocol}");
        }
    }

    #[test]
    fn memory_is_bounded_and_the_end_is_kept() {
        let usage = b"\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":2}}";
        let body = [b"{\"text\":\"".as_slice(), &vec![b'x'; 1 << 20], b"\",", usage].concat();
        for size in [1000, usize::MAX] {
            let mut scanner = Scanner::new(Protocol::OpenaiChat, false);
            for piece in body.chunks(size) {
                scanner.push(piece);
                assert!(scanner.tail.len() <= 2 * MAX_TAIL);
            }
            scanner.finish();
            assert_eq!(scanner.counts().output, Some(2));
        }
    }
}

//! What an answer that passes unread tells about itself: token counts, and whether it failed within.

use super::settle::Settlement;
use crate::Protocol;
use crate::observe::metrics::Tokens;
use crate::stream::Counts;
use crate::stream::scan::Scanner;

/// Bytes at the end of a whole answer in which its counts are looked for.
const TAIL: u64 = 64 << 10;

/// Watches one answer go by.
#[derive(Debug)]
pub(super) struct Watch {
    scanner: Scanner,
    /// Bytes that pass before it is worth to look.
    skip: u64,
    /// Whether it is a stream that says itself when it is complete.
    ends_itself: bool,
}

impl Watch {
    /// A watch of a stream of events, or of a whole answer, whose length may be known.
    pub(super) fn new(protocol: Protocol, is_events: bool, ends_itself: bool, length: Option<u64>) -> Self {
        let skip = if is_events { 0 } else { length.map_or(0, |length| length.saturating_sub(TAIL)) };
        Self { scanner: Scanner::new(protocol, is_events), skip, ends_itself }
    }

    /// Looks at the next piece.
    pub(super) fn push(&mut self, piece: &[u8]) {
        let skipped = usize::try_from(self.skip).unwrap_or(usize::MAX).min(piece.len());
        self.skip -= skipped as u64;
        self.scanner.push(&piece[skipped..]);
    }

    /// Whether the answer's end is judged.
    pub(super) const fn judges(&self) -> bool {
        self.ends_itself
    }

    /// Whether a stream whose bytes are over had more to say.
    ///
    /// One that said nothing its protocol knows is beyond judgement.
    pub(super) fn is_cut(&mut self) -> bool {
        if !self.ends_itself {
            return false;
        }
        self.scanner.finish();
        let seen = self.scanner.seen();
        seen.content && !seen.complete && !seen.failed
    }

    /// Tells the settlement at the answer's end.
    pub(super) fn settle(&mut self, settlement: &mut Settlement) {
        self.scanner.finish();
        let counted = tokens(self.scanner.counts());
        // What the answer's head has counted stands where the answer itself counts nothing.
        if counted != Tokens::default() {
            settlement.tokens = counted;
        }
        if self.scanner.seen().failed {
            settlement.failed_within();
        }
    }
}

/// The counts of a provider's whole answer.
pub(super) fn tokens_of(protocol: Protocol, body: &[u8]) -> Tokens {
    let mut watch = Watch::new(protocol, false, false, Some(body.len() as u64));
    watch.push(body);
    watch.scanner.finish();
    tokens(watch.scanner.counts())
}

/// The counts as they are metered.
pub(super) fn tokens(counts: &Counts) -> Tokens {
    Tokens {
        input: counts.input,
        output: counts.output,
        cache_read: counts.cache_read,
        cache_write: counts.cache_write,
        reasoning: counts.reasoning,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_whole_answer_the_end_is_looked_at() {
        let usage = r#"","usage":{"prompt_tokens":5,"completion_tokens":2}}"#;
        let body = format!(r#"{{"usage":{{"prompt_tokens":1}},"text":"{}{usage}"#, "x".repeat(1 << 20));
        for size in [1000, body.len()] {
            let mut watch = Watch::new(Protocol::OpenaiChat, false, false, Some(body.len() as u64));
            for piece in body.as_bytes().chunks(size) {
                watch.push(piece);
            }
            assert_eq!(watch.skip, 0);
            watch.scanner.finish();
            assert_eq!(tokens(watch.scanner.counts()).output, Some(2));
        }
        assert_eq!(tokens_of(Protocol::OpenaiChat, body.as_bytes()).input, Some(5));
    }
}

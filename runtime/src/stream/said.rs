//! The text of an answer so far, for those who count its positions in bytes and those who count characters.

/// Bytes between two known positions.
const STEP: usize = 1024;

/// A text that grows, and where in it is what.
///
/// It is kept up to a bound: positions beyond it are not known, and the answer goes on without them.
#[derive(Debug, Default)]
pub(crate) struct Said {
    text: String,
    limit: usize,
    /// Whether something was left out, so that nothing more is kept.
    is_full: bool,
    /// Positions in bytes and in characters that belong together, about [`STEP`] bytes apart.
    marks: Vec<(usize, usize)>,
}

impl Said {
    /// No text; at most `limit` bytes of it will be kept.
    pub(crate) fn new(limit: usize) -> Self {
        Self { limit, ..Self::default() }
    }

    /// Takes more text.
    pub(crate) fn push(&mut self, text: &str) {
        self.is_full |= self.text.len() + text.len() > self.limit;
        if !self.is_full {
            self.text.push_str(text);
        }
    }

    /// How many bytes there are.
    pub(crate) fn bytes(&self) -> usize {
        self.text.len()
    }

    /// The characters before a position in bytes.
    pub(crate) fn chars_before(&mut self, bytes: usize) -> Option<usize> {
        self.mark();
        let after = self.marks.partition_point(|(known, _)| *known <= bytes);
        let (from, chars) = after.checked_sub(1).and_then(|at| self.marks.get(at)).copied().unwrap_or((0, 0));
        Some(chars + self.text.get(from..bytes)?.chars().count())
    }

    /// The bytes before a position in characters.
    pub(crate) fn bytes_before(&mut self, chars: usize) -> Option<usize> {
        self.mark();
        let after = self.marks.partition_point(|(_, known)| *known <= chars);
        let (from, known) = after.checked_sub(1).and_then(|at| self.marks.get(at)).copied().unwrap_or((0, 0));
        let rest = self.text.get(from..)?;
        let mut starts = rest.char_indices().map(|(at, _)| at).chain([rest.len()]);
        starts.nth(chars.checked_sub(known)?).map(|at| from + at)
    }

    /// What stands between two positions in bytes.
    pub(crate) fn between(&self, start: usize, end: usize) -> Option<&str> {
        self.text.get(start..end)
    }

    fn mark(&mut self) {
        loop {
            let (bytes, chars) = self.marks.last().copied().unwrap_or((0, 0));
            let Some(next) = (bytes + STEP..bytes + STEP + 4).find(|at| self.text.is_char_boundary(*at))
            else {
                return;
            };
            let Some(piece) = self.text.get(bytes..next) else { return };
            let piece = piece.chars().count();
            self.marks.push((next, chars + piece));
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn positions_are_those_of_the_whole_text(
            pieces in proptest::collection::vec("[a-c é北😀]{0,900}", 0..8),
            at in any::<prop::sample::Index>(),
        ) {
            let whole = pieces.concat();
            let mut said = Said::new(1 << 20);
            for piece in &pieces {
                said.push(piece);
                // Also asked in between.
                prop_assert!(said.chars_before(said.bytes()).is_some());
            }
            let starts: Vec<usize> = whole.char_indices().map(|(at, _)| at).chain([whole.len()]).collect();
            let chars = at.index(starts.len());
            let bytes = starts[chars];
            prop_assert_eq!(said.chars_before(bytes), Some(chars));
            prop_assert_eq!(said.bytes_before(chars), Some(bytes));
            prop_assert_eq!(said.between(0, bytes), Some(&whole[..bytes]));
            prop_assert_eq!(said.bytes_before(starts.len()), None);
            prop_assert_eq!(said.chars_before(whole.len() + 1), None);
        }
    }

    #[test]
    fn it_is_bounded_and_tells_no_wrong_position() {
        let mut said = Said::new(4);
        said.push("é");
        said.push("abc");
        said.push("d");
        assert_eq!((said.bytes(), said.chars_before(2), said.chars_before(3)), (2, Some(1), None));
        assert_eq!(said.chars_before(1), None, "within a character");
    }
}

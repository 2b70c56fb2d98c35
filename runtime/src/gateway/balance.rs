//! Whether a document in pieces is whole, without reading it.

use memchr::memchr2;

/// Follows the brackets and texts of a JSON document.
///
/// It tells a document that was cut off from a whole one; whether what is between the brackets is JSON, it does not.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Balance {
    depth: usize,
    in_text: bool,
    escaped: bool,
    begun: bool,
    broken: bool,
}

impl Balance {
    /// Takes the next piece.
    pub(super) fn push(&mut self, mut piece: &[u8]) {
        while let Some((first, rest)) = piece.split_first() {
            if self.escaped {
                self.escaped = false;
            } else if self.in_text {
                let Some(at) = memchr2(b'"', b'\\', piece) else { return };
                match piece[at] {
                    b'"' => self.in_text = false,
                    _ => self.escaped = true,
                }
                piece = &piece[at + 1..];
                continue;
            } else {
                // Nothing but blanks stands around the one value.
                self.broken |= self.begun && self.depth == 0 && !first.is_ascii_whitespace();
                match first {
                    b'"' => self.in_text = true,
                    b'{' | b'[' => {
                        self.depth += 1;
                        self.begun = true;
                    }
                    b'}' | b']' if self.depth == 0 => self.broken = true,
                    b'}' | b']' => self.depth -= 1,
                    _ => {}
                }
            }
            piece = rest;
        }
    }

    /// Whether it was one object or list up to its end.
    pub(super) fn is_whole(self) -> bool {
        self.begun && self.depth == 0 && !self.in_text && !self.broken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_whole(text: &str, size: usize) -> bool {
        let mut balance = Balance::default();
        text.as_bytes().chunks(size).for_each(|piece| balance.push(piece));
        balance.is_whole()
    }

    #[test]
    fn what_is_cut_off_is_not_whole() {
        let document = r#" {"a": [1, {"b": "}]\\\" {"}, "\\"], "c": {}} "#;
        for size in [1, 2, 3, 5, 100] {
            assert!(is_whole(document, size));
            assert!(is_whole("[]", size));
            for cut in 0..document.len() - 1 {
                assert!(!is_whole(&document[..cut], size), "{:?}", &document[..cut]);
            }
            for broken in ["", "  ", "<html>", "{}}", "{}{}", "{} x", "}{", "\"{}\"", "null"] {
                assert!(!is_whole(broken, size), "{broken:?}");
            }
        }
    }
}

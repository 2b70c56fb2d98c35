//! Tells when the text of a JSON object is complete, piece by piece.

/// Watches one value go by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Balance {
    depth: u32,
    in_string: bool,
    escaped: bool,
    begun: bool,
}

impl Balance {
    /// Takes the next piece of the text.
    pub(crate) fn push(&mut self, text: &str) {
        for byte in text.bytes() {
            if self.escaped {
                self.escaped = false;
            } else if self.in_string {
                match byte {
                    b'\\' => self.escaped = true,
                    b'"' => self.in_string = false,
                    _ => {}
                }
            } else {
                match byte {
                    b'"' => self.in_string = true,
                    b'{' | b'[' => self.depth += 1,
                    b'}' | b']' => self.depth = self.depth.saturating_sub(1),
                    _ => {}
                }
            }
            self.begun |= !byte.is_ascii_whitespace();
        }
    }

    /// Whether a value has begun and every bracket and quote is closed.
    pub(crate) fn is_complete(self) -> bool {
        self.begun && self.depth == 0 && !self.in_string
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_is_complete_at_its_last_brace_alone() {
        let text = r#" {"a":"}\"]","b":[{"c":1}]} "#;
        let last = text.rfind('}').unwrap();
        let mut balance = Balance::default();
        for (at, c) in text.char_indices() {
            balance.push(c.encode_utf8(&mut [0; 4]));
            assert_eq!(balance.is_complete(), at >= last, "at {at}");
        }
    }
}

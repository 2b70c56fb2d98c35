//! Walks a JSON document that is known to be valid, without building anything.
//!
//! serde_json checks the document once ([`Checked`]): every syntax error, with line and column, is its
//! own. What is left is to find where values begin and end, which lets a union be decided by looking
//! ahead (no buffering, no second attempt), and text stay the slice of the body that it is. serde's own
//! data model can do neither: it has no look-ahead, and it hands strings out decoded.

use std::borrow::Cow;

use serde::de::IgnoredAny;

use super::{Json, Text, WireError};

/// Objects and arrays inside each other, at most, in a typed part of a document.
pub(crate) const MAX_DEPTH: u8 = 96;

/// Bytes at the beginning of a string that are looked at a word at a time.
const SHORT: usize = 32;

/// A text that serde_json has accepted as one JSON value.
#[derive(Debug, Clone, Copy)]
pub struct Checked<'a>(&'a str);

impl<'a> Checked<'a> {
    /// Checks UTF-8 and JSON syntax.
    pub fn new(body: &'a [u8]) -> Result<Self, WireError> {
        let text = utf8(body)?;
        serde_json::from_str::<IgnoredAny>(text)
            .map_err(|e| WireError::new(format!("the body is not valid JSON: {e}")))?;
        Ok(Self(text))
    }

    /// Takes a body whose JSON syntax somebody has checked already, and checks UTF-8.
    ///
    /// Nothing breaks when that is not so: reading gives an error, or text as it is written.
    pub fn assume(body: &'a [u8]) -> Result<Self, WireError> {
        utf8(body).map(Self)
    }

    /// Takes the text of a value that serde_json has already parsed or written.
    pub(crate) fn trusted(text: &'a str) -> Self {
        Self(text)
    }

    /// The text.
    pub fn as_str(self) -> &'a str {
        self.0
    }
}

fn utf8(body: &[u8]) -> Result<&str, WireError> {
    std::str::from_utf8(body)
        .map_err(|e| WireError::new(format!("the body is not UTF-8 (byte {})", e.valid_up_to())))
}

/// The kind of a JSON value, told by its first byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `[`
    Array,
    /// `t` or `f`
    Boolean,
    /// `n`
    Null,
    /// `-` or a digit
    Number,
    /// `{`
    Object,
    /// `"`
    String,
}

impl Kind {
    fn article(self) -> &'static str {
        match self {
            Self::Array => "an array",
            Self::Boolean => "a boolean",
            Self::Null => "null",
            Self::Number => "a number",
            Self::Object => "an object",
            Self::String => "a string",
        }
    }
}

/// A position in a checked document.
#[derive(Debug, Clone)]
pub struct Cursor<'a> {
    text: &'a str,
    at: usize,
    depth: u8,
}

impl<'a> Cursor<'a> {
    /// Starts at the beginning.
    pub fn new(document: Checked<'a>) -> Self {
        Self { text: document.0, at: 0, depth: 0 }
    }

    /// The kind of the value that comes next.
    pub fn kind(&mut self) -> Result<Kind, WireError> {
        match self.peek() {
            Some(b'{') => Ok(Kind::Object),
            Some(b'[') => Ok(Kind::Array),
            Some(b'"') => Ok(Kind::String),
            Some(b't' | b'f') => Ok(Kind::Boolean),
            Some(b'n') => Ok(Kind::Null),
            Some(b'-' | b'0'..=b'9') => Ok(Kind::Number),
            _ => Err(broken()),
        }
    }

    /// The error for a value of the wrong kind.
    pub(crate) fn expected(&mut self, what: &str) -> WireError {
        match self.kind() {
            Ok(kind) => WireError::new(format!("expected {what}, found {}", kind.article())),
            Err(e) => e,
        }
    }

    /// Takes a null, if that is what comes next.
    pub(crate) fn null(&mut self) -> bool {
        let is_null = self.peek() == Some(b'n');
        if is_null {
            self.at += 4;
        }
        is_null
    }

    /// Takes a string and gives what is between its quotes, escapes as they are.
    pub(crate) fn string(&mut self) -> Result<Text<'a>, WireError> {
        if self.peek() != Some(b'"') {
            return Err(self.expected("a string"));
        }
        let start = self.at + 1;
        let (end, bare) = self.string_end(start)?;
        self.at = end;
        let text = self.text.get(start..end - 1).ok_or_else(broken)?;
        Ok(if bare { Text::bare(text) } else { Text::escaped(text) })
    }

    /// Takes any value as it is written.
    pub(crate) fn raw(&mut self) -> Result<&'a str, WireError> {
        let kind = self.kind()?;
        let start = self.at;
        match kind {
            Kind::String => (self.at, _) = self.string_end(start + 1)?,
            Kind::Object | Kind::Array => self.skip_nested()?,
            _ => {
                let rest = self.text.as_bytes().get(start..).unwrap_or_default();
                let end =
                    rest.iter().position(|b| matches!(b, b',' | b'}' | b']' | b' ' | b'\t' | b'\n' | b'\r'));
                self.at = end.map_or(self.text.len(), |n| start + n);
            }
        }
        self.text.get(start..self.at).ok_or_else(broken)
    }

    /// Takes an object, member by member; `f` must take the member's value.
    pub(crate) fn object(
        &mut self,
        mut f: impl FnMut(&mut Self, Text<'a>) -> Result<(), WireError>,
    ) -> Result<(), WireError> {
        if self.peek() != Some(b'{') {
            return Err(self.expected("an object"));
        }
        self.enter()?;
        if self.peek() == Some(b'}') {
            self.leave();
            return Ok(());
        }
        loop {
            let key = self.string()?;
            self.take(b':')?;
            f(self, key)?;
            match self.next_byte()? {
                b',' => {}
                b'}' => {
                    self.depth -= 1;
                    return Ok(());
                }
                _ => return Err(broken()),
            }
        }
    }

    /// Takes an array, item by item; `f` must take the item.
    pub(crate) fn array(
        &mut self,
        mut f: impl FnMut(&mut Self, usize) -> Result<(), WireError>,
    ) -> Result<(), WireError> {
        if self.peek() != Some(b'[') {
            return Err(self.expected("an array"));
        }
        self.enter()?;
        if self.peek() == Some(b']') {
            self.leave();
            return Ok(());
        }
        for index in 0.. {
            f(self, index).map_err(|e| e.in_item(index))?;
            match self.next_byte()? {
                b',' => {}
                b']' => break,
                _ => return Err(broken()),
            }
        }
        self.depth -= 1;
        Ok(())
    }

    /// The value of a string member of the object that comes next, without taking anything.
    ///
    /// `None` when the member is absent or no string. Looks no further than the first member of that
    /// name, which providers write first or second.
    pub(crate) fn tag(&mut self, name: &str) -> Result<Option<Cow<'a, str>>, WireError> {
        if self.peek() != Some(b'{') {
            return Err(self.expected(&format!("an object with {name:?}")));
        }
        let mut ahead = self.clone();
        ahead.at += 1;
        if ahead.peek() == Some(b'}') {
            return Ok(None);
        }
        loop {
            let key = ahead.string()?;
            ahead.take(b':')?;
            if key == *name {
                let is_string = ahead.kind()? == Kind::String;
                return if is_string { ahead.string().map(|tag| Some(tag.into_decoded())) } else { Ok(None) };
            }
            ahead.raw()?;
            if ahead.next_byte()? != b',' {
                return Ok(None);
            }
        }
    }

    /// Takes any value.
    pub(crate) fn json(&mut self) -> Result<Json<'a>, WireError> {
        self.raw().map(Json::borrowed)
    }

    fn enter(&mut self) -> Result<(), WireError> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(WireError::new(format!("more than {MAX_DEPTH} levels of objects and arrays")));
        }
        self.at += 1;
        Ok(())
    }

    fn leave(&mut self) {
        self.at += 1;
        self.depth -= 1;
    }

    fn peek(&mut self) -> Option<u8> {
        let bytes = self.text.as_bytes();
        while let Some(b' ' | b'\n' | b'\t' | b'\r') = bytes.get(self.at) {
            self.at += 1;
        }
        bytes.get(self.at).copied()
    }

    fn next_byte(&mut self) -> Result<u8, WireError> {
        let byte = self.peek().ok_or_else(broken)?;
        self.at += 1;
        Ok(byte)
    }

    fn take(&mut self, byte: u8) -> Result<(), WireError> {
        if self.next_byte()? == byte { Ok(()) } else { Err(broken()) }
    }

    /// The position after the closing quote of a string whose content starts at `from`, and whether it is known
    /// to have no escapes.
    ///
    /// A long one is searched for quotes alone and then back for what escapes them: a prompt has an escape on every
    /// line, and stopping at each would cost more than the search.
    fn string_end(&self, from: usize) -> Result<(usize, bool), WireError> {
        let bytes = self.text.as_bytes();
        let mut at = from;
        // Names and tags are short: they are over before a vector search has begun.
        while at < from + SHORT
            && let Some(word) = bytes.get(at..).and_then(|rest| rest.first_chunk())
        {
            match quote_or_escape(*word) {
                None => at += word.len(),
                Some(place) if word[place] == b'"' => return Ok((at + place + 1, true)),
                Some(_) => break,
            }
        }
        loop {
            let rest = bytes.get(at..).ok_or_else(broken)?;
            let quote = at + memchr::memchr(b'"', rest).ok_or_else(broken)?;
            let escapes = bytes[from..quote].iter().rev().take_while(|byte| **byte == b'\\').count();
            at = quote + 1;
            if escapes.is_multiple_of(2) {
                return Ok((at, false));
            }
        }
    }

    fn skip_nested(&mut self) -> Result<(), WireError> {
        let bytes = self.text.as_bytes();
        let mut open = 0usize;
        loop {
            match bytes.get(self.at).ok_or_else(broken)? {
                b'"' => {
                    (self.at, _) = self.string_end(self.at + 1)?;
                    continue;
                }
                b'{' | b'[' => open += 1,
                b'}' | b']' => {
                    open -= 1;
                    if open == 0 {
                        self.at += 1;
                        return Ok(());
                    }
                }
                _ => {}
            }
            self.at += 1;
        }
    }
}

/// Where the first quote or backslash of a word is.
fn quote_or_escape(word: [u8; 8]) -> Option<usize> {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    const HIGHS: u64 = u64::from_ne_bytes([0x80; 8]);
    let word = u64::from_le_bytes(word);
    // The lowest bit that is left stands for a byte that is 0; those above it may be wrong.
    let zeros = |word: u64| word.wrapping_sub(ONES) & !word & HIGHS;
    let hits = zeros(word ^ (ONES * u64::from(b'"'))) | zeros(word ^ (ONES * u64::from(b'\\')));
    (hits != 0).then(|| hits.trailing_zeros() as usize / 8)
}

/// Cannot happen on a checked document; an error rather than a panic all the same.
fn broken() -> WireError {
    WireError::new("the body is not valid JSON")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cursor(text: &str) -> Cursor<'_> {
        Cursor::new(Checked::new(text.as_bytes()).unwrap())
    }

    #[test]
    fn finds_the_end_of_every_kind_of_value() {
        for value in [
            "1",
            "-0.5e3",
            "true",
            "null",
            "\"a\\\"b\\\\\"",
            "[]",
            "{}",
            "[{\"a\":\"]}\"},[1]]",
            "{\"k\":[\"}\"]}",
        ] {
            let text = format!("[ {value} , 2]");
            let mut seen = Vec::new();
            cursor(&text).array(|c, _| c.raw().map(|raw| seen.push(raw.to_owned()))).unwrap();
            assert_eq!(seen, [value, "2"]);
        }
    }

    #[test]
    fn strings_end_where_they_end_at_any_length_and_offset() {
        for length in 0..70 {
            for special in ["", "\\\"", "\\\\", "\\u00e9", "\u{e9}"] {
                for place in [0, length / 2, length] {
                    let mut content = "x".repeat(length);
                    content.insert_str(place, special);
                    let text = format!("[\"{content}\",{}1]", " ".repeat(length % 9));
                    let mut c = cursor(&text);
                    c.enter().unwrap();
                    let string = c.string().unwrap();
                    let mut written = Vec::new();
                    string.write(&mut written);
                    assert_eq!(written, format!("\"{content}\"").into_bytes());
                    let decoded: String = serde_json::from_str(&format!("\"{content}\"")).unwrap();
                    assert_eq!(string, decoded.as_str());
                    assert_eq!(string, Text::plain(decoded));
                    assert_eq!(c.next_byte().unwrap(), b',');
                }
            }
        }
    }

    #[test]
    fn a_tag_is_found_wherever_it_stands_and_nothing_is_taken() {
        let text = r#"{"text":"\"type\":\"no\"","in":{"type":"inner"},"type":"te\u0078t"}"#;
        let mut c = cursor(text);
        assert_eq!(c.tag("type").unwrap().as_deref(), Some("text"));
        assert_eq!(c.tag("role").unwrap(), None);
        assert_eq!(c.raw().unwrap(), text);
    }

    #[test]
    fn depth_is_bounded() {
        fn dive<'a>(c: &mut Cursor<'a>) -> Result<(), WireError> {
            c.array(|c, _| dive(c))
        }
        let deep = "[".repeat(200) + &"]".repeat(200);
        let error = dive(&mut cursor(&deep)).unwrap_err();
        assert!(error.message().starts_with("more than 96 levels"), "{error}");
        assert_eq!(cursor(&deep).raw().unwrap().len(), 400, "carried JSON has no depth limit");
    }

    #[test]
    fn syntax_errors_say_where() {
        let error = Checked::new(b"{\"a\":\n  tru}").unwrap_err();
        assert!(error.message().contains("line 2 column"), "{error}");
        assert!(Checked::new(b"{\"a\":\"\xff\"}").unwrap_err().message().contains("byte 6"));
    }

    #[test]
    fn unchecked_text_never_panics() {
        for text in ["", "{", "{\"", "{\"a", "{\"a\"", "{\"a\":", "[", "[1", "\"\\", "{\"a\":1,", "nul", "]"]
        {
            let mut c = Cursor::new(Checked::trusted(text));
            let _ = c.raw();
            let mut c = Cursor::new(Checked::trusted(text));
            let _ = c.object(|c, _| c.raw().map(drop));
            let mut c = Cursor::new(Checked::trusted(text));
            let _ = c.array(|c, _| c.raw().map(drop));
        }
    }
}

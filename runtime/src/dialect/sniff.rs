//! One pass over a request's body: is it JSON, which model, streamed or not.
//!
//! No tree is built. Strings, which are nearly all of a body, are crossed by a vectorised search for their end,
//! so that a megabyte of prompt costs about as much as copying it. What a string holds between its escapes is
//! left to whoever reads it: the forward lane carries it as it is.

use std::ops::Range;

use memchr::memchr;

/// The deepest nesting that is accepted.
pub const MAX_DEPTH: usize = 512;

/// What was found at the top level of a body.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sniffed {
    /// The model's name, decoded, and where its value stands, quotes included.
    pub model: Option<(String, Range<usize>)>,
    /// The value of `stream`.
    pub stream: Option<bool>,
}

/// Why a body is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// Not JSON.
    #[error("the body is not valid JSON: {what} at line {line}, column {column} (byte {at})")]
    Syntax {
        /// What was expected.
        what: &'static str,
        /// Byte offset.
        at: usize,
        /// Line, from 1.
        line: usize,
        /// Column in bytes, from 1.
        column: usize,
    },
    /// JSON, but no object.
    #[error("the body must be a JSON object")]
    NotAnObject,
    /// A member that routing needs has the wrong type.
    #[error("`{0}` must be a {1}")]
    WrongType(&'static str, &'static str),
    /// A member that routing needs stands there twice.
    #[error("`{0}` appears more than once")]
    Duplicate(&'static str),
}

impl Malformed {
    /// The member that is at fault.
    pub fn param(&self) -> Option<&'static str> {
        match self {
            Malformed::WrongType(name, _) | Malformed::Duplicate(name) => Some(name),
            Malformed::Syntax { .. } | Malformed::NotAnObject => None,
        }
    }
}

/// Reads a body once; looks for what routing needs if the protocol has that in its bodies.
///
/// # Errors
/// [`Malformed`] when it is not an object, or says `model` or `stream` in a way that cannot be routed.
pub fn sniff(body: &[u8], routing: bool) -> Result<Sniffed, Malformed> {
    let mut scan = Scan { body, at: 0, routing };
    let result = scan.document();
    result.map_err(|stop| match stop {
        Stop::Syntax(what) => {
            let before = &body[..scan.at.min(body.len())];
            let line_start = memchr::memrchr(b'\n', before).map_or(0, |newline| newline + 1);
            Malformed::Syntax {
                what,
                at: scan.at,
                line: memchr::memchr_iter(b'\n', before).count() + 1,
                column: before.len() - line_start + 1,
            }
        }
        Stop::Meaning(malformed) => malformed,
    })
}

enum Stop {
    Syntax(&'static str),
    Meaning(Malformed),
}

struct Scan<'a> {
    body: &'a [u8],
    at: usize,
    routing: bool,
}

impl Scan<'_> {
    fn document(&mut self) -> Result<Sniffed, Stop> {
        self.space();
        match self.peek() {
            Some(b'{') => {}
            Some(_) => {
                self.value()?;
                self.end()?;
                return Err(Stop::Meaning(Malformed::NotAnObject));
            }
            None => return Err(Stop::Syntax("a value is missing")),
        }
        self.at += 1;
        let mut sniffed = Sniffed::default();
        self.space();
        if self.peek() == Some(b'}') {
            self.at += 1;
            self.end()?;
            return Ok(sniffed);
        }
        loop {
            let key = self.key()?;
            match Member::of(&self.body[key]) {
                _ if !self.routing => self.value()?,
                Member::Other => self.value()?,
                Member::Model => self.model(&mut sniffed)?,
                Member::Stream => self.stream(&mut sniffed)?,
            }
            self.space();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b'}') => break,
                _ => return Err(Stop::Syntax("`,` or `}` is missing")),
            }
        }
        self.at += 1;
        self.end()?;
        Ok(sniffed)
    }

    fn model(&mut self, sniffed: &mut Sniffed) -> Result<(), Stop> {
        if sniffed.model.is_some() {
            return Err(Stop::Meaning(Malformed::Duplicate("model")));
        }
        let from = self.at;
        if self.peek() != Some(b'"') {
            self.value()?;
            return Err(Stop::Meaning(Malformed::WrongType("model", "string")));
        }
        self.string()?;
        let range = from..self.at;
        let Ok(name) = serde_json::from_slice::<String>(&self.body[range.clone()]) else {
            self.at = from;
            return Err(Stop::Syntax("a string that cannot be read"));
        };
        sniffed.model = Some((name, range));
        Ok(())
    }

    fn stream(&mut self, sniffed: &mut Sniffed) -> Result<(), Stop> {
        if sniffed.stream.is_some() {
            return Err(Stop::Meaning(Malformed::Duplicate("stream")));
        }
        let from = self.at;
        self.value()?;
        sniffed.stream = Some(match &self.body[from..self.at] {
            b"true" => true,
            b"false" | b"null" => false,
            _ => return Err(Stop::Meaning(Malformed::WrongType("stream", "boolean"))),
        });
        Ok(())
    }

    /// A member's name and the colon; ends at the value. The range is the name without its quotes.
    fn key(&mut self) -> Result<Range<usize>, Stop> {
        self.space();
        if self.peek() != Some(b'"') {
            return Err(Stop::Syntax("a member's name is missing"));
        }
        let from = self.at + 1;
        self.string()?;
        let name = from..self.at - 1;
        self.space();
        if self.peek() != Some(b':') {
            return Err(Stop::Syntax("`:` is missing"));
        }
        self.at += 1;
        self.space();
        Ok(name)
    }

    /// Crosses one value, however deep, without recursion.
    fn value(&mut self) -> Result<(), Stop> {
        let mut open = Nesting::default();
        loop {
            self.space();
            match self.peek() {
                Some(b'"') => self.string()?,
                Some(b'{') => {
                    self.at += 1;
                    self.space();
                    if self.peek() == Some(b'}') {
                        self.at += 1;
                    } else {
                        open.push(true)?;
                        self.key()?;
                        continue;
                    }
                }
                Some(b'[') => {
                    self.at += 1;
                    self.space();
                    if self.peek() == Some(b']') {
                        self.at += 1;
                    } else {
                        open.push(false)?;
                        continue;
                    }
                }
                Some(b'-' | b'0'..=b'9') => self.number()?,
                Some(b't') => self.word(b"true")?,
                Some(b'f') => self.word(b"false")?,
                Some(b'n') => self.word(b"null")?,
                _ => return Err(Stop::Syntax("a value is missing")),
            }
            // A value has ended: close what ends with it, or go on to the next one.
            loop {
                let Some(object) = open.last() else { return Ok(()) };
                self.space();
                match (self.peek(), object) {
                    (Some(b','), true) => {
                        self.at += 1;
                        self.key()?;
                        break;
                    }
                    (Some(b','), false) => {
                        self.at += 1;
                        break;
                    }
                    (Some(b'}'), true) | (Some(b']'), false) => {
                        self.at += 1;
                        open.pop();
                    }
                    (_, true) => return Err(Stop::Syntax("`,` or `}` is missing")),
                    (_, false) => return Err(Stop::Syntax("`,` or `]` is missing")),
                }
            }
        }
    }

    /// Crosses a string; `at` is at its opening quote.
    ///
    /// Looks for quotes alone and then back for what escapes them: a prompt has a `\\n` on every line, and
    /// stopping at each would cost more than the search.
    fn string(&mut self) -> Result<(), Stop> {
        let mut at = self.at + 1;
        while let Some(found) = memchr(b'"', &self.body[at..]) {
            let quote = at + found;
            let before = self.body[at..quote].iter().rev().take_while(|byte| **byte == b'\\').count();
            at = quote + 1;
            if before % 2 == 0 {
                self.at = at;
                return Ok(());
            }
        }
        self.at = self.body.len();
        Err(Stop::Syntax("a string does not end"))
    }

    fn number(&mut self) -> Result<(), Stop> {
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        if self.peek() == Some(b'0') {
            self.at += 1;
        } else {
            self.digits()?;
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(())
    }

    fn digits(&mut self) -> Result<(), Stop> {
        let from = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        if self.at == from { Err(Stop::Syntax("a digit is missing")) } else { Ok(()) }
    }

    fn word(&mut self, word: &[u8]) -> Result<(), Stop> {
        if !self.body[self.at..].starts_with(word) {
            return Err(Stop::Syntax("a value is missing"));
        }
        self.at += word.len();
        Ok(())
    }

    fn end(&mut self) -> Result<(), Stop> {
        self.space();
        if self.at == self.body.len() { Ok(()) } else { Err(Stop::Syntax("something follows the value")) }
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\n' | b'\r' | b'\t')) {
            self.at += 1;
        }
    }

    fn peek(&self) -> Option<u8> {
        self.body.get(self.at).copied()
    }
}

/// The members that routing looks at.
enum Member {
    Model,
    Stream,
    Other,
}

impl Member {
    fn of(name: &[u8]) -> Self {
        match name {
            b"model" => Member::Model,
            b"stream" => Member::Stream,
            // A name may be spelt with escapes, and a reader behind us would decode them.
            _ if name.contains(&b'\\') && name.len() <= 6 * b"stream".len() => {
                let mut quoted = Vec::with_capacity(name.len() + 2);
                quoted.push(b'"');
                quoted.extend_from_slice(name);
                quoted.push(b'"');
                match serde_json::from_slice::<String>(&quoted).as_deref() {
                    Ok("model") => Member::Model,
                    Ok("stream") => Member::Stream,
                    _ => Member::Other,
                }
            }
            _ => Member::Other,
        }
    }
}

/// Which of the open brackets are objects, a bit each.
#[derive(Default)]
struct Nesting {
    bits: [u64; MAX_DEPTH / 64],
    depth: usize,
}

impl Nesting {
    fn push(&mut self, object: bool) -> Result<(), Stop> {
        if self.depth == MAX_DEPTH {
            return Err(Stop::Syntax("nesting that is too deep"));
        }
        let (word, bit) = (self.depth / 64, 1 << (self.depth % 64));
        if object {
            self.bits[word] |= bit;
        } else {
            self.bits[word] &= !bit;
        }
        self.depth += 1;
        Ok(())
    }

    fn last(&self) -> Option<bool> {
        let top = self.depth.checked_sub(1)?;
        Some(self.bits[top / 64] & (1 << (top % 64)) != 0)
    }

    fn pop(&mut self) {
        self.depth = self.depth.saturating_sub(1);
    }
}

#[cfg(test)]
mod tests {
    use super::Malformed;
    use super::{MAX_DEPTH, Sniffed};

    fn sniff(body: &[u8]) -> Result<Sniffed, Malformed> {
        super::sniff(body, true)
    }

    fn model(body: &str) -> Option<String> {
        sniff(body.as_bytes()).unwrap().model.map(|(name, _)| name)
    }

    #[test]
    fn finds_model_and_stream_at_the_top_alone() {
        let body = br#" {"messages":[{"model":"no","stream":true,"x":[1,-2.5e+3,{}, []]}], "stream" : false ,"model":"a\/b"} "#;
        let sniffed = sniff(body).unwrap();
        let (name, range) = sniffed.model.unwrap();
        assert_eq!(name, "a/b");
        assert_eq!(&body[range], br#""a\/b""#);
        assert_eq!(sniffed.stream, Some(false));
        assert_eq!(model("{}"), None);
        assert_eq!(model(r#"{"mod\u0065l":"x"}"#).as_deref(), Some("x"));
    }

    #[test]
    fn malformed_bodies_name_the_place() {
        let error = sniff(b"{\"model\":\"x\",\n  \"messages\": [1 2]}").unwrap_err();
        assert_eq!(
            error.to_string(),
            "the body is not valid JSON: `,` or `]` is missing at line 2, column 18 (byte 31)"
        );
        for body in [
            "",
            "{",
            "{\"a\"",
            "{\"a\":}",
            "{\"a\":1,}",
            "[1,]",
            "{\"a\":01}",
            "{\"a\":1.}",
            "{\"a\":1e}",
            "{\"a\":tru}",
            "{\"a\":\"\\",
            "{\"a\":\"x}",
            "{} x",
            "{\"a\":[}",
            "{\"a\":{]}",
            "{a:1}",
            "-",
            "{\"a\" 1}",
            "{,}",
        ] {
            assert!(matches!(sniff(body.as_bytes()), Err(Malformed::Syntax { .. })), "{body}");
        }
        assert_eq!(sniff(b"[1]"), Err(Malformed::NotAnObject));
        assert_eq!(sniff(b"\"x\""), Err(Malformed::NotAnObject));
    }

    #[test]
    fn what_cannot_be_routed_is_named() {
        assert_eq!(sniff(br#"{"model":3}"#), Err(Malformed::WrongType("model", "string")));
        assert_eq!(sniff(br#"{"model":"a","model":"b"}"#), Err(Malformed::Duplicate("model")));
        assert_eq!(sniff(br#"{"model":"a","mode\u006c":"b"}"#), Err(Malformed::Duplicate("model")));
        assert_eq!(sniff(br#"{"stream":"yes"}"#), Err(Malformed::WrongType("stream", "boolean")));
        assert_eq!(super::sniff(br#"{"model":3,"stream":[]}"#, false), Ok(Sniffed::default()));
        assert_eq!(sniff(br#"{"stream":null}"#).unwrap().stream, Some(false));
    }

    #[test]
    fn escapes_before_a_quote_are_counted() {
        for text in [r#""#, r#"\""#, r#"\\"#, r#"\\\""#, r#"a\"b\"\\"#, r#"\"\""#, r#"\n\\\\"#] {
            let body = format!(r#"{{"a":"{text}","model":"{text}x"}}"#);
            let (name, range) = sniff(body.as_bytes()).unwrap().model.unwrap();
            assert_eq!(&body[range], format!(r#""{text}x""#), "{text}");
            assert_eq!(
                serde_json::to_value(&name).unwrap(),
                serde_json::from_str::<serde_json::Value>(&format!(r#""{text}x""#)).unwrap()
            );
        }
    }

    #[test]
    fn depth_is_bounded() {
        let nested = |depth: usize| format!("{{\"a\":{}{}}}", "[".repeat(depth) + "1", "]".repeat(depth));
        assert!(sniff(nested(MAX_DEPTH).as_bytes()).is_ok());
        assert!(sniff(nested(MAX_DEPTH + 1).as_bytes()).is_err());
    }

    #[test]
    fn agrees_with_a_full_parser_on_what_is_json() {
        for body in [
            r#"{"a":"\u00e9\n\"","b":[[],{},[{}]],"c":null,"d":-0.0,"e":1E5}"#,
            r#"{"a":{"b":{"c":[true,false]}}}"#,
            "{\n\t\"a\" : [ 1 , 2 ] }",
        ] {
            assert!(serde_json::from_str::<serde_json::Value>(body).is_ok());
            assert!(sniff(body.as_bytes()).is_ok(), "{body}");
        }
    }
}

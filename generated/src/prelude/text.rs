//! Text that stays the slice of the body it came from until someone reads it.

use std::borrow::Cow;
use std::fmt;

/// A JSON string.
///
/// Borrowed from a document it keeps its escapes, so that carrying it from one document into another
/// is a copy of bytes; [`Text::decode`] undoes the escapes.
#[derive(Clone)]
pub struct Text<'a>(Inner<'a>);

#[derive(Clone)]
enum Inner<'a> {
    /// What stands between the quotes of a valid JSON string.
    Escaped(Cow<'a, str>),
    /// Plain characters.
    Plain(Cow<'a, str>),
    /// Plain characters, none of which JSON escapes: the same in both forms.
    Bare(&'a str),
}

impl<'a> Text<'a> {
    /// Plain characters, borrowed or owned.
    pub fn plain(text: impl Into<Cow<'a, str>>) -> Self {
        Self(Inner::Plain(text.into()))
    }

    /// What stands between the quotes of a JSON string that is known to be valid.
    pub(crate) fn escaped(text: impl Into<Cow<'a, str>>) -> Self {
        Self(Inner::Escaped(text.into()))
    }

    /// What stands between the quotes of a valid JSON string without escapes.
    pub(crate) fn bare(text: &'a str) -> Self {
        Self(Inner::Bare(text))
    }

    /// The characters. Borrows when there is nothing to unescape.
    ///
    /// A lone surrogate escape, which JSON allows and UTF-8 does not, reads as U+FFFD; it is still
    /// carried as it is.
    pub fn decode(&self) -> Cow<'_, str> {
        match &self.0 {
            Inner::Plain(text) => Cow::Borrowed(text),
            Inner::Bare(text) => Cow::Borrowed(text),
            Inner::Escaped(text) => unescape(text),
        }
    }

    /// The characters, keeping the borrow from the document.
    pub fn into_decoded(self) -> Cow<'a, str> {
        match self.0 {
            Inner::Plain(text) => text,
            Inner::Bare(text) => Cow::Borrowed(text),
            Inner::Escaped(Cow::Borrowed(text)) => unescape(text),
            Inner::Escaped(Cow::Owned(text)) => Cow::Owned(unescape(&text).into_owned()),
        }
    }

    /// Whether there is no character.
    pub fn is_empty(&self) -> bool {
        match &self.0 {
            Inner::Plain(text) | Inner::Escaped(text) => text.is_empty(),
            Inner::Bare(text) => text.is_empty(),
        }
    }

    /// Whether there is nothing but white space; reads no further than to the first other character.
    pub fn is_blank(&self) -> bool {
        match &self.0 {
            Inner::Plain(text) => text.trim_start().is_empty(),
            Inner::Bare(text) => text.trim_start().is_empty(),
            Inner::Escaped(text) => match text.trim_start().as_bytes() {
                [] => true,
                [b'\\', b'n' | b't' | b'r' | b'f' | b'u', ..] => unescape(text).trim_start().is_empty(),
                _ => false,
            },
        }
    }

    /// Whether the characters begin with `start`, which needs no escape in JSON.
    pub fn starts_with(&self, start: &str) -> bool {
        match &self.0 {
            Inner::Plain(text) => text.starts_with(start),
            Inner::Bare(text) => text.starts_with(start),
            Inner::Escaped(text) => {
                text.starts_with(start)
                    || (text.as_bytes().iter().take(start.len()).any(|b| *b == b'\\')
                        && unescape(text).starts_with(start))
            }
        }
    }

    /// Bytes as written, escapes included: an upper bound for the decoded length.
    pub fn written_len(&self) -> usize {
        match &self.0 {
            Inner::Plain(text) | Inner::Escaped(text) => text.len(),
            Inner::Bare(text) => text.len(),
        }
    }

    /// Splits at the first `separator`, an ASCII character that JSON does not escape by itself.
    pub fn split_once(&self, separator: char) -> Option<(Self, Self)> {
        debug_assert!(separator.is_ascii() && !matches!(separator, '"' | '\\' | '/'));
        match &self.0 {
            Inner::Plain(Cow::Borrowed(text)) => {
                text.split_once(separator).map(|(a, b)| (Self::plain(a), Self::plain(b)))
            }
            Inner::Escaped(Cow::Borrowed(text)) => {
                text.split_once(separator).map(|(a, b)| (Self::escaped(a), Self::escaped(b)))
            }
            Inner::Bare(text) => text.split_once(separator).map(|(a, b)| (Self::bare(a), Self::bare(b))),
            Inner::Plain(Cow::Owned(text)) => text
                .split_once(separator)
                .map(|(a, b)| (Self::plain(a.to_owned()), Self::plain(b.to_owned()))),
            Inner::Escaped(Cow::Owned(text)) => text
                .split_once(separator)
                .map(|(a, b)| (Self::escaped(a.to_owned()), Self::escaped(b.to_owned()))),
        }
    }

    /// The same text, borrowed from this one.
    pub fn reborrow(&self) -> Text<'_> {
        Text(match &self.0 {
            Inner::Plain(text) => Inner::Plain(Cow::Borrowed(text)),
            Inner::Escaped(text) => Inner::Escaped(Cow::Borrowed(text)),
            Inner::Bare(text) => Inner::Bare(text),
        })
    }

    /// The same text, owned by nothing else.
    pub fn into_owned(self) -> Text<'static> {
        match self.0 {
            Inner::Plain(text) => Text(Inner::Plain(Cow::Owned(text.into_owned()))),
            Inner::Escaped(text) => Text(Inner::Escaped(Cow::Owned(text.into_owned()))),
            Inner::Bare(text) => Text(Inner::Plain(Cow::Owned(text.to_owned()))),
        }
    }

    /// Appends the JSON string, quotes included.
    pub fn write(&self, out: &mut Vec<u8>) {
        let written: &str = match &self.0 {
            Inner::Escaped(text) => text,
            Inner::Bare(text) => text,
            Inner::Plain(text) => return super::wire::write_str(text, out),
        };
        out.reserve(written.len() + 2);
        out.push(b'"');
        out.extend_from_slice(written.as_bytes());
        out.push(b'"');
    }

    /// Appends `self` to the text of a JSON string that is being written (no quotes).
    pub fn write_inner(&self, out: &mut Vec<u8>) {
        match &self.0 {
            Inner::Escaped(text) => out.extend_from_slice(text.as_bytes()),
            Inner::Bare(text) => out.extend_from_slice(text.as_bytes()),
            Inner::Plain(text) => {
                let start = out.len();
                super::wire::write_str(text, out);
                out.remove(start);
                out.pop();
            }
        }
    }
}

/// Undoes JSON escapes.
fn unescape(text: &str) -> Cow<'_, str> {
    if memchr::memchr(b'\\', text.as_bytes()).is_none() {
        return Cow::Borrowed(text);
    }
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    quoted.push_str(text);
    quoted.push('"');
    match serde_json::from_str::<String>(&quoted) {
        Ok(decoded) => Cow::Owned(decoded),
        Err(_) => Cow::Owned(unescape_lossy(text)),
    }
}

/// The slow way, for texts with lone surrogates only.
fn unescape_lossy(text: &str) -> String {
    let mut units: Vec<u16> = Vec::with_capacity(text.len());
    let mut chars = text.chars();
    let mut buffer = [0; 2];
    while let Some(c) = chars.next() {
        if c != '\\' {
            units.extend_from_slice(c.encode_utf16(&mut buffer));
            continue;
        }
        match chars.next() {
            Some('u') => {
                let hex: String = chars.by_ref().take(4).collect();
                units.push(u16::from_str_radix(&hex, 16).unwrap_or(0xfffd));
            }
            Some('n') => units.push(10),
            Some('t') => units.push(9),
            Some('r') => units.push(13),
            Some('b') => units.push(8),
            Some('f') => units.push(12),
            Some(other) => units.extend_from_slice(other.encode_utf16(&mut buffer)),
            None => {}
        }
    }
    String::from_utf16_lossy(&units)
}

impl Default for Text<'_> {
    fn default() -> Self {
        Self::plain("")
    }
}

impl PartialEq for Text<'_> {
    fn eq(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Inner::Plain(a), Inner::Plain(b)) => a == b,
            (Inner::Bare(a), Inner::Bare(b)) => a == b,
            (Inner::Escaped(a), Inner::Escaped(b)) if a == b => true,
            _ => self.decode() == other.decode(),
        }
    }
}

impl Eq for Text<'_> {}

impl PartialEq<str> for Text<'_> {
    fn eq(&self, other: &str) -> bool {
        match &self.0 {
            Inner::Plain(text) => text == other,
            Inner::Bare(text) => *text == other,
            // An escape is at most six bytes for one; a longer text need not be read to know.
            Inner::Escaped(text) => text.len() <= 6 * other.len() && unescape(text) == other,
        }
    }
}

impl PartialEq<&str> for Text<'_> {
    fn eq(&self, other: &&str) -> bool {
        *self == **other
    }
}

impl<'a> From<&'a str> for Text<'a> {
    fn from(text: &'a str) -> Self {
        Self::plain(text)
    }
}

impl From<String> for Text<'_> {
    fn from(text: String) -> Self {
        Self::plain(text)
    }
}

impl fmt::Debug for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.decode(), f)
    }
}

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.decode())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_kept_when_carried_and_undone_when_read() {
        let text = Text::escaped(r"a\nb\u00e9\/");
        assert_eq!(text.decode(), "a\nbé/");
        let mut out = Vec::new();
        text.write(&mut out);
        assert_eq!(out, br#""a\nb\u00e9\/""#);
        assert_eq!(text, Text::plain("a\nbé/"));
        assert_eq!(text, "a\nbé/");
    }

    #[test]
    fn a_lone_surrogate_is_carried_and_reads_as_replacement() {
        let text = Text::escaped(r"x\ud83d\ny");
        assert_eq!(text.decode(), "x\u{fffd}\ny");
        let mut out = Vec::new();
        text.write(&mut out);
        assert_eq!(out, br#""x\ud83d\ny""#);
    }

    #[test]
    fn blanks_and_beginnings_are_seen_through_escapes() {
        for blank in ["", " ", r"\n\t ", r" \u0020\r"] {
            assert!(Text::escaped(blank).is_blank(), "{blank}");
        }
        for text in [r"\u0041", r"\n.", r"\\", "x"] {
            assert!(!Text::escaped(text).is_blank(), "{text}");
        }
        assert!(Text::escaped(r"a\u0062c").starts_with("ab"));
        assert!(Text::escaped("abc").starts_with("ab") && Text::plain("abc").starts_with("ab"));
        assert!(!Text::escaped(r"a\nbc").starts_with("ab"));
    }

    #[test]
    fn inner_text_is_escaped_once() {
        let mut out = Vec::new();
        Text::plain("a\"b\n").write_inner(&mut out);
        Text::escaped(r#"\t"#).write_inner(&mut out);
        assert_eq!(out, br#"a\"b\n\t"#);
    }

    #[test]
    fn splitting_keeps_the_form() {
        let (head, tail) = Text::escaped(r"data:image\/png;base64,AA\/B").split_once(',').unwrap();
        assert_eq!(head, "data:image/png;base64");
        assert_eq!(tail, "AA/B");
    }
}

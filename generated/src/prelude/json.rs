//! JSON that is carried as it is written: values of any kind, and numbers.

use std::borrow::Cow;
use std::fmt;

use super::{Checked, Text, WireError};

/// Any JSON value, as its text.
#[derive(Clone, PartialEq, Eq)]
pub struct Json<'a>(Cow<'a, str>);

impl<'a> Json<'a> {
    /// A part of a checked document.
    pub(crate) fn borrowed(text: &'a str) -> Self {
        Self(Cow::Borrowed(text))
    }

    /// Text that was written as one JSON value by this crate.
    pub(crate) fn written(text: Vec<u8>) -> Self {
        Self(Cow::Owned(String::from_utf8(text).unwrap_or_else(|_| "null".to_owned())))
    }

    /// Checks that `text` is one JSON value and keeps it as it is written.
    pub fn parse(text: impl Into<Cow<'a, str>>) -> Result<Self, WireError> {
        let text = text.into();
        Checked::new(text.as_bytes())?;
        Ok(Self(text))
    }

    /// The JSON null.
    pub const NULL: Json<'static> = Json(Cow::Borrowed("null"));

    /// The text of a serde_json value.
    pub fn from_value(value: &serde_json::Value) -> Self {
        Self(Cow::Owned(value.to_string()))
    }

    /// Parses into a tree; deeper than serde_json's limit of 128 levels is an error.
    pub fn to_value(&self) -> Result<serde_json::Value, WireError> {
        serde_json::from_str(&self.0).map_err(|e| WireError::new(e.to_string()))
    }

    /// The value as it is written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the value is an object.
    pub fn is_object(&self) -> bool {
        self.0.trim_start().starts_with('{')
    }

    /// The string that the value is, if it is one.
    pub fn as_text(&self) -> Option<Text<'_>> {
        self.0.trim().strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).map(Text::escaped)
    }

    /// The same value, borrowed from this one.
    pub fn reborrow(&self) -> Json<'_> {
        Json(Cow::Borrowed(&self.0))
    }

    /// The same value, owned by nothing else.
    pub fn into_owned(self) -> Json<'static> {
        Json(Cow::Owned(self.0.into_owned()))
    }

    pub(crate) fn checked(&self) -> Checked<'_> {
        Checked::trusted(&self.0)
    }

    /// The text, keeping the borrow from the document.
    pub fn into_str(self) -> Cow<'a, str> {
        self.0
    }

    /// Appends the value.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.0.as_bytes());
    }
}

impl Default for Json<'_> {
    fn default() -> Self {
        Self::NULL
    }
}

impl fmt::Debug for Json<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A JSON number, or an integer written as a string of digits, in its own spelling.
#[derive(Clone)]
pub struct Num<'a>(Cow<'a, str>);

impl<'a> Num<'a> {
    /// A number token, or a quoted one, of a checked document.
    pub(crate) fn borrowed(text: &'a str) -> Self {
        Self(Cow::Borrowed(text))
    }

    /// The value as a floating-point number.
    pub fn as_f64(&self) -> Option<f64> {
        self.digits().parse().ok()
    }

    /// The value as a whole number, whatever its spelling (`1`, `1.0`, `"1"`).
    pub fn as_u64(&self) -> Option<u64> {
        self.digits().parse().ok().or_else(|| {
            let value = self.as_f64()?;
            (value.fract() == 0.0 && (0.0..9.0e15).contains(&value)).then_some(value as u64)
        })
    }

    /// The number's own spelling, quotes included where it has them.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The spelling without quotes.
    pub fn digits(&self) -> &str {
        self.0.trim_matches('"')
    }

    /// The same number as a JSON number.
    pub fn unquoted(&self) -> Num<'_> {
        Num(Cow::Borrowed(self.digits()))
    }

    /// The same number, borrowed from this one.
    pub fn reborrow(&self) -> Num<'_> {
        Num(Cow::Borrowed(&self.0))
    }

    /// The same number, owned by nothing else.
    pub fn into_owned(self) -> Num<'static> {
        Num(Cow::Owned(self.0.into_owned()))
    }

    /// Appends the number.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.0.as_bytes());
    }
}

impl PartialEq for Num<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.digits() == other.digits() || (self.as_f64().is_some() && self.as_f64() == other.as_f64())
    }
}

impl From<u64> for Num<'_> {
    fn from(value: u64) -> Self {
        Self(Cow::Owned(value.to_string()))
    }
}

impl From<f64> for Num<'_> {
    /// A number that is not finite has no JSON spelling and becomes 0.
    fn from(value: f64) -> Self {
        Self(Cow::Owned(
            serde_json::Number::from_f64(value).map_or_else(|| "0".to_owned(), |n| n.to_string()),
        ))
    }
}

impl fmt::Debug for Num<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_keep_their_spelling() {
        let number = Num::borrowed("1.50");
        let mut out = Vec::new();
        number.write(&mut out);
        assert_eq!(out, b"1.50");
        assert_eq!(number, Num::from(1.5));
        assert_eq!(Num::borrowed("\"12\"").as_u64(), Some(12));
        assert_eq!(Num::borrowed("3.0").as_u64(), Some(3));
        assert_eq!(Num::borrowed("-3").as_u64(), None);
        assert_eq!(Num::borrowed("18446744073709551615").as_u64(), Some(u64::MAX));
    }

    #[test]
    fn only_json_is_json() {
        assert!(Json::parse("{\"a\": [1,2]}").unwrap().is_object());
        assert!(Json::parse("{\"a\":").is_err());
        assert_eq!(Json::parse("\"x\"").unwrap().as_text().unwrap(), "x");
    }
}

//! What cannot be passed on before all of it is there.

use busbar_protocols::Text;
use serde_json::Value;

use super::super::StreamFault;
use crate::translate::{FREE_TEXT, RAW_ARGUMENTS};

/// A text that is kept until its end.
#[derive(Debug, Default)]
pub(super) struct Held(String);

impl Held {
    /// Takes more of it.
    pub(super) fn push(&mut self, text: &Text<'_>, limit: usize) -> Result<(), StreamFault> {
        if self.0.len() + text.written_len() > limit {
            return Err(StreamFault::TooMuchHeld { limit });
        }
        self.0.push_str(&text.decode());
        Ok(())
    }

    /// Whether nothing has come.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The text that a model gave to a function that stands for a tool with free text; the arguments as they
    /// are when they are no such object, cut short for example.
    pub(super) fn free_text(self) -> String {
        match serde_json::from_str::<Value>(&self.0) {
            Ok(Value::Object(mut members)) => match members.remove(FREE_TEXT) {
                Some(Value::String(text)) => text,
                _ => self.0,
            },
            Ok(Value::String(text)) => text,
            _ => self.0,
        }
    }

    /// Arguments that are no object, in one.
    pub(super) fn object(self) -> String {
        let raw = self.0.trim();
        if raw.is_empty() || raw == "null" {
            return String::new();
        }
        serde_json::json!({ RAW_ARGUMENTS: self.0 }).to_string()
    }

    /// The JSON of a text that must be nothing else, without the fence around it, if there is one.
    pub(super) fn bare_json(self) -> (String, bool) {
        match unfenced(&self.0) {
            Some(bare) => (bare.to_owned(), true),
            None => (self.0, false),
        }
    }
}

/// What stands between the fences, if that is JSON.
fn unfenced(said: &str) -> Option<&str> {
    let (_, rest) = said.split_once("```")?;
    let (_, body) = rest.split_once('\n')?;
    let bare = body.get(..body.rfind("```")?)?.trim();
    serde_json::from_str::<serde::de::IgnoredAny>(bare).is_ok().then_some(bare)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(pieces: &[&str]) -> Held {
        let mut held = Held::default();
        for &piece in pieces {
            held.push(&Text::plain(piece), 64).unwrap();
        }
        held
    }

    #[test]
    fn free_text_is_taken_out_of_its_object() {
        assert_eq!(held(&["{\"inp", "ut\":\"a\\nb\"}"]).free_text(), "a\nb");
        assert_eq!(held(&["{\"input\":\"cut"]).free_text(), "{\"input\":\"cut");
        assert_eq!(held(&["\"bare\""]).free_text(), "bare");
        assert_eq!(held(&[]).free_text(), "");
    }

    #[test]
    fn arguments_that_are_no_object_stand_in_one() {
        assert_eq!(held(&["[1", "]"]).object(), r#"{"raw_arguments":"[1]"}"#);
        assert_eq!(held(&["null"]).object(), "");
    }

    #[test]
    fn a_fence_is_taken_off_json_alone() {
        assert_eq!(held(&["```json\n{\"a\":1}", "\n```\n"]).bare_json(), ("{\"a\":1}".into(), true));
        assert_eq!(held(&["```\nno json\n```"]).bare_json(), ("```\nno json\n```".into(), false));
        assert_eq!(held(&["{\"a\":"]).bare_json(), ("{\"a\":".into(), false));
    }

    #[test]
    fn it_is_bounded() {
        let long = "x".repeat(65);
        let fault = Held::default().push(&Text::plain(long.as_str()), 64).unwrap_err();
        assert_eq!(fault, StreamFault::TooMuchHeld { limit: 64 });
    }
}

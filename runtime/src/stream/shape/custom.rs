//! Calls of functions that stand for tools with free text.

use busbar_protocols::Text;
use serde::Deserialize;

use super::super::StreamFault;

/// The arguments of such a call: an object with the text as its one member.
#[derive(Debug, Default)]
pub(super) struct FreeText {
    arguments: String,
}

impl FreeText {
    /// Takes more arguments.
    pub(super) fn push(&mut self, text: &Text<'_>, limit: usize) -> Result<(), StreamFault> {
        if self.arguments.len() + text.written_len() > limit {
            return Err(StreamFault::TooMuchHeld { limit });
        }
        self.arguments.push_str(&text.decode());
        Ok(())
    }

    /// The text; the arguments as they are when they are no such object, cut short for example.
    pub(super) fn finish(self) -> String {
        #[derive(Deserialize)]
        struct Arguments {
            input: String,
        }
        match serde_json::from_str::<Arguments>(&self.arguments) {
            Ok(arguments) => arguments.input,
            Err(_) => self.arguments,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(pieces: &[&str]) -> String {
        let mut free = FreeText::default();
        for &piece in pieces {
            free.push(&Text::plain(piece), 64).unwrap();
        }
        free.finish()
    }

    #[test]
    fn the_text_is_taken_out_of_its_object() {
        assert_eq!(text(&["{\"inp", "ut\":\"a\\nb\"}"]), "a\nb");
        assert_eq!(text(&["{\"input\":\"cut"]), "{\"input\":\"cut");
        assert_eq!(text(&[]), "");
    }

    #[test]
    fn it_is_bounded() {
        let long = "x".repeat(65);
        let fault = FreeText::default().push(&Text::plain(long.as_str()), 64).unwrap_err();
        assert_eq!(fault, StreamFault::TooMuchHeld { limit: 64 });
    }
}

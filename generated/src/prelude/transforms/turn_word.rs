//! Who speaks, where the wire has a text for it and calls the assistant a model.

use crate::ir::Role;
use crate::prelude::Text;

/// The speaker.
pub fn read(text: Text<'_>) -> Result<Role<'_>, Text<'_>> {
    match &*text.decode() {
        "user" => Ok(Role::User),
        "model" => Ok(Role::Assistant),
        "function" => Ok(Role::Tool),
        _ => Err(text),
    }
}

/// The word; none for a speaker who has no turn of its own.
pub fn write(role: &Role<'_>) -> Option<Text<'static>> {
    match role {
        Role::User => Some(Text::plain("user")),
        Role::Assistant => Some(Text::plain("model")),
        Role::Tool => Some(Text::plain("function")),
        Role::System | Role::Developer | Role::Other(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_is_written_back() {
        for word in ["user", "model", "function"] {
            assert_eq!(write(&read(Text::plain(word)).unwrap()).unwrap(), word);
        }
        assert!(read(Text::plain("system")).is_err());
        assert_eq!(write(&Role::System), None);
    }
}

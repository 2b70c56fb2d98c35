//! An effort of reasoning as free text, where the wire does not list the words.

use crate::ir::Effort;
use crate::prelude::Text;

/// The effort.
pub fn read(text: Text<'_>) -> Result<Effort<'_>, Text<'_>> {
    let known = match &*text.decode() {
        "none" => Some(Effort::None),
        "minimal" => Some(Effort::Minimal),
        "low" => Some(Effort::Low),
        "medium" => Some(Effort::Medium),
        "high" => Some(Effort::High),
        "xhigh" => Some(Effort::Xhigh),
        "max" => Some(Effort::Max),
        _ => None,
    };
    Ok(known.unwrap_or(Effort::Other(text)))
}

/// The word.
pub fn write<'s>(effort: &Effort<'s>) -> Option<Text<'s>> {
    Some(effort.text())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_is_written_back() {
        for word in ["none", "minimal", "low", "medium", "high", "xhigh", "max", "extreme"] {
            assert_eq!(write(&read(Text::plain(word)).unwrap()).unwrap(), word);
        }
        assert_eq!(read(Text::plain("low")), Ok(Effort::Low));
        assert_eq!(read(Text::plain("extreme")), Ok(Effort::Other(Text::plain("extreme"))));
    }
}

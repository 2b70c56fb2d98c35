//! Failures that are known, with their reasons; an entry that matches no failure is a failure itself.

use std::path::Path;

use anyhow::{Context, Result};
use serde::Deserialize;

/// A list of known failures.
#[derive(Debug, Default)]
pub struct Exceptions {
    entries: Vec<(Exception, bool)>,
}

/// One known failure.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Exception {
    /// The failed check, such as `tools/parallel_calls` or `leaf anthropic messages[].content[].x`.
    pub check: String,
    /// Protocol that it failed towards.
    pub target: String,
    /// Why it is not mended.
    pub reason: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    exception: Vec<Exception>,
}

impl Exceptions {
    /// Reads the list.
    pub fn load(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
        Self::parse(&text).with_context(|| path.display().to_string())
    }

    /// Reads the text of a list.
    pub fn parse(text: &str) -> Result<Self> {
        let file: File = toml::from_str(text)?;
        Ok(Self { entries: file.exception.into_iter().map(|entry| (entry, false)).collect() })
    }

    /// Whether a failure of `check` towards `target` is known; notes that it was seen.
    pub fn excuse(&mut self, check: &str, target: &str) -> bool {
        let known = self.entries.iter_mut().find(|(entry, _)| entry.check == check && entry.target == target);
        known.map(|(_, seen)| *seen = true).is_some()
    }

    /// Entries that no failure matched, of checks that `ran` says were made.
    pub fn idle(&self, ran: impl Fn(&str) -> bool) -> impl Iterator<Item = &Exception> {
        self.entries.iter().filter(move |(entry, seen)| !seen && ran(&entry.check)).map(|(entry, _)| entry)
    }
}

#[cfg(test)]
mod tests {
    use super::Exceptions;

    #[test]
    fn an_entry_excuses_its_failure_alone_and_must_be_used() {
        let text = "[[exception]]\ncheck = 'a/b'\ntarget = 'anthropic'\nreason = 'r'\n";
        let mut list = Exceptions::parse(text).unwrap();
        assert!(!list.excuse("a/b", "openai_chat"));
        assert_eq!(list.idle(|_| true).count(), 1);
        assert_eq!(list.idle(|check| check.starts_with("c/")).count(), 0);
        assert!(list.excuse("a/b", "anthropic"));
        assert_eq!(list.idle(|_| true).count(), 0);
        assert!(Exceptions::parse(&text.replace("reason", "why")).is_err());
    }
}

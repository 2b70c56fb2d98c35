//! What the providers' newest packages change, as a report that a person can act on.

use std::fmt::Write as _;

use crate::diff::Change;

/// A package of which there is a newer release than the pinned one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moved {
    /// Its name in the package index.
    pub name: String,
    /// The pinned version.
    pub pinned: String,
    /// The newest version.
    pub newest: String,
}

/// What is new at one protocol.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Drift {
    /// The protocol's name.
    pub protocol: String,
    /// Its packages that have moved on.
    pub moved: Vec<Moved>,
    /// What that changes of the wire.
    pub changes: Vec<Change>,
}

impl Drift {
    /// The report: what has moved, what that means, and what to do.
    pub fn report(&self) -> String {
        let protocol = &self.protocol;
        if self.moved.is_empty() {
            return format!("{protocol}: the pinned packages are the newest\n");
        }
        let moved: Vec<String> =
            self.moved.iter().map(|it| format!("{} {} -> {}", it.name, it.pinned, it.newest)).collect();
        let mut text = format!("{protocol}: {}\n", moved.join(", "));
        if self.changes.is_empty() {
            text.push_str("  nothing changes on the wire; the pin in schemas/sources.toml may move\n");
            return text;
        }
        for change in &self.changes {
            _ = writeln!(text, "  {change}");
        }
        let fateless = self.changes.iter().filter(|change| change.no_fate).count();
        _ = writeln!(
            text,
            "  to take it: move the pin in schemas/sources.toml, then\n    \
             cargo run -p busbar-codegen -- import --sdk {protocol}\n    \
             cargo run -p busbar-codegen -- generate"
        );
        if fateless > 0 {
            _ = writeln!(text, "  {fateless} of these want a row in schemas/{protocol}/map.toml before that");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diff::{How, What};

    fn drift(moved: bool, changes: Vec<Change>) -> String {
        let moved = moved.then(|| Moved { name: "p".into(), pinned: "1.0".into(), newest: "1.1".into() });
        Drift { protocol: "cohere".into(), moved: moved.into_iter().collect(), changes }.report()
    }

    #[test]
    fn it_says_what_to_do() {
        assert_eq!(drift(false, Vec::new()), "cohere: the pinned packages are the newest\n");
        let text = drift(true, Vec::new());
        assert!(text.starts_with("cohere: p 1.0 -> 1.1\n") && text.contains("nothing changes"), "{text}");
        let new = |place: &str, no_fate| Change {
            what: What::Field,
            place: place.into(),
            how: How::New("string".into()),
            no_fate,
        };
        let text = drift(true, vec![new("A.b", true), new("A.c", false)]);
        assert!(text.contains("A.b") && text.contains("A.c"), "{text}");
        assert!(text.contains("import --sdk cohere") && text.contains("1 of these want a row"), "{text}");
        assert!(!drift(true, vec![new("A.c", false)]).contains("want a row"));
    }
}

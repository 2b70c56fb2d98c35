//! What a translation did to a document beyond saying the same thing in other words.

use std::borrow::Cow;

/// What happened to one part of a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum EffectKind {
    /// Clamped, renamed or restructured, with the same meaning.
    Adapted,
    /// The gateway does what the target cannot.
    Emulated,
    /// Travels in an opaque place and comes back unchanged.
    Carried,
    /// The target has no form for it.
    Dropped,
    /// The target demands something that the caller did not say.
    Injected,
}

impl EffectKind {
    /// The word in the `busbar-fidelity` header, logs and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Adapted => "adapted",
            Self::Emulated => "emulated",
            Self::Carried => "carried",
            Self::Dropped => "dropped",
            Self::Injected => "injected",
        }
    }
}

/// One entry of a [`Ledger`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Effect {
    /// Path in the document as its author wrote it, such as `messages[3].content[0].cache_control`.
    pub path: String,
    /// What happened.
    pub kind: EffectKind,
    /// Why, in one sentence.
    pub reason: Cow<'static, str>,
    /// Whether an answer without this part answers another question.
    pub semantic: bool,
}

/// Everything a translation reports.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Ledger {
    effects: Vec<Effect>,
    more: usize,
}

/// Most effects that one ledger lists; what is beyond is counted.
const MAX_EFFECTS: usize = 512;

impl Ledger {
    /// Adds an effect; the same path and kind is recorded once.
    pub fn push(&mut self, effect: Effect) {
        if self.effects.iter().any(|seen| seen.kind == effect.kind && seen.path == effect.path) {
            return;
        }
        // What a policy decides by is listed even when there is no room left.
        let decides = effect.kind == EffectKind::Dropped
            && !self
                .effects
                .iter()
                .any(|seen| seen.kind == EffectKind::Dropped && (seen.semantic || !effect.semantic));
        if self.effects.len() < MAX_EFFECTS || decides {
            self.effects.push(effect);
        } else {
            self.more += 1;
        }
    }

    /// Adds an effect that keeps the meaning.
    pub fn note(&mut self, kind: EffectKind, path: impl Into<String>, reason: impl Into<Cow<'static, str>>) {
        self.push(Effect { path: path.into(), kind, reason: reason.into(), semantic: false });
    }

    /// Adds all effects of another ledger.
    pub fn extend(&mut self, other: Self) {
        self.more += other.more;
        for effect in other.effects {
            self.push(effect);
        }
    }

    /// The effects, in the order they happened.
    pub fn effects(&self) -> &[Effect] {
        &self.effects
    }

    /// How many effects are not listed.
    pub fn unlisted(&self) -> usize {
        self.more
    }

    /// Whether nothing is reported.
    pub fn is_empty(&self) -> bool {
        self.effects.is_empty()
    }

    /// The first loss that changes what was asked or answered.
    pub fn semantic_loss(&self) -> Option<&Effect> {
        self.effects.iter().find(|effect| effect.semantic && effect.kind == EffectKind::Dropped)
    }

    /// One line, such as `dropped=top_k,logit_bias; emulated=output.schema`.
    ///
    /// Array indices are left out, so that the same loss in many messages is one name. At most `limit`
    /// bytes; what does not fit is counted as `+N`.
    pub fn summary(&self, limit: usize) -> String {
        let mut line = String::new();
        for kind in [
            EffectKind::Dropped,
            EffectKind::Emulated,
            EffectKind::Adapted,
            EffectKind::Carried,
            EffectKind::Injected,
        ] {
            let mut names: Vec<String> = self
                .effects
                .iter()
                .filter(|effect| effect.kind == kind)
                .map(|effect| compact(&effect.path))
                .collect();
            let mut seen = std::collections::BTreeSet::new();
            names.retain(|name| seen.insert(name.clone()));
            if names.is_empty() {
                continue;
            }
            let separator = if line.is_empty() { "" } else { "; " };
            let mut part = format!("{separator}{}=", kind.name());
            let total = names.len();
            for (index, name) in names.iter().enumerate() {
                let comma = if index == 0 { "" } else { "," };
                if line.len() + part.len() + comma.len() + name.len() > limit {
                    part.push_str(&format!("{comma}+{}", total - index));
                    break;
                }
                part.push_str(comma);
                part.push_str(name);
            }
            line.push_str(&part);
        }
        line
    }
}

/// A path without indices and without anything that a header value cannot hold.
fn compact(path: &str) -> String {
    let mut name = String::with_capacity(path.len());
    let mut inside = false;
    for c in path.chars() {
        match c {
            '[' => inside = true,
            ']' => inside = false,
            _ if inside => {}
            ',' | ';' | '=' => name.push('_'),
            c if c.is_ascii_graphic() => name.push(c),
            _ => name.push('_'),
        }
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn summary_groups_by_kind_and_forgets_indices() {
        let mut ledger = Ledger::default();
        ledger.note(EffectKind::Adapted, "stop", "r");
        ledger.note(EffectKind::Dropped, "messages[0].content[1].cache_control", "r");
        ledger.note(EffectKind::Dropped, "messages[2].content[0].cache_control", "r");
        ledger.note(EffectKind::Dropped, "top_k", "r");
        ledger.note(EffectKind::Dropped, "top_k", "again");
        assert_eq!(ledger.effects().len(), 4);
        assert_eq!(ledger.summary(1000), "dropped=messages.content.cache_control,top_k; adapted=stop");
    }

    #[test]
    fn a_ledger_is_bounded_and_still_tells_what_decides() {
        let mut ledger = Ledger::default();
        for i in 0..2 * MAX_EFFECTS {
            ledger.note(EffectKind::Adapted, format!("field{i}"), "r");
        }
        assert_eq!((ledger.effects().len(), ledger.unlisted()), (MAX_EFFECTS, MAX_EFFECTS));
        ledger.note(EffectKind::Dropped, "seed", "r");
        let semantic = true;
        ledger.push(Effect { path: "n".into(), kind: EffectKind::Dropped, reason: "r".into(), semantic });
        assert_eq!(ledger.semantic_loss().map(|effect| effect.path.as_str()), Some("n"));
        assert_eq!(ledger.effects().len(), MAX_EFFECTS + 2);
    }

    #[test]
    fn summary_is_bounded_and_header_safe() {
        let mut ledger = Ledger::default();
        for i in 0..100 {
            ledger.note(EffectKind::Dropped, format!("field{i}\r\nx: é"), "r");
        }
        let line = ledger.summary(200);
        assert!(line.len() <= 210 && line.is_ascii() && !line.contains('\n'), "{line}");
        assert!(line.contains(",+"), "{line}");
    }
}

//! What a reader reports of a stream beyond its events.

use busbar_protocols::prelude::Native;
use busbar_protocols::{EffectKind, Json, Ledger};

/// Effects found while reading.
#[derive(Debug, Default)]
pub(crate) struct Notes {
    pub(crate) ledger: Ledger,
}

impl Notes {
    /// Reports a part that no other protocol has a form for.
    pub(crate) fn dropped(&mut self, path: &str, reason: &'static str) {
        self.ledger.note(EffectKind::Dropped, path, reason);
    }

    /// Reports an event or a part of one that this version does not know.
    pub(crate) fn unknown(&mut self, what: &'static str, value: &Json<'_>) {
        let kind = super::kind_of(value);
        let kind = kind.as_ref().map_or("untyped".into(), |kind| kind.decode());
        self.ledger.note(EffectKind::Dropped, format!("{what}.{kind:.64}"), "not known to this version");
    }

    /// Reports counts that one provider alone has.
    pub(crate) fn usage(&mut self, native: &Native<'_>) {
        for leftover in native.kept() {
            let path = format!("usage.{:.64}", leftover.name().decode());
            self.ledger.note(EffectKind::Dropped, path, "a count of one provider's own");
        }
    }
}

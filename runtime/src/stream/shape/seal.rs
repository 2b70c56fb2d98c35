//! What only its provider can read, sealed for a client that gives it back.

use busbar_protocols::{Rules, Text};

use super::super::{Limits, StreamFault};
use crate::translate::carriage::{Apart, Redacted, SealedBlock, SealedCall, Sealer};
use crate::translate::{CallState, Carriage};

/// The opaque state of an answer since its last call.
#[derive(Debug)]
pub(super) struct Seal {
    /// None when it is the provider's own client, for which nothing is sealed.
    sealer: Option<Sealer>,
    limit: usize,
    bytes: usize,
    /// The block of reasoning that is open.
    open: Option<SealedBlock>,
}

/// What a client gets when a block of reasoning ends.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Closed {
    /// What stands in the place of the signature.
    pub(super) signature: Option<String>,
    /// The text once more, where it is listed together with its signature.
    pub(super) text: Option<String>,
}

impl Seal {
    pub(super) fn new(call: &CallState, to: &'static Rules, carriage: &Carriage, limits: Limits) -> Self {
        let sealer = (call.client != call.backend)
            .then(|| Sealer::new(call.backend, to, carriage, &call.scope, call.now));
        Self { sealer, limit: limits.held, bytes: 0, open: None }
    }

    /// Whether nothing is sealed.
    pub(super) fn home(&self) -> bool {
        self.sealer.is_none()
    }

    /// A block of reasoning begins.
    pub(super) fn begin(&mut self, id: Option<String>) {
        let slot = self.sealer.as_ref().map_or(0, Sealer::slot);
        self.open = Some(SealedBlock { slot, id, ..SealedBlock::default() });
    }

    /// More reasoning.
    pub(super) fn text(&mut self, text: &Text<'_>) -> Result<(), StreamFault> {
        let wanted = self.sealer.as_ref().is_some_and(|sealer| sealer.places().ids || sealer.places().calls);
        if wanted {
            self.hold(text.written_len())?;
            if let Some(open) = &mut self.open {
                open.text.get_or_insert_default().push_str(&text.decode());
            }
        }
        Ok(())
    }

    /// The signature of the reasoning, or a part of it.
    pub(super) fn signature(&mut self, signature: &Text<'_>) -> Result<(), StreamFault> {
        self.hold(signature.written_len())?;
        if let Some(open) = self.open.as_mut().filter(|_| !signature.is_empty()) {
            open.signature.get_or_insert_default().push_str(&signature.decode());
        }
        Ok(())
    }

    /// A block of reasoning ends.
    pub(super) fn end(&mut self) -> Closed {
        let Some(block) = self.open.take() else { return Closed::default() };
        let Some(sealer) = &mut self.sealer else {
            return Closed { signature: block.signature, text: None };
        };
        let size = block.text.as_ref().map_or(0, String::len);
        let waits = block.signature.is_some() && (sealer.places().ids || sealer.places().calls);
        if !waits {
            self.bytes = self.bytes.saturating_sub(size + block.signature.as_ref().map_or(0, String::len));
        }
        let listed = sealer.places().listed && block.signature.is_some();
        let text = listed.then(|| block.text.clone().unwrap_or_default());
        Closed { signature: sealer.reasoning(block), text }
    }

    /// Reasoning that cannot be read.
    pub(super) fn redacted(&mut self, data: &Text<'_>, id: Option<String>) -> Result<Redacted, StreamFault> {
        let data = data.decode().into_owned();
        let places = self.sealer.as_ref().map(Sealer::places);
        if places.is_some_and(|places| places.ids || places.calls) {
            self.hold(data.len())?;
        }
        Ok(match &mut self.sealer {
            Some(sealer) => sealer.redacted(data, id),
            None => Redacted::Data(data),
        })
    }

    /// Other content begins.
    pub(super) fn other(&mut self) {
        if let Some(sealer) = &mut self.sealer {
            sealer.other();
        }
    }

    /// A call begins.
    pub(super) fn call(&mut self, id: String, signature: Option<String>) -> SealedCall {
        self.bytes = 0;
        match &mut self.sealer {
            Some(sealer) => sealer.call(id, signature),
            None => SealedCall { id, signature, before: None, lost: false },
        }
    }

    /// Where the signature of a call goes that has begun; of a text, where there is no id.
    pub(super) fn late(&mut self, call: Option<&str>, signature: String, empty: bool) -> Apart {
        self.bytes = self.bytes.saturating_sub(signature.len());
        match (&self.sealer, call) {
            (Some(sealer), Some(id)) => sealer.late_call(id, signature),
            (Some(sealer), None) => sealer.text(signature, empty),
            (None, _) => Apart::Own(signature),
        }
    }

    /// What stands in a block of encrypted reasoning of the gateway's own.
    pub(super) fn block(&self, block: SealedBlock) -> Option<String> {
        self.sealer.as_ref()?.block(block)
    }

    /// Whether reasoning waits for a call that does not come, and has no other place.
    pub(super) fn leaves(&self) -> bool {
        self.sealer.as_ref().is_some_and(Sealer::leaves)
    }

    /// Takes account of bytes that are kept.
    pub(super) fn hold(&mut self, bytes: usize) -> Result<(), StreamFault> {
        self.bytes += bytes;
        if self.bytes > self.limit { Err(StreamFault::TooMuchHeld { limit: self.limit }) } else { Ok(()) }
    }
}

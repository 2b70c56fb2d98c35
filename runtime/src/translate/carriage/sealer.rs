//! Seals the opaque state of an answer, block after block, for the places of one client.
//!
//! Buffered answers and streams go through the same steps.

use busbar_protocols::Rules;
use busbar_protocols::prelude::rules::CarriageRules;

use super::{Carriage, SealedBlock, SealedKind, seal_place};
use crate::Protocol;

/// Seals the opaque state of one answer.
#[derive(Debug)]
pub(crate) struct Sealer {
    issuer: Protocol,
    places: &'static CarriageRules,
    /// Encrypted reasoning has a block of its own.
    redacted: bool,
    carriage: Carriage,
    scope: String,
    now: u64,
    /// What came since the last call.
    waiting: Vec<SealedBlock>,
    /// Blocks of other content since the last call.
    slot: u32,
    /// A call was made: of several the first one is signed.
    called: bool,
}

/// What a client gets for reasoning that only the provider can read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Redacted {
    /// This, in a block of the same kind.
    Data(String),
    /// This as the signature of reasoning without a word.
    Signature(String),
    /// Nothing at its own place.
    Nothing,
}

/// Where the signature of a text goes, or one that comes after its call has begun.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Apart {
    /// Into the block's own signature.
    Own(String),
    /// Into a block of encrypted reasoning behind it.
    Block(String),
    /// The client has no place for it.
    Lost,
}

/// What a client gets for a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SealedCall {
    /// Its id.
    pub(crate) id: String,
    /// Its signature.
    pub(crate) signature: Option<String>,
    /// What stands as encrypted reasoning in front of it.
    pub(crate) before: Option<SealedBlock>,
    /// Whether something that came with it or waited for it has no place.
    pub(crate) lost: bool,
}

impl Sealer {
    /// For answers of `issuer` to a client with these rules.
    pub(crate) fn new(
        issuer: Protocol,
        to: &'static Rules,
        carriage: &Carriage,
        scope: &str,
        now: u64,
    ) -> Self {
        Self {
            issuer,
            places: &to.carriage,
            redacted: to.reasoning.redacted,
            carriage: carriage.clone(),
            scope: scope.to_owned(),
            now,
            waiting: Vec::new(),
            slot: 0,
            called: false,
        }
    }

    /// The places of the client.
    pub(crate) fn places(&self) -> &'static CarriageRules {
        self.places
    }

    /// Blocks of other content since the last call.
    pub(crate) fn slot(&self) -> u32 {
        self.slot
    }

    /// Other content begins.
    pub(crate) fn other(&mut self) {
        self.slot = self.slot.saturating_add(1);
    }

    /// A block of reasoning has ended; what stands in the place of its signature.
    pub(crate) fn reasoning(&mut self, block: SealedBlock) -> Option<String> {
        let signed = block.signature.is_some();
        let own = SealedBlock { slot: 0, text: None, ..block.clone() };
        if signed && (self.places.ids || self.places.calls) {
            self.waiting.push(block);
        }
        if self.places.reasoning {
            // Without a signature, too: it says whose the reasoning is.
            let blocks = if signed || own.id.is_some() { vec![own] } else { Vec::new() };
            let bytes = self.places.signature_bytes;
            let sealed = seal_place(self.issuer, blocks, bytes);
            return sealed.or_else(|| seal_place(self.issuer, Vec::new(), bytes));
        }
        if signed && self.places.listed { self.listed(own) } else { None }
    }

    /// Reasoning that cannot be read.
    pub(crate) fn redacted(&mut self, data: String, id: Option<String>) -> Redacted {
        let block = SealedBlock { slot: self.slot, data: Some(data), id, ..SealedBlock::default() };
        let own = SealedBlock { slot: 0, ..block.clone() };
        if self.places.reasoning && self.redacted {
            return self.block(own).map_or(Redacted::Nothing, Redacted::Data);
        }
        self.waiting.push(block);
        if self.places.reasoning {
            let sealed = seal_place(self.issuer, vec![own], self.places.signature_bytes);
            return sealed.map_or(Redacted::Nothing, Redacted::Signature);
        }
        if self.places.listed {
            self.listed(own).map_or(Redacted::Nothing, Redacted::Data)
        } else {
            Redacted::Nothing
        }
    }

    /// A call begins.
    pub(crate) fn call(&mut self, id: String, signature: Option<String>) -> SealedCall {
        self.slot = 0;
        let mut blocks = std::mem::take(&mut self.waiting);
        let own = signature.map(|signature| SealedBlock {
            signature: Some(signature),
            kind: SealedKind::Call,
            id: Some(id.clone()),
            ..SealedBlock::default()
        });
        let mut call = SealedCall { id, signature: None, before: None, lost: false };
        if self.places.calls {
            blocks.extend(own);
            let word = self.places.unsigned_call;
            if !blocks.is_empty() {
                call.signature = seal_place(self.issuer, blocks, self.places.signature_bytes);
                call.lost = call.signature.is_none();
            } else if !word.is_empty() && !self.called {
                // So the client's own provider takes the history as it is.
                call.signature = Some(word.to_owned());
            }
            self.called = true;
        } else if self.places.ids {
            // The envelope says the id already.
            blocks.extend(own.map(|own| SealedBlock { id: None, ..own }));
            call.id = self.carriage.seal_id(self.issuer, &call.id, blocks, &self.scope, self.now);
        } else {
            call.before = own;
        }
        call
    }

    /// The signature of a text that has ended; `empty` says that the text is nothing else.
    pub(crate) fn text(&self, signature: String, empty: bool) -> Apart {
        let block = SealedBlock {
            signature: Some(signature),
            text: empty.then(String::new),
            kind: SealedKind::Text,
            ..SealedBlock::default()
        };
        if self.places.texts {
            let sealed = seal_place(self.issuer, vec![block], self.places.signature_bytes);
            return sealed.map_or(Apart::Lost, Apart::Own);
        }
        self.block(block).map_or(Apart::Lost, Apart::Block)
    }

    /// The signature of a call whose id the client has already.
    pub(crate) fn late_call(&self, id: &str, signature: String) -> Apart {
        let block = SealedBlock {
            signature: Some(signature),
            kind: SealedKind::Call,
            id: Some(id.to_owned()),
            ..SealedBlock::default()
        };
        if self.places.calls {
            let sealed = seal_place(self.issuer, vec![block], self.places.signature_bytes);
            return sealed.map_or(Apart::Lost, Apart::Own);
        }
        self.block(block).map_or(Apart::Lost, Apart::Block)
    }

    /// What stands in a block of encrypted reasoning, where the client has such blocks or a list of them.
    pub(crate) fn block(&self, block: SealedBlock) -> Option<String> {
        if self.places.reasoning && self.redacted {
            return seal_place(self.issuer, vec![block], self.places.data_bytes);
        }
        if self.places.listed { self.listed(block) } else { None }
    }

    /// In the signature of reasoning that has none of its own.
    pub(crate) fn beside(&self, block: SealedBlock) -> Option<String> {
        seal_place(self.issuer, vec![block], self.places.signature_bytes)
    }

    /// Whether reasoning waits for a call that does not come, and has no other place.
    pub(crate) fn leaves(&self) -> bool {
        !self.places.listed && !self.places.reasoning && !self.waiting.is_empty()
    }

    fn listed(&self, block: SealedBlock) -> Option<String> {
        seal_place(self.issuer, vec![block], false)
    }
}

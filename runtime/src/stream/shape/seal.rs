//! What only its provider can read, sealed for a client that gives it back.

use busbar_protocols::{Rules, Text};

use super::super::{Limits, StreamFault};
use crate::Protocol;
use crate::translate::carriage::{Envelope, SealedBlock, seal_signature};
use crate::translate::{CallState, Carriage};

/// Where the client keeps it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// It is the provider's own client.
    Home,
    /// Each block of reasoning has a place for a signature.
    Signature,
    /// In the id of the call that the reasoning led to, and in a list beside the content.
    CallId,
}

/// The reasoning of an answer since its last call.
#[derive(Debug)]
pub(super) struct Seal {
    place: Place,
    issuer: Protocol,
    carriage: Carriage,
    scope: String,
    now: u64,
    limit: usize,
    bytes: usize,
    /// The block that is open.
    open: Option<SealedBlock>,
    waiting: Vec<SealedBlock>,
    /// Blocks of other content since the last call.
    slot: u32,
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
    pub(super) fn new(call: &CallState, to: &'static Rules, carriage: Carriage, limits: Limits) -> Self {
        let place = match () {
            () if call.client == call.backend => Place::Home,
            () if to.reasoning.signed => Place::Signature,
            () => Place::CallId,
        };
        Self {
            place,
            issuer: call.backend,
            carriage,
            scope: call.scope.clone(),
            now: call.now,
            limit: limits.held,
            bytes: 0,
            open: None,
            waiting: Vec::new(),
            slot: 0,
        }
    }

    /// Whether nothing is sealed.
    pub(super) fn home(&self) -> bool {
        self.place == Place::Home
    }

    /// A block of reasoning begins.
    pub(super) fn begin(&mut self) {
        self.open = Some(SealedBlock { slot: self.slot, ..SealedBlock::default() });
    }

    /// More reasoning.
    pub(super) fn text(&mut self, text: &Text<'_>) -> Result<(), StreamFault> {
        if self.place == Place::CallId {
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
        if let Some(open) = &mut self.open {
            open.signature.get_or_insert_default().push_str(&signature.decode());
        }
        Ok(())
    }

    /// A block of reasoning ends.
    pub(super) fn end(&mut self) -> Closed {
        let Some(block) = self.open.take() else { return Closed::default() };
        match self.place {
            Place::Home => Closed { signature: block.signature, text: None },
            Place::Signature => {
                self.bytes = 0;
                let signature = Some(seal_signature(self.issuer, block.signature.as_deref()));
                Closed { signature, text: None }
            }
            Place::CallId if block.signature.is_none() => {
                let text = block.text.as_ref().map_or(0, String::len);
                self.bytes = self.bytes.saturating_sub(text);
                Closed::default()
            }
            Place::CallId => {
                let listed = self.listed(&block);
                self.waiting.push(block.clone());
                Closed { signature: Some(listed), text: Some(block.text.unwrap_or_default()) }
            }
        }
    }

    /// Reasoning that cannot be read; what the client gets in its place.
    pub(super) fn redacted(&mut self, data: &Text<'_>) -> Result<String, StreamFault> {
        let data = data.decode();
        if self.place == Place::Signature {
            return Ok(seal_signature(self.issuer, Some(&data)));
        }
        self.hold(data.len())?;
        let block = SealedBlock { slot: self.slot, data: Some(data.into_owned()), ..SealedBlock::default() };
        let listed = self.listed(&block);
        self.waiting.push(block);
        Ok(listed)
    }

    /// Other content begins.
    pub(super) fn other(&mut self) {
        self.slot = self.slot.saturating_add(1);
    }

    /// A call begins; its id, for the client.
    pub(super) fn call(&mut self, id: String) -> String {
        self.slot = 0;
        self.bytes = 0;
        let blocks = std::mem::take(&mut self.waiting);
        match self.place {
            Place::CallId => self.carriage.seal_id(self.issuer, &id, blocks, &self.scope, self.now),
            Place::Home | Place::Signature => id,
        }
    }

    /// A block in its own envelope, whose text stands beside it.
    fn listed(&self, block: &SealedBlock) -> String {
        let blocks = vec![SealedBlock { slot: 0, text: None, ..block.clone() }];
        Envelope { issuer: self.issuer, blocks, id: String::new() }.seal()
    }

    fn hold(&mut self, bytes: usize) -> Result<(), StreamFault> {
        self.bytes += bytes;
        if self.bytes > self.limit { Err(StreamFault::TooMuchHeld { limit: self.limit }) } else { Ok(()) }
    }
}

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
    /// In the id of the call that the reasoning led to.
    CallId,
}

/// The reasoning of an answer since its last call.
#[derive(Debug)]
pub(super) struct Seal {
    place: Place,
    issuer: Protocol,
    /// The provider signs its reasoning.
    signed: bool,
    carriage: Carriage,
    scope: String,
    now: u64,
    limit: usize,
    bytes: usize,
    blocks: Vec<SealedBlock>,
    /// Blocks of other content since the last call.
    slot: u32,
}

impl Seal {
    pub(super) fn new(
        call: &CallState,
        from: &'static Rules,
        to: &'static Rules,
        carriage: Carriage,
        limits: Limits,
    ) -> Self {
        let place = match () {
            () if call.client == call.backend => Place::Home,
            () if to.reasoning.blocks => Place::Signature,
            () => Place::CallId,
        };
        Self {
            place,
            issuer: call.backend,
            signed: from.reasoning.signed,
            carriage,
            scope: call.scope.clone(),
            now: call.now,
            limit: limits.held,
            bytes: 0,
            blocks: Vec::new(),
            slot: 0,
        }
    }

    /// A block of reasoning begins.
    pub(super) fn begin(&mut self, text: Option<&Text<'_>>) -> Result<(), StreamFault> {
        if self.place == Place::CallId && self.signed {
            self.blocks.push(SealedBlock { slot: self.slot, ..SealedBlock::default() });
            if let Some(text) = text {
                self.text(text)?;
            }
        }
        Ok(())
    }

    /// More reasoning.
    pub(super) fn text(&mut self, text: &Text<'_>) -> Result<(), StreamFault> {
        if self.place != Place::CallId || !self.signed {
            return Ok(());
        }
        self.hold(text.written_len())?;
        if let Some(block) = self.blocks.last_mut() {
            block.text.get_or_insert_default().push_str(&text.decode());
        }
        Ok(())
    }

    /// The signature of the reasoning; what the client gets in its place.
    pub(super) fn signature<'a>(&mut self, signature: Text<'a>) -> Result<Text<'a>, StreamFault> {
        match self.place {
            Place::Home => Ok(signature),
            Place::Signature => Ok(Text::from(seal_signature(self.issuer, Some(&signature.decode())))),
            Place::CallId => {
                self.hold(signature.written_len())?;
                if let Some(block) = self.blocks.last_mut() {
                    block.signature.get_or_insert_default().push_str(&signature.decode());
                }
                Ok(Text::from(seal_signature(self.issuer, Some(&signature.decode()))))
            }
        }
    }

    /// A block of reasoning ends without a signature; what the client gets in its place.
    pub(super) fn unsigned(&self) -> Option<Text<'static>> {
        (self.place == Place::Signature).then(|| Text::from(seal_signature(self.issuer, None)))
    }

    /// Reasoning that cannot be read; what the client gets in its place.
    pub(super) fn redacted<'a>(&mut self, data: Text<'a>) -> Result<Text<'a>, StreamFault> {
        if self.place == Place::Home {
            return Ok(data);
        }
        self.hold(data.written_len())?;
        let block =
            SealedBlock { slot: self.slot, data: Some(data.decode().into_owned()), ..SealedBlock::default() };
        let sealed = Envelope { issuer: self.issuer, blocks: vec![block.clone()], id: String::new() }.seal();
        if self.place == Place::CallId {
            self.blocks.push(block);
        }
        Ok(Text::from(sealed))
    }

    /// Other content begins.
    pub(super) fn other(&mut self) {
        self.slot = self.slot.saturating_add(1);
    }

    /// A call begins; its id, for the client.
    pub(super) fn call<'a>(&mut self, id: Text<'a>) -> Text<'a> {
        self.slot = 0;
        self.bytes = 0;
        let blocks = std::mem::take(&mut self.blocks);
        let opaque = |block: &SealedBlock| block.signature.is_some() || block.data.is_some();
        if self.place != Place::CallId || !blocks.iter().any(opaque) {
            return id;
        }
        Text::from(self.carriage.seal_id(self.issuer, &id.decode(), blocks, &self.scope, self.now))
    }

    fn hold(&mut self, bytes: usize) -> Result<(), StreamFault> {
        self.bytes += bytes;
        if self.bytes > self.limit { Err(StreamFault::TooMuchHeld { limit: self.limit }) } else { Ok(()) }
    }
}

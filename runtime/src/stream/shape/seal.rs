//! What only its provider can read, sealed for a client that gives it back.

use busbar_protocols::{Rules, Text};

use super::super::{Limits, StreamFault};
use crate::translate::carriage::{Apart, Redacted, SealedBlock, SealedCall, Sealer};
use crate::translate::{CallState, Carriage};

/// The opaque state of the answers, each since its last call.
#[derive(Debug)]
pub(super) struct Seal {
    call: CallState,
    to: &'static Rules,
    carriage: Carriage,
    limit: usize,
    answers: Vec<One>,
}

/// The opaque state of one answer.
#[derive(Debug)]
struct One {
    answer: u64,
    /// None when it is the provider's own client, for which nothing is sealed.
    sealer: Option<Sealer>,
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
        let carriage = carriage.clone();
        Self { call: call.clone(), to, carriage, limit: limits.held, answers: Vec::new() }
    }

    fn of(&mut self, answer: u64) -> &mut One {
        let place = match self.answers.iter().position(|one| one.answer == answer) {
            Some(place) => place,
            None => {
                let call = &self.call;
                let sealer = (!self.home())
                    .then(|| Sealer::new(call.backend, self.to, &self.carriage, &call.scope, call.now));
                self.answers.push(One { answer, sealer, bytes: 0, open: None });
                self.answers.len() - 1
            }
        };
        &mut self.answers[place]
    }

    /// Whether nothing is sealed.
    pub(super) fn home(&self) -> bool {
        self.call.client == self.call.backend
    }

    /// A block of reasoning begins.
    pub(super) fn begin(&mut self, answer: u64, id: Option<String>) {
        let one = self.of(answer);
        let slot = one.sealer.as_ref().map_or(0, Sealer::slot);
        one.open = Some(SealedBlock { slot, id, ..SealedBlock::default() });
    }

    /// More reasoning.
    pub(super) fn text(&mut self, answer: u64, text: &Text<'_>) -> Result<(), StreamFault> {
        if !self.home() && (self.to.carriage.ids || self.to.carriage.calls) {
            self.hold(answer, text.written_len())?;
            if let Some(open) = &mut self.of(answer).open {
                open.text.get_or_insert_default().push_str(&text.decode());
            }
        }
        Ok(())
    }

    /// The signature of the reasoning, or a part of it.
    pub(super) fn signature(&mut self, answer: u64, signature: &Text<'_>) -> Result<(), StreamFault> {
        self.hold(answer, signature.written_len())?;
        if let Some(open) = self.of(answer).open.as_mut().filter(|_| !signature.is_empty()) {
            open.signature.get_or_insert_default().push_str(&signature.decode());
        }
        Ok(())
    }

    /// A block of reasoning ends.
    pub(super) fn end(&mut self, answer: u64) -> Closed {
        let one = self.of(answer);
        let Some(block) = one.open.take() else { return Closed::default() };
        let Some(sealer) = &mut one.sealer else {
            return Closed { signature: block.signature, text: None };
        };
        let size = block.text.as_ref().map_or(0, String::len);
        let waits = block.signature.is_some() && (sealer.places().ids || sealer.places().calls);
        if !waits {
            one.bytes = one.bytes.saturating_sub(size + block.signature.as_ref().map_or(0, String::len));
        }
        let listed = sealer.places().listed && block.signature.is_some();
        let text = listed.then(|| block.text.clone().unwrap_or_default());
        Closed { signature: sealer.reasoning(block), text }
    }

    /// Reasoning that cannot be read.
    pub(super) fn redacted(
        &mut self,
        answer: u64,
        data: &Text<'_>,
        id: Option<String>,
    ) -> Result<Redacted, StreamFault> {
        let data = data.decode().into_owned();
        if self.to.carriage.ids || self.to.carriage.calls {
            self.hold(answer, data.len())?;
        }
        Ok(match &mut self.of(answer).sealer {
            Some(sealer) => sealer.redacted(data, id),
            None => Redacted::Data(data),
        })
    }

    /// Other content begins.
    pub(super) fn other(&mut self, answer: u64) {
        if let Some(sealer) = &mut self.of(answer).sealer {
            sealer.other();
        }
    }

    /// A call begins.
    pub(super) fn call(&mut self, answer: u64, id: String, signature: Option<String>) -> SealedCall {
        let one = self.of(answer);
        one.bytes = 0;
        match &mut one.sealer {
            Some(sealer) => sealer.call(id, signature),
            None => SealedCall { id, signature, before: None, lost: false },
        }
    }

    /// Where the signature of a call goes that has begun; of a text, where there is no id.
    pub(super) fn late(&mut self, answer: u64, call: Option<&str>, signature: String, empty: bool) -> Apart {
        let one = self.of(answer);
        one.bytes = one.bytes.saturating_sub(signature.len());
        match (&one.sealer, call) {
            (Some(sealer), Some(id)) => sealer.late_call(id, signature),
            (Some(sealer), None) => sealer.text(signature, empty),
            (None, _) => Apart::Own(signature),
        }
    }

    /// What stands in a block of encrypted reasoning of the gateway's own.
    pub(super) fn block(&mut self, answer: u64, block: SealedBlock) -> Option<String> {
        self.of(answer).sealer.as_ref()?.block(block)
    }

    /// Whether reasoning waits for a call that does not come, and has no other place.
    pub(super) fn leaves(&mut self, answer: u64) -> bool {
        self.of(answer).sealer.as_ref().is_some_and(Sealer::leaves)
    }

    /// Takes account of bytes that are kept.
    pub(super) fn hold(&mut self, answer: u64, bytes: usize) -> Result<(), StreamFault> {
        self.of(answer).bytes += bytes;
        let held: usize = self.answers.iter().map(|one| one.bytes).sum();
        if held > self.limit { Err(StreamFault::TooMuchHeld { limit: self.limit }) } else { Ok(()) }
    }
}

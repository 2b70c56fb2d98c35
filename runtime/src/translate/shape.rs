//! What a shape pass works with.

use busbar_protocols::Rules;
use busbar_protocols::prelude::Paths;

use super::carriage::{Carriage, SealedBlock};
use super::report::Report;
use super::{CallState, TargetFacts, Wanted};
use crate::Protocol;

/// What a shape pass works with: rules of both sides, facts, and where to report.
pub(crate) struct Shape<'c> {
    /// Protocol that the document comes from.
    pub(crate) source: Protocol,
    /// Protocol that it goes to.
    pub(crate) target: Protocol,
    /// Rules of the protocol that the document comes from.
    pub(crate) from: &'static Rules,
    /// Rules of the protocol that it goes to.
    pub(crate) to: &'static Rules,
    /// The model.
    pub(crate) facts: &'c TargetFacts<'c>,
    /// Where opaque state travels.
    pub(crate) carriage: &'c Carriage,
    /// What the way back must know.
    pub(crate) state: &'c mut CallState,
    /// What happened.
    pub(crate) report: Report<'c>,
    /// About how many bytes will be written.
    pub(crate) expected: usize,
    /// Of an answer: reasoning that is listed beside the content, where the target has a place for it.
    pub(crate) listed: Vec<SealedBlock>,
    /// Of a request: addresses whose content must be got before it can be written.
    pub(crate) wanted: Vec<Wanted>,
}

impl<'c> Shape<'c> {
    /// None when one of the protocols has no rules in this build.
    pub(crate) fn new(
        source: Protocol,
        target: Protocol,
        facts: &'c TargetFacts<'c>,
        carriage: &'c Carriage,
        state: &'c mut CallState,
        paths: &'c Paths,
    ) -> Option<Self> {
        Some(Self {
            source,
            target,
            from: busbar_protocols::rules(source)?,
            to: busbar_protocols::rules(target)?,
            facts,
            carriage,
            state,
            report: Report::new(source, target, paths),
            expected: 0,
            listed: Vec::new(),
            wanted: Vec::new(),
        })
    }

    /// Whether the document goes back to the protocol it came from.
    pub(crate) fn home(&self) -> bool {
        self.source == self.target
    }
}

//! Judges a gateway: fixtures, schema-driven cases, and what each pair of protocols keeps.

pub mod accumulate;
pub mod blackbox;
pub mod canon;
pub mod checks;
pub mod codecs;
pub mod docs;
pub mod exceptions;
pub mod fidelity;
pub mod judge;
pub mod leaves;
pub mod report;
pub mod suite;

use std::path::PathBuf;

use busbar::Protocol;
use busbar::translate::translates;

/// A folder or file of this crate, or of the workspace by `../`.
pub fn data(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// The protocols that the gateway says it translates `source` into, but for itself.
pub fn targets(source: Protocol) -> impl Iterator<Item = Protocol> {
    Protocol::ALL.into_iter().filter(move |target| *target != source && translates(source, *target))
}

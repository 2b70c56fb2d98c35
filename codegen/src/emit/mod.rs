//! Prints Rust from schemas, maps and the IR.

mod ir;
mod maps;
mod names;
mod rows;
mod rules;
mod types;

pub(crate) use ir::module as ir_module;
pub(crate) use maps::module as maps_module;
pub(crate) use rows::{lib_module, module as rows_module};
pub(crate) use rules::module as rules_module;
pub(crate) use types::module as types_module;

/// The Rust variant name for a wire word.
pub(crate) fn variant(word: &str) -> String {
    names::variant(word).to_string()
}

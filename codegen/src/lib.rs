//! Imports provider schemas, generates wire types and maps, and checks that both are current.

pub mod diff;
pub mod drift;
mod emit;
pub mod fates;
pub mod generate;
pub mod import;
pub mod ir;
pub mod leaves;
pub mod map;
pub mod rules;
pub mod schema;

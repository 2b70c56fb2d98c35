//! Imports provider schemas, generates wire types and maps, and checks that both are current.

mod emit;
pub mod generate;
pub mod import;
pub mod ir;
pub mod leaves;
pub mod map;
pub mod schema;

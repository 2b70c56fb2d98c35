//! Imports provider schemas, generates wire types and maps, and checks that both are current.

pub mod schema;

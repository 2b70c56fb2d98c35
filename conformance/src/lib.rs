//! Judges a gateway: fixtures, schema-driven cases, and what each pair of protocols keeps.

pub mod canon;
pub mod codecs;
pub mod docs;

//! Judges a gateway: fixtures, schema-driven cases, and what each pair of protocols keeps.

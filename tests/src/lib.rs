//! Behaviour of the built binary: SDKs, limits, faults, benches.

//! Drives the built `busbar` binary the way its users do: as a process, over sockets.
//!
//! Nothing here links the gateway. [`binary`] builds it once, [`process`] runs it and reads what it says,
//! [`gateway`] writes a configuration and waits until it serves, [`http`] speaks to it byte by byte,
//! [`answer`] reads what it says as a client of each protocol does, [`upstream`] is a scripted peer, [`python`] and
//! [`node`] run the providers' own SDKs against it, [`matrix`] judges what those of Python say of every client over
//! every backend, and [`agents`] runs coding agents.

pub mod agents;
pub mod answer;
pub mod binary;
pub mod dialect;
pub mod gateway;
pub mod http;
mod install;
pub mod matrix;
pub mod node;
pub mod process;
pub mod python;
pub mod simulator;
pub mod upstream;

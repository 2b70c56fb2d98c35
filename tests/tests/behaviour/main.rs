//! How the built gateway behaves towards clients and providers that are sockets of a test.

mod bad_input;
mod choices;
mod command;
mod explain;
mod failover;
mod fetch;
mod fidelity;
mod forward;
mod lifecycle;
mod limits;
mod metering;
mod models;
mod passthrough;
mod placement;
mod reload;
mod storm;
mod tls;
mod translate;
mod waiting;

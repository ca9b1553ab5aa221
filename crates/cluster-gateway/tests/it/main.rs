#![allow(clippy::unwrap_used, missing_docs, unreachable_pub)]
//! The integration tests: the crate's public API against fakes that speak the protocol. One binary, for the linker's
//! sake.

mod support;

mod audit;
mod authn;
mod authz;
mod health;
mod history;
mod certificate;
mod hub;
mod konnectivity;
mod lease;
mod lifecycle;
mod managed_clusters;
mod members;
mod replay;
mod server;
mod standalone;
mod tidy;
mod transport;
mod watch;

#![allow(clippy::unwrap_used, missing_docs, unreachable_pub)]
//! The integration tests: the crate's public API against fakes that speak the protocol. One binary, for the linker's
//! sake.

mod support;

mod audit;
mod authn;
mod authz;
mod health;
mod diagnosis;
mod history;
mod certificate;
mod hub;
mod konnectivity;
mod lease;
mod lifecycle;
mod manage;
mod managed_clusters;
mod members;
mod ocm;
mod offered;
mod renewal;
mod replay;
mod server;
mod standalone;
mod tidy;
mod transport;
mod watch;

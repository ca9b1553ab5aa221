#![allow(clippy::unwrap_used, missing_docs, unreachable_pub)]
//! The integration tests: the crate's public API against fakes that speak the protocol. One binary, for the linker's
//! sake.

mod support;

mod authn;
mod authz;
mod hub;
mod konnectivity;
mod managed_clusters;
mod replay;
mod server;
mod standalone;
mod tidy;
mod transport;

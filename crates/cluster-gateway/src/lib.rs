//! Cluster Gateway: one Kubernetes API path per cluster.
//!
//! The modules are declared in the order in which to read them. A module imports only from modules declared below it;
//! `tests/it/tidy.rs` holds that.

pub mod authn;
pub mod authz;
pub mod body;
pub mod credential;
pub mod io;
pub mod pki;
pub mod proxy;
pub mod registry;
pub mod request;
pub mod status;
pub mod transport;

//! Cluster Gateway: one Kubernetes API path per cluster.
//!
//! The modules are declared in the order in which to read them. A module imports only from modules declared below it;
//! `tests/it/tidy.rs` holds that.

pub mod cli;
pub mod serve;
pub mod config;
pub mod manage;
pub mod doctor;
pub mod inventory;
pub mod lifecycle;
pub mod server;

pub mod gateway;
pub mod api;
pub mod proxy;
pub mod renewal;
pub mod diagnosis;
pub mod health;
pub mod registry;
pub mod identity;
pub mod transport;
pub mod credential;
pub mod record;
pub mod audit;
pub mod limits;

pub mod authz;
pub mod authn;
pub mod certificate;
pub mod hub;
pub mod cache;

pub mod manifest;
pub mod status;
pub mod request;
pub mod body;
pub mod keepalive;
pub mod issuer;
pub mod pki;
pub mod io;

//! Real control planes for tests: etcd, kube-apiserver and a kubelet stand-in on loopback, with the gateway
//! registered as an aggregated API server and driven by the stock kubectl.
//!
//! [`ControlPlane`] is a hub or a member, [`Pods`] makes a member run commands, [`Gateway`] is the program under
//! test, [`Access`] is somebody's way to any of them. Nothing here outlives the test process, however it ends.

pub mod access;
pub mod binaries;
pub mod cli;
pub mod clients;
pub mod control_plane;
pub mod curl;
pub mod deployed;
pub mod forwarder;
pub mod gateway;
pub mod konnectivity;
pub mod kubectl;
pub mod mongodb;
pub mod pki;
pub mod pods;
pub mod postgres;
pub mod process;
pub mod proxies;
pub mod registration;
pub mod running;
pub mod scratch;
pub mod settings;
pub mod shell;
pub mod standalone;
pub mod switch;
pub mod wait;

pub use access::{Access, Credential};
pub use control_plane::ControlPlane;
pub use gateway::Gateway;
pub use pods::Pods;
pub use standalone::Standalone;

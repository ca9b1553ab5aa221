//! What both sides of Cluster Gateway's wire share: the types of `cluster.core.oam.dev/v1alpha1`, the grammar of its
//! paths, and a tower layer that sends a client's requests to one registered cluster.
//!
//! This crate opens no socket, reads no file and knows nothing of the server.

pub mod layer;
pub mod path;
pub mod v1alpha1;

pub use layer::{Cluster, ClusterLayer};
pub use path::{PathError, ProxyPath};

/// API group of everything that the gateway serves.
pub const GROUP: &str = "cluster.core.oam.dev";
/// API version within [`GROUP`].
pub const VERSION: &str = "v1alpha1";
/// Path below which the gateway's own resources stand.
pub const BASE_PATH: &str = "/apis/cluster.core.oam.dev/v1alpha1";

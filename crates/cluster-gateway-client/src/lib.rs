//! What both sides of Cluster Gateway's wire share: the types of `cluster.core.oam.dev/v1alpha1`, the grammar of its
//! paths, and a tower layer that sends a client's requests to one registered cluster.
//!
//! This crate opens no socket, reads no file and knows nothing of the server.
//!
//! # Which part do I need?
//!
//! | I have | I use |
//! |---|---|
//! | a kube-rs `Client` of the hub | `kube::ClusterGatewayExt` (feature `kube`): `hub.cluster("edge")` is a `Client` of a cluster |
//! | any other HTTP client made of tower services | [`ClusterLayer`], for one cluster or a cluster per request |
//! | code that many clusters go through | `with_cluster` (feature `task-local`): the cluster stands around the call |
//! | an HTTP client of my own, or `kubectl --raw` | [`ProxyPath`]: the path of a request in a cluster |
//! | answers of the gateway as JSON | [`v1alpha1`] |
//!
//! The name `local` and the empty name mean the hub itself, everywhere: such requests go through unchanged.
//!
//! # Through the hub, or straight to the gateway
//!
//! All of this works with a client of the hub's API server, which passes requests on to the gateway, and with a client of the
//! gateway's own address (`cluster-gateway kubeconfig --direct`). The paths are the same. Only `local` is not: at its own
//! address the gateway answers for itself, not for the hub.
//!
//! # Errors
//!
//! A gateway answers like an API server: with a `Status` whose message names the cluster. 503 with `Retry-After` means that
//! the cluster cannot be reached right now.

/// The API group as a literal, for `concat!`. It is spelled here and nowhere else: whoever builds a gateway for another
/// group changes this line, and paths, labels and annotations follow (contract rule 28).
#[macro_export]
macro_rules! group {
    () => {
        "cluster.core.oam.dev"
    };
}

/// The API version as a literal, for `concat!`.
#[macro_export]
macro_rules! version {
    () => {
        "v1alpha1"
    };
}

#[cfg(feature = "kube")]
pub mod kube;
pub mod layer;
pub mod path;
#[cfg(feature = "task-local")]
mod task;
pub mod v1alpha1;

pub use layer::{Cluster, ClusterLayer};
pub use path::{PathError, ProxyPath};
#[cfg(feature = "task-local")]
pub use task::with_cluster;

/// API group of everything that the gateway serves.
pub const GROUP: &str = group!();
/// API version within [`GROUP`].
pub const VERSION: &str = version!();
/// Path below which the gateway's own resources stand.
pub const BASE_PATH: &str = concat!("/apis/", group!(), "/", version!());

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rule_028_paths_labels_and_annotations_follow_the_group() {
        use v1alpha1::*;
        assert_eq!(BASE_PATH, format!("/apis/{GROUP}/{VERSION}"));
        for key in [
            LABEL_CREDENTIAL_TYPE,
            LABEL_ENDPOINT_TYPE,
            LABEL_CONTROL_PLANE,
            ANNOTATION_ALIAS,
            ANNOTATION_PROXY_CONFIGURATION,
            ANNOTATION_TLS_SERVER_NAME,
            ANNOTATION_INSECURE,
            ANNOTATION_EXTERNAL_ADDRESS,
        ] {
            assert_eq!(key.split_once('/').map(|(prefix, _)| prefix), Some(GROUP), "{key}");
        }
        for key in [ANNOTATION_HEALTHY, ANNOTATION_HEALTHY_REASON] {
            assert!(key.starts_with(&format!("status.{GROUP}/")), "{key}");
        }
    }
}

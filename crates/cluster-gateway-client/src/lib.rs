//! What both sides of Cluster Gateway's wire share: the types of `cluster.core.oam.dev/v1alpha1`, the grammar of its
//! paths, and a tower layer that sends a client's requests to one registered cluster.
//!
//! This crate opens no socket, reads no file and knows nothing of the server.

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

pub mod layer;
pub mod path;
pub mod v1alpha1;

pub use layer::{Cluster, ClusterLayer};
pub use path::{PathError, ProxyPath};

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
        ] {
            assert_eq!(key.split_once('/').map(|(prefix, _)| prefix), Some(GROUP), "{key}");
        }
        for key in [ANNOTATION_HEALTHY, ANNOTATION_HEALTHY_REASON] {
            assert!(key.starts_with(&format!("status.{GROUP}/")), "{key}");
        }
    }
}

//! What a source says of one cluster.

use std::sync::Arc;

use cluster_gateway_client::v1alpha1::LABEL_ENDPOINT_TYPE;
use k8s_openapi::api::core::v1::Secret;

use super::{ManagedCluster, Unusable};

/// A cluster as its source describes it: always in the shape of a Secret, whatever it was written as.
#[derive(Clone)]
pub struct Entry {
    /// The description.
    pub secret: Secret,
    /// Why the source itself knows that the cluster cannot be used.
    pub unusable: Option<Unusable>,
    /// The ManagedCluster of the same name, if it has a say.
    pub managed_cluster: Option<Arc<ManagedCluster>>,
}

impl Entry {
    /// Whether the description itself says where the cluster is. The original shows a Secret that does not as its
    /// ManagedCluster (rule 214).
    pub(super) fn names_endpoint(&self) -> bool {
        let labelled = self
            .secret
            .metadata
            .labels
            .as_ref()
            .is_some_and(|labels| labels.contains_key(LABEL_ENDPOINT_TYPE));
        let endpoint = self.secret.data.as_ref().and_then(|data| data.get("endpoint"));
        labelled || endpoint.is_some_and(|endpoint| !endpoint.0.is_empty())
    }
}

impl From<Secret> for Entry {
    fn from(secret: Secret) -> Self {
        Self { secret, unusable: None, managed_cluster: None }
    }
}

impl std::fmt::Debug for Entry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Entry")
            .field("name", &self.secret.metadata.name)
            .field("unusable", &self.unusable)
            .finish_non_exhaustive()
    }
}

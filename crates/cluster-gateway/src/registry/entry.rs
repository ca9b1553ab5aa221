//! What a source says of one cluster.

use k8s_openapi::api::core::v1::Secret;

use super::Unusable;

/// A cluster as its source describes it: always in the shape of a Secret, whatever it was written as.
#[derive(Clone)]
pub struct Entry {
    /// The description.
    pub secret: Secret,
    /// Why the source itself knows that the cluster cannot be used.
    pub unusable: Option<Unusable>,
}

impl From<Secret> for Entry {
    fn from(secret: Secret) -> Self {
        Self { secret, unusable: None }
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

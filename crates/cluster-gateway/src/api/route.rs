//! Which of the own group's paths a request is for.

use crate::request::{ResourceTarget, Verb};

/// A path of the own group at which something is served.
#[derive(Debug, Clone, Copy)]
pub(super) enum Route {
    ClusterGateways,
    ClusterGateway,
    Health,
    Diagnosis,
    VirtualClusters,
    VirtualCluster,
}

impl Route {
    /// `None`: nothing is served there.
    pub(super) fn of(target: &ResourceTarget) -> Option<Self> {
        if target.trailing || !target.namespace.is_empty() || target.special {
            return None;
        }
        // The name of a list is not from the path: it is what its field selector narrows it to (rule 91).
        let collection = target.name.is_empty()
            || matches!(target.verb, Verb::List | Verb::Watch | Verb::DeleteCollection);
        match (target.resource.as_str(), target.subresource.as_str(), collection) {
            ("clustergateways", "", true) => Some(Self::ClusterGateways),
            ("clustergateways", "", false) => Some(Self::ClusterGateway),
            ("clustergateways", "health", false) => Some(Self::Health),
            ("clustergateways", "diagnosis", false) => Some(Self::Diagnosis),
            ("virtualclusters", "", true) => Some(Self::VirtualClusters),
            ("virtualclusters", "", false) => Some(Self::VirtualCluster),
            _ => None,
        }
    }
}

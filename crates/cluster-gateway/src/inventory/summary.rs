//! One cluster in few words.

use std::collections::BTreeMap;

use cluster_gateway_client::v1alpha1::{ClusterGateway, VirtualCluster};
use serde::Serialize;

use crate::api;
use crate::registry::Cluster;

/// Whether a cluster is known to work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Health {
    /// The last probe succeeded, or it is the hub itself, which has just answered.
    Healthy,
    /// It does not work, and why is known.
    Unhealthy,
    /// Nobody has looked, or nobody tells.
    Unknown,
}

impl Health {
    /// The spelling in tables and documents.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Healthy => "Healthy",
            Self::Unhealthy => "Unhealthy",
            Self::Unknown => "Unknown",
        }
    }
}

/// What there is to say of a cluster in a list. Holds no key material.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    /// Name; `local` is the hub itself.
    pub name: String,
    /// Name for people; empty: none.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub alias: String,
    /// Kind of credential as its label says it, `Internal` for the hub itself, or `ManagedCluster` for a cluster of Open
    /// Cluster Management without a Secret.
    pub credential_type: String,
    /// URL, `ClusterProxy`, or `-` where there is none to show.
    pub endpoint: String,
    /// Whether the hub accepts it.
    pub accepted: bool,
    /// Whether it is known to work.
    pub health: Health,
    /// Why it is as healthy as it is, or why it cannot be used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// When its credential ends, RFC 3339; absent when it does not say.
    #[serde(rename = "credentialNotAfter", skip_serializing_if = "Option::is_none")]
    pub credential_not_after: Option<String>,
    /// Labels without the gateway's own.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// When it was registered, RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub creation_timestamp: Option<String>,
}

impl Summary {
    /// Of what the gateway shows. Without a ClusterGateway it is the hub itself, or has no Secret.
    #[must_use]
    pub fn of(shown: VirtualCluster, gateway: Option<&ClusterGateway>) -> Self {
        let own = |key: &str| key.starts_with(cluster_gateway_client::GROUP);
        let is_hub = shown.spec.credential_type == "Internal";
        let (health, reason) = match gateway.map(|gateway| &gateway.status) {
            None if is_hub => (Health::Healthy, None),
            None => (Health::Unknown, None),
            Some(status) => {
                let reason = status.healthy_reason.clone().filter(|reason| !reason.is_empty());
                let health = match (&reason, status.healthy) {
                    (_, true) => Health::Healthy,
                    (Some(_), false) => Health::Unhealthy,
                    // What a gateway shows that does not look after its clusters.
                    (None, false) => Health::Unknown,
                };
                (health, reason)
            }
        };
        let credential = gateway.and_then(|gateway| gateway.spec.access.credential.as_ref());
        Self {
            name: shown.metadata.name,
            alias: shown.spec.alias,
            credential_type: shown.spec.credential_type,
            endpoint: shown.spec.endpoint,
            accepted: shown.spec.accepted,
            health,
            reason,
            credential_not_after: credential.and_then(|credential| credential.not_after.clone()),
            labels: shown.metadata.labels.into_iter().filter(|(key, _)| !own(key)).collect(),
            creation_timestamp: shown.metadata.creation_timestamp,
        }
    }

    /// Of a cluster that was read here, as a gateway would show it.
    pub(super) fn read(cluster: &Cluster) -> Option<Self> {
        let (shown, gateway) = api::described(cluster)?;
        Some(Self::of(shown, gateway.as_ref()))
    }
}

//! One cluster: what is shown of it, and what is needed to reach it.

use std::collections::BTreeMap;
use std::sync::Arc;

use cluster_gateway_client::v1alpha1::{CredentialType, EndpointType};

use super::{ManagedCluster, Upstream};
use crate::credential::CredentialFacts;
use crate::identity::{RuleError, Rules};
use crate::limits::InFlight;
use crate::status::Error;

/// A cluster. Immutable; a change of its Secret or ManagedCluster makes a new one, which inherits the transport while
/// the connection data is equal.
#[derive(Debug, Clone)]
pub struct Cluster {
    /// Name: that of its Secret.
    pub name: String,
    /// Whether it has a Secret. Of one that has none there is only a ManagedCluster; what is said of the Secret below
    /// is then said of that, and nobody can go there.
    pub registered: bool,
    /// Labels of the Secret.
    pub labels: BTreeMap<String, String>,
    /// Annotations of the Secret.
    pub annotations: BTreeMap<String, String>,
    /// When the Secret was created, RFC 3339 with seconds.
    pub creation_timestamp: Option<String>,
    /// `uid` of the Secret.
    pub uid: String,
    /// `resourceVersion` that the source gave the Secret: equal while the Secret is.
    pub resource_version: String,
    /// `resourceVersion` that is shown, and that watches go by. The same, where the source is a hub.
    pub version: u64,
    /// Kind of credential, if the label names a known one.
    pub credential_type: Option<CredentialType>,
    /// How the cluster is reached.
    pub endpoint_type: EndpointType,
    /// Whether the Secret itself says where the cluster is, by an endpoint or by the label for its kind.
    pub names_endpoint: bool,
    /// Its ManagedCluster, if that has a say in how it is reached (rule 247) or shown (rule 214).
    pub managed_cluster: Option<Arc<ManagedCluster>>,
    /// URL of a `Const` endpoint as it stands in the Secret or ManagedCluster, without the trailing newline.
    pub address: Option<String>,
    /// CA bundle of the Secret or ManagedCluster, PEM.
    pub ca_bundle: Option<Arc<[u8]>>,
    /// Proxy on the way, as it stands in the Secret but for user and password.
    pub proxy_url: Option<String>,
    /// Identity rules of its annotation; `Err`: they cannot be understood, and why (rule 154).
    pub identity_rules: Result<Rules, RuleError>,
    /// What may be told of its credential; empty when it cannot be read.
    pub credential_facts: CredentialFacts,
    /// The way to the member, or why there is none.
    pub upstream: Result<Upstream, Unusable>,
    /// What is under way to it (rule 126); inherited, whatever changes.
    pub in_flight: Arc<InFlight>,
}

/// Why a registered cluster cannot be used, in words for its owner; never holds key material.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unusable(pub String);

impl Cluster {
    /// A cluster of which there is only a ManagedCluster.
    pub(super) fn unregistered(managed: Arc<ManagedCluster>) -> Self {
        Self {
            name: managed.name.clone(),
            registered: false,
            labels: managed.labels.clone(),
            annotations: managed.annotations.clone(),
            creation_timestamp: managed.creation_timestamp.clone(),
            uid: managed.uid.clone(),
            resource_version: managed.resource_version.clone(),
            version: 0,
            credential_type: None,
            endpoint_type: EndpointType::Const,
            names_endpoint: false,
            address: None,
            ca_bundle: None,
            proxy_url: None,
            identity_rules: Ok(Rules::default()),
            credential_facts: CredentialFacts::default(),
            upstream: Err(Unusable("there is no Secret with its credential".to_owned())),
            managed_cluster: Some(managed),
            in_flight: Arc::default(),
        }
    }

    /// Whether the hub accepts it: no only if a ManagedCluster says so (rule 248).
    #[must_use]
    pub fn accepted(&self) -> bool {
        self.managed_cluster.as_ref().is_none_or(|managed| managed.accepted())
    }

    /// The way to the member.
    ///
    /// # Errors
    /// [`Error::ClusterUnusable`] with the reason.
    pub fn upstream(&self) -> Result<&Upstream, Error> {
        self.upstream.as_ref().map_err(|Unusable(reason)| Error::ClusterUnusable {
            cluster: self.name.clone(),
            reason: reason.clone(),
        })
    }

    /// Bytes that it takes, roughly.
    pub(super) fn weight(&self) -> usize {
        let texts =
            |map: &BTreeMap<String, String>| map.iter().map(|(k, v)| k.len() + v.len() + 64).sum::<usize>();
        let certificate =
            self.upstream.as_ref().ok().and_then(|upstream| upstream.credential.client_certificate());
        size_of::<Self>()
            + texts(&self.labels)
            + texts(&self.annotations)
            + self.ca_bundle.as_ref().map_or(0, |pem| pem.len())
            + certificate.map_or(0, |certificate| 2 * certificate.pem.len())
    }
}

//! ManagedClusters of Open Cluster Management: what the gateway takes of them, and how it goes over a Secret (contract
//! rules 214, 247, 248).

use std::collections::BTreeMap;
use std::sync::Arc;

use cluster_gateway_client::v1alpha1::{EndpointType, LABEL_ENDPOINT_TYPE};
use k8s_openapi::ByteString;
use kube::core::DynamicObject;
use serde::Deserialize;

use super::{Entry, Unusable, parse};
use crate::pki;
use crate::transport::EndpointUrl;

/// API group of ManagedClusters.
pub(super) const GROUP: &str = "cluster.open-cluster-management.io";

/// Keys of a Secret that say where its cluster is.
const LOCATION: [&str; 3] = ["endpoint", "ca.crt", "ca"];
/// Those of them that hold its CA.
const CA: [&str; 2] = ["ca.crt", "ca"];
/// The field of a ManagedCluster that says so.
const FIELD: &str = "spec.managedClusterClientConfigs";

/// A ManagedCluster (`cluster.open-cluster-management.io/v1`), without what the gateway does not use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManagedCluster {
    /// Name: that of its cluster, and of the Secret that holds the credential.
    pub name: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Those of its annotations that belong to this API or to KubeVela.
    pub annotations: BTreeMap<String, String>,
    /// When it was created, RFC 3339 with seconds.
    pub creation_timestamp: Option<String>,
    /// Its `uid`.
    pub uid: String,
    /// Its `resourceVersion` when anything that stands here changed last: its status changes all the time.
    pub resource_version: String,
    /// Its specification, or why that cannot be understood.
    pub spec: Result<ManagedClusterSpec, Unusable>,
}

/// The part of a ManagedCluster's specification that the gateway uses.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ManagedClusterSpec {
    /// Whether the hub's administrator lets the cluster join. Default: no.
    #[serde(default, deserialize_with = "null_is_default")]
    pub hub_accepts_client: bool,
    /// Addresses of its API server; the first one counts (rule 247).
    #[serde(default, rename = "managedClusterClientConfigs", deserialize_with = "null_is_default")]
    pub client_configs: Vec<ClientConfig>,
}

/// One address of a managed cluster's API server.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct ClientConfig {
    /// `https://HOST[:PORT][/PATH]`.
    #[serde(default, deserialize_with = "null_is_default")]
    pub url: String,
    /// CA bundle of its serving certificate, PEM; empty: the system's roots.
    #[serde(default, rename = "caBundle", deserialize_with = "base64")]
    pub ca_bundle: Arc<[u8]>,
}

impl ManagedCluster {
    /// Reads an object of the hub. It always makes a ManagedCluster; one that cannot be understood says why.
    #[must_use]
    pub fn read(object: DynamicObject) -> Self {
        let DynamicObject { metadata, mut data, .. } = object;
        let name = metadata.name.unwrap_or_default();
        let spec = data.get_mut("spec").map(serde_json::Value::take).unwrap_or_default();
        Self {
            spec: serde_json::from_value(spec).map_err(|error| not_understood(&name, &error)),
            name,
            labels: metadata.labels.unwrap_or_default(),
            annotations: parse::own(metadata.annotations.unwrap_or_default()),
            creation_timestamp: metadata.creation_timestamp.map(|time| time.0.to_string()),
            uid: metadata.uid.unwrap_or_default(),
            resource_version: metadata.resource_version.unwrap_or_default(),
        }
    }

    /// Whether the hub accepts it. One that cannot be understood is not accepted.
    #[must_use]
    pub fn accepted(&self) -> bool {
        self.spec.as_ref().is_ok_and(|spec| spec.hub_accepts_client)
    }

    /// Whether it names an address: without one it is no virtual cluster (rule 214).
    #[must_use]
    pub fn has_address(&self) -> bool {
        self.spec.as_ref().is_ok_and(|spec| !spec.client_configs.is_empty())
    }

    /// Whether nothing but the version differs.
    pub(super) fn says_the_same(&self, other: &Self) -> bool {
        self.spec == other.spec
            && self.uid == other.uid
            && self.labels == other.labels
            && self.annotations == other.annotations
            && self.creation_timestamp == other.creation_timestamp
    }

    /// Lays endpoint and CA over those of the Secret of the same name. The Secret's own count for nothing, not even
    /// where the ManagedCluster names none: its CA belongs to another endpoint, and the original does not look at them.
    pub(super) fn merge(&self, mut entry: Entry) -> Entry {
        if let Err(unusable) = self.lay_over(&mut entry) {
            entry.unusable.get_or_insert(unusable);
        }
        entry
    }

    fn lay_over(&self, entry: &mut Entry) -> Result<(), Unusable> {
        let labels = entry.secret.metadata.labels.as_ref();
        let kind = labels.and_then(|labels| labels.get(LABEL_ENDPOINT_TYPE)).map(String::as_str);
        let tunnelled = kind.and_then(EndpointType::parse) == Some(EndpointType::ClusterProxy);
        let data = entry.secret.data.get_or_insert_default();
        if !tunnelled {
            data.retain(|key, _| !LOCATION.contains(&key.as_str()));
        }
        let spec = self.spec.as_ref().map_err(Clone::clone)?;
        let config = spec.client_configs.first();
        // The agent leads to the same API server, whatever its address; the Secret may know its CA better (rule 244).
        let lends_ca = !tunnelled || !CA.iter().any(|key| data.contains_key(*key));
        if let Some(config) = config {
            if !tunnelled {
                data.insert("endpoint".to_owned(), ByteString(config.url.clone().into_bytes()));
            }
            if lends_ca {
                data.insert("ca.crt".to_owned(), ByteString(config.ca_bundle.to_vec()));
            }
        }
        if !spec.hub_accepts_client {
            return Err(self.unusable("spec.hubAcceptsClient is false: the hub does not accept this cluster; set it to true if it should"));
        }
        if !tunnelled {
            self.check_address(config)?;
        }
        config.filter(|_| lends_ca).map_or(Ok(()), |config| self.check_ca(config))
    }

    fn check_address(&self, config: Option<&ClientConfig>) -> Result<(), Unusable> {
        let Some(config) = config.filter(|config| !config.url.is_empty()) else {
            // The original's words at the end: somebody may look for them.
            return Err(self.unusable(&format!(
                "{FIELD}[0].url is missing; expected https://HOST[:PORT] (missing label key: api-endpoint)"
            )));
        };
        EndpointUrl::parse(&config.url)
            .map(drop)
            .map_err(|error| self.unusable(&format!("{FIELD}[0].url: {error}")))
    }

    fn check_ca(&self, config: &ClientConfig) -> Result<(), Unusable> {
        if config.ca_bundle.is_empty() {
            return Ok(());
        }
        pki::certificates(&config.ca_bundle)
            .map(drop)
            .map_err(|error| self.unusable(&format!("{FIELD}[0].caBundle {error}")))
    }

    fn unusable(&self, reason: &str) -> Unusable {
        Unusable(format!("ManagedCluster {}: {reason}", self.name))
    }
}

fn not_understood(name: &str, error: &serde_json::Error) -> Unusable {
    let error: String = error.to_string().escape_debug().take(200).collect();
    Unusable(format!("ManagedCluster {name}: spec is not understood: {error}"))
}

fn null_is_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

fn base64<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Arc<[u8]>, D::Error> {
    ByteString::deserialize(deserializer).map(|ByteString(bytes)| bytes.into())
}

//! VelaUX' models, with its names, its nulls, and what is always there.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::resources::ResourceInfo;
use crate::manage::store::{Provider, Record};

/// The body of create and of modify. It may hold a credential, which `Debug` does not show.
#[derive(Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct CreateCluster {
    #[serde(deserialize_with = "or_default")]
    pub(super) name: String,
    #[serde(deserialize_with = "or_default")]
    pub(super) alias: String,
    #[serde(deserialize_with = "or_default")]
    pub(super) description: String,
    #[serde(deserialize_with = "or_default")]
    pub(super) icon: String,
    #[serde(deserialize_with = "or_default")]
    pub(super) kube_config: String,
    #[serde(deserialize_with = "or_default")]
    pub(super) kube_config_secret: String,
    #[serde(deserialize_with = "or_default")]
    pub(super) labels: BTreeMap<String, String>,
    #[serde(rename = "dashboardURL", deserialize_with = "or_default")]
    pub(super) dashboard_url: String,
    /// Ours: says again what the kubeconfig says, that the cluster is not verified.
    #[serde(rename = "insecureSkipTLSVerify", deserialize_with = "or_default")]
    pub(super) insecure_skip_tls_verify: bool,
}

impl fmt::Debug for CreateCluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CreateCluster").field("name", &self.name).finish_non_exhaustive()
    }
}

/// The body of the route that makes a namespace.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct CreateNamespace {
    #[serde(deserialize_with = "or_default")]
    pub(super) namespace: String,
}

/// What has become of a namespace.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct NamespaceCreated {
    /// Whether it was there already.
    pub(super) exists: bool,
}

/// ClusterBase.
#[derive(Debug, Clone)]
pub(super) struct ClusterBase(pub(super) Record);

/// ListCluster.
#[derive(Debug, Clone, Serialize)]
pub(super) struct ListCluster {
    pub(super) clusters: Vec<ClusterBase>,
    /// Of all clusters, whatever was asked for.
    pub(super) total: usize,
}

/// DetailCluster.
#[derive(Debug, Clone)]
pub(super) struct DetailCluster {
    pub(super) record: Record,
    /// In place of the member's credential.
    pub(super) kube_config: String,
    pub(super) resource_info: ResourceInfo,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct BaseFields<'a> {
    name: &'a str,
    alias: &'a str,
    description: &'a str,
    icon: &'a str,
    #[serde(serialize_with = "or_null")]
    labels: &'a BTreeMap<String, String>,
    provider_info: &'a Provider,
    #[serde(rename = "apiServerURL")]
    api_server_url: &'a str,
    #[serde(rename = "dashboardURL")]
    dashboard_url: &'a str,
    status: &'a str,
    reason: &'a str,
}

impl Serialize for ClusterBase {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let Self(record) = self;
        BaseFields {
            name: &record.name,
            alias: &record.alias,
            description: &record.description,
            icon: &record.icon,
            labels: &record.labels,
            provider_info: &record.provider,
            api_server_url: &record.api_server_url,
            dashboard_url: &record.dashboard_url,
            status: record.status.as_str(),
            reason: &record.reason,
        }
        .serialize(to)
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct DetailFields<'a> {
    create_time: String,
    update_time: String,
    name: &'a str,
    alias: &'a str,
    description: &'a str,
    icon: &'a str,
    #[serde(serialize_with = "or_null")]
    labels: &'a BTreeMap<String, String>,
    status: &'a str,
    reason: &'a str,
    provider: &'a Provider,
    #[serde(rename = "apiServerURL")]
    api_server_url: &'a str,
    #[serde(rename = "dashboardURL")]
    dashboard_url: &'a str,
    kube_config: &'a str,
    kube_config_secret: &'a str,
    resource_info: &'a ResourceInfo,
}

impl Serialize for DetailCluster {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let Self { record, kube_config, resource_info } = self;
        DetailFields {
            create_time: timestamp(record.create_time),
            update_time: timestamp(record.update_time),
            name: &record.name,
            alias: &record.alias,
            description: &record.description,
            icon: &record.icon,
            labels: &record.labels,
            status: record.status.as_str(),
            reason: &record.reason,
            provider: &record.provider,
            api_server_url: &record.api_server_url,
            dashboard_url: &record.dashboard_url,
            kube_config,
            kube_config_secret: &record.kube_config_secret,
            resource_info,
        }
        .serialize(to)
    }
}

fn timestamp(time: OffsetDateTime) -> String {
    time.format(&Rfc3339).unwrap_or_default()
}

/// Null is empty, as Go reads it.
fn or_default<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(from: D) -> Result<T, D::Error> {
    Option::deserialize(from).map(Option::unwrap_or_default)
}

/// An empty map is null, as Go writes a map that nobody has made.
fn or_null<S: Serializer>(labels: &&BTreeMap<String, String>, to: S) -> Result<S::Ok, S::Error> {
    Some(labels).filter(|labels| !labels.is_empty()).serialize(to)
}

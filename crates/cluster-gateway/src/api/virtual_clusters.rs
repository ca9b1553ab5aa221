//! `virtualclusters`: the hub itself and every registered cluster, as KubeVela sees them (contract rules 204, 214, 215,
//! 217).

use std::collections::BTreeMap;
use std::sync::Arc;

use cluster_gateway_client::GROUP;
use cluster_gateway_client::v1alpha1::{
    ANNOTATION_ALIAS, LABEL_CONTROL_PLANE, LABEL_CREDENTIAL_TYPE, Metadata, VirtualCluster,
    VirtualClusterSpec,
};
use serde_json::Value;
use time::OffsetDateTime;

use super::cluster_gateways::without_userinfo;
use super::discovery::group_version;
use super::object::{Kind, Object, Resource};
use super::selector::LabelSelector;
use super::table::Column;
use super::uid::uid;
use crate::registry::Cluster;

/// Name of the hub itself. A Secret of this name is not shown: it would be a second object of the same name.
const LOCAL: &str = "local";
/// Endpoint of a cluster that has none to show.
const NO_ENDPOINT: &str = "-";
/// Version of the hub's own object, which never changes: older than any other.
const LOCAL_VERSION: u64 = 1;

const KIND: Kind = Kind {
    one: "VirtualCluster",
    resource: "virtualclusters",
    list: "VirtualClusterList",
    columns: &[
        Column { format: "name", ..column("Name", "the name of the cluster") },
        column("Alias", "the cluster provider type"),
        column("Credential_Type", "the credential type"),
        column("Endpoint", "the endpoint"),
        Column { column_type: "boolean", ..column("Accepted", "the acceptance of the cluster") },
        column("Labels", "the labels of the cluster"),
        Column {
            column_type: "dateTime",
            priority: 10,
            ..column("Creation_Timestamp", "the creation timestamp of the cluster")
        },
    ],
    typed_items: true,
    protobuf: [
        "object *v1alpha1.VirtualCluster does not implement the protobuf marshalling interface and cannot be encoded \
         to a protobuf message",
        "object *v1alpha1.VirtualClusterList does not implement the protobuf marshalling interface and cannot be \
         encoded to a protobuf message",
    ],
    partial: [
        "you requested PartialObjectMetadata, but the requested object is a list (*v1alpha1.VirtualClusterList)",
        "you requested PartialObjectMetadataList, but the requested object is not a list (*v1alpha1.VirtualCluster)",
    ],
};

const fn column(name: &'static str, description: &'static str) -> Column {
    Column { name, column_type: "string", format: "", description, priority: 0 }
}

/// The resource.
#[derive(Debug, Clone, Copy)]
pub(super) struct VirtualClusters;

/// The hub itself, or a registered cluster.
pub(super) enum Virtual<'a> {
    Local,
    Member(&'a Cluster, u64),
}

impl Resource for VirtualClusters {
    const KIND: &'static Kind = &KIND;
    type Object<'a> = Virtual<'a>;

    fn constant<'a>(self) -> Option<Virtual<'a>> {
        Some(Virtual::Local)
    }

    fn object<'a>(self, cluster: &'a Cluster, version: u64) -> Option<Virtual<'a>> {
        (cluster.name != LOCAL).then_some(Virtual::Member(cluster, version))
    }

    /// The newest first. RFC 3339 in UTC sorts as text. The sort is stable, so clusters of one second stay sorted by
    /// name.
    fn sort(self, clusters: &mut [&Arc<Cluster>]) {
        clusters.sort_by(|a, b| b.creation_timestamp.cmp(&a.creation_timestamp));
    }
}

impl Object for Virtual<'_> {
    type Shown = VirtualCluster;

    fn name(&self) -> &str {
        match self {
            Self::Local => LOCAL,
            Self::Member(cluster, _) => &cluster.name,
        }
    }

    fn selected_by(&self, labels: &LabelSelector) -> bool {
        labels.is_empty() || labels.matches(&self.labels())
    }

    fn metadata(&self) -> Metadata {
        let (version, uid, created) = match self {
            Self::Local => (LOCAL_VERSION, uid(KIND.resource, LOCAL), None),
            Self::Member(cluster, version) => {
                (*version, uid(KIND.resource, &cluster.uid), cluster.creation_timestamp.clone())
            }
        };
        Metadata {
            name: self.name().to_owned(),
            uid,
            resource_version: Some(version.to_string()),
            creation_timestamp: created,
            labels: self.labels(),
        }
    }

    fn cells(&self, _: OffsetDateTime) -> Vec<Value> {
        let Metadata { name, labels, creation_timestamp, .. } = self.metadata();
        let labels: Vec<_> = labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
        let spec = self.spec();
        vec![
            name.into(),
            spec.alias.into(),
            spec.credential_type.into(),
            spec.endpoint.into(),
            spec.accepted.into(),
            labels.join(",").into(),
            creation_timestamp.into(),
        ]
    }

    fn show(&self, typed: bool) -> VirtualCluster {
        VirtualCluster {
            kind: typed.then(|| KIND.one.to_owned()),
            api_version: typed.then(group_version),
            metadata: self.metadata(),
            spec: self.spec(),
        }
    }

    fn place(&self) -> String {
        match self {
            Self::Local => String::new(),
            Self::Member(cluster, _) => format!("{}/{}", created(cluster), cluster.name),
        }
    }

    fn is_behind(&self, place: &str) -> bool {
        let Self::Member(cluster, _) = self else { return false };
        // Behind `local`, everything is.
        place
            .split_once('/')
            .is_none_or(|(time, name)| (time, cluster.name.as_str()) > (created(cluster), name))
    }
}

impl Virtual<'_> {
    fn labels(&self) -> BTreeMap<String, String> {
        let Self::Member(cluster, _) = self else {
            return BTreeMap::from([(LABEL_CONTROL_PLANE.to_owned(), "true".to_owned())]);
        };
        let own = cluster.labels.iter().filter(|(key, _)| !key.starts_with(GROUP));
        let mut labels: BTreeMap<_, _> = own.map(|(key, value)| (key.clone(), value.clone())).collect();
        labels.insert(LABEL_CONTROL_PLANE.to_owned(), "false".to_owned());
        labels
    }

    fn spec(&self) -> VirtualClusterSpec {
        let Self::Member(cluster, _) = self else {
            return VirtualClusterSpec {
                alias: String::new(),
                accepted: true,
                endpoint: NO_ENDPOINT.to_owned(),
                credential_type: "Internal".to_owned(),
            };
        };
        VirtualClusterSpec {
            alias: cluster.annotations.get(ANNOTATION_ALIAS).cloned().unwrap_or_default(),
            accepted: true,
            endpoint: cluster.address.as_deref().map_or_else(|| NO_ENDPOINT.to_owned(), without_userinfo),
            credential_type: cluster.labels.get(LABEL_CREDENTIAL_TYPE).cloned().unwrap_or_default(),
        }
    }
}

fn created(cluster: &Cluster) -> &str {
    cluster.creation_timestamp.as_deref().unwrap_or_default()
}

//! `virtualclusters`: the hub itself, every registered cluster and every ManagedCluster, as KubeVela sees them (contract
//! rules 204, 214, 215, 217).

use std::collections::BTreeMap;
use std::sync::Arc;

use cluster_gateway_client::GROUP;
use cluster_gateway_client::v1alpha1::{
    ANNOTATION_ALIAS, EndpointType, LABEL_CONTROL_PLANE, LABEL_CREDENTIAL_TYPE, Metadata, VirtualCluster,
    VirtualClusterSpec,
};
use time::OffsetDateTime;

use super::cluster_gateways::without_userinfo;
use super::discovery::group_version;
use super::object::{Kind, Object, Resource};
use super::selector::LabelSelector;
use super::table::{Cell, Column};
use super::uid::uid;
use crate::registry::{Cluster, ManagedCluster};

/// Name of the hub itself. A Secret of this name is not shown: it would be a second object of the same name.
const LOCAL: &str = "local";
/// Credential type of a cluster whose credential the gateway does not have.
const MANAGED_CLUSTER: &str = "ManagedCluster";
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
pub(super) struct VirtualClusters {
    /// Whether lists and watches show the hub itself.
    pub(super) list_control_plane: bool,
}

/// The hub itself, or a cluster: as its Secret describes it, or its ManagedCluster.
pub(super) enum Virtual<'a> {
    Local,
    Registered(&'a Cluster, u64),
    Managed(&'a Cluster, &'a ManagedCluster, u64),
}

impl Resource for VirtualClusters {
    const KIND: &'static Kind = &KIND;
    type Object<'a> = Virtual<'a>;

    fn constant<'a>(self) -> Option<Virtual<'a>> {
        Some(Virtual::Local)
    }

    fn is_listed(self) -> bool {
        self.list_control_plane
    }

    fn object<'a>(self, cluster: &'a Cluster, version: u64) -> Option<Virtual<'a>> {
        (cluster.name != LOCAL).then(|| Virtual::of(cluster, version))
    }

    /// The newest first. RFC 3339 in UTC sorts as text. The sort is stable, so clusters of one second stay sorted by
    /// name.
    fn sort(self, clusters: &mut [&Arc<Cluster>]) {
        clusters.sort_by(|a, b| Virtual::of(b, 0).created().cmp(Virtual::of(a, 0).created()));
    }
}

impl Object for Virtual<'_> {
    type Shown = VirtualCluster;

    fn name(&self) -> &str {
        match self {
            Self::Local => LOCAL,
            Self::Registered(cluster, _) | Self::Managed(cluster, ..) => &cluster.name,
        }
    }

    fn selected_by(&self, labels: &LabelSelector) -> bool {
        labels.is_empty() || labels.matches(&self.labels())
    }

    fn metadata(&self) -> Metadata {
        let (version, of) = match self {
            Self::Local => (LOCAL_VERSION, LOCAL),
            Self::Registered(cluster, version) | Self::Managed(cluster, _, version) => {
                (*version, cluster.uid.as_str())
            }
        };
        Metadata {
            name: self.name().to_owned(),
            uid: uid(KIND.resource, of),
            resource_version: Some(version.to_string()),
            creation_timestamp: Some(self.created().to_owned()).filter(|created| !created.is_empty()),
            labels: self.labels(),
        }
    }

    fn cells(&self, _: OffsetDateTime) -> Vec<Cell<'_>> {
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
            creation_timestamp.map_or(Cell::Null, Cell::from),
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
            _ => format!("{}/{}", self.created(), self.name()),
        }
    }

    fn is_behind(&self, place: &str) -> bool {
        if matches!(self, Self::Local) {
            return false;
        }
        // Behind `local`, everything is.
        place.split_once('/').is_none_or(|(time, name)| (time, self.name()) > (self.created(), name))
    }
}

impl<'a> Virtual<'a> {
    /// Before a Secret that does not say where the cluster is, the original goes by the ManagedCluster.
    fn of(cluster: &'a Cluster, version: u64) -> Self {
        match &cluster.managed_cluster {
            Some(managed) if !cluster.names_endpoint && managed.has_address() => {
                Self::Managed(cluster, managed, version)
            }
            _ => Self::Registered(cluster, version),
        }
    }

    /// When it was created; empty: unknown.
    fn created(&self) -> &str {
        let created = match self {
            Self::Local => None,
            Self::Registered(cluster, _) => cluster.creation_timestamp.as_deref(),
            Self::Managed(_, managed, _) => managed.creation_timestamp.as_deref(),
        };
        created.unwrap_or_default()
    }

    fn labels(&self) -> BTreeMap<String, String> {
        let raw = match self {
            Self::Local => return BTreeMap::from([(LABEL_CONTROL_PLANE.to_owned(), "true".to_owned())]),
            Self::Registered(cluster, _) => &cluster.labels,
            Self::Managed(_, managed, _) => &managed.labels,
        };
        let own = raw.iter().filter(|(key, _)| !key.starts_with(GROUP));
        let mut labels: BTreeMap<_, _> = own.map(|(key, value)| (key.clone(), value.clone())).collect();
        labels.insert(LABEL_CONTROL_PLANE.to_owned(), "false".to_owned());
        labels
    }

    fn spec(&self) -> VirtualClusterSpec {
        let alias = |of: &BTreeMap<String, String>| of.get(ANNOTATION_ALIAS).cloned().unwrap_or_default();
        match self {
            Self::Local => VirtualClusterSpec {
                alias: String::new(),
                accepted: true,
                endpoint: NO_ENDPOINT.to_owned(),
                credential_type: "Internal".to_owned(),
            },
            Self::Registered(cluster, _) => VirtualClusterSpec {
                alias: alias(&cluster.annotations),
                accepted: cluster.accepted(),
                endpoint: endpoint(cluster),
                credential_type: cluster.labels.get(LABEL_CREDENTIAL_TYPE).cloned().unwrap_or_default(),
            },
            Self::Managed(_, managed, _) => VirtualClusterSpec {
                alias: alias(&managed.annotations),
                accepted: managed.accepted(),
                endpoint: NO_ENDPOINT.to_owned(),
                credential_type: MANAGED_CLUSTER.to_owned(),
            },
        }
    }
}

fn endpoint(cluster: &Cluster) -> String {
    match &cluster.address {
        _ if cluster.endpoint_type == EndpointType::ClusterProxy => cluster.endpoint_type.as_str().to_owned(),
        Some(address) => without_userinfo(address).into_owned(),
        None => NO_ENDPOINT.to_owned(),
    }
}

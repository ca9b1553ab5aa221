//! `virtualclusters`: the hub itself, every registered cluster and every ManagedCluster, as KubeVela sees them (contract
//! rules 204, 214, 215, 217).

use std::cmp::Reverse;
use std::collections::BTreeMap;

use cluster_gateway_client::GROUP;
use cluster_gateway_client::v1alpha1::{
    ANNOTATION_ALIAS, EndpointType, LABEL_CONTROL_PLANE, LABEL_CREDENTIAL_TYPE, Metadata, VirtualCluster,
    VirtualClusterSpec,
};
use http::Response;
use http::request::Parts;
use serde_json::Value;

use super::Api;
use super::cluster_gateways::without_userinfo;
use super::discovery::group_version;
use super::object::{self, Kind, Object};
use super::table::Column;
use crate::body::Body;
use crate::registry::{Cluster, ManagedCluster, Snapshot};
use crate::request::ResourceTarget;
use crate::status::Error;

/// Name of the hub itself. A Secret of this name is not shown: it would be a second object of the same name.
const LOCAL: &str = "local";
/// Credential type of a cluster whose credential the gateway does not have.
const MANAGED_CLUSTER: &str = "ManagedCluster";
/// Endpoint of a cluster that has none to show.
const NO_ENDPOINT: &str = "-";

const KIND: Kind = Kind {
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

/// GET of one.
pub(super) fn get(api: &Api, name: &str, parts: &Parts) -> Result<Response<Body>, Error> {
    object::get(parts, || {
        if name == LOCAL {
            return Ok(local());
        }
        let snapshot = api.snapshot()?;
        let not_found = || Error::NotFound { resource: KIND.resource, name: name.to_owned() };
        Ok(virtual_cluster(snapshot.get_virtual(name).ok_or_else(not_found)?))
    })
}

/// GET of all: `local`, then the newest first.
pub(super) fn list(api: &Api, target: &ResourceTarget, parts: &Parts) -> Result<Response<Body>, Error> {
    object::list(target, parts, |options| {
        let mut clusters = all(&*api.snapshot()?, api.list_control_plane);
        clusters.retain(|cluster| options.labels.matches(&cluster.metadata.labels));
        Ok(clusters)
    })
}

fn all(snapshot: &Snapshot, with_control_plane: bool) -> Vec<VirtualCluster> {
    let mut clusters: Vec<_> = snapshot
        .iter_virtual()
        .filter(|cluster| cluster.name != LOCAL)
        .map(|cluster| virtual_cluster(cluster))
        .collect();
    // RFC 3339 in UTC sorts as text. The sort is stable, so clusters of one second stay sorted by name.
    clusters.sort_by_key(|cluster| Reverse(cluster.metadata.creation_timestamp.clone()));
    with_control_plane.then(local).into_iter().chain(clusters).collect()
}

fn local() -> VirtualCluster {
    VirtualCluster {
        kind: None,
        api_version: None,
        metadata: Metadata {
            name: LOCAL.to_owned(),
            labels: BTreeMap::from([(LABEL_CONTROL_PLANE.to_owned(), "true".to_owned())]),
            ..Metadata::default()
        },
        spec: VirtualClusterSpec {
            alias: String::new(),
            accepted: true,
            endpoint: NO_ENDPOINT.to_owned(),
            credential_type: "Internal".to_owned(),
        },
    }
}

fn virtual_cluster(cluster: &Cluster) -> VirtualCluster {
    match &cluster.managed_cluster {
        // Before a Secret that does not say where the cluster is, the original goes by the ManagedCluster.
        Some(managed) if !cluster.names_endpoint && managed.has_address() => of_managed_cluster(managed),
        _ => of_secret(cluster),
    }
}

fn of_secret(cluster: &Cluster) -> VirtualCluster {
    let endpoint = match &cluster.address {
        _ if cluster.endpoint_type == EndpointType::ClusterProxy => cluster.endpoint_type.as_str().to_owned(),
        Some(address) => without_userinfo(address),
        None => NO_ENDPOINT.to_owned(),
    };
    VirtualCluster {
        kind: None,
        api_version: None,
        metadata: Metadata {
            name: cluster.name.clone(),
            creation_timestamp: cluster.creation_timestamp.clone(),
            labels: labels(&cluster.labels),
        },
        spec: VirtualClusterSpec {
            alias: cluster.annotations.get(ANNOTATION_ALIAS).cloned().unwrap_or_default(),
            accepted: cluster.accepted(),
            endpoint,
            credential_type: cluster.labels.get(LABEL_CREDENTIAL_TYPE).cloned().unwrap_or_default(),
        },
    }
}

fn of_managed_cluster(managed: &ManagedCluster) -> VirtualCluster {
    VirtualCluster {
        kind: None,
        api_version: None,
        metadata: Metadata {
            name: managed.name.clone(),
            creation_timestamp: managed.creation_timestamp.clone(),
            labels: labels(&managed.labels),
        },
        spec: VirtualClusterSpec {
            alias: managed.annotations.get(ANNOTATION_ALIAS).cloned().unwrap_or_default(),
            accepted: managed.accepted(),
            endpoint: NO_ENDPOINT.to_owned(),
            credential_type: MANAGED_CLUSTER.to_owned(),
        },
    }
}

fn labels(raw: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let own = raw.iter().filter(|(key, _)| !key.starts_with(GROUP));
    let mut labels: BTreeMap<_, _> = own.map(|(key, value)| (key.clone(), value.clone())).collect();
    labels.insert(LABEL_CONTROL_PLANE.to_owned(), "false".to_owned());
    labels
}

impl Object for VirtualCluster {
    const KIND: &'static Kind = &KIND;

    fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    fn cells(&self) -> Vec<Value> {
        let labels: Vec<_> =
            self.metadata.labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
        vec![
            self.metadata.name.as_str().into(),
            self.spec.alias.as_str().into(),
            self.spec.credential_type.as_str().into(),
            self.spec.endpoint.as_str().into(),
            self.spec.accepted.into(),
            labels.join(",").into(),
            self.metadata.creation_timestamp.clone().into(),
        ]
    }

    fn typed(self) -> Self {
        Self { kind: Some("VirtualCluster".to_owned()), api_version: Some(group_version()), ..self }
    }
}

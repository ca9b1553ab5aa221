//! The objects of one cluster, for those who read the clusters without a server.

use cluster_gateway_client::v1alpha1::{ClusterGateway, VirtualCluster};

use super::cluster_gateways::{ClusterGateways, without_userinfo};
use super::object::{Object, Resource};
use super::virtual_clusters::VirtualClusters;
use crate::registry::Cluster;

/// What both resources show of a cluster. `None`: it has a name that is not shown (rule 214); no ClusterGateway: it has no
/// Secret.
#[must_use]
pub fn described(cluster: &Cluster) -> Option<(VirtualCluster, Option<ClusterGateway>)> {
    let shown = VirtualClusters { list_control_plane: true }.object(cluster, cluster.version)?.show(false);
    let gateways = ClusterGateways { healthiness_check: true };
    Some((shown, gateways.object(cluster, cluster.version).map(|gateway| gateway.show(false))))
}

/// The address of a cluster as it may be shown: without user name and password. `None`: it has none of its own.
#[must_use]
pub fn shown_address(cluster: &Cluster) -> Option<String> {
    cluster.address.as_deref().map(|address| without_userinfo(address).into_owned())
}

//! For programs that use [kube-rs](https://kube.rs): clients of clusters, and the gateway's own resources as types.
//!
//! ```no_run
//! use cluster_gateway_client::kube::{ClusterGateway, ClusterGatewayExt};
//! use k8s_openapi::api::core::v1::Pod;
//! use kube::api::{Api, ListParams};
//!
//! # async fn doc() -> kube::Result<()> {
//! let hub = kube::Client::try_default().await?;
//!
//! // The pods of one cluster.
//! let pods: Api<Pod> = Api::default_namespaced(hub.cluster("edge"));
//! pods.list(&ListParams::default()).await?;
//!
//! // Which clusters there are.
//! let clusters: Api<ClusterGateway> = Api::all(hub);
//! for cluster in clusters.list(&ListParams::default()).await? {
//!     println!("{:?} is healthy: {}", cluster.metadata.name, cluster.status.healthy);
//! }
//! # Ok(())
//! # }
//! ```
//!
//! Your program must choose the Kubernetes version of `k8s-openapi` by a feature, as always with kube-rs.

use std::borrow::Cow;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use http::{Request, Response};
use k8s_openapi::ClusterResourceScope;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::client::Body;
use kube::{Client, Resource};
use serde::{Deserialize, Serialize};

use crate::layer::direct;
use crate::v1alpha1::{ClusterGatewaySpec, ClusterGatewayStatus, VirtualClusterSpec};
use crate::{Cluster, GROUP, VERSION};

/// A registered cluster, as a kube-rs resource: `Api::<ClusterGateway>::all(hub)`.
///
/// It can be read, listed and watched, and its health recorded (`…/health`); it is made by a Secret, never by `create`. It
/// never carries key material.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ClusterGateway {
    /// Name, age, version.
    #[serde(default)]
    pub metadata: ObjectMeta,
    /// How the cluster is reached.
    pub spec: ClusterGatewaySpec,
    /// What is known of its health.
    #[serde(default)]
    pub status: ClusterGatewayStatus,
}

/// A cluster as KubeVela sees it, the hub itself (`local`) included: `Api::<VirtualCluster>::all(hub)`. Its labels are those
/// that selectors apply to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct VirtualCluster {
    /// Name, age, labels, version.
    #[serde(default)]
    pub metadata: ObjectMeta,
    /// What is known of it.
    #[serde(default)]
    pub spec: VirtualClusterSpec,
}

macro_rules! resource {
    ($kind:ident, $one:literal, $plural:literal) => {
        impl Resource for $kind {
            type DynamicType = ();
            type Scope = ClusterResourceScope;

            fn kind((): &()) -> Cow<'_, str> {
                $one.into()
            }

            fn group((): &()) -> Cow<'_, str> {
                GROUP.into()
            }

            fn version((): &()) -> Cow<'_, str> {
                VERSION.into()
            }

            fn plural((): &()) -> Cow<'_, str> {
                $plural.into()
            }

            fn meta(&self) -> &ObjectMeta {
                &self.metadata
            }

            fn meta_mut(&mut self) -> &mut ObjectMeta {
                &mut self.metadata
            }
        }
    };
}

resource!(ClusterGateway, "ClusterGateway", "clustergateways");
resource!(VirtualCluster, "VirtualCluster", "virtualclusters");

/// Ways to clusters for a kube-rs [`Client`] of the hub, or of a gateway's own address.
pub trait ClusterGatewayExt {
    /// A client of one cluster: its requests go through the gateway, with this client's connections and credential.
    /// `local` and the empty name are the hub itself. Clones of it are cheap; keep one per cluster that you use.
    #[must_use]
    fn cluster(&self, cluster: impl Into<String>) -> Client;

    /// A client whose requests go each to a cluster of their own: that of their [`Cluster`] extension, or (feature
    /// `task-local`) of the surrounding `with_cluster`, or else to the hub.
    #[must_use]
    fn per_request(&self) -> Client;
}

impl ClusterGatewayExt for Client {
    fn cluster(&self, cluster: impl Into<String>) -> Client {
        through(self, Some(Cluster(cluster.into())))
    }

    fn per_request(&self) -> Client {
        through(self, None)
    }
}

fn through(hub: &Client, default: Option<Cluster>) -> Client {
    let namespace = hub.default_namespace().to_owned();
    Client::new(Through { hub: hub.clone(), default }, namespace).with_valid_until(*hub.valid_until())
}

/// The hub's client behind a cluster's.
struct Through {
    hub: Client,
    default: Option<Cluster>,
}

impl tower_service::Service<Request<Body>> for Through {
    type Response = Response<Body>;
    type Error = kube::Error;
    type Future = Pin<Box<dyn Future<Output = kube::Result<Response<Body>>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<kube::Result<()>> {
        Poll::Ready(Ok(()))
    }

    /// The cluster is chosen when the future is polled: only then does this run in the caller's task.
    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        let (hub, default) = (self.hub.clone(), self.default.clone());
        Box::pin(async move {
            direct(&mut request, default.as_ref());
            hub.send(request).await
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kube::api::Api;

    /// A hub that answers with the path that it was asked for.
    fn hub() -> Client {
        struct Echo;
        impl tower_service::Service<Request<Body>> for Echo {
            type Response = Response<Body>;
            type Error = kube::Error;
            type Future = std::future::Ready<kube::Result<Response<Body>>>;
            fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<kube::Result<()>> {
                Poll::Ready(Ok(()))
            }
            fn call(&mut self, request: Request<Body>) -> Self::Future {
                let path = request.uri().path().to_owned().into_bytes();
                std::future::ready(Ok(Response::new(Body::from(path))))
            }
        }
        Client::new(Echo, "team")
    }

    async fn asked(client: &Client) -> String {
        client.request_text(Request::get("/version").body(Vec::new()).unwrap()).await.unwrap()
    }

    fn path(cluster: &str) -> String {
        format!("/apis/cluster.core.oam.dev/v1alpha1/clustergateways/{cluster}/proxy/version")
    }

    #[tokio::test]
    async fn one_line_leads_to_a_cluster() {
        let hub = hub();
        assert_eq!(asked(&hub.cluster("edge")).await, path("edge"));
        assert_eq!(asked(&hub.cluster("local")).await, "/version");
        assert_eq!(asked(&hub.per_request()).await, "/version");
        assert_eq!(hub.cluster("edge").default_namespace(), "team");
        let mut request = Request::get("/version").body(Vec::new()).unwrap();
        request.extensions_mut().insert(Cluster("edge".to_owned()));
        assert_eq!(hub.per_request().request_text(request).await.unwrap(), path("edge"));
    }

    #[cfg(feature = "task-local")]
    #[tokio::test]
    async fn the_callers_task_decides_although_kube_sends_from_another() {
        let hub = hub().per_request();
        let (edge, other) =
            tokio::join!(crate::with_cluster("edge", asked(&hub)), crate::with_cluster("other", asked(&hub)));
        assert_eq!((edge, other), (path("edge"), path("other")));
        assert_eq!(asked(&hub).await, "/version");
    }

    #[tokio::test]
    async fn the_resources_are_where_the_gateway_serves_them() {
        let gateways = Api::<ClusterGateway>::all_with(hub(), &());
        assert_eq!(gateways.resource_url(), format!("{}/clustergateways", crate::BASE_PATH));
        assert_eq!(VirtualCluster::url_path(&(), None), format!("{}/virtualclusters", crate::BASE_PATH));
        assert_eq!(ClusterGateway::api_version(&()), "cluster.core.oam.dev/v1alpha1");
    }

    #[test]
    fn what_the_gateway_publishes_can_be_read() {
        let golden =
            concat!(env!("CARGO_MANIFEST_DIR"), "/../cluster-gateway/tests/golden/virtualclusters.json");
        let Ok(text) = std::fs::read_to_string(golden) else { return };
        let list: kube::core::ObjectList<VirtualCluster> = serde_json::from_str(&text).unwrap();
        let local = &list.items[0];
        assert_eq!((local.metadata.name.as_deref(), local.spec.accepted), (Some("local"), true));
    }
}

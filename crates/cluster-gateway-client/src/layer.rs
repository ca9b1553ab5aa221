//! A tower layer that sends a client's requests to one cluster: the path is rewritten, everything else stays.
//!
//! Which cluster a request goes to is said by the first of these that is there:
//!
//! 1. the request's own extension, a [`Cluster`];
//! 2. the layer, if it was made for one cluster: [`ClusterLayer::new`];
//! 3. the task, inside of `with_cluster` (feature `task-local`);
//! 4. else it goes to the hub itself, as it is.

use std::task::{Context, Poll};

use http::{Request, Uri, uri::PathAndQuery};
use tower_layer::Layer;
use tower_service::Service;

use crate::ProxyPath;

/// Request extension that names the cluster which one request is for; it overrides the layer's default.
///
/// The empty name and `local` mean the hub itself, as in KubeVela.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cluster(pub String);

impl Cluster {
    /// Name under which the hub itself is known.
    pub const LOCAL: &str = "local";

    fn is_local(&self) -> bool {
        self.0.is_empty() || self.0 == Self::LOCAL
    }
}

/// Sends requests to `…/clustergateways/NAME/proxy` + their own path.
///
/// It stands in front of whatever adds the server's address and the credential. With kube-rs there is a shorter way
/// (feature `kube`); this is the long one:
///
/// ```ignore
/// let client = ClientBuilder::try_from(config)?.with_layer(&ClusterLayer::new("member1")).build();
/// ```
///
/// Without kube-rs, with any [`tower_service::Service`]:
///
/// ```
/// # use std::task::{Context, Poll};
/// # #[derive(Clone)] struct Http;
/// # impl tower_service::Service<http::Request<()>> for Http {
/// #     type Response = String; type Error = (); type Future = std::future::Ready<Result<String, ()>>;
/// #     fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), ()>> { Poll::Ready(Ok(())) }
/// #     fn call(&mut self, request: http::Request<()>) -> Self::Future {
/// #         std::future::ready(Ok(request.uri().path().to_owned()))
/// #     }
/// # }
/// use cluster_gateway_client::{Cluster, ClusterLayer};
/// use tower_layer::Layer;
/// use tower_service::Service;
///
/// let mut hub = ClusterLayer::per_request().layer(Http);
/// let mut request = http::Request::get("/version").body(()).unwrap();
/// request.extensions_mut().insert(Cluster("edge".into()));
/// let sent = hub.call(request).into_inner().unwrap();
/// assert_eq!(sent, "/apis/cluster.core.oam.dev/v1alpha1/clustergateways/edge/proxy/version");
/// ```
#[derive(Debug, Clone, Default)]
pub struct ClusterLayer {
    default: Option<Cluster>,
}

impl ClusterLayer {
    /// Every request goes to `cluster` unless it carries a [`Cluster`] extension.
    #[must_use]
    pub fn new(cluster: impl Into<String>) -> Self {
        Self { default: Some(Cluster(cluster.into())) }
    }

    /// Only requests with a [`Cluster`] extension, or sent inside of `with_cluster`, are rewritten;
    /// the others go to the hub.
    #[must_use]
    pub fn per_request() -> Self {
        Self::default()
    }
}

impl<S> Layer<S> for ClusterLayer {
    type Service = ClusterService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        ClusterService { inner, default: self.default.clone() }
    }
}

/// The service made by [`ClusterLayer`].
#[derive(Debug, Clone)]
pub struct ClusterService<S> {
    inner: S,
    default: Option<Cluster>,
}

impl<S, B> Service<Request<B>> for ClusterService<S>
where
    S: Service<Request<B>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        direct(&mut request, self.default.as_ref());
        self.inner.call(request)
    }
}

/// Rewrites a request for the cluster that it is for; see the module's own words for which that is.
pub(crate) fn direct<B>(request: &mut Request<B>, default: Option<&Cluster>) {
    let named = request.extensions_mut().remove::<Cluster>().or_else(|| default.cloned());
    #[cfg(feature = "task-local")]
    let named = named.or_else(crate::task::current);
    if let Some(cluster) = named.filter(|cluster| !cluster.is_local()) {
        rewrite(request.uri_mut(), &cluster.0);
    }
}

/// A path that cannot be parsed again after the prefix is put before it stays as it is: the prefix is pure ASCII, so
/// this does not happen to a URI that was valid before.
fn rewrite(uri: &mut Uri, cluster: &str) {
    let rest = uri.path_and_query().map_or("/", PathAndQuery::as_str);
    let path = format!("{}{rest}", ProxyPath::prefix(cluster));
    let mut parts = uri.clone().into_parts();
    if let Ok(path) = PathAndQuery::try_from(path) {
        parts.path_and_query = Some(path);
        if let Ok(rewritten) = Uri::from_parts(parts) {
            *uri = rewritten;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone)]
    struct Echo;

    impl Service<Request<()>> for Echo {
        type Response = String;
        type Error = ();
        type Future = std::future::Ready<Result<String, ()>>;

        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), ()>> {
            Poll::Ready(Ok(()))
        }

        fn call(&mut self, request: Request<()>) -> Self::Future {
            std::future::ready(Ok(request.uri().to_string()))
        }
    }

    fn sent(layer: &ClusterLayer, uri: &str, cluster: Option<&str>) -> String {
        let mut request = Request::builder().uri(uri).body(()).expect("a request");
        if let Some(cluster) = cluster {
            request.extensions_mut().insert(Cluster(cluster.to_owned()));
        }
        layer.layer(Echo).call(request).into_inner().expect("a reply")
    }

    #[test]
    fn the_default_cluster_takes_every_request() {
        let layer = ClusterLayer::new("edge");
        assert_eq!(
            sent(&layer, "https://hub:6443/api/v1/pods?watch=1", None),
            "https://hub:6443/apis/cluster.core.oam.dev/v1alpha1/clustergateways/edge/proxy/api/v1/pods?watch=1"
        );
    }

    #[test]
    fn a_request_names_its_own_cluster_or_the_hub() {
        let layer = ClusterLayer::per_request();
        assert_eq!(sent(&layer, "/version", None), "/version");
        assert_eq!(sent(&layer, "/version", Some("local")), "/version");
        assert_eq!(
            sent(&layer, "/version", Some("a b")),
            "/apis/cluster.core.oam.dev/v1alpha1/clustergateways/a%20b/proxy/version"
        );
        assert_eq!(sent(&ClusterLayer::new("edge"), "/version", Some("")), "/version");
    }

    #[cfg(feature = "task-local")]
    #[tokio::test]
    async fn a_task_names_the_cluster_unless_request_or_layer_do() {
        let edge = "/apis/cluster.core.oam.dev/v1alpha1/clustergateways/edge/proxy/version";
        let layer = ClusterLayer::per_request();
        crate::with_cluster("edge", async {
            assert_eq!(sent(&layer, "/version", None), edge);
            assert_eq!(sent(&layer, "/version", Some("local")), "/version");
            assert!(sent(&ClusterLayer::new("other"), "/version", None).contains("/other/"));
            crate::with_cluster("local", async { assert_eq!(sent(&layer, "/version", None), "/version") })
                .await;
            assert_eq!(sent(&layer, "/version", None), edge, "the outer one counts again");
        })
        .await;
        assert_eq!(sent(&layer, "/version", None), "/version");
    }
}

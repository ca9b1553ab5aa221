//! Discovery, classic and aggregated (contract rules 19-36). Every document is made once, from one table.

use cluster_gateway_client::{BASE_PATH, GROUP, VERSION};
use http::request::Parts;
use http::{HeaderValue, Response, StatusCode, header};

use super::encode::{Rendered, is_held, sha512};
use super::negotiate::{DOCUMENT, DiscoveryVersion, Format, Offer, Output, Target, Transform, negotiate};
use super::only_get;
use crate::body::Body;
use crate::status::Error;

mod documents;

/// A resource of the group, as discovery and OpenAPI describe it.
pub(super) struct Resource {
    pub(super) name: &'static str,
    pub(super) singular: &'static str,
    pub(super) kind: &'static str,
    pub(super) verbs: &'static [&'static str],
    pub(super) short_names: &'static [&'static str],
    /// Words by which kubectl means it together with others. None that is a resource elsewhere: kubectl would ask for
    /// ours in its place.
    pub(super) categories: &'static [&'static str],
    pub(super) subresources: &'static [Subresource],
}

/// A subresource of a [`Resource`].
pub(super) struct Subresource {
    pub(super) name: &'static str,
    pub(super) kind: &'static str,
    pub(super) verbs: &'static [&'static str],
}

const CATEGORIES: &[&str] = &["cluster-gateway"];

/// The group's resources, sorted by path (rules 21-25).
pub(super) const RESOURCES: [Resource; 2] = [
    Resource {
        name: "clustergateways",
        singular: "clustergateway",
        kind: "ClusterGateway",
        verbs: &["get", "list", "watch"],
        short_names: &["cgw"],
        categories: CATEGORIES,
        subresources: &[
            Subresource { name: "health", kind: "ClusterGateway", verbs: &["get", "patch", "update"] },
            Subresource {
                name: "proxy",
                kind: "ClusterGatewayProxyOptions",
                verbs: &["create", "delete", "get", "patch", "update"],
            },
        ],
    },
    Resource {
        name: "virtualclusters",
        singular: "virtualcluster",
        kind: "VirtualCluster",
        verbs: &["get", "list", "watch"],
        categories: CATEGORIES,
        short_names: &["vc", "vcluster", "vclusters", "virtual-cluster", "virtual-clusters"],
        subresources: &[],
    },
];

/// The documents.
pub(super) struct Discovery {
    groups: Rendered,
    group: Rendered,
    resources: Rendered,
    v2: Aggregated,
    v2beta1: Aggregated,
}

struct Aggregated {
    document: Rendered,
    etag: String,
    content_type: HeaderValue,
}

impl Discovery {
    pub(super) fn new(secure_port: u16) -> Self {
        Self {
            groups: Rendered::of(&documents::groups(secure_port)),
            group: Rendered::of(&documents::group()),
            resources: Rendered::of(&documents::resources()),
            v2: Aggregated::new("v2"),
            v2beta1: Aggregated::new("v2beta1"),
        }
    }

    /// The answer at `path`; `None`: the path is not one of these.
    pub(super) fn answer(&self, path: &str, parts: &Parts) -> Option<Result<Response<Body>, Error>> {
        let path = path.strip_suffix('/').unwrap_or(path);
        let document = match path.strip_prefix("/apis")? {
            "" => return Some(only_get(&parts.method).and_then(|()| self.root(parts))),
            _ if path == BASE_PATH => &self.resources,
            rest if rest.strip_prefix('/') == Some(GROUP) => &self.group,
            _ => return None,
        };
        Some(only_get(&parts.method).and_then(|()| document.negotiated(parts)))
    }

    fn root(&self, parts: &Parts) -> Result<Response<Body>, Error> {
        let output = negotiate(parts, &Offer { transform: aggregated, ..DOCUMENT })?;
        Ok(match output.transform {
            Some(Transform::Discovery(DiscoveryVersion::V2)) => self.v2.respond(parts, output),
            Some(Transform::Discovery(DiscoveryVersion::V2beta1)) => self.v2beta1.respond(parts, output),
            _ => self.groups.respond(output),
        })
    }
}

/// Aggregated discovery is JSON only; another clause is tried where YAML was asked for.
fn aggregated(target: &Target<'_>, format: Format) -> Option<Transform> {
    match (format, target.group, target.kind, target.version) {
        (Format::Json, "apidiscovery.k8s.io", "APIGroupDiscoveryList", "v2") => {
            Some(Transform::Discovery(DiscoveryVersion::V2))
        }
        (Format::Json, "apidiscovery.k8s.io", "APIGroupDiscoveryList", "v2beta1") => {
            Some(Transform::Discovery(DiscoveryVersion::V2beta1))
        }
        _ => None,
    }
}

impl Aggregated {
    fn new(version: &str) -> Self {
        let document = Rendered::of(&documents::aggregated(version));
        let etag = format!("\"{}\"", sha512(document.compact()));
        let content_type =
            format!("application/json;g=apidiscovery.k8s.io;v={version};as=APIGroupDiscoveryList");
        let content_type = HeaderValue::try_from(content_type).expect("a media type is a header value");
        Self { document, etag, content_type }
    }

    fn respond(&self, parts: &Parts, output: Output) -> Response<Body> {
        let held = is_held(parts, &self.etag);
        let mut response = if held { Response::new(Body::empty()) } else { self.document.respond(output) };
        let headers = response.headers_mut();
        if !held {
            headers.insert(header::CONTENT_TYPE, self.content_type.clone());
        }
        if let Ok(etag) = HeaderValue::try_from(&self.etag) {
            headers.insert(header::ETAG, etag);
        }
        headers.insert(header::VARY, HeaderValue::from_static("Accept"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("public"));
        if held {
            *response.status_mut() = StatusCode::NOT_MODIFIED;
        }
        response
    }
}

/// `GROUP/VERSION`.
pub(super) fn group_version() -> String {
    format!("{GROUP}/{VERSION}")
}

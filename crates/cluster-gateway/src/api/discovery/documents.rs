//! The shapes of discovery, with keys in kube-apiserver's order.

use cluster_gateway_client::{GROUP, VERSION};
use serde::Serialize;

use super::{RESOURCES, group_version};

#[derive(Serialize)]
pub(super) struct ApiGroupList {
    kind: &'static str,
    groups: Vec<ApiGroup>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ApiGroup {
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    api_version: Option<&'static str>,
    name: &'static str,
    versions: Vec<GroupVersion>,
    preferred_version: GroupVersion,
    #[serde(rename = "serverAddressByClientCIDRs", skip_serializing_if = "Option::is_none")]
    server_address_by_client_cidrs: Option<Vec<ServerAddress>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct GroupVersion {
    group_version: String,
    version: &'static str,
}

#[derive(Serialize)]
struct ServerAddress {
    #[serde(rename = "clientCIDR")]
    client_cidr: &'static str,
    #[serde(rename = "serverAddress")]
    server_address: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ApiResourceList {
    kind: &'static str,
    api_version: &'static str,
    group_version: String,
    resources: Vec<ApiResource>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ApiResource {
    name: String,
    singular_name: &'static str,
    namespaced: bool,
    kind: &'static str,
    verbs: &'static [&'static str],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    short_names: &'static [&'static str],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    categories: &'static [&'static str],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ApiGroupDiscoveryList {
    kind: &'static str,
    api_version: String,
    metadata: Empty,
    items: [ApiGroupDiscovery; 1],
}

#[derive(Serialize)]
struct Empty {}

#[derive(Serialize)]
struct ApiGroupDiscovery {
    metadata: ItemMetadata,
    versions: [ApiVersionDiscovery; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ItemMetadata {
    name: &'static str,
    creation_timestamp: Option<&'static str>,
}

#[derive(Serialize)]
struct ApiVersionDiscovery {
    version: &'static str,
    resources: Vec<ApiResourceDiscovery>,
    freshness: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ApiResourceDiscovery {
    resource: &'static str,
    response_kind: ResponseKind,
    scope: &'static str,
    singular_resource: &'static str,
    verbs: &'static [&'static str],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    short_names: &'static [&'static str],
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    categories: &'static [&'static str],
    #[serde(skip_serializing_if = "Vec::is_empty")]
    subresources: Vec<ApiSubresourceDiscovery>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ApiSubresourceDiscovery {
    subresource: &'static str,
    response_kind: ResponseKind,
    verbs: &'static [&'static str],
}

/// Empty group and version mean those of the parent (rule 34).
#[derive(Serialize)]
struct ResponseKind {
    group: &'static str,
    version: &'static str,
    kind: &'static str,
}

fn version() -> GroupVersion {
    GroupVersion { group_version: group_version(), version: VERSION }
}

/// `/apis` (rule 19).
pub(super) fn groups(secure_port: u16) -> ApiGroupList {
    let address = ServerAddress { client_cidr: "0.0.0.0/0", server_address: format!(":{secure_port}") };
    let group = ApiGroup {
        kind: None,
        api_version: None,
        server_address_by_client_cidrs: Some(vec![address]),
        ..group()
    };
    ApiGroupList { kind: "APIGroupList", groups: vec![group] }
}

/// `/apis/GROUP` (rule 20).
pub(super) fn group() -> ApiGroup {
    ApiGroup {
        kind: Some("APIGroup"),
        api_version: Some("v1"),
        name: GROUP,
        versions: vec![version()],
        preferred_version: version(),
        server_address_by_client_cidrs: None,
    }
}

/// `/apis/GROUP/VERSION` (rules 21-25).
pub(super) fn resources() -> ApiResourceList {
    let resources = RESOURCES.iter().flat_map(|resource| {
        let own = ApiResource {
            name: resource.name.to_owned(),
            singular_name: resource.singular,
            namespaced: false,
            kind: resource.kind,
            verbs: resource.verbs,
            short_names: resource.short_names,
            categories: resource.categories,
        };
        let subresources = resource.subresources.iter().map(|sub| ApiResource {
            name: format!("{}/{}", resource.name, sub.name),
            singular_name: "",
            namespaced: false,
            kind: sub.kind,
            verbs: sub.verbs,
            short_names: &[],
            categories: &[],
        });
        std::iter::once(own).chain(subresources)
    });
    ApiResourceList {
        kind: "APIResourceList",
        api_version: "v1",
        group_version: group_version(),
        resources: resources.collect(),
    }
}

/// Aggregated discovery (rules 29, 30, 34, 35).
pub(super) fn aggregated(version: &str) -> ApiGroupDiscoveryList {
    let kind = |kind| ResponseKind { group: "", version: "", kind };
    let resources = RESOURCES.iter().map(|resource| ApiResourceDiscovery {
        resource: resource.name,
        response_kind: kind(resource.kind),
        scope: "Cluster",
        singular_resource: resource.singular,
        verbs: resource.verbs,
        short_names: resource.short_names,
        categories: resource.categories,
        subresources: resource
            .subresources
            .iter()
            .map(|sub| ApiSubresourceDiscovery {
                subresource: sub.name,
                response_kind: kind(sub.kind),
                verbs: sub.verbs,
            })
            .collect(),
    });
    let versions =
        [ApiVersionDiscovery { version: VERSION, resources: resources.collect(), freshness: "Current" }];
    ApiGroupDiscoveryList {
        kind: "APIGroupDiscoveryList",
        api_version: format!("apidiscovery.k8s.io/{version}"),
        metadata: Empty {},
        items: [ApiGroupDiscovery {
            metadata: ItemMetadata { name: GROUP, creation_timestamp: None },
            versions,
        }],
    }
}

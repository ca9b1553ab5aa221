//! `clustergateways`: get, list, and the `health` subresource (contract rules 91, 92, 203, 209-213, 216, 227, 232).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cluster_gateway_client::v1alpha1::{
    ANNOTATION_HEALTHY, ANNOTATION_HEALTHY_REASON, ClusterAccess, ClusterAccessCredential, ClusterEndpoint,
    ClusterEndpointConst, ClusterGateway, ClusterGatewaySpec, ClusterGatewayStatus, CredentialType,
    EndpointType, Metadata, X509,
};
use http::Response;
use http::request::Parts;
use serde_json::Value;

use super::Api;
use super::discovery::group_version;
use super::object::{self, Kind, Object};
use super::table::Column;
use crate::body::Body;
use crate::registry::Cluster;
use crate::request::ResourceTarget;
use crate::status::Error;

/// Stands where a token would: the key must be there for strict decoders (rule 210).
pub(super) const REDACTED_TOKEN: &str = "REDACTED";
/// Stands where a private key would: the base64 form of [`REDACTED_TOKEN`].
pub(super) const REDACTED_KEY: &str = "UkVEQUNURUQ=";

/// The resource, plural.
pub(super) const RESOURCE: &str = "clustergateways";

const KIND: Kind = Kind {
    resource: RESOURCE,
    list: "ClusterGatewayList",
    columns: &[
        column("Name", "name", "the name of the cluster"),
        column("Provider", "", "the cluster provider type"),
        column("Credential-Type", "", "the credential type"),
        column("Endpoint-Type", "", "the endpoint type"),
        column("Healthy", "", "the healthiness of the gateway"),
    ],
    typed_items: false,
    protobuf: [
        "object *v1alpha1.ClusterGateway does not implement the protobuf marshalling interface and cannot be encoded \
         to a protobuf message",
        "object *v1alpha1.ClusterGatewayList does not implement the protobuf marshalling interface and cannot be \
         encoded to a protobuf message",
    ],
    partial: [
        "you requested PartialObjectMetadata, but the requested object is a list (*v1alpha1.ClusterGatewayList)",
        "you requested PartialObjectMetadataList, but the requested object is not a list (*v1alpha1.ClusterGateway)",
    ],
};

const fn column(name: &'static str, format: &'static str, description: &'static str) -> Column {
    Column { name, column_type: "string", format, description, priority: 0 }
}

/// GET of one, and of its `health`.
pub(super) fn get(api: &Api, name: &str, parts: &Parts) -> Result<Response<Body>, Error> {
    object::get(parts, || {
        let snapshot = api.snapshot()?;
        let not_found = || Error::NotFound { resource: KIND.resource, name: name.to_owned() };
        let cluster = snapshot.get(name).ok_or_else(not_found)?;
        Ok(cluster_gateway(cluster, api.healthiness_check))
    })
}

/// GET of all, sorted by name.
pub(super) fn list(api: &Api, target: &ResourceTarget, parts: &Parts) -> Result<Response<Body>, Error> {
    object::list(target, parts, |options| {
        let snapshot = api.snapshot()?;
        let selected = snapshot.iter().filter(|cluster| options.labels.matches(&cluster.labels));
        Ok(selected.map(|cluster| cluster_gateway(cluster, api.healthiness_check)).collect())
    })
}

impl Object for ClusterGateway {
    const KIND: &'static Kind = &KIND;

    fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    fn cells(&self) -> Vec<Value> {
        let access = &self.spec.access;
        let credential =
            access.credential.as_ref().map_or("<none>", |credential| credential.credential_type.as_str());
        let endpoint = access.endpoint.as_ref().map_or("<none>", |endpoint| endpoint.endpoint_type.as_str());
        let healthy = self.status.healthy.to_string();
        [&self.metadata.name, &self.spec.provider, credential, endpoint, &healthy].map(Value::from).into()
    }

    fn typed(self) -> Self {
        Self { kind: Some("ClusterGateway".to_owned()), api_version: Some(group_version()), ..self }
    }
}

/// What is shown of a cluster. A cluster that cannot be used is shown with the reason (rule 213).
pub(super) fn cluster_gateway(cluster: &Cluster, healthiness_check: bool) -> ClusterGateway {
    ClusterGateway {
        kind: None,
        api_version: None,
        metadata: Metadata {
            name: cluster.name.clone(),
            creation_timestamp: cluster.creation_timestamp.clone(),
            ..Metadata::default()
        },
        spec: ClusterGatewaySpec {
            provider: String::new(),
            access: ClusterAccess { endpoint: Some(endpoint(cluster)), credential: credential(cluster) },
        },
        status: status(cluster, healthiness_check),
    }
}

/// A `Const` endpoint always has its `const`, if need be with an empty address: clients reach into it unasked.
fn endpoint(cluster: &Cluster) -> ClusterEndpoint {
    let const_endpoint = (cluster.endpoint_type == EndpointType::Const).then(|| ClusterEndpointConst {
        address: cluster.address.as_deref().map(without_userinfo).unwrap_or_default(),
        ca_bundle: cluster.ca_bundle.as_ref().map(|pem| STANDARD.encode(pem)),
        insecure: cluster.upstream.as_ref().ok().and_then(|upstream| upstream.insecure.then_some(true)),
        proxy_url: cluster.proxy_url.as_deref().map(without_userinfo),
    });
    ClusterEndpoint { endpoint_type: cluster.endpoint_type, const_endpoint }
}

fn credential(cluster: &Cluster) -> Option<ClusterAccessCredential> {
    let credential_type = cluster.credential_type?;
    let upstream = cluster.upstream.as_ref().ok();
    let certificate = upstream.and_then(|upstream| upstream.credential.client_certificate());
    Some(ClusterAccessCredential {
        credential_type,
        service_account_token: (credential_type == CredentialType::ServiceAccountToken)
            .then(|| REDACTED_TOKEN.to_owned()),
        x509: (credential_type == CredentialType::X509Certificate).then(|| X509 {
            certificate: certificate.map(|certificate| STANDARD.encode(&certificate.pem)).unwrap_or_default(),
            private_key: REDACTED_KEY.to_owned(),
        }),
    })
}

fn status(cluster: &Cluster, healthiness_check: bool) -> ClusterGatewayStatus {
    if let Err(unusable) = &cluster.upstream {
        return ClusterGatewayStatus { healthy: false, healthy_reason: Some(unusable.0.clone()) };
    }
    if !healthiness_check {
        return ClusterGatewayStatus::default();
    }
    let annotation = |key| cluster.annotations.get(key).filter(|value: &&String| !value.is_empty());
    ClusterGatewayStatus {
        healthy: annotation(ANNOTATION_HEALTHY).is_some_and(|value| value == "true"),
        healthy_reason: annotation(ANNOTATION_HEALTHY_REASON).cloned(),
    }
}

/// A URL without user name and password: they are credentials too (rule 210).
pub(super) fn without_userinfo(url: &str) -> String {
    let start = url.find("//").map_or(0, |slashes| slashes + 2);
    let end = url[start..].find(['/', '?', '#']).map_or(url.len(), |length| start + length);
    match url[start..end].rfind('@') {
        Some(at) => format!("{}{}", &url[..start], &url[start + at + 1..]),
        None => url.to_owned(),
    }
}

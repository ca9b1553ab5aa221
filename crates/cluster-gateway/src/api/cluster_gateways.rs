//! `clustergateways` (contract rules 91, 92, 203, 209-213, 216, 227, 232).

use std::borrow::Cow;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cluster_gateway_client::v1alpha1::{
    ANNOTATION_HEALTHY, ANNOTATION_HEALTHY_REASON, ANNOTATION_LAST_PROBE_TIME, ANNOTATION_LATENCY,
    ClusterAccess, ClusterAccessCredential, ClusterEndpoint, ClusterEndpointConst, ClusterGateway,
    ClusterGatewaySpec, ClusterGatewayStatus, CredentialType, EndpointType, Metadata, X509,
};
use time::OffsetDateTime;

use super::discovery::group_version;
use super::human::{self, NONE};
use super::object::{Kind, Object, Resource};
use super::selector::LabelSelector;
use super::table::{Cell, Column};
use super::uid::uid;
use crate::registry::Cluster;
use crate::transport::{Condition, State};

/// Stands where a token would: the key must be there for strict decoders (rule 210).
pub(super) const REDACTED_TOKEN: &str = "REDACTED";
/// Stands where a private key would: the base64 form of [`REDACTED_TOKEN`].
pub(super) const REDACTED_KEY: &str = "UkVEQUNURUQ=";

/// The resource, plural.
pub(super) const RESOURCE: &str = "clustergateways";

pub(super) const KIND: Kind = Kind {
    one: "ClusterGateway",
    resource: RESOURCE,
    list: "ClusterGatewayList",
    columns: &[
        column("Name", "name", "the name of the cluster"),
        column("Provider", "", "the cluster provider type"),
        column("Credential-Type", "", "the credential type"),
        column("Endpoint-Type", "", "the endpoint type"),
        column("Healthy", "", "the healthiness of the gateway"),
        column("Reason", "", "why the cluster cannot be used or is as healthy as it is"),
        column("Age", "", "how long the cluster has been registered"),
        wide("Endpoint", "the URL of the cluster's API server"),
        wide("Credential-Expiry", "how long the credential can still be used"),
        wide("Last-Probe", "how long ago the cluster's health was looked at"),
        wide("Latency", "how long the cluster took to answer then"),
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

/// A column that is shown with `-o wide` only.
const fn wide(name: &'static str, description: &'static str) -> Column {
    Column { priority: 1, ..column(name, "", description) }
}

/// The resource.
#[derive(Debug, Clone, Copy)]
pub(super) struct ClusterGateways {
    /// Whether recorded health is shown.
    pub(super) healthiness_check: bool,
}

/// What is shown of a cluster. A cluster that cannot be used is shown with the reason (rule 213).
pub(super) struct Gateway<'a> {
    cluster: &'a Cluster,
    version: u64,
    health: Health,
}

/// Where the health comes from that is shown. It is not worked out before that: a list looks at every object twice.
enum Health {
    OfCluster(ClusterGateways),
    Given(ClusterGatewayStatus),
}

impl Resource for ClusterGateways {
    const KIND: &'static Kind = &KIND;
    type Object<'a> = Gateway<'a>;

    fn constant<'a>(self) -> Option<Gateway<'a>> {
        None
    }

    fn is_listed(self) -> bool {
        false
    }

    fn object<'a>(self, cluster: &'a Cluster, version: u64) -> Option<Gateway<'a>> {
        cluster.registered.then_some(Gateway { cluster, version, health: Health::OfCluster(self) })
    }

    fn sort(self, _: &mut [&Arc<Cluster>]) {}
}

impl Object for Gateway<'_> {
    type Shown = ClusterGateway;

    fn name(&self) -> &str {
        &self.cluster.name
    }

    fn selected_by(&self, labels: &LabelSelector) -> bool {
        labels.matches(&self.cluster.labels)
    }

    fn metadata(&self) -> Metadata {
        Metadata {
            name: self.cluster.name.clone(),
            uid: uid(KIND.resource, &self.cluster.uid),
            resource_version: Some(self.version.to_string()),
            creation_timestamp: self.cluster.creation_timestamp.clone(),
            ..Metadata::default()
        }
    }

    fn cells(&self, now: OffsetDateTime) -> Vec<Cell<'_>> {
        let cluster = self.cluster;
        let ClusterGatewayStatus { healthy, healthy_reason } = self.status();
        vec![
            cluster.name.as_str().into(),
            "".into(),
            cluster.credential_type.map_or(NONE, CredentialType::as_str).into(),
            cluster.endpoint_type.as_str().into(),
            if healthy { "true" } else { "false" }.into(),
            healthy_reason.map_or(NONE.into(), Cell::from),
            human::age(cluster.creation_timestamp.as_deref(), now).into(),
            cluster.address.as_deref().map_or(NONE.into(), without_userinfo).into(),
            human::until(cluster.credential_facts.not_after, now).into(),
            human::since(annotation(cluster, ANNOTATION_LAST_PROBE_TIME), now, NONE).into(),
            annotation(cluster, ANNOTATION_LATENCY).unwrap_or(NONE).into(),
        ]
    }

    fn show(&self, typed: bool) -> ClusterGateway {
        ClusterGateway {
            kind: typed.then(|| KIND.one.to_owned()),
            api_version: typed.then(group_version),
            metadata: self.metadata(),
            spec: ClusterGatewaySpec {
                provider: String::new(),
                access: ClusterAccess {
                    endpoint: Some(endpoint(self.cluster)),
                    credential: credential(self.cluster),
                },
            },
            status: self.status(),
        }
    }

    fn place(&self) -> String {
        self.cluster.name.clone()
    }

    fn is_behind(&self, place: &str) -> bool {
        self.cluster.name.as_str() > place
    }
}

impl<'a> Gateway<'a> {
    /// A cluster with a health of which it is not asked whether it is shown.
    pub(super) fn with_status(cluster: &'a Cluster, version: u64, status: ClusterGatewayStatus) -> Self {
        Self { cluster, version, health: Health::Given(status) }
    }

    fn status(&self) -> ClusterGatewayStatus {
        match &self.health {
            Health::OfCluster(resource) => resource.status(self.cluster),
            Health::Given(status) => status.clone(),
        }
    }
}

impl ClusterGateways {
    fn status(self, cluster: &Cluster) -> ClusterGatewayStatus {
        if let Err(unusable) = &cluster.upstream {
            return ClusterGatewayStatus { healthy: false, healthy_reason: Some(unusable.0.clone()) };
        }
        if !self.healthiness_check {
            return ClusterGatewayStatus::default();
        }
        if let (None, Ok(upstream)) = (annotation(cluster, ANNOTATION_HEALTHY), &cluster.upstream) {
            // Nowhere recorded, or not yet: what this process knows.
            let Condition { state, reason, .. } = upstream.transport.condition();
            return ClusterGatewayStatus {
                healthy: state == State::Healthy,
                healthy_reason: Some(reason).filter(|reason| !reason.is_empty()),
            };
        }
        ClusterGatewayStatus {
            healthy: annotation(cluster, ANNOTATION_HEALTHY) == Some("true"),
            healthy_reason: annotation(cluster, ANNOTATION_HEALTHY_REASON).map(str::to_owned),
        }
    }
}

/// What is recorded of a cluster; empty is not recorded.
fn annotation<'a>(cluster: &'a Cluster, key: &str) -> Option<&'a str> {
    cluster.annotations.get(key).map(String::as_str).filter(|value| !value.is_empty())
}

/// A `Const` endpoint always has its `const`, if need be with an empty address: clients reach into it unasked.
fn endpoint(cluster: &Cluster) -> ClusterEndpoint {
    let const_endpoint = (cluster.endpoint_type == EndpointType::Const).then(|| ClusterEndpointConst {
        address: cluster.address.as_deref().map(without_userinfo).unwrap_or_default().into_owned(),
        ca_bundle: cluster.ca_bundle.as_ref().map(|pem| STANDARD.encode(pem)),
        insecure: cluster.upstream.as_ref().ok().and_then(|upstream| upstream.insecure.then_some(true)),
        proxy_url: cluster.proxy_url.as_deref().map(|url| without_userinfo(url).into_owned()),
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
        fingerprint: cluster.credential_facts.fingerprint.clone(),
        not_after: cluster.credential_facts.not_after.and_then(human::rfc3339),
    })
}

/// A URL without user name and password: they are credentials too (rule 210).
pub(super) fn without_userinfo(url: &str) -> Cow<'_, str> {
    let start = url.find("//").map_or(0, |slashes| slashes + 2);
    let end = url[start..].find(['/', '?', '#']).map_or(url.len(), |length| start + length);
    match url[start..end].rfind('@') {
        Some(at) => format!("{}{}", &url[..start], &url[start + at + 1..]).into(),
        None => url.into(),
    }
}

//! The types of `cluster.core.oam.dev/v1alpha1`, as they stand on the wire (contract rules 209-215).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Label on a credential Secret that makes it a cluster; its value is a [`CredentialType`].
pub const LABEL_CREDENTIAL_TYPE: &str = concat!(group!(), "/cluster-credential-type");
/// Label on a credential Secret that says how the cluster is reached; absent means [`EndpointType::Const`].
pub const LABEL_ENDPOINT_TYPE: &str = concat!(group!(), "/cluster-endpoint-type");
/// Label that tells the control plane (`local`) from its members.
pub const LABEL_CONTROL_PLANE: &str = concat!(group!(), "/control-plane");
/// Annotation that holds a cluster's name for people.
pub const ANNOTATION_ALIAS: &str = concat!(group!(), "/cluster-alias");
/// Annotation that holds the identity rules of one cluster (YAML).
pub const ANNOTATION_PROXY_CONFIGURATION: &str = concat!(group!(), "/cluster-gateway-proxy-configuration");
/// Annotation that overrides the name which the member's certificate must carry.
pub const ANNOTATION_TLS_SERVER_NAME: &str = concat!(group!(), "/tls-server-name");
/// Annotation, value `true`, that asks for an unverified or unencrypted connection to this one cluster. It has an
/// effect only when the gateway runs with `--allow-insecure-clusters`.
pub const ANNOTATION_INSECURE: &str = concat!(group!(), "/insecure-skip-tls-verify");
/// Annotation on the gateway's Service: the address at which clients reach the gateway itself, `https://HOST:PORT`. Read by
/// `cluster-gateway kubeconfig --direct`; the gateway does not look at it.
pub const ANNOTATION_EXTERNAL_ADDRESS: &str = concat!(group!(), "/external-address");
/// Annotation that records whether a cluster is healthy (`true` or `false`).
pub const ANNOTATION_HEALTHY: &str = concat!("status.", group!(), "/healthy");
/// Annotation that records why a cluster is not healthy.
pub const ANNOTATION_HEALTHY_REASON: &str = concat!("status.", group!(), "/healthy-reason");
/// Annotation that records when a cluster was last probed, RFC 3339 in UTC.
pub const ANNOTATION_LAST_PROBE_TIME: &str = concat!("status.", group!(), "/last-probe-time");
/// Annotation that records how long the last probe took, as a duration with its unit (`12ms`).
pub const ANNOTATION_LATENCY: &str = concat!("status.", group!(), "/latency");
/// Annotation that names the member's service account whose token a Secret holds, as `NAMESPACE/NAME`. The gateway renews such
/// a token before it ends.
pub const ANNOTATION_SERVICE_ACCOUNT: &str = concat!(group!(), "/service-account");
/// Annotation that records when that token was issued, RFC 3339 in UTC. Without it the gateway renews the token at once.
pub const ANNOTATION_TOKEN_ISSUED: &str = concat!(group!(), "/token-issued-at");
/// Annotation that records when that token ends, RFC 3339 in UTC.
pub const ANNOTATION_TOKEN_ENDS: &str = concat!(group!(), "/token-ends-at");

/// Annotation on what joining a cluster has made at the hub or at the member: the number of the attempt, by which a failed
/// one finds its own objects again.
pub const ANNOTATION_JOIN_ATTEMPT: &str = concat!(group!(), "/join-attempt");

/// What proves the gateway to a cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum CredentialType {
    /// A bearer token (Secret key `token`).
    ServiceAccountToken,
    /// A client certificate (Secret keys `tls.crt` and `tls.key`).
    X509Certificate,
    /// Whatever an exec plugin returns (Secret key `exec`).
    Dynamic,
}

impl CredentialType {
    /// The spelling used in labels and objects.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ServiceAccountToken => "ServiceAccountToken",
            Self::X509Certificate => "X509Certificate",
            Self::Dynamic => "Dynamic",
        }
    }

    /// Reads a label's value; `None` if it is no known type.
    #[must_use]
    pub fn parse(value: &str) -> Option<Self> {
        [Self::ServiceAccountToken, Self::X509Certificate, Self::Dynamic]
            .into_iter()
            .find(|t| t.as_str() == value)
    }
}

/// How a cluster is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum EndpointType {
    /// A fixed URL (Secret key `endpoint`).
    Const,
    /// Through the konnectivity tunnel, by the cluster's name.
    ClusterProxy,
}

impl EndpointType {
    /// The spelling used in labels and objects.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Const => "Const",
            Self::ClusterProxy => "ClusterProxy",
        }
    }

    /// Reads a label's value; `None` if it is no known type.
    #[must_use]
    pub fn parse(value: &str) -> Option<Self> {
        [Self::Const, Self::ClusterProxy].into_iter().find(|t| t.as_str() == value)
    }
}

/// A registered cluster, as `clustergateways` shows it. It never carries key material (rule 210).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClusterGateway {
    /// `ClusterGateway`; absent on items of a list.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub kind: Option<String>,
    /// `cluster.core.oam.dev/v1alpha1`; absent on items of a list.
    #[serde(rename = "apiVersion", skip_serializing_if = "Option::is_none", default)]
    pub api_version: Option<String>,
    /// Name and age.
    pub metadata: Metadata,
    /// How the cluster is reached.
    pub spec: ClusterGatewaySpec,
    /// What is known of its health.
    #[serde(default)]
    pub status: ClusterGatewayStatus,
}

/// The metadata that the gateway's objects carry.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Metadata {
    /// The cluster's name: that of its Secret.
    pub name: String,
    /// When the Secret was created, RFC 3339; `null` when unknown.
    #[serde(default)]
    pub creation_timestamp: Option<String>,
    /// Identifies the object over all time; another one if the cluster is removed and registered again. Not the Secret's.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub uid: Option<String>,
    /// Changes whenever the object does: where a hub keeps the cluster, that of its Secret (rule 230).
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub resource_version: Option<String>,
    /// Labels; a [`ClusterGateway`] shows none (rule 209).
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    pub labels: BTreeMap<String, String>,
}

/// Specification of a [`ClusterGateway`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClusterGatewaySpec {
    /// Always empty; kept because clients expect the key (rule 209).
    #[serde(default)]
    pub provider: String,
    /// Endpoint and credential.
    pub access: ClusterAccess,
}

/// Endpoint and credential of a cluster.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClusterAccess {
    /// Where the cluster is; absent when the Secret names none.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub endpoint: Option<ClusterEndpoint>,
    /// What kind of credential the gateway holds.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub credential: Option<ClusterAccessCredential>,
}

/// Where a cluster is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClusterEndpoint {
    /// Fixed address or tunnel.
    #[serde(rename = "type")]
    pub endpoint_type: EndpointType,
    /// The address, for [`EndpointType::Const`].
    #[serde(rename = "const", skip_serializing_if = "Option::is_none", default)]
    pub const_endpoint: Option<ClusterEndpointConst>,
}

/// A fixed address.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClusterEndpointConst {
    /// URL of the cluster's API server.
    pub address: String,
    /// PEM bundle that its certificate is verified with, base64.
    #[serde(rename = "caBundle", skip_serializing_if = "Option::is_none", default)]
    pub ca_bundle: Option<String>,
    /// Whether verification is off.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub insecure: Option<bool>,
    /// Proxy on the way to it.
    #[serde(rename = "proxy-url", skip_serializing_if = "Option::is_none", default)]
    pub proxy_url: Option<String>,
}

/// Kind of credential that the gateway holds for a cluster. Key material is replaced by a placeholder (rule 210).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClusterAccessCredential {
    /// The kind.
    #[serde(rename = "type")]
    pub credential_type: CredentialType,
    /// Placeholder for a token.
    #[serde(rename = "serviceAccountToken", skip_serializing_if = "Option::is_none", default)]
    pub service_account_token: Option<String>,
    /// The public half of a client certificate.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub x509: Option<X509>,
    /// What tells this credential from others without showing it: `sha256:` and hexadecimal digits. Of a certificate all
    /// 64, over its DER form; of a token the first 16. Absent for a token that is short enough to be guessed.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub fingerprint: Option<String>,
    /// When the credential expires, RFC 3339: the certificate's end, or the `exp` of a token that is a JWT. Absent when
    /// it does not say.
    #[serde(rename = "notAfter", skip_serializing_if = "Option::is_none", default)]
    pub not_after: Option<String>,
}

/// Client certificate of a [`ClusterAccessCredential`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct X509 {
    /// PEM certificate chain, base64.
    pub certificate: String,
    /// Placeholder, base64: the key itself never leaves the gateway.
    #[serde(rename = "privateKey")]
    pub private_key: String,
}

/// Health of a [`ClusterGateway`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClusterGatewayStatus {
    /// Whether the last probe succeeded.
    #[serde(default)]
    pub healthy: bool,
    /// Why not, in words.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub healthy_reason: Option<String>,
}

/// A cluster as `virtualclusters` shows it: the hub itself (`local`) and every registered cluster (rule 214).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VirtualCluster {
    /// `VirtualCluster`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub kind: Option<String>,
    /// `cluster.core.oam.dev/v1alpha1`.
    #[serde(rename = "apiVersion", skip_serializing_if = "Option::is_none", default)]
    pub api_version: Option<String>,
    /// Name, age and the labels that selectors apply to.
    pub metadata: Metadata,
    /// What is known of it.
    pub spec: VirtualClusterSpec,
}

/// Specification of a [`VirtualCluster`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct VirtualClusterSpec {
    /// Name for people; absent when empty.
    #[serde(skip_serializing_if = "String::is_empty", default)]
    pub alias: String,
    /// Whether the cluster may be used; absent when it may not.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub accepted: bool,
    /// URL of the API server; `ClusterProxy` where that is how it is reached; `-` where there is none to show.
    #[serde(skip_serializing_if = "String::is_empty", default)]
    pub endpoint: String,
    /// `Internal` for the hub itself, `ManagedCluster` for a cluster of Open Cluster Management that has no Secret, else a
    /// [`CredentialType`] as it stands in the label.
    #[serde(rename = "credential-type", skip_serializing_if = "String::is_empty", default)]
    pub credential_type: String,
}

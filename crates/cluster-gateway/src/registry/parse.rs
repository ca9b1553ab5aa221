//! Secret → [`Cluster`] (contract rules 165-167, 211).

use std::collections::BTreeMap;
use std::sync::Arc;

use super::credentials::certified;
use super::data::Data;
use super::proxy_url::{proxy, without_login};
use super::{Cluster, Entry, ProxyEnvironment, Unusable, Upstream};
use crate::credential::{Credential, CredentialFacts, ExecPlugins};
use crate::identity::{RuleError, Rules, Webhooks};
use crate::pki;
use crate::transport::{
    Endpoint, EndpointUrl, Peer, Route, SERVER_NAME, Transport, TransportOptions, TransportSpec, Verification,
};
use cluster_gateway_client::v1alpha1::{
    ANNOTATION_INSECURE, ANNOTATION_PROXY_CONFIGURATION, ANNOTATION_TLS_SERVER_NAME, CredentialType,
    EndpointType, LABEL_CREDENTIAL_TYPE, LABEL_ENDPOINT_TYPE,
};

/// What the operator allows clusters to do.
#[derive(Debug, Clone, Default)]
pub struct ClusterPolicy {
    /// Whether a cluster marked insecure may go unverified or unencrypted (`--allow-insecure-clusters`). Default: no.
    pub allow_insecure: bool,
    /// Whether endpoint and CA of a ManagedCluster go over those of the Secret (`--ocm-integration`, rules 247, 248).
    /// Default: no.
    pub merge_managed_clusters: bool,
    /// Proxies on the way to clusters whose Secret names none. Default: none.
    pub proxies: ProxyEnvironment,
    /// Runs the programs of credentials that come from one. Default: none is allowed.
    pub exec: Arc<ExecPlugins>,
    /// Timeouts and address rules of every transport.
    pub transport: Arc<TransportOptions>,
    /// What the identity rules of a cluster's annotation may say of webhooks. Default: nothing.
    pub webhooks: Arc<Webhooks>,
}

impl ClusterPolicy {
    /// Reads a Secret, with its ManagedCluster if there is one. It always makes a cluster; one that cannot be used says
    /// why. The transport of `previous` is inherited while the connection data is equal.
    #[must_use]
    pub fn read(&self, entry: impl Into<Entry>, previous: Option<&Cluster>) -> Cluster {
        let mut entry = entry.into();
        let names_endpoint = entry.names_endpoint();
        if let Some(managed) = entry.managed_cluster.clone().filter(|_| self.merge_managed_clusters) {
            entry = managed.merge(entry);
        }
        let Entry { secret, unusable, managed_cluster } = entry;
        let metadata = secret.metadata;
        let labels = metadata.labels.unwrap_or_default();
        let annotations = own(metadata.annotations.unwrap_or_default());
        let data = Data(secret.data.unwrap_or_default());
        let name = metadata.name.unwrap_or_default();
        let resource_version = metadata.resource_version.unwrap_or_default();
        let mut cluster = Cluster {
            identity_rules: self.identity_rules(&annotations, &name, previous),
            name,
            registered: true,
            credential_type: labels.get(LABEL_CREDENTIAL_TYPE).and_then(|value| CredentialType::parse(value)),
            endpoint_type: labels
                .get(LABEL_ENDPOINT_TYPE)
                .and_then(|value| EndpointType::parse(value))
                .unwrap_or(EndpointType::Const),
            labels,
            annotations,
            names_endpoint,
            managed_cluster,
            creation_timestamp: metadata.creation_timestamp.map(|time| time.0.to_string()),
            uid: metadata.uid.unwrap_or_default(),
            version: resource_version.parse().unwrap_or_default(),
            resource_version,
            address: data.text("endpoint").ok().flatten(),
            ca_bundle: data.ca_bundle().map(|(_, pem)| kept(previous, pem)),
            proxy_url: data.text("proxy-url").ok().flatten().map(|url| without_login(&url)),
            credential_facts: CredentialFacts::default(),
            upstream: Err(Unusable(String::new())),
            in_flight: previous.map_or_else(Arc::default, |previous| Arc::clone(&previous.in_flight)),
        };
        let credential =
            self.credential(&cluster, &data, previous).map(|credential| same(previous, credential));
        cluster.credential_facts = credential.as_ref().map(CredentialFacts::of).unwrap_or_default();
        cluster.upstream = match unusable {
            Some(unusable) => Err(unusable),
            None => credential
                .and_then(|credential| self.upstream(&cluster, credential, &data, previous))
                .map_err(Unusable),
        };
        cluster
    }

    fn upstream(
        &self,
        cluster: &Cluster,
        credential: Credential,
        data: &Data,
        previous: Option<&Cluster>,
    ) -> Result<Upstream, String> {
        check_endpoint_type(cluster)?;
        let (url, route) = self.location(cluster, data)?;
        let insecure = self.insecure(cluster, &url)?;
        let verification = match data.ca_bundle() {
            _ if insecure => Verification::Insecure,
            Some((key, pem)) => {
                pki::certificates(pem).map_err(|error| format!("key \"{key}\" {error}"))?;
                Verification::Bundle(cluster.ca_bundle.clone().unwrap_or_else(|| pem.into()))
            }
            None => Verification::SystemRoots,
        };
        let spec = TransportSpec {
            endpoint: url.endpoint,
            verification,
            server_name: cluster.annotations.get(ANNOTATION_TLS_SERVER_NAME).cloned().or(match &route {
                Route::Direct | Route::Proxy(_) => None,
                Route::Konnectivity => Some(SERVER_NAME.to_owned()),
            }),
            route,
            client_certificate: credential.client_certificate().cloned(),
            peer: Peer::Member,
        };
        let transport = inherited(previous, &spec)
            .unwrap_or_else(|| Arc::new(Transport::new(spec, Arc::clone(&self.transport))));
        Ok(Upstream {
            certified: certified(&credential, &transport, previous),
            origin: url.origin,
            base_path: url.base_path,
            credential,
            insecure,
            transport,
        })
    }

    fn identity_rules(
        &self,
        annotations: &BTreeMap<String, String>,
        cluster: &str,
        previous: Option<&Cluster>,
    ) -> Result<Rules, RuleError> {
        let Some(yaml) = annotations.get(ANNOTATION_PROXY_CONFIGURATION) else { return Ok(Rules::default()) };
        let rules = Rules::of_cluster(yaml, cluster, &self.webhooks)?;
        Ok(match previous.map(|previous| &previous.identity_rules) {
            Some(Ok(previous)) => rules.inheriting(previous),
            _ => rules,
        })
    }

    fn location(&self, cluster: &Cluster, data: &Data) -> Result<(EndpointUrl, Route), String> {
        if cluster.endpoint_type == EndpointType::Const {
            let url = self.endpoint(data)?;
            let route = self.route(data, &url.endpoint)?;
            return Ok((url, route));
        }
        if self.transport.konnectivity.is_none() {
            return Err(format!(
                "label {LABEL_ENDPOINT_TYPE} says ClusterProxy, but the gateway knows no konnectivity proxy server; run \
                 it with --proxy-host, --proxy-ca-cert, --proxy-cert and --proxy-key"
            ));
        }
        Ok((EndpointUrl::behind_agent(&cluster.name), Route::Konnectivity))
    }

    fn endpoint(&self, data: &Data) -> Result<EndpointUrl, String> {
        let text = data.text("endpoint")?.ok_or_else(|| {
            let alternative =
                if self.merge_managed_clusters { ", or a ManagedCluster of this name" } else { "" };
            format!("key \"endpoint\" is missing or empty; expected https://HOST[:PORT]{alternative}")
        })?;
        EndpointUrl::parse(&text).map_err(|error| format!("key \"endpoint\": {error}"))
    }

    /// Through the proxy that the Secret names, else through that of the environment.
    fn route(&self, data: &Data, endpoint: &Endpoint) -> Result<Route, String> {
        let Some(url) = data.text("proxy-url")? else {
            let proxy = self.proxies.proxy_for(endpoint).cloned();
            return Ok(proxy.map_or(Route::Direct, |proxy| Route::Proxy(Box::new(proxy))));
        };
        let ca = Some(data.bytes("proxy-ca.crt")).filter(|pem| !pem.is_empty());
        if let Some(pem) = ca {
            pki::certificates(pem).map_err(|error| format!("key \"proxy-ca.crt\" {error}"))?;
        }
        let proxy = proxy(&url, ca.map(Into::into)).map_err(|error| format!("key \"proxy-url\": {error}"))?;
        Ok(Route::Proxy(Box::new(proxy)))
    }

    /// Rules 166 and 167: both the Secret and the operator must say it.
    fn insecure(&self, cluster: &Cluster, url: &EndpointUrl) -> Result<bool, String> {
        let marked = match cluster.annotations.get(ANNOTATION_INSECURE).map(String::as_str) {
            None | Some("false") => false,
            Some("true") => true,
            Some(other) => {
                return Err(format!(
                    "annotation {ANNOTATION_INSECURE} is \"{other}\"; expected true or false"
                ));
            }
        };
        if marked && !self.allow_insecure {
            return Err(format!(
                "annotation {ANNOTATION_INSECURE} (insecure-skip-tls-verify of a kubeconfig) asks for an unverified \
                 connection, but the gateway runs without --allow-insecure-clusters; add the CA as key \"ca.crt\" \
                 (certificate-authority-data) and remove the annotation"
            ));
        }
        if !url.endpoint.tls && !marked {
            return Err(format!(
                "endpoint {} is not encrypted and would carry the credential in clear text; use https, or set \
                 annotation {ANNOTATION_INSECURE}: \"true\" and run the gateway with --allow-insecure-clusters",
                url.origin
            ));
        }
        Ok(marked)
    }
}

fn inherited(previous: Option<&Cluster>, spec: &TransportSpec) -> Option<Arc<Transport>> {
    let upstream = previous?.upstream.as_ref().ok()?;
    (upstream.transport.spec() == spec).then(|| Arc::clone(&upstream.transport))
}

/// A CA bundle. While it is equal, the copy of before is used: the transport has that one, too.
fn kept(previous: Option<&Cluster>, pem: &[u8]) -> Arc<[u8]> {
    let before = previous.and_then(|previous| previous.ca_bundle.as_ref());
    before.filter(|before| before.as_ref() == pem).map_or_else(|| pem.into(), Arc::clone)
}

/// A credential. While it is equal, the copy of before is used: the history holds that one, too.
fn same(previous: Option<&Cluster>, credential: Credential) -> Credential {
    let before =
        previous.and_then(|previous| previous.upstream.as_ref().ok()).map(|upstream| &upstream.credential);
    before.filter(|before| before.is_same(&credential)).cloned().unwrap_or(credential)
}

/// Keeps the annotations of this API and of KubeVela. The others are not ours, and one of them
/// (`kubectl.kubernetes.io/last-applied-configuration`) can hold the whole Secret.
pub(super) fn own(annotations: BTreeMap<String, String>) -> BTreeMap<String, String> {
    let ours = |key: &str| key.split_once('/').is_some_and(|(domain, _)| domain.ends_with("oam.dev"));
    annotations.into_iter().filter(|(key, _)| ours(key)).collect()
}

fn check_endpoint_type(cluster: &Cluster) -> Result<(), String> {
    if let Some(value) = cluster.labels.get(LABEL_ENDPOINT_TYPE)
        && EndpointType::parse(value).is_none()
    {
        return Err(format!(
            "label {LABEL_ENDPOINT_TYPE} has the unknown value \"{value}\"; expected Const or ClusterProxy"
        ));
    }
    if cluster.endpoint_type == EndpointType::ClusterProxy && cluster.proxy_url.is_some() {
        return Err(format!(
            "key \"proxy-url\" has no meaning with label {LABEL_ENDPOINT_TYPE}: ClusterProxy, whose agent connects; \
             remove one of the two"
        ));
    }
    Ok(())
}

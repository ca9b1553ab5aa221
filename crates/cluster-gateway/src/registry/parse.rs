//! Secret → [`Cluster`] (contract rules 165-167, 211).

use std::collections::BTreeMap;
use std::sync::Arc;

use super::data::Data;
use super::proxy_url::{proxy, without_login};
use super::{Certified, Cluster, Entry, ProxyEnvironment, Unusable, Upstream};
use crate::credential::{ClusterInfo, Credential, ExecConfig, ExecCredential, ExecPlugins};
use crate::identity::{RuleError, Rules, Webhooks};
use crate::pki;
use crate::transport::{
    Endpoint, EndpointUrl, Peer, Route, Transport, TransportOptions, TransportSpec, Verification,
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
            resource_version: metadata.resource_version.unwrap_or_default(),
            address: data.text("endpoint").ok().flatten(),
            ca_bundle: data.ca_bundle().map(|(_, pem)| pem.into()),
            proxy_url: data.text("proxy-url").ok().flatten().map(|url| without_login(&url)),
            upstream: Err(Unusable(String::new())),
        };
        cluster.upstream = match unusable {
            Some(unusable) => Err(unusable),
            None => self.upstream(&cluster, &data, previous).map_err(Unusable),
        };
        cluster
    }

    fn upstream(
        &self,
        cluster: &Cluster,
        data: &Data,
        previous: Option<&Cluster>,
    ) -> Result<Upstream, String> {
        let credential = self.credential(cluster, data, previous)?;
        check_endpoint_type(cluster)?;
        let url = self.endpoint(data)?;
        let insecure = self.insecure(cluster, &url)?;
        let verification = match data.ca_bundle() {
            _ if insecure => Verification::Insecure,
            Some((key, pem)) => {
                pki::certificates(pem).map_err(|error| format!("key \"{key}\" {error}"))?;
                Verification::Bundle(pem.into())
            }
            None => Verification::SystemRoots,
        };
        let spec = TransportSpec {
            route: self.route(data, &url.endpoint)?,
            endpoint: url.endpoint,
            verification,
            server_name: cluster.annotations.get(ANNOTATION_TLS_SERVER_NAME).cloned(),
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

    fn credential(
        &self,
        cluster: &Cluster,
        data: &Data,
        previous: Option<&Cluster>,
    ) -> Result<Credential, String> {
        let kind = cluster.credential_type.ok_or_else(|| {
            let value = cluster.labels.get(LABEL_CREDENTIAL_TYPE).map(String::as_str).unwrap_or_default();
            format!(
                "label {LABEL_CREDENTIAL_TYPE} has the unknown value \"{value}\"; expected ServiceAccountToken, \
                 X509Certificate or Dynamic"
            )
        })?;
        match kind {
            CredentialType::ServiceAccountToken => Credential::token(data.bytes("token")),
            CredentialType::X509Certificate => Credential::x509(data.bytes("tls.crt"), data.bytes("tls.key")),
            CredentialType::Dynamic => return self.program(cluster, data, previous),
        }
        .map_err(|error| error.to_string())
    }

    /// A credential that a program gives. What it gave is inherited while the program and its input are the same (rule
    /// 273).
    fn program(
        &self,
        cluster: &Cluster,
        data: &Data,
        previous: Option<&Cluster>,
    ) -> Result<Credential, String> {
        let proxy_url = data.text("proxy-url")?;
        let info = ClusterInfo {
            name: &cluster.name,
            server: cluster.address.as_deref().unwrap_or_default(),
            tls_server_name: cluster.annotations.get(ANNOTATION_TLS_SERVER_NAME).map(String::as_str),
            insecure: cluster.annotations.get(ANNOTATION_INSECURE).is_some_and(|value| value == "true"),
            ca_bundle: cluster.ca_bundle.as_deref(),
            proxy_url: proxy_url.as_deref(),
        };
        let config = ExecConfig::read(data.bytes("exec"), &info, self.exec.policy());
        let config = config.map_err(|problem| format!("key \"exec\": {problem}"))?;
        let before = previous.and_then(|previous| previous.upstream.as_ref().ok()?.program());
        let same = before.filter(|before| before.config().fingerprint() == config.fingerprint()).cloned();
        let program = same.unwrap_or_else(|| Arc::new(ExecCredential::new(config, Arc::clone(&self.exec))));
        Ok(Credential::Exec(program))
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
            return Ok(proxy.map_or(Route::Direct, Route::Proxy));
        };
        let ca = Some(data.bytes("proxy-ca.crt")).filter(|pem| !pem.is_empty());
        if let Some(pem) = ca {
            pki::certificates(pem).map_err(|error| format!("key \"proxy-ca.crt\" {error}"))?;
        }
        let proxy = proxy(&url, ca.map(Into::into)).map_err(|error| format!("key \"proxy-url\": {error}"))?;
        Ok(Route::Proxy(proxy))
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

/// Keeps the annotations of this API and of KubeVela. The others are not ours, and one of them
/// (`kubectl.kubernetes.io/last-applied-configuration`) can hold the whole Secret.
pub(super) fn own(annotations: BTreeMap<String, String>) -> BTreeMap<String, String> {
    let ours = |key: &str| key.split_once('/').is_some_and(|(domain, _)| domain.ends_with("oam.dev"));
    annotations.into_iter().filter(|(key, _)| ours(key)).collect()
}

/// Where connections under the certificate of a program are kept; inherited with what they were made for.
fn certified(
    credential: &Credential,
    transport: &Arc<Transport>,
    previous: Option<&Cluster>,
) -> Option<Arc<Certified>> {
    let Credential::Exec(program) = credential else { return None };
    let before = previous.and_then(|previous| previous.upstream.as_ref().ok());
    let same = before.filter(|before| {
        Arc::ptr_eq(&before.transport, transport)
            && before.program().is_some_and(|before| Arc::ptr_eq(before, program))
    });
    same.and_then(|before| before.certified.clone()).or_else(|| Some(Arc::default()))
}

fn check_endpoint_type(cluster: &Cluster) -> Result<(), String> {
    if let Some(value) = cluster.labels.get(LABEL_ENDPOINT_TYPE)
        && EndpointType::parse(value).is_none()
    {
        return Err(format!(
            "label {LABEL_ENDPOINT_TYPE} has the unknown value \"{value}\"; expected Const or ClusterProxy"
        ));
    }
    if cluster.endpoint_type == EndpointType::ClusterProxy {
        return Err(
            "endpoints of type ClusterProxy (konnectivity) are not supported by this version".to_owned()
        );
    }
    Ok(())
}

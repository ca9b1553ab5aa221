//! What proves the gateway to a cluster, as its Secret says.

use std::sync::Arc;

use cluster_gateway_client::v1alpha1::{
    ANNOTATION_INSECURE, ANNOTATION_TLS_SERVER_NAME, CredentialType, LABEL_CREDENTIAL_TYPE,
};

use super::data::Data;
use super::{Certified, Cluster, ClusterPolicy};
use crate::credential::{ClusterInfo, Credential, ExecConfig, ExecCredential};
use crate::transport::Transport;

impl ClusterPolicy {
    /// The credential of the kind that the label names.
    pub(super) fn credential(
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
}

/// Where connections under the certificate of a program are kept; inherited with what they were made for.
pub(super) fn certified(
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

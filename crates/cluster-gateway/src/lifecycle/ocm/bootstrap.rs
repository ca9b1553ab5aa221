//! The agent's first way to the hub.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::api::{Api, PostParams};
use kube::config::Kubeconfig;
use serde_json::{Value, json};

use super::kind::{Kind, find};
use super::{HubAddress, OcmError, Server, Side, Sides, at, manifests};
use crate::hub::call;

/// How long the agent's first token is good, in seconds: until it has a certificate, and no longer than that needs.
const TOKEN_SECONDS: i64 = 3600;
/// Namespace and name of the ConfigMap in which clusters publish their own address.
const CLUSTER_INFO: (&str, &str) = ("kube-public", "cluster-info");

/// Where the agent finds the hub.
pub(super) async fn server(sides: &Sides, address: &HubAddress) -> Result<Server, OcmError> {
    let otherwise = match address {
        HubAddress::Given(server) => return Ok(server.clone()),
        HubAddress::ClusterInfo(otherwise) => otherwise,
    };
    let (namespace, name) = CLUSTER_INFO;
    let api = Kind::ConfigMap.api(sides, Side::Hub, Some(namespace));
    let Some(published) = find(&api, Side::Hub, name).await? else {
        return otherwise.clone().ok_or_else(|| {
            OcmError::Refused(format!(
                "the hub has no ConfigMap {namespace}/{name}, and no kubeconfig names its address; use --kubeconfig"
            ))
        });
    };
    let text = published.data["data"]["kubeconfig"].as_str().unwrap_or_default();
    published_server(text).map_err(|reason| {
        OcmError::Refused(format!(
            "the hub's ConfigMap {namespace}/{name} names no address for the agent: {reason}; join with \
             --in-cluster-bootstrap=false to use the address in your kubeconfig"
        ))
    })
}

fn published_server(text: &str) -> Result<Server, String> {
    let kubeconfig = Kubeconfig::from_yaml(text).map_err(|_| "its key kubeconfig holds no kubeconfig")?;
    let [cluster] = kubeconfig.clusters.as_slice() else {
        return Err(format!("its kubeconfig holds {} clusters instead of one", kubeconfig.clusters.len()));
    };
    Server::of(cluster.cluster.as_ref().ok_or("its cluster is empty")?)
}

/// A kubeconfig for the agent of the cluster, with a token of its first identity.
pub(super) async fn kubeconfig(sides: &Sides, cluster: &str, server: &Server) -> Result<String, OcmError> {
    let api = Api::<ServiceAccount>::namespaced(sides.hub.clone(), manifests::NAMESPACE);
    let asked = TokenRequest {
        spec: TokenRequestSpec { expiration_seconds: Some(TOKEN_SECONDS), ..TokenRequestSpec::default() },
        ..TokenRequest::default()
    };
    let account = manifests::bootstrap_account(cluster);
    let made = call(api.create_token_request(&account, &PostParams::default(), &asked)).await;
    let token =
        made.map_err(at(Side::Hub))?.status.map(|status| status.token).filter(|token| !token.is_empty());
    let token = token.ok_or_else(|| OcmError::Refused(format!("the hub made no token for {account}")))?;
    Ok(document(server, &token).to_string())
}

fn document(server: &Server, token: &str) -> Value {
    let mut cluster = json!({"server": server.url});
    if let Some(ca) = &server.ca {
        cluster["certificate-authority-data"] = json!(STANDARD.encode(ca));
    }
    json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "bootstrap",
        "clusters": [{"name": "hub", "cluster": cluster}],
        "users": [{"name": "bootstrap", "user": {"token": token}}],
        "contexts": [{"name": "bootstrap", "context": {
            "cluster": "hub", "user": "bootstrap", "namespace": "default",
        }}],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_published_address_is_taken_as_it_stands_or_refused() {
        let text =
            "clusters: [{name: '', cluster: {server: 'https://hub:6443', certificate-authority-data: Q0E=}}]";
        let server = Server { url: "https://hub:6443".to_owned(), ca: Some(b"CA".to_vec()) };
        assert_eq!(published_server(text), Ok(server));
        for (bad, why) in [
            ("", "clusters instead of one"),
            ("clusters: []", "0 clusters"),
            ("clusters: [{name: a, cluster: {server: 'http://hub'}}]", "https://"),
            (
                "clusters: [{name: a, cluster: {server: 'https://h', certificate-authority-data: '!'}}]",
                "base64",
            ),
            ("[", "no kubeconfig"),
        ] {
            let error = published_server(bad).unwrap_err();
            assert!(error.contains(why), "{bad}: {error}");
        }
    }

    #[test]
    fn the_agents_kubeconfig_is_one_that_client_go_takes() {
        let server = Server { url: "https://hub:6443".to_owned(), ca: Some(b"CA".to_vec()) };
        let text = document(&server, "sesame").to_string();
        let read = Kubeconfig::from_yaml(&text).unwrap();
        assert_eq!(read.current_context.as_deref(), Some("bootstrap"));
        assert_eq!(published_server(&text), Ok(server));
    }
}

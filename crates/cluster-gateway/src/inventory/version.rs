//! Which version runs.

use kube::Client;
use serde::Deserialize;

use super::address::find;
use super::probe::get;

/// What `goVersion` says of this program, and of no API server written in Go.
const OURS: &str = "none (Rust)";

/// What was found out; `Err` says why not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerVersion {
    /// Kubernetes' version at the hub.
    pub hub: Result<String, String>,
    /// The gateway's.
    pub gateway: Result<String, String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Version {
    git_version: String,
    #[serde(default)]
    go_version: String,
}

/// Asks for `/version`. A hub passes on nothing but the gateway's API group, so the gateway is asked through the proxy
/// subresource of its Service, which takes a right to `services/proxy`. A kubeconfig that leads straight to a gateway needs
/// neither.
pub async fn server_version(hub: &Client) -> ServerVersion {
    match read(hub, "/version").await {
        Ok(Version { git_version, go_version }) if go_version == OURS => ServerVersion {
            hub: Err("this kubeconfig leads to the gateway itself".to_owned()),
            gateway: Ok(git_version),
        },
        Ok(Version { git_version, .. }) => {
            ServerVersion { hub: Ok(git_version), gateway: through_service(hub).await }
        }
        Err(why) => ServerVersion { hub: Err(why), gateway: Err("the hub does not answer".to_owned()) },
    }
}

async fn through_service(hub: &Client) -> Result<String, String> {
    let service = find(hub).await.map_err(|error| error.to_string())?.service;
    let port = service.port;
    let (namespace, name) = (&service.namespace, &service.name);
    let path = format!("/api/v1/namespaces/{namespace}/services/https:{name}:{port}/proxy/version");
    read(hub, &path).await.map(|version| version.git_version)
}

async fn read(hub: &Client, path: &str) -> Result<Version, String> {
    let (status, body) = get(hub, path).await?;
    if !status.is_success() {
        return Err(super::probe::refusal("it", status, &body));
    }
    serde_json::from_slice(&body).map_err(|_| "the answer is no version".to_owned())
}

//! A node with one pod, on which exec, attach, port-forward and logs work.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::json;
use tempfile::TempDir;

use crate::binaries::Binaries;
use crate::control_plane::ControlPlane;
use crate::pki::Leaf;
use crate::process::{self, Server};
use crate::scratch;

/// The pod's name, in the namespace `default`.
pub const POD: &str = "web";

/// The pod's only container.
pub const CONTAINER: &str = "main";

/// What the pod answers over HTTP on every port.
pub const GREETING: &str = "hello from the pod\n";

const START_TIMEOUT: Duration = Duration::from_secs(20);

/// The kubelet stand-in of one node: its pods' commands run on this machine. Killed on drop.
#[derive(Debug)]
pub struct Pods {
    _kubelet: Server,
    _directory: TempDir,
}

impl Pods {
    /// Starts the kubelet stand-in, and makes the node and the running pod that it serves.
    pub fn start(plane: &ControlPlane) -> Result<Self> {
        let directory = scratch::directory("kubelet")?;
        let serving = plane.ca().issue(&Leaf::server(&["127.0.0.1"]))?;
        for (name, text) in
            [("ca.crt", plane.ca().pem()), ("tls.crt", serving.certificate), ("tls.key", serving.key)]
        {
            fs::write(directory.path().join(name), text).with_context(|| format!("write {name}"))?;
        }
        let port = scratch::free_port()?;
        let mut command = process::command(&Binaries::shared()?.kubelet);
        command.arg("--address").arg(format!("127.0.0.1:{port}"));
        command.arg("--tls-cert-file").arg(directory.path().join("tls.crt"));
        command.arg("--tls-private-key-file").arg(directory.path().join("tls.key"));
        command.arg("--client-ca-file").arg(directory.path().join("ca.crt"));
        let mut kubelet = Server::start("kubelet", command, directory.path())?;
        kubelet.wait_ready(START_TIMEOUT, || Ok(std::net::TcpStream::connect(("127.0.0.1", port)).is_ok()))?;
        create_objects(plane, port)?;
        Ok(Self { _kubelet: kubelet, _directory: directory })
    }
}

fn create_objects(plane: &ControlPlane, kubelet_port: u16) -> Result<()> {
    let node = "node";
    plane.admin().apply(&json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": node}}))?;
    patch_status(plane, "/api/v1/nodes/node", &json!({
        "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}],
        "daemonEndpoints": {"kubeletEndpoint": {"Port": kubelet_port}},
    }))?;
    plane.admin().apply(&json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": POD, "namespace": "default"},
        "spec": {
            "nodeName": node,
            "automountServiceAccountToken": false,
            "containers": [{"name": CONTAINER, "image": "none", "ports": [{"containerPort": 80}]}],
        },
    }))?;
    // kubectl forwards ports only to a pod that runs.
    patch_status(plane, &format!("/api/v1/namespaces/default/pods/{POD}"), &json!({
        "phase": "Running",
        "conditions": [{"type": "Ready", "status": "True"}],
        "containerStatuses": [{
            "name": CONTAINER, "image": "none", "imageID": "none", "ready": true, "restartCount": 0,
            "state": {"running": {}},
        }],
    }))
}

fn patch_status(plane: &ControlPlane, path: &str, status: &serde_json::Value) -> Result<()> {
    let body = json!({"status": status}).to_string();
    let request = plane.admin().request("PATCH", &format!("{path}/status"));
    request.body("application/strategic-merge-patch+json", &body).send()?.expect(200).map(drop)
}

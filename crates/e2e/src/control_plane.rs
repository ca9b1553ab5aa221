//! An etcd and a kube-apiserver of their own.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use rustix::process::Signal;
use serde_json::json;
use tempfile::TempDir;

use crate::access::{Access, Credential};
use crate::binaries::Binaries;
use crate::pki::{self, Authority, Leaf};
use crate::process::{self, Server};
use crate::scratch;

const START_TIMEOUT: Duration = Duration::from_secs(60);

/// The user name with which this control plane's aggregator comes.
pub const FRONT_PROXY_USER: &str = "front-proxy-client";

/// A Kubernetes control plane on loopback: a hub, or a member. Killed on drop.
#[derive(Debug)]
pub struct ControlPlane {
    ca: Authority,
    front_proxy_ca: Authority,
    admin: Access,
    // Dropped in this order: clients first, files last.
    apiserver: Server,
    etcd: Server,
    etcd_url: String,
    port: u16,
    directory: TempDir,
}

impl ControlPlane {
    /// Starts one and waits until it is ready.
    pub fn start(name: &str) -> Result<Self> {
        // Another process may take a port between its choice and its use.
        Self::try_start(name).or_else(|error| {
            eprintln!("e2e: control plane {name}, second attempt after: {error:#}");
            Self::try_start(name)
        })
    }

    fn try_start(name: &str) -> Result<Self> {
        let binaries = Binaries::shared()?;
        let directory = scratch::directory(name)?;
        let ca = Authority::new(&format!("{name} cluster CA"))?;
        let front_proxy_ca = Authority::new(&format!("{name} front-proxy CA"))?;
        write_pki(directory.path(), &ca, &front_proxy_ca)?;

        let (etcd, etcd_url) = start_etcd(&binaries.etcd, directory.path())?;
        let port = scratch::free_port()?;
        let command = apiserver_command(&binaries.kube_apiserver, directory.path(), &etcd_url, port);
        let mut apiserver = Server::start("kube-apiserver", command, directory.path())?;
        let identity = ca.issue(&Leaf::client("admin").group("system:masters"))?;
        let admin = Access::new(&format!("https://127.0.0.1:{port}"), &ca.pem(), Credential::X509(identity))?;
        wait_ready(&mut apiserver, &admin)?;
        Ok(Self { ca, front_proxy_ca, admin, apiserver, etcd, etcd_url, port, directory })
    }

    /// Stops etcd where it is: connections stay, and nothing is answered.
    pub fn pause_etcd(&mut self) -> Result<()> {
        self.etcd.process().signal(Signal::STOP)
    }

    /// Lets etcd go on, and waits until kube-apiserver is ready again.
    pub fn resume_etcd(&mut self) -> Result<()> {
        self.etcd.process().signal(Signal::CONT)?;
        wait_ready(&mut self.apiserver, &self.admin)
    }

    /// Kills kube-apiserver.
    pub fn kill_apiserver(&mut self) -> Result<()> {
        self.apiserver.process().signal(Signal::KILL)?;
        self.apiserver.process().wait(START_TIMEOUT).map(drop)
    }

    /// Starts kube-apiserver again at the same port, on the same etcd, and waits until it is ready.
    pub fn start_apiserver(&mut self) -> Result<()> {
        let directory = self.directory.path();
        let binary = &Binaries::shared()?.kube_apiserver;
        let command = apiserver_command(binary, directory, &self.etcd_url, self.port);
        self.apiserver = Server::start("kube-apiserver-again", command, directory)?;
        wait_ready(&mut self.apiserver, &self.admin)
    }

    /// The way in for a member of `system:masters`.
    pub fn admin(&self) -> &Access {
        &self.admin
    }

    /// The way in for a user that a client certificate names, with at most two groups.
    pub fn user(&self, name: &str, groups: &[&str]) -> Result<Access> {
        let leaf = groups.iter().fold(Leaf::client(name), |leaf, group| leaf.group(group));
        self.admin.with(Credential::X509(self.ca.issue(&leaf)?))
    }

    /// The way in for a service account, which is made if need be and bound to `cluster_role`.
    ///
    /// Not to `view`, `edit` or `admin`: a controller manager would fill them from others, and there is none.
    pub fn service_account(&self, namespace: &str, name: &str, cluster_role: &str) -> Result<Access> {
        self.admin.apply(&json!({"apiVersion": "v1", "kind": "List", "items": [
            {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}},
            {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name, "namespace": namespace}},
            {
                "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding",
                "metadata": {"name": format!("{namespace}-{name}-{cluster_role}")},
                "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": cluster_role},
                "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": namespace}],
            },
        ]}))?;
        let token =
            self.admin.kubectl(["create", "token", name, "--namespace", namespace]).run()?.success()?;
        self.admin.with(Credential::Token(token.trim().to_owned()))
    }

    /// The CA of its serving certificate and of its users' certificates.
    pub fn ca(&self) -> &Authority {
        &self.ca
    }

    /// The CA whose certificates make an aggregator.
    pub fn front_proxy_ca(&self) -> &Authority {
        &self.front_proxy_ca
    }

    /// The aggregator's own certificate.
    pub fn front_proxy_identity(&self) -> Result<pki::Identity> {
        self.front_proxy_ca.issue(&Leaf::client(FRONT_PROXY_USER))
    }

    /// Where its files and logs are.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }
}

fn wait_ready(apiserver: &mut Server, admin: &Access) -> Result<()> {
    apiserver.wait_ready(START_TIMEOUT, || Ok(admin.request("GET", "/readyz").send()?.code == 200))
}

fn write_pki(directory: &Path, ca: &Authority, front_proxy_ca: &Authority) -> Result<()> {
    let serving = ca.issue(&Leaf::server(&["localhost", "127.0.0.1", "kubernetes.default.svc"]))?;
    let kubelet_client = ca.issue(&Leaf::client("kube-apiserver-kubelet-client").group("system:masters"))?;
    let front_proxy = front_proxy_ca.issue(&Leaf::client(FRONT_PROXY_USER))?;
    let files = [
        ("ca.crt", ca.pem()),
        ("front-proxy-ca.crt", front_proxy_ca.pem()),
        ("service-accounts.key", pki::rsa_key()?),
        ("apiserver.crt", serving.certificate),
        ("apiserver.key", serving.key),
        ("front-proxy.crt", front_proxy.certificate),
        ("front-proxy.key", front_proxy.key),
        ("kubelet-client.crt", kubelet_client.certificate),
        ("kubelet-client.key", kubelet_client.key),
    ];
    for (name, text) in files {
        fs::write(directory.join(name), text).with_context(|| format!("write {name}"))?;
    }
    Ok(())
}

fn start_etcd(binary: &Path, directory: &Path) -> Result<(Server, String)> {
    let client = format!("http://127.0.0.1:{}", scratch::free_port()?);
    let peer = format!("http://127.0.0.1:{}", scratch::free_port()?);
    let mut command = process::command(binary);
    command.arg("--data-dir").arg(directory.join("etcd"));
    command.args(["--listen-client-urls", &client, "--advertise-client-urls", &client]);
    command.args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer]);
    command.arg(format!("--initial-cluster=default={peer}")).args(["--unsafe-no-fsync", "--log-level=warn"]);
    // kube-apiserver waits for it: polling it as well would only take time.
    Ok((Server::start("etcd", command, directory)?, client))
}

fn apiserver_command(binary: &Path, directory: &Path, etcd: &str, port: u16) -> std::process::Command {
    let file = |name: &str| -> PathBuf { directory.join(name) };
    let mut command = process::command(binary);
    for (flag, name) in [
        ("--tls-cert-file", "apiserver.crt"),
        ("--tls-private-key-file", "apiserver.key"),
        ("--client-ca-file", "ca.crt"),
        ("--service-account-key-file", "service-accounts.key"),
        ("--service-account-signing-key-file", "service-accounts.key"),
        ("--requestheader-client-ca-file", "front-proxy-ca.crt"),
        ("--proxy-client-cert-file", "front-proxy.crt"),
        ("--proxy-client-key-file", "front-proxy.key"),
        ("--kubelet-client-certificate", "kubelet-client.crt"),
        ("--kubelet-client-key", "kubelet-client.key"),
    ] {
        command.arg(flag).arg(file(name));
    }
    command.args(["--etcd-servers", etcd]).arg(format!("--secure-port={port}"));
    command.arg(format!("--requestheader-allowed-names={FRONT_PROXY_USER}"));
    command.args([
        "--bind-address=127.0.0.1",
        "--advertise-address=127.0.0.1",
        "--endpoint-reconciler-type=none",
        "--service-account-issuer=https://kubernetes.default.svc",
        "--service-cluster-ip-range=10.0.0.0/24",
        "--authorization-mode=RBAC",
        // Without a controller manager no namespace gets its default service account, and this would refuse pods.
        "--disable-admission-plugins=ServiceAccount",
        "--requestheader-username-headers=X-Remote-User",
        "--requestheader-group-headers=X-Remote-Group",
        "--requestheader-extra-headers-prefix=X-Remote-Extra-",
        "--kubelet-preferred-address-types=InternalIP",
    ]);
    command
}

//! The gateway as the manifests of `deploy/` install it: with their service account, rights and arguments.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use rustix::process::Signal;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::access::{Access, Credential};
use crate::control_plane::ControlPlane;
use crate::forwarder::Forwarder;
use crate::process::{self, Server};
use crate::{binaries, registration, scratch, wait};

/// The namespace of the gateway in the manifests.
pub const NAMESPACE: &str = "cluster-gateway-system";

/// The namespace of the clusters' Secrets in the manifests.
pub const CLUSTERS: &str = "cluster-gateway-clusters";

/// The APIService in the manifests.
pub const API_SERVICE: &str = "/apis/apiregistration.k8s.io/v1/apiservices/v1alpha1.cluster.core.oam.dev";

/// The Secret of the serving certificate.
pub const CERTIFICATE: &str = "/api/v1/namespaces/cluster-gateway-system/secrets/cluster-gateway-certificate";

/// The aggregator looks at an APIService again after at most 30 s.
const AVAILABLE_TIMEOUT: Duration = Duration::from_secs(60);
const STOP_TIMEOUT: Duration = Duration::from_secs(10);

/// A hub on which the manifests have been applied.
#[derive(Debug)]
pub struct Deployed {
    admin: Access,
    account: Access,
    arguments: Vec<String>,
    service: Forwarder,
    port: u16,
}

impl Deployed {
    /// Applies `deploy/cluster-gateway.yaml`. Two things are not as they stand there, because there are no pods: the
    /// Service leads to this machine, and the port of the APIService is that of [`Deployed::lead_to`]'s forwarder.
    pub fn install(hub: &ControlPlane) -> Result<Self> {
        let admin = hub.admin().clone();
        let port = scratch::free_port()?;
        let file = scratch::workspace().join("deploy/cluster-gateway.yaml");
        let manifest = std::fs::read_to_string(&file).with_context(|| format!("read {}", file.display()))?;
        let (services, others): (Vec<&str>, Vec<&str>) =
            manifest.split("\n---\n").partition(|document| document.contains("\nkind: Service\n"));
        ensure!(services.len() == 1, "one Service was expected");
        admin.kubectl(["apply", "-f", "-"]).stdin(&others.join("\n---\n")).run()?.success()?;
        admin.apply(&json!({
            "apiVersion": "v1", "kind": "Service", "metadata": {"name": "cluster-gateway", "namespace": NAMESPACE},
            "spec": {"type": "ExternalName", "externalName": "localhost", "ports": [{"name": "https", "port": port}]},
        }))?;
        let patch = json!({"spec": {"service": {"port": port}}});
        patch_api_service(&admin, &patch)?;

        let deployment = format!("/apis/apps/v1/namespaces/{NAMESPACE}/deployments/cluster-gateway");
        let deployment = admin.request("GET", &deployment).send()?.json(200)?;
        let arguments =
            serde_json::from_value(deployment["spec"]["template"]["spec"]["containers"][0]["args"].clone())
                .context("the arguments of the container")?;
        let token = ["create", "token", "cluster-gateway", "--namespace", NAMESPACE];
        let token = admin.kubectl(token).run()?.success()?;
        let account = admin.with(Credential::Token(token.trim().to_owned()))?;
        let service = Forwarder::start(port, &format!("127.0.0.1:{}", scratch::free_port()?))?;
        Ok(Self { admin, account, arguments, service, port })
    }

    /// Starts a replica: the arguments are the manifest's but for the port, and what a pod knows of itself is said.
    pub fn replica(&self) -> Result<Replica> {
        self.replica_with(&[])
    }

    /// As [`Deployed::replica`], with additional flags, and waits until it is ready.
    pub fn ready_replica(&self, flags: &[&str]) -> Result<Replica> {
        let mut replica = self.replica_with(flags)?;
        replica.wait_ready(AVAILABLE_TIMEOUT)?;
        Ok(replica)
    }

    fn replica_with(&self, flags: &[&str]) -> Result<Replica> {
        let own = format!("--service-namespace={NAMESPACE}");
        let arguments = self.arguments.iter().filter(|argument| !argument.starts_with("--secure-port"));
        let arguments = arguments.map(String::as_str).chain([own.as_str()]).chain(flags.iter().copied());
        Replica::start(&self.account, &arguments.collect::<Vec<_>>())
    }

    /// Lets the Service lead to these replicas in turn, for new connections, and waits until the hub can use them and
    /// each shows a certificate that it verifies.
    pub fn balance(&self, replicas: &[&Replica]) -> Result<()> {
        self.service.balance(replicas.iter().map(|replica| replica.address()).collect());
        self.wait_available()?;
        wait::eventually("all replicas to verify", AVAILABLE_TIMEOUT, || {
            let bundle = self.ca_bundle()?;
            for replica in replicas {
                ensure!(replica.verifies(&bundle)?, "{} not by {bundle}", replica.address());
            }
            Ok(Some(()))
        })
    }

    /// Somebody's way to the Service, past the hub.
    pub fn direct(&self, credential: Credential) -> Result<Access> {
        Access::new(&format!("https://localhost:{}", self.port), &self.ca_bundle()?, credential)
    }

    /// Registers a member, or replaces what was registered under its name.
    pub fn add_member(&self, name: &str, member: &Access) -> Result<()> {
        registration::put_secret_as(&self.admin, name, &Self::secret(name, member)?)
    }

    /// The Secret by which a member is registered.
    pub fn secret(name: &str, member: &Access) -> Result<Value> {
        let mut secret = registration::secret(name, member)?;
        secret["metadata"]["namespace"] = json!(CLUSTERS);
        Ok(secret)
    }

    /// Removes a member.
    pub fn remove_member(&self, name: &str) -> Result<()> {
        let path = format!("/api/v1/namespaces/{CLUSTERS}/secrets/{name}");
        self.admin.request("DELETE", &path).send()?.expect(200).map(drop)
    }

    /// Lets the Service lead to a replica, for new connections.
    pub fn lead_to(&self, replica: &Replica) {
        self.service.lead_to(&replica.address());
    }

    /// Waits until the hub can use the gateway.
    pub fn wait_available(&self) -> Result<()> {
        wait::eventually("the APIService to be available", AVAILABLE_TIMEOUT, || {
            let object = self.admin.request("GET", API_SERVICE).send()?.json(200)?;
            let conditions = object["status"]["conditions"].as_array().cloned().unwrap_or_default();
            let available = conditions.iter().find(|condition| condition["type"] == "Available");
            let available = available.context("the hub has not looked at it yet")?;
            ensure!(available["status"] == "True", "{available}");
            Ok(Some(()))
        })
    }

    /// The bundle by which the hub verifies the gateway, PEM; empty if it has none.
    pub fn ca_bundle(&self) -> Result<String> {
        let object = self.admin.request("GET", API_SERVICE).send()?.json(200)?;
        ensure!(object["spec"]["insecureSkipTLSVerify"].is_null(), "the hub does not verify: {object}");
        let bundle = BASE64.decode(object["spec"]["caBundle"].as_str().unwrap_or_default())?;
        Ok(String::from_utf8(bundle)?)
    }

    /// Changes the APIService, as JSON merge patch.
    pub fn patch_api_service(&self, patch: &Value) -> Result<()> {
        patch_api_service(&self.admin, patch)
    }
}

fn patch_api_service(admin: &Access, patch: &Value) -> Result<()> {
    let request = admin.request("PATCH", API_SERVICE);
    request.body("application/merge-patch+json", &patch.to_string()).send()?.expect(200).map(drop)
}

/// One running gateway. Killed on drop.
#[derive(Debug)]
pub struct Replica {
    server: Server,
    port: u16,
    /// Only because curl wants one where it verifies nothing.
    any_ca: String,
    _directory: TempDir,
}

impl Replica {
    /// Starts one that speaks to the hub as `hub`, with these arguments and a port of its own; does not wait for it.
    pub fn start(hub: &Access, arguments: &[&str]) -> Result<Self> {
        let directory = scratch::directory("replica")?;
        let port = scratch::free_port()?;
        let mut command = process::command(binaries::gateway()?);
        command.args(arguments).arg(format!("--secure-port={port}")).arg("--bind-address=127.0.0.1");
        command.arg("--kubeconfig").arg(hub.kubeconfig());
        let server = Server::start("cluster-gateway", command, directory.path())?;
        Ok(Self { server, port, any_ca: hub.ca().to_owned(), _directory: directory })
    }

    /// Waits until it is ready, whatever certificate it shows.
    pub fn wait_ready(&mut self, timeout: Duration) -> Result<()> {
        let nobody =
            Access::new(&format!("https://127.0.0.1:{}", self.port), &self.any_ca, Credential::Anonymous)?;
        let readyz = nobody.request("GET", "/readyz").args(["--insecure"]);
        self.server.wait_ready(timeout, || Ok(readyz.clone().send()?.code == 200))
    }

    /// Whether its certificate verifies, by `bundle`, for the name by which the hub asks.
    pub fn verifies(&self, bundle: &str) -> Result<bool> {
        let name = format!("cluster-gateway.{NAMESPACE}.svc:{}", self.port);
        let hub = Access::new(&format!("https://{name}"), bundle, Credential::Anonymous)?;
        let resolve = format!("{name}:127.0.0.1");
        Ok(hub.request("GET", "/livez").args(["--resolve", &resolve]).send().is_ok())
    }

    /// Where it listens.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Somebody's way straight to it, past Service and hub.
    pub fn access(&self, bundle: &str, credential: Credential) -> Result<Access> {
        Access::new(&format!("https://{}", self.address()), bundle, credential)
    }

    /// Kills it, as a machine does that loses its power.
    pub fn kill(mut self) -> Result<()> {
        self.server.process().signal(Signal::KILL)?;
        self.server.process().wait(STOP_TIMEOUT).map(drop)
    }

    /// How much memory is resident now, in KiB.
    pub fn resident(&mut self) -> Result<u64> {
        self.server.process().resident()
    }

    /// What it has logged so far.
    pub fn log(&self) -> String {
        self.server.log()
    }
}

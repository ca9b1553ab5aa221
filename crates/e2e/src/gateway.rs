//! The program under test.

use std::fs;
use std::process::ExitStatus;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;

use crate::access::{Access, Credential};
use crate::pki::{Authority, Leaf};
use crate::process::{self, Server};
use crate::registration::{NAMESPACE, SERVICE};
use crate::{binaries, scratch};

const START_TIMEOUT: Duration = Duration::from_secs(30);
const STOP_TIMEOUT: Duration = Duration::from_secs(10);

/// Everything that the gateway does is audited.
const AUDIT_POLICY: &str = "apiVersion: audit.k8s.io/v1\nkind: Policy\nrules:\n- level: Metadata\n";

/// A running `cluster-gateway apiserver`. Stopped on drop.
#[derive(Debug)]
pub struct Gateway {
    server: Server,
    ca: Authority,
    port: u16,
    directory: TempDir,
}

impl Gateway {
    /// Starts one that speaks to the hub as `hub`, and waits until it is ready.
    pub fn start(hub: &Access) -> Result<Self> {
        let mut gateway = Self::launch(hub, &[])?;
        gateway.wait_ready(START_TIMEOUT)?;
        Ok(gateway)
    }

    /// Starts one with additional flags and does not wait for it.
    pub fn launch(hub: &Access, flags: &[&str]) -> Result<Self> {
        let directory = scratch::directory("gateway")?;
        let ca = Authority::new("gateway CA")?;
        let dns_name = format!("{SERVICE}.{NAMESPACE}.svc");
        let serving = ca.issue(&Leaf::server(&[&dns_name, "localhost", "127.0.0.1"]))?;
        let policy = AUDIT_POLICY.to_owned();
        for (name, text) in
            [("tls.crt", serving.certificate), ("tls.key", serving.key), ("audit-policy.yaml", policy)]
        {
            fs::write(directory.path().join(name), text).with_context(|| format!("write {name}"))?;
        }
        let port = scratch::free_port()?;
        let mut command = process::command(binaries::gateway()?);
        command.arg("apiserver").arg(format!("--secure-port={port}")).arg("--bind-address=127.0.0.1");
        command.arg("--kubeconfig").arg(hub.kubeconfig()).arg(format!("--secret-namespace={NAMESPACE}"));
        command.arg("--tls-cert-file").arg(directory.path().join("tls.crt"));
        command.arg("--tls-private-key-file").arg(directory.path().join("tls.key"));
        command.arg("--audit-policy-file").arg(directory.path().join("audit-policy.yaml"));
        command.arg("--audit-log-path").arg(directory.path().join("audit.log"));
        command.args(flags);
        let server = Server::start("cluster-gateway", command, directory.path())?;
        Ok(Self { server, ca, port, directory })
    }

    /// Waits until it says that it is ready.
    pub fn wait_ready(&mut self, timeout: Duration) -> Result<()> {
        let readyz = self.access(Credential::Anonymous)?.request("GET", "/readyz");
        self.server.wait_ready(timeout, || Ok(readyz.clone().send()?.code == 200))
    }

    /// Somebody's way straight to its own port.
    pub fn access(&self, credential: Credential) -> Result<Access> {
        Access::new(&format!("https://127.0.0.1:{}", self.port), &self.ca.pem(), credential)
    }

    /// The CA of its serving certificate.
    pub fn ca(&self) -> &Authority {
        &self.ca
    }

    /// The port that it serves on.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// What it has logged so far.
    pub fn log(&self) -> String {
        self.server.log()
    }

    /// The audit events that it has written so far.
    pub fn audit_events(&self) -> Result<Vec<Value>> {
        let text =
            fs::read_to_string(self.directory.path().join("audit.log")).context("read the audit log")?;
        // The last line may be half written.
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        whole
            .lines()
            .map(|line| serde_json::from_str(line).with_context(|| format!("no event: {line}")))
            .collect()
    }

    /// Asks it to stop, and does not wait.
    pub fn terminate(&mut self) -> Result<()> {
        self.server.process().signal(Signal::TERM)
    }

    /// How it ended, if it has.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>> {
        self.server.process().ended()
    }

    /// Waits for its end, which must be a success.
    pub fn wait_stopped(&mut self) -> Result<()> {
        let status = self.server.process().wait(STOP_TIMEOUT)?;
        ensure!(status.success(), "the gateway ended with {status}; its log:\n{}", self.log());
        Ok(())
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        // What is still there after that is killed with the process group.
        let _ = self.terminate().and_then(|()| self.server.process().wait(STOP_TIMEOUT));
    }
}

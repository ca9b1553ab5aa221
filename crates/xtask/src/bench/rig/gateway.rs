//! The gateway, with a real hub behind it.

use std::time::Duration;

use anyhow::{Context, Result};
use e2e::registration::NAMESPACE;
use e2e::scratch;

use super::super::contender::{Contender, Endpoint, Endpoints, GATEWAY};
use super::{Rig, prefix};
use crate::process::{self, Core, Server};

/// Long enough for ten thousand clusters on a slow machine.
const READY_TIMEOUT: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(2);

impl Rig {
    /// A fresh gateway that knows the members and is ready.
    pub(in super::super) fn gateway(&self) -> Result<Contender> {
        self.gateway_with(GATEWAY, NAMESPACE, &[])
    }

    /// The same with clusters of another namespace, and with more flags.
    pub(in super::super) fn gateway_with(
        &self,
        name: &str,
        namespace: &str,
        flags: &[String],
    ) -> Result<Contender> {
        let folder = self.folder("gateway")?;
        let port = scratch::free_port()?;
        let shared = self.directory.path();
        let mut command = process::command(Core::Proxy, &self.gateway);
        command.arg("apiserver").arg(format!("--secure-port={port}")).arg("--bind-address=127.0.0.1");
        command.arg("--kubeconfig").arg(self.hub.gateway.kubeconfig());
        command.arg(format!("--secret-namespace={namespace}"));
        command.arg("--tls-cert-file").arg(shared.join("tls.crt"));
        command.arg("--tls-private-key-file").arg(shared.join("tls.key"));
        command.args(flags);
        let log = folder.join("log");
        let server = Server::start("cluster-gateway", command, &log, &[port])?;
        let ready = self.runtime.block_on(self.wait_ready(port));
        ready.with_context(|| std::fs::read_to_string(&log).unwrap_or_default())?;
        let endpoints: Endpoints = self
            .member_ports()
            .map(|(upstream, protocol, _)| {
                ((upstream, protocol), Endpoint { port, prefix: prefix(upstream, protocol) })
            })
            .collect();
        Ok(Contender { name: name.to_owned(), server: Some(server), endpoints })
    }

    async fn wait_ready(&self, port: u16) -> Result<()> {
        let headers = http::HeaderMap::new();
        let ready = async {
            loop {
                let answer = async { self.dialer.http2(port).await?.get("/readyz", &headers).await };
                if answer.await.is_ok() {
                    return;
                }
                tokio::time::sleep(PAUSE).await;
            }
        };
        tokio::time::timeout(READY_TIMEOUT, ready).await.context("the gateway is not ready in time")
    }
}

//! Konnectivity: the real proxy server, and real agents that lead to members.

use std::cell::RefCell;
use std::fs;
use std::net::TcpStream;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};
use tempfile::TempDir;

use crate::forwarder::Forwarder;
use crate::pki::{Authority, Leaf};
use crate::process::{self, Server};
use crate::{Access, binaries, scratch, wait};

const START_TIMEOUT: Duration = Duration::from_secs(20);

/// A proxy server for one gateway. Stopped on drop.
#[derive(Debug)]
pub struct ProxyServer {
    mode: &'static str,
    ports: Ports,
    server: RefCell<Option<Server>>,
    directory: TempDir,
}

#[derive(Debug)]
struct Ports {
    clients: u16,
    agents: u16,
    admin: u16,
    health: u16,
}

/// An agent of one cluster. Stopped on drop.
#[derive(Debug)]
pub struct Agent {
    _process: Server,
}

impl ProxyServer {
    /// Starts one in `mode` (`grpc` or `http-connect`), with authorities of its own towards clients and agents.
    ///
    /// Without `--cluster-ca-cert` anybody could be an agent (CVE-2026-16242).
    pub fn start(mode: &'static str) -> Result<Self> {
        let directory = scratch::directory("konnectivity")?;
        for role in ["server", "cluster"] {
            let (servers, clients) =
                (Authority::new(&format!("{role} CA"))?, Authority::new(&format!("{role} clients CA"))?);
            let serving = servers.issue(&Leaf::server(&["localhost"]))?;
            let client = clients.issue(&Leaf::client(&format!("a client of {role}")))?;
            for (name, text) in [
                ("ca.crt", servers.pem()),
                ("clients-ca.crt", clients.pem()),
                ("tls.crt", serving.certificate),
                ("tls.key", serving.key),
                ("client.crt", client.certificate),
                ("client.key", client.key),
            ] {
                let path = directory.path().join(format!("{role}-{name}"));
                fs::write(&path, text).with_context(|| format!("write {}", path.display()))?;
            }
        }
        let [clients, agents, admin, health] =
            [scratch::free_port()?, scratch::free_port()?, scratch::free_port()?, scratch::free_port()?];
        let ports = Ports { clients, agents, admin, health };
        let server = Self { mode, ports, server: RefCell::default(), directory };
        server.restart()?;
        Ok(server)
    }

    /// Kills the process.
    pub fn kill(&self) {
        *self.server.borrow_mut() = None;
    }

    /// Starts the process anew, with the same ports and certificates.
    pub fn restart(&self) -> Result<()> {
        self.kill();
        let (program, _) = binaries::konnectivity()?;
        let mut command = process::command(program);
        command.arg(format!("--mode={}", self.mode)).arg("--proxy-strategies=destHost");
        for (flag, port) in [
            ("--server-port", self.ports.clients),
            ("--agent-port", self.ports.agents),
            ("--admin-port", self.ports.admin),
            ("--health-port", self.ports.health),
        ] {
            command.arg(format!("{flag}={port}"));
        }
        for role in ["server", "cluster"] {
            command.arg(format!("--{role}-cert")).arg(self.file(&format!("{role}-tls.crt")));
            command.arg(format!("--{role}-key")).arg(self.file(&format!("{role}-tls.key")));
            command.arg(format!("--{role}-ca-cert")).arg(self.file(&format!("{role}-clients-ca.crt")));
        }
        command.args(
            ["server", "agent", "admin", "health"].map(|what| format!("--{what}-bind-address=127.0.0.1")),
        );
        let mut server = Server::start("proxy-server", command, self.directory.path())?;
        server.wait_ready(START_TIMEOUT, || {
            Ok(TcpStream::connect(("127.0.0.1", self.ports.clients)).is_ok())
        })?;
        *self.server.borrow_mut() = Some(server);
        Ok(())
    }

    /// Starts an agent of `cluster`.
    pub fn agent(&self, cluster: &str) -> Result<Agent> {
        let (_, program) = binaries::konnectivity()?;
        let mut command = process::command(program);
        command
            .arg("--proxy-server-host=localhost")
            .arg(format!("--proxy-server-port={}", self.ports.agents));
        command.arg("--ca-cert").arg(self.file("cluster-ca.crt"));
        command.arg("--agent-cert").arg(self.file("cluster-client.crt"));
        command.arg("--agent-key").arg(self.file("cluster-client.key"));
        command.arg(format!("--agent-identifiers=host={cluster}"));
        command.arg(format!("--admin-server-port={}", scratch::free_port()?));
        command
            .arg("--health-server-host=127.0.0.1")
            .arg(format!("--health-server-port={}", scratch::free_port()?));
        command.args(["--sync-interval=100ms", "--sync-interval-cap=500ms", "--probe-interval=100ms"]);
        let process = Server::start(&format!("agent-{cluster}"), command, self.directory.path())?;
        Ok(Agent { _process: process })
    }

    /// The gateway's flags for it.
    pub fn flags(&self) -> Vec<String> {
        let file = |name: &str| self.file(name).display().to_string();
        vec![
            "--proxy-host=localhost".to_owned(),
            format!("--proxy-port={}", self.ports.clients),
            format!("--proxy-ca-cert={}", file("server-ca.crt")),
            format!("--proxy-cert={}", file("server-client.crt")),
            format!("--proxy-key={}", file("server-client.key")),
            format!("--proxy-mode={}", self.mode),
        ]
    }

    /// Streams of packets that the server has open with the gateway, as its metrics say.
    pub fn open_streams(&self) -> Result<u64> {
        let url = format!("http://127.0.0.1:{}", self.ports.admin);
        let nobody = Access::new(&url, "", crate::Credential::Anonymous)?;
        let metrics = nobody.request("GET", "/metrics").send()?.expect(200)?;
        let line = "konnectivity_network_proxy_server_grpc_connections{service_method=\"Proxy\"} ";
        let value =
            metrics.lines().find_map(|own| own.strip_prefix(line)).with_context(|| metrics.clone())?;
        value.parse().context("a number of streams")
    }

    fn file(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }
}

/// A cluster's name that is also an address, so that its agent finds it without a name server; what comes to port 443 there
/// is passed on to `member`. `number` tells the clusters of this process apart.
pub fn address(number: u8, member: &Access) -> Result<String> {
    let process = std::process::id();
    let target = member.server().strip_prefix("https://").context("an HTTPS server")?;
    // Other test processes may be running: each takes its own addresses.
    wait::eventually("a free address for a cluster", Duration::from_secs(1), || {
        let name = format!("127.{}.{}.{}", 64 + number, (process >> 8) & 0xff, process & 0xff);
        let forwarder = Forwarder::at((&name, 443), target);
        forwarder.context("only root may, or after: sysctl net.ipv4.ip_unprivileged_port_start=443")?;
        Ok(Some(name))
    })
}

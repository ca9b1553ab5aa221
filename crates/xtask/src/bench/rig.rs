//! What is measured: a member, and HAProxy, nginx and the gateway in front of it, the gateway with a real hub behind.
//!
//! The same request arrives at every proxy, with the same path and the same token, and the same request leaves them: TLS
//! 1.3 in, TLS 1.3 with verification out, the prefix cut off, the member's token in place of the caller's.

mod files;
mod gateway;
mod haproxy;
mod hub;
mod nginx;
mod stub;

use std::cell::Cell;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use e2e::pki::{Authority, Leaf};
use e2e::{registration, scratch};
use http::{HeaderMap, HeaderValue, header};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use super::contender::{Contender, DIRECT, Endpoint, Endpoints, Protocol, Upstream};
use crate::process::Server;
use crate::wire::Dialer;

pub(super) use hub::{Hub, cluster, create, idle_clusters};
pub(super) use stub::{Stub, WATCH};

/// How long the tokens of service accounts are, about.
const TOKEN_LENGTH: usize = 900;
/// Paths of the member.
pub(super) const SMALL: &str = "/api/1k";
pub(super) const MEGABYTE: &str = "/api/1m";
pub(super) const LARGE: &str = "/api/50m";
pub(super) const UPLOAD: &str = "/api/upload";
pub(super) const SIZES: [(&str, usize); 3] = [(SMALL, 1 << 10), (MEGABYTE, 1 << 20), (LARGE, 50 << 20)];

/// How long turns are and how many things there are.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scale {
    pub(super) rounds: u32,
    pub(super) turn: Duration,
    pub(super) clusters: u32,
    pub(super) watches: u32,
}

/// What runs all the time; proxies are started by the cases, fresh ones for each.
pub(super) struct Rig {
    pub(super) scale: Scale,
    pub(super) runtime: Runtime,
    pub(super) hub: Hub,
    pub(super) stub: Stub,
    pub(super) dialer: Dialer,
    gateway: PathBuf,
    ca: Authority,
    members: Endpoints,
    started: Cell<u32>,
    _files: Server,
    directory: TempDir,
}

impl Rig {
    pub(super) fn start(gateway: &Path, scale: Scale) -> Result<Self> {
        let directory = scratch::directory("bench")?;
        let ca = Authority::new("bench CA")?;
        write_identity(directory.path(), &ca)?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .context("start a runtime")?;
        let (files, ports) = files::start(directory.path())?;
        let stub = runtime.block_on(Stub::start(directory.path()))?;
        let mut members = Endpoints::new();
        let [files_ports, stub_ports] = [ports, stub.ports];
        for (upstream, ports) in [(Upstream::Files, files_ports), (Upstream::Stub, stub_ports)] {
            for (protocol, port) in Protocol::ALL.into_iter().zip(ports) {
                members.insert((upstream, protocol), Endpoint { port, prefix: String::new() });
            }
        }
        let hub = Hub::start(&members, &ca.pem())?;
        let dialer = Dialer::new(&ca.pem(), None)?;
        let (gateway, started) = (gateway.to_owned(), Cell::new(0));
        Ok(Self {
            scale,
            runtime,
            hub,
            stub,
            dialer,
            gateway,
            ca,
            members,
            started,
            _files: files,
            directory,
        })
    }

    /// The member itself.
    pub(super) fn direct(&self) -> Contender {
        Contender { name: DIRECT.to_owned(), server: None, endpoints: self.members.clone() }
    }

    /// The CA of everything but the hub, PEM.
    pub(super) fn ca(&self) -> String {
        self.ca.pem()
    }

    /// Where the member is for its own clusters in the hub.
    pub(super) fn member_port(&self, upstream: Upstream, protocol: Protocol) -> Result<u16> {
        Ok(self.direct().endpoint(upstream, protocol)?.port)
    }

    /// What every request carries: as long as the token that a service account has.
    pub(super) fn headers(&self) -> Result<HeaderMap> {
        let mut value = HeaderValue::try_from(format!("Bearer {}", self.hub.token()))?;
        value.set_sensitive(true);
        Ok(HeaderMap::from_iter([(header::AUTHORIZATION, value)]))
    }

    /// A folder for one more process.
    fn folder(&self, name: &str) -> Result<PathBuf> {
        let number = self.started.replace(self.started.get() + 1);
        let folder = self.directory.path().join(format!("{name}-{number}"));
        fs::create_dir_all(&folder).with_context(|| format!("create {}", folder.display()))?;
        Ok(folder)
    }

    /// A file for what only one turn needs.
    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn member_ports(&self) -> impl Iterator<Item = (Upstream, Protocol, u16)> {
        self.members.iter().map(|(&(upstream, protocol), endpoint)| (upstream, protocol, endpoint.port))
    }
}

/// The name under which the gateway knows an upstream.
pub(super) fn name(upstream: Upstream, protocol: Protocol) -> &'static str {
    match (upstream, protocol) {
        (Upstream::Files, Protocol::Http2) => "files-h2",
        (Upstream::Files, Protocol::Http1) => "files-h1",
        (Upstream::Stub, Protocol::Http2) => "stub-h2",
        (Upstream::Stub, Protocol::Http1) => "stub-h1",
    }
}

/// What the proxies show the member.
fn member_token() -> String {
    "t".repeat(TOKEN_LENGTH)
}

/// What stands before a path of the upstream at every proxy.
fn prefix(upstream: Upstream, protocol: Protocol) -> String {
    registration::proxy_path(name(upstream, protocol))
}

/// A certificate for loopback with its key and its CA; all servers show this one.
fn write_identity(folder: &Path, ca: &Authority) -> Result<()> {
    // The hub asks for the gateway by the name of its Service.
    let service = format!("{}.{}.svc", registration::SERVICE, registration::NAMESPACE);
    let identity = ca.issue(&Leaf::server(&["localhost", "127.0.0.1", &service]))?;
    let both = format!("{}{}", identity.certificate, identity.key);
    let files = [
        ("tls.crt", identity.certificate),
        ("tls.key", identity.key),
        ("ca.crt", ca.pem()),
        ("both.pem", both),
    ];
    for (file, text) in files {
        fs::write(folder.join(file), text).with_context(|| format!("write {file}"))?;
    }
    Ok(())
}

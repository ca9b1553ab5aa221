//! Who takes turns.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::process::Server;

/// What both sides of the proxy speak.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Protocol {
    Http2,
    Http1,
}

impl Protocol {
    pub(super) const ALL: [Self; 2] = [Self::Http2, Self::Http1];
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Http2 => "h2→h2",
            Self::Http1 => "h1→h1",
        })
    }
}

/// What is behind the proxy.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Upstream {
    /// nginx with files of several sizes, as fast as it gets.
    Files,
    /// A server of our own for what nginx cannot play: watches and upgrades.
    Stub,
}

/// Where one upstream is reached through one contender.
#[derive(Clone, Debug)]
pub(super) struct Endpoint {
    pub(super) port: u16,
    /// What stands before the upstream's own paths.
    pub(super) prefix: String,
}

impl Endpoint {
    pub(super) fn url(&self, path: &str) -> String {
        format!("https://127.0.0.1:{}{}{path}", self.port, self.prefix)
    }

    pub(super) fn path(&self, path: &str) -> String {
        format!("{}{path}", self.prefix)
    }
}

pub(super) type Endpoints = BTreeMap<(Upstream, Protocol), Endpoint>;

/// The names that the report gives them.
pub(super) const DIRECT: &str = "direct";
pub(super) const HAPROXY: &str = "HAProxy";
pub(super) const NGINX: &str = "nginx (h1 to the member)";
pub(super) const GATEWAY: &str = "Cluster Gateway";

/// One way from the load to the member.
#[derive(Debug)]
pub(super) struct Contender {
    pub(super) name: String,
    /// None where there is nothing between the load and the member.
    pub(super) server: Option<Server>,
    pub(super) endpoints: Endpoints,
}

impl Contender {
    pub(super) fn endpoint(&self, upstream: Upstream, protocol: Protocol) -> Result<&Endpoint> {
        self.endpoints.get(&(upstream, protocol)).with_context(|| format!("{} does not do that", self.name))
    }

    /// The processor time that it has used so far.
    pub(super) fn cpu(&self) -> Result<Duration> {
        self.server.as_ref().map_or(Ok(Duration::ZERO), Server::cpu)
    }

    /// The memory that it occupies, in KiB.
    pub(super) fn memory(&self) -> Result<u64> {
        self.server.as_ref().map_or(Ok(0), Server::memory)
    }
}

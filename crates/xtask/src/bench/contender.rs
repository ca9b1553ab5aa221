//! Who takes turns.

use std::time::Duration;

use anyhow::Result;

use super::load::{Protocol, Target};
use super::process::Server;

/// One way from the load to the member.
#[derive(Debug)]
pub(super) struct Contender {
    pub(super) name: &'static str,
    pub(super) server: Server,
    /// Without path; one address for each protocol.
    pub(super) http2: String,
    pub(super) http1: String,
    pub(super) token: String,
}

impl Contender {
    pub(super) fn target(&self, protocol: Protocol) -> Target {
        let url = match protocol {
            Protocol::Http2 => &self.http2,
            Protocol::Http1 => &self.http1,
        };
        Target { url: url.clone(), token: self.token.clone() }
    }

    /// The processor time that it has used so far.
    pub(super) fn cpu(&self) -> Result<Duration> {
        self.server.cpu()
    }
}

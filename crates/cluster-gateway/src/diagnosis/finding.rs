//! What a diagnosis says.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A hop on the way to a member, in the order in which they are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Hop {
    /// The Secret is there, is labelled as a cluster's and has the keys of its kind.
    Secret,
    /// What stands in it can be understood, and the operator allows it.
    Parse,
    /// The name of the endpoint, or of the proxy before it, has addresses that may be dialled.
    Dns,
    /// The addresses accept connections.
    Connect,
    /// The proxy, or the konnectivity proxy server and its agent, connect to the member.
    Tunnel,
    /// The member proves itself.
    Tls,
    /// The member takes the gateway's credential.
    Authentication,
    /// The credential may do what is needed.
    Authorization,
    /// The member's version.
    Version,
    /// Upgrades (exec, attach, port-forward) come through.
    Upgrade,
}

/// How a hop has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Outcome {
    /// As it should be.
    Passed,
    /// It works, and something should be done all the same.
    Warned,
    /// It does not work.
    Failed,
    /// It was not looked at: an earlier one failed, or this cluster has no such hop.
    Skipped,
}

/// One hop.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    /// Which.
    pub hop: Hop,
    /// How it has ended.
    pub outcome: Outcome,
    /// What was found; never empty, one line, no key material.
    pub found: String,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
    /// How long it took; zero for what was skipped. Written as milliseconds.
    #[serde(rename = "tookMilliseconds", with = "milliseconds")]
    pub took: Duration,
}

/// What is told while a diagnosis goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// This hop is being looked at now.
    Hop(Hop),
    /// A hop has ended, or is skipped: each once, in their order. One that has passed comes again if a later one has found out
    /// more about it (TLS, when the member's first answer shows that its clock is wrong): the newer replaces the older.
    Finding(Finding),
}

/// All hops of one cluster, each once, in their order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Diagnosis {
    /// Its name.
    pub cluster: String,
    /// What was found.
    pub findings: Vec<Finding>,
}

impl Hop {
    /// All, in their order.
    pub const ALL: [Self; 10] = [
        Self::Secret,
        Self::Parse,
        Self::Dns,
        Self::Connect,
        Self::Tunnel,
        Self::Tls,
        Self::Authentication,
        Self::Authorization,
        Self::Version,
        Self::Upgrade,
    ];

    /// Its name, as it is serialised.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Secret => "Secret",
            Self::Parse => "Parse",
            Self::Dns => "Dns",
            Self::Connect => "Connect",
            Self::Tunnel => "Tunnel",
            Self::Tls => "Tls",
            Self::Authentication => "Authentication",
            Self::Authorization => "Authorization",
            Self::Version => "Version",
            Self::Upgrade => "Upgrade",
        }
    }

    /// Its place, from 1. The exit code of a diagnosis that fails there is 10 more.
    #[must_use]
    pub fn number(self) -> u8 {
        self as u8 + 1
    }
}

impl Outcome {
    /// Its name, as it is serialised.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Passed => "Passed",
            Self::Warned => "Warned",
            Self::Failed => "Failed",
            Self::Skipped => "Skipped",
        }
    }
}

impl Diagnosis {
    /// The hop that failed first.
    #[must_use]
    pub fn failed(&self) -> Option<&Finding> {
        self.findings.iter().find(|finding| finding.outcome == Outcome::Failed)
    }

    /// The finding of one hop.
    #[must_use]
    pub fn of(&self, hop: Hop) -> Option<&Finding> {
        self.findings.iter().find(|finding| finding.hop == hop)
    }
}

/// How a hop has ended, before anybody has looked at the clock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Verdict {
    pub(super) outcome: Outcome,
    pub(super) found: String,
    pub(super) remedy: Option<String>,
}

impl Verdict {
    pub(super) fn passed(found: impl Into<String>) -> Self {
        Self { outcome: Outcome::Passed, found: found.into(), remedy: None }
    }

    pub(super) fn warned(found: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { outcome: Outcome::Warned, found: found.into(), remedy: Some(remedy.into()) }
    }

    pub(super) fn failed(found: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { outcome: Outcome::Failed, found: found.into(), remedy: Some(remedy.into()) }
    }

    pub(super) fn skipped(found: impl Into<String>) -> Self {
        Self { outcome: Outcome::Skipped, found: found.into(), remedy: None }
    }
}

mod milliseconds {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    /// Three digits behind the point: microseconds.
    pub(super) fn serialize<S: Serializer>(took: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64((took.as_secs_f64() * 1e6).round() / 1e3)
    }

    pub(super) fn deserialize<'d, D: Deserializer<'d>>(deserializer: D) -> Result<Duration, D::Error> {
        let milliseconds = f64::deserialize(deserializer)?;
        Duration::try_from_secs_f64(milliseconds / 1e3).map_err(serde::de::Error::custom)
    }
}

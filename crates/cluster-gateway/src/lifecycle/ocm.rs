//! Clusters that Open Cluster Management (OCM) manages: joining one as the original does, and detaching it.
//!
//! Joining installs OCM's agent at the member and gives it an identity that is good for asking to be registered, waits for
//! the agent's certificate signing request and approves it, and accepts the ManagedCluster that the agent makes. What fails
//! before the hub has accepted the cluster is undone at both ends.
//!
//! [`look`] reads only and says what [`join`] would make. The agent itself is OCM's; nothing here has ever met a real one in
//! this project's tests (docs/ocm.md).

use std::collections::BTreeMap;
use std::time::Duration;

use kube::Client;
use serde::Serialize;

use crate::hub::CallError;

mod agent;
mod bootstrap;
mod detach;
mod error;
mod join;
mod journal;
mod kind;
mod manifests;
mod plan;
mod server;
mod signing;
mod wait;

pub use detach::{OcmDetach, OcmDetached, detach, is_managed};
pub use error::{OcmError, OcmFailure};
pub use join::join;
pub use plan::{Action, OcmPlan, PlannedObject, look};
pub use server::Server;

/// Longest name of a cluster: OCM makes a namespace of it, and a value of labels.
const MAX_NAME: usize = 63;

/// Both ends of a cluster that OCM manages, as the operator's credentials reach them.
#[derive(Clone)]
pub struct Sides {
    /// The hub.
    pub hub: Client,
    /// The member.
    pub member: Client,
}

/// One of the two ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Side {
    /// The hub.
    Hub,
    /// The member.
    Member,
}

/// Under which address the agent reaches the hub.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HubAddress {
    /// That of the hub's ConfigMap `kube-public/cluster-info`; this one, if any, where there is none.
    ClusterInfo(Option<Server>),
    /// This one, which the operator's kubeconfig names.
    Given(Server),
}

/// The programs that are installed at a member that has no operator for klusterlets yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Images {
    /// Registry and path before the names of the images. Default: `quay.io/open-cluster-management`.
    pub registry: String,
    /// Their tag. Default: `v1.3.1`.
    pub tag: String,
}

impl Default for Images {
    fn default() -> Self {
        Self { registry: "quay.io/open-cluster-management".to_owned(), tag: "v1.3.1".to_owned() }
    }
}

/// A cluster that is to be joined by OCM.
#[derive(Debug, Clone)]
pub struct OcmRequest {
    /// Its name at the hub: a DNS label.
    pub name: String,
    /// Labels of the ManagedCluster.
    pub labels: BTreeMap<String, String>,
    /// Its name for people.
    pub alias: Option<String>,
    /// Where the gateway finds the member.
    pub member: Server,
    /// Where the member finds the hub.
    pub hub: HubAddress,
    /// What is installed.
    pub images: Images,
    /// How long each step may wait for somebody else's work. Default: 5 min.
    pub patience: Duration,
}

/// Default of [`OcmRequest::patience`].
pub const PATIENCE: Duration = Duration::from_secs(300);

/// A step of joining or detaching.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Step {
    /// Both ends are looked at; nothing is written.
    Look,
    /// The agent's first identity is made at the hub.
    Bootstrap,
    /// The operator and the Klusterlet are made at the member.
    Install,
    /// The operator is to run.
    Operator,
    /// The agent is to ask the hub for a certificate.
    SigningRequest,
    /// The agent is to make the ManagedCluster.
    ManagedCluster,
    /// The hub accepts it.
    Accept,
    /// The agent is to report with its own certificate.
    Report,
    /// The Klusterlet is removed, and the agent with it.
    Uninstall,
    /// The ManagedCluster is removed.
    Remove,
}

impl Step {
    /// What it is about, for progress and errors.
    #[must_use]
    pub fn describe(self) -> &'static str {
        match self {
            Self::Look => "looking at hub and member",
            Self::Bootstrap => "giving the agent an identity to ask the hub with",
            Self::Install => "installing the agent at the member",
            Self::Operator => "waiting for the klusterlet operator to run at the member",
            Self::SigningRequest => "waiting for the agent's certificate signing request at the hub",
            Self::ManagedCluster => "waiting for the agent to make the ManagedCluster at the hub",
            Self::Accept => "accepting the cluster",
            Self::Report => "waiting for the agent to report as the cluster",
            Self::Uninstall => "removing the agent from the member",
            Self::Remove => "removing the ManagedCluster from the hub",
        }
    }
}

/// A cluster that has been joined.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OcmJoined {
    /// Its name.
    pub cluster: String,
    /// Address that the ManagedCluster names.
    pub endpoint: String,
    /// Whether the agent has reported with its own certificate. If not, the hub accepts it all the same, and its first
    /// identity is still there until its token expires (an hour).
    pub reported: bool,
    /// What was made at either end and stays.
    pub made: Vec<PlannedObject>,
}

/// Whoever wants to know how far it is.
pub type Progress<'p> = &'p (dyn Fn(Step) + Send + Sync);

impl OcmRequest {
    fn check(&self) -> Result<(), OcmError> {
        let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        let name = &self.name;
        let ends = name.starts_with('-') || name.ends_with('-');
        if name.is_empty() || name.len() > MAX_NAME || ends || !name.bytes().all(inner) {
            return Err(OcmError::Name(name.escape_debug().take(100).collect()));
        }
        Ok(())
    }
}

impl Side {
    /// In words.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Hub => "the hub",
            Self::Member => "the member",
        }
    }
}

impl Sides {
    fn client(&self, side: Side) -> Client {
        match side {
            Side::Hub => self.hub.clone(),
            Side::Member => self.member.clone(),
        }
    }
}

impl std::fmt::Debug for Sides {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sides").finish_non_exhaustive()
    }
}

/// A failed request, with the end that it went to.
fn at(side: Side) -> impl Fn(CallError) -> OcmError {
    move |cause| OcmError::Call { side, cause }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A request for the cluster `name` at 10.0.0.1, whose agent finds the hub at `https://hub:6443`.
    pub(super) fn request(name: &str) -> OcmRequest {
        OcmRequest {
            name: name.to_owned(),
            labels: BTreeMap::new(),
            alias: None,
            member: Server { url: "https://10.0.0.1:6443".to_owned(), ca: Some(b"CA".to_vec()) },
            hub: HubAddress::Given(Server { url: "https://hub:6443".to_owned(), ca: None }),
            images: Images::default(),
            patience: PATIENCE,
        }
    }

    #[test]
    fn a_name_is_one_that_ocm_can_make_a_namespace_of() {
        for good in ["a", "m-1", &"a".repeat(63)] {
            assert_eq!(request(good).check(), Ok(()), "{good}");
        }
        for bad in ["", "a.b", "-a", "a-", "A", &"a".repeat(64)] {
            assert!(matches!(request(bad).check(), Err(OcmError::Name(_))), "{bad}");
        }
    }
}

//! One node.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Metadata, Resources, quantity, shown};

/// Before the name of a role.
const ROLE: &str = "node-role.kubernetes.io/";
/// Characters of a name.
const MOST_NAME: usize = 253;
/// Characters of a reason.
const MOST_REASON: usize = 300;

/// A node, as it is shown.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Node {
    /// Its name.
    pub name: String,
    /// Its roles, sorted.
    pub roles: Vec<String>,
    /// Its condition `Ready`.
    pub ready: Readiness,
    /// Why it is not ready: `REASON: message`; else empty.
    pub reason: String,
    /// Whether no new pods come to it.
    pub unschedulable: bool,
    /// Version of its kubelet.
    pub kubelet_version: String,
    /// `linux`.
    pub operating_system: String,
    /// `amd64`.
    pub architecture: String,
    /// What it has.
    pub capacity: Resources,
    /// What of it is for pods.
    pub allocatable: Resources,
    /// When it was made, RFC 3339.
    pub create_time: Option<String>,
}

/// Whether a node is ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Readiness {
    /// It is.
    True,
    /// It is not.
    False,
    /// Its kubelet has not been heard of, or says nothing.
    Unknown,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Read {
    metadata: Metadata,
    spec: Spec,
    status: Status,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Spec {
    unschedulable: Option<bool>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Status {
    capacity: BTreeMap<String, String>,
    allocatable: BTreeMap<String, String>,
    conditions: Vec<Condition>,
    node_info: NodeInfo,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Condition {
    #[serde(rename = "type")]
    kind: String,
    status: String,
    reason: String,
    message: String,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct NodeInfo {
    kubelet_version: String,
    operating_system: String,
    architecture: String,
}

impl Read {
    /// By the only label that VelaUX knows.
    pub(super) fn is_master(&self) -> bool {
        self.metadata.labels.as_ref().is_some_and(|labels| labels.contains_key(&format!("{ROLE}master")))
    }
}

impl Node {
    pub(super) fn of(read: Read) -> Self {
        let Read { metadata, spec, status } = read;
        let (ready, reason) = readiness(&status.conditions);
        let labels = metadata.labels.unwrap_or_default();
        let roles = labels.keys().filter_map(|key| key.strip_prefix(ROLE)).filter(|role| !role.is_empty());
        Self {
            name: shown(&metadata.name, MOST_NAME),
            roles: roles.map(|role| shown(role, MOST_NAME)).collect(),
            ready,
            reason,
            unschedulable: spec.unschedulable.unwrap_or_default(),
            kubelet_version: shown(&status.node_info.kubelet_version, MOST_NAME),
            operating_system: shown(&status.node_info.operating_system, MOST_NAME),
            architecture: shown(&status.node_info.architecture, MOST_NAME),
            capacity: resources(&status.capacity),
            allocatable: resources(&status.allocatable),
            create_time: metadata.creation_timestamp.map(|time| shown(&time, MOST_NAME)),
        }
    }
}

fn readiness(conditions: &[Condition]) -> (Readiness, String) {
    let Some(Condition { status, reason, message, .. }) =
        conditions.iter().find(|condition| condition.kind == "Ready")
    else {
        return (Readiness::Unknown, String::new());
    };
    let why = || shown(&format!("{reason}: {message}"), MOST_REASON);
    match status.as_str() {
        "True" => (Readiness::True, String::new()),
        "False" => (Readiness::False, why()),
        _ => (Readiness::Unknown, why()),
    }
}

/// What cannot be read counts as nothing.
fn resources(amounts: &BTreeMap<String, String>) -> Resources {
    let amount = |key: &str| amounts.get(key).and_then(|text| quantity(text)).unwrap_or_default();
    Resources {
        // A thousandth is the smallest share of a core that Kubernetes knows.
        cpu: (amount("cpu") * 1e3).round() / 1e3,
        memory: amount("memory").ceil() as u64,
        pods: amount("pods").ceil() as u64,
    }
}

//! One cluster, as the console shows it.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use cluster_gateway_client::GROUP;
use cluster_gateway_client::v1alpha1::{
    ANNOTATION_ALIAS, ANNOTATION_HEALTHY, ANNOTATION_HEALTHY_REASON, EndpointType,
};
use serde::Serialize;

use crate::api::shown_address;
use crate::lifecycle::{ANNOTATION_VERSION, CredentialOutlook};
use crate::manage::events::rfc3339;
use crate::manage::store::Record;
use crate::registry::{Cluster, Unusable};
use crate::transport::{Condition, State};

/// A cluster, its JSON, and what that was made of.
#[derive(Debug)]
pub(super) struct Card {
    pub(super) cluster: Arc<Cluster>,
    /// All but the latencies, without the closing brace.
    head: Arc<str>,
    /// The latencies, newest last.
    latency: Arc<str>,
    /// The latest of them, in milliseconds; `None`: no answer.
    pub(super) sample: Option<f64>,
    /// When what is in `head` became so.
    pub(super) changed: u64,
    /// When the latest latency came.
    pub(super) measured: u64,
    of: Of,
}

/// What a card is made of, besides the cluster.
#[derive(Debug, Clone, PartialEq)]
struct Of {
    condition: Condition,
    probed: Option<SystemTime>,
    record: Option<Arc<Record>>,
}

/// Health for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
enum Status {
    Healthy,
    Unhealthy,
    Unknown,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
enum Engine {
    #[serde(rename = "cluster-gateway")]
    ClusterGateway,
    #[serde(rename = "ocm")]
    Ocm,
}

/// What `console/API.md` calls `FleetCluster`, without `latency`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Shown<'a> {
    name: &'a str,
    alias: &'a str,
    description: &'a str,
    icon: &'a str,
    #[serde(rename = "dashboardURL")]
    dashboard_url: &'a str,
    labels: BTreeMap<&'a str, &'a str>,
    status: Status,
    reason: Cow<'a, str>,
    since: Option<String>,
    version: Cow<'a, str>,
    #[serde(rename = "apiServerURL")]
    api_server_url: String,
    endpoint_type: &'static str,
    credential: CredentialOutlook,
    engine: Engine,
    create_time: &'a str,
    resource_version: &'a str,
}

impl Card {
    /// The card of a cluster: `before` itself if nothing is new. `now` numbers the change.
    pub(super) fn of(
        cluster: &Arc<Cluster>,
        record: Option<&Arc<Record>>,
        before: Option<&Arc<Self>>,
        now: u64,
    ) -> Arc<Self> {
        let transport = cluster.upstream.as_ref().ok().map(|upstream| &upstream.transport);
        let condition = transport.map(|transport| transport.condition()).unwrap_or_default();
        let probed = condition.probed;
        let latest = condition.latency.filter(|_| condition.state == State::Healthy);
        // What changes with each probe is not what the head is made of.
        let condition = Condition { probed: None, latency: None, ..condition };
        let of = Of { condition, probed, record: record.cloned() };
        let same =
            before.filter(|before| Arc::ptr_eq(&before.cluster, cluster) && before.of.is_but_measured(&of));
        if let Some(before) = same.filter(|before| before.of.probed == of.probed) {
            return Arc::clone(before);
        }
        let (head, mut changed) = match same {
            Some(before) => (Arc::clone(&before.head), before.changed),
            None => (head(cluster, &of).into(), now),
        };
        // A Secret can change in what is not shown.
        if let Some(before) = before.filter(|before| before.head == head) {
            changed = before.changed;
        }
        let samples: Vec<_> = probed.iter().map(|_| latest).collect();
        let unmeasured = before.filter(|before| before.of.probed == of.probed);
        Arc::new(Self {
            cluster: Arc::clone(cluster),
            head,
            latency: latencies(&samples).into(),
            sample: samples.last().copied().flatten().map(|last| f64::from(tenths(last)) / 10.0),
            changed,
            measured: unmeasured.map_or(now, |before| before.measured),
            of,
        })
    }

    pub(super) fn name(&self) -> &str {
        &self.cluster.name
    }

    /// Appends the JSON.
    pub(super) fn write(&self, text: &mut String) {
        text.push_str(&self.head);
        text.push_str(",\"latency\":");
        text.push_str(&self.latency);
        text.push('}');
    }

    pub(super) fn to_json(&self) -> String {
        let mut text = String::with_capacity(self.len());
        self.write(&mut text);
        text
    }

    /// Bytes of the JSON.
    pub(super) fn len(&self) -> usize {
        self.head.len() + self.latency.len() + ",\"latency\":}".len()
    }
}

impl Of {
    fn is_but_measured(&self, other: &Self) -> bool {
        let same_record = match (&self.record, &other.record) {
            (Some(one), Some(other)) => Arc::ptr_eq(one, other) || recorded(one) == recorded(other),
            (None, None) => true,
            _ => false,
        };
        same_record && self.condition == other.condition
    }
}

/// What of a record is shown.
fn recorded(record: &Record) -> [&str; 4] {
    [&record.alias, &record.description, &record.icon, &record.dashboard_url]
}

fn head(cluster: &Cluster, of: &Of) -> String {
    let (status, reason, since) = health(cluster, &of.condition);
    let own = |key: &str| key.strip_prefix(GROUP).is_some_and(|rest| rest.starts_with('/'));
    let annotation = |key: &str| cluster.annotations.get(key).map(String::as_str).unwrap_or_default();
    let none = Record::default();
    let record = of.record.as_deref().unwrap_or(&none);
    let alias = annotation(ANNOTATION_ALIAS);
    let shown = Shown {
        name: &cluster.name,
        alias: if alias.is_empty() { &record.alias } else { alias },
        description: &record.description,
        icon: &record.icon,
        dashboard_url: &record.dashboard_url,
        labels: cluster
            .labels
            .iter()
            .filter(|(key, _)| !own(key))
            .map(|(key, value)| (key.as_str(), value.as_str()))
            .collect(),
        status,
        reason,
        since: since.map(rfc3339),
        version: version(&of.condition, annotation(ANNOTATION_VERSION)),
        api_server_url: shown_address(cluster).unwrap_or_default(),
        endpoint_type: match cluster.endpoint_type {
            EndpointType::Const => "Const",
            EndpointType::ClusterProxy => "ClusterProxy",
        },
        credential: CredentialOutlook::of(cluster),
        engine: if cluster.managed_cluster.is_some() { Engine::Ocm } else { Engine::ClusterGateway },
        create_time: cluster.creation_timestamp.as_deref().unwrap_or_default(),
        resource_version: &cluster.resource_version,
    };
    let mut text = serde_json::to_string(&shown).unwrap_or_else(|_| "{}".to_owned());
    text.pop();
    text
}

/// What is known here; where nobody has looked yet, what is recorded by somebody who has.
fn health<'a>(cluster: &'a Cluster, condition: &'a Condition) -> (Status, Cow<'a, str>, Option<SystemTime>) {
    if let Err(Unusable(reason)) = &cluster.upstream {
        return (Status::Unhealthy, reason.into(), None);
    }
    let reason = Cow::from(condition.reason.as_str());
    match condition.state {
        State::Healthy => (Status::Healthy, reason, condition.since),
        State::Unhealthy | State::Open => (Status::Unhealthy, reason, condition.since),
        State::Unknown => {
            let recorded = |key| cluster.annotations.get(key).map(String::as_str).unwrap_or_default();
            let status = match recorded(ANNOTATION_HEALTHY) {
                "true" => Status::Healthy,
                "false" => Status::Unhealthy,
                _ => return (Status::Unknown, reason, None),
            };
            (status, recorded(ANNOTATION_HEALTHY_REASON).into(), None)
        }
    }
}

/// The member's own word; where it has not been asked yet, what was seen on joining.
fn version<'a>(condition: &'a Condition, joined: &str) -> Cow<'a, str> {
    if let Some(version) = &condition.version {
        return version.into();
    }
    let joined: serde_json::Value = serde_json::from_str(joined).unwrap_or_default();
    joined["gitVersion"].as_str().unwrap_or_default().to_owned().into()
}

fn latencies(samples: &[Option<Duration>]) -> String {
    let mut text = String::with_capacity(8 * samples.len() + 2);
    text.push('[');
    for (index, sample) in samples.iter().enumerate() {
        if index > 0 {
            text.push(',');
        }
        text.push_str(&milliseconds(*sample));
    }
    text.push(']');
    text
}

/// A number with one digit behind the point, or `null`.
fn milliseconds(sample: Option<Duration>) -> String {
    let Some(sample) = sample else { return "null".to_owned() };
    let tenths = tenths(sample);
    format!("{}.{}", tenths / 10, tenths % 10)
}

/// In tenths of a millisecond; no probe takes more than an hour.
fn tenths(sample: Duration) -> u32 {
    u32::try_from(sample.as_micros().saturating_add(50) / 100).unwrap_or(u32::MAX)
}

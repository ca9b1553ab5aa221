//! One cluster, as the console shows it.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use cluster_gateway_client::GROUP;
use cluster_gateway_client::v1alpha1::{
    ANNOTATION_ALIAS, ANNOTATION_HEALTHY, ANNOTATION_HEALTHY_REASON, EndpointType,
};
use serde::Serialize;

use crate::api::shown_address;
use crate::health::{Standing, Status};
use crate::lifecycle::{ANNOTATION_VERSION, CredentialOutlook};
use crate::manage::events::rfc3339;
use crate::manage::store::Record;
use crate::registry::Cluster;

/// A cluster, its JSON, and what that was made of.
#[derive(Debug)]
pub(super) struct Card {
    cluster: Arc<Cluster>,
    /// How it is, without the latencies.
    standing: Standing,
    record: Option<Arc<Record>>,
    /// All but the latencies, without the closing brace.
    head: Arc<str>,
    latencies: Vec<Option<f64>>,
    /// The same as JSON.
    latency: Arc<str>,
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
    reason: &'a str,
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
    /// The card of a cluster: `before` itself if nothing is new.
    pub(super) fn of(
        cluster: &Arc<Cluster>,
        record: Option<&Arc<Record>>,
        before: Option<&Arc<Self>>,
    ) -> Arc<Self> {
        let mut standing = Standing::of(cluster);
        let latencies = std::mem::take(&mut standing.latency);
        let same = before.filter(|before| {
            Arc::ptr_eq(&before.cluster, cluster)
                && before.standing == standing
                && is_same(before.record.as_ref(), record)
        });
        let head = match same {
            Some(before) if before.latencies == latencies => return Arc::clone(before),
            Some(before) => Arc::clone(&before.head),
            None => head(cluster, &standing, record).into(),
        };
        Arc::new(Self {
            cluster: Arc::clone(cluster),
            standing,
            record: record.cloned(),
            head,
            latency: list(&latencies).into(),
            latencies,
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

/// Whether what is shown of two records is the same.
pub(super) fn is_same(one: Option<&Arc<Record>>, other: Option<&Arc<Record>>) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => Arc::ptr_eq(one, other) || recorded(one) == recorded(other),
        (None, None) => true,
        _ => false,
    }
}

/// What of a record is shown.
fn recorded(record: &Record) -> [&str; 4] {
    [&record.alias, &record.description, &record.icon, &record.dashboard_url]
}

fn head(cluster: &Cluster, standing: &Standing, record: Option<&Arc<Record>>) -> String {
    let (status, reason) = health(cluster, standing);
    let own = |key: &str| key.strip_prefix(GROUP).is_some_and(|rest| rest.starts_with('/'));
    let annotation = |key: &str| cluster.annotations.get(key).map(String::as_str).unwrap_or_default();
    let none = Record::default();
    let record = record.map_or(&none, |record| &**record);
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
        since: standing.since.map(rfc3339),
        version: version(standing, annotation(ANNOTATION_VERSION)),
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
fn health<'a>(cluster: &'a Cluster, standing: &'a Standing) -> (Status, &'a str) {
    let recorded = |key| cluster.annotations.get(key).map(String::as_str).unwrap_or_default();
    match (standing.status, recorded(ANNOTATION_HEALTHY)) {
        (Status::Unknown, "true") => (Status::Healthy, recorded(ANNOTATION_HEALTHY_REASON)),
        (Status::Unknown, "false") => (Status::Unhealthy, recorded(ANNOTATION_HEALTHY_REASON)),
        (status, _) => (status, &standing.reason),
    }
}

/// The member's own word; where it has not been asked yet, what was seen on joining.
fn version<'a>(standing: &'a Standing, joined: &str) -> Cow<'a, str> {
    if !standing.version.is_empty() {
        return standing.version.as_str().into();
    }
    let joined: serde_json::Value = serde_json::from_str(joined).unwrap_or_default();
    joined["gitVersion"].as_str().unwrap_or_default().to_owned().into()
}

/// Numbers with one digit behind the point, and `null`.
fn list(latencies: &[Option<f64>]) -> String {
    let mut text = String::with_capacity(8 * latencies.len() + 2);
    for (index, latency) in latencies.iter().enumerate() {
        text.push(if index == 0 { '[' } else { ',' });
        // Writing to a String does not fail.
        let _ = match latency {
            Some(latency) => write!(text, "{latency:.1}"),
            None => write!(text, "null"),
        };
    }
    text.push_str(if latencies.is_empty() { "[]" } else { "]" });
    text
}

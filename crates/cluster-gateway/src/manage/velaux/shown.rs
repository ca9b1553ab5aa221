//! A cluster as it is shown: what the control plane knows of it, and what is recorded besides.
//!
//! The control plane has the last word, since people and programs change clusters there, too. A record's alias and labels count
//! where the control plane has none: VelaUX writes them nowhere else.

use std::collections::BTreeMap;

use cluster_gateway_client::GROUP;
use cluster_gateway_client::v1alpha1::ANNOTATION_ALIAS;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use time::macros::datetime;

use crate::api::shown_address;
use crate::manage::Place;
use crate::manage::store::{KubeConfig, LOCAL, Record, Status};
use crate::registry::Cluster;
use crate::transport::State;

/// What VelaUX says that the hub is for.
const LOCAL_DESCRIPTION: &str = "The hub manage cluster where KubeVela runs on.";

/// A cluster of the control plane.
pub(super) fn cluster(cluster: &Cluster, record: Option<&Record>) -> Record {
    let mut shown = record.map_or_else(|| Record::new(&cluster.name), without_credential);
    if let Some(alias) = cluster.annotations.get(ANNOTATION_ALIAS).filter(|alias| !alias.is_empty()) {
        shown.alias.clone_from(alias);
    }
    let labels = own_labels(&cluster.labels);
    if labels.is_empty() {
        shown.labels.retain(|key, _| !is_of_gateway(key));
    } else {
        shown.labels = labels;
    }
    if let Some(address) = shown_address(cluster) {
        shown.api_server_url = address;
    }
    if let Some(created) = created(cluster).filter(|_| record.is_none()) {
        (shown.create_time, shown.update_time) = (created, created);
    }
    let (status, reason) = health(cluster);
    if status != Status::Unknown {
        (shown.status, shown.reason) = (status, reason);
    }
    shown
}

/// The hub itself.
pub(super) fn local(record: Option<&Record>, place: &Place) -> Record {
    let mut shown = record.map_or_else(|| local_record(place), without_credential);
    url(place).clone_into(&mut shown.api_server_url);
    (shown.status, shown.reason) = (Status::Healthy, String::new());
    shown.labels.retain(|key, _| !is_of_gateway(key));
    shown
}

/// The record that the hub gets.
pub(super) fn local_record(place: &Place) -> Record {
    const CREATED: OffsetDateTime = datetime!(2999-01-01 0:00 UTC);
    Record {
        description: LOCAL_DESCRIPTION.to_owned(),
        status: Status::Healthy,
        api_server_url: url(place).to_owned(),
        create_time: CREATED,
        update_time: CREATED,
        ..Record::new(LOCAL)
    }
}

fn url(place: &Place) -> &str {
    match place {
        Place::Hub { hub, .. } => hub.url(),
        Place::Directory(_) => "",
    }
}

/// When its Secret was made.
pub(super) fn created(cluster: &Cluster) -> Option<OffsetDateTime> {
    OffsetDateTime::parse(cluster.creation_timestamp.as_deref()?, &Rfc3339).ok()
}

/// How it is, as far as this process knows.
pub(super) fn health(cluster: &Cluster) -> (Status, String) {
    let upstream = match &cluster.upstream {
        Ok(upstream) => upstream,
        // Open Cluster Management has it, and the gateway no credential: nothing is wrong with that.
        Err(_) if !cluster.registered => return (Status::Unknown, String::new()),
        Err(unusable) => return (Status::Unhealthy, unusable.to_string()),
    };
    let condition = upstream.transport.condition();
    match condition.state {
        State::Unknown => (Status::Unknown, String::new()),
        State::Healthy => (Status::Healthy, condition.reason),
        State::Unhealthy | State::Open => (Status::Unhealthy, condition.reason),
    }
}

/// Labels without the gateway's own.
pub(super) fn own_labels(labels: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let own = labels.iter().filter(|(key, _)| !is_of_gateway(key));
    own.map(|(key, value)| (key.clone(), value.clone())).collect()
}

/// What a Secret says that people call its cluster.
pub(super) fn alias(metadata: &ObjectMeta) -> &str {
    metadata.annotations.as_ref().and_then(|all| all.get(ANNOTATION_ALIAS)).map_or("", String::as_str)
}

pub(super) fn is_of_gateway(key: &str) -> bool {
    key.strip_prefix(GROUP).is_some_and(|rest| rest.starts_with('/'))
}

fn without_credential(record: &Record) -> Record {
    Record { kube_config: KubeConfig::default(), ..record.clone() }
}

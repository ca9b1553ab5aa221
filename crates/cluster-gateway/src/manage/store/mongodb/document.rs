//! A record as a document: Go's names in lower case, and the times in a document of their own.

use std::collections::BTreeMap;

use mongodb::bson::{Bson, DateTime, Document, doc};
use time::OffsetDateTime;

use crate::manage::store::record::{KubeConfig, Provider, Record, Status, no_time};

/// Where the update time is.
pub(super) const UPDATE_TIME: &str = "basemodel.updatetime";

/// A time, in milliseconds.
pub(super) fn date(time: OffsetDateTime) -> DateTime {
    DateTime::from_millis(time.unix_timestamp() * 1000 + i64::from(time.millisecond()))
}

/// The document of a record, without its key, and without a kubeconfig.
pub(super) fn of(record: &Record) -> Document {
    let provider = &record.provider;
    doc! {
        "basemodel": { "createtime": date(record.create_time), "updatetime": date(record.update_time) },
        "name": &record.name,
        "alias": &record.alias,
        "description": &record.description,
        "icon": &record.icon,
        "labels": labels(&record.labels),
        "status": record.status.as_str(),
        "reason": &record.reason,
        "provider": {
            "provider": &provider.provider,
            "clusterid": &provider.cluster_id,
            "clustername": &provider.cluster_name,
            "zone": &provider.zone,
            "zoneid": &provider.zone_id,
            "regionid": &provider.region_id,
            "vpcid": &provider.vpc_id,
            "labels": labels(&provider.labels),
        },
        "apiserverurl": &record.api_server_url,
        "dashboardurl": &record.dashboard_url,
        "kubeconfig": "",
        "kubeconfigsecret": &record.kube_config_secret,
    }
}

/// The record of a document. What is absent or null is empty.
pub(super) fn read(document: &Document) -> Result<Record, String> {
    let empty = Document::new();
    let inner = |key: &str| match document.get(key) {
        None | Some(Bson::Null) => Ok(&empty),
        Some(Bson::Document(inner)) => Ok(inner),
        Some(_) => Err(format!("\"{key}\" is no document")),
    };
    let times = inner("basemodel")?;
    let provider = inner("provider")?;
    Ok(Record {
        create_time: time(times, "createtime")?,
        update_time: time(times, "updatetime")?,
        name: text(document, "name")?,
        alias: text(document, "alias")?,
        description: text(document, "description")?,
        icon: text(document, "icon")?,
        labels: map(document, "labels")?,
        status: Status::from_word(&text(document, "status")?),
        reason: text(document, "reason")?,
        provider: Provider {
            provider: text(provider, "provider")?,
            cluster_id: text(provider, "clusterid")?,
            cluster_name: text(provider, "clustername")?,
            zone: text(provider, "zone")?,
            zone_id: text(provider, "zoneid")?,
            region_id: text(provider, "regionid")?,
            vpc_id: text(provider, "vpcid")?,
            labels: map(provider, "labels")?,
        },
        api_server_url: text(document, "apiserverurl")?,
        dashboard_url: text(document, "dashboardurl")?,
        kube_config_secret: text(document, "kubeconfigsecret")?,
        kube_config: KubeConfig::new(text(document, "kubeconfig")?),
    })
}

/// None are null, as Go writes a map that nobody has made.
fn labels(labels: &BTreeMap<String, String>) -> Bson {
    if labels.is_empty() {
        return Bson::Null;
    }
    Bson::Document(labels.iter().map(|(key, value)| (key.clone(), Bson::from(value))).collect())
}

fn text(document: &Document, key: &str) -> Result<String, String> {
    match document.get(key) {
        None | Some(Bson::Null) => Ok(String::new()),
        Some(Bson::String(text)) => Ok(text.clone()),
        Some(_) => Err(format!("\"{key}\" is no text")),
    }
}

fn time(document: &Document, key: &str) -> Result<OffsetDateTime, String> {
    match document.get(key) {
        None | Some(Bson::Null) => Ok(no_time()),
        Some(Bson::DateTime(date)) => {
            OffsetDateTime::from_unix_timestamp_nanos(i128::from(date.timestamp_millis()) * 1_000_000)
                .map_err(|error| format!("\"{key}\": {error}"))
        }
        Some(_) => Err(format!("\"{key}\" is no time")),
    }
}

fn map(document: &Document, key: &str) -> Result<BTreeMap<String, String>, String> {
    match document.get(key) {
        None | Some(Bson::Null) => Ok(BTreeMap::new()),
        Some(Bson::Document(inner)) => inner.keys().map(|key| Ok((key.clone(), text(inner, key)?))).collect(),
        Some(_) => Err(format!("\"{key}\" is no document")),
    }
}

//! The table `vela_cluster`: lower-case columns, all but the times text, maps as JSON.

use std::collections::BTreeMap;

use time::OffsetDateTime;

use super::record::{KubeConfig, Provider, Record, Status};

/// The columns that hold text, in the order of [`texts`]. Before them stand `createtime` and `updatetime`.
pub(super) const TEXTS: [&str; 12] = [
    "name",
    "alias",
    "description",
    "icon",
    "labels",
    "status",
    "reason",
    "provider",
    "apiserverurl",
    "dashboardurl",
    "kubeconfig",
    "kubeconfigsecret",
];

/// What the text columns hold of a record; of the kubeconfig nothing.
pub(super) fn texts(record: &Record) -> [String; 12] {
    let labels = Some(&record.labels).filter(|labels| !labels.is_empty());
    [
        record.name.clone(),
        record.alias.clone(),
        record.description.clone(),
        record.icon.clone(),
        serde_json::to_string(&labels).unwrap_or_default(),
        record.status.as_str().to_owned(),
        record.reason.clone(),
        serde_json::to_string(&record.provider).unwrap_or_default(),
        record.api_server_url.clone(),
        record.dashboard_url.clone(),
        String::new(),
        record.kube_config_secret.clone(),
    ]
}

/// The record of a row, whose text columns are these.
pub(super) fn record(
    create_time: OffsetDateTime,
    update_time: OffsetDateTime,
    texts: [String; 12],
) -> Result<Record, String> {
    let [name, alias, description, icon, labels, status, reason, provider, api, dashboard, kube, secret] =
        texts;
    Ok(Record {
        create_time,
        update_time,
        name,
        alias,
        description,
        icon,
        labels: json::<BTreeMap<String, String>>("labels", &labels)?,
        status: Status::from_word(&status),
        reason,
        provider: json::<Provider>("provider", &provider)?,
        api_server_url: api,
        dashboard_url: dashboard,
        kube_config_secret: secret,
        kube_config: KubeConfig::new(kube),
    })
}

/// JSON in a column: nothing and null are empty.
fn json<T: Default + serde::de::DeserializeOwned>(column: &str, text: &str) -> Result<T, String> {
    if text.trim().is_empty() {
        return Ok(T::default());
    }
    let read = serde_json::from_str::<Option<T>>(text);
    read.map(Option::unwrap_or_default).map_err(|error| {
        format!("column \"{column}\" is not JSON of the kind that it should be, at column {}", error.column())
    })
}

//! What is recorded of a cluster, and how VelaUX writes it as JSON.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};
use time::format_description::well_known::Rfc3339;
use time::macros::datetime;
use time::{Duration, OffsetDateTime};

use super::StoreError;

/// The name of the record of the hub itself.
pub const LOCAL: &str = "local";

/// Longest name of a cluster that has a record, in bytes: a ConfigMap's, less the prefix `cls-`.
pub const MAX_NAME: usize = 249;

/// Largest record, in bytes of its JSON form. The smallest of what the stores take is 1 MiB.
pub const MAX_SIZE: usize = 256 * 1024;

/// When the record of `local` says that it was made, so that it is listed first.
const LOCAL_CREATE_TIME: OffsetDateTime = datetime!(2999-01-01 0:00 UTC);

/// What Go writes for no time.
const NO_TIME: OffsetDateTime = datetime!(0001-01-01 0:00 UTC);

/// What is known of a cluster besides its credential. The model is that of VelaUX, which can work on the same records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// When the record was made; [`super::Store::add`] sets it. Milliseconds are kept.
    pub create_time: OffsetDateTime,
    /// When it was written last; every write sets it. Tells two versions of a record apart.
    pub update_time: OffsetDateTime,
    /// The cluster's name: a DNS-1123 subdomain of at most [`MAX_NAME`] bytes.
    pub name: String,
    /// What people call it.
    pub alias: String,
    /// What it is for.
    pub description: String,
    /// An image: a URL, or a data URL.
    pub icon: String,
    /// Labels of the record; none and an empty map are the same.
    pub labels: BTreeMap<String, String>,
    /// How it was when somebody last looked.
    pub status: Status,
    /// Why it is unhealthy.
    pub reason: String,
    /// Which cloud it is in.
    pub provider: Provider,
    /// URL of its API server.
    pub api_server_url: String,
    /// URL of its dashboard.
    pub dashboard_url: String,
    /// Name of a Secret; VelaUX keeps the field and does not use it.
    pub kube_config_secret: String,
    /// The kubeconfig that VelaUX has written into the record in clear text. It is read, and never written: whatever
    /// writes the record takes it out.
    pub kube_config: KubeConfig,
}

impl Default for Record {
    fn default() -> Self {
        Self {
            create_time: NO_TIME,
            update_time: NO_TIME,
            name: String::new(),
            alias: String::new(),
            description: String::new(),
            icon: String::new(),
            labels: BTreeMap::new(),
            status: Status::Unknown,
            reason: String::new(),
            provider: Provider::default(),
            api_server_url: String::new(),
            dashboard_url: String::new(),
            kube_config_secret: String::new(),
            kube_config: KubeConfig::default(),
        }
    }
}

/// How a cluster was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Status {
    /// Nobody has looked.
    #[default]
    Unknown,
    /// It answered.
    Healthy,
    /// It did not, or not well.
    Unhealthy,
}

impl Status {
    /// As VelaUX writes it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "",
            Self::Healthy => "Healthy",
            Self::Unhealthy => "Unhealthy",
        }
    }

    /// From VelaUX' word; one that it does not have is [`Status::Unknown`].
    #[must_use]
    pub fn from_word(word: &str) -> Self {
        match word {
            "Healthy" => Self::Healthy,
            "Unhealthy" => Self::Unhealthy,
            _ => Self::Unknown,
        }
    }
}

/// Which cloud a cluster is in. All empty for one that somebody joined by its kubeconfig.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
#[expect(missing_docs, reason = "they are the cloud's own words, passed on")]
pub struct Provider {
    #[serde(deserialize_with = "or_default")]
    pub provider: String,
    #[serde(rename = "clusterID", deserialize_with = "or_default")]
    pub cluster_id: String,
    #[serde(
        rename = "clusterName",
        deserialize_with = "or_default",
        skip_serializing_if = "String::is_empty"
    )]
    pub cluster_name: String,
    #[serde(deserialize_with = "or_default", skip_serializing_if = "String::is_empty")]
    pub zone: String,
    #[serde(rename = "zoneID", deserialize_with = "or_default", skip_serializing_if = "String::is_empty")]
    pub zone_id: String,
    #[serde(rename = "regionID", deserialize_with = "or_default", skip_serializing_if = "String::is_empty")]
    pub region_id: String,
    #[serde(rename = "vpcID", deserialize_with = "or_default", skip_serializing_if = "String::is_empty")]
    pub vpc_id: String,
    #[serde(deserialize_with = "or_default", serialize_with = "or_null")]
    pub labels: BTreeMap<String, String>,
}

/// A kubeconfig that was found in a record. Not shown by `Debug`.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct KubeConfig(String);

impl KubeConfig {
    pub(super) fn new(text: String) -> Self {
        Self(text)
    }

    /// Whether the record holds none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The text: a credential. For the place that moves it into a Secret.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for KubeConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_empty() { "none" } else { "(hidden)" })
    }
}

/// The JSON form, in VelaUX' names and order.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    #[serde(default = "no_time", with = "rfc3339")]
    create_time: OffsetDateTime,
    #[serde(default = "no_time", with = "rfc3339")]
    update_time: OffsetDateTime,
    #[serde(default, deserialize_with = "or_default")]
    name: String,
    #[serde(default, deserialize_with = "or_default")]
    alias: String,
    #[serde(default, deserialize_with = "or_default")]
    description: String,
    #[serde(default, deserialize_with = "or_default")]
    icon: String,
    #[serde(default, deserialize_with = "or_default", serialize_with = "or_null")]
    labels: BTreeMap<String, String>,
    #[serde(default, deserialize_with = "or_default")]
    status: String,
    #[serde(default, deserialize_with = "or_default")]
    reason: String,
    #[serde(default, deserialize_with = "or_default")]
    provider: Provider,
    #[serde(default, rename = "apiServerURL", deserialize_with = "or_default")]
    api_server_url: String,
    #[serde(default, rename = "dashboardURL", deserialize_with = "or_default")]
    dashboard_url: String,
    #[serde(default, deserialize_with = "or_default")]
    kube_config: String,
    #[serde(default, deserialize_with = "or_default")]
    kube_config_secret: String,
}

/// The keys of a provider, some of which are left out when they are empty.
const PROVIDER_KEYS: [&str; 8] =
    ["provider", "clusterID", "clusterName", "zone", "zoneID", "regionID", "vpcID", "labels"];

impl Record {
    /// A record of the name and nothing else.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self { name: name.to_owned(), ..Self::default() }
    }

    /// What is stored of it when it is made now.
    pub(super) fn made(mut self, now: OffsetDateTime) -> Self {
        let now = to_millisecond(now);
        self.create_time = if self.name == LOCAL { LOCAL_CREATE_TIME } else { now };
        self.update_time = now;
        self.kube_config = KubeConfig::default();
        self
    }

    /// What is stored of it when it is changed now. Its time is later than the one that it had, whatever the clock says.
    pub(super) fn changed(mut self, now: OffsetDateTime) -> Self {
        self.update_time = to_millisecond(now).max(to_millisecond(self.update_time) + Duration::MILLISECOND);
        self.kube_config = KubeConfig::default();
        self
    }

    /// Whether every store can keep it.
    ///
    /// # Errors
    /// [`StoreError::Invalid`]: the name is none, it is too large, or holds a NUL character.
    pub fn check(&self) -> Result<(), StoreError> {
        if !is_name(&self.name) {
            return Err(StoreError::Invalid(format!(
                "\"{}\" is no name for a cluster: at most {MAX_NAME} of a-z, 0-9, - and ., which begin and end with a \
                 letter or digit",
                self.name.escape_default().take(MAX_NAME + 1).collect::<String>()
            )));
        }
        let json = self.to_json();
        if json.len() > MAX_SIZE {
            let (name, size) = (&self.name, json.len());
            return Err(StoreError::Invalid(format!(
                "the record of cluster \"{name}\" has {size} bytes, more than {MAX_SIZE}"
            )));
        }
        // PostgreSQL alone does not take it: then none does.
        if self.texts().any(|text| text.contains('\0')) {
            let name = &self.name;
            return Err(StoreError::Invalid(format!(
                "the record of cluster \"{name}\" holds a NUL character"
            )));
        }
        Ok(())
    }

    fn texts(&self) -> impl Iterator<Item = &String> {
        let Provider { provider, cluster_id, cluster_name, zone, zone_id, region_id, vpc_id, labels } =
            &self.provider;
        let own = [&self.alias, &self.description, &self.icon, &self.reason];
        let urls = [&self.api_server_url, &self.dashboard_url, &self.kube_config_secret];
        let cloud = [provider, cluster_id, cluster_name, zone, zone_id, region_id, vpc_id];
        let labels = self.labels.iter().chain(labels).flat_map(|(key, value)| [key, value]);
        own.into_iter().chain(urls).chain(cloud).chain(labels)
    }

    /// The JSON form, without a kubeconfig.
    pub(super) fn to_json(&self) -> Vec<u8> {
        let document = Document {
            create_time: self.create_time,
            update_time: self.update_time,
            name: self.name.clone(),
            alias: self.alias.clone(),
            description: self.description.clone(),
            icon: self.icon.clone(),
            labels: self.labels.clone(),
            status: self.status.as_str().to_owned(),
            reason: self.reason.clone(),
            provider: self.provider.clone(),
            api_server_url: self.api_server_url.clone(),
            dashboard_url: self.dashboard_url.clone(),
            kube_config: String::new(),
            kube_config_secret: self.kube_config_secret.clone(),
        };
        serde_json::to_vec(&document).unwrap_or_default()
    }

    /// The JSON form with what a later VelaUX has put into `stored` beside what is known here.
    pub(super) fn to_json_over(&self, stored: &[u8]) -> Vec<u8> {
        let ours = self.to_json();
        let stored = serde_json::from_slice::<Map<String, Value>>(stored);
        let (Ok(mut merged), Ok(new)) = (stored, serde_json::from_slice::<Map<String, Value>>(&ours)) else {
            return ours;
        };
        let cloud = merged.remove("provider");
        merged.extend(new);
        if let (Some(Value::Object(cloud)), Some(Value::Object(new))) = (cloud, merged.get_mut("provider")) {
            new.extend(cloud.into_iter().filter(|(key, _)| !PROVIDER_KEYS.contains(&key.as_str())));
        }
        serde_json::to_vec(&merged).unwrap_or(ours)
    }

    /// From the JSON form, as leniently as Go reads it: what is absent or null is empty.
    pub(super) fn from_json(json: &[u8]) -> Result<Self, String> {
        // The place of a mistake is told, and no part of the text: it can hold a credential.
        let read = serde_json::from_slice::<Document>(json);
        let document = read.map_err(|error| {
            let (line, column) = (error.line(), error.column());
            format!("its JSON is not that of a cluster, at line {line} column {column}")
        })?;
        Ok(Self {
            create_time: document.create_time,
            update_time: document.update_time,
            name: document.name,
            alias: document.alias,
            description: document.description,
            icon: document.icon,
            labels: document.labels,
            status: Status::from_word(&document.status),
            reason: document.reason,
            provider: document.provider,
            api_server_url: document.api_server_url,
            dashboard_url: document.dashboard_url,
            kube_config_secret: document.kube_config_secret,
            kube_config: KubeConfig::new(document.kube_config),
        })
    }
}

/// Whether a cluster that has a record can have this name.
pub(super) fn is_name(name: &str) -> bool {
    let label = |label: &str| {
        let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        let bytes = label.as_bytes();
        bytes.first().is_some_and(|&byte| inner(byte))
            && bytes.last().is_some_and(|&byte| inner(byte))
            && bytes.iter().all(|&byte| inner(byte) || byte == b'-')
    };
    name.len() <= MAX_NAME && name.split('.').all(label)
}

/// MongoDB keeps no more: so that a record is the same in every store, none does.
fn to_millisecond(time: OffsetDateTime) -> OffsetDateTime {
    let time = time.to_offset(time::UtcOffset::UTC);
    time.replace_millisecond(time.millisecond()).unwrap_or(time)
}

pub(super) fn no_time() -> OffsetDateTime {
    NO_TIME
}

/// Null is empty.
fn or_default<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(from: D) -> Result<T, D::Error> {
    Option::deserialize(from).map(Option::unwrap_or_default)
}

/// An empty map is null, as Go writes a map that nobody has made.
fn or_null<S: Serializer>(labels: &BTreeMap<String, String>, to: S) -> Result<S::Ok, S::Error> {
    Some(labels).filter(|labels| !labels.is_empty()).serialize(to)
}

mod rfc3339 {
    use super::{Deserialize, Deserializer, OffsetDateTime, Rfc3339, Serialize, Serializer, no_time};

    pub(super) fn serialize<S: Serializer>(time: &OffsetDateTime, to: S) -> Result<S::Ok, S::Error> {
        time.format(&Rfc3339).map_err(serde::ser::Error::custom)?.serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<OffsetDateTime, D::Error> {
        match Option::<String>::deserialize(from)? {
            None => Ok(no_time()),
            Some(text) => OffsetDateTime::parse(&text, &Rfc3339).map_err(serde::de::Error::custom),
        }
    }
}

#[cfg(test)]
mod tests;

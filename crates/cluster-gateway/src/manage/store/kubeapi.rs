//! Records in ConfigMaps of the hub.
//!
//! ConfigMap `cls-NAME`; `binaryData.data` is the JSON form; the label `table` says what it is.

use std::collections::BTreeMap;
use std::fmt;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use kube::Client;
use kube::api::{Api, DeleteParams, ListParams, ObjectMeta, PostParams, Preconditions};
use tokio::sync::OnceCell;

use super::record::Record;
use super::{Expect, LIST_LIMIT, Listing, StoreError, TABLE};
use crate::hub::{CallError, call};

mod migrate;

/// What VelaUX puts before a name.
const PREFIX: &str = "cls-";

/// What older releases put before it.
const OLD_PREFIX: &str = "veladatabase-vela-cluster-";

/// The label of what was copied from an old name to the new one.
const MIGRATED: &str = "db.oam.dev/migrated";

/// Objects in a page of a list.
const PAGE: u32 = 500;

/// How often a record is read again because somebody else has written it between our reading and writing.
const ROUNDS: usize = 8;

/// The longest value of a label.
const LABEL_VALUE: usize = 63;

/// The store in the hub.
pub(super) struct KubeApi {
    client: Client,
    config_maps: Api<ConfigMap>,
    namespace: String,
    migrated: OnceCell<()>,
}

impl KubeApi {
    pub(super) fn new(client: Client, namespace: &str) -> Self {
        let config_maps = Api::namespaced(client.clone(), namespace);
        Self { client, config_maps, namespace: namespace.to_owned(), migrated: OnceCell::new() }
    }

    pub(super) async fn add(&self, record: &Record) -> Result<(), StoreError> {
        self.ready().await?;
        let config_map = config_map(record);
        let created = match self.create(&config_map).await {
            // Only now: a namespace that is there asks for no right to make one.
            Err(CallError::NotFound(_)) => {
                self.make_namespace().await?;
                self.create(&config_map).await
            }
            other => other,
        };
        match created {
            Ok(()) => Ok(()),
            Err(CallError::Conflict(_)) => match self.find(&record.name).await? {
                Found::Foreign => Err(self.foreign(&record.name)),
                Found::Nothing | Found::Ours(_) => Err(StoreError::Exists(record.name.clone())),
            },
            Err(error) => Err(self.failed(error)),
        }
    }

    pub(super) async fn put(&self, record: &Record, expect: Expect) -> Result<(), StoreError> {
        self.ready().await?;
        for _ in 0..ROUNDS {
            let mut config_map = self.ours(&record.name).await?;
            let stored = data(&config_map);
            if let (Expect::UpdatedAt(_), Ok(stored)) = (expect, Record::from_json(stored))
                && !expect.holds(stored.update_time)
            {
                return Err(StoreError::Changed(record.name.clone()));
            }
            let json = record.to_json_over(stored);
            config_map.binary_data.get_or_insert_default().insert("data".to_owned(), ByteString(json));
            config_map.metadata.labels.get_or_insert_default().extend(labels(&record.name));
            let name = object_name(&record.name);
            match call(self.config_maps.replace(&name, &written(), &config_map)).await {
                Ok(_) => return Ok(()),
                Err(CallError::Conflict(_)) => {}
                Err(CallError::NotFound(_)) => return Err(StoreError::Missing(record.name.clone())),
                Err(error) => return Err(self.failed(error)),
            }
        }
        Err(StoreError::Changed(record.name.clone()))
    }

    pub(super) async fn get(&self, name: &str) -> Result<Record, StoreError> {
        self.ready().await?;
        let config_map = self.ours(name).await?;
        let unreadable = |cause| StoreError::Unreadable { name: name.to_owned(), cause };
        Record::from_json(data(&config_map)).map_err(unreadable)
    }

    pub(super) async fn list(&self) -> Result<Listing, StoreError> {
        self.ready().await?;
        let mut all = self.all().await?;
        if all.iter().any(|config_map| old_name(config_map).is_some()) {
            // An old VelaUX is still at work.
            self.migrate(all).await?;
            all = self.all().await?;
        }
        let mut listing = Listing::default();
        for config_map in &all {
            let object = config_map.metadata.name.as_deref().unwrap_or_default();
            let name = object.strip_prefix(PREFIX).unwrap_or(object);
            let record =
                Record::from_json(data(config_map)).and_then(|record| match record.name.is_empty() {
                    true => Err(format!("ConfigMap {} holds no name of a cluster", self.place(object))),
                    false => Ok(record),
                });
            listing.found(name, record);
        }
        Ok(listing)
    }

    pub(super) async fn delete(&self, name: &str) -> Result<(), StoreError> {
        self.ready().await?;
        for _ in 0..ROUNDS {
            let config_map = self.ours(name).await?;
            // What has been made anew in the meantime is another record, or none.
            let only = Preconditions { uid: config_map.metadata.uid, resource_version: None };
            let params = DeleteParams { preconditions: Some(only), ..DeleteParams::default() };
            match call(self.config_maps.delete(&object_name(name), &params)).await {
                Ok(_) => return Ok(()),
                Err(CallError::Conflict(_)) => {}
                Err(CallError::NotFound(_)) => return Err(StoreError::Missing(name.to_owned())),
                Err(error) => return Err(self.failed(error)),
            }
        }
        Err(StoreError::Changed(name.to_owned()))
    }

    /// Sees to old names, once.
    async fn ready(&self) -> Result<(), StoreError> {
        let migrate = async || self.migrate(self.all().await?).await;
        self.migrated.get_or_try_init(migrate).await.copied()
    }

    /// All ConfigMaps that are records, in pages.
    async fn all(&self) -> Result<Vec<ConfigMap>, StoreError> {
        let pages = async {
            let mut found = Vec::new();
            let mut params = ListParams::default().labels(&format!("table={TABLE},!{MIGRATED}")).limit(PAGE);
            loop {
                let page = call(self.config_maps.list(&params)).await.map_err(|error| self.failed(error))?;
                found.extend(page.items);
                match page.metadata.continue_.filter(|token| !token.is_empty()) {
                    Some(token) => params.continue_token = Some(token),
                    None => return Ok(found),
                }
            }
        };
        let silent = |_| StoreError::Unavailable(format!("no list within {} s", LIST_LIMIT.as_secs()));
        tokio::time::timeout(LIST_LIMIT, pages).await.map_err(silent)?
    }

    async fn create(&self, config_map: &ConfigMap) -> Result<(), CallError> {
        call(self.config_maps.create(&written(), config_map)).await.map(drop)
    }

    async fn make_namespace(&self) -> Result<(), StoreError> {
        let description = ("description".to_owned(), "Records of clusters, for their management.".to_owned());
        let metadata = ObjectMeta {
            name: Some(self.namespace.clone()),
            annotations: Some(BTreeMap::from([description])),
            ..ObjectMeta::default()
        };
        let namespace = Namespace { metadata, ..Namespace::default() };
        match call(Api::all(self.client.clone()).create(&written(), &namespace)).await {
            Ok(_) | Err(CallError::Conflict(_)) => Ok(()),
            Err(CallError::Forbidden(words)) => {
                let namespace = &self.namespace;
                Err(StoreError::Refused(format!(
                    "there is no namespace \"{namespace}\", and it cannot be made: {words}. Create it, or grant that"
                )))
            }
            Err(error) => Err(self.failed(error)),
        }
    }

    async fn find(&self, name: &str) -> Result<Found, StoreError> {
        match call(self.config_maps.get(&object_name(name))).await {
            Ok(config_map) if is_record(&config_map) => Ok(Found::Ours(Box::new(config_map))),
            Ok(_) => Ok(Found::Foreign),
            Err(CallError::NotFound(_)) => Ok(Found::Nothing),
            Err(error) => Err(self.failed(error)),
        }
    }

    /// What is not ours is not there: it is neither read, nor overwritten, nor deleted.
    async fn ours(&self, name: &str) -> Result<ConfigMap, StoreError> {
        match self.find(name).await? {
            Found::Ours(config_map) => Ok(*config_map),
            Found::Foreign | Found::Nothing => Err(StoreError::Missing(name.to_owned())),
        }
    }

    fn foreign(&self, name: &str) -> StoreError {
        let place = self.place(&object_name(name));
        StoreError::Refused(format!(
            "ConfigMap {place} is in the way: it is no record of a cluster, since it has no label table={TABLE}"
        ))
    }

    fn place(&self, object: &str) -> String {
        format!("{}/{object}", self.namespace)
    }

    fn failed(&self, error: CallError) -> StoreError {
        match error {
            CallError::Unreachable(words) => StoreError::Unavailable(words),
            CallError::NotFound(words)
            | CallError::Conflict(words)
            | CallError::Forbidden(words)
            | CallError::Refused(words) => {
                StoreError::Refused(format!("{words} (ConfigMaps of namespace \"{}\")", self.namespace))
            }
        }
    }
}

/// What is there under the name of a record.
enum Found {
    Nothing,
    Foreign,
    Ours(Box<ConfigMap>),
}

fn object_name(name: &str) -> String {
    format!("{PREFIX}{name}")
}

fn old_name(config_map: &ConfigMap) -> Option<&str> {
    config_map.metadata.name.as_deref()?.strip_prefix(OLD_PREFIX)
}

fn is_record(config_map: &ConfigMap) -> bool {
    config_map
        .metadata
        .labels
        .as_ref()
        .and_then(|labels| labels.get("table"))
        .is_some_and(|table| table == TABLE)
}

fn data(config_map: &ConfigMap) -> &[u8] {
    config_map.binary_data.as_ref().and_then(|data| data.get("data")).map_or(&[], |bytes| bytes.0.as_slice())
}

/// VelaUX lists by `table`; it reads by the object's name. A name that is too long for a label has none.
fn labels(name: &str) -> BTreeMap<String, String> {
    let named = ["primaryKey", "name"].into_iter().filter(|_| name.len() <= LABEL_VALUE);
    let named = named.map(|key| (key.to_owned(), name.to_owned()));
    named.chain([("table".to_owned(), TABLE.to_owned())]).collect()
}

fn config_map(record: &Record) -> ConfigMap {
    ConfigMap {
        metadata: ObjectMeta {
            name: Some(object_name(&record.name)),
            labels: Some(labels(&record.name)),
            ..ObjectMeta::default()
        },
        binary_data: Some(BTreeMap::from([("data".to_owned(), ByteString(record.to_json()))])),
        ..ConfigMap::default()
    }
}

fn written() -> PostParams {
    PostParams { field_manager: Some("cluster-gateway".to_owned()), ..PostParams::default() }
}

impl fmt::Debug for KubeApi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KubeApi").field("namespace", &self.namespace).finish_non_exhaustive()
    }
}

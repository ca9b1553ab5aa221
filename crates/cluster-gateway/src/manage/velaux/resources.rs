//! What a member has, as VelaUX counts it: asked through the gateway as the caller, and remembered for a minute.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use cluster_gateway_client::ProxyPath;
use kube::Client;
use quick_cache::sync::Cache;
use serde::Serialize;
use tokio::time::Instant;

use crate::manage::store::{LOCAL, Status};
use crate::manage::{Caller, Manage};

mod sums;

use sums::{AskError, Sums};

/// How long it is remembered.
const AGE: Duration = Duration::from_secs(60);
/// Callers and clusters of which it is remembered.
const MOST: usize = 1024;

/// VelaUX' `resourceInfo`. Memory in bytes, CPU in cores, rounded up. *Used* is what nodes keep for themselves: capacity less
/// allocatable.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ResourceInfo {
    worker_number: i64,
    master_number: i64,
    memory_capacity: i64,
    cpu_capacity: i64,
    pod_capacity: i64,
    memory_used: i64,
    cpu_used: i64,
    pod_used: i64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    storage_class_list: Vec<String>,
}

/// What was seen of a member.
#[derive(Debug, Clone)]
pub(super) enum Seen {
    Info(ResourceInfo),
    /// It answers, and the caller may not read it.
    Withheld,
    /// It does not answer, or not well; why.
    Failed(String),
}

/// What was seen lately. What one caller may see is not shown to another.
pub struct Resources(Cache<Key, (Instant, Arc<ResourceInfo>)>);

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    cluster: String,
    user: String,
    groups: Vec<String>,
}

impl Default for Resources {
    fn default() -> Self {
        Self(Cache::new(MOST))
    }
}

impl fmt::Debug for Resources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Resources").field("kept", &self.0.len()).finish_non_exhaustive()
    }
}

impl Resources {
    /// Forgets what was seen of a cluster: it has changed.
    pub fn forget(&self, cluster: &str) {
        self.0.retain(|key, _| key.cluster != cluster);
    }

    fn get(&self, key: &Key) -> Option<ResourceInfo> {
        let (at, info) = self.0.get(key)?;
        (at.elapsed() < AGE).then(|| ResourceInfo::clone(&info))
    }
}

/// What a member has, or why it cannot be told.
pub(super) async fn seen(manage: &Manage, caller: &Caller, name: &str) -> Seen {
    let (user, groups) = (caller.user.name.clone(), caller.user.groups.clone());
    let key = Key { cluster: name.to_owned(), user, groups };
    if let Some(info) = manage.resources.get(&key) {
        return Seen::Info(info);
    }
    let asked = if name == LOCAL {
        match manage.hub_as(caller) {
            Ok(Some(client)) => ask(&client, "").await,
            Ok(None) | Err(_) => return Seen::Withheld,
        }
    } else {
        ask(&manage.through_gateway(caller), &ProxyPath::prefix(name)).await
    };
    match asked {
        Ok(info) => {
            manage.resources.0.insert(key, (Instant::now(), Arc::new(info.clone())));
            Seen::Info(info)
        }
        Err(AskError::Forbidden(_)) => Seen::Withheld,
        Err(error) => Seen::Failed(format!("Failed to get cluster resource info: {error}")),
    }
}

/// How a member that has just been joined is, for its record.
pub(super) async fn judged(manage: &Manage, caller: &Caller, name: &str) -> (Status, String) {
    match seen(manage, caller, name).await {
        Seen::Info(_) | Seen::Withheld => (Status::Healthy, String::new()),
        Seen::Failed(reason) => (Status::Unhealthy, reason),
    }
}

async fn ask(client: &Client, root: &str) -> Result<ResourceInfo, AskError> {
    let mut sums = Sums::default();
    sums.read(client, root).await?;
    Ok(sums.info())
}

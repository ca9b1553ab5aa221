//! What a cluster has: nodes, what they can take, and storage classes.
//!
//! Asked through a gateway, as whoever asks. What they may not read is a problem, and no failure.

use std::time::Duration;

use http::{Request, StatusCode};
use http_body_util::{BodyExt, Limited};
use kube::Client;
use kube::client::Body;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::time::{Instant, timeout};

mod node;
mod quantity;
mod resource_info;
mod storage;

pub use node::{Node, Readiness};
pub use quantity::quantity;
pub use resource_info::ResourceInfo;
pub use storage::StorageClass;

use super::probe::refusal;
use crate::hub::chain;

/// Objects in one answer.
const PAGE: usize = 250;
/// Bytes of one answer that are read.
const MOST_BYTES: usize = 32 * 1024 * 1024;
/// Nodes that are listed; the sums are of all.
const MOST_NODES: usize = 5_000;
/// Nodes and storage classes that are looked at.
const MOST: usize = 100_000;
/// How long it may all take.
pub const LIMIT: Duration = Duration::from_secs(10);

/// What a cluster has.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Capacity {
    /// When that was, RFC 3339.
    pub at: String,
    /// How long it took.
    pub took_milliseconds: f64,
    /// What all nodes have together.
    pub capacity: Resources,
    /// What of it is for pods.
    pub allocatable: Resources,
    /// The nodes by name, the first 5,000.
    pub nodes: Vec<Node>,
    /// The storage classes by name.
    pub storage_classes: Vec<StorageClass>,
    /// What could not be read, and why.
    pub problems: Vec<Problem>,
    #[serde(skip)]
    pub(super) all: Counts,
}

/// All nodes, by what VelaUX calls them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) masters: u64,
    pub(super) workers: u64,
}

/// Amounts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Resources {
    /// Cores, to a thousandth.
    pub cpu: f64,
    /// Bytes.
    pub memory: u64,
    /// Pods.
    pub pods: u64,
}

/// Something that could not be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// What: `nodes`, `storageClasses`.
    pub what: &'static str,
    /// Why.
    pub message: String,
}

/// Why nothing is known of a cluster.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CapacityError {
    /// It does not answer; the gateway's or the member's words.
    #[error("{0}")]
    Unreachable(String),
    /// Not in time.
    #[error("the cluster has not answered within {0:?}")]
    Timeout(Duration),
}

/// A page of a list.
#[derive(Deserialize)]
struct Page<T> {
    #[serde(default)]
    metadata: PageMetadata,
    items: Option<Vec<T>>,
}

#[derive(Default, Deserialize)]
struct PageMetadata {
    #[serde(default, rename = "continue")]
    next: String,
}

/// What of an object's metadata is shown.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Metadata {
    name: String,
    creation_timestamp: Option<String>,
    labels: Option<std::collections::BTreeMap<String, String>>,
    annotations: Option<std::collections::BTreeMap<String, String>>,
}

/// How a list has failed.
enum Failed {
    /// Nobody is there.
    Unreachable(String),
    /// Somebody is, and refuses.
    Refused(String),
}

/// Asks the API server that `client` reaches below `prefix` (of a cluster behind a gateway:
/// [`ProxyPath::prefix`](cluster_gateway_client::ProxyPath::prefix)), for `limit` at most; default [`LIMIT`].
///
/// # Errors
/// [`CapacityError`].
pub async fn capacity(client: &Client, prefix: &str, limit: Duration) -> Result<Capacity, CapacityError> {
    let begun = Instant::now();
    let mut found = Capacity {
        at: OffsetDateTime::now_utc().format(&Rfc3339).unwrap_or_default(),
        took_milliseconds: 0.0,
        capacity: Resources::default(),
        allocatable: Resources::default(),
        nodes: Vec::new(),
        storage_classes: Vec::new(),
        problems: Vec::new(),
        all: Counts::default(),
    };
    let asking = Box::pin(found.ask(client, prefix));
    timeout(limit, asking).await.map_err(|_| CapacityError::Timeout(limit))??;
    found.took_milliseconds = (begun.elapsed().as_secs_f64() * 1e4).round() / 10.0;
    Ok(found)
}

impl Capacity {
    async fn ask(&mut self, client: &Client, prefix: &str) -> Result<(), CapacityError> {
        let nodes = format!("{prefix}/api/v1/nodes");
        match all::<node::Read>(client, &nodes, |node| self.add(node)).await {
            Ok(()) => {}
            Err(Failed::Unreachable(why)) => return Err(CapacityError::Unreachable(why)),
            Err(Failed::Refused(message)) => self.problems.push(Problem { what: "nodes", message }),
        }
        let classes = format!("{prefix}/apis/storage.k8s.io/v1/storageclasses");
        let found = &mut self.storage_classes;
        let read =
            all::<storage::Read>(client, &classes, |class| found.extend(StorageClass::of(class))).await;
        if let Err(Failed::Unreachable(message) | Failed::Refused(message)) = read {
            self.problems.push(Problem { what: "storageClasses", message });
        }
        self.nodes.sort_by(|one, other| one.name.cmp(&other.name));
        self.storage_classes.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(())
    }

    fn add(&mut self, node: node::Read) {
        let is_master = node.is_master();
        let node = Node::of(node);
        self.capacity.add(node.capacity);
        self.allocatable.add(node.allocatable);
        *(if is_master { &mut self.all.masters } else { &mut self.all.workers }) += 1;
        // The API server lists by name.
        if self.nodes.len() < MOST_NODES {
            self.nodes.push(node);
        }
    }
}

impl Resources {
    fn add(&mut self, other: Self) {
        self.cpu = ((self.cpu + other.cpu) * 1e3).round() / 1e3;
        self.memory = self.memory.saturating_add(other.memory);
        self.pods = self.pods.saturating_add(other.pods);
    }
}

/// All objects of a list, page by page.
async fn all<T: DeserializeOwned>(
    client: &Client,
    path: &str,
    mut take: impl FnMut(T),
) -> Result<(), Failed> {
    let (mut next, mut taken) = (String::new(), 0);
    loop {
        let mut target = format!("{path}?limit={PAGE}");
        if !next.is_empty() {
            target = format!("{target}&continue={}", utf8_percent_encode(&next, NON_ALPHANUMERIC));
        }
        let Page { metadata, items } = page(client, &target).await?;
        let items = items.unwrap_or_default();
        taken += items.len().max(1);
        items.into_iter().for_each(&mut take);
        if metadata.next.is_empty() {
            return Ok(());
        }
        if taken >= MOST {
            return Err(Failed::Refused(format!("only {taken} have been looked at")));
        }
        next = metadata.next;
    }
}

async fn page<T: DeserializeOwned>(client: &Client, path: &str) -> Result<Page<T>, Failed> {
    let request = Request::get(path).header("accept", "application/json").body(Body::empty());
    let request = request.map_err(|error| Failed::Refused(error.to_string()))?;
    let answer = client.send(request).await.map_err(|error| Failed::Unreachable(chain(&error)))?;
    let status = answer.status();
    let body = Limited::new(answer.into_body(), MOST_BYTES).collect().await;
    let body =
        body.map_err(|error| Failed::Refused(format!("the answer cannot be read: {error}")))?.to_bytes();
    match status {
        StatusCode::OK => serde_json::from_slice(&body)
            .map_err(|_| Failed::Refused("the answer is no list of Kubernetes".to_owned())),
        status if status.is_server_error() => Err(Failed::Unreachable(refusal("the cluster", status, &body))),
        status => Err(Failed::Refused(refusal("the cluster", status, &body))),
    }
}

/// The beginning of a text that a member has made, in one line.
fn shown(text: &str, most: usize) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(most).collect()
}

#[cfg(test)]
mod tests;

//! The sums over a member's nodes.

use std::collections::BTreeMap;
use std::time::Duration;

use http::{Request, StatusCode, header};
use http_body_util::{BodyExt, Limited};
use kube::Client;
use kube::client::Body;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::time::{Instant, timeout_at};

use super::ResourceInfo;
use crate::hub::chain;

/// How long all of it may take.
const LIMIT: Duration = Duration::from_secs(10);
/// Nodes in one answer, and in all.
const PAGE: usize = 250;
const MOST_NODES: usize = 5000;
/// Bytes of an answer that are read.
const MOST_BYTES: usize = 16 << 20;
/// The only label by which VelaUX knows a master.
const MASTER: &str = "node-role.kubernetes.io/master";

/// Why it cannot be told.
#[derive(Debug, thiserror::Error)]
pub(super) enum AskError {
    #[error("{0}")]
    Forbidden(String),
    #[error("{0}")]
    NotFound(String),
    #[error("{0}")]
    Failed(String),
}

/// What is added up: milli-CPUs, bytes, pods.
#[derive(Debug, Default)]
pub(super) struct Sums {
    workers: i64,
    masters: i64,
    capacity: Amounts,
    allocatable: Amounts,
    storage_classes: Vec<String>,
}

#[derive(Debug, Default, Clone, Copy)]
struct Amounts {
    cpu: f64,
    memory: f64,
    pods: f64,
}

#[derive(Deserialize)]
struct List<T> {
    #[serde(default)]
    metadata: ListMetadata,
    #[serde(default = "Vec::new")]
    items: Vec<T>,
}

#[derive(Default, Deserialize)]
struct ListMetadata {
    #[serde(default, rename = "continue")]
    next: String,
}

#[derive(Deserialize)]
struct Named {
    metadata: Metadata,
}

#[derive(Deserialize)]
struct Node {
    metadata: Metadata,
    #[serde(default)]
    status: NodeStatus,
}

#[derive(Deserialize)]
struct Metadata {
    #[serde(default)]
    name: String,
    #[serde(default)]
    labels: BTreeMap<String, String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct NodeStatus {
    capacity: BTreeMap<String, String>,
    allocatable: BTreeMap<String, String>,
}

#[derive(Default, Deserialize)]
struct Words {
    #[serde(default)]
    message: String,
}

impl Sums {
    /// Asks a member below `root`.
    pub(super) async fn read(&mut self, client: &Client, root: &str) -> Result<(), AskError> {
        let deadline = Instant::now() + LIMIT;
        let mut next = String::new();
        loop {
            let token = percent_encoding::utf8_percent_encode(&next, percent_encoding::NON_ALPHANUMERIC);
            let path = format!("{root}/api/v1/nodes?limit={PAGE}&continue={token}");
            let page: List<Node> = get(client, &path, deadline).await?;
            page.items.iter().for_each(|node| self.add(node));
            let seen = self.workers.saturating_add(self.masters);
            if page.metadata.next.is_empty() || usize::try_from(seen).is_ok_and(|seen| seen >= MOST_NODES) {
                break;
            }
            next = page.metadata.next;
        }
        let path = format!("{root}/apis/storage.k8s.io/v1/storageclasses?limit={PAGE}");
        self.storage_classes = match get::<List<Named>>(client, &path, deadline).await {
            Ok(list) => list.items.into_iter().map(|class| class.metadata.name).collect(),
            Err(AskError::Forbidden(_) | AskError::NotFound(_)) => Vec::new(),
            Err(error) => return Err(error),
        };
        Ok(())
    }

    fn add(&mut self, node: &Node) {
        match node.metadata.labels.contains_key(MASTER) {
            true => self.masters += 1,
            false => self.workers += 1,
        }
        self.capacity.add(&node.status.capacity);
        self.allocatable.add(&node.status.allocatable);
    }

    pub(super) fn info(self) -> ResourceInfo {
        let Self { workers, masters, capacity, allocatable, storage_classes } = self;
        let used = |capacity: f64, allocatable: f64| whole(capacity - allocatable);
        ResourceInfo {
            worker_number: workers,
            master_number: masters,
            memory_capacity: whole(capacity.memory),
            cpu_capacity: whole(capacity.cpu),
            pod_capacity: whole(capacity.pods),
            memory_used: used(capacity.memory, allocatable.memory),
            cpu_used: used(capacity.cpu, allocatable.cpu),
            pod_used: used(capacity.pods, allocatable.pods),
            storage_class_list: storage_classes,
        }
    }
}

impl Amounts {
    fn add(&mut self, amounts: &BTreeMap<String, String>) {
        let amount = |key: &str| amounts.get(key).and_then(|text| quantity(text)).unwrap_or_default();
        self.cpu += amount("cpu");
        self.memory += amount("memory");
        self.pods += amount("pods");
    }
}

async fn get<T: DeserializeOwned>(client: &Client, path: &str, deadline: Instant) -> Result<T, AskError> {
    let failed = |cause: String| AskError::Failed(cause);
    let request = Request::get(path).header(header::ACCEPT, "application/json").body(Body::empty());
    let request = request.map_err(|error| failed(error.to_string()))?;
    let exchange = async {
        let answer = client.send(request).await.map_err(|error| chain(&error))?;
        let (status, body) = (answer.status(), Limited::new(answer.into_body(), MOST_BYTES));
        let body = body.collect().await.map_err(|error| error.to_string())?.to_bytes();
        Ok::<_, String>((status, body))
    };
    let answered = timeout_at(deadline, exchange).await;
    let (status, body) =
        answered.map_err(|_| failed(format!("no answer within {LIMIT:?}")))?.map_err(failed)?;
    if status == StatusCode::OK {
        return serde_json::from_slice(&body).map_err(|_| failed("its answer is not a list".to_owned()));
    }
    let Words { message } = serde_json::from_slice(&body).unwrap_or_default();
    let message: String = message.chars().map(|c| if c.is_control() { ' ' } else { c }).take(400).collect();
    let message = if message.is_empty() { format!("status {}", status.as_u16()) } else { message };
    Err(match status {
        StatusCode::FORBIDDEN => AskError::Forbidden(message),
        StatusCode::NOT_FOUND => AskError::NotFound(message),
        _ => failed(message),
    })
}

/// A quantity of Kubernetes.
fn quantity(text: &str) -> Option<f64> {
    let end = text.find(|c: char| !(c.is_ascii_digit() || "+-.".contains(c))).unwrap_or(text.len());
    let (number, suffix) = text.split_at(end);
    let factor = match suffix {
        "" => 1.0,
        "n" => 1e-9,
        "u" => 1e-6,
        "m" => 1e-3,
        "k" => 1e3,
        "M" => 1e6,
        "G" => 1e9,
        "T" => 1e12,
        "P" => 1e15,
        "E" => 1e18,
        "Ki" => 1024.0,
        "Mi" => 1_048_576.0,
        "Gi" => 1_073_741_824.0,
        "Ti" => 1_099_511_627_776.0,
        "Pi" => 1_125_899_906_842_624.0,
        "Ei" => 1_152_921_504_606_846_976.0,
        _ => return text.parse().ok().filter(|number: &f64| number.is_finite()),
    };
    number.parse::<f64>().ok().map(|number| number * factor)
}

/// Rounded up, as VelaUX' integers are; sums of thousandths must not gain one by a rounding error.
#[expect(clippy::cast_possible_truncation, reason = "what does not fit becomes the largest number")]
fn whole(amount: f64) -> i64 {
    (amount - 1e-6).ceil().max(0.0) as i64
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn quantities_are_read_as_kubernetes_writes_them() {
        let good = [
            ("4", 4.0),
            ("3920m", 3.92),
            ("16Gi", 17_179_869_184.0),
            ("1k", 1e3),
            ("1e3", 1e3),
            ("0.5", 0.5),
        ];
        for (text, number) in good {
            assert!((quantity(text).unwrap() - number).abs() < 1e-9, "{text}");
        }
        for bad in ["", "x", "4GiB", "NaN", "inf", "--4"] {
            assert_eq!(quantity(bad), None, "{bad}");
        }
    }

    #[test]
    fn used_is_what_nodes_keep_for_themselves_and_masters_are_those_of_the_old_label() {
        let node = |labels: serde_json::Value| {
            let capacity = json!({"cpu": "4", "memory": "8Gi", "pods": "110"});
            let allocatable = json!({"cpu": "3920m", "memory": "7Gi", "pods": "110"});
            let status = json!({"capacity": capacity, "allocatable": allocatable});
            serde_json::from_value::<Node>(json!({"metadata": {"labels": labels}, "status": status})).unwrap()
        };
        let mut sums = Sums::default();
        sums.add(&node(json!({MASTER: ""})));
        sums.add(&node(json!({"node-role.kubernetes.io/control-plane": ""})));
        sums.storage_classes.push("gp3".to_owned());
        assert_eq!(
            serde_json::to_value(sums.info()).unwrap(),
            json!({
                "workerNumber": 1, "masterNumber": 1, "memoryCapacity": 17_179_869_184_i64, "cpuCapacity": 8,
                "podCapacity": 220, "memoryUsed": 2_147_483_648_i64, "cpuUsed": 1, "podUsed": 0,
                "storageClassList": ["gp3"],
            })
        );
    }
}

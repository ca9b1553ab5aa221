//! What a cluster has, asked of one that answers as it is told.

use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use http::Response;
use serde_json::{Value, json};
use tower_service::Service;

use super::*;

/// Answers by path and query; `None`: never.
type Answers = dyn Fn(&str) -> Option<(u16, Value)> + Send + Sync;

#[derive(Clone)]
struct Scripted {
    answers: Arc<Answers>,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Service<Request<Body>> for Scripted {
    type Response = Response<Body>;
    type Error = std::io::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, std::io::Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), std::io::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let target = request.uri().path_and_query().unwrap().to_string();
        let answer = (self.answers)(&target);
        self.asked.lock().unwrap().push(target);
        Box::pin(async move {
            let Some((code, body)) = answer else { return std::future::pending().await };
            Ok(Response::builder().status(code).body(Body::from(body.to_string().into_bytes())).unwrap())
        })
    }
}

async fn ask(
    answers: impl Fn(&str) -> Option<(u16, Value)> + Send + Sync + 'static,
) -> (Result<Capacity, CapacityError>, Vec<String>) {
    ask_for(Duration::from_secs(60), answers).await
}

async fn ask_for(
    limit: Duration,
    answers: impl Fn(&str) -> Option<(u16, Value)> + Send + Sync + 'static,
) -> (Result<Capacity, CapacityError>, Vec<String>) {
    let scripted = Scripted { answers: Arc::new(answers), asked: Arc::default() };
    let client = Client::new(scripted.clone(), "default");
    let found = capacity(&client, "/prefix", limit).await;
    let asked = scripted.asked.lock().unwrap().clone();
    (found, asked)
}

fn list(items: &[Value]) -> Option<(u16, Value)> {
    Some((200, json!({"kind": "List", "metadata": {}, "items": items})))
}

fn status(code: u16, message: &str) -> Option<(u16, Value)> {
    Some((code, json!({"kind": "Status", "message": message})))
}

fn node(name: &str, role: &str, cpu: [&str; 2], memory: [&str; 2], ready: &Value) -> Value {
    json!({
        "metadata": {"name": name, "creationTimestamp": "2026-01-01T00:00:00Z",
            "labels": {format!("node-role.kubernetes.io/{role}"): "", "other": "x"}},
        "spec": {"unschedulable": name == "b"},
        "status": {
            "capacity": {"cpu": cpu[0], "memory": memory[0], "pods": "110", "ephemeral-storage": "x"},
            "allocatable": {"cpu": cpu[1], "memory": memory[1], "pods": "100"},
            "conditions": [{"type": "MemoryPressure", "status": "False"}, ready],
            "nodeInfo": {"kubeletVersion": "v1.32.4", "operatingSystem": "linux", "architecture": "amd64"},
        },
    })
}

fn two_nodes() -> Vec<Value> {
    let well = json!({"type": "Ready", "status": "True", "reason": "KubeletReady", "message": "fine"});
    let ill = json!({"type": "Ready", "status": "Unknown", "reason": "NodeStatusUnknown", "message": "Kubelet\nstopped"});
    vec![
        node("b", "master", ["2", "1900m"], ["8Gi", "7Gi"], &ill),
        node("a", "control-plane", ["500m", "500m"], ["1000Ki", "1000Ki"], &well),
    ]
}

#[tokio::test]
async fn nodes_and_storage_classes_are_summed_and_sorted() {
    let (found, asked) = ask(|path| {
        if path.contains("nodes") {
            return list(&two_nodes());
        }
        let default = json!({"storageclass.kubernetes.io/is-default-class": "true"});
        list(&[
            json!({"metadata": {"name": "slow"}, "provisioner": "p", "reclaimPolicy": "Retain",
                "volumeBindingMode": "WaitForFirstConsumer", "allowVolumeExpansion": true}),
            json!({"metadata": {"name": "fast", "annotations": default}, "provisioner": "p"}),
        ])
    })
    .await;
    let found = found.unwrap();
    assert_eq!(
        asked,
        ["/prefix/api/v1/nodes?limit=250", "/prefix/apis/storage.k8s.io/v1/storageclasses?limit=250"]
    );
    let shown = serde_json::to_value(&found).unwrap();
    assert_eq!(shown["capacity"], json!({"cpu": 2.5, "memory": 8_590_958_592_u64, "pods": 220}));
    assert_eq!(shown["allocatable"]["cpu"], json!(2.4));
    assert_eq!(
        shown["nodes"][1],
        json!({
            "name": "b", "roles": ["master"], "ready": "Unknown", "reason": "NodeStatusUnknown: Kubelet stopped",
            "unschedulable": true, "kubeletVersion": "v1.32.4", "operatingSystem": "linux", "architecture": "amd64",
            "capacity": {"cpu": 2.0, "memory": 8_589_934_592_u64, "pods": 110},
            "allocatable": {"cpu": 1.9, "memory": 7_516_192_768_u64, "pods": 100}, "createTime": "2026-01-01T00:00:00Z",
        })
    );
    assert_eq!((&shown["nodes"][0]["ready"], &shown["nodes"][0]["reason"]), (&json!("True"), &json!("")));
    assert_eq!(
        shown["storageClasses"],
        json!([
            {"name": "fast", "provisioner": "p", "reclaimPolicy": "Delete", "volumeBindingMode": "Immediate",
                "allowVolumeExpansion": false, "isDefault": true},
            {"name": "slow", "provisioner": "p", "reclaimPolicy": "Retain",
                "volumeBindingMode": "WaitForFirstConsumer", "allowVolumeExpansion": true, "isDefault": false},
        ])
    );
    assert_eq!((&shown["problems"], shown.get("all")), (&json!([]), None));
    // VelaUX: only `master` is a master, cores are rounded up.
    assert_eq!(
        serde_json::to_value(ResourceInfo::from(&found)).unwrap(),
        json!({"workerNumber": 1, "masterNumber": 1, "memoryCapacity": 8_590_958_592_u64, "cpuCapacity": 3,
            "podCapacity": 220, "memoryUsed": 1_073_741_824, "cpuUsed": 1, "podUsed": 20,
            "storageClassList": ["fast", "slow"]})
    );
}

#[tokio::test]
async fn what_may_not_be_read_is_a_problem_and_no_failure() {
    let (found, _) = ask(|path| match path.contains("nodes") {
        true => status(403, "nodes is forbidden"),
        false => Some((200, json!("not a list"))),
    })
    .await;
    let found = found.unwrap();
    let problems: Vec<_> =
        found.problems.iter().map(|problem| (problem.what, problem.message.as_str())).collect();
    assert_eq!(
        problems,
        [
            ("nodes", "the cluster answered 403: nodes is forbidden"),
            ("storageClasses", "the answer is no list of Kubernetes")
        ]
    );
    assert!(serde_json::to_value(ResourceInfo::from(&found)).unwrap().get("storageClassList").is_none());
}

#[tokio::test]
async fn a_cluster_that_does_not_answer_is_a_failure_in_time() {
    let (found, _) = ask(|_| status(502, "dial tcp 10.0.0.1:6443: i/o timeout")).await;
    assert!(matches!(found, Err(CapacityError::Unreachable(why)) if why.contains("dial tcp")));
    let limit = Duration::from_millis(50);
    let (found, _) = ask_for(limit, |_| None).await;
    assert_eq!(found, Err(CapacityError::Timeout(limit)));
    // A member that fails half-way is not one that has no storage.
    let (found, _) = ask(|path| if path.contains("nodes") { list(&[]) } else { status(503, "busy") }).await;
    assert_eq!(found.unwrap().problems[0].what, "storageClasses");
}

#[tokio::test]
async fn many_nodes_are_asked_for_in_pages_and_only_the_first_are_listed() {
    let (found, asked) = ask(|path| {
        let page = |number: usize| {
            let well = json!({"type": "Ready", "status": "True"});
            (0..3000)
                .map(|i| node(&format!("n{number}{i:04}"), "x", ["1", "1"], ["1", "1"], &well))
                .collect::<Vec<_>>()
        };
        match path {
            path if path.contains("storage") => list(&[]),
            path if path.ends_with("continue=a%2Fb") => list(&page(1)),
            _ => Some((200, json!({"metadata": {"continue": "a/b"}, "items": page(0)}))),
        }
    })
    .await;
    let found = found.unwrap();
    assert_eq!(asked[1], "/prefix/api/v1/nodes?limit=250&continue=a%2Fb");
    assert_eq!((found.nodes.len(), found.capacity.pods), (5000, 660_000));
    // A member that never comes to an end is left.
    let (found, asked) = ask(|path| match path.contains("nodes") {
        true => Some((200, json!({"metadata": {"continue": "x"}, "items": vec![json!({}); 20_000]}))),
        false => list(&[]),
    })
    .await;
    assert!(found.unwrap().problems[0].message.contains("only 100000"));
    assert_eq!(asked.len(), 6);
}

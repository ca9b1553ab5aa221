//! Pods: scheduled to the one node and running at once.

use serde_json::{Value, json};

use super::tell;
use crate::clock::rfc3339;
use crate::object::{self, default};
use crate::resources::named;
use crate::status::Result;
use crate::write::Writer;

/// What is true of a pod that runs.
const CONDITIONS: [&str; 5] =
    ["PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled"];

/// Puts a pod on the node and lets its containers run, if nobody has said otherwise.
pub(super) fn admit(writer: &Writer<'_>, pod: &mut Value) {
    let node = writer.state.list(named("nodes"), None).first().map(|node| object::name(node).to_owned());
    default(&mut pod["spec"], "nodeName", node);
    default(&mut pod["spec"], "serviceAccountName", "default");
    let account = pod["spec"]["serviceAccountName"].clone();
    default(&mut pod["spec"], "serviceAccount", account);
    default(&mut pod["spec"], "enableServiceLinks", true);
    pod["status"] = running(writer, pod);
}

fn running(writer: &Writer<'_>, pod: &Value) -> Value {
    let now = rfc3339(writer.now);
    let containers: Vec<Value> =
        object::items(&pod["spec"]["containers"]).iter().map(|container| started(container, &now)).collect();
    let condition = |kind: &str| json!({"type": kind, "status": "True", "lastTransitionTime": now});
    let address = address(writer);
    json!({
        "phase": "Running",
        "conditions": CONDITIONS.map(condition),
        "hostIP": "127.0.0.1", "hostIPs": [{"ip": "127.0.0.1"}],
        "podIP": address, "podIPs": [{"ip": address}],
        "startTime": now, "containerStatuses": containers, "qosClass": "BestEffort",
    })
}

fn started(container: &Value, now: &str) -> Value {
    let image = container["image"].as_str().unwrap_or_default();
    json!({
        "name": container["name"], "image": image, "imageID": format!("simulated://{image}"),
        "containerID": format!("simulated://{}", uuid::Uuid::new_v4().simple()),
        "ready": true, "started": true, "restartCount": 0, "lastState": {}, "state": {"running": {"startedAt": now}},
    })
}

/// Some address of the pod network; it differs from pod to pod because versions do.
fn address(writer: &Writer<'_>) -> String {
    let number = writer.state.version;
    format!("10.244.{}.{}", number / 254 % 254, number % 254 + 1)
}

/// Tells of a pod that has just been made.
pub(super) fn announce(writer: &mut Writer<'_>, pod: &Value) -> Result<()> {
    let (namespace, name) = (object::namespace(pod), object::name(pod));
    let node = object::field(pod, "spec.nodeName");
    let scheduled = format!("Successfully assigned {namespace}/{name} to {node}");
    tell(writer, named("pods"), pod, "default-scheduler", "Scheduled", &scheduled)?;
    for container in object::items(&pod["spec"]["containers"]) {
        let message = format!("Started container {}", object::field(container, "name"));
        tell(writer, named("pods"), pod, "kubelet", "Started", &message)?;
    }
    Ok(())
}

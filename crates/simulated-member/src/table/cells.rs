//! The cells of a row.

use serde_json::{Value, json};
use time::OffsetDateTime;

use crate::clock;
use crate::object::{self, field, items};
use crate::resources::Resource;

/// One cell for each column of the resource.
pub(super) fn cells(resource: &Resource, object: &Value, now: OffsetDateTime) -> Vec<Value> {
    let name = json!(object::name(object));
    let age = json!(age(object, now));
    match resource.kind {
        "Pod" => pod(object, name, age),
        "Deployment" => deployment(object, name, age),
        "ReplicaSet" => replica_set(object, name, age),
        "Service" => service(object, name, age),
        "Node" => node(object, name, age),
        "Event" => event(object, name, now),
        "Namespace" => vec![name, field(object, "status.phase").into(), age],
        "ConfigMap" => vec![name, (entries(&object["data"]) + entries(&object["binaryData"])).into(), age],
        "Secret" => vec![name, field(object, "type").into(), entries(&object["data"]).into(), age],
        "ServiceAccount" => vec![name, items(&object["secrets"]).len().into(), age],
        _ => vec![name, age],
    }
}

fn pod(pod: &Value, name: Value, age: Value) -> Vec<Value> {
    let statuses = items(&pod["status"]["containerStatuses"]);
    let ready = statuses.iter().filter(|status| status["ready"] == true).count();
    let restarts: u64 = statuses.iter().filter_map(|status| status["restartCount"].as_u64()).sum();
    let status = match object::meta(pod, "deletionTimestamp") {
        "" => field(pod, "status.phase"),
        _ => "Terminating".to_owned(),
    };
    vec![
        name,
        format!("{ready}/{}", items(&pod["spec"]["containers"]).len()).into(),
        status.into(),
        restarts.to_string().into(),
        age,
        some(field(pod, "status.podIP")),
        some(field(pod, "spec.nodeName")),
        none(),
        none(),
    ]
}

fn deployment(deployment: &Value, name: Value, age: Value) -> Vec<Value> {
    let status = |field: &str| deployment["status"][field].as_u64().unwrap_or_default();
    let mut cells = vec![
        name,
        format!(
            "{}/{}",
            status("readyReplicas"),
            deployment["spec"]["replicas"].as_u64().unwrap_or_default()
        )
        .into(),
        status("updatedReplicas").into(),
        status("availableReplicas").into(),
        age,
    ];
    cells.extend(template(deployment));
    cells
}

fn replica_set(set: &Value, name: Value, age: Value) -> Vec<Value> {
    let number = |value: &Value| Value::from(value.as_u64().unwrap_or_default());
    let status = &set["status"];
    let mut cells = vec![
        name,
        number(&set["spec"]["replicas"]),
        number(&status["replicas"]),
        number(&status["readyReplicas"]),
        age,
    ];
    cells.extend(template(set));
    cells
}

/// Containers, images and selector.
fn template(workload: &Value) -> [Value; 3] {
    let containers = items(&workload["spec"]["template"]["spec"]["containers"]);
    let joined = |name: &str| containers.iter().map(|one| field(one, name)).collect::<Vec<_>>().join(",");
    [
        joined("name").into(),
        joined("image").into(),
        some(labels(&workload["spec"]["selector"]["matchLabels"])),
    ]
}

fn service(service: &Value, name: Value, age: Value) -> Vec<Value> {
    let ports = items(&service["spec"]["ports"]).iter().map(|port| {
        let node_port = port["nodePort"].as_u64().map(|port| format!(":{port}")).unwrap_or_default();
        format!("{}{node_port}/{}", port["port"], field(port, "protocol"))
    });
    vec![
        name,
        field(service, "spec.type").into(),
        some(field(service, "spec.clusterIP")),
        some(field(service, "spec.externalName")),
        some(ports.collect::<Vec<_>>().join(",")),
        age,
        some(labels(&service["spec"]["selector"])),
    ]
}

fn node(node: &Value, name: Value, age: Value) -> Vec<Value> {
    let ready = items(&node["status"]["conditions"])
        .iter()
        .any(|one| one["type"] == "Ready" && one["status"] == "True");
    let mut status = if ready { "Ready" } else { "NotReady" }.to_owned();
    if node["spec"]["unschedulable"] == true {
        status.push_str(",SchedulingDisabled");
    }
    let address = |kind: &str| {
        let found = items(&node["status"]["addresses"]).iter().find(|one| one["type"] == kind);
        some(found.map(|one| field(one, "address")).unwrap_or_default())
    };
    let info = |name: &str| field(&node["status"]["nodeInfo"], name);
    vec![
        name,
        status.into(),
        none(),
        age,
        info("kubeletVersion").into(),
        address("InternalIP"),
        address("ExternalIP"),
        some(info("osImage")),
        some(info("kernelVersion")),
        some(info("containerRuntimeVersion")),
    ]
}

fn event(event: &Value, name: Value, now: OffsetDateTime) -> Vec<Value> {
    let since = |time: &str| {
        clock::parse(&field(event, time)).map_or("<unknown>".to_owned(), |time| clock::age(time, now))
    };
    let about = &event["involvedObject"];
    let object = format!("{}/{}", field(about, "kind").to_lowercase(), field(about, "name"));
    vec![
        since("lastTimestamp").into(),
        field(event, "type").into(),
        field(event, "reason").into(),
        object.into(),
        field(about, "fieldPath").into(),
        field(event, "source.component").into(),
        field(event, "message").trim().into(),
        since("firstTimestamp").into(),
        field(event, "count").into(),
        name,
    ]
}

fn age(object: &Value, now: OffsetDateTime) -> String {
    object::created(object).map_or("<unknown>".to_owned(), |since| clock::age(since, now))
}

fn entries(map: &Value) -> usize {
    map.as_object().map_or(0, serde_json::Map::len)
}

fn labels(map: &Value) -> String {
    object::strings(map).iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(",")
}

fn some(text: String) -> Value {
    if text.is_empty() { none() } else { text.into() }
}

fn none() -> Value {
    "<none>".into()
}

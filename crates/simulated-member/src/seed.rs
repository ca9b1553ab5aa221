//! What a new cluster has.

use serde_json::{Value, json};

use crate::clock::rfc3339;
use crate::object;
use crate::resources::{self, Resource, named};
use crate::status::{Result, Status};
use crate::store::Store;
use crate::write::Writer;

/// Fills a store with what every cluster has and then with `objects`.
pub(crate) fn fill(store: &Store, cluster: &str, objects: Vec<Value>) -> Result<()> {
    let now = store.clock.now();
    store.transact(|state| {
        let mut writer = Writer { state, now, rehearsal: false };
        writer.create(named("nodes"), "", node(cluster, &rfc3339(now)))?;
        for namespace in ["default", "kube-node-lease", "kube-public", "kube-system"] {
            make_namespace(&mut writer, namespace)?;
        }
        writer.create(named("services"), "default", kubernetes())?;
        objects.into_iter().try_for_each(|object| plant(&mut writer, object))
    })
}

fn plant(writer: &mut Writer<'_>, object: Value) -> Result<()> {
    let resource = resource_of(&object)?;
    let mut namespace = object::namespace(&object).to_owned();
    if resource.namespaced {
        if namespace.is_empty() {
            "default".clone_into(&mut namespace);
        }
        make_namespace(writer, &namespace)?;
    }
    writer.create(resource, &namespace, object).map(drop)
}

fn resource_of(object: &Value) -> Result<&'static Resource> {
    let (version, kind) = (object::field(object, "apiVersion"), object::field(object, "kind"));
    let unknown =
        || Status::bad_request(format!("a simulated member has no kind {kind:?} in version {version:?}"));
    resources::of_kind(&version, &kind).ok_or_else(unknown)
}

fn make_namespace(writer: &mut Writer<'_>, name: &str) -> Result<()> {
    let namespaces = named("namespaces");
    if writer.state.get(namespaces, "", name).is_some() {
        return Ok(());
    }
    writer.create(namespaces, "", json!({"metadata": {"name": name}})).map(drop)
}

fn node(cluster: &str, now: &str) -> Value {
    let name = format!("{cluster}-node");
    let condition = |kind: &str, status: &str, reason: &str| json!({"type": kind, "status": status, "reason": reason, "lastHeartbeatTime": now, "lastTransitionTime": now});
    let room = json!({"cpu": "4", "memory": "8Gi", "pods": "1000"});
    json!({
        "metadata": {"name": name, "labels": {"kubernetes.io/hostname": name, "kubernetes.io/os": "linux"}},
        "spec": {},
        "status": {
            "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}, {"type": "Hostname", "address": name}],
            "capacity": room, "allocatable": room,
            "conditions": [
                condition("MemoryPressure", "False", "KubeletHasSufficientMemory"),
                condition("Ready", "True", "KubeletReady"),
            ],
            "nodeInfo": {
                "architecture": "amd64", "operatingSystem": "linux", "kubeletVersion": crate::cluster::VERSION,
                "osImage": "none (simulated)", "kernelVersion": "none", "containerRuntimeVersion": "simulated://1",
                "kubeProxyVersion": "", "machineID": "", "systemUUID": "", "bootID": "",
            },
        },
    })
}

fn kubernetes() -> Value {
    json!({
        "metadata": {"name": "kubernetes", "labels": {"component": "apiserver"}},
        "spec": {"clusterIP": "10.96.0.1", "clusterIPs": ["10.96.0.1"], "ports": [{"name": "https", "port": 443, "targetPort": 6443}]},
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;
    use crate::store::HISTORY;

    #[test]
    fn objects_bring_their_namespaces() {
        let store = Store::new(Clock::start(), HISTORY);
        let object =
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x", "namespace": "shop"}});
        fill(&store, "m", vec![object]).unwrap();
        assert!(store.transact(|state| state.get(named("configmaps"), "shop", "x")).is_some());
        assert!(store.transact(|state| state.get(named("nodes"), "", "m-node")).is_some());
        let unknown = json!({"apiVersion": "v1", "kind": "Widget", "metadata": {"name": "x"}});
        let status = fill(&Store::new(Clock::start(), HISTORY), "m", vec![unknown]).unwrap_err();
        assert!(status.message.contains("Widget"), "{}", status.message);
    }
}

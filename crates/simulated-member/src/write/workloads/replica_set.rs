//! Replica sets: as many pods as asked for.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{owner_reference, pod, set_status};
use crate::object::{self, set_meta};
use crate::resources::named;
use crate::status::Result;
use crate::store::Key;
use crate::write::{Writer, suffix};

/// Makes the pods that are missing, removes those that are too many, and counts.
pub(super) fn settle(writer: &mut Writer<'_>, set: &Arc<Value>) -> Result<()> {
    let wanted = count(&set["spec"]["replicas"]);
    let pods = pods_of(writer, set);
    for _ in pods.len()..wanted {
        make_pod(writer, set)?;
    }
    for pod in pods.iter().skip(wanted) {
        writer.state.remove(&Key::new(named("pods"), object::namespace(pod), object::name(pod)));
    }
    let mut status = json!({"replicas": wanted, "observedGeneration": set["metadata"]["generation"]});
    if wanted > 0 {
        for field in ["fullyLabeledReplicas", "readyReplicas", "availableReplicas"] {
            status[field] = wanted.into();
        }
    }
    set_status(writer, named("replicasets"), set, status)
}

/// The pods of a set, the oldest first.
fn pods_of(writer: &Writer<'_>, set: &Value) -> Vec<Arc<Value>> {
    let uid = object::meta(set, "uid");
    let mut pods = writer.state.list(named("pods"), Some(object::namespace(set)));
    pods.retain(|pod| object::controller_uid(pod) == Some(uid));
    pods.sort_by(|one, other| {
        object::meta(one, "creationTimestamp").cmp(object::meta(other, "creationTimestamp"))
    });
    pods
}

fn make_pod(writer: &mut Writer<'_>, set: &Value) -> Result<()> {
    let pods = named("pods");
    let template = &set["spec"]["template"];
    let mut pod = json!({"metadata": template["metadata"], "spec": template["spec"]});
    let prefix = format!("{}-", object::name(set));
    set_meta(&mut pod, "name", format!("{prefix}{}", suffix()));
    set_meta(&mut pod, "generateName", prefix);
    set_meta(&mut pod, "ownerReferences", owner_reference(named("replicasets"), set));
    let pod = writer.complete(pods, object::namespace(set), pod)?;
    let pod = writer.state.put(pods, pod)?;
    pod::announce(writer, &pod)
}

/// How many are asked for. The number has been validated.
pub(super) fn count(value: &Value) -> usize {
    value.as_u64().and_then(|count| usize::try_from(count).ok()).unwrap_or_default()
}

//! Deployments: a replica set per template, the latest one with all the pods.

use std::sync::Arc;

use aws_lc_rs::digest;
use serde_json::{Value, json};

use super::replica_set::{self, count};
use super::{owner_reference, set_status, tell};
use crate::clock::rfc3339;
use crate::object::{self, items, set_meta};
use crate::resources::named;
use crate::status::Result;
use crate::store::Key;
use crate::write::Writer;

const REVISION: &str = "deployment.kubernetes.io/revision";
const HASH: &str = "pod-template-hash";

/// Moves all pods to the replica set of the present template.
pub(super) fn settle(writer: &mut Writer<'_>, deployment: &Arc<Value>) -> Result<()> {
    let wanted = deployment["spec"]["replicas"].clone();
    let sets = sets_of(writer, deployment);
    let hash = hash(&deployment["spec"]["template"]);
    let current = sets.iter().find(|set| set["metadata"]["labels"][HASH] == hash.as_str());
    let latest = sets.iter().max_by_key(|set| revision(set));
    if deployment["spec"]["paused"] == true
        && let Some(latest) = latest
    {
        scale(writer, deployment, latest, &wanted)?;
        return report(writer, deployment);
    }
    match current {
        Some(set) => revive(writer, deployment, set, latest.map_or(0, |set| revision(set)), &wanted)?,
        None => make_set(writer, deployment, &hash, latest.map_or(0, |set| revision(set)) + 1)?,
    }
    for old in sets.iter().filter(|set| set["metadata"]["labels"][HASH] != hash.as_str()) {
        scale(writer, deployment, old, &json!(0))?;
    }
    forget_old(writer, deployment, &sets, &hash);
    report(writer, deployment)
}

fn sets_of(writer: &Writer<'_>, deployment: &Value) -> Vec<Arc<Value>> {
    let uid = object::meta(deployment, "uid");
    let mut sets = writer.state.list(named("replicasets"), Some(object::namespace(deployment)));
    sets.retain(|set| object::controller_uid(set) == Some(uid));
    sets
}

fn revision(set: &Value) -> u64 {
    set["metadata"]["annotations"][REVISION].as_str().and_then(|text| text.parse().ok()).unwrap_or_default()
}

/// The name of a template's replica set ends in this.
fn hash(template: &Value) -> String {
    let digest = digest::digest(&digest::SHA256, template.to_string().as_bytes());
    digest.as_ref().iter().take(5).map(|byte| format!("{byte:02x}")).collect()
}

fn make_set(writer: &mut Writer<'_>, deployment: &Value, hash: &str, revision: u64) -> Result<()> {
    let sets = named("replicasets");
    let spec = &deployment["spec"];
    let mut set = json!({
        "metadata": {
            "name": format!("{}-{hash}", object::name(deployment)),
            "labels": spec["template"]["metadata"]["labels"],
            "annotations": {REVISION: revision.to_string()},
            "ownerReferences": owner_reference(named("deployments"), deployment),
        },
        "spec": {"replicas": spec["replicas"], "selector": spec["selector"], "template": spec["template"]},
    });
    set["metadata"]["labels"][HASH] = hash.into();
    set["spec"]["selector"]["matchLabels"][HASH] = hash.into();
    set["spec"]["template"]["metadata"]["labels"][HASH] = hash.into();
    let set = writer.complete(sets, object::namespace(deployment), set)?;
    let set = writer.state.put(sets, set)?;
    let message = format!("Scaled up replica set {} to {}", object::name(&set), spec["replicas"]);
    tell(writer, named("deployments"), deployment, "deployment-controller", "ScalingReplicaSet", &message)?;
    replica_set::settle(writer, &set)
}

/// Makes the set of the present template the latest, whichever it was before.
fn revive(
    writer: &mut Writer<'_>,
    deployment: &Value,
    set: &Arc<Value>,
    latest: u64,
    wanted: &Value,
) -> Result<()> {
    if revision(set) == latest {
        return scale(writer, deployment, set, wanted);
    }
    let mut newest = (**set).clone();
    newest["metadata"]["annotations"][REVISION] = (latest + 1).to_string().into();
    let newest = writer.state.put(named("replicasets"), newest)?;
    scale(writer, deployment, &newest, wanted)
}

fn scale(writer: &mut Writer<'_>, deployment: &Value, set: &Arc<Value>, wanted: &Value) -> Result<()> {
    if set["spec"]["replicas"] == *wanted {
        return replica_set::settle(writer, set);
    }
    let mut scaled = (**set).clone();
    let generation = scaled["metadata"]["generation"].as_u64().unwrap_or_default() + 1;
    set_meta(&mut scaled, "generation", generation);
    scaled["spec"]["replicas"] = wanted.clone();
    let scaled = writer.state.put(named("replicasets"), scaled)?;
    let direction = if count(wanted) < count(&set["spec"]["replicas"]) { "down" } else { "up" };
    let message = format!("Scaled {direction} replica set {} to {wanted}", object::name(set));
    tell(writer, named("deployments"), deployment, "deployment-controller", "ScalingReplicaSet", &message)?;
    replica_set::settle(writer, &scaled)
}

/// Removes the oldest of the empty sets that are beyond the limit of the history.
fn forget_old(writer: &mut Writer<'_>, deployment: &Value, sets: &[Arc<Value>], hash: &str) {
    let mut old: Vec<_> = sets.iter().filter(|set| set["metadata"]["labels"][HASH] != hash).collect();
    old.sort_by_key(|set| revision(set));
    let kept = count(&deployment["spec"]["revisionHistoryLimit"]);
    for set in old.iter().take(old.len().saturating_sub(kept)) {
        writer.state.remove(&Key::new(named("replicasets"), object::namespace(set), object::name(set)));
    }
}

fn report(writer: &mut Writer<'_>, deployment: &Arc<Value>) -> Result<()> {
    let deployments = named("deployments");
    let sets = sets_of(writer, deployment);
    let latest = sets.iter().map(|set| revision(set)).max().unwrap_or_default().to_string();
    let mut revised = (**deployment).clone();
    if revised["metadata"]["annotations"][REVISION] != latest.as_str() {
        object::default(&mut revised["metadata"], "annotations", json!({}));
        revised["metadata"]["annotations"][REVISION] = latest.into();
    }
    if revised != **deployment {
        revised = (*writer.state.put(deployments, revised)?).clone();
    }
    let status = status(writer, &revised);
    set_status(writer, deployments, &revised, status)
}

fn status(writer: &Writer<'_>, deployment: &Value) -> Value {
    let replicas = &deployment["spec"]["replicas"];
    let mut status = json!({"observedGeneration": deployment["metadata"]["generation"]});
    if count(replicas) > 0 {
        for field in ["replicas", "updatedReplicas", "readyReplicas", "availableReplicas"] {
            status[field] = replicas.clone();
        }
    }
    let known = items(&deployment["status"]["conditions"]);
    let condition = |kind: &str, reason: &str, message: &str| {
        let now = rfc3339(writer.now);
        known.iter().find(|one| one["type"] == kind).cloned().unwrap_or_else(|| {
            json!({
                "type": kind, "status": "True", "reason": reason, "message": message,
                "lastUpdateTime": now, "lastTransitionTime": now,
            })
        })
    };
    status["conditions"] = json!([
        condition("Available", "MinimumReplicasAvailable", "Deployment has minimum availability."),
        condition("Progressing", "NewReplicaSetAvailable", "The latest replica set has progressed."),
    ]);
    status
}

//! What a cluster's controllers, scheduler and kubelet would do, done at once and within the transaction that caused it.

mod deployment;
mod pod;
mod replica_set;

use std::sync::Arc;

use serde_json::{Value, json};

use crate::clock::rfc3339;
use crate::object::{self, set_meta};
use crate::resources::{RESOURCES, Resource, named};
use crate::status::Result;
use crate::store::Key;
use crate::write::{Writer, suffix};

/// Events that are kept when there have been a tenth more.
const MAX_EVENTS: usize = 1_000;

/// Completes a new object before it is kept.
pub(crate) fn admit(writer: &Writer<'_>, resource: &Resource, object: &mut Value) {
    match resource.kind {
        "Pod" => pod::admit(writer, object),
        "Service" => give_address(writer, object),
        _ => {}
    }
}

/// Does what follows once from an object that has just been made.
pub(crate) fn announce(writer: &mut Writer<'_>, resource: &Resource, object: &Value) -> Result<()> {
    match resource.kind {
        "Pod" => pod::announce(writer, object),
        "Namespace" => furnish(writer, object::name(object)),
        _ => Ok(()),
    }
}

/// Does what follows from an object as it is now.
pub(crate) fn settle(writer: &mut Writer<'_>, resource: &Resource, object: &Arc<Value>) -> Result<()> {
    match resource.kind {
        "Deployment" => deployment::settle(writer, object),
        "ReplicaSet" => {
            replica_set::settle(writer, object)?;
            settle_owner(writer, object)
        }
        "Pod" => settle_owner(writer, object),
        _ => Ok(()),
    }
}

/// Does what follows from an object that is gone: what it owned and what was in it go too, what owned it makes another.
pub(crate) fn clean_up(writer: &mut Writer<'_>, resource: &Resource, gone: &Value) -> Result<()> {
    if resource.kind == "Namespace" {
        for inner in RESOURCES.iter().filter(|inner| inner.namespaced) {
            for object in writer.state.list(inner, Some(object::name(gone))) {
                writer.state.remove(&Key::new(inner, object::namespace(&object), object::name(&object)));
            }
        }
        return Ok(());
    }
    let uid = object::meta(gone, "uid");
    for plural in ["replicasets", "pods"] {
        let owned = writer.state.list(named(plural), Some(object::namespace(gone)));
        for object in owned.iter().filter(|object| object::is_owned_by(object, uid)) {
            writer.finish_deletion(named(plural), object)?;
        }
    }
    settle_owner(writer, gone)
}

/// Lets the controller of an object look at what it owns.
fn settle_owner(writer: &mut Writer<'_>, object: &Value) -> Result<()> {
    let Some(uid) = object::controller_uid(object) else { return Ok(()) };
    for plural in ["replicasets", "deployments"] {
        let candidates = writer.state.list(named(plural), Some(object::namespace(object)));
        if let Some(owner) = candidates.iter().find(|owner| object::meta(owner, "uid") == uid) {
            return settle(writer, named(plural), owner);
        }
    }
    Ok(())
}

/// What every namespace has.
fn furnish(writer: &mut Writer<'_>, namespace: &str) -> Result<()> {
    let account = named("serviceaccounts");
    if writer.state.get(account, namespace, "default").is_none() {
        writer.create(account, namespace, json!({"metadata": {"name": "default"}}))?;
    }
    Ok(())
}

/// The next address of the service network that no service has.
fn give_address(writer: &Writer<'_>, service: &mut Value) {
    let spec = &mut service["spec"];
    if !spec["clusterIP"].is_null() || spec["type"] == "ExternalName" {
        return;
    }
    let taken = writer.state.list(named("services"), None);
    let free = (1..=254_u32 * 254).map(|index| format!("10.96.{}.{}", index / 254, index % 254 + 1));
    let mut free = free.filter(|address| taken.iter().all(|other| other["spec"]["clusterIP"] != **address));
    if let Some(address) = free.next() {
        spec["clusterIPs"] = json!([address]);
        spec["clusterIP"] = address.into();
    }
}

/// The reference by which `owner` answers for what it makes.
fn owner_reference(resource: &Resource, owner: &Value) -> Value {
    json!([{
        "apiVersion": resource.api_version(), "kind": resource.kind, "name": object::name(owner),
        "uid": object::meta(owner, "uid"), "controller": true, "blockOwnerDeletion": true,
    }])
}

/// Replaces the status if it is another one.
fn set_status(writer: &mut Writer<'_>, resource: &Resource, object: &Value, status: Value) -> Result<()> {
    if object["status"] == status {
        return Ok(());
    }
    let mut changed = object.clone();
    changed["status"] = status;
    writer.state.put(resource, changed).map(drop)
}

/// Notes what happened to an object, for `kubectl describe`.
fn tell(
    writer: &mut Writer<'_>,
    resource: &Resource,
    about: &Value,
    source: &str,
    reason: &str,
    message: &str,
) -> Result<()> {
    let events = named("events");
    let (now, namespace) = (rfc3339(writer.now), object::namespace(about));
    let mut event = json!({
        "apiVersion": "v1", "kind": "Event",
        "metadata": {"namespace": namespace, "uid": uuid::Uuid::new_v4().to_string(), "creationTimestamp": now},
        "involvedObject": {
            "kind": resource.kind, "apiVersion": resource.api_version(), "namespace": namespace,
            "name": object::name(about), "uid": object::meta(about, "uid"),
        },
        "type": "Normal", "reason": reason, "message": message, "count": 1,
        "firstTimestamp": now, "lastTimestamp": now, "source": {"component": source},
        "reportingComponent": source, "reportingInstance": "",
    });
    set_meta(&mut event, "name", format!("{}.{}{}", object::name(about), suffix(), suffix()));
    writer.state.put(events, event)?;
    forget_events(writer);
    Ok(())
}

fn forget_events(writer: &mut Writer<'_>) {
    let events = named("events");
    let mut all = writer.state.list(events, None);
    if all.len() <= MAX_EVENTS + MAX_EVENTS / 10 {
        return;
    }
    let version =
        |event: &Arc<Value>| object::meta(event, "resourceVersion").parse::<u64>().unwrap_or_default();
    all.sort_by_key(version);
    let surplus = all.len() - MAX_EVENTS;
    for event in &all[..surplus] {
        writer.state.remove(&Key::new(events, object::namespace(event), object::name(event)));
    }
}

#[cfg(test)]
mod tests;

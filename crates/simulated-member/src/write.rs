//! Create, update and delete: what one request does to the objects, and what follows from it.

mod workloads;

use std::sync::Arc;

use serde_json::{Value, json};
use time::OffsetDateTime;

use crate::clock::rfc3339;
use crate::object::{self, set_meta, unset};
use crate::resources::{Resource, named};
use crate::status::{Result, Status};
use crate::store::{Key, State};
use crate::{defaults, validate};

/// A transaction that writes at one moment.
#[derive(Debug)]
pub(crate) struct Writer<'s> {
    pub(crate) state: &'s mut State,
    pub(crate) now: OffsetDateTime,
    /// Whether nothing of it will stay. Then nothing follows from a write, either: controllers see only what is kept.
    pub(crate) rehearsal: bool,
}

/// Which half of an object a write is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    Main,
    Status,
}

/// What must be so for a deletion to happen; empty: nothing.
#[derive(Debug, Clone, Default)]
pub(crate) struct Preconditions {
    pub(crate) uid: String,
    pub(crate) version: String,
}

impl Writer<'_> {
    /// Keeps a new object.
    pub(crate) fn create(
        &mut self,
        resource: &'static Resource,
        namespace: &str,
        object: Value,
    ) -> Result<Arc<Value>> {
        let object = self.complete(resource, namespace, object)?;
        let kept = self.state.put(resource, object)?;
        if !self.rehearsal {
            workloads::announce(self, resource, &kept)?;
            workloads::settle(self, resource, &kept)?;
        }
        Ok(self.latest(resource, &kept))
    }

    /// Checks a new object and fills in what the server decides; it is not kept yet.
    pub(crate) fn complete(
        &self,
        resource: &'static Resource,
        namespace: &str,
        mut object: Value,
    ) -> Result<Value> {
        validate::identity(resource, namespace, &object)?;
        if resource.namespaced {
            self.namespace_exists(namespace)?;
            set_meta(&mut object, "namespace", namespace);
        }
        if !object::meta(&object, "resourceVersion").is_empty() {
            return Err(Status::bad_request("resourceVersion should not be set on objects to be created"));
        }
        generate_name(&mut object);
        if self.state.get(resource, namespace, object::name(&object)).is_some() {
            return Err(Status::already_exists(resource, object::name(&object)));
        }
        defaults::fill(resource, &mut object);
        validate::content(resource, &object)?;
        set_meta(&mut object, "uid", uuid::Uuid::new_v4().to_string());
        set_meta(&mut object, "creationTimestamp", rfc3339(self.now));
        if resource.has_status && object["spec"].is_object() {
            set_meta(&mut object, "generation", 1);
        }
        workloads::admit(self, resource, &mut object);
        Ok(object)
    }

    /// Replaces an object, or only its status, or everything but its status.
    pub(crate) fn update(
        &mut self,
        resource: &'static Resource,
        namespace: &str,
        name: &str,
        mut object: Value,
        part: Part,
    ) -> Result<Arc<Value>> {
        let old =
            self.state.get(resource, namespace, name).ok_or_else(|| Status::not_found(resource, name))?;
        validate::identity(resource, namespace, &object)?;
        if object::name(&object) != name {
            let message = format!(
                "the name of the object ({}) does not match the name on the URL ({name})",
                object::name(&object)
            );
            return Err(Status::bad_request(message));
        }
        check_unchanged(
            resource,
            &old,
            object::meta(&object, "uid"),
            object::meta(&object, "resourceVersion"),
        )?;
        if part == Part::Status {
            let status = std::mem::take(&mut object["status"]);
            object = (*old).clone();
            object["status"] = status;
        } else {
            keep_what_is_the_servers(resource, &old, &mut object);
            defaults::fill(resource, &mut object);
            immutable(resource, &old, &object)?;
        }
        validate::content(resource, &object)?;
        self.replace(resource, &old, object)
    }

    fn replace(
        &mut self,
        resource: &'static Resource,
        old: &Arc<Value>,
        mut object: Value,
    ) -> Result<Arc<Value>> {
        if object["spec"] != old["spec"] && !object["metadata"]["generation"].is_null() {
            let generation = old["metadata"]["generation"].as_u64().unwrap_or_default();
            set_meta(&mut object, "generation", generation + 1);
        }
        if object == **old {
            return Ok(Arc::clone(old));
        }
        let kept = self.state.put(resource, object)?;
        if !kept["metadata"]["deletionTimestamp"].is_null() && !has_finalizers(&kept) {
            return Ok(self.finish_deletion(resource, &kept)?.unwrap_or(kept));
        }
        if !self.rehearsal {
            workloads::settle(self, resource, &kept)?;
        }
        Ok(self.latest(resource, &kept))
    }

    /// Deletes an object, or marks it when something else has to finish first. The answer is its last state.
    pub(crate) fn delete(
        &mut self,
        resource: &'static Resource,
        namespace: &str,
        name: &str,
        wanted: &Preconditions,
    ) -> Result<Arc<Value>> {
        let old =
            self.state.get(resource, namespace, name).ok_or_else(|| Status::not_found(resource, name))?;
        check_unchanged(resource, &old, &wanted.uid, &wanted.version)?;
        if resource.kind == "Namespace" && matches!(name, "default" | "kube-system" | "kube-public") {
            return Err(Status::forbidden(format!(
                "namespaces \"{name}\" is forbidden: this namespace may not be deleted"
            )));
        }
        if !has_finalizers(&old) {
            return Ok(self.finish_deletion(resource, &old)?.unwrap_or(old));
        }
        if !old["metadata"]["deletionTimestamp"].is_null() {
            return Ok(old);
        }
        let mut marked = (*old).clone();
        set_meta(&mut marked, "deletionTimestamp", rfc3339(self.now));
        set_meta(&mut marked, "deletionGracePeriodSeconds", 0);
        self.state.put(resource, marked)
    }

    /// Takes an object away, with what it owns and, for a namespace, with what is in it.
    pub(crate) fn finish_deletion(
        &mut self,
        resource: &'static Resource,
        object: &Value,
    ) -> Result<Option<Arc<Value>>> {
        let (namespace, name) = (object::namespace(object), object::name(object));
        let Some(gone) = self.state.remove(&Key::new(resource, namespace, name)) else { return Ok(None) };
        workloads::clean_up(self, resource, &gone)?;
        Ok(Some(gone))
    }

    fn namespace_exists(&self, namespace: &str) -> Result<()> {
        let namespaces = named("namespaces");
        let found = self.state.get(namespaces, "", namespace);
        found.map(drop).ok_or_else(|| Status::not_found(namespaces, namespace))
    }

    /// The object as it stands after what followed from writing it.
    fn latest(&self, resource: &Resource, kept: &Arc<Value>) -> Arc<Value> {
        let now = self.state.get(resource, object::namespace(kept), object::name(kept));
        now.unwrap_or_else(|| Arc::clone(kept))
    }
}

fn has_finalizers(object: &Value) -> bool {
    !object::items(&object["metadata"]["finalizers"]).is_empty()
}

fn generate_name(object: &mut Value) {
    let prefix = object::meta(object, "generateName");
    if object::name(object).is_empty() && !prefix.is_empty() {
        let name = format!("{prefix}{}", suffix());
        set_meta(object, "name", name);
    }
}

/// Five random characters, as generated names end.
pub(crate) fn suffix() -> String {
    const LETTERS: &[u8; 27] = b"bcdfghjklmnpqrstvwxz2456789";
    let random = uuid::Uuid::new_v4().into_bytes();
    random[..5].iter().map(|byte| char::from(LETTERS[usize::from(*byte) % LETTERS.len()])).collect()
}

fn check_unchanged(resource: &Resource, old: &Value, uid: &str, version: &str) -> Result<()> {
    let name = object::name(old);
    if !uid.is_empty() && uid != object::meta(old, "uid") {
        let why = format!(
            "Precondition failed: UID in precondition: {uid}, UID in object meta: {}",
            object::meta(old, "uid")
        );
        return Err(Status::conflict(resource, name, &why));
    }
    if !version.is_empty() && version != object::meta(old, "resourceVersion") {
        let why =
            "the object has been modified; please apply your changes to the latest version and try again";
        return Err(Status::conflict(resource, name, why));
    }
    Ok(())
}

/// Puts back what a client cannot set.
fn keep_what_is_the_servers(resource: &Resource, old: &Value, object: &mut Value) {
    for field in [
        "uid",
        "creationTimestamp",
        "generation",
        "resourceVersion",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
    ] {
        match &old["metadata"][field] {
            Value::Null => unset(&mut object["metadata"], field),
            value => set_meta(object, field, value.clone()),
        }
    }
    if resource.namespaced {
        set_meta(object, "namespace", object::namespace(old));
    }
    if resource.has_status {
        match &old["status"] {
            Value::Null => unset(object, "status"),
            status => object["status"] = status.clone(),
        }
    }
    if resource.kind == "Service" && object["spec"]["clusterIP"].is_null() {
        object["spec"]["clusterIP"] = old["spec"]["clusterIP"].clone();
        object["spec"]["clusterIPs"] = old["spec"]["clusterIPs"].clone();
    }
    if resource.kind == "Pod" && object["spec"]["nodeName"].is_null() {
        object["spec"]["nodeName"] = old["spec"]["nodeName"].clone();
    }
}

fn immutable(resource: &Resource, old: &Value, object: &Value) -> Result<()> {
    let name = object::name(old);
    let invalid =
        |field: &str| Err(Status::invalid(resource, name, field, "Invalid value: field is immutable"));
    match resource.kind {
        "Deployment" | "ReplicaSet" if old["spec"]["selector"] != object["spec"]["selector"] => {
            invalid("spec.selector")
        }
        "Secret" if old["type"] != object["type"] => invalid("type"),
        "Pod" if old["spec"]["nodeName"] != object["spec"]["nodeName"] => invalid("spec.nodeName"),
        "ConfigMap" | "Secret" if old["immutable"] == true => {
            let changed =
                ["data", "binaryData", "immutable"].iter().any(|field| old[*field] != object[*field]);
            if changed { invalid("data") } else { Ok(()) }
        }
        _ => Ok(()),
    }
}

/// The answer to a deletion that left nothing.
pub(crate) fn deleted(resource: &Resource, object: &Value) -> Value {
    let mut details =
        json!({"name": object::name(object), "kind": resource.plural, "uid": object::meta(object, "uid")});
    if !resource.group.is_empty() {
        details["group"] = resource.group.into();
    }
    json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details})
}

#[cfg(test)]
mod tests;

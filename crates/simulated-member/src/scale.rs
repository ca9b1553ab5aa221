//! The `scale` subresource.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::object;
use crate::route::Target;
use crate::status::{Result, Status};
use crate::write::{Part, Writer};

pub(crate) fn is_asked(target: &Target) -> bool {
    target.subresource.as_deref() == Some("scale")
}

/// The scale of a workload.
pub(crate) fn of(workload: &Value) -> Value {
    let mut metadata = json!({});
    for field in ["name", "namespace", "uid", "resourceVersion", "creationTimestamp"] {
        metadata[field] = workload["metadata"][field].clone();
    }
    let labels = object::strings(&workload["spec"]["selector"]["matchLabels"]);
    let selector: Vec<String> = labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
    json!({
        "kind": "Scale", "apiVersion": "autoscaling/v1", "metadata": metadata,
        "spec": {"replicas": workload["spec"]["replicas"]},
        "status": {"replicas": workload["status"]["replicas"].as_u64().unwrap_or_default(), "selector": selector.join(",")},
    })
}

/// Gives a workload the number of replicas that `scale` says.
pub(crate) fn apply(writer: &mut Writer<'_>, target: &Target, scale: &Value) -> Result<Arc<Value>> {
    let (resource, namespace, name) = (target.resource, target.namespace(), target.name());
    let old = writer.state.get(resource, namespace, name).ok_or_else(|| Status::not_found(resource, name))?;
    let replicas = &scale["spec"]["replicas"];
    let mut object = (*old).clone();
    object["spec"]["replicas"] = if replicas.is_null() { 0.into() } else { replicas.clone() };
    object["metadata"]["resourceVersion"] = scale["metadata"]["resourceVersion"].clone();
    writer.update(resource, namespace, name, object, Part::Main)
}

//! What an object must be before it is kept: the checks that people run into, not all that Kubernetes makes.

use serde_json::Value;

use crate::object;
use crate::resources::Resource;
use crate::selector::Selector;
use crate::status::{Result, Status};

/// Pods that one replica set or deployment may ask for: everything here is in memory.
const MAX_REPLICAS: i64 = 1_000;

/// Whether the object says that it is of this resource and, if it says so, of this namespace.
pub(crate) fn identity(resource: &Resource, namespace: &str, object: &Value) -> Result<()> {
    let (kind, version) = (&object["kind"], &object["apiVersion"]);
    let given = |value: &Value, expected: &str| value.is_null() || *value == expected;
    if !object.is_object() {
        return Err(Status::bad_request("the body must be an object"));
    }
    if !given(kind, resource.kind) || !given(version, &resource.api_version()) {
        let message = format!(
            "{} in version {:?} cannot be handled as a {}: the path is that of {}",
            kind.as_str().unwrap_or_default(),
            version.as_str().unwrap_or_default(),
            resource.kind,
            resource.qualified(),
        );
        return Err(Status::bad_request(message));
    }
    let own = object::namespace(object);
    if !own.is_empty() && own != namespace {
        return Err(Status::bad_request(
            "the namespace of the provided object does not match the namespace sent on the request",
        ));
    }
    Ok(())
}

/// Whether the content can be kept.
pub(crate) fn content(resource: &Resource, object: &Value) -> Result<()> {
    let name = object::name(object);
    let invalid = |field: &str, why: &str| Err(Status::invalid(resource, name, field, why));
    if name.is_empty() {
        return invalid("metadata.name", "Required value: name or generateName is required");
    }
    if !is_subdomain(name) || (resource.kind == "Namespace" && name.contains('.')) {
        let why = format!(
            "Invalid value: {name:?}: must consist of lower case letters, digits, '-' or '.', and begin and end with a letter or digit"
        );
        return invalid("metadata.name", &why);
    }
    for map in ["labels", "annotations"] {
        let value = &object["metadata"][map];
        let strings = value.as_object().is_some_and(|map| map.values().all(Value::is_string));
        if !value.is_null() && !strings {
            return Err(Status::bad_request(format!("metadata.{map} must be a map of strings")));
        }
    }
    match resource.kind {
        "Pod" => containers(resource, name, "spec", &object["spec"]),
        "Deployment" | "ReplicaSet" => workload(resource, name, object),
        "ConfigMap" | "Secret" => data(resource, name, object),
        _ => Ok(()),
    }
}

fn containers(resource: &Resource, name: &str, path: &str, spec: &Value) -> Result<()> {
    let containers = object::items(&spec["containers"]);
    if containers.is_empty() {
        return Err(Status::invalid(resource, name, &format!("{path}.containers"), "Required value"));
    }
    for (index, container) in containers.iter().enumerate() {
        let field = |field: &str| format!("{path}.containers[{index}].{field}");
        let own = container["name"].as_str().unwrap_or_default();
        if own.is_empty() {
            return Err(Status::invalid(resource, name, &field("name"), "Required value"));
        }
        if containers[..index].iter().any(|other| other["name"] == own) {
            let why = format!("Duplicate value: {own:?}");
            return Err(Status::invalid(resource, name, &field("name"), &why));
        }
        if container["image"].as_str().is_none_or(str::is_empty) {
            return Err(Status::invalid(resource, name, &field("image"), "Required value"));
        }
    }
    Ok(())
}

fn workload(resource: &Resource, name: &str, object: &Value) -> Result<()> {
    let spec = &object["spec"];
    let invalid = |field: &str, why: &str| Err(Status::invalid(resource, name, field, why));
    match spec["replicas"].as_i64() {
        Some(0..=MAX_REPLICAS) => {}
        Some(replicas) => {
            let why = format!("Invalid value: {replicas}: must be between 0 and {MAX_REPLICAS} here");
            return invalid("spec.replicas", &why);
        }
        None => return invalid("spec.replicas", "Invalid value: must be an integer"),
    }
    let selector = Selector::of_spec(&spec["selector"]);
    if selector.is_empty() {
        return invalid("spec.selector", "Required value");
    }
    if !selector.matches_labels(&object::labels(&spec["template"])) {
        return invalid(
            "spec.template.metadata.labels",
            "Invalid value: `selector` does not match template `labels`",
        );
    }
    containers(resource, name, "spec.template.spec", &spec["template"]["spec"])
}

fn data(resource: &Resource, name: &str, object: &Value) -> Result<()> {
    let data = &object["data"];
    let strings = data.as_object().is_some_and(|map| map.values().all(Value::is_string));
    if data.is_null() || strings {
        return Ok(());
    }
    Err(Status::invalid(resource, name, "data", "Invalid value: must be a map of strings"))
}

/// A DNS name as RFC 1123 has it.
fn is_subdomain(text: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let label = |label: &str| {
        !label.is_empty() && !label.starts_with('-') && !label.ends_with('-') && label.bytes().all(inner)
    };
    text.len() <= 253 && text.split('.').all(label)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::resources::named;

    fn refused(plural: &str, object: &Value) -> String {
        content(named(plural), object).unwrap_err().message
    }

    #[test]
    fn an_object_belongs_to_the_path_that_it_is_sent_to() {
        let check = |object| identity(named("pods"), "a", &object);
        assert!(check(json!({"kind": "Pod", "apiVersion": "v1", "metadata": {"namespace": "a"}})).is_ok());
        assert!(check(json!({})).is_ok());
        assert_eq!(check(json!({"kind": "ConfigMap"})).unwrap_err().code, 400);
        assert_eq!(check(json!({"apiVersion": "apps/v1"})).unwrap_err().code, 400);
        assert_eq!(check(json!({"metadata": {"namespace": "b"}})).unwrap_err().code, 400);
        assert_eq!(check(json!([])).unwrap_err().code, 400);
    }

    #[test]
    fn names_are_dns_names() {
        for name in ["a", "a-1.b", "1"] {
            assert!(content(named("configmaps"), &json!({"metadata": {"name": name}})).is_ok(), "{name}");
        }
        for name in ["", "A", "-a", "a_b", "a..b", "a.-b"] {
            let message = refused("configmaps", &json!({"metadata": {"name": name}}));
            assert!(message.contains("metadata.name"), "{message}");
        }
    }

    #[test]
    fn pods_have_containers_with_names_and_images() {
        let pod = |containers| json!({"metadata": {"name": "p"}, "spec": {"containers": containers}});
        assert!(refused("pods", &pod(json!([]))).contains("spec.containers: Required"));
        assert!(refused("pods", &pod(json!([{"name": "a"}]))).contains("spec.containers[0].image"));
        assert!(refused("pods", &pod(json!([{"image": "a"}]))).contains("spec.containers[0].name"));
        let twice = json!([{"name": "a", "image": "a"}, {"name": "a", "image": "a"}]);
        assert!(refused("pods", &pod(twice)).contains("Duplicate"));
    }

    #[test]
    fn workloads_select_their_own_template_and_stay_small() {
        let deployment = |replicas: i64, label: &str| {
            json!({"metadata": {"name": "d"}, "spec": {
                "replicas": replicas, "selector": {"matchLabels": {"app": "a"}},
                "template": {"metadata": {"labels": {"app": label}}, "spec": {"containers": [{"name": "a", "image": "a"}]}},
            }})
        };
        assert!(content(named("deployments"), &deployment(1, "a")).is_ok());
        assert!(refused("deployments", &deployment(1, "b")).contains("spec.template.metadata.labels"));
        assert!(refused("deployments", &deployment(-1, "a")).contains("spec.replicas"));
        assert!(refused("deployments", &deployment(1_001, "a")).contains("spec.replicas"));
    }

    #[test]
    fn labels_and_data_are_strings() {
        assert!(
            refused("configmaps", &json!({"metadata": {"name": "a", "labels": {"a": 1}}})).contains("labels")
        );
        assert!(
            refused("configmaps", &json!({"metadata": {"name": "a"}, "data": {"a": 1}})).contains("data")
        );
    }
}

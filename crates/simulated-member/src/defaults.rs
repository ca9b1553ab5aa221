//! What the server fills in.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::object::{default, unset};
use crate::resources::Resource;

/// Gives the fields that were left out their usual values.
pub(crate) fn fill(resource: &Resource, object: &mut Value) {
    object["apiVersion"] = resource.api_version().into();
    object["kind"] = resource.kind.into();
    match resource.kind {
        "Deployment" => deployment(&mut object["spec"]),
        "ReplicaSet" => template(&mut object["spec"]),
        "Pod" => pod(&mut object["spec"]),
        "Secret" => secret(object),
        "Service" => service(&mut object["spec"]),
        "Namespace" => {
            default(&mut object["spec"], "finalizers", json!(["kubernetes"]));
            default(&mut object["status"], "phase", "Active");
            let name = object["metadata"]["name"].clone();
            default(&mut object["metadata"], "labels", json!({}));
            default(&mut object["metadata"]["labels"], "kubernetes.io/metadata.name", name);
        }
        _ => {}
    }
}

fn deployment(spec: &mut Value) {
    template(spec);
    default(&mut spec["strategy"], "type", "RollingUpdate");
    if spec["strategy"]["type"] == "RollingUpdate" {
        default(&mut spec["strategy"], "rollingUpdate", json!({"maxSurge": "25%", "maxUnavailable": "25%"}));
    }
    default(spec, "revisionHistoryLimit", 10);
    default(spec, "progressDeadlineSeconds", 600);
}

fn template(spec: &mut Value) {
    default(spec, "replicas", 1);
    pod(&mut spec["template"]["spec"]);
}

fn pod(spec: &mut Value) {
    default(spec, "restartPolicy", "Always");
    default(spec, "terminationGracePeriodSeconds", 30);
    default(spec, "dnsPolicy", "ClusterFirst");
    default(spec, "schedulerName", "default-scheduler");
    default(spec, "securityContext", json!({}));
    for container in elements(spec, "containers") {
        let image = container["image"].as_str().unwrap_or_default();
        let floating =
            image.ends_with(":latest") || !image.rsplit('/').next().unwrap_or_default().contains([':', '@']);
        default(container, "imagePullPolicy", if floating { "Always" } else { "IfNotPresent" });
        default(container, "resources", json!({}));
        default(container, "terminationMessagePath", "/dev/termination-log");
        default(container, "terminationMessagePolicy", "File");
        for port in elements(container, "ports") {
            default(port, "protocol", "TCP");
        }
    }
}

/// The elements of a list within an object; indexing would make a list that is not there.
fn elements<'o>(object: &'o mut Value, field: &str) -> impl Iterator<Item = &'o mut Value> {
    object.get_mut(field).and_then(Value::as_array_mut).into_iter().flatten()
}

fn secret(object: &mut Value) {
    default(object, "type", "Opaque");
    let texts = crate::object::strings(&object["stringData"]);
    for (key, text) in texts {
        default(object, "data", json!({}));
        object["data"][key] = STANDARD.encode(text).into();
    }
    unset(object, "stringData");
}

fn service(spec: &mut Value) {
    default(spec, "type", "ClusterIP");
    default(spec, "sessionAffinity", "None");
    default(spec, "ipFamilies", json!(["IPv4"]));
    default(spec, "ipFamilyPolicy", "SingleStack");
    default(spec, "internalTrafficPolicy", "Cluster");
    for port in elements(spec, "ports") {
        default(port, "protocol", "TCP");
        let number = port["port"].clone();
        default(port, "targetPort", number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::resources::named;

    #[test]
    fn text_of_secrets_becomes_data() {
        let mut secret = json!({"data": {"b": "Yg=="}, "stringData": {"a": "a"}});
        fill(named("secrets"), &mut secret);
        assert_eq!(secret["data"], json!({"a": "YQ==", "b": "Yg=="}));
        assert_eq!(secret["type"], "Opaque");
        assert!(secret.get("stringData").is_none());
    }

    #[test]
    fn images_without_a_fixed_tag_are_always_pulled() {
        for (image, policy) in [
            ("a", "Always"),
            ("r:5000/a", "Always"),
            ("a:latest", "Always"),
            ("a:1", "IfNotPresent"),
            ("a@sha256:0", "IfNotPresent"),
        ] {
            let mut pod = json!({"spec": {"containers": [{"name": "a", "image": image, "ports": [{"containerPort": 1}]}]}});
            fill(named("pods"), &mut pod);
            assert_eq!(pod["spec"]["containers"][0]["imagePullPolicy"], policy, "{image}");
            assert_eq!(pod["spec"]["containers"][0]["ports"][0]["protocol"], "TCP");
        }
    }
}

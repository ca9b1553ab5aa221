//! The objects that joining makes. Names are OCM's own where its programs look for them.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use cluster_gateway_client::v1alpha1::ANNOTATION_ALIAS;
use kube::api::DynamicObject;
use serde_json::{Value, json};

use super::journal::Manifest;
use super::kind::{CLUSTER_GROUP, Kind, OPERATOR_GROUP};
use super::{Images, OcmRequest, Side};

/// Namespace of the operator at the member, and of the agents' first identities at the hub.
pub(super) const NAMESPACE: &str = "open-cluster-management";
/// Namespace of the agent.
pub(super) const AGENT_NAMESPACE: &str = "open-cluster-management-agent";
/// Name of the operator's objects and of the Klusterlet.
pub(super) const KLUSTERLET: &str = "klusterlet";
/// Label of the signing requests of a cluster's agent.
pub(super) const CLUSTER_LABEL: &str = "open-cluster-management.io/cluster-name";
/// Name of the Secret with which the agent first goes to the hub.
const HUB_KUBECONFIG: &str = "bootstrap-hub-kubeconfig";
const RBAC: &str = "rbac.authorization.k8s.io";

/// Service account with which the agent of one cluster first goes to the hub. Of one cluster, so that a signing request
/// shows whose agent has made it, and so that it can be taken away.
pub(super) fn bootstrap_account(cluster: &str) -> String {
    format!("cluster-bootstrap-{cluster}")
}

/// Its user name.
pub(super) fn bootstrap_user(cluster: &str) -> String {
    format!("system:serviceaccount:{NAMESPACE}:{}", bootstrap_account(cluster))
}

/// Name of the Klusterlet's CustomResourceDefinition.
pub(super) fn definition_name() -> String {
    format!("klusterlets.{OPERATOR_GROUP}")
}

/// The agent's first identity at the hub: it may ask for a certificate and make a ManagedCluster that nobody has accepted.
pub(super) fn bootstrap(cluster: &str) -> Vec<Manifest> {
    let account = bootstrap_account(cluster);
    let role = format!("{NAMESPACE}:{account}");
    let rules = json!([
        {
            "apiGroups": ["certificates.k8s.io"], "resources": ["certificatesigningrequests"],
            "verbs": ["create", "get", "list", "watch"],
        },
        {"apiGroups": [CLUSTER_GROUP], "resources": ["managedclusters"], "verbs": ["create"]},
        {
            "apiGroups": [CLUSTER_GROUP], "resources": ["managedclusters"], "resourceNames": [cluster],
            "verbs": ["get"],
        },
        // The hub's admission asks for it, even of the default set.
        {"apiGroups": [CLUSTER_GROUP], "resources": ["managedclustersets/join"], "verbs": ["create"]},
    ]);
    let at_hub = |kind, namespace, name: &str, rest| manifest(Side::Hub, kind, namespace, name, rest);
    vec![
        at_hub(Kind::Namespace, None, NAMESPACE, json!({})),
        at_hub(Kind::ServiceAccount, Some(NAMESPACE), &account, json!({})),
        at_hub(Kind::ClusterRole, None, &role, json!({"rules": rules})),
        at_hub(Kind::ClusterRoleBinding, None, &role, binding(&role, &account)),
    ]
}

fn binding(role: &str, account: &str) -> Value {
    json!({
        "roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": role},
        "subjects": [{"kind": "ServiceAccount", "namespace": NAMESPACE, "name": account}],
    })
}

/// What runs klusterlets at the member: the kind, and the operator with its rights.
pub(super) fn operator(images: &Images) -> Vec<Manifest> {
    let at_member = |kind, namespace, name: &str, rest| manifest(Side::Member, kind, namespace, name, rest);
    vec![
        at_member(Kind::Namespace, None, NAMESPACE, json!({})),
        at_member(Kind::Namespace, None, AGENT_NAMESPACE, json!({})),
        at_member(Kind::CustomResourceDefinition, None, &definition_name(), definition()),
        at_member(Kind::ServiceAccount, Some(NAMESPACE), KLUSTERLET, json!({})),
        at_member(Kind::ClusterRole, None, KLUSTERLET, json!({"rules": operator_rules()})),
        at_member(Kind::ClusterRoleBinding, None, KLUSTERLET, binding(KLUSTERLET, KLUSTERLET)),
        at_member(Kind::Deployment, Some(NAMESPACE), KLUSTERLET, deployment(images)),
    ]
}

/// The kind Klusterlet, without a schema of its own: the operator reads what it knows of it.
fn definition() -> Value {
    let anything = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
    json!({"spec": {
        "group": OPERATOR_GROUP, "scope": "Cluster",
        "names": {"kind": "Klusterlet", "listKind": "KlusterletList", "plural": "klusterlets", "singular": "klusterlet"},
        "versions": [{
            "name": "v1", "served": true, "storage": true, "subresources": {"status": {}},
            "schema": {"openAPIV3Schema": {
                "type": "object", "properties": {"spec": anything, "status": anything},
            }},
        }],
    }})
}

/// What OCM's operator needs to run the agent. `escalate` and `bind`: it gives the agent rights that it lacks itself.
fn operator_rules() -> Value {
    let write = ["create", "get", "list", "watch", "update", "patch", "delete"];
    let rule = |group: &str, resources: &[&str], verbs: &[&str]| json!({"apiGroups": [group], "resources": resources, "verbs": verbs});
    let bind = [&write[..], &["escalate", "bind"]].concat();
    json!([
        rule("", &["configmaps", "secrets", "serviceaccounts"], &write),
        rule("", &["namespaces"], &["create", "get", "list", "watch", "delete"]),
        rule("", &["nodes"], &["get", "list", "watch"]),
        rule("", &["events"], &["create", "patch", "update"]),
        rule("events.k8s.io", &["events"], &["create", "patch", "update"]),
        rule("apps", &["deployments"], &write),
        rule(RBAC, &["clusterrolebindings", "rolebindings"], &write),
        rule(RBAC, &["clusterroles", "roles"], &bind),
        rule("apiextensions.k8s.io", &["customresourcedefinitions"], &write),
        rule("authorization.k8s.io", &["subjectaccessreviews"], &["create"]),
        rule(OPERATOR_GROUP, &["klusterlets"], &["get", "list", "watch", "update", "patch", "delete"]),
        rule(OPERATOR_GROUP, &["klusterlets/status"], &["update", "patch"]),
    ])
}

fn deployment(images: &Images) -> Value {
    let labels = json!({"app": KLUSTERLET});
    let healthy = json!({
        "httpGet": {"path": "/healthz", "port": 8443, "scheme": "HTTPS"}, "initialDelaySeconds": 2,
    });
    let container = json!({
        "name": KLUSTERLET, "image": image(images, "registration-operator"),
        "args": ["/registration-operator", "klusterlet"],
        "env": [{"name": "POD_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}],
        "livenessProbe": healthy, "readinessProbe": healthy,
        "resources": {"requests": {"cpu": "2m", "memory": "16Mi"}},
        "securityContext": {
            "allowPrivilegeEscalation": false, "privileged": false, "readOnlyRootFilesystem": true,
            "runAsNonRoot": true, "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],
    });
    json!({"spec": {
        "replicas": 1, "selector": {"matchLabels": labels},
        "template": {"metadata": {"labels": labels}, "spec": {
            "serviceAccountName": KLUSTERLET, "securityContext": {"runAsNonRoot": true},
            "containers": [container], "volumes": [{"name": "tmp", "emptyDir": {}}],
        }},
    }})
}

fn image(images: &Images, name: &str) -> String {
    format!("{}/{name}:{}", images.registry.trim_end_matches('/'), images.tag)
}

/// The kubeconfig with which the agent first goes to the hub.
pub(super) fn hub_kubeconfig(kubeconfig: &str) -> Manifest {
    let data = json!({"type": "Opaque", "data": {"kubeconfig": STANDARD.encode(kubeconfig)}});
    manifest(Side::Member, Kind::Secret, Some(AGENT_NAMESPACE), HUB_KUBECONFIG, data)
}

/// Whom the operator is to register, and where. The address is the member's own, where the original writes the hub's.
pub(super) fn klusterlet(request: &OcmRequest) -> Manifest {
    let mut address = json!({"url": request.member.url});
    if let Some(ca) = &request.member.ca {
        address["caBundle"] = json!(STANDARD.encode(ca));
    }
    let spec = json!({
        "clusterName": request.name, "namespace": AGENT_NAMESPACE, "externalServerURLs": [address],
        "registrationImagePullSpec": image(&request.images, "registration"),
        "workImagePullSpec": image(&request.images, "work"),
    });
    manifest(Side::Member, Kind::Klusterlet, None, KLUSTERLET, json!({"spec": spec}))
}

/// What acceptance writes into the ManagedCluster, if it is still that version of it.
pub(super) fn acceptance(request: &OcmRequest, version: Option<&str>) -> Value {
    let mut change = json!({
        "metadata": {"resourceVersion": version, "labels": request.labels},
        "spec": {"hubAcceptsClient": true},
    });
    if let Some(alias) = &request.alias {
        change["metadata"]["annotations"][ANNOTATION_ALIAS] = json!(alias);
    }
    change
}

fn manifest(side: Side, kind: Kind, namespace: Option<&str>, name: &str, mut rest: Value) -> Manifest {
    let mut object = DynamicObject::new(name, &kind.resource());
    object.metadata.namespace = namespace.map(str::to_owned);
    object.data = rest.take();
    Manifest { side, kind, object }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lifecycle::ocm::tests::request;

    #[test]
    fn the_klusterlet_names_the_member_and_not_the_hub() {
        let object = serde_json::to_value(klusterlet(&request("m1")).object).unwrap();
        assert_eq!(object["apiVersion"], "operator.open-cluster-management.io/v1");
        assert_eq!(object["spec"]["clusterName"], "m1");
        let address = json!([{"url": "https://10.0.0.1:6443", "caBundle": STANDARD.encode("CA")}]);
        assert_eq!(object["spec"]["externalServerURLs"], address);
        let images = Images { registry: "registry.local/ocm/".to_owned(), tag: "v9".to_owned() };
        assert_eq!(image(&images, "work"), "registry.local/ocm/work:v9");
    }

    #[test]
    fn the_first_identity_may_not_accept_itself_nor_touch_other_clusters() {
        let role = bootstrap("m1").into_iter().find(|manifest| manifest.kind == Kind::ClusterRole).unwrap();
        for rule in role.object.data["rules"].as_array().unwrap() {
            let resource = rule["resources"][0].as_str().unwrap();
            let verbs: Vec<&str> =
                rule["verbs"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
            assert!(!verbs.iter().any(|verb| ["update", "patch", "delete", "*"].contains(verb)), "{rule}");
            if resource == "managedclusters" && verbs != ["create"] {
                assert_eq!(rule["resourceNames"], json!(["m1"]), "{rule}");
            }
        }
    }
}

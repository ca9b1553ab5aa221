//! What makes a gateway part of a hub, and a member known to the gateway.

use std::time::Duration;

use anyhow::{Context, Result};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value, json};

use crate::access::{Access, Credential};
use crate::control_plane::ControlPlane;
use crate::gateway::Gateway;
use crate::wait;

/// The API group that the gateway serves.
pub const GROUP: &str = "cluster.core.oam.dev";

/// The path of the gateway's only version.
pub const BASE: &str = "/apis/cluster.core.oam.dev/v1alpha1";

/// Where the gateway and the Secrets that it reads are.
pub const NAMESPACE: &str = "vela-system";

/// The Service through which the hub finds the gateway.
pub const SERVICE: &str = "cluster-gateway";

/// The hub user as which the gateway runs.
pub const GATEWAY_USER: &str = "cluster-gateway";

/// The aggregator looks at an APIService again after at most 30 s.
const AVAILABLE_TIMEOUT: Duration = Duration::from_secs(45);

/// The path that leads to `cluster` through the gateway.
pub fn proxy_path(cluster: &str) -> String {
    format!("{BASE}/clustergateways/{cluster}/proxy")
}

/// Makes the namespace and gives the gateway's user the least rights that it needs; returns its way in.
pub fn grant(hub: &ControlPlane) -> Result<Access> {
    let rbac = "rbac.authorization.k8s.io";
    let subjects = json!([{"apiGroup": rbac, "kind": "User", "name": GATEWAY_USER}]);
    hub.admin().apply(&json!({"apiVersion": "v1", "kind": "List", "items": [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}},
        {
            "apiVersion": format!("{rbac}/v1"), "kind": "ClusterRoleBinding",
            "metadata": {"name": "cluster-gateway-auth-delegator"}, "subjects": subjects,
            "roleRef": {"apiGroup": rbac, "kind": "ClusterRole", "name": "system:auth-delegator"},
        },
        {
            "apiVersion": format!("{rbac}/v1"), "kind": "RoleBinding",
            "metadata": {"name": "cluster-gateway-auth-reader", "namespace": "kube-system"}, "subjects": subjects,
            "roleRef": {"apiGroup": rbac, "kind": "Role", "name": "extension-apiserver-authentication-reader"},
        },
        {
            "apiVersion": format!("{rbac}/v1"), "kind": "Role",
            "metadata": {"name": "cluster-gateway", "namespace": NAMESPACE},
            "rules": [
                {"apiGroups": [""], "resources": ["secrets"], "verbs": ["get", "list", "watch", "patch"]},
                {"apiGroups": [""], "resources": ["events"], "verbs": ["create"]},
                {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": ["create"]},
                {
                    "apiGroups": ["coordination.k8s.io"], "resources": ["leases"],
                    "resourceNames": ["cluster-gateway-health", "cluster-gateway-credentials"], "verbs": ["get", "update"],
                },
            ],
        },
        {
            "apiVersion": format!("{rbac}/v1"), "kind": "RoleBinding",
            "metadata": {"name": "cluster-gateway", "namespace": NAMESPACE}, "subjects": subjects,
            "roleRef": {"apiGroup": rbac, "kind": "Role", "name": "cluster-gateway"},
        },
    ]}))?;
    hub.user(GATEWAY_USER, &[])
}

/// Registers the gateway as the API server of its group, and waits until the hub can use it.
pub fn register(hub: &ControlPlane, gateway: &Gateway) -> Result<()> {
    register_at(hub, gateway.port(), &gateway.ca().pem())
}

/// The same with whatever serves on `port`, with a certificate that `ca` (PEM) has issued.
pub fn register_at(hub: &ControlPlane, port: u16, ca: &str) -> Result<()> {
    let name = format!("v1alpha1.{GROUP}");
    // An Endpoints object may not hold a loopback address; a Service that is only a name may lead there.
    hub.admin().apply(&json!({"apiVersion": "v1", "kind": "List", "items": [
        {
            "apiVersion": "v1", "kind": "Service", "metadata": {"name": SERVICE, "namespace": NAMESPACE},
            "spec": {
                "type": "ExternalName", "externalName": "localhost", "ports": [{"port": port}],
            },
        },
        {
            "apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService", "metadata": {"name": name},
            "spec": {
                "group": GROUP, "version": "v1alpha1", "groupPriorityMinimum": 100, "versionPriority": 10,
                "caBundle": BASE64.encode(ca),
                "service": {"name": SERVICE, "namespace": NAMESPACE, "port": port},
            },
        },
    ]}))?;
    let path = format!("/apis/apiregistration.k8s.io/v1/apiservices/{name}");
    wait::eventually("the APIService to be available", AVAILABLE_TIMEOUT, || {
        let service = hub.admin().request("GET", &path).send()?.json(200)?;
        let conditions = service["status"]["conditions"].as_array().cloned().unwrap_or_default();
        let available = conditions.iter().find(|condition| condition["type"] == "Available");
        let available = available.context("the hub has not looked at it yet")?;
        anyhow::ensure!(available["status"] == "True", "{available}");
        Ok(Some(()))
    })
}

/// The Secret by which the gateway knows the cluster `name` and goes there as `member`.
pub fn secret(name: &str, member: &Access) -> Result<Value> {
    let (kind, mut data) = match member.credential() {
        Credential::Token(token) => ("ServiceAccountToken", json!({"token": token})),
        Credential::X509(identity) => {
            ("X509Certificate", json!({"tls.crt": identity.certificate, "tls.key": identity.key}))
        }
        Credential::Anonymous => anyhow::bail!("a member needs a credential"),
    };
    data["endpoint"] = json!(member.server());
    data["ca.crt"] = json!(member.ca());
    Ok(json!({
        "apiVersion": "v1", "kind": "Secret", "type": "Opaque", "stringData": data,
        "metadata": {"name": name, "namespace": NAMESPACE, "labels": {
            format!("{GROUP}/cluster-credential-type"): kind,
            format!("{GROUP}/cluster-endpoint-type"): "Const",
        }},
    }))
}

/// Registers a member, or replaces what was registered under its name.
///
/// One request, and no kubectl: the moment of the change is what some tests measure from.
pub fn add_member(hub: &ControlPlane, name: &str, member: &Access) -> Result<()> {
    put_secret(hub, name, &secret(name, member)?)
}

/// Creates or replaces a Secret that may or may not be a member.
pub fn put_secret(hub: &ControlPlane, name: &str, secret: &Value) -> Result<()> {
    put_secret_as(hub.admin(), name, secret)
}

/// As [`put_secret`], in whatever namespace the Secret says.
pub fn put_secret_as(admin: &Access, name: &str, secret: &Value) -> Result<()> {
    let namespace = secret["metadata"]["namespace"].as_str().context("a namespace")?;
    let all = secrets_path(namespace);
    let created = admin.request("POST", &all).json(secret).send()?;
    if created.code == 409 {
        return admin.request("PUT", &format!("{all}/{name}")).json(secret).send()?.expect(200).map(drop);
    }
    created.expect(201).map(drop)
}

/// Removes a member.
pub fn remove_member(hub: &ControlPlane, name: &str) -> Result<()> {
    let path = format!("{}/{name}", secrets_path(NAMESPACE));
    hub.admin().request("DELETE", &path).send()?.expect(200).map(drop)
}

fn secrets_path(namespace: &str) -> String {
    format!("/api/v1/namespaces/{namespace}/secrets")
}

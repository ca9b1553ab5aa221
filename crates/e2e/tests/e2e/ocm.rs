//! Open Cluster Management: ManagedClusters on a hub of their own, so that no other scenario sees the kind come and go.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use e2e::registration::{BASE, GATEWAY_USER, grant, put_secret, secret};
use e2e::{Access, ControlPlane, Credential, Gateway, scratch, wait};
use serde_json::{Value, json};

use crate::world::planes;

/// The cluster, as in docs/ocm.md.
const NAME: &str = "member1";
const GROUP: &str = "cluster.open-cluster-management.io";
/// The gateway asks for the kind every ten seconds, and believes that it is gone when it was told so three times.
const NOTICED: Duration = Duration::from_secs(60);

/// A hub, a gateway with `--ocm-integration`, and the hub's administrator at the gateway's own port.
struct Ocm {
    hub: ControlPlane,
    gateway: Gateway,
    admin: Access,
    member: Access,
}

impl Ocm {
    fn start() -> Result<Self> {
        let hub = ControlPlane::start("ocm-hub")?;
        let gateway = Gateway::launch(&grant(&hub)?, &["--ocm-integration"])?;
        let admin = gateway.access(hub.admin().credential().clone())?;
        let member = planes()?.member2.service_account("kube-system", "gateway-by-ocm", "cluster-admin")?;
        Ok(Self { hub, gateway, admin, member })
    }

    /// Lets the gateway read ManagedClusters, with the role that is shipped.
    fn let_read(&self) -> Result<()> {
        let file = scratch::workspace().join("deploy/ocm.yaml").display().to_string();
        self.hub.admin().kubectl(["apply", "--validate=strict", "-f", &file]).run()?.success()?;
        let rbac = "rbac.authorization.k8s.io";
        self.hub.admin().apply(&json!({
            "apiVersion": format!("{rbac}/v1"), "kind": "ClusterRoleBinding", "metadata": {"name": "e2e-ocm"},
            "subjects": [{"apiGroup": rbac, "kind": "User", "name": GATEWAY_USER}],
            "roleRef": {"apiGroup": rbac, "kind": "ClusterRole", "name": "cluster-gateway-managed-clusters"},
        }))
    }

    fn install(&self) -> Result<()> {
        self.hub.admin().apply(&definition())?;
        wait::eventually("the kind to be served", Duration::from_secs(20), || {
            self.hub.admin().request("GET", &managed_path("")).send()?.expect(200).map(Some)
        })?;
        Ok(())
    }

    fn uninstall(&self) -> Result<()> {
        self.hub.admin().kubectl(["delete", "crd", &format!("managedclusters.{GROUP}")]).run()?.success()?;
        Ok(())
    }

    /// Creates the ManagedCluster and the Secret as the documentation does, with their values.
    fn apply_documented(&self) -> Result<()> {
        let text = std::fs::read_to_string(scratch::workspace().join("docs/ocm.md"))?;
        let block =
            text.split("```yaml").nth(1).and_then(|rest| rest.split("```").next()).context("an example")?;
        let Credential::Token(token) = self.member.credential() else { bail!("a token") };
        let mut example = block.to_owned();
        for (placeholder, value) in [
            ("https://10.0.0.1:6443", self.member.server()),
            ("LS0tLS1CRUdJTi…", &BASE64.encode(self.member.ca())),
            ("eyJhbGciOi…", token),
        ] {
            ensure!(example.contains(placeholder), "{placeholder} does not stand in the example");
            example = example.replace(placeholder, value);
        }
        self.hub
            .admin()
            .kubectl(["apply", "--validate=strict", "-f", "-"])
            .stdin(&example)
            .run()?
            .success()?;
        Ok(())
    }

    /// Creates or changes the ManagedCluster.
    fn manage(&self, accepted: bool) -> Result<()> {
        self.hub.admin().apply(&json!({
            "apiVersion": format!("{GROUP}/v1"), "kind": "ManagedCluster", "metadata": {"name": NAME},
            "spec": {"hubAcceptsClient": accepted, "leaseDurationSeconds": 60, "managedClusterClientConfigs": [
                {"url": self.member.server(), "caBundle": BASE64.encode(self.member.ca())},
            ]},
        }))
    }

    fn unmanage(&self) -> Result<()> {
        self.hub.admin().request("DELETE", &managed_path(&format!("/{NAME}"))).send()?.expect(200).map(drop)
    }

    /// Waits until kubectl works in the cluster.
    fn works(&self, timeout: Duration) -> Result<()> {
        let cluster = self.admin.through(NAME)?;
        wait::eventually("kubectl to work in the cluster", timeout, || {
            let name = cluster.kubectl(["get", "namespace", "default", "-o", "name"]).run()?.success()?;
            ensure!(name.trim() == "namespace/default", "{name}");
            Ok(Some(()))
        })
    }

    /// Waits until the cluster is refused in these words.
    fn refused(&self, words: &str) -> Result<()> {
        let cluster = self.admin.through(NAME)?;
        wait::eventually("the refusal", Duration::from_secs(10), || {
            let message = cluster.request("GET", "/api/v1/namespaces").send()?.status_message(503)?;
            ensure!(message.contains(words), "{message}");
            Ok(Some(()))
        })
    }

    /// the cluster as a virtual cluster: kind of credential, endpoint, acceptance.
    fn shown(&self) -> Result<Value> {
        let path = format!("{BASE}/virtualclusters/{NAME}");
        let spec = self.admin.request("GET", &path).send()?.json(200)?["spec"].take();
        Ok(json!([spec["credential-type"], spec["endpoint"], spec["accepted"]]))
    }
}

pub(crate) fn managed_path(rest: &str) -> String {
    format!("/apis/{GROUP}/v1/managedclusters{rest}")
}

/// The kind ManagedCluster as far as the gateway knows it; like the real one, it refuses what is not of this form.
pub(crate) fn definition() -> Value {
    let config = json!({"type": "object", "properties": {
        "url": {"type": "string"}, "caBundle": {"type": "string", "format": "byte"},
    }});
    let spec = json!({"type": "object", "properties": {
        "hubAcceptsClient": {"type": "boolean"}, "leaseDurationSeconds": {"type": "integer", "format": "int32"},
        "managedClusterClientConfigs": {"type": "array", "items": config},
    }});
    let status = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {
            "name": format!("managedclusters.{GROUP}"),
            "annotations": {"api-approved.kubernetes.io": "https://github.com/open-cluster-management/api"},
        },
        "spec": {
            "group": GROUP, "scope": "Cluster", "preserveUnknownFields": false,
            "names": {"kind": "ManagedCluster", "plural": "managedclusters", "singular": "managedcluster"},
            "versions": [{
                "name": "v1", "served": true, "storage": true, "subresources": {"status": {}},
                "schema": {"openAPIV3Schema": {"type": "object", "required": ["spec"], "properties": {
                    "spec": spec, "status": status,
                }}},
            }],
        },
    })
}

/// The Secret of the cluster with a credential and nothing else.
pub(crate) fn without_endpoint(member: &Access) -> Result<Value> {
    let mut secret = secret(NAME, member)?;
    let data = secret["stringData"].as_object_mut().into_iter();
    data.for_each(|data| data.retain(|key, _| !["endpoint", "ca.crt"].contains(&key.as_str())));
    let labels = secret["metadata"]["labels"].as_object_mut().into_iter();
    labels.for_each(|labels| labels.retain(|key, _| key.ends_with("credential-type")));
    Ok(secret)
}

#[test]
fn rule_214_rule_247_rule_248_rule_249_a_hub_with_open_cluster_management() -> Result<()> {
    let mut ocm = Ocm::start()?;
    // Without the right to read them, nobody knows whom the hub accepts; the log says what to do.
    wait::eventually("the missing right in the log", Duration::from_secs(20), || {
        Ok(ocm.gateway.log().contains("deploy/ocm.yaml").then_some(()))
    })?;
    ocm.gateway.access(Credential::Anonymous)?.request("GET", "/readyz").send()?.expect(500)?;
    ocm.let_read()?;
    ocm.gateway.wait_ready(NOTICED)?;

    // The kind is not there: Secrets alone count, and everything works.
    put_secret(&ocm.hub, NAME, &secret(NAME, &ocm.member)?)?;
    ocm.works(Duration::from_secs(10))?;
    ensure!(ocm.shown()? == json!(["ServiceAccountToken", ocm.member.server(), true]), "{}", ocm.shown()?);
    put_secret(&ocm.hub, NAME, &without_endpoint(&ocm.member)?)?;
    ocm.refused("key \"endpoint\" is missing")?;

    // It appears, and with it the endpoint and the CA.
    ocm.install()?;
    ocm.apply_documented()?;
    ocm.works(NOTICED)?;
    ensure!(ocm.shown()? == json!(["ManagedCluster", "-", true]), "{}", ocm.shown()?);
    let listed = ocm.admin.kubectl(["get", "virtualclusters"]).run()?.success()?;
    ensure!(listed.lines().any(|line| line.starts_with(NAME) && line.contains("ManagedCluster")), "{listed}");

    ocm.manage(false)?;
    ocm.refused("ManagedCluster member1: spec.hubAcceptsClient is false")?;
    ensure!(ocm.shown()? == json!(["ManagedCluster", "-", null]), "{}", ocm.shown()?);
    ocm.manage(true)?;
    ocm.works(Duration::from_secs(10))?;

    // Without it the Secret counts again.
    ocm.unmanage()?;
    ocm.refused("key \"endpoint\" is missing")?;
    put_secret(&ocm.hub, NAME, &secret(NAME, &ocm.member)?)?;
    ocm.works(Duration::from_secs(10))?;

    // The kind disappears while it is in use.
    ocm.manage(false)?;
    ocm.refused("hubAcceptsClient")?;
    ocm.uninstall()?;
    ocm.works(NOTICED)?;
    ocm.gateway.access(Credential::Anonymous)?.request("GET", "/readyz").send()?.expect(200)?;
    let log = ocm.gateway.log();
    let lines = log.lines().filter(|line| line.contains("ManagedClusters")).count();
    ensure!(lines <= 6, "one line for each change of the hub, not for each question:\n{log}");
    Ok(())
}

//! Joining and detaching by Open Cluster Management, with a hub and a member of their own. OCM's programs cannot run here: a
//! thread plays them, and where they would use the agent's own identity, so does it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use e2e::registration::{grant, put_secret};
use e2e::running::{Output, Running};
use e2e::{Access, ControlPlane, Credential, Gateway, binaries, process, wait};
use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair};
use serde_json::{Value, json};

use crate::ocm::{definition, managed_path, without_endpoint};

const NAME: &str = "member1";
const OCM: &str = "/api/v1/namespaces/open-cluster-management";
const AGENT: &str = "/api/v1/namespaces/open-cluster-management-agent";
const KLUSTERLET: &str = "/apis/operator.open-cluster-management.io/v1/klusterlets/klusterlet";
const OPERATOR: &str = "/apis/apps/v1/namespaces/open-cluster-management/deployments/klusterlet";
const CSRS: &str = "/apis/certificates.k8s.io/v1/certificatesigningrequests";
const LIMIT: Duration = Duration::from_secs(90);

struct Ends {
    hub: ControlPlane,
    member: ControlPlane,
}

impl Ends {
    fn start() -> Result<Self> {
        let ends = Self {
            hub: ControlPlane::start("ocm-join-hub")?,
            member: ControlPlane::start("ocm-join-member")?,
        };
        grant(&ends.hub)?;
        Ok(ends)
    }

    fn install(&self) -> Result<()> {
        self.hub.admin().apply(&definition())?;
        wait::eventually("the kind to be served", Duration::from_secs(20), || {
            self.hub.admin().request("GET", &managed_path("")).send()?.expect(200).map(Some)
        })?;
        Ok(())
    }

    fn command(&self, command: &str, rest: &[&str]) -> Result<Running> {
        let mut line = process::command(binaries::gateway()?);
        line.arg(command).args(rest).arg("--kubeconfig").arg(self.hub.admin().kubeconfig());
        Running::start(line)
    }

    fn join(&self, rest: &[&str]) -> Result<Output> {
        let member = self.member.admin().kubeconfig();
        let member = member.to_string_lossy();
        let args =
            [&member, "--engine=ocm", "--name", NAME, "--in-cluster-bootstrap=false", "--yes", "-o", "json"];
        self.command("join", &[&args[..], rest].concat())?.finish(LIMIT)
    }

    fn code(&self, side: &ControlPlane, path: &str) -> Result<u16> {
        Ok(side.admin().request("GET", path).send()?.code)
    }

    /// Lets deleted namespaces go, as the controller does that no control plane here has.
    fn end_namespaces(&self) -> Result<()> {
        for (side, path) in [(&self.hub, OCM), (&self.member, OCM), (&self.member, AGENT)] {
            let mut namespace = side.admin().request("GET", path).send()?.json(200)?;
            ensure!(!namespace["metadata"]["deletionTimestamp"].is_null(), "{path} was made and is deleted");
            namespace["spec"]["finalizers"] = json!([]);
            side.admin().request("PUT", &format!("{path}/finalize")).json(&namespace).send()?.expect(200)?;
        }
        Ok(())
    }

    /// That neither end has anything of OCM, but for namespaces that nobody here ends.
    fn nothing_is_left(&self) -> Result<()> {
        for (side, path) in [
            (&self.hub, managed_path(&format!("/{NAME}"))),
            (&self.hub, format!("{OCM}/serviceaccounts/cluster-bootstrap-{NAME}")),
            (
                &self.hub,
                format!(
                    "/apis/rbac.authorization.k8s.io/v1/clusterroles/open-cluster-management:cluster-bootstrap-{NAME}"
                ),
            ),
            (&self.member, KLUSTERLET.to_owned()),
            (&self.member, OPERATOR.to_owned()),
            (&self.member, format!("{AGENT}/secrets/bootstrap-hub-kubeconfig")),
            (&self.member, "/apis/rbac.authorization.k8s.io/v1/clusterroles/klusterlet".to_owned()),
        ] {
            ensure!(self.code(side, &path)? == 404, "{path} is still there");
        }
        let requests = self.hub.admin().request("GET", CSRS).send()?.json(200)?;
        ensure!(requests["items"].as_array().is_some_and(Vec::is_empty), "{requests}");
        Ok(())
    }
}

/// Changes a subresource.
fn patch(side: &ControlPlane, path: &str, change: &Value) -> Result<()> {
    let patch = side.admin().request("PATCH", path);
    patch.body("application/merge-patch+json", &change.to_string()).send()?.expect(200).map(drop)
}

/// The agent's own way to the hub.
fn first_identity(member: &ControlPlane) -> Result<Option<Access>> {
    let answer =
        member.admin().request("GET", &format!("{AGENT}/secrets/bootstrap-hub-kubeconfig")).send()?;
    if answer.code == 404 {
        return Ok(None);
    }
    let encoded = answer.json(200)?["data"]["kubeconfig"].take();
    let text = BASE64.decode(encoded.as_str().context("a kubeconfig")?)?;
    let kubeconfig: Value = serde_json::from_slice(&text)?;
    let cluster = &kubeconfig["clusters"][0]["cluster"];
    let ca = BASE64.decode(cluster["certificate-authority-data"].as_str().context("a CA")?)?;
    let token = kubeconfig["users"][0]["user"]["token"].as_str().context("a token")?;
    let server = cluster["server"].as_str().context("a server")?;
    Access::new(server, &String::from_utf8(ca)?, Credential::Token(token.to_owned())).map(Some)
}

/// What the agent asks the hub to sign.
fn signing_request() -> Result<Value> {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params
        .distinguished_name
        .push(DnType::CommonName, format!("system:open-cluster-management:{NAME}:agent"));
    params
        .distinguished_name
        .push(DnType::OrganizationName, format!("system:open-cluster-management:{NAME}"));
    let pem = params.serialize_request(&KeyPair::generate()?)?.pem()?;
    Ok(json!({
        "apiVersion": "certificates.k8s.io/v1", "kind": "CertificateSigningRequest",
        "metadata": {"generateName": format!("{NAME}-"), "labels": {"open-cluster-management.io/cluster-name": NAME}},
        "spec": {
            "request": BASE64.encode(pem), "signerName": "kubernetes.io/kube-apiserver-client",
            "usages": ["digital signature", "key encipherment", "client auth"],
        },
    }))
}

/// Plays OCM until `done`.
fn play(ends: &Ends, done: &AtomicBool) -> Result<()> {
    let mut registered = false;
    while !done.load(Ordering::Relaxed) {
        if ends.code(&ends.member, OPERATOR)? == 200 {
            let running = json!({"status": {"replicas": 1, "readyReplicas": 1, "availableReplicas": 1}});
            patch(&ends.member, &format!("{OPERATOR}/status"), &running)?;
        }
        let klusterlet = ends.member.admin().request("GET", KLUSTERLET).send()?;
        if let Some(agent) = first_identity(&ends.member)?.filter(|_| !registered && klusterlet.code == 200) {
            let spec = klusterlet.json(200)?["spec"].take();
            agent.request("POST", CSRS).json(&signing_request()?).send()?.expect(201)?;
            let managed = json!({
                "apiVersion": "cluster.open-cluster-management.io/v1", "kind": "ManagedCluster",
                "metadata": {"name": NAME}, "spec": {"managedClusterClientConfigs": spec["externalServerURLs"]},
            });
            agent.request("GET", &managed_path(&format!("/{NAME}"))).send()?.expect(404)?;
            agent.request("POST", &managed_path("")).json(&managed).send()?.expect(201)?;
            // What it must not be able to do.
            let accepted = json!({"spec": {"hubAcceptsClient": true}});
            let itself = agent.request("PATCH", &managed_path(&format!("/{NAME}")));
            itself
                .header("Content-Type: application/merge-patch+json")
                .json(&accepted)
                .send()?
                .expect(403)?;
            registered = true;
        }
        let managed = ends.hub.admin().request("GET", &managed_path(&format!("/{NAME}"))).send()?;
        if registered && managed.code == 200 && managed.json(200)?["spec"]["hubAcceptsClient"] == true {
            let joined = json!({"type": "ManagedClusterJoined", "status": "True"});
            let status = json!({"status": {"conditions": [joined]}});
            patch(&ends.hub, &managed_path(&format!("/{NAME}/status")), &status)?;
        }
        thread::sleep(Duration::from_millis(200));
    }
    ensure!(registered, "the agent never came to the hub");
    Ok(())
}

/// Runs `task` while OCM is played.
fn with_ocm<T>(ends: &Ends, task: impl FnOnce() -> Result<T>) -> Result<T> {
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let ocm = scope.spawn(|| play(ends, &done));
        let result = task();
        done.store(true, Ordering::Relaxed);
        let played = ocm.join().map_err(|_| anyhow::anyhow!("who plays OCM panicked"))?;
        let result = result?;
        played.map(|()| result)
    })
}

#[test]
fn a_cluster_lives_from_join_to_detach_by_open_cluster_management() -> Result<()> {
    let ends = Ends::start()?;
    let refused = ends.join(&[])?.failure()?;
    ensure!(refused.contains("clusteradm init"), "{refused}");
    ends.install()?;
    let plan: Value = serde_json::from_str(&ends.join(&["--plan"])?.success()?)?;
    ensure!(plan["objects"].as_array().is_some_and(|objects| objects.len() > 10), "{plan}");
    ends.nothing_is_left()?;
    // Nobody plays OCM: the wait ends, and all is as before.
    let alone = ends.join(&["--ocm-timeout=2s"])?.failure()?;
    ensure!(alone.contains("klusterlet operator") && alone.contains("gave up after 2 s"), "{alone}");
    ends.nothing_is_left()?;
    ends.end_namespaces()?;

    let joined = with_ocm(&ends, || {
        ends.join(&["--labels", "region=north", "--alias", "The first", "--ocm-timeout=60s"])?.success()
    })?;
    let joined: Value = serde_json::from_str(&joined)?;
    ensure!(joined["reported"] == true && joined["endpoint"] == ends.member.admin().server(), "{joined}");
    let managed = ends.hub.admin().request("GET", &managed_path(&format!("/{NAME}"))).send()?.json(200)?;
    ensure!(managed["metadata"]["labels"]["region"] == "north", "{managed}");
    ensure!(
        ends.code(&ends.hub, &format!("{OCM}/serviceaccounts/cluster-bootstrap-{NAME}"))? == 404,
        "its time is over"
    );
    let again = ends.join(&[])?.failure()?;
    ensure!(again.contains("already"), "{again}");

    the_gateway_finds_it(&ends)?;
    let path = format!("/api/v1/namespaces/vela-system/secrets/{NAME}");
    ends.hub.admin().request("DELETE", &path).send()?.expect(200)?;
    let refused = ends.command("detach", &[NAME, "--yes"])?.finish(LIMIT)?.failure()?;
    ensure!(refused.contains("--kubeconfig-path"), "{refused}");
    let member = ends.member.admin().kubeconfig();
    let args = [NAME, "--yes", "--kubeconfig-path", &member.to_string_lossy()];
    ends.command("detach", &args)?.finish(LIMIT)?.success()?;
    ends.nothing_is_left()
}

/// By the address in the ManagedCluster, with a credential in a Secret.
fn the_gateway_finds_it(ends: &Ends) -> Result<()> {
    let user = ends.hub.user(e2e::registration::GATEWAY_USER, &["system:masters"])?;
    let gateway = Gateway::launch(&user, &["--ocm-integration"])?;
    put_secret(&ends.hub, NAME, &without_endpoint(ends.member.admin())?)?;
    let through = gateway.access(ends.hub.admin().credential().clone())?.through(NAME)?;
    wait::eventually("the cluster through the gateway", Duration::from_secs(30), || {
        through.request("GET", "/api/v1/namespaces/default").send()?.expect(200).map(Some)
    })?;
    Ok(())
}

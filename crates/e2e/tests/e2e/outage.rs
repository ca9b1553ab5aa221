//! A hub whose parts stand still or die, and come back.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use e2e::clients::{Beginning, Watcher, events};
use e2e::deployed::{Deployed, Replica};
use e2e::registration::{BASE, GROUP};
use e2e::{Access, ControlPlane, Credential, wait};
use serde_json::{Value, json};

use crate::world::{allow_proxy, planes};

const LIMIT: Duration = Duration::from_secs(30);
/// What clients wait before they ask again adds up while the hub is away.
const RETURN: Duration = Duration::from_secs(90);
/// For how long etcd stands still.
const OUTAGE: Duration = Duration::from_secs(60);
/// Requests to the hub that nobody answers are given up before that.
const ANSWER: Duration = Duration::from_secs(45);

struct Scene {
    hub: ControlPlane,
    deployed: Deployed,
    replica: Replica,
    watcher: Watcher,
    /// May go to clusters.
    bob: Access,
    /// May not.
    eve: Access,
    /// Nobody, straight at the gateway: what it trusts is known while the hub is away.
    gateway: Access,
}

impl Scene {
    fn start(name: &str, flags: &[&str]) -> Result<Self> {
        let hub = ControlPlane::start(name)?;
        let deployed = Deployed::install(&hub)?;
        let replica = deployed.ready_replica(flags)?;
        deployed.balance(&[&replica])?;
        deployed.add_member("kept", planes()?.member1.admin())?;
        let (bob, eve) = (hub.user("bob", &[])?, hub.user("eve", &[])?);
        let subject = json!({"kind": "User", "apiGroup": "rbac.authorization.k8s.io", "name": "bob"});
        allow_proxy(&hub, &bob, "bob", &subject, &["get"])?;
        let watcher = Watcher::start("informer", hub.admin(), Beginning::Stream, &[])?;
        watcher.synced("virtualclusters", LIMIT)?;
        let gateway = deployed.direct(Credential::Anonymous)?;
        let scene = Self { hub, deployed, replica, watcher, bob, eve, gateway };
        scene.everything_works("before")?;
        Ok(scene)
    }

    /// Somebody in a cluster, straight at the gateway.
    fn direct(&self, who: &Access, cluster: &str) -> Result<Access> {
        self.gateway.with(who.credential().clone())?.through(cluster)
    }

    /// What is on the way of every request, and all that the gateway needs the hub for.
    fn everything_works(&self, moment: &str) -> Result<()> {
        let admin = self.hub.admin();
        let cluster = format!("cluster-{moment}");
        wait::eventually("a Secret to be written", RETURN, || {
            self.deployed.add_member(&cluster, planes()?.member1.admin()).map(Some)
        })?;
        // A token and a user that the gateway cannot have seen.
        let account = wait::eventually("a service account", RETURN, || {
            let account = self.hub.service_account("default", &format!("account-{moment}"), "cluster-admin");
            account.map(Some)
        })?;
        let stranger = self.hub.user(&format!("stranger-{moment}"), &[])?;
        for (who, code) in
            [(admin, 200), (&self.bob, 200), (&account, 200), (&self.eve, 403), (&stranger, 403)]
        {
            wait::eventually("an answer from the cluster", RETURN, || {
                self.direct(who, &cluster)?.request("GET", "/healthz").send()?.expect(code)?;
                who.through(&cluster)?.request("GET", "/healthz").send()?.expect(code).map(Some)
            })?;
        }
        for resource in ["clustergateways", "virtualclusters"] {
            wait::eventually("the list", RETURN, || {
                let list = admin.kubectl(["get", resource, "-o", "name"]).run()?.success()?;
                Ok(list.contains(&format!("/{cluster}\n")).then_some(()))
            })?;
            let seen = |lines: &[Value]| events(lines, resource, &cluster).contains(&"ADDED");
            self.watcher.wait_until(&format!("{cluster} in the watch"), RETURN, seen)?;
        }
        let health = json!({
            "apiVersion": format!("{GROUP}/v1alpha1"), "kind": "ClusterGateway", "metadata": {"name": cluster},
            "status": {"healthy": true, "healthyReason": moment},
        });
        let path = format!("{BASE}/clustergateways/{cluster}/health");
        wait::eventually("health to be recorded", RETURN, || {
            admin.request("PUT", &path).json(&health).send()?.expect(200).map(Some)
        })?;
        self.ready()
    }

    /// Whoever leads requests to it need not know of the hub.
    fn ready(&self) -> Result<()> {
        for path in ["/livez", "/readyz"] {
            self.gateway.request("GET", path).send()?.expect(200)?;
        }
        Ok(())
    }
}

#[test]
fn while_the_hubs_etcd_stands_still_clusters_are_reached_and_then_everything_returns() -> Result<()> {
    let mut scene = Scene::start("stopped", &[])?;
    let (through, direct) = (scene.hub.admin().through("kept")?, scene.direct(&scene.bob, "kept")?);
    let watch = through.kubectl(["get", "namespaces", "-w", "-o", "name"]).spawn()?;
    watch.wait_for("namespace/default", LIMIT)?;
    scene.hub.pause_etcd()?;
    let begun = Instant::now();
    let mut rounds = 0;
    while begun.elapsed() < OUTAGE {
        through.request("GET", "/healthz").send()?.expect(200)?;
        scene.bob.through("kept")?.request("GET", "/healthz").send()?.expect(200)?;
        direct.request("GET", "/api/v1/namespaces/default").send()?.expect(200)?;
        // Who may not, may not; and nobody is told that the hub has said so when it has not.
        scene.direct(&scene.eve, "kept")?.request("GET", "/healthz").send()?.status_message(403)?;
        let list = scene.hub.admin().request("GET", &format!("{BASE}/clustergateways")).send()?.json(200)?;
        ensure!(list["items"].as_array().is_some_and(|items| items.len() == 2), "{list}");
        scene.ready()?;
        rounds += 1;
        if rounds == 1 {
            cannot_be_written(&scene)?;
        }
        std::thread::sleep(Duration::from_secs(2));
    }
    scene.hub.resume_etcd()?;
    scene.everything_works("after")?;
    planes()?.member1.admin().kubectl(["create", "namespace", "seen-after-the-outage"]).run()?.success()?;
    watch.wait_for("namespace/seen-after-the-outage", LIMIT)?;
    ensure!(!scene.replica.log().contains("panicked"), "{}", scene.replica.log());
    Ok(())
}

/// What the hub would have to store is not said to be stored.
fn cannot_be_written(scene: &Scene) -> Result<()> {
    let health = json!({"status": {"healthy": true}});
    let path = format!("{BASE}/clustergateways/kept/health");
    let request = scene.hub.admin().request("PATCH", &path).timeout(ANSWER);
    let answer = request.body("application/merge-patch+json", &health.to_string()).send()?;
    ensure!(answer.code >= 500, "{answer:?}");
    let status: Value = serde_json::from_str(&answer.body).with_context(|| answer.body.clone())?;
    ensure!(status["kind"] == "Status" && status["status"] == "Failure", "{status}");
    Ok(())
}

#[test]
fn rule_095_while_the_hubs_api_server_is_gone_known_callers_are_served_and_others_are_told_why_not()
-> Result<()> {
    // Longer than the outage: what was decided before counts.
    let mut scene = Scene::start("killed", &["--authorization-webhook-cache-authorized-ttl=10m"])?;
    let direct = scene.direct(&scene.bob, "kept")?;
    direct.request("GET", "/healthz").send()?.expect(200)?;
    let token = scene.hub.service_account("default", "late", "cluster-admin")?;
    let stranger = scene.hub.user("stranger", &[])?;
    scene.hub.kill_apiserver()?;

    direct.request("GET", "/healthz").send()?.expect(200)?;
    // Nobody asks about administrators; their certificates are known.
    scene.direct(scene.hub.admin(), "kept")?.request("GET", "/healthz").send()?.expect(200)?;
    let admin = scene.gateway.with(scene.hub.admin().credential().clone())?;
    admin.request("GET", &format!("{BASE}/clustergateways")).send()?.expect(200)?;
    scene.ready()?;
    // That nobody could be asked is no refusal, and no permission either.
    let stranger = scene.direct(&stranger, "kept")?.request("GET", "/healthz").timeout(ANSWER);
    let answer = stranger.send()?.expect(500)?;
    ensure!(answer.starts_with("Internal Server Error") && !answer.contains("forbidden"), "{answer}");
    scene.direct(&token, "kept")?.request("GET", "/healthz").timeout(ANSWER).send()?.status_message(401)?;

    scene.hub.start_apiserver()?;
    scene.everything_works("after")
}

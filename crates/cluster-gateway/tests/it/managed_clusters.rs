//! ManagedClusters of the hub: there, not there, and everything between.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cluster_gateway::registry::{
    Cluster, ClusterPolicy, Index, ManagedClusterSource, Registry, SecretSource,
};
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use kube::api::ObjectMeta;
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::support::fake_hub::{FakeHub, Fault};
use crate::support::world::{NAMESPACE, PROXY, Setup, World, until};

const OWN: &str = "https://secret:6443";
const MANAGED: &str = "https://managed:6443";
const VC: &str = "/apis/cluster.core.oam.dev/v1alpha1/virtualclusters";
const CG: &str = "/apis/cluster.core.oam.dev/v1alpha1/clustergateways";

/// A registry that follows a hub.
struct Followed {
    hub: FakeHub,
    registry: Arc<Registry>,
    task: JoinHandle<()>,
}

impl Followed {
    /// Of a hub that knows the Secret `c`.
    async fn start(merge: bool, prepare: impl FnOnce(&FakeHub)) -> Self {
        let hub = FakeHub::start().await;
        hub.put_secret(&secret("c"));
        prepare(&hub);
        let registry = Arc::new(Registry::default());
        let policy = ClusterPolicy { merge_managed_clusters: merge, ..ClusterPolicy::default() };
        let index = Index::new(Arc::clone(&registry), policy);
        let secrets = SecretSource { namespace: NAMESPACE.to_owned(), hub: "the hub".to_owned() };
        let managed =
            ManagedClusterSource { merge, hub: "the hub".to_owned(), again: Duration::from_millis(20) };
        let client = hub.client().await;
        let task = tokio::spawn(secrets.run(client, index, managed));
        Self { hub, registry, task }
    }

    fn cluster(&self, name: &str) -> Arc<Cluster> {
        self.registry.get(name).unwrap()
    }

    async fn synced(&self) {
        until(|| async { self.registry.synced() }).await;
    }

    /// Waits until `c` is at this address.
    async fn at(&self, address: &str) {
        until(|| async {
            self.registry.get("c").is_ok_and(|cluster| cluster.address.as_deref() == Some(address))
        })
        .await;
    }

    async fn asked_for_managed_clusters(&self, more: usize) {
        let before = self.hub.requests("managedclusters");
        until(|| async { self.hub.requests("managedclusters") >= before + more }).await;
    }
}

impl Drop for Followed {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn secret(name: &str) -> Secret {
    let label = ("cluster.core.oam.dev/cluster-credential-type".to_owned(), "ServiceAccountToken".to_owned());
    let data = [("endpoint", OWN), ("token", "t")];
    Secret {
        metadata: ObjectMeta {
            name: Some(name.to_owned()),
            namespace: Some(NAMESPACE.to_owned()),
            labels: Some(BTreeMap::from([label])),
            ..ObjectMeta::default()
        },
        data: Some(data.map(|(key, value)| (key.to_owned(), ByteString(value.into()))).into()),
        ..Secret::default()
    }
}

fn accepted(url: &str) -> Value {
    json!({"hubAcceptsClient": true, "managedClusterClientConfigs": [{"url": url}]})
}

fn refused() -> Value {
    json!({"hubAcceptsClient": false, "managedClusterClientConfigs": [{"url": MANAGED}]})
}

#[tokio::test]
async fn rule_249_the_kind_may_be_absent_appear_disappear_and_appear_again() {
    let followed = Followed::start(true, |_| ()).await;
    followed.synced().await;
    followed.at(OWN).await;
    for _ in 0..2 {
        followed.hub.install_managed_clusters();
        followed.hub.put_managed_cluster("c", &accepted(MANAGED));
        followed.at(MANAGED).await;
        // A change is an event, not another list.
        let lists = followed.hub.requests("managedclusters?&limit");
        followed.hub.put_managed_cluster("c", &accepted("https://moved"));
        followed.at("https://moved").await;
        assert_eq!(followed.hub.requests("managedclusters?&limit"), lists);
        assert!(lists > 0);
        followed.hub.remove_managed_clusters();
        followed.at(OWN).await;
        assert!(followed.cluster("c").upstream().is_ok());
        followed.asked_for_managed_clusters(2).await;
    }
}

#[tokio::test]
async fn rule_248_as_long_as_managed_clusters_may_not_be_read_no_cluster_is_used() {
    let followed = Followed::start(true, |hub| {
        hub.install_managed_clusters();
        hub.put_managed_cluster("c", &refused());
        hub.fault("managedclusters", Fault::Status(403));
    })
    .await;
    followed.asked_for_managed_clusters(5).await;
    until(|| async { followed.hub.requests("secrets?&watch=true") > 0 }).await;
    assert!(!followed.registry.synced(), "not ready");
    assert!(followed.registry.snapshot().is_empty());
    followed.hub.heal();
    followed.synced().await;
    assert!(followed.cluster("c").upstream().is_err());
}

#[tokio::test]
async fn rule_248_what_was_known_stays_in_force_while_the_hub_refuses_or_fails() {
    for code in [403, 500] {
        let followed = Followed::start(true, |hub| {
            hub.install_managed_clusters();
            hub.put_managed_cluster("c", &refused());
        })
        .await;
        followed.synced().await;
        followed.hub.fault("managedclusters", Fault::Status(code));
        followed.hub.cut_watches();
        followed.asked_for_managed_clusters(2).await;
        // Secrets go on; and what becomes of them is still refused.
        followed.hub.put_secret(&secret("d"));
        until(|| async { followed.registry.get("d").is_ok() }).await;
        assert!(followed.cluster("c").upstream().is_err());
        followed.hub.heal();
        followed.hub.put_managed_cluster("c", &accepted(MANAGED));
        until(|| async { followed.cluster("c").upstream().is_ok() }).await;
    }
}

#[tokio::test]
async fn rule_248_one_stray_answer_does_not_open_what_the_hub_refuses_and_a_lasting_one_is_believed() {
    let followed = Followed::start(true, |hub| {
        hub.install_managed_clusters();
        hub.put_managed_cluster("c", &refused());
    })
    .await;
    followed.synced().await;
    let before = followed.hub.requests("managedclusters");
    followed.hub.fault_once("managedclusters", Fault::Status(404));
    followed.hub.fault_once("managedclusters", Fault::Status(404));
    followed.hub.cut_watches();
    // Two refusals, a list and a watch: all the time it stays closed.
    until(|| async {
        assert!(followed.cluster("c").upstream().is_err());
        followed.hub.requests("managedclusters") >= before + 4
    })
    .await;
    assert!(followed.cluster("c").upstream().is_err());
    followed.hub.fault("managedclusters", Fault::Status(404));
    followed.hub.cut_watches();
    followed.at(OWN).await;
    assert!(followed.cluster("c").upstream().is_ok());
    // What was forgotten is read anew, although nothing has happened to it.
    followed.hub.heal();
    followed.at(MANAGED).await;
    assert!(followed.cluster("c").upstream().is_err());
}

#[tokio::test]
async fn one_bad_managed_cluster_hurts_no_other() {
    let followed = Followed::start(true, |hub| {
        hub.put_secret(&secret("bad"));
        hub.install_managed_clusters();
        hub.put_managed_cluster("bad", &json!("nonsense"));
        hub.put_managed_cluster("c", &accepted(MANAGED));
    })
    .await;
    followed.at(MANAGED).await;
    let error = followed.cluster("bad").upstream().unwrap_err().to_string();
    assert!(error.contains("ManagedCluster bad: spec is not understood"), "{error}");
    // The same by an event.
    followed.hub.put_managed_cluster("bad", &accepted("nonsense"));
    followed.hub.put_managed_cluster("c", &accepted("https://moved"));
    followed.at("https://moved").await;
    let error = followed.cluster("bad").upstream().unwrap_err().to_string();
    assert!(error.contains("managedClusterClientConfigs[0].url: \"nonsense\" is not a URL"), "{error}");
    followed.hub.put_managed_cluster("bad", &accepted("https://good"));
    until(|| async { followed.cluster("bad").upstream().is_ok() }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_249_ten_thousand_managed_clusters_come_and_change() {
    let followed = Followed::start(true, |hub| {
        hub.install_managed_clusters();
        (0..5_000).for_each(|n| hub.put_managed_cluster(&format!("m{n}"), &refused()));
    })
    .await;
    followed.synced().await;
    assert_eq!(followed.registry.snapshot().iter_virtual().count(), 5_001);
    (0..10_000).for_each(|n| followed.hub.put_managed_cluster(&format!("m{n}"), &accepted(MANAGED)));
    followed.hub.put_managed_cluster("c", &accepted(MANAGED));
    followed.at(MANAGED).await;
    let snapshot = followed.registry.snapshot();
    assert_eq!((snapshot.iter_virtual().count(), snapshot.len()), (10_001, 1));
    assert!(snapshot.iter_virtual().all(|cluster| cluster.accepted()));
}

#[tokio::test]
async fn rule_214_without_the_flag_they_are_shown_if_they_may_be_read_and_nobody_waits_for_them() {
    let followed = Followed::start(false, |hub| {
        hub.install_managed_clusters();
        hub.put_managed_cluster("c", &refused());
        hub.put_managed_cluster("m", &refused());
        hub.fault("managedclusters", Fault::Status(403));
    })
    .await;
    followed.synced().await;
    assert!(followed.registry.snapshot().get_virtual("m").is_none());
    followed.hub.heal();
    until(|| async { followed.registry.snapshot().get_virtual("m").is_some() }).await;
    assert_eq!(followed.cluster("c").address.as_deref(), Some(OWN));
    assert!(followed.cluster("c").upstream().is_ok() && followed.registry.get("m").is_err());
    let spec = &followed.registry.snapshot().get_virtual("m").cloned().unwrap().managed_cluster;
    assert!(spec.as_ref().unwrap().spec.as_ref().unwrap().client_configs[0].ca_bundle.is_empty());
}

async fn world() -> World {
    World::with(Setup { ocm_integration: true, poll: Duration::from_millis(100), ..Setup::default() }).await
}

fn at_member(world: &World) -> Value {
    let ca = STANDARD.encode(world.member.ca.pem());
    let configs = json!([{"url": format!("https://{}", world.member.address), "caBundle": ca}]);
    json!({"hubAcceptsClient": true, "managedClusterClientConfigs": configs})
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_247_requests_go_where_the_managed_cluster_says() {
    let world = world().await;
    let caller = world.masters();
    world.hub.put_managed_cluster("m", &at_member(&world));
    let no_ca = [("endpoint", "https://127.0.0.1:1"), ("ca.crt", "")];
    world.register("m", &no_ca);
    until(|| async {
        let shown = caller.get(&format!("{CG}/m")).await.json();
        shown["spec"]["access"]["endpoint"]["const"]["address"] == format!("https://{}", world.member.address)
    })
    .await;
    assert_eq!(caller.get(&format!("{PROXY}/plain")).await.status, 200);
    world.hub.delete_managed_cluster("m");
    until(|| async { caller.get(&format!("{PROXY}/plain")).await.message().contains("127.0.0.1:1") }).await;
    world.hub.put_managed_cluster("m", &at_member(&world));
    until(|| async { caller.get(&format!("{PROXY}/plain")).await.status == 200 }).await;
    let mut without = at_member(&world);
    without["managedClusterClientConfigs"] = json!([]);
    world.hub.put_managed_cluster("m", &without);
    until(|| async { caller.get(&format!("{PROXY}/plain")).await.status == 503 }).await;
    let message = caller.get(&format!("{PROXY}/plain")).await.message();
    assert!(message.contains("missing label key: api-endpoint"), "{message}");
    let shown = caller.get(&format!("{CG}/m")).await.json();
    assert_eq!(shown["status"]["healthy"], false);
    assert!(shown["status"]["healthyReason"].to_string().contains("missing label key: api-endpoint"));
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_248_a_cluster_that_the_hub_does_not_accept_receives_nothing() {
    let world = world().await;
    let caller = world.masters();
    let mut spec = at_member(&world);
    spec["hubAcceptsClient"] = json!(false);
    world.hub.put_managed_cluster("m", &spec);
    world.hub.put_managed_cluster("unregistered", &spec);
    until(|| async { caller.get(&format!("{PROXY}/plain")).await.status == 503 }).await;
    let before = world.member.recorder.requests().len();
    let answer = caller.get(&format!("{PROXY}/api/v1/secrets")).await;
    assert_eq!(answer.status, 503);
    assert!(answer.message().contains("spec.hubAcceptsClient is false"), "{}", answer.message());
    assert_eq!(world.member.recorder.requests().len(), before);
    let shown = async |name: &str| caller.get(&format!("{VC}/{name}")).await.json()["spec"].clone();
    assert_eq!(shown("m").await.get("accepted"), None);
    assert_eq!(shown("unregistered").await["credential-type"], "ManagedCluster");
    spec["hubAcceptsClient"] = json!(true);
    world.hub.put_managed_cluster("m", &spec);
    until(|| async { caller.get(&format!("{PROXY}/plain")).await.status == 200 }).await;
    assert_eq!(shown("m").await["accepted"], true);
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_249_lists_and_gets_work_while_the_kind_comes_and_goes() {
    let world = world().await;
    let caller = world.masters();
    for _ in 0..3 {
        world.hub.remove_managed_clusters();
        for path in [CG, VC, &format!("{CG}/m"), &format!("{VC}/m"), &format!("{PROXY}/plain")] {
            assert_eq!(caller.get(path).await.status, 200, "{path}");
        }
        world.hub.install_managed_clusters();
        world.hub.put_managed_cluster("m", &at_member(&world));
    }
    assert_eq!(world.nobody().get("/readyz").await.status, 200);
}

//! Joining.

use std::time::Duration;

use cluster_gateway::lifecycle::{
    Edit, Failure, Join, JoinRequest, Joined, LifecycleError, NamespaceOutcome, StoreError, Undo, edit,
};
use cluster_gateway::registry::ClusterPolicy;
use cluster_gateway::transport::{AddressPolicy, TransportOptions};
use serde_json::json;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::{Hub, SECRETS, TYPE, kubeconfig, request};
use crate::support::fake_hub::Fault;

async fn prepare(hub: &Hub, request: &JoinRequest) -> Result<Join, LifecycleError> {
    Join::prepare(&hub.store, &ClusterPolicy::default(), request, &CancellationToken::new()).await
}

async fn join(hub: &Hub, request: &JoinRequest) -> Result<Joined, Failure> {
    let join = prepare(hub, request).await.unwrap();
    join.commit(&hub.store, Some(&hub.gateway), &CancellationToken::new()).await
}

fn overwriting(name: &str) -> JoinRequest {
    JoinRequest { overwrite: true, ..request(name) }
}

#[tokio::test]
async fn a_cluster_is_written_as_vela_writes_it() {
    let hub = Hub::start().await;
    let joined =
        join(&hub, &JoinRequest { alias: Some("New one".to_owned()), ..request("new") }).await.unwrap();
    assert!(joined.answers && !joined.replaced);
    assert_eq!(joined.namespace, NamespaceOutcome::Created);
    let mut secret = hub.fake.secret("vela-system", "new").unwrap();
    for key in ["resourceVersion", "uid", "creationTimestamp"] {
        secret["metadata"].as_object_mut().unwrap().remove(key);
    }
    let expected = json!({
        "apiVersion": "v1", "kind": "Secret", "type": "Opaque",
        "metadata": {"namespace": "vela-system", "name": "new",
            "labels": {TYPE: "ServiceAccountToken", "tier": "gold"},
            "annotations": {"cluster.core.oam.dev/cluster-alias": "New one"}},
        "data": {"endpoint": "aHR0cHM6Ly9uZXcudGVzdDo0NDM=", "token": "c2VzYW1l"},
    });
    assert_eq!(secret, expected);
    assert_eq!(hub.fake.gateway().unwrap().namespaces, ["vela-system"]);
    let writes = hub.writes();
    assert_eq!(writes.len(), 2, "{writes:?}");
    assert_eq!(writes[0], format!("POST {SECRETS}"));
}

#[tokio::test]
async fn a_cluster_that_is_replaced_keeps_what_people_said_of_it() {
    let hub = Hub::start().await;
    hub.behaves(|gateway| gateway.namespaces.push("vela-system".to_owned()));
    let before = hub.fake.secret("vela-system", "old").unwrap();
    let joined = join(&hub, &overwriting("old")).await.unwrap();
    assert!(joined.replaced);
    assert_eq!(joined.namespace, NamespaceOutcome::Existed);
    let after = hub.fake.secret("vela-system", "old").unwrap();
    assert_eq!(after["metadata"]["uid"], before["metadata"]["uid"]);
    let labels = json!({TYPE: "ServiceAccountToken", "region": "eu", "tier": "gold"});
    assert_eq!(after["metadata"]["labels"], labels);
    let annotations = json!({"cluster.core.oam.dev/cluster-alias": "An old one", "mine": "stays"});
    assert_eq!(after["metadata"]["annotations"], annotations, "version and health were another cluster's");
    assert!(after["data"].get("ca.crt").is_none(), "nothing of the old address is left");
}

#[tokio::test]
async fn names_that_are_taken_reserved_or_none_are_refused_before_anything_is_asked_or_written() {
    let hub = Hub::start().await;
    let before = hub.fake.content();
    for (request, why) in [
        (request("old"), "add --overwrite"),
        (request("foreign"), "is not a cluster"),
        (overwriting("foreign"), "is not a cluster"),
        (request("local"), "reserved"),
        (overwriting("local"), "reserved"),
        (request("No"), "DNS subdomain"),
        (request(&"a".repeat(254)), "DNS subdomain"),
        (JoinRequest { alias: Some("\u{1b}[2J".to_owned()), ..request("new") }, "steer a terminal"),
        (
            JoinRequest { labels: [(TYPE.to_owned(), "x".to_owned())].into(), ..request("new") },
            "cannot be set",
        ),
    ] {
        let error = prepare(&hub, &request).await.unwrap_err().to_string();
        assert!(error.contains(why), "{why}: {error}");
    }
    assert!(prepare(&hub, &request(&"a".repeat(253))).await.is_ok());
    assert_eq!((hub.fake.content(), hub.writes().len()), (before, 0));
}

/// Where it can fail, and what is said then.
enum Point {
    Hub(&'static str, Fault),
    Gateway(fn(&mut crate::support::fake_hub::Aggregated)),
    NoGateway,
}

const WRITE: [&str; 2] = ["POST /api/v1/namespaces", "PUT /api/v1/namespaces"];
const PROXY: &str = "/proxy/version";

fn points() -> Vec<(&'static str, Point, &'static str)> {
    let mut points = Vec::new();
    for write in WRITE {
        for (fault, why) in [
            (Fault::Status(403), "the hub refuses: injected 403"),
            (Fault::Status(409), "somebody else"),
            (Fault::Status(422), "the hub refuses: injected 422"),
            (Fault::Status(500), "cannot be asked: injected 500"),
            (Fault::Reset, "the hub cannot be asked"),
            (Fault::ResetAfter, "the hub cannot be asked"),
        ] {
            points.push(("the write", Point::Hub(write, fault), why));
        }
    }
    points.extend([
        ("no gateway", Point::NoGateway, "there is no gateway"),
        (
            "a gateway that does not see it",
            Point::Gateway(|gateway| gateway.blind = true),
            "does not know the cluster",
        ),
        ("a hub that is gone", Point::Hub("clustergateways", Fault::Reset), "does not know the cluster"),
        ("a member that is away", Point::Gateway(|gateway| gateway.version = 502), "what the member says"),
        ("a wrong credential", Point::Gateway(|gateway| gateway.version = 401), "accept the credential"),
        ("no right to go through", Point::Gateway(|gateway| gateway.version = 403), "grant that first"),
        ("a member that is cut off", Point::Hub(PROXY, Fault::Reset), "does not answer through the gateway"),
        (
            "no right to make a namespace",
            Point::Gateway(|gateway| gateway.create_namespace = 403),
            "cannot create namespace",
        ),
        (
            "health that was recorded",
            Point::Gateway(|gateway| (gateway.version, gateway.records) = (500, true)),
            "what the member",
        ),
        (
            "no namespace to be seen",
            Point::Hub("/proxy/api/v1/namespaces/vela-system", Fault::Status(500)),
            "cannot look for",
        ),
    ]);
    points
}

#[tokio::test]
async fn whatever_fails_the_hub_is_as_it_was() {
    for (what, point, why) in points() {
        for request in [request("new"), overwriting("old")] {
            let name = request.name.clone().unwrap();
            let hub = Hub::start().await;
            let before = hub.fake.content();
            let join = prepare(&hub, &request).await.unwrap();
            let writes = match &point {
                Point::Hub(part, fault) => {
                    hub.fake.fault_once(part, *fault);
                    if matches!(*part, "clustergateways" | PROXY) {
                        hub.fake.fault(part, *fault);
                    }
                    match *part {
                        write if write == WRITE[0] => name == "new",
                        write if write == WRITE[1] => name == "old",
                        _ => true,
                    }
                }
                Point::Gateway(change) => {
                    hub.behaves(change);
                    true
                }
                Point::NoGateway => {
                    hub.fake.set_gateway(None);
                    true
                }
            };
            if !writes {
                continue;
            }
            let failure =
                join.commit(&hub.store, Some(&hub.gateway), &CancellationToken::new()).await.unwrap_err();
            assert!(failure.to_string().contains(why), "{what} ({name}): {failure}");
            assert!(!matches!(failure.undo, Undo::Incomplete(_)), "{what} ({name}): {failure}");
            assert_eq!(hub.fake.content(), before, "{what} ({name})");
        }
    }
}

#[tokio::test]
async fn ctrl_c_in_any_phase_leaves_the_hub_as_it_was() {
    // While the cluster is being looked at: it accepts connections and says nothing.
    let hub = Hub::start().await;
    let before = hub.fake.content();
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("https://127.0.0.1:{}", silent.local_addr().unwrap().port());
    let looking = JoinRequest { kubeconfig: kubeconfig(&address), preflight: true, ..request("new") };
    let transport =
        TransportOptions { addresses: AddressPolicy { allow_loopback: true }, ..TransportOptions::default() };
    let policy = ClusterPolicy { transport: transport.into(), ..ClusterPolicy::default() };
    let stop = CancellationToken::new();
    let (outcome, _) = tokio::join!(Join::prepare(&hub.store, &policy, &looking, &stop), async {
        silent.accept().await.unwrap();
        stop.cancel();
    });
    assert_eq!(outcome.unwrap_err(), LifecycleError::Interrupted);

    // Before the write.
    for request in [request("new"), overwriting("old")] {
        let stop = CancellationToken::new();
        let join = prepare(&hub, &request).await.unwrap();
        stop.cancel();
        let failure = join.commit(&hub.store, Some(&hub.gateway), &stop).await.unwrap_err();
        assert_eq!(failure, Failure { cause: LifecycleError::Interrupted, undo: Undo::Untouched });
    }
    assert_eq!((hub.fake.content(), hub.writes().len()), (before.clone(), 0));

    // While the gateway is asked, for something that does not come.
    for (request, blind) in [(request("new"), true), (request("new"), false), (overwriting("old"), false)] {
        let hub = Hub::start().await;
        hub.behaves(|gateway| (gateway.blind, gateway.version) = (blind, 503));
        let stop = CancellationToken::new();
        let join = prepare(&hub, &request).await.unwrap();
        let patient =
            cluster_gateway::lifecycle::Gateway::new(hub.fake.client().await, Duration::from_secs(3600));
        let (outcome, ()) = tokio::join!(join.commit(&hub.store, Some(&patient), &stop), async {
            while hub.writes().is_empty() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            stop.cancel();
        });
        assert_eq!(
            outcome.unwrap_err(),
            Failure { cause: LifecycleError::Interrupted, undo: Undo::Restored }
        );
        assert_eq!(hub.fake.content(), before);
    }
}

#[tokio::test]
async fn a_cluster_that_cannot_be_reached_is_not_written() {
    let hub = Hub::start().await;
    let before = hub.fake.content();
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let address = format!("https://127.0.0.1:{closed}");
    let request = JoinRequest { kubeconfig: kubeconfig(&address), preflight: true, ..request("new") };
    let error = prepare(&hub, &request).await.unwrap_err();
    assert!(matches!(&error, LifecycleError::Preflight(_)), "{error}");
    assert!(!format!("{error} {error:?}").contains("sesame"));
    assert_eq!((hub.fake.content(), hub.writes().len()), (before, 0));
}

#[tokio::test]
async fn what_others_change_meanwhile_is_neither_overwritten_nor_taken_back() {
    let hub = Hub::start().await;
    let waiting = prepare(&hub, &overwriting("old")).await.unwrap();
    edit(&hub.store, "old", &Edit::Alias("theirs".to_owned())).await.unwrap();
    let before = hub.fake.content();
    let failure =
        waiting.commit(&hub.store, Some(&hub.gateway), &CancellationToken::new()).await.unwrap_err();
    assert!(matches!(failure.cause, LifecycleError::Store(StoreError::Changed(_))), "{failure}");
    assert_eq!((failure.undo, hub.fake.content()), (Undo::Untouched, before));

    // A cluster that loses its label meanwhile is foreign.
    let waiting = prepare(&hub, &overwriting("old")).await.unwrap();
    let mut secret = hub.fake.secret("vela-system", "old").unwrap();
    secret["metadata"]["labels"] = json!({});
    hub.fake.put("secrets", secret);
    let failure =
        waiting.commit(&hub.store, Some(&hub.gateway), &CancellationToken::new()).await.unwrap_err();
    assert!(matches!(failure.cause, LifecycleError::Store(StoreError::Foreign(_))), "{failure}");

    // Somebody registers another cluster under the name while ours is looked at through the gateway.
    hub.behaves(|gateway| gateway.version = 503);
    let join = prepare(&hub, &request("new")).await.unwrap();
    let stop = CancellationToken::new();
    let (outcome, ()) = tokio::join!(join.commit(&hub.store, Some(&hub.gateway), &stop), async {
        while hub.fake.secret("vela-system", "new").is_none() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let mut theirs = hub.fake.secret("vela-system", "new").unwrap();
        theirs["data"]["token"] = json!("dGhlaXJz");
        hub.fake.put("secrets", theirs);
    });
    let failure = outcome.unwrap_err();
    assert!(
        matches!(&failure.undo, Undo::Incomplete(what) if what[0].contains("changed by somebody else")),
        "{failure}"
    );
    assert_eq!(hub.fake.secret("vela-system", "new").unwrap()["data"]["token"], "dGhlaXJz");
}

#[tokio::test]
async fn what_cannot_be_put_back_is_named() {
    let hub = Hub::start().await;
    hub.behaves(|gateway| gateway.version = 401);
    hub.fake.fault("DELETE /api", Fault::Status(403));
    let failure = join(&hub, &request("new")).await.unwrap_err();
    assert!(failure.to_string().contains("NOT everything could be put back"), "{failure}");
    assert!(failure.to_string().contains("Secret vela-system/new"), "{failure}");
    assert!(!failure.to_string().contains("sesame"));
}

#[tokio::test]
async fn a_plan_writes_nothing_and_shows_no_key() {
    let hub = Hub::start().await;
    let join = prepare(&hub, &overwriting("old")).await.unwrap();
    let plan = serde_json::to_string(join.plan()).unwrap();
    assert!(plan.contains("https://new.test:443") && plan.contains("https://old:6443"), "{plan}");
    for secret in ["sesame", "c2VzYW1l", "b2xk"] {
        assert!(!plan.contains(secret) && !format!("{join:?}").contains(secret), "{plan}");
    }
    assert!(join.plan().destroys());
    assert!(!prepare(&hub, &request("new")).await.unwrap().plan().destroys());
    assert_eq!(hub.writes().len(), 0);
}

#[tokio::test]
async fn labels_and_aliases_keep_what_others_write_at_the_same_time() {
    let hub = Hub::start().await;
    hub.fake.fault_once("PUT /api", Fault::Status(409));
    let labels = [("a".to_owned(), "1".to_owned()), ("region".to_owned(), "us".to_owned())].into();
    edit(&hub.store, "old", &Edit::AddLabels(labels)).await.unwrap();
    let now = |key: &str| hub.fake.secret("vela-system", "old").unwrap()["metadata"][key].clone();
    assert_eq!(now("labels"), json!({TYPE: "ServiceAccountToken", "a": "1", "region": "us"}));
    edit(&hub.store, "old", &Edit::RemoveLabels(vec!["a".to_owned()])).await.unwrap();
    assert_eq!(now("labels"), json!({TYPE: "ServiceAccountToken", "region": "us"}));
    edit(&hub.store, "old", &Edit::Alias(String::new())).await.unwrap();
    assert!(now("annotations").get("cluster.core.oam.dev/cluster-alias").is_none());
    let before = hub.fake.content();
    for (name, change, why) in [
        ("old", Edit::RemoveLabels(vec!["a".to_owned()]), "has no label a"),
        ("old", Edit::RemoveLabels(vec![TYPE.to_owned()]), "cannot be set or removed"),
        ("foreign", Edit::Alias("x".to_owned()), "is not a cluster"),
        ("nowhere", Edit::Alias("x".to_owned()), "there is no cluster nowhere"),
        ("local", Edit::Alias("x".to_owned()), "reserved"),
    ] {
        let failure = edit(&hub.store, name, &change).await.unwrap_err();
        assert!(failure.to_string().contains(why), "{failure}");
    }
    // Whether this was written nobody knows; so it is taken back.
    hub.fake.fault_once("PUT /api", Fault::ResetAfter);
    let failure = edit(&hub.store, "old", &Edit::Alias("x".to_owned())).await.unwrap_err();
    assert_eq!((failure.undo, hub.fake.content()), (Undo::Restored, before));
}

//! Start, readiness, stop.

use std::time::Duration;

use http::Method;
use http_body_util::BodyExt;

use crate::support::world::{PROXY, World, until};

#[tokio::test(flavor = "multi_thread")]
async fn rule_017_rule_131_rule_132_a_stop_turns_unready_then_refuses_then_ends() {
    let mut world = World::start().await;
    let caller = world.masters();
    let nobody = world.nobody();
    let watch = caller.open(Method::GET, &format!("{PROXY}/watch"), "").await;
    let address = world.server.address();
    let stop = tokio::spawn(async move { (world.server.stop(Duration::from_secs(2)).await, world) });
    until(|| async { nobody.get("/readyz").await.status == 500 }).await;
    let ready = nobody.get("/readyz").await;
    assert!(ready.text().contains("[-]shutdown failed: reason withheld"), "{}", ready.text());
    for path in ["/livez", "/healthz"] {
        assert_eq!(nobody.get(path).await.status, 200, "{path}");
    }
    let refused = caller.get(&format!("{PROXY}/plain")).await;
    assert_eq!((refused.status, refused.header("retry-after")), (503, Some("1")));
    assert_eq!(refused.message(), "apiserver is shutting down");
    // The watch is not waited for (rule 120).
    let ((), world) = tokio::time::timeout(Duration::from_secs(10), stop).await.unwrap().unwrap();
    assert!(tokio::net::TcpStream::connect(address).await.is_err(), "the socket is still open");
    drop((watch, world));
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_120_rule_134_a_stop_does_not_wait_for_watches_and_cuts_them_without_a_clean_end() {
    let mut world = World::start().await;
    let mut watch = world.masters().open(Method::GET, &format!("{PROXY}/watch"), "").await;
    let upstream = world.member.recorder.watch().await;
    upstream.send("{}\n").await;
    assert!(watch.frame().await.unwrap().is_ok());
    world.server.stop(Duration::ZERO).await;
    upstream.send("{}\n").await;
    assert!(watch.frame().await.unwrap().is_ok(), "a draining watch still gets its events");
    upstream.fail().await;
    assert!(watch.body_mut().collect().await.is_err(), "a broken watch must not end cleanly");
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_072_the_last_clusters_stay_in_force_while_the_hub_is_away() {
    let world = World::start().await;
    world.hub.fault("secrets", crate::support::fake_hub::Fault::Status(500));
    world.hub.cut_watches();
    let caller = world.masters();
    assert_eq!(caller.get(&format!("{PROXY}/plain")).await.status, 200);
    assert_eq!(world.nobody().get("/readyz").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_178_a_deleted_secret_ends_its_cluster_and_a_new_one_begins_it() {
    let world = World::start().await;
    let caller = world.masters();
    world.hub.delete_secret(crate::support::world::NAMESPACE, "m");
    until(|| async { caller.get(&format!("{PROXY}/plain")).await.message() == "no such cluster m" }).await;
    world.register("m", &[]);
    until(|| async { caller.get(&format!("{PROXY}/plain")).await.status == 200 }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_131_a_stop_waits_for_requests_that_still_ask_the_hub() {
    let mut world = World::start().await;
    world.hub.fault("subjectaccessreviews", crate::support::fake_hub::Fault::Hang);
    let caller = world.user("bob", &[]);
    let asked = world.hub.requests("subjectaccessreviews");
    let waiting =
        tokio::spawn(async move { caller.get("/apis/cluster.core.oam.dev/v1alpha1/clustergateways").await });
    until(|| async { world.hub.requests("subjectaccessreviews") > asked }).await;
    world.server.stop(Duration::ZERO).await;
    // The hub never says, and giving up on it takes ten seconds: had the stop not waited, the process would be gone.
    let answer =
        tokio::time::timeout(Duration::from_secs(3), waiting).await.expect("answered before the stop ended");
    assert_eq!(answer.unwrap().status, 500);
}

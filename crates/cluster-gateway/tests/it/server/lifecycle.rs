//! Start, readiness, stop.

use std::time::Duration;

use http::Method;
use http_body_util::BodyExt;

use crate::support::caller::Caller;
use crate::support::fake_hub::Fault;
use crate::support::frames::{DATA, END_HEADERS, END_STREAM, Frames, GOAWAY, HEADERS, request};
use crate::support::session::Session;
use crate::support::world::{PROXY, Setup, World, until};

#[tokio::test(flavor = "multi_thread")]
async fn rule_017_rule_131_a_stop_turns_unready_then_ends() {
    let mut world = World::start().await;
    let caller = world.masters();
    let nobody = world.nobody();
    let watch = caller.open(Method::GET, &format!("{PROXY}/watch"), "").await;
    let address = world.server.address();
    let stop = tokio::spawn(async move { (world.server.stop(Duration::from_secs(2)).await, world) });
    until(|| async { nobody.get("/readyz").await.status == 500 }).await;
    // Until everybody has heard of it, what comes is answered.
    for path in [&format!("{PROXY}/plain"), "/version"] {
        assert_eq!(caller.get(path).await.status, 200, "{path}");
    }
    let ready = nobody.get("/readyz").await;
    assert!(ready.text().contains("[-]shutdown failed: reason withheld"), "{}", ready.text());
    for path in ["/livez", "/healthz"] {
        assert_eq!(nobody.get(path).await.status, 200, "{path}");
    }
    // The watch is not waited for (rule 120).
    let ((), world) = tokio::time::timeout(Duration::from_secs(60), stop).await.unwrap().unwrap();
    assert!(tokio::net::TcpStream::connect(address).await.is_err(), "the socket is still open");
    drop((watch, world));
}

/// A stop that waits for somebody whose hub does not answer.
async fn stopping(world: World) -> (Caller, tokio::task::JoinHandle<World>) {
    world.hub.fault("subjectaccessreviews", Fault::Hang);
    let (asked, bob) = (world.hub.requests("subjectaccessreviews"), world.user("bob", &[]));
    tokio::spawn(async move { bob.get("/version").await });
    until(|| async { world.hub.requests("subjectaccessreviews") > asked }).await;
    let caller = world.masters();
    let mut world = world;
    let stop = tokio::spawn(async move {
        world.server.stop(Duration::ZERO).await;
        world
    });
    (caller, stop)
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_131_rule_132_while_it_drains_no_connection_is_taken_and_kept_ones_are_told() {
    let world = World::start().await;
    let address = world.server.address();
    let Frames { mut reader, mut writer } = Frames::open(&world.masters()).await;
    let (caller, stop) = stopping(world).await;
    until(|| async { tokio::net::TcpStream::connect(address).await.is_err() }).await;
    let goaway = reader.find(|frame| frame.kind == GOAWAY).await.expect("a GOAWAY");
    assert_eq!(goaway.payload[..4], 0x7fff_ffff_u32.to_be_bytes(), "streams on their way are still taken");
    for (stream, path, expected) in [
        (1, &format!("{PROXY}/plain"), "apiserver is shutting down"),
        (3, &"/version".to_owned(), "apiserver is shutting down"),
        (5, &"/livez".to_owned(), "ok"),
    ] {
        let block = request(&caller, "GET", path, &[]);
        writer.frame(HEADERS, END_HEADERS | END_STREAM, stream, &block).await.unwrap();
        let body = reader.find(|frame| frame.kind == DATA && frame.stream == stream).await.expect("a body");
        let body = String::from_utf8(body.payload).unwrap();
        assert!(body.contains(expected), "{path}: {body}");
        let refused = body
            .contains("\"reason\":\"ServiceUnavailable\",\"details\":{\"retryAfterSeconds\":1},\"code\":503");
        assert_eq!(refused, path != "/livez", "{body}");
    }
    drop(writer);
    tokio::time::timeout(Duration::from_secs(30), stop).await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_133_a_stop_that_sends_retry_after_keeps_the_socket_open_until_it_is_through() {
    let world = World::with(Setup { shutdown_send_retry_after: true, ..Setup::default() }).await;
    let address = world.server.address();
    let nobody = world.nobody();
    let (caller, stop) = stopping(world).await;
    until(|| async { caller.get(&format!("{PROXY}/plain")).await.status == 429 }).await;
    for caller in [caller.clone(), caller.http2()] {
        let mut session = Session::open(&caller).await;
        let refused = session.get("/version").await;
        assert_eq!((refused.status, refused.header("retry-after")), (429, Some("5")));
        assert_eq!(refused.text(), "The apiserver is shutting down, please try again later.\n");
        assert!(session.ends().await, "the connection must go to another replica");
    }
    assert_eq!(nobody.get("/livez").await.status, 200);
    tokio::time::timeout(Duration::from_secs(30), stop).await.unwrap().unwrap();
    assert!(tokio::net::TcpStream::connect(address).await.is_err(), "the socket is still open");
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
        tokio::time::timeout(Duration::from_secs(8), waiting).await.expect("answered before the stop ended");
    assert_eq!(answer.unwrap().status, 500);
}

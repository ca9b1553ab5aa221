//! What the hub's aggregator asks, and what it must never be refused.

use http::Method;

use crate::support::fake_hub::Fault;
use crate::support::fake_member::{Options, Protocols};
use crate::support::world::{PROXY, Setup, World, until};

const GROUP_VERSION: &str = "/apis/cluster.core.oam.dev/v1alpha1";

#[tokio::test(flavor = "multi_thread")]
async fn rule_037_rule_038_rule_040_availability_depends_on_nothing_but_the_process() {
    let world = World::start().await;
    world.hub.fault("", Fault::Hang);
    let probe = world.user("system:kube-aggregator", &["system:masters"]).http2();
    let probes = (0..5).map(|_| probe.get(GROUP_VERSION));
    for answer in futures_util::future::join_all(probes).await {
        assert_eq!(answer.status, 200);
        assert_eq!(answer.header("content-type"), Some("application/json"));
        assert_eq!(answer.json()["kind"], "APIResourceList");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_041_the_old_discovery_asks_as_a_user_without_groups_who_needs_a_right() {
    let world = World::start().await;
    let aggregator = || world.user("system:kube-aggregator", &[]).header("accept", "application/json");
    assert_eq!(aggregator().get(GROUP_VERSION).await.status, 403);
    world.hub.allow_if(|spec| {
        let groups = spec.groups.clone().unwrap_or_default();
        let path = spec.non_resource_attributes.as_ref().and_then(|asked| asked.path.clone());
        groups.contains(&"system:authenticated".to_owned()) && path.as_deref() == Some(GROUP_VERSION)
    });
    // The refusal is remembered for as long as the settings say; another name asks anew.
    let other = world.user("system:aggregator", &[]);
    assert_eq!(other.get(GROUP_VERSION).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_044_discovery_is_the_same_with_a_thousand_clusters() {
    let world = World::start().await;
    let documents = [GROUP_VERSION, "/apis", "/apis/cluster.core.oam.dev", "/openapi/v2"];
    let mut before = Vec::new();
    for path in documents {
        before.push(world.masters().get(path).await.body);
    }
    for number in 0..1000 {
        world.register(&format!("c{number}"), &[]);
    }
    let caller = world.masters();
    until(|| async { caller.get(&format!("{GROUP_VERSION}/clustergateways/c999")).await.status == 200 })
        .await;
    for (path, body) in documents.into_iter().zip(before) {
        assert_eq!(caller.get(path).await.body, body, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_008_no_debug_endpoint_answers() {
    let world = World::start().await;
    for path in ["/debug/pprof/", "/debug/pprof/heap", "/debug/flags/v"] {
        assert_eq!(world.nobody().get(path).await.status, 403, "{path}");
        assert_eq!(world.masters().get(path).await.status, 404, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_026_no_storage_version_is_claimed() {
    let world = World::start().await;
    let answer = world.masters().get(GROUP_VERSION).await;
    assert!(!answer.text().contains("storageVersionHash"));
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_071_a_uid_counts_only_where_it_is_configured_and_never_reaches_the_member() {
    let world = World::with(Setup {
        member: Options { protocols: Protocols::Http1, ..Options::default() },
        ..Setup::default()
    })
    .await;
    world.hub.allow_if(|_| true);
    let path = format!("{PROXY}/echo");
    let with_uid = || world.user("alice", &[]).header("x-remote-uid", "42");
    let answer = with_uid().get(&path).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert!(!answer.text().contains("x-remote-uid"));
    let uids = || world.hub.access_reviews().iter().filter_map(|spec| spec.uid.clone()).collect::<Vec<_>>();
    assert!(uids().iter().all(String::is_empty), "{:?}", uids());
    world.hub.set_auth_config(&[
        ("requestheader-client-ca-file", &world.front_proxy.pem()),
        ("requestheader-allowed-names", "[\"front-proxy-client\"]"),
        ("requestheader-username-headers", "[\"X-Remote-User\"]"),
        ("requestheader-uid-headers", "[\"X-Remote-Uid\"]"),
        ("requestheader-group-headers", "[\"X-Remote-Group\"]"),
        ("requestheader-extra-headers-prefix", "[\"X-Remote-Extra-\"]"),
    ]);
    until(|| async {
        assert!(!with_uid().get(&path).await.text().contains("x-remote-uid"));
        uids().contains(&"42".to_owned())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_172_pages_are_passed_on_as_they_are() {
    let world = World::start().await;
    let answer = world.masters().header("accept-encoding", "gzip").get(&format!("{PROXY}/page")).await;
    assert_eq!(answer.header("content-type"), Some("text/html"));
    assert_eq!(answer.header("content-encoding"), Some("gzip"));
    assert_eq!(answer.text(), "<a href=\"/api/v1\">not really gzip</a>");
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_218_what_no_route_knows_is_a_status_below_the_group() {
    let world = World::start().await;
    let answer = world.masters().send(Method::GET, &format!("{GROUP_VERSION}/nothings"), "").await;
    assert_eq!((answer.status, answer.json()["reason"].as_str()), (404, Some("NotFound")));
}

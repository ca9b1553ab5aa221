//! As whom the member sees a request.

use cluster_gateway::config::FeatureGates;
use cluster_gateway::identity::{IdentityConfig, Rules};

use crate::support::world::{PROXY, Setup, World, until};

const GLOBAL: &str = "spec: {clientIdentityExchanger: {rules: [
  {name: ux, type: PrivilegedIdentityExchanger, source: {group: 'kubevela:ux'}},
  {name: dev, type: StaticMappingIdentityExchanger, source: {userPattern: '^dev-'}, target: {user: developer, groups: [devs]}}]}}";

async fn passing() -> World {
    World::with(Setup {
        gates: FeatureGates { client_identity_penetration: true, ..FeatureGates::default() },
        identity: IdentityConfig { rules: Rules::global(GLOBAL).unwrap(), ..IdentityConfig::default() },
        ..Setup::default()
    })
    .await
}

/// Impersonation headers that the member saw, sorted.
async fn impersonation(world: &World, user: &str, groups: &[&str], rest: &str) -> Vec<String> {
    let answer = world.user(user, groups).get(&format!("{PROXY}{rest}")).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let echoed = answer.json();
    let headers = echoed["headers"].as_array().unwrap().iter();
    let mut seen: Vec<String> = headers
        .filter(|pair| pair[0].as_str().unwrap().starts_with("impersonate"))
        .map(|pair| format!("{}={}", pair[0].as_str().unwrap(), pair[1].as_str().unwrap()))
        .collect();
    seen.sort();
    seen
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_151_rule_153_the_member_sees_the_caller_or_whom_the_rules_say() {
    let world = passing().await;
    world.hub.allow_if(|_| true);
    assert_eq!(
        impersonation(&world, "alice", &["team"], "/echo").await,
        ["impersonate-group=system:authenticated", "impersonate-group=team", "impersonate-user=alice"]
    );
    assert!(impersonation(&world, "x", &["kubevela:ux"], "/echo").await.is_empty());
    assert_eq!(
        impersonation(&world, "dev-1", &["team"], "/echo").await,
        ["impersonate-group=devs", "impersonate-user=developer"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_106_identity_is_passed_on_only_when_asked_in_the_exact_words() {
    let world = World::start().await;
    world.hub.allow_if(|_| true);
    for query in ["", "?impersonate=True", "?impersonate=1", "?impersonate=false&impersonate=true"] {
        assert!(impersonation(&world, "alice", &[], &format!("/echo{query}")).await.is_empty(), "{query}");
    }
    assert_eq!(impersonation(&world, "alice", &[], "/echo?impersonate=true").await.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_154_a_cluster_with_broken_rules_is_closed_and_others_are_not() {
    let world = passing().await;
    let mut secret = world.secret("broken", &[]);
    let annotation = "cluster.core.oam.dev/cluster-gateway-proxy-configuration".to_owned();
    let yaml = "spec: {clientIdentityExchanger: {rules: [{type: PrivilegedIdentityExchanger, source: {userPattern: '['}}]}}";
    secret.metadata.annotations = Some([(annotation, yaml.to_owned())].into());
    world.hub.put_secret(&secret);
    let path = "/apis/cluster.core.oam.dev/v1alpha1/clustergateways/broken/proxy/echo";
    let caller = world.masters();
    until(|| async { !caller.get(path).await.message().contains("no such cluster") }).await;
    let answer = caller.get(path).await;
    assert_eq!(answer.status, 500);
    assert!(answer.message().contains("invalid proxy configuration"), "{}", answer.message());
    assert_eq!(caller.get(&format!("{PROXY}/echo")).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_149_rule_255_no_impersonation_header_of_the_caller_reaches_the_member() {
    let world = passing().await;
    world.hub.allow_if(|spec| {
        spec.resource_attributes
            .as_ref()
            .is_some_and(|asked| asked.resource.as_deref() == Some("clustergateways"))
    });
    let answer = world
        .user("alice", &["team"])
        .header("impersonate-foo", "x")
        .header("impersonate_user", "system:admin")
        .get(&format!("{PROXY}/echo"))
        .await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert!(!answer.text().contains("impersonate-foo") && !answer.text().contains("system:admin"));
    let refused =
        world.user("alice", &["team"]).header("impersonate-user", "bob").get(&format!("{PROXY}/echo")).await;
    assert_eq!(refused.status, 403);
    assert!(refused.message().contains("cannot impersonate resource \"users\""), "{}", refused.message());
    let lonely = world
        .user("alice", &[])
        .header("impersonate-group", "system:masters")
        .get(&format!("{PROXY}/echo"))
        .await;
    assert_eq!(lonely.status, 500);
}

/// Two users on interleaved requests, over shared connections to the member.
#[tokio::test(flavor = "multi_thread")]
async fn rule_267_no_request_is_seen_under_another_callers_identity() {
    let world = passing().await;
    world.hub.allow_if(|_| true);
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..200 {
        let name = format!("user-{}", number % 7);
        let caller = world.user(&name, &[&format!("group-{name}")]).http2();
        tasks.spawn(async move {
            let answer = caller.get(&format!("{PROXY}/echo/{name}")).await;
            let echoed = answer.json();
            assert_eq!(echoed["target"], format!("/echo/{name}"));
            let text = answer.text();
            assert!(text.contains(&format!("[\"impersonate-user\",\"{name}\"]")), "{text}");
            assert!(text.contains(&format!("[\"impersonate-group\",\"group-{name}\"]")), "{text}");
        });
    }
    while let Some(result) = tasks.join_next().await {
        result.unwrap();
    }
}

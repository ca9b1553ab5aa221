//! What is wrong in a configuration closes a door, and never opens one.

use cluster_gateway::config::FeatureGates;
use cluster_gateway::identity::Rules;

use crate::support::world::{PROXY, Setup, World};

/// Rules that cannot be meant as they are written. Read carelessly, each lets everybody be the gateway itself.
const BROKEN: [&str; 11] = [
    "spec: {clientIdentityExchanger: {rules: [{name: a, type: PrivilegedIdentityExchanger, source: {userPattern: '['}}]}}",
    "spec: {clientIdentityExchanger: {rules: [{name: a, type: PrivilegedIdentityExchanger, source: {groupPattern: '(?<'}}]}}",
    "spec: {clientIdentityExchanger: {rules: [{name: a, type: PrivilegedIdentityExchanger, source: {clusterPattern: '*'}}]}}",
    "spec: {clientIdentityExchanger: {rules: [{name: a, type: PrivilegedIdentityExchanger, source: {userpattern: alice}}]}}",
    "spec: {clientIdentityExchanger: {rules: [{name: a, type: PrivilegedIdentityExchanger}]}}",
    "spec: {clientIdentityExchanger: {rules: [{name: a, type: Privileged, source: {user: alice}}]}}",
    "spec: {clientIdentityExchanger: {rules: [{name: a, source: {user: alice}}]}}",
    "spec: {clientIdentityExchanger: {rules: [{name: a, type: StaticMappingIdentityExchanger, source: {user: alice}}]}}",
    "spec: {clientIdentityExchanger: {rulez: []}}",
    "spec: {clientIdentityExchanger: [",
    "spec: {clientIdentityExchanger: {rules: []}}\nrules: []",
];

#[tokio::test(flavor = "multi_thread")]
async fn rule_154_rule_266_a_cluster_whose_rules_cannot_be_read_is_closed_to_everybody() {
    let gates = FeatureGates { client_identity_penetration: true, ..FeatureGates::default() };
    let world = World::with(Setup { gates, ..Setup::default() }).await;
    world.hub.allow_if(|_| true);
    for (number, yaml) in BROKEN.into_iter().enumerate() {
        assert!(Rules::global(yaml).is_err(), "the gateway would start with {yaml}");
        let name = format!("broken-{number}");
        let mut secret = world.secret(&name, &[]);
        let annotation = "cluster.core.oam.dev/cluster-gateway-proxy-configuration".to_owned();
        secret.metadata.annotations = Some([(annotation, yaml.to_owned())].into());
        world.hub.put_secret(&secret);
        let path = PROXY.replace("/m/", &format!("/{name}/"));
        world.listed(&name).await;
        let answer = world.masters().get(&format!("{path}/echo")).await;
        assert!(answer.message().contains("invalid proxy configuration"), "{yaml}: {}", answer.text());
        let before = world.member.recorder.requests().len();
        for caller in [world.user("alice", &[]), world.masters()] {
            let answer = caller.get(&format!("{path}/echo")).await;
            assert_eq!(answer.status, 500, "{yaml}: {}", answer.text());
        }
        assert_eq!(world.member.recorder.requests().len(), before, "{yaml}");
    }
    assert_eq!(world.masters().get(&format!("{PROXY}/plain")).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_266_a_front_proxy_configuration_that_cannot_be_read_lets_nobody_in() {
    for (key, broken) in [
        ("requestheader-allowed-names", "front-proxy-client"),
        ("requestheader-allowed-names", "[\"front-proxy-client\""),
        ("requestheader-allowed-names", "{}"),
        ("requestheader-username-headers", "[\"\"]"),
        ("requestheader-username-headers", "X-Remote-User"),
    ] {
        let setup = Setup { poll: std::time::Duration::from_millis(50), ..Setup::default() };
        let world = World::with(setup).await;
        let stranger = world.nobody().certificate(&world.front_proxy.client("stranger"));
        let stranger = stranger.header("x-remote-user", "admin").header("x-remote-group", "system:masters");
        assert_eq!(stranger.get("/version").await.status, 401);
        let front_proxy = world.front_proxy.pem();
        let mut settings = vec![
            ("requestheader-client-ca-file", front_proxy.as_str()),
            ("requestheader-allowed-names", "[\"front-proxy-client\"]"),
            ("requestheader-username-headers", "[\"X-Remote-User\"]"),
            ("requestheader-group-headers", "[\"X-Remote-Group\"]"),
        ];
        settings.iter_mut().filter(|setting| setting.0 == key).for_each(|setting| setting.1 = broken);
        world.hub.set_auth_config(&settings);
        for _ in 0..20 {
            assert_eq!(stranger.get("/version").await.status, 401, "{key}: {broken}");
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    }
}

/// CVE-2021-36782 and the pull mode of others: who may read or change more than it needs is worth attacking.
#[test]
fn rule_269_the_manifest_asks_for_no_more_than_is_used() {
    let manifest = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy/cluster-gateway.yaml"));
    let documents: Vec<serde_json::Value> = manifest
        .split("\n---\n")
        .map(|document| {
            serde_saphyr::from_str(document).unwrap_or_else(|error| panic!("{error}: {document}"))
        })
        .collect();
    let mut seen = 0;
    for role in documents
        .iter()
        .filter(|document| document["kind"].as_str().is_some_and(|kind| kind.ends_with("Role")))
    {
        for rule in role["rules"].as_array().unwrap() {
            let list = |key: &str| -> Vec<&str> {
                rule[key]
                    .as_array()
                    .map_or(vec![], |list| list.iter().map(|value| value.as_str().unwrap()).collect())
            };
            seen += 1;
            let all = [list("apiGroups"), list("resources"), list("verbs"), list("nonResourceURLs")].concat();
            assert!(!all.contains(&"*"), "{role}");
            for never in ["impersonate", "escalate", "bind", "delete", "deletecollection"] {
                assert!(!list("verbs").contains(&never), "{role}");
            }
            if list("resources").contains(&"secrets") {
                assert_eq!(role["kind"], "Role", "Secrets of one namespace only: {role}");
                let clusters = ["get", "list", "watch", "patch"];
                let own = role["metadata"]["namespace"] == "cluster-gateway-system";
                let named = !list("resourceNames").is_empty() || list("verbs") == ["create"];
                assert!(
                    own && named || list("verbs").iter().all(|verb| !own && clusters.contains(verb)),
                    "{role}"
                );
            }
        }
    }
    assert!(seen >= 5, "{seen} rules");
}

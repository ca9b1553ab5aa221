//! What users may do, and as whom members see them.

use cluster_gateway::config::FeatureGates;
use http::Method;
use serde_json::Value;

use super::{Alone, CLUSTERS, TOKEN, answered, proxy, secret, standalone};
use crate::support::caller::Caller;

/// Lets `bob` do `verbs` in the clusters `names`.
fn grant(verbs: &str, names: &str) -> String {
    format!(
        "
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {{name: proxy}}
rules:
- {{apiGroups: [cluster.core.oam.dev], resources: [clustergateways/proxy], verbs: [{verbs}], resourceNames: [{names}]}}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {{name: proxy}}
roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: proxy}}
subjects: [{{kind: User, apiGroup: rbac.authorization.k8s.io, name: bob}}]
"
    )
}

/// Two clusters, and what `bob` may do in them.
async fn granted(grant: &str) -> Alone {
    Alone::with(|files, _| files.write("rbac/bob.yaml", grant)).await.and_second()
}

impl Alone {
    fn and_second(self) -> Self {
        self.files.write("clusters/n.json", &secret("n", &self.member, TOKEN).to_string());
        self
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_096_a_file_grants_to_one_user_in_one_cluster_and_denies_the_rest() {
    let alone = granted(&grant("get", "m")).await;
    answered(&alone.admin(), &proxy("n", "/plain"), 200).await;
    let bob = alone.user("bob", &["team"]);
    assert_eq!(bob.get(&proxy("m", "/plain")).await.text(), "plain");

    let refused = bob.get(&proxy("n", "/plain")).await;
    assert_eq!(refused.status, 403);
    assert_eq!(
        refused.message(),
        "clustergateways.cluster.core.oam.dev \"n\" is forbidden: User \"bob\" cannot get resource \
         \"clustergateways/proxy\" in API group \"cluster.core.oam.dev\" at the cluster scope"
    );
    let refused = bob.send(Method::POST, &proxy("m", "/plain"), "{}").await;
    assert!(refused.status == 403 && refused.message().contains("cannot create"), "{}", refused.text());
    let refused = bob.get(CLUSTERS).await;
    assert!(refused.status == 403 && refused.message().contains("cannot list"), "{}", refused.text());
    assert_eq!(alone.user("alice", &[]).get(&proxy("m", "/plain")).await.status, 403);
    let seen = alone.member.recorder.requests().len();
    assert_eq!(seen, 2, "what is refused never reaches the member");
}

#[tokio::test(flavor = "multi_thread")]
async fn rights_follow_their_files() {
    let alone = granted(&grant("get", "m")).await;
    let bob = alone.user("bob", &[]);
    assert_eq!(bob.get(&proxy("m", "/plain")).await.status, 200);

    alone.files.write("rbac/bob.yaml", &grant("get", "n"));
    answered(&bob, &proxy("n", "/plain"), 200).await;
    assert_eq!(bob.get(&proxy("m", "/plain")).await.status, 403);

    // What does not parse takes nothing away and gives nothing.
    alone.files.write("rbac/bob.yaml", &grant("get", "m").replace("rules:", "rulez:"));
    let alice = alone.user("alice", &[]);
    alone.files.write(
        "rbac/alice.yaml",
        &grant("get", "m").replace("bob", "alice").replace("name: proxy", "name: a"),
    );
    answered(&alice, &proxy("m", "/plain"), 200).await;
    assert_eq!(bob.get(&proxy("n", "/plain")).await.status, 200);
    assert_eq!(bob.get(&proxy("m", "/plain")).await.status, 403);

    alone.files.remove("rbac/bob.yaml");
    answered(&bob, &proxy("n", "/plain"), 403).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_085_without_any_rights_only_masters_come_through() {
    let alone = Alone::with(|_, config| standalone(config).rbac = None).await;
    assert_eq!(alone.user("bob", &[]).get(&proxy("m", "/plain")).await.status, 403);
    assert_eq!(alone.admin().get(&proxy("m", "/plain")).await.status, 200);
}

/// Impersonation headers that the member saw, sorted.
async fn impersonation(caller: &Caller, query: &str) -> Vec<String> {
    let answer = caller.get(&proxy("m", &format!("/echo{query}"))).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let echoed = answer.json();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let headers = echoed["headers"].as_array().unwrap().iter().map(|pair| (text(&pair[0]), text(&pair[1])));
    let mut seen: Vec<String> = headers
        .filter(|(name, _)| name.starts_with("impersonate"))
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    seen.sort();
    seen
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_106_members_see_the_credential_of_the_file_unless_identities_are_passed_on() {
    let bobs = ["impersonate-group=system:authenticated", "impersonate-group=team", "impersonate-user=bob"];
    let alone = granted(&grant("get", "m")).await;
    let bob = alone.user("bob", &["team"]);
    assert!(impersonation(&bob, "").await.is_empty());
    assert_eq!(impersonation(&bob, "?impersonate=true").await, bobs);

    let passing = Alone::with(|files, config| {
        config.gates = FeatureGates { client_identity_penetration: true, ..FeatureGates::default() };
        files.write("rbac/bob.yaml", &grant("get", "m"));
    })
    .await;
    assert_eq!(impersonation(&passing.user("bob", &["team"]), "").await, bobs);
}

#[tokio::test(flavor = "multi_thread")]
async fn rule_146_callers_act_as_others_only_with_the_right_to() {
    let alone = granted(&grant("get", "m")).await;
    let as_admin = alone.user("bob", &[]).header("impersonate-user", "admin");
    let as_admin = as_admin.header("impersonate-group", "system:masters");
    let refused = as_admin.get(&proxy("n", "/plain")).await;
    assert!(refused.status == 403 && refused.message().contains("cannot impersonate"), "{}", refused.text());

    let as_bob = alone.admin().header("impersonate-user", "bob");
    assert_eq!(as_bob.get(&proxy("m", "/plain")).await.status, 200);
    assert_eq!(as_bob.get(&proxy("n", "/plain")).await.status, 403);
}

//! Rules in, headers out.

use super::*;

const RULES: &str = "
apiVersion: cluster.core.oam.dev/v1alpha1
kind: ClusterGatewayProxyConfiguration
spec:
  clientIdentityExchanger:
    rules:
    - name: ux
      type: PrivilegedIdentityExchanger
      source: {group: 'kubevela:ux'}
    - name: dev
      type: StaticMappingIdentityExchanger
      source: {userPattern: 'dev-.*'}
      target: {user: developer, groups: [devs], uid: '7'}
";

fn rules(yaml: &str) -> Result<Rules, RuleError> {
    Rules::parse(yaml, None)
}

fn one_rule(rule: &str) -> Result<Rules, RuleError> {
    rules(&format!("spec: {{clientIdentityExchanger: {{rules: [{rule}]}}}}"))
}

fn user(name: &str, groups: &[&str]) -> UserInfo {
    UserInfo {
        name: name.into(),
        groups: groups.iter().map(|group| (*group).to_owned()).collect(),
        ..UserInfo::default()
    }
}

fn headers(exchange: &Exchange<'_>) -> Vec<(String, String)> {
    let mut map = HeaderMap::new();
    exchange.apply(&mut map).expect("writable identity");
    map.iter().map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned())).collect()
}

fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    expected.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

#[test]
fn rule_151_the_caller_is_passed_on_with_groups_and_extra_but_without_uid() {
    let mut alice = user("alice", &["team", "system:authenticated"]);
    alice.uid = "42".into();
    alice.extra.insert("scope".into(), vec!["a".into(), "b".into()]);
    let expected = pairs(&[
        ("impersonate-user", "alice"),
        ("impersonate-group", "team"),
        ("impersonate-group", "system:authenticated"),
        ("impersonate-extra-scope", "a"),
        ("impersonate-extra-scope", "b"),
    ]);
    assert_eq!(headers(&exchange(&alice, "c", []).unwrap()), expected);
}

#[test]
fn rule_152_extra_keys_are_escaped_so_that_they_come_back() {
    let mut alice = user("alice", &[]);
    alice.extra.insert("a/b%c".into(), vec!["v".into()]);
    let sent = headers(&exchange(&alice, "c", []).unwrap());
    // Header names are case-insensitive; the http library writes them in lower case.
    assert_eq!(sent[1].0, "impersonate-extra-a%2fb%25c");
}

#[test]
fn rule_153_the_clusters_rules_come_before_the_global_ones_and_the_first_match_wins() {
    let global = rules(RULES).unwrap();
    let own = Rules::parse(
        "spec: {clientIdentityExchanger: {rules: [{type: StaticMappingIdentityExchanger, source: {group: 'kubevela:ux'}, target: {user: own}}]}}",
        Some("c"),
    )
    .unwrap();
    let ux = user("dev-1", &["kubevela:ux"]);
    assert_eq!(exchange(&ux, "c", [&global]).unwrap(), Exchange::Gateway);
    assert_eq!(headers(&exchange(&ux, "c", [&own, &global]).unwrap()), pairs(&[("impersonate-user", "own")]));
    let dev = user("dev-1", &[]);
    let expected =
        pairs(&[("impersonate-user", "developer"), ("impersonate-group", "devs"), ("impersonate-uid", "7")]);
    assert_eq!(headers(&exchange(&dev, "c", [&own, &global]).unwrap()), expected);
    let alice = user("alice", &[]);
    assert_eq!(exchange(&alice, "c", [&own, &global]).unwrap(), Exchange::Caller(&alice));
    assert!(headers(&Exchange::Gateway).is_empty());
}

#[test]
fn a_clusters_annotation_speaks_for_that_cluster_only() {
    let own = Rules::parse(
        "spec: {clientIdentityExchanger: {rules: [{type: PrivilegedIdentityExchanger, source: {user: a, cluster: other}}]}}",
        Some("c"),
    )
    .unwrap();
    let a = user("a", &[]);
    assert_eq!(exchange(&a, "c", [&own]).unwrap(), Exchange::Gateway);
    assert_eq!(exchange(&a, "other", [&own]).unwrap(), Exchange::Caller(&a));
}

#[test]
fn rule_154_what_is_not_understood_is_refused() {
    for (rule, expected) in [
        ("{type: PrivilegedIdentityExchanger, source: {userPattern: '['}}", "not a regular expression"),
        ("{type: PrivilegedIdentityExchangr, source: {user: a}}", "unknown"),
        ("{source: {user: a}}", "unknown"),
        ("{type: ExternalIdentityExchanger, source: {user: a}, url: 'https://x'}", "not supported"),
        ("{type: StaticMappingIdentityExchanger, source: {user: a}}", "target.user"),
        ("{type: StaticMappingIdentityExchanger, source: {user: a}, target: {groups: [g]}}", "target.user"),
        ("{type: PrivilegedIdentityExchanger}", "no source"),
        ("{type: PrivilegedIdentityExchanger, source: {}}", "match everybody"),
        ("{type: PrivilegedIdentityExchanger, source: {userpattern: a}}", "userpattern"),
        ("{type: PrivilegedIdentityExchanger, source: {user: a}, target: {user: b}}", "no target"),
        ("{type: PrivilegedIdentityExchanger, source: {user: a}, url: 'https://x'}", "url"),
    ] {
        let error = one_rule(rule).expect_err(rule).to_string();
        assert!(error.contains(expected), "{rule}: {error}");
    }
    for misplaced in ["just text", "clientIdentityExchanger: {rules: []}", "sepc: {}", "kind: x"] {
        assert!(matches!(rules(misplaced), Err(RuleError::Yaml(_))), "{misplaced}");
    }
    assert!(matches!(rules("spec: {clientIdentityExchanger: {rules: [1]}}"), Err(RuleError::Yaml(_))));
}

#[test]
fn rule_155_patterns_are_unanchored_and_loose_privileges_are_named() {
    let loose =
        one_rule("{name: l, type: PrivilegedIdentityExchanger, source: {userPattern: 'admin'}}").unwrap();
    let user = user("not-an-admin-really", &[]);
    assert_eq!(exchange(&user, "c", [&loose]).unwrap(), Exchange::Gateway);
    assert_eq!(loose.loosely_privileged().collect::<Vec<_>>(), ["l"]);
    for strict in ["{userPattern: '^admin$'}", "{user: admin}", "{group: g, userPattern: a}"] {
        let rules = one_rule(&format!("{{type: PrivilegedIdentityExchanger, source: {strict}}}")).unwrap();
        assert_eq!(rules.loosely_privileged().count(), 0, "{strict}");
    }
}

#[test]
fn rule_156_nobody_becomes_privileged_by_the_cluster_alone() {
    let by_cluster = one_rule("{type: PrivilegedIdentityExchanger, source: {clusterPattern: '.*'}}").unwrap();
    let denied = exchange(&UserInfo::anonymous(), "c", [&by_cluster]).map(|_| ()).unwrap_err();
    assert_eq!(denied.code(), 403);
    let alice = user("alice", &[]);
    assert_eq!(exchange(&alice, "c", [&by_cluster]).unwrap(), Exchange::Gateway);
    let named = one_rule("{type: PrivilegedIdentityExchanger, source: {user: 'system:anonymous'}}").unwrap();
    assert_eq!(exchange(&UserInfo::anonymous(), "c", [&named]).unwrap(), Exchange::Gateway);
}

#[test]
fn an_identity_that_no_header_can_hold_is_refused_before_anything_is_sent() {
    let broken = user("a\r\nimpersonate-group: system:masters", &[]);
    assert_eq!(Exchange::Caller(&broken).apply(&mut HeaderMap::new()).unwrap_err().code(), 400);
    assert!(Exchange::Caller(&user("", &[])).apply(&mut HeaderMap::new()).is_err());
}

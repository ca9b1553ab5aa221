//! Rules in, headers out.

use super::*;
use crate::transport::AddressPolicy;

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
      target: {user: developer, groups: [devs], uid: '7', extra: {Team: [a, b]}}
";

fn document(rule: &str) -> String {
    format!("spec: {{clientIdentityExchanger: {{rules: [{rule}]}}}}")
}

/// A rule of the operator's.
fn global(rule: &str) -> Result<Rules, RuleError> {
    Rules::global(&document(rule))
}

/// A rule in the annotation of the cluster `c`, where webhooks on `hosts` may be named.
fn own_with(rule: &str, hosts: &[&str]) -> Result<Rules, RuleError> {
    let hosts: Vec<String> = hosts.iter().map(|&host| host.to_owned()).collect();
    let hosts = WebhookHosts::parse(&hosts).unwrap();
    Rules::of_cluster(&document(rule), "c", &Webhooks::of_clusters(hosts, AddressPolicy::default()))
}

fn own(rule: &str) -> Result<Rules, RuleError> {
    own_with(rule, &[])
}

/// What is made of `user` at a cluster.
async fn exchange<'a>(
    user: &'a UserInfo,
    cluster: &str,
    own: &Rules,
    global: &Rules,
) -> Result<Exchange<'a>, Error> {
    let config = IdentityConfig { rules: global.clone(), ..IdentityConfig::default() };
    IdentityPassing::new(true, config).exchange(user, cluster, &Ok(own.clone()), None).await
}

async fn by_global<'a>(user: &'a UserInfo, global: &Rules) -> Result<Exchange<'a>, Error> {
    exchange(user, "c", &Rules::default(), global).await
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

#[tokio::test]
async fn rule_151_the_caller_is_passed_on_with_groups_and_extra_but_without_uid() {
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
    assert_eq!(headers(&by_global(&alice, &Rules::default()).await.unwrap()), expected);
}

#[tokio::test]
async fn rule_152_extra_keys_are_escaped_so_that_they_come_back() {
    let mut alice = user("alice", &[]);
    alice.extra.insert("a/b%c".into(), vec!["v".into()]);
    let sent = headers(&by_global(&alice, &Rules::default()).await.unwrap());
    // Header names are case-insensitive; the http library writes them in lower case.
    assert_eq!(sent[1].0, "impersonate-extra-a%2fb%25c");
}

#[tokio::test]
async fn rule_151_rule_153_the_clusters_rules_come_before_the_global_ones_and_the_first_match_wins() {
    let global = Rules::global(RULES).unwrap();
    let own =
        own("{type: StaticMappingIdentityExchanger, source: {group: 'kubevela:ux'}, target: {user: own}}")
            .unwrap();
    let ux = user("dev-1", &["kubevela:ux"]);
    assert_eq!(by_global(&ux, &global).await.unwrap(), Exchange::Gateway);
    let mapped = exchange(&ux, "c", &own, &global).await.unwrap();
    assert_eq!(headers(&mapped), pairs(&[("impersonate-user", "own")]));
    let dev = user("dev-1", &[]);
    let expected = pairs(&[
        ("impersonate-user", "developer"),
        ("impersonate-group", "devs"),
        ("impersonate-uid", "7"),
        ("impersonate-extra-team", "a"),
        ("impersonate-extra-team", "b"),
    ]);
    assert_eq!(headers(&exchange(&dev, "c", &own, &global).await.unwrap()), expected);
    let alice = user("alice", &[]);
    assert_eq!(exchange(&alice, "c", &own, &global).await.unwrap(), Exchange::Caller(&alice));
    assert!(headers(&Exchange::Gateway).is_empty());
}

#[tokio::test]
async fn rule_153_a_rule_matches_only_if_all_that_its_source_names_does() {
    let source = "{group: g, uid: '7', clusterPattern: '^c', groupPattern: '^h', userPattern: a}";
    let rules = global(&format!("{{type: PrivilegedIdentityExchanger, source: {source}}}")).unwrap();
    let full = UserInfo { uid: "7".into(), ..user("alice", &["g", "h1"]) };
    let all = |user: UserInfo| {
        let rules = rules.clone();
        async move { by_global(&user, &rules).await.unwrap() == Exchange::Gateway }
    };
    assert!(all(full.clone()).await);
    assert!(!all(UserInfo { uid: "8".into(), ..full.clone() }).await);
    assert!(!all(UserInfo { groups: vec!["g".into()], ..full.clone() }).await);
    assert!(!all(UserInfo { groups: vec!["h1".into()], ..full.clone() }).await);
    assert!(!all(UserInfo { name: "bob".into(), ..full.clone() }).await);
    let elsewhere = exchange(&full, "d", &Rules::default(), &rules).await.unwrap();
    assert_eq!(elsewhere, Exchange::Caller(&full));
}

#[tokio::test]
async fn a_clusters_annotation_speaks_for_that_cluster_only() {
    let own = own("{type: PrivilegedIdentityExchanger, source: {user: a, cluster: other}}").unwrap();
    let a = user("a", &[]);
    assert_eq!(exchange(&a, "c", &own, &Rules::default()).await.unwrap(), Exchange::Gateway);
    assert_eq!(exchange(&a, "other", &own, &Rules::default()).await.unwrap(), Exchange::Caller(&a));
}

#[test]
fn rule_154_a_source_that_names_nothing_is_refused_in_an_annotation_too() {
    let refused = own("{type: PrivilegedIdentityExchanger, source: {}}").unwrap_err().to_string();
    assert!(refused.contains("it would match everybody"), "{refused}");
}

#[test]
fn rule_154_what_is_not_understood_is_refused() {
    for (rule, expected) in [
        ("{type: PrivilegedIdentityExchanger, source: {userPattern: '['}}", "source.userPattern has a ["),
        ("{type: PrivilegedIdentityExchanger, source: {groupPattern: '('}}", "not a regular expression"),
        ("{type: PrivilegedIdentityExchangr, source: {user: a}}", "unknown"),
        ("{source: {user: a}}", "unknown"),
        ("{type: StaticMappingIdentityExchanger, source: {user: a}}", "target.user"),
        ("{type: StaticMappingIdentityExchanger, source: {user: a}, target: {groups: [g]}}", "target.user"),
        (
            "{type: StaticMappingIdentityExchanger, source: {user: a}, target: {user: b, groups: ['']}}",
            "group is empty",
        ),
        ("{type: StaticMappingIdentityExchanger, source: {user: a}, target: {user: ' b'}}", "blank"),
        ("{type: StaticMappingIdentityExchanger, source: {user: a}, target: {user: \"b\\nc\"}}", "control"),
        (
            "{type: StaticMappingIdentityExchanger, source: {user: a}, target: {user: b, groupz: []}}",
            "groupz",
        ),
        ("{type: PrivilegedIdentityExchanger}", "no source"),
        ("{name: \"a\\nb\", type: PrivilegedIdentityExchanger, source: {user: a}}", "number 1: its name"),
        ("{type: PrivilegedIdentityExchanger, source: {}}", "match everybody"),
        ("{type: PrivilegedIdentityExchanger, source: {userpattern: a}}", "userpattern"),
        ("{type: PrivilegedIdentityExchanger, source: {user: a}, target: {user: b}}", "no target"),
        ("{type: PrivilegedIdentityExchanger, source: {user: a}, url: 'https://x'}", "url"),
        ("{type: PrivilegedIdentityExchanger, source: {user: a}, cacheTTL: 1s}", "cacheTTL"),
        ("{type: PrivilegedIdentityExchanger, source: {user: a}, user: a, type: x}", "type"),
    ] {
        let error = global(rule).expect_err(rule).to_string();
        assert!(error.contains(expected), "{rule}: {error}");
    }
    for misplaced in [
        "just text",
        "clientIdentityExchanger: {rules: []}",
        "sepc: {}",
        "kind: x",
        "{kind: Secret, spec: {}}",
        "{apiVersion: cluster.core.oam.dev/v2, spec: {}}",
        "{spec: {}}\n---\n{spec: {}}",
        "spec: {clientIdentityExchanger: {rules: [1]}}",
    ] {
        assert!(matches!(Rules::global(misplaced), Err(RuleError::Yaml(_))), "{misplaced}");
    }
    let rule = "{type: PrivilegedIdentityExchanger, source: {user: a}}, ";
    assert!(global(&rule.repeat(1000)).is_ok());
    assert!(global(&rule.repeat(1001)).is_err());
}

#[tokio::test]
async fn rule_155_patterns_are_unanchored_and_loose_privileges_are_named() {
    let loose =
        global("{name: l, type: PrivilegedIdentityExchanger, source: {userPattern: 'admin'}}").unwrap();
    let user = user("not-an-admin-really", &[]);
    assert_eq!(by_global(&user, &loose).await.unwrap(), Exchange::Gateway);
    assert_eq!(loose.loosely_privileged().collect::<Vec<_>>(), ["l"]);
    for strict in ["{userPattern: '^admin$'}", "{user: admin}", "{group: g, userPattern: a}"] {
        let rules = global(&format!("{{type: PrivilegedIdentityExchanger, source: {strict}}}")).unwrap();
        assert_eq!(rules.loosely_privileged().count(), 0, "{strict}");
    }
}

#[tokio::test]
async fn rule_156_nobody_becomes_privileged_by_the_cluster_alone() {
    let by_cluster = global("{type: PrivilegedIdentityExchanger, source: {clusterPattern: '.*'}}").unwrap();
    let anonymous = UserInfo::anonymous();
    let denied = by_global(&anonymous, &by_cluster).await.map(|_| ()).unwrap_err();
    assert_eq!(denied.code(), 403);
    assert!(denied.to_string().contains("names no user or group"), "{denied}");
    let alice = user("alice", &[]);
    assert_eq!(by_global(&alice, &by_cluster).await.unwrap(), Exchange::Gateway);
    let named = global("{type: PrivilegedIdentityExchanger, source: {user: 'system:anonymous'}}").unwrap();
    assert_eq!(by_global(&anonymous, &named).await.unwrap(), Exchange::Gateway);
    // Nor is a webhook asked about them.
    let asked = "{type: ExternalIdentityExchanger, source: {cluster: c}, url: 'https://127.0.0.1:1'}";
    assert_eq!(by_global(&anonymous, &global(asked).unwrap()).await.unwrap_err().code(), 403);
}

#[tokio::test]
async fn rule_156_a_caller_without_a_name_is_nobody_to_every_rule() {
    let nameless = user("", &["g"]);
    for rules in [
        Rules::default(),
        global("{type: PrivilegedIdentityExchanger, source: {group: g}}").unwrap(),
        global("{type: StaticMappingIdentityExchanger, source: {group: g}, target: {user: x}}").unwrap(),
    ] {
        assert_eq!(by_global(&nameless, &rules).await.unwrap_err().code(), 403, "{rules:?}");
    }
}

#[tokio::test]
async fn rule_106_only_the_exact_words_pass_an_identity_on() {
    let alice = user("alice", &[]);
    let passing = IdentityPassing::new(false, IdentityConfig::default());
    for (query, expected) in [
        (None, false),
        (Some("impersonate=True"), false),
        (Some("impersonate=1"), false),
        (Some("impersonate"), false),
        (Some("impersonate=false&impersonate=true"), false),
        (Some("a=b&impersonate=true"), true),
        (Some("impersonat%65=tru%65"), true),
    ] {
        let found = passing.exchange(&alice, "c", &Ok(Rules::default()), query).await.unwrap();
        assert_eq!(found == Exchange::Caller(&alice), expected, "{query:?}");
    }
}

#[test]
fn an_identity_that_no_header_can_hold_is_refused_before_anything_is_sent() {
    for name in ["a\r\nimpersonate-group: system:masters", "admin ", "\tadmin", "a\u{7f}"] {
        let broken = user(name, &[]);
        assert_eq!(
            Exchange::Caller(&broken).apply(&mut HeaderMap::new()).unwrap_err().code(),
            400,
            "{name:?}"
        );
    }
    assert!(Exchange::Caller(&user("", &[])).apply(&mut HeaderMap::new()).is_err());
    assert!(Exchange::Caller(&user("å", &["ü b"])).apply(&mut HeaderMap::new()).is_ok());
}

#[test]
fn rule_154_a_webhook_that_is_not_understood_is_refused() {
    let ca = rcgen::generate_simple_self_signed(["x".to_owned()]).unwrap().cert.pem();
    for (fields, expected) in [
        ("", "url is missing"),
        ("url: ''", "not a URL"),
        ("url: 'http://127.0.0.1:1'", "must be https"),
        ("url: 'ftp://h'", "ftp"),
        ("url: 'https://h?a=b'", "query"),
        ("url: 'https://u:p@h'", "user information"),
        ("url: 'https://h', caBundle: x", "caBundle"),
        ("url: 'https://h', caBundle: eA==", "caBundle holds no PEM certificate"),
        ("url: 'https://h', caFile: ca.crt", "caFile: rules that are not in a file"),
        ("url: 'https://h', clientCertificateFile: x", "belong together"),
        ("url: 'https://h', clientKeyFile: x", "belong together"),
        ("url: 'https://h', timeout: 31s", "between"),
        ("url: 'https://h', timeout: 0s", "between"),
        ("url: 'https://h', timeout: fast", "duration"),
        ("url: 'https://h', cacheTTL: 2h", "between"),
        ("url: 'https://h', target: {user: x}", "no target"),
        ("url: 'https://h', headers: {a: b}", "headers"),
    ] {
        let rule = format!("{{name: ext, type: ExternalIdentityExchanger, source: {{user: a}}, {fields}}}");
        let error = global(&rule).expect_err(fields).to_string();
        assert!(error.contains(expected), "{fields}: {error}");
        assert!(!error.contains("u:p"), "{error}");
    }
    let quoted = serde_json::to_string(&ca).unwrap();
    for fields in [
        "url: 'https://h'".to_owned(),
        "url: 'https://[::1]:8443/a/b/', timeout: 500ms, cacheTTL: 0s".to_owned(),
        format!("url: 'https://h', caBundle: {quoted}"),
    ] {
        let rule = format!("{{type: ExternalIdentityExchanger, source: {{user: a}}, {fields}}}");
        assert!(global(&rule).is_ok(), "{fields}: {:?}", global(&rule));
    }
}

#[test]
fn an_annotation_names_no_files_and_only_hosts_that_the_operator_has_named() {
    let rule = |fields: &str| format!("{{type: ExternalIdentityExchanger, source: {{user: a}}, {fields}}}");
    for (hosts, url, allowed) in [
        (&[][..], "https://id.example", false),
        (&["id.example"], "https://id.example", true),
        (&["id.example"], "https://ID.example/x", true),
        (&["id.example"], "https://id.example:8443", false),
        (&["id.example:8443"], "https://id.example:8443", true),
        (&["id.example"], "https://x.id.example", false),
        (&["*.example"], "https://id.example", true),
        (&["*.example"], "https://a.id.example", false),
        (&["*.example"], "https://example", false),
        (&["other", "10.0.0.1:1"], "https://10.0.0.1:1", true),
        (&["[::1]:1"], "https://[0:0::1]:1", true),
    ] {
        let made = own_with(&rule(&format!("url: '{url}'")), hosts);
        assert_eq!(made.is_ok(), allowed, "{hosts:?} {url}: {made:?}");
        if let Err(error) = made {
            assert!(error.to_string().contains("--identity-webhook-hosts"), "{error}");
        }
    }
    for field in ["caFile", "clientCertificateFile", "clientKeyFile"] {
        let error = own_with(&rule(&format!("url: 'https://h', {field}: /etc/passwd")), &["h"]).unwrap_err();
        assert!(error.to_string().contains(field) && error.to_string().contains("may not"), "{error}");
    }
    for wrong in ["https://h", "h/path", "h:0", "a b", "*.*.h", "user@h"] {
        assert!(WebhookHosts::parse(&[wrong.to_owned()]).is_err(), "{wrong}");
    }
}

#[tokio::test]
async fn rule_168_webhooks_are_not_asked_at_addresses_that_nobody_may_dial() {
    let alice = user("alice", &[]);
    let rule = |host: &str| {
        format!(
            "{{name: w, type: ExternalIdentityExchanger, source: {{user: alice}}, url: 'https://{host}:1'}}"
        )
    };
    let failure = async |own: &Rules, global: &Rules| {
        let error = exchange(&alice, "c", own, global).await.map(|_| ()).unwrap_err();
        assert_eq!(error.code(), 500);
        error.to_string()
    };
    let none = Rules::default();
    for host in ["127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]"] {
        let own = own_with(&rule(host), &[&format!("{host}:1")]).unwrap();
        let text = failure(&own, &none).await;
        assert!(text.contains("does not dial loopback addresses"), "{host}: {text}");
    }
    let text = failure(&none, &global(&rule("127.0.0.1")).unwrap()).await;
    assert!(text.contains("connection refused"), "the operator's may be beside the gateway: {text}");
    let text = failure(&none, &global(&rule("169.254.169.254")).unwrap()).await;
    assert!(text.contains("does not dial link-local addresses"), "{text}");
}

#[test]
fn a_file_of_rules_is_looked_at_again_with_all_that_it_names() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("rules.yaml");
    let write = |name: &str, text: &str| std::fs::write(directory.path().join(name), text).unwrap();
    let ca = || rcgen::generate_simple_self_signed(["x".to_owned()]).unwrap().cert.pem();
    let fields = "source: {user: a}, url: 'https://h', caFile: ca.crt";
    write("rules.yaml", &document(&format!("{{type: ExternalIdentityExchanger, {fields}}}")));
    let error = RulesFile::load(&path).map(|_| ()).unwrap_err();
    assert!(error.contains("caFile: cannot read") && error.contains("ca.crt"), "{error}");

    write("ca.crt", &ca());
    let (mut file, rules) = RulesFile::load(&path).unwrap();
    assert_eq!((rules.len(), file.path()), (1, path.as_path()));
    assert!(file.look_again().is_none());
    write("ca.crt", &ca());
    assert!(matches!(file.look_again(), Some(Ok(_))), "a renewed CA counts");
    write("ca.crt", "nothing");
    assert!(matches!(file.look_again(), Some(Err(_))));
    assert!(file.look_again().is_none(), "the same failure is not told twice");
    std::fs::remove_file(&path).unwrap();
    assert!(matches!(file.look_again(), Some(Err(_))));
    assert!(file.look_again().is_none());
    write("rules.yaml", "spec: {}");
    assert!(matches!(file.look_again(), Some(Ok(rules)) if rules.is_empty()));
    write("ca.crt", "changed");
    assert!(file.look_again().is_none(), "no longer named");
    write("rules.yaml", &" ".repeat(1024 * 1024 + 1));
    assert!(matches!(file.look_again(), Some(Err(error)) if error.contains("larger")));
}

#[test]
fn webhooks_that_stay_the_same_live_on() {
    let webhook = |rules: &Rules| match rules.first_match(&user("a", &[]), "c").unwrap().action() {
        rules::Action::External(webhook) => Arc::clone(webhook),
        other => panic!("{other:?}"),
    };
    let rule = |more: &str| {
        global(&format!("{{type: ExternalIdentityExchanger, source: {{user: a}}, url: 'https://h'{more}}}"))
            .unwrap()
    };
    let before = rule("");
    assert!(Arc::ptr_eq(&webhook(&rule("").inheriting(&before)), &webhook(&before)));
    for changed in ["/x", "', timeout: '1s", "', cacheTTL: '1s"] {
        let changed = global(&format!(
            "{{type: ExternalIdentityExchanger, source: {{user: a}}, url: 'https://h{changed}'}}"
        ));
        assert!(!Arc::ptr_eq(&webhook(&changed.unwrap().inheriting(&before)), &webhook(&before)));
    }
}

/// The blocks of docs/identity.md in this language.
pub(in crate::identity) fn documented(language: &str) -> Vec<String> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/identity.md");
    let text = std::fs::read_to_string(path).unwrap();
    let blocks = text.split("\n```").skip(1).step_by(2);
    blocks.filter_map(|block| block.strip_prefix(&format!("{language}\n")).map(str::to_owned)).collect()
}

#[tokio::test]
async fn the_documented_rules_work() {
    let blocks: Vec<_> =
        documented("yaml").into_iter().filter(|block| block.contains("ClusterGatewayProxyConf")).collect();
    let [file, annotation] = blocks.as_slice() else { panic!("{blocks:?}") };
    let made = rcgen::generate_simple_self_signed(["x".to_owned()]).unwrap();
    let mut read = |path: &std::path::Path| {
        let path = path.to_str().unwrap();
        assert!(path.starts_with("/etc/identity/"), "{path}");
        Ok(if path.ends_with(".key") { made.signing_key.serialize_pem() } else { made.cert.pem() }
            .into_bytes())
    };
    let rules = Rules::of_file(file, &mut read).unwrap();
    assert_eq!(rules.loosely_privileged().count(), 0);
    assert_eq!(by_global(&user("x", &["kubevela:ux"]), &rules).await.unwrap(), Exchange::Gateway);
    let dev = user("dev-1", &[]);
    let mapped = exchange(&dev, "test-1", &Rules::default(), &rules).await.unwrap();
    assert!(headers(&mapped).contains(&("impersonate-user".to_owned(), "developer".to_owned())));
    assert_eq!(by_global(&dev, &rules).await.unwrap(), Exchange::Caller(&dev));
    let corporate = user("x", &["corp:dev"]);
    assert!(matches!(rules.first_match(&corporate, "c").unwrap().action(), rules::Action::External(_)));

    assert!(Rules::of_cluster(annotation, "c", &Webhooks::default()).is_err());
    let flags =
        documented("sh").into_iter().find(|block| block.contains("--identity-webhook-hosts=")).unwrap();
    let hosts = flags.split_once("--identity-webhook-hosts=").unwrap().1.split_whitespace().next().unwrap();
    let hosts: Vec<String> = hosts.split(',').map(str::to_owned).collect();
    let webhooks = Webhooks::of_clusters(WebhookHosts::parse(&hosts).unwrap(), AddressPolicy::default());
    assert_eq!(Rules::of_cluster(annotation, "c", &webhooks).unwrap().len(), 1);
}

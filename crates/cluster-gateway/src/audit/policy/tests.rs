use super::*;

fn policy(rules: &str) -> Policy {
    parse(&format!("apiVersion: audit.k8s.io/v1\nkind: Policy\n{rules}"))
        .unwrap_or_else(|all| panic!("{all:?}"))
}

fn parse(text: &str) -> Result<Policy, Vec<String>> {
    Policy::parse("policy.yaml", text).map_err(|problems| problems.iter().map(ToString::to_string).collect())
}

fn user(name: &str, groups: &[&str]) -> UserInfo {
    let groups = groups.iter().map(|&group| group.to_owned()).collect();
    UserInfo { name: name.to_owned(), groups, ..UserInfo::default() }
}

fn on<'a>(verb: &'a str, group: &'a str, resource: &'a str, rest: [&'a str; 3]) -> Attributes<'a> {
    let [subresource, namespace, name] = rest;
    Attributes::Resource { verb, group, version: "v1", resource, subresource, namespace, name }
}

fn path<'a>(verb: &'a str, path: &'a str) -> Attributes<'a> {
    Attributes::Path { verb, path }
}

/// Whether the request is audited when only `rule` says so.
fn matches(rule: &str, user: Option<&UserInfo>, attributes: &Attributes<'_>) -> bool {
    policy(&format!("rules:\n- level: Metadata\n{rule}")).decide(user, attributes).is_some()
}

#[test]
fn rule_136_the_first_rule_that_matches_decides_and_without_one_nothing_is_audited() {
    let policy = policy(
        "rules:\n- level: None\n  users: [quiet]\n- level: Metadata\n  verbs: [get]\n- level: None\n- level: Metadata\n",
    );
    let (quiet, loud) = (user("quiet", &[]), user("loud", &[]));
    let (get, list) = (on("get", "", "pods", ["", "", ""]), on("list", "", "pods", ["", "", ""]));
    assert!(policy.decide(Some(&quiet), &get).is_none());
    assert!(policy.decide(Some(&loud), &get).is_some());
    assert!(policy.decide(Some(&loud), &list).is_none(), "a rule that says None ends the search");
    assert!(Policy::default().decide(Some(&loud), &get).is_none());
}

#[test]
fn users_and_groups() {
    let bob = user("bob", &["dev", "ops"]);
    let get = path("get", "/x");
    assert!(matches("  users: [alice, bob]", Some(&bob), &get));
    assert!(!matches("  users: [alice]", Some(&bob), &get));
    assert!(matches("  userGroups: [ops]", Some(&bob), &get));
    assert!(!matches("  userGroups: [admin]", Some(&bob), &get));
    assert!(!matches("  users: [bob]\n  userGroups: [admin]", Some(&bob), &get));
    assert!(matches("", None, &get));
    for rule in ["  users: [bob]", "  userGroups: [dev]"] {
        assert!(!matches(rule, None, &get), "nobody is no user and in no group: {rule}");
    }
}

#[test]
fn verbs_paths_and_resources_exclude_each_other() {
    let pods = on("list", "", "pods", ["", "ns", ""]);
    assert!(matches("  verbs: [get, list]", None, &pods));
    assert!(!matches("  verbs: [get]", None, &pods));
    assert!(matches("  nonResourceURLs: [\"/health*\"]", None, &path("get", "/healthz/ping")));
    assert!(matches("  nonResourceURLs: [\"*\"]", None, &path("get", "/x")));
    assert!(matches("  nonResourceURLs: [/metrics]", None, &path("get", "/metrics")));
    assert!(!matches("  nonResourceURLs: [/metrics]", None, &path("get", "/metrics/x")));
    assert!(!matches("  nonResourceURLs: [\"*\"]", None, &pods));
    assert!(!matches("  resources: [{group: \"\"}]", None, &path("get", "/x")));
    assert!(!matches("  namespaces: [\"\"]", None, &path("get", "/x")));
    assert!(matches("  namespaces: [ns]", None, &pods));
    assert!(!matches("  namespaces: [\"\"]", None, &pods));
    assert!(matches("  namespaces: [\"\"]", None, &on("list", "", "nodes", ["", "", ""])));
}

#[test]
fn resources_as_kube_apiserver_matches_them() {
    let rule = |list: &str| format!("  resources:\n  - group: g\n    resources: [{list}]\n");
    let proxy = on("get", "g", "clustergateways", ["proxy", "", "m1"]);
    let plain = on("get", "g", "clustergateways", ["", "", "m1"]);
    for (list, of_proxy, of_plain) in [
        ("", true, true),
        ("\"*\"", true, true),
        ("clustergateways", false, true),
        ("clustergateways/proxy", true, false),
        ("clustergateways/*", true, true),
        ("\"*/proxy\"", true, false),
        ("clustergateways/health", false, false),
        ("pods, clustergateways/proxy", true, false),
    ] {
        assert_eq!(matches(&rule(list), None, &proxy), of_proxy, "{list}");
        assert_eq!(matches(&rule(list), None, &plain), of_plain, "{list}");
    }
    assert!(!matches("  resources: [{group: other}]", None, &proxy));
    assert!(!matches("  resources: [{resources: [\"*\"]}]", None, &proxy), "no group is the core group");
    let named = "  resources: [{group: g, resources: [\"*\"], resourceNames: [m1]}]";
    assert!(matches(named, None, &proxy));
    assert!(!matches(named, None, &on("get", "g", "clustergateways", ["proxy", "", "m2"])));
}

#[test]
fn stages_are_left_out_by_the_policy_and_by_the_rule() {
    let policy = policy(
        "omitStages: [RequestReceived]\nomitManagedFields: true\nmetadata: {name: x}\nrules:\n- level: RequestResponse\n  \
         omitStages: [Panic]\n  omitManagedFields: false\n",
    );
    let omitted = policy.decide(None, &path("get", "/")).unwrap();
    let left_out = Stage::ALL.map(|stage| omitted.contains(stage));
    assert_eq!(left_out, [true, false, false, true]);
    assert!(policy.wants_bodies());
}

#[test]
fn what_is_wrong_is_said_with_file_line_field_and_remedy() {
    let head = "apiVersion: audit.k8s.io/v1\nkind: Policy\n";
    for (text, expected) in [
        ("", "policy.yaml: 0 documents; expected one Policy of audit.k8s.io/v1"),
        ("a: [", "policy.yaml:1: document 1: not YAML"),
        (
            "kind: Policy\napiVersion: audit.k8s.io/v1beta1",
            "policy.yaml:1: document 1: expected apiVersion: audit.k8s.io/v1",
        ),
        (
            "apiVersion: audit.k8s.io/v1\nkind: Policy\n",
            "rules: there is none, so nothing would be recorded; \"- level: Metadata\"",
        ),
        ("HEADrule: []\n", "unknown field \"rule\"; known are"),
        (
            "HEADrules:\n- level: metadata\n",
            "policy.yaml:4: document 1: rules[0].level: expected None, Metadata, Request or",
        ),
        (
            "HEADrules:\n# why\n- level: None\n- users: [x]\n",
            "policy.yaml:6: document 1: rules[1].level: expected",
        ),
        (
            "HEADrules:\n  - level: None\n    verbs:\n    - get\n  - level: None\n    user: [x]\n",
            "policy.yaml:7: document 1: unknown field \"rules[1].user\"",
        ),
        ("HEADrules: [{level: x}]\nomitStages:\n- Panic\n", "policy.yaml:1: document 1: rules[0].level"),
        ("HEADrules:\n- level: None\n  verbs: get\n", "rules[0].verbs: expected a list of strings"),
        (
            "HEADrules:\n- level: None\n  users: [1]\n",
            "rules[0].users: expected a list of strings (quote numbers",
        ),
        (
            "HEADrules:\n- level: None\n  omitStages: [Received]\n",
            "rules[0].omitStages: expected RequestReceived, ResponseStarted",
        ),
        (
            "HEADrules:\n- level: None\n  nonResourceURLs: [healthz]\n",
            "rules[0].nonResourceURLs: \"healthz\" must begin with /",
        ),
        ("HEADrules:\n- level: None\n  nonResourceURLs: [\"/a*b\"]\n", "may have a * at its end only"),
        (
            "HEADrules:\n- level: None\n  nonResourceURLs: [/a]\n  namespaces: [x]\n",
            "cannot stand beside resources or namespaces; write two rules",
        ),
        (
            "HEADrules:\n- level: None\n  resources: [{group: apps/v1}]\n",
            "rules[0].resources[0].group: expected an API group such as apps, without its version",
        ),
        (
            "HEADrules:\n- level: None\n  resources: [{resourceNames: [x]}]\n",
            "rules[0].resources[0].resourceNames needs at least one of rules[0].resources[0].resources",
        ),
        (
            "HEADrules:\n- level: None\n  resources: [{groups: [x]}]\n",
            "unknown field \"rules[0].resources[0].groups\"",
        ),
        (
            "HEADrules:\n- level: None\n---\nHEADrules:\n- level: None\n",
            "policy.yaml: 2 documents; expected one Policy",
        ),
    ] {
        let problems = parse(&text.replace("HEAD", head)).expect_err(text).join("\n");
        assert!(problems.contains(expected), "{text}\n{problems}");
    }
    let several =
        parse(&format!("{head}rules:\n- level: x\n- level: None\n- level: y\n")).expect_err("two mistakes");
    assert_eq!(several.len(), 2, "all mistakes are said at once: {several:?}");
    let large = format!("{head}rules:\n- level: None # {}\n", "x".repeat(1 << 20));
    assert_eq!(parse(&large), Err(vec!["policy.yaml: larger than 1 MiB".to_owned()]));
}

#[test]
fn a_policy_in_json_is_read_too() {
    let text = r#"{"apiVersion": "audit.k8s.io/v1", "kind": "Policy", "rules": [{"level": "Metadata"}]}"#;
    let policy = Policy::parse("policy.json", text).unwrap();
    assert!(policy.decide(None, &path("get", "/")).is_some() && !policy.wants_bodies());
}

#[test]
fn the_policy_of_the_documentation_is_one() {
    let document = include_str!("../../../../../docs/audit.md");
    let policy = document.split("```yaml\n").nth(1).expect("an example").split("```").next().unwrap();
    assert!(policy.starts_with("# policy.yaml\n"), "the first example is the policy");
    let policy = Policy::parse("docs/audit.md", policy).unwrap_or_else(|problems| panic!("{problems:?}"));
    let someone = user("someone", &["system:authenticated"]);
    let ours =
        |verb, subresource| on(verb, "cluster.core.oam.dev", "clustergateways", [subresource, "", "m1"]);
    assert!(policy.decide(Some(&someone), &ours("create", "proxy")).is_some());
    assert!(policy.decide(Some(&someone), &path("get", "/healthz")).is_none());
}

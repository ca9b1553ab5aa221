//! Manifests in, decisions out.

use std::fs;
use std::time::Duration;

use http::Request;

use super::super::{AuthorizationConfig, Authorizer, Policy};
use super::*;
use crate::manifest::{Parsed, Reader};
use crate::request::RequestInfo;
use crate::status::Error;

const RESOURCE: Attributes<'static> = Attributes::Resource {
    verb: "get",
    group: "cluster.core.oam.dev",
    version: "v1alpha1",
    resource: "clustergateways",
    subresource: "proxy",
    namespace: "",
    name: "member1",
};

fn user(name: &str, groups: &[&str]) -> UserInfo {
    let groups = groups.iter().map(|&group| group.to_owned()).collect();
    UserInfo { name: name.to_owned(), groups, ..UserInfo::default() }
}

fn parse(text: &str) -> Parsed<manifests::Manifests> {
    RbacReader { namespaces: true }.parse("f.yaml", text)
}

fn grants(text: &str) -> Grants {
    let parsed = parse(text);
    let manifests = parsed.value.unwrap_or_else(|| panic!("{:?}\n{text}", parsed.problems));
    compile::compile([("f.yaml", &manifests)].into_iter()).0
}

/// A role with one rule (YAML in flow style), bound to the user `bob`.
fn bob_may(rule: &str) -> Grants {
    grants(&format!(
        "{{apiVersion: {API}, kind: ClusterRole, metadata: {{name: r}}, rules: [{rule}]}}\n---\n{}",
        bound("r", "{kind: User, name: bob}")
    ))
}

const API: &str = "rbac.authorization.k8s.io/v1";

fn bound(role: &str, subjects: &str) -> String {
    format!(
        "{{apiVersion: {API}, kind: ClusterRoleBinding, metadata: {{name: to-{role}}}, subjects: [{subjects}], \
         roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: {role}}}}}\n"
    )
}

fn role(name: &str, rule: &str) -> String {
    format!("{{apiVersion: {API}, kind: ClusterRole, metadata: {{name: {name}}}, rules: [{rule}]}}\n---\n")
}

const EVERYTHING: &str = "{verbs: ['*'], apiGroups: ['*'], resources: ['*']}";

/// Attributes in words: `VERB GROUP RESOURCE[/SUB] [NAME]`, the core group as `-`, or `VERB /PATH`.
fn asks(grants: &Grants, who: &UserInfo, words: &str) -> bool {
    let words: Vec<_> = words.split(' ').collect();
    let attributes = match words[..] {
        [verb, path] => Attributes::Path { verb, path },
        [verb, group, resource, ref name @ ..] => {
            let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
            let group = if group == "-" { "" } else { group };
            let name = name.first().copied().unwrap_or_default();
            Attributes::Resource { verb, group, version: "v1", resource, subresource, namespace: "", name }
        }
        _ => panic!("{words:?}"),
    };
    grants.allow(who, &attributes)
}

#[test]
fn rules_match_as_in_kubernetes() {
    let bob = user("bob", &[]);
    let rule = |verbs: &str, groups: &str, resources: &str| {
        format!("{{verbs: [{verbs}], apiGroups: [{groups}], resources: [{resources}]}}")
    };
    for (rule, allowed, denied) in [
        // Verbs.
        (
            rule("get, list", "''", "pods"),
            vec!["get - pods p", "list - pods"],
            vec!["watch - pods", "GET - pods p"],
        ),
        (rule("'*'", "''", "pods"), vec!["get - pods", "deletecollection - pods", " - pods"], vec![]),
        (rule("get", "''", "pods"), vec![], vec![" - pods p"]),
        // Groups.
        (rule("get", "apps", "x"), vec!["get apps x"], vec!["get - x", "get apps.k8s.io x"]),
        (rule("get", "'*'", "x"), vec!["get apps x", "get - x"], vec![]),
        // Subresources are granted by their own entry, by */SUB, or by *.
        (rule("get", "''", "pods"), vec!["get - pods p"], vec!["get - pods/log p"]),
        (rule("get", "''", "pods/log"), vec!["get - pods/log p"], vec!["get - pods p", "get - pods/exec p"]),
        (
            rule("get", "''", "'*/log'"),
            vec!["get - pods/log", "get - x/log"],
            vec!["get - pods", "get - pods/blog"],
        ),
        (rule("get", "''", "'*'"), vec!["get - pods", "get - pods/log"], vec!["get apps pods"]),
        (rule("get", "''", "'pods/*'"), vec![], vec!["get - pods/log", "get - pods"]),
        (rule("get", "''", "pods/, '*/'"), vec![], vec!["get - pods", "get - pods p", "get - pods/log"]),
        (rule("get", "g", "userextras/example.com/team"), vec!["get g userextras/example.com/team"], vec![]),
        // A rule about resources grants no path, and the other way round.
        (rule("'*'", "'*'", "'*'"), vec![], vec!["get /healthz"]),
        ("{verbs: ['*'], nonResourceURLs: ['*']}".to_owned(), vec!["get /", "post /x"], vec!["get - pods"]),
        (
            "{verbs: [get], nonResourceURLs: [/metrics, /healthz/*, /api*]}".to_owned(),
            vec!["get /metrics", "get /healthz/ping", "get /healthz/", "get /apis/x"],
            vec!["get /metrics/", "get /healthz", "get /metric", "post /metrics", "get /"],
        ),
    ] {
        let grants = bob_may(&rule);
        for words in allowed {
            assert!(asks(&grants, &bob, words), "{rule} denies {words}");
        }
        for words in denied {
            assert!(!asks(&grants, &bob, words), "{rule} allows {words}");
        }
    }
}

#[test]
fn rule_091_rule_092_resource_names_need_a_name_in_the_request() {
    let grants =
        bob_may("{verbs: ['*'], apiGroups: [g], resources: [clustergateways], resourceNames: [a, b]}");
    let bob = user("bob", &[]);
    for words in ["get g clustergateways a", "list g clustergateways b", "watch g clustergateways a"] {
        assert!(asks(&grants, &bob, words), "{words}");
    }
    for words in [
        "get g clustergateways c",
        "list g clustergateways",
        "watch g clustergateways",
        "create g clustergateways",
        "deletecollection g clustergateways",
        "get g clustergateways/proxy a",
    ] {
        assert!(!asks(&grants, &bob, words), "{words}");
    }
}

#[test]
fn subjects_are_users_groups_and_service_accounts() {
    let text = role("r", EVERYTHING)
        + &bound(
            "r",
            "{kind: User, name: bob, apiGroup: rbac.authorization.k8s.io}, {kind: Group, name: ops}, \
             {kind: ServiceAccount, name: sa, namespace: ns}",
        );
    let grants = grants(&text);
    for (who, allowed) in [
        (user("bob", &[]), true),
        (user("Bob", &[]), false),
        (user("ops", &["bob"]), false),
        (user("eve", &["x", "ops"]), true),
        (user("system:serviceaccount:ns:sa", &[]), true),
        (user("system:serviceaccount:other:sa", &[]), false),
        (user("sa", &[]), false),
        (user("", &[]), false),
    ] {
        assert_eq!(asks(&grants, &who, "get - pods"), allowed, "{who:?}");
    }
}

#[test]
fn rule_085_without_a_rule_everything_is_denied() {
    let grants = Grants::default();
    assert!(!grants.allow(&user("bob", &["system:authenticated"]), &RESOURCE));
    let unbound = self::grants(&role("r", EVERYTHING));
    assert!(!unbound.allow(&user("bob", &[]), &RESOURCE));
}

#[test]
fn rule_099_velas_role_works_unmodified() {
    let grants = grants(
        "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata:\n  name: kubevela:cluster-gateway:proxy\n\
         rules:\n  - apiGroups: [ \"cluster.core.oam.dev\" ]\n    resources: [ \"clustergateways/proxy\" ]\n    \
         verbs: [ \"get\", \"list\", \"watch\", \"create\", \"update\", \"patch\", \"delete\" ]\n---\n\
         apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRoleBinding\nmetadata:\n  name: b\nroleRef:\n  \
         apiGroup: rbac.authorization.k8s.io\n  kind: ClusterRole\n  name: kubevela:cluster-gateway:proxy\nsubjects:\n  \
         - kind: Group\n    name: kubevela:client\n    apiGroup: rbac.authorization.k8s.io\n  - kind: ServiceAccount\n    \
         name: vela\n    namespace: vela-system\n",
    );
    assert!(grants.allow(&user("x", &["kubevela:client"]), &RESOURCE));
    assert!(grants.allow(&user("system:serviceaccount:vela-system:vela", &[]), &RESOURCE));
    assert!(!grants.allow(&user("x", &[]), &RESOURCE));
}

#[test]
fn lists_json_and_what_an_api_server_adds_are_read() {
    let items = "[{\"apiVersion\":\"rbac.authorization.k8s.io/v1\",\"kind\":\"ClusterRole\",\"metadata\":{\"name\":\"r\",\
        \"uid\":\"u\",\"managedFields\":[]},\"rules\":[{\"verbs\":[\"get\"],\"apiGroups\":[\"\"],\"resources\":[\"pods\"],\
        \"resourceNames\":null}]},{\"apiVersion\":\"rbac.authorization.k8s.io/v1\",\"kind\":\"ClusterRoleBinding\",\
        \"metadata\":{\"name\":\"b\"},\"subjects\":[{\"kind\":\"User\",\"name\":\"bob\"}],\
        \"roleRef\":{\"kind\":\"ClusterRole\",\"name\":\"r\"}}]";
    let list = format!(
        "{{\"apiVersion\":\"v1\",\"kind\":\"List\",\"metadata\":{{\"resourceVersion\":\"\"}},\"items\":{items}}}"
    );
    for file in ["f.json", "f.yaml"] {
        let manifests = RbacReader { namespaces: true }.parse(file, &list).value.unwrap();
        let (grants, complaints) = compile::compile([(file, &manifests)].into_iter());
        assert!(asks(&grants, &user("bob", &[]), "get - pods p") && complaints.is_empty());
    }
    let typed = "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRoleList\nitems:\n- metadata: {name: r}\n  rules: null\n";
    assert!(parse(typed).value.unwrap().roles.keys().any(|name| name.name == "r"));
}

#[test]
fn what_is_not_understood_refuses_the_file_and_says_where() {
    let rule = |rule: &str| role("r", rule);
    let binding = |role_ref: &str, subject: &str| {
        format!(
            "apiVersion: {API}\nkind: ClusterRoleBinding\nmetadata: {{name: b}}\nroleRef: {role_ref}\nsubjects: [{subject}]\n"
        )
    };
    let to_r = "{kind: ClusterRole, name: r}";
    for (text, expected) in [
        ("just text".to_owned(), "f.yaml:1: document 1"),
        ("a: [".to_owned(), "f.yaml:1: document 1"),
        ("kind: ClusterRole\nmetadata: {name: r}\n".to_owned(), "apiVersion: expected rbac"),
        (
            format!("# c\napiVersion: {API}beta1\nkind: ClusterRole\nmetadata: {{name: r}}"),
            "f.yaml:2: document 1: apiVersion",
        ),
        (
            "apiVersion: v1\nkind: Secret\ndata: {a: aHVudGVyMg==}".to_owned(),
            "kind \"Secret\" has no meaning",
        ),
        ("apiVersion: v1".to_owned(), "kind is missing"),
        (format!("apiVersion: {API}\nkind: Role\nmetadata: {{name: r}}"), "metadata.namespace is missing"),
        (
            format!(
                "apiVersion: {API}\nkind: Role\nmetadata: {{name: r, namespace: a}}\n\
                 rules: [{{verbs: [get], nonResourceURLs: [/x]}}]"
            ),
            "rules[0]: nonResourceURLs: paths are of no namespace",
        ),
        (
            format!(
                "apiVersion: {API}\nkind: RoleBinding\nmetadata: {{name: r}}\nroleRef: {{kind: Role, name: r}}"
            ),
            "metadata.namespace is missing",
        ),
        (
            format!(
                "apiVersion: {API}\nkind: ClusterRole\nmetadata: {{name: r}}\naggregationRule: {{clusterRoleSelectors: []}}"
            ),
            "aggregationRule is not supported",
        ),
        (
            format!("x: 1\n---\napiVersion: {API}\nkind: ClusterRole\nmetadata: {{name: r}}\nrulez: []"),
            "f.yaml:6: document 2",
        ),
        (rule("{verbs: [get], apiGroups: [''], resources: [pods], resourceName: [a]}"), "resourceName"),
        (rule("{verbs: get, apiGroups: [''], resources: [pods]}"), "f.yaml:1"),
        (rule("{apiGroups: [''], resources: [pods]}"), "rules[0]: verbs must name"),
        (rule("{verbs: [''], apiGroups: [''], resources: [pods]}"), "verbs holds an empty string"),
        (rule("{verbs: [get], resources: [pods]}"), "apiGroups must name"),
        (rule("{verbs: [get], apiGroups: ['']}"), "resources must name"),
        (
            rule("{verbs: [get], apiGroups: [''], resources: [pods], resourceNames: ['']}"),
            "resourceNames holds an empty",
        ),
        (rule("{verbs: [get], apiGroups: [''], resources: [pods], nonResourceURLs: [/x]}"), "not both"),
        (role("''", EVERYTHING), "metadata.name is missing"),
        (role("r", EVERYTHING) + &role("r", EVERYTHING), "a second object"),
        (binding("{kind: Role, name: r}", ""), "roleRef.kind: expected ClusterRole; a role of a namespace"),
        (binding("{kind: ClusterRole}", ""), "roleRef.name is missing"),
        (binding("{kind: ClusterRole, name: r, apiGroup: apps}", ""), "roleRef.apiGroup"),
        (
            binding(to_r, "{kind: Robot, name: x}"),
            "subjects[0]: kind: expected User, Group or ServiceAccount",
        ),
        (binding(to_r, "{kind: User}"), "subjects[0]: name is missing"),
        (binding(to_r, "{kind: ServiceAccount, name: x}"), "needs a namespace"),
        (binding(to_r, "{kind: User, name: x, apiGroup: v1}"), "apiGroup: expected"),
        (binding(to_r, "{kind: User, nam: x}"), "nam"),
        (
            format!(
                "apiVersion: v1\nkind: List\nitems: [{{apiVersion: {API}, kind: ClusterRole, metadata: {{}}}}]"
            ),
            "items[0]: metadata.name",
        ),
    ] {
        let parsed = parse(&text);
        assert!(parsed.value.is_none(), "accepted: {text}");
        let problems: Vec<_> = parsed.problems.iter().map(ToString::to_string).collect();
        assert!(
            problems.iter().any(|problem| problem.contains(expected)),
            "{problems:?} do not say {expected:?}"
        );
        assert!(problems.iter().all(|problem| !problem.contains("aHVudGVyMg")), "{problems:?}");
    }
}

#[test]
fn roles_of_a_namespace_count_in_it_alone() {
    let role = |kind: &str, name: &str, resource: &str| {
        format!(
            "{{apiVersion: {API}, kind: {kind}, metadata: {{name: {name}, namespace: a}}, \
             rules: [{{verbs: [get], apiGroups: [''], resources: [{resource}]}}]}}\n---\n"
        )
    };
    let binding = |name: &str, kind: &str, subject: &str| {
        format!(
            "{{apiVersion: {API}, kind: RoleBinding, metadata: {{name: {kind}-{name}, namespace: a}}, \
             roleRef: {{kind: {kind}, name: {name}}}, subjects: [{subject}]}}\n---\n"
        )
    };
    let bob = "{kind: User, name: bob}, {kind: ServiceAccount, name: sa}";
    let text = role("Role", "r", "pods")
        + &role("ClusterRole", "r", "secrets")
        + &self::role("paths", "{verbs: [get], nonResourceURLs: ['*']}")
        + &binding("r", "Role", bob)
        + &binding("r", "ClusterRole", bob)
        + &binding("paths", "ClusterRole", bob);
    let grants = grants(&text);
    let may = |name: &str, resource: &str, namespace: &str| {
        let (verb, group, version, subresource) = ("get", "", "v1", "");
        let asked =
            Attributes::Resource { verb, group, version, resource, subresource, namespace, name: "x" };
        grants.allow(&user(name, &[]), &asked)
    };
    for who in ["bob", "system:serviceaccount:a:sa"] {
        for resource in ["pods", "secrets"] {
            assert!(may(who, resource, "a"), "{who} {resource}");
            for namespace in ["b", "", "A", "aa"] {
                assert!(!may(who, resource, namespace), "{who} {resource} in {namespace:?}");
            }
        }
        assert!(!may(who, "configmaps", "a"));
    }
    assert!(!asks(&grants, &user("bob", &[]), "get /healthz"), "paths are of no namespace");

    let missing = binding("gone", "Role", bob);
    let manifests = parse(&missing).value.unwrap();
    let (_, complaints) = compile::compile([("f.yaml", &manifests)].into_iter());
    let expected = "RoleBinding \"Role-gone\" of namespace \"a\" grants nothing: there is no Role \"gone\" of namespace \
                    \"a\" in any file";
    assert_eq!(complaints, [expected]);
}

#[test]
fn roles_of_a_namespace_are_refused_where_nothing_of_one_is_asked_about() {
    for kind in ["Role", "RoleBinding"] {
        let text = format!("apiVersion: {API}\nkind: {kind}\nmetadata: {{name: r, namespace: a}}");
        let parsed = RbacReader { namespaces: false }.parse("f.yaml", &text);
        let problems: Vec<_> = parsed.problems.iter().map(ToString::to_string).collect();
        assert!(parsed.value.is_none() && problems[0].contains("--authorize-proxy-subpath"), "{problems:?}");
        assert!(problems[0].contains(&format!("write a Cluster{kind}")), "{problems:?}");
    }
}

#[test]
fn what_never_matches_is_said_and_hurts_nothing() {
    let text = role(
        "r",
        "{verbs: [get], apiGroups: [''], resources: [pods/*, nodes/, pods]}, {verbs: [get], nonResourceURLs: [/a*b, x, /c]}",
    ) + &bound("r", "{kind: User, name: bob}");
    let parsed = parse(&text);
    let problems: Vec<_> = parsed.problems.iter().map(ToString::to_string).collect();
    for expected in
        ["rules[0]: resource \"pods/*\"", "\"nodes/\"", "rules[1]: nonResourceURL \"/a*b\"", "\"x\""]
    {
        assert!(problems.iter().any(|problem| problem.contains(expected)), "{problems:?}");
    }
    assert_eq!(problems.len(), 4);
    let grants = grants(&text);
    assert!(asks(&grants, &user("bob", &[]), "get - pods p") && asks(&grants, &user("bob", &[]), "get /c"));
}

#[test]
fn of_two_objects_with_one_name_the_one_in_the_first_file_counts() {
    let strict =
        parse(&(role("r", "{verbs: [get], nonResourceURLs: [/a]}") + &bound("r", "{kind: User, name: bob}")));
    let lax = parse(&(role("r", EVERYTHING) + &bound("r", "{kind: User, name: eve}")));
    let missing = parse(&bound("gone", "{kind: User, name: bob}"));
    let (strict, lax, missing) = (strict.value.unwrap(), lax.value.unwrap(), missing.value.unwrap());
    let files = [("a.yaml", &strict), ("b.yaml", &lax), ("c.yaml", &missing)];
    let (grants, complaints) = compile::compile(files.into_iter());
    assert!(asks(&grants, &user("bob", &[]), "get /a") && !asks(&grants, &user("bob", &[]), "get - pods"));
    assert!(!asks(&grants, &user("eve", &[]), "get /a"));
    assert_eq!(complaints.len(), 3, "{complaints:?}");
    assert!(complaints[0].contains("ClusterRole \"r\" stands in a.yaml and in b.yaml"), "{complaints:?}");
    assert!(complaints[2].contains("there is no ClusterRole \"gone\""), "{complaints:?}");
}

fn authorizer(directory: &RbacDirectory) -> Authorizer {
    Authorizer::by_policy(&AuthorizationConfig::default(), directory.policy()).unwrap()
}

async fn get(authorizer: &Authorizer, user: &UserInfo, request: http::request::Builder) -> Result<(), Error> {
    let parts = request.body(()).unwrap().into_parts().0;
    match RequestInfo::parse(&parts).unwrap() {
        RequestInfo::Proxy(target) => authorizer.authorize(user.clone(), target, "/").await.map(drop),
        RequestInfo::Resource(target) => authorizer.authorize(user.clone(), target, "/").await.map(drop),
        RequestInfo::Document(target) => authorizer.authorize(user.clone(), target, "/").await.map(drop),
    }
}

/// With proxied requests asked about.
fn strict() -> Policy {
    Policy { proxied_requests: true, ..Policy::default() }
}

fn of(directory: &tempfile::TempDir) -> RbacConfig {
    RbacConfig { directory: directory.path().to_owned(), poll: Duration::from_millis(5) }
}

const PROXY: &str = "/apis/cluster.core.oam.dev/v1alpha1/clustergateways/member1/proxy/api/v1/pods";

#[tokio::test]
async fn rule_085_administrators_then_open_paths_then_the_policy() {
    let root = tempfile::tempdir().unwrap();
    let directory = RbacDirectory::load(of(&root), strict()).unwrap();
    let authorizer = authorizer(&directory);
    let bob = user("bob", &[]);
    assert!(get(&authorizer, &user("root", &["system:masters"]), Request::get(PROXY)).await.is_ok());
    assert!(get(&authorizer, &bob, Request::get("/healthz")).await.is_ok());
    let error = get(&authorizer, &bob, Request::get(PROXY)).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "clustergateways.cluster.core.oam.dev \"member1\" is forbidden: User \"bob\" cannot get resource \
         \"clustergateways/proxy\" in API group \"cluster.core.oam.dev\" at the cluster scope"
    );
}

#[tokio::test]
async fn rule_090_an_upgrade_needs_create_by_policy_too() {
    let root = tempfile::tempdir().unwrap();
    let rule = "{verbs: [get], apiGroups: [cluster.core.oam.dev], resources: [clustergateways/proxy]}";
    fs::write(root.path().join("r.yml"), role("r", rule) + &bound("r", "{kind: User, name: bob}")).unwrap();
    let directory = RbacDirectory::load(of(&root), strict()).unwrap();
    let (authorizer, bob) = (authorizer(&directory), user("bob", &[]));
    assert!(get(&authorizer, &bob, Request::get(PROXY)).await.is_ok());
    let upgrade = Request::get(PROXY).header("connection", "upgrade").header("upgrade", "websocket");
    let error = get(&authorizer, &bob, upgrade).await.unwrap_err().to_string();
    assert!(error.contains("cannot create"), "{error}");
}

#[tokio::test]
async fn rule_110_rule_111_the_proxied_request_is_a_question_to_the_policy() {
    let root = tempfile::tempdir().unwrap();
    let through = "{verbs: [get], apiGroups: [cluster.core.oam.dev], resources: [clustergateways/proxy]}";
    let in_a = format!(
        "---\n{{apiVersion: {API}, kind: Role, metadata: {{name: r, namespace: a}}, \
         rules: [{{verbs: [list], apiGroups: [''], resources: [pods]}}]}}\n---\n\
         {{apiVersion: {API}, kind: RoleBinding, metadata: {{name: r, namespace: a}}, \
         roleRef: {{kind: Role, name: r}}, subjects: [{{kind: User, name: bob}}]}}\n"
    );
    let text = role("r", through) + &bound("r", "{kind: User, name: bob}") + &in_a;
    fs::write(root.path().join("r.yaml"), text).unwrap();
    let directory = RbacDirectory::load(of(&root), strict()).unwrap();
    assert!(directory.complaints.is_empty(), "{:?}", directory.complaints);
    let config = AuthorizationConfig { policy: strict(), ..AuthorizationConfig::default() };
    let authorizer = Authorizer::by_policy(&config, directory.policy()).unwrap();
    let path = |rest: &str| PROXY.replace("/api/v1/pods", rest);
    let ask = async |rest: &str| get(&authorizer, &user("bob", &[]), Request::get(path(rest))).await;
    ask("/api/v1/namespaces/a/pods").await.unwrap();
    for rest in ["/api/v1/namespaces/b/pods", "/api/v1/pods", "/api/v1/namespaces/a/pods/p", "/version"] {
        assert!(matches!(ask(rest).await, Err(Error::Forbidden(_))), "{rest}");
    }
}

#[tokio::test]
async fn rule_146_impersonation_is_a_question_to_the_policy() {
    let root = tempfile::tempdir().unwrap();
    let rule = "{verbs: [impersonate], apiGroups: [''], resources: [users], resourceNames: [eve]}";
    fs::write(root.path().join("r.yaml"), role("r", rule) + &bound("r", "{kind: User, name: bob}")).unwrap();
    let directory = RbacDirectory::load(of(&root), strict()).unwrap();
    let authorizer = authorizer(&directory);
    for (whom, allowed) in [("eve", true), ("root", false)] {
        let request = Request::get("/").header("Impersonate-User", whom).body(()).unwrap();
        let result = authorizer.impersonate(user("bob", &[]), &mut request.into_parts().0, "/").await;
        assert_eq!(result.map(|user| user.name.clone()).ok(), allowed.then(|| whom.to_owned()));
    }
}

#[tokio::test]
async fn changes_take_effect_and_a_broken_file_keeps_its_grants() {
    let root = tempfile::tempdir().unwrap();
    let file = root.path().join("a.yaml");
    let whole = role("r", EVERYTHING) + &bound("r", "{kind: User, name: bob}");
    let directory = RbacDirectory::load(of(&root), strict()).unwrap();
    assert!(directory.complaints.iter().any(|complaint| complaint.contains("only system:masters")));
    let policy = directory.policy();
    let watch = tokio::spawn(directory.watch());
    let until = async |name: &str, allowed: bool| {
        while policy.allows(&user(name, &[]), &RESOURCE) != allowed {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let scenario = async {
        fs::write(&file, &whole).unwrap();
        until("bob", true).await;
        fs::write(&file, format!("{whole}\nrubbish: [")).unwrap();
        fs::write(root.path().join("b.yaml"), bound("r", "{kind: User, name: eve}").replace("to-r", "b"))
            .unwrap();
        until("eve", true).await;
        assert!(policy.allows(&user("bob", &[]), &RESOURCE), "the last good version stays");
        fs::remove_file(&file).unwrap();
        until("bob", false).await;
        until("eve", false).await;
    };
    tokio::time::timeout(Duration::from_secs(60), scenario).await.expect("every change is seen");
    watch.abort();
}

#[test]
fn a_missing_directory_is_an_error_at_start() {
    let root = tempfile::tempdir().unwrap();
    let config = RbacConfig { directory: root.path().join("missing"), ..RbacConfig::default() };
    assert!(RbacDirectory::load(config, strict()).unwrap_err().to_string().contains("missing"));
}

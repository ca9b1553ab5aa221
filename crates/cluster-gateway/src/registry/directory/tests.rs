//! Files in, clusters out.

use std::fs;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use cluster_gateway_client::v1alpha1::ANNOTATION_ALIAS;
use rcgen::{CertifiedKey, generate_simple_self_signed};
use serde_json::{Value, json};

use super::*;
use crate::credential::{Credential, ExecPlugins, ExecPolicy};
use crate::manifest::{Parsed, Reader};
use crate::registry::{Cluster, ClusterPolicy, Registry, Unusable};
use crate::transport::Verification;

const LABEL: &str = "cluster.core.oam.dev/cluster-credential-type";

fn parse_with(files: &ClusterFiles, file: &str, text: &str) -> Parsed<BTreeMap<String, Entry>> {
    files.parse(file, text)
}

const ALL: ClusterFiles = ClusterFiles { contexts: Contexts::All, allow_exec: false };

fn parse(text: &str) -> Parsed<BTreeMap<String, Entry>> {
    parse_with(&ALL, "f.yaml", text)
}

fn problems(parsed: &Parsed<BTreeMap<String, Entry>>) -> String {
    parsed.problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

fn read(entry: Entry) -> Cluster {
    ClusterPolicy::default().read(entry, None)
}

/// The only cluster of a file.
fn only(text: &str) -> Cluster {
    let parsed = parse(text);
    let problems = problems(&parsed);
    let mut entries = parsed.value.unwrap_or_else(|| panic!("{problems}")).into_values();
    let cluster = read(entries.next().unwrap_or_else(|| panic!("{problems}")));
    assert!(entries.next().is_none());
    cluster
}

fn secret(name: &str, more: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Secret\nmetadata:\n  name: {name}\n  labels: {{{LABEL}: ServiceAccountToken}}\n\
         stringData: {{endpoint: 'https://{name}:6443', token: hunter2}}\n{more}\n---\n"
    )
}

fn kubeconfig(cluster: &Value, user: &Value) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "one",
        "clusters": [{"name": "c", "cluster": cluster}],
        "users": [{"name": "u", "user": user}],
        "contexts": [{"name": "one", "context": {"cluster": "c", "user": "u", "namespace": "n"}}],
    })
}

fn server() -> Value {
    json!({"server": "https://h:6443/base"})
}

fn with(mut object: Value, key: &str, value: Value) -> Value {
    object[key] = value;
    object
}

fn is_token(cluster: &Cluster, expected: &str) -> bool {
    let Ok(upstream) = &cluster.upstream else { return false };
    matches!(&upstream.credential, Credential::Token(value) if value.as_bytes() == format!("Bearer {expected}").as_bytes())
}

fn self_signed() -> (String, String) {
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(vec!["h".to_owned()]).unwrap();
    (cert.pem(), signing_key.serialize_pem())
}

#[test]
fn rule_211_secrets_mean_what_they_mean_in_the_hub() {
    let text = format!(
        "apiVersion: v1\nkind: Secret\nmetadata:\n  name: m1\n  namespace: vela-system\n  creationTimestamp: 2026-01-31T12:00:00Z\n  \
         resourceVersion: '7'\n  managedFields: []\n  labels:\n    {LABEL}: ServiceAccountToken\n    x: z\n  annotations:\n    \
         {ANNOTATION_ALIAS}: first\ntype: Opaque\nimmutable: true\ndata:\n  endpoint: {}\n  token: {}\nstringData:\n  token: newer\n",
        STANDARD.encode("https://h:6443\n"),
        STANDARD.encode("older"),
    );
    let cluster = only(&text);
    assert!(is_token(&cluster, "newer"), "{cluster:?}");
    assert_eq!(cluster.address.as_deref(), Some("https://h:6443"));
    assert_eq!((cluster.name.as_str(), cluster.labels["x"].as_str()), ("m1", "z"));
    assert_eq!(cluster.annotations[ANNOTATION_ALIAS], "first");
    assert_eq!(cluster.creation_timestamp.as_deref(), Some("2026-01-31T12:00:00Z"));
}

#[test]
fn several_documents_lists_and_json_are_read() {
    let two = secret("a", "") + &secret("b", "");
    assert_eq!(parse(&two).value.unwrap().into_keys().collect::<Vec<_>>(), ["a", "b"]);
    let item = |name: &str| json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "labels": {LABEL: "ServiceAccountToken"}}});
    let list = json!({"apiVersion": "v1", "kind": "List", "items": [item("a"), item("b"), kubeconfig(&server(), &json!({"token": "t"}))]});
    for file in ["f.json", "f.yaml"] {
        let entries = parse_with(&ALL, file, &list.to_string()).value.unwrap();
        assert_eq!(entries.into_keys().collect::<Vec<_>>(), ["a", "b", "one"]);
    }
}

#[test]
fn what_is_no_cluster_is_left_out_and_said() {
    let text = secret("a", "")
        + "apiVersion: v1\nkind: Namespace\nmetadata: {name: x}\n---\n"
        + "apiVersion: v1\nkind: Secret\nmetadata: {name: unlabelled}\n---\n"
        + &secret("UPPER", "")
        + &secret("with.dot", "")
        + &secret("a", "");
    let parsed = parse(&text);
    let said = problems(&parsed);
    assert_eq!(parsed.value.unwrap().into_keys().collect::<Vec<_>>(), ["a"]);
    for expected in [
        "document 2: Namespace ignored",
        "document 3: Secret ignored: it has no label",
        "\"UPPER\" is no name for a cluster: it must be a DNS label",
        "\"with.dot\" is no name",
        "document 6: a second cluster is named a",
    ] {
        assert!(said.contains(expected), "{said}");
    }
}

#[test]
fn rule_181_a_file_that_is_not_understood_is_refused_without_its_secrets() {
    for (text, expected) in [
        (secret("a", "stringdata: {token: hunter2}"), "f.yaml:1: document 1: unknown field \"stringdata\""),
        (secret("a", "") + &secret("b", "data: {token: '!hunter2'}"), "document 2: data.token: not base64"),
        (secret("a", "data: hunter2"), "data: expected a mapping"),
        (secret("a", "data: {token: 123}"), "data.token: expected a string"),
        (secret("a", "").replace("v1", "v2"), "apiVersion: expected v1"),
        ("token: hunter2".to_owned(), "kind is missing; expected Secret or Config"),
        ("hunter2".to_owned(), "the document: expected a mapping"),
        ("apiVersion: v1\nkind: Secret\ndata: {token: aHVudGVyMg==}".to_owned(), "metadata is missing"),
        (secret("a", "token: 'hunter2").replace("---\n", ""), "f.yaml:"),
        ("apiVersion: v1\nkind: List\nitems: [hunter2]".to_owned(), "items[0]: expected a mapping"),
        ("kind: Config\napiVersion: v1\nclusters: hunter2".to_owned(), "clusters: expected a list"),
        (
            "kind: Config\napiVersion: v1\nusers: [{user: {token: hunter2}}]".to_owned(),
            "users[0].name is missing",
        ),
        (
            "kind: Config\napiVersion: v1\nusers: [{name: u, user: {token: hunter2}}, {name: u}]".to_owned(),
            "users[1].name: a second one of users is named \"u\"",
        ),
    ] {
        let parsed = parse(&text);
        let said = problems(&parsed);
        assert!(parsed.value.is_none(), "accepted: {text}");
        assert!(said.contains(expected), "{said:?} does not say {expected:?}");
        assert!(!said.contains("hunter2") && !said.contains("aHVudGVyMg"), "{said}");
    }
}

#[test]
fn each_context_of_a_kubeconfig_is_a_cluster() {
    let (certificate, key) = self_signed();
    let encoded = |text: &str| Value::from(STANDARD.encode(text));
    let config = json!({
        "kind": "Config", "apiVersion": "v1", "current-context": "by-token", "preferences": {},
        "clusters": [{"name": "c", "cluster": {
            "server": "https://h:6443/base", "certificate-authority-data": encoded(&certificate), "tls-server-name": "other",
        }}],
        "users": [
            {"name": "t", "user": {"token": "t0ken"}},
            {"name": "x", "user": {
                "client-certificate-data": encoded(&certificate), "client-key-data": encoded(&key), "token": "ignored",
            }},
        ],
        "contexts": [
            {"name": "by-token", "context": {"cluster": "c", "user": "t"}},
            {"name": "arn:aws:eks:eu-west-1:1234:cluster/Prod", "context": {"cluster": "c", "user": "x"}},
        ],
    });
    let parsed = parse(&config.to_string());
    assert!(problems(&parsed).contains("is registered as cluster arn-aws-eks-eu-west-1-1234-cluster-prod"));
    let clusters: Vec<_> = parsed.value.unwrap().into_values().map(read).collect();
    assert_eq!(clusters.len(), 2);
    assert_eq!(clusters[0].name, "arn-aws-eks-eu-west-1-1234-cluster-prod");
    assert_eq!(clusters[0].annotations[ANNOTATION_ALIAS], "arn:aws:eks:eu-west-1:1234:cluster/Prod");
    assert!(matches!(clusters[0].upstream.as_ref().unwrap().credential, Credential::X509(_)));
    assert!(is_token(&clusters[1], "t0ken"));
    for cluster in &clusters {
        let upstream = cluster.upstream.as_ref().unwrap();
        assert_eq!(upstream.base_path, "/base");
        assert_eq!(
            upstream.transport.spec().verification,
            Verification::Bundle(certificate.as_bytes().into())
        );
        assert_eq!(upstream.transport.spec().server_name.as_deref(), Some("other"));
    }

    let current = ClusterFiles { contexts: Contexts::Current, allow_exec: false };
    let entries = parse_with(&current, "config", &config.to_string()).value.unwrap();
    assert_eq!(entries.into_keys().collect::<Vec<_>>(), ["by-token"]);
    let dangling = with(config, "current-context", "gone".into()).to_string();
    let parsed = parse_with(&current, "config", &dangling);
    assert!(problems(&parsed).contains("current-context names no context"));
    assert!(parsed.value.unwrap().is_empty());
}

#[test]
fn what_a_kubeconfig_asks_and_cannot_get_makes_its_cluster_unusable() {
    let token = || json!({"token": "hunter2"});
    let (certificate, key) = self_signed();
    let exec = || json!({"exec": {"command": "aws", "args": ["hunter2"], "apiVersion": "client.authentication.k8s.io/v1"}});
    for (cluster, user, expected) in [
        (
            with(server(), "certificate-authority", "ca.pem".into()),
            token(),
            "certificate-authority names a file",
        ),
        (with(server(), "insecure-skip-tls-verify", true.into()), token(), "--allow-insecure-clusters"),
        (with(server(), "insecure-skip-tls-verify", "yes".into()), token(), "expected true or false"),
        (with(server(), "proxy-url", "ftp://p:1".into()), token(), "proxy-url"),
        (
            with(server(), "certificate-authority-data", "!hunter2".into()),
            token(),
            "certificate-authority-data: not base64",
        ),
        (json!({}), token(), "clusters[0].cluster.server is missing"),
        (json!({"server": "hunter"}), token(), "not a URL"),
        (json!({"server": "http://h"}), token(), "clear text"),
        (server(), json!({}), "no credential; expected token, or client-certificate-data"),
        (server(), json!({"token": 123}), "users[0].user.token: expected a string"),
        (server(), json!({"tokenFile": "/var/run/token"}), "tokenFile names a file"),
        (
            server(),
            json!({"client-certificate": "c.pem", "client-key": "k.pem"}),
            "client-certificate names a file",
        ),
        (
            server(),
            json!({"client-certificate-data": STANDARD.encode(&certificate), "client-key": "k.pem"}),
            "--flatten",
        ),
        (
            server(),
            json!({"client-certificate-data": STANDARD.encode(&certificate)}),
            "client-key-data is missing",
        ),
        (server(), json!({"client-key-data": STANDARD.encode(&key)}), "client-certificate-data is missing"),
        (server(), json!({"username": "u", "password": "hunter2"}), "use a token or a certificate"),
        (server(), json!({"auth-provider": {"name": "gcp"}}), "auth-provider was removed"),
        (server(), exec(), "program \"aws\", and running programs is not allowed here"),
        (server(), with(token(), "exec", exec()["exec"].clone()), "not allowed here"),
        (server(), json!({"token": "hunter2", "as": "root"}), "acts as somebody else"),
        (server(), json!({"token": "hunter2", "as-groups": ["system:masters"]}), "acts as somebody else"),
    ] {
        let cluster = only(&kubeconfig(&cluster, &user).to_string());
        let Err(Unusable(reason)) = &cluster.upstream else { panic!("usable, but: {expected}") };
        assert!(reason.contains(expected), "{reason:?} does not say {expected:?}");
        assert!(!format!("{cluster:?}").contains("hunter2"), "{cluster:?}");
    }
    let allowed = ClusterFiles { contexts: Contexts::All, allow_exec: true };
    let entries = parse_with(&allowed, "f", &kubeconfig(&server(), &exec()).to_string()).value.unwrap();
    let entry = entries.into_values().next().unwrap();
    let Err(Unusable(reason)) = read(entry.clone()).upstream else { panic!("usable") };
    assert!(reason.contains("--allow-exec-credential-command") && !reason.contains("hunter2"), "{reason}");
    let exec = ExecPolicy { commands: vec!["/usr/bin/aws".into()], ..ExecPolicy::default() };
    let policy = ClusterPolicy { exec: Arc::new(ExecPlugins::new(exec)), ..ClusterPolicy::default() };
    let upstream = policy.read(entry, None).upstream.expect("a program that is allowed");
    assert!(matches!(upstream.credential, Credential::Exec(_)));
}

#[test]
fn a_context_that_leads_nowhere_makes_only_its_cluster_unusable() {
    let config = json!({
        "clusters": [{"name": "c", "cluster": server()}, {"name": "empty"}],
        "users": [{"name": "u", "user": {"token": "t"}}],
        "contexts": [
            {"name": "good", "context": {"cluster": "c", "user": "u"}},
            {"name": "no-cluster", "context": {"cluster": "gone", "user": "u"}},
            {"name": "no-user", "context": {"cluster": "c", "user": "gone"}},
            {"name": "null-cluster", "context": {"cluster": "empty", "user": "u"}},
            {"name": "nothing"},
            {"name": "userless", "context": {"cluster": "c"}},
            {"name": "///", "context": {"cluster": "c", "user": "u"}},
        ],
    });
    let parsed = parse(&config.to_string());
    assert!(problems(&parsed).contains("\"///\" has no letter or digit"));
    let clusters: Vec<_> = parsed.value.unwrap().into_values().map(read).collect();
    let usable: Vec<_> =
        clusters.iter().filter(|one| one.upstream.is_ok()).map(|one| one.name.as_str()).collect();
    assert_eq!((usable, clusters.len()), (vec!["good"], 6));
}

#[test]
fn insecure_kubeconfigs_work_where_the_operator_allows_them() {
    let config = kubeconfig(&with(server(), "insecure-skip-tls-verify", true.into()), &json!({"token": "t"}));
    let entry = parse(&config.to_string()).value.unwrap().into_values().next().unwrap();
    let policy = ClusterPolicy { allow_insecure: true, ..ClusterPolicy::default() };
    assert!(policy.read(entry, None).upstream.unwrap().insecure);
}

#[test]
fn names_are_slugged_into_dns_labels() {
    let long = format!("arn:{}", "x".repeat(100));
    let (slug_of_long, other) = (name::slug(&long).unwrap(), name::slug(&format!("{long}y")).unwrap());
    assert!(name::check(&slug_of_long).is_ok() && slug_of_long.len() <= 63 && slug_of_long != other);
    for (context, expected) in [
        ("member1", Some("member1")),
        ("a--b", Some("a--b")),
        ("admin@Prod.example", Some("admin-prod-example")),
        ("_x_", Some("x")),
        ("gke_p_zone_c", Some("gke-p-zone-c")),
        ("ü", None),
        ("..", None),
    ] {
        assert_eq!(name::slug(context).as_deref(), expected, "{context}");
    }
    for bad in ["", "-a", "a-", "A", "a.b", "a/b", "..", "é", &"x".repeat(64)] {
        assert!(name::check(bad).is_err(), "{bad}");
    }
    assert!(name::check(&"x".repeat(63)).is_ok());
}

#[test]
fn files_are_wanted_by_their_names() {
    for wanted in ["a.yaml", "a.yml", "a.json", "config", "prod.kubeconfig", "admin.conf", "my.cluster.yaml"]
    {
        assert!(ALL.wants(wanted), "{wanted}");
    }
    for other in ["a.yaml~", "config~", "notes.md", "a.yaml.bak", "ca.pem"] {
        assert!(!ALL.wants(other), "{other}");
    }
}

#[test]
fn an_entry_counts_as_unchanged_exactly_while_it_is_equal() {
    let version = |text: &str| {
        let cluster = read(parse(text).value.unwrap().into_values().next().unwrap());
        (cluster.uid, cluster.resource_version)
    };
    let first = version(&secret("a", ""));
    assert_eq!(first, version(&format!("# comment\n{}", secret("a", ""))));
    let other = version(&secret("a", "").replace("hunter2", "hunter3"));
    assert!(first.0 == other.0 && first.1 != other.1);
    assert_ne!(first.0, version(&secret("b", "")).0);
    // The reason alone differs: both Secrets are equal.
    let reason = |user: Value| version(&kubeconfig(&server(), &user).to_string()).1;
    assert_ne!(reason(json!({})), reason(json!({"tokenFile": "x"})));
}

#[test]
fn of_two_clusters_with_one_name_the_one_in_the_first_file_counts() {
    let root = tempfile::tempdir().unwrap();
    fs::write(root.path().join("a.yaml"), secret("twice", "") + &secret("x", "")).unwrap();
    fs::write(root.path().join("b.yaml"), secret("twice", "").replace("hunter2", "other")).unwrap();
    let mut source = DirectorySource::load(of(&root)).unwrap();
    let clusters: Vec<_> = source.entries().into_iter().map(read).collect();
    assert_eq!(clusters.len(), 2);
    assert!(is_token(&clusters[0], "hunter2"));
    assert_eq!(source.complaints, ["cluster twice stands in a.yaml and in b.yaml; the first one counts"]);
}

fn of(root: &tempfile::TempDir) -> ClustersDirectory {
    ClustersDirectory {
        directory: root.path().to_owned(),
        poll: Duration::from_millis(5),
        ..ClustersDirectory::default()
    }
}

#[test]
fn a_missing_directory_is_an_error_at_start_and_an_empty_one_is_said() {
    let root = tempfile::tempdir().unwrap();
    let missing =
        ClustersDirectory { directory: root.path().join("missing"), ..ClustersDirectory::default() };
    assert!(DirectorySource::load(missing).unwrap_err().to_string().contains("missing"));
    let mut source = DirectorySource::load(of(&root)).unwrap();
    assert!(source.entries().is_empty());
    assert!(source.complaints[0].contains("there is no cluster"), "{:?}", source.complaints);
}

#[tokio::test]
async fn changes_take_effect_and_a_broken_file_keeps_its_clusters() {
    let root = tempfile::tempdir().unwrap();
    let (a, b) = (root.path().join("a.yaml"), root.path().join("b.yaml"));
    fs::write(&a, secret("a", "")).unwrap();
    let registry = Arc::new(Registry::default());
    let index = Index::new(Arc::clone(&registry), ClusterPolicy::default());
    let run = tokio::spawn(DirectorySource::load(of(&root)).unwrap().run(index));
    let until = async |condition: &dyn Fn(&Registry) -> bool| {
        while !condition(&registry) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let scenario = async {
        until(&Registry::synced).await;
        let first = registry.get("a").unwrap();
        fs::write(&b, secret("b", "")).unwrap();
        until(&|registry| registry.get("b").is_ok()).await;
        assert!(Arc::ptr_eq(&first, &registry.get("a").unwrap()), "what is equal stays as it is");

        fs::write(&a, secret("a", "").replace("hunter2", "rotated")).unwrap();
        until(&|registry| registry.get("a").is_ok_and(|cluster| is_token(&cluster, "rotated"))).await;
        let rotated = registry.get("a").unwrap();
        let transport = |cluster: &Cluster| Arc::clone(&cluster.upstream.as_ref().unwrap().transport);
        assert!(Arc::ptr_eq(&transport(&first), &transport(&rotated)), "connections outlive a token");

        fs::write(&a, "apiVersion: v1\nkind: [").unwrap();
        fs::remove_file(&b).unwrap();
        until(&|registry| registry.get("b").is_err()).await;
        assert!(Arc::ptr_eq(&rotated, &registry.get("a").unwrap()), "the last good version stays");
        fs::remove_file(&a).unwrap();
        until(&|registry| registry.snapshot().is_empty()).await;
    };
    tokio::time::timeout(Duration::from_secs(60), scenario).await.expect("every change is seen");
    run.abort();
}

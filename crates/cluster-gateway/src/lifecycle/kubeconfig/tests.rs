use super::*;
use crate::registry::ClusterPolicy;
use cluster_gateway_client::v1alpha1::{ANNOTATION_INSECURE, CredentialType, LABEL_CREDENTIAL_TYPE};

const ARN: &str = "arn:aws:eks:eu-central-1:123456789012:cluster/Prod";

fn source(text: &str) -> KubeconfigSource {
    KubeconfigSource::read(text.as_bytes(), "standard input", None).unwrap()
}

fn member(text: &str, context: Option<&str>) -> Result<Member, String> {
    source(text).member(context)
}

/// A kubeconfig with one context, whose cluster and user hold this.
#[expect(clippy::needless_pass_by_value, reason = "it is called with json!")]
fn kubeconfig(cluster: Value, user: Value) -> String {
    json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "ctx",
        "clusters": [{"name": ARN, "cluster": cluster}],
        "users": [{"name": "u", "user": user}],
        "contexts": [{"name": "ctx", "context": {"cluster": ARN, "user": "u"}}],
    })
    .to_string()
}

fn text(member: &Member, key: &str) -> String {
    member.data(key).map(|value| String::from_utf8_lossy(&value.0).into_owned()).unwrap_or_default()
}

fn annotation<'m>(member: &'m Member, key: &str) -> Option<&'m str> {
    member.secret.metadata.annotations.as_ref()?.get(key).map(String::as_str)
}

#[test]
fn a_context_becomes_the_secret_that_vela_writes() {
    let ca = STANDARD.encode("CA");
    let member = member(
        &kubeconfig(
            json!({"server": "https://h", "certificate-authority-data": ca}),
            json!({"token": "sesame"}),
        ),
        None,
    )
    .unwrap();
    let keys: Vec<_> = member.secret.data.as_ref().unwrap().keys().map(String::as_str).collect();
    assert_eq!(keys, ["ca.crt", "endpoint", "token"]);
    assert_eq!(
        (text(&member, "endpoint").as_str(), text(&member, "token").as_str()),
        ("https://h:443", "sesame")
    );
    let labels = member.secret.metadata.labels.clone().unwrap();
    assert_eq!(labels, [(LABEL_CREDENTIAL_TYPE.to_owned(), "ServiceAccountToken".to_owned())].into());
    // What is no name becomes one, and stays as the name for people.
    assert_eq!(member.name.as_deref(), Some("arn-aws-eks-eu-central-1-123456789012-cluster-prod"));
    assert_eq!(annotation(&member, ANNOTATION_ALIAS), Some(ARN));
    assert!(member.notes[0].contains("it would be called arn-aws"), "{:?}", member.notes);
    assert!(!format!("{member:?} {:?}", source("sesame")).contains("sesame"));
}

#[test]
fn an_endpoint_gets_scheme_and_port_and_keeps_its_path() {
    for (given, kept) in [
        ("h", "https://h:443"),
        ("h:6443", "https://h:6443"),
        ("h:80", "http://h:80"),
        ("http://h", "http://h:80"),
        ("https://h/k8s/clusters/c-1", "https://h:443/k8s/clusters/c-1"),
        ("https://h:8443/k8s/", "https://h:8443/k8s"),
        ("https://[2001:db8::1]", "https://[2001:db8::1]:443"),
        (" https://h\n", "https://h:443"),
    ] {
        assert_eq!(normal_endpoint(given).as_deref(), Ok(kept), "{given}");
    }
    for bad in ["", "https://", "ftp://h", "https://u:p@h", "https://h?x", "https://h/../x", "https://h:0"] {
        let error = normal_endpoint(bad).unwrap_err();
        assert!(!error.contains("u:p"), "{error}");
    }
}

#[test]
fn files_are_read_relative_to_the_kubeconfig() {
    let directory = tempfile::tempdir().unwrap();
    for (name, content) in [("ca.pem", "CA"), ("c.pem", "CERT"), ("k.pem", "KEY"), ("token", "sesame\n")] {
        std::fs::write(directory.path().join(name), content).unwrap();
    }
    let path = directory.path().join("config");
    let cluster = json!({"server": "https://h", "certificate-authority": "ca.pem"});
    let absolute = directory.path().join("k.pem");
    let user = json!({"client-certificate": "./c.pem", "client-key": absolute});
    std::fs::write(&path, kubeconfig(cluster.clone(), user)).unwrap();
    let member = KubeconfigSource::open(&path).unwrap().member(None).unwrap();
    assert_eq!(["ca.crt", "tls.crt", "tls.key"].map(|key| text(&member, key)), ["CA", "CERT", "KEY"]);

    std::fs::write(&path, kubeconfig(cluster.clone(), json!({"tokenFile": "token"}))).unwrap();
    let member = KubeconfigSource::open(&path).unwrap().member(None).unwrap();
    assert_eq!(text(&member, "token"), "sesame");
    assert!(member.notes.iter().any(|note| note.contains("will end")), "{:?}", member.notes);

    // Data counts over a file, as in kubectl; nobody knows where a stream's files are.
    let both = json!({"server": "https://h", "certificate-authority": "gone", "certificate-authority-data": STANDARD.encode("D")});
    std::fs::write(&path, kubeconfig(both.clone(), json!({"token": "t"}))).unwrap();
    assert_eq!(text(&KubeconfigSource::open(&path).unwrap().member(None).unwrap(), "ca.crt"), "D");
    let error = super::tests::member(&kubeconfig(cluster, json!({"token": "t"})), None).unwrap_err();
    assert!(error.contains("certificate-authority names the file ca.pem"), "{error}");
    let missing = json!({"server": "https://h", "certificate-authority": "gone.pem"});
    std::fs::write(&path, kubeconfig(missing, json!({"token": "t"}))).unwrap();
    let error = KubeconfigSource::open(&path).unwrap().member(None).unwrap_err();
    assert!(error.contains("gone.pem") && error.contains("No such file"), "{error}");
}

#[test]
fn programs_stay_programs_and_proxies_and_insecurity_are_kept() {
    let exec = json!({"apiVersion": "client.authentication.k8s.io/v1", "command": "aws", "args": ["eks", "get-token"]});
    let cluster = json!({"server": "https://h", "insecure-skip-tls-verify": true, "proxy-url": "http://p:3128",
        "tls-server-name": "api"});
    let member = member(&kubeconfig(cluster, json!({"exec": exec})), None).unwrap();
    let labels = member.secret.metadata.labels.clone().unwrap();
    assert_eq!(labels[LABEL_CREDENTIAL_TYPE], CredentialType::Dynamic.as_str());
    assert_eq!(serde_json::from_str::<Value>(&text(&member, "exec")).unwrap(), exec);
    assert!(member.data("token").is_none());
    assert_eq!(text(&member, "proxy-url"), "http://p:3128");
    assert_eq!(annotation(&member, ANNOTATION_INSECURE), Some("true"));
}

#[test]
fn one_of_several_contexts_is_chosen() {
    let many = json!({
        "clusters": [{"name": "a", "cluster": {"server": "https://a"}}, {"name": "b", "cluster": {"server": "https://b"}}],
        "users": [{"name": "u", "user": {"token": "t"}}],
        "contexts": [
            {"name": "x", "context": {"cluster": "a", "user": "u"}},
            {"name": "y", "context": {"cluster": "b", "user": "u"}},
        ],
    });
    let text = many.to_string();
    let chosen = member(&text, Some("y")).unwrap();
    assert_eq!((chosen.name.as_deref(), annotation(&chosen, ANNOTATION_ALIAS)), (Some("b"), None));
    let error = member(&text, None).unwrap_err();
    assert!(error.contains("choose one with --context: x, y"), "{error}");
    let error = member(&text, Some("z")).unwrap_err();
    assert!(error.contains("no context \"z\"; there are x, y"), "{error}");
}

#[test]
fn what_is_no_kubeconfig_says_so_and_repeats_nothing_of_it() {
    let whole = kubeconfig(json!({"server": "https://h"}), json!({"token": "sesame"}));
    let mut no_user: Value = serde_json::from_str(&whole).unwrap();
    no_user["users"] = json!([]);
    let mut twice: Value = serde_json::from_str(&whole).unwrap();
    twice["users"] =
        json!([{"name": "u", "user": {"token": "sesame"}}, {"name": "u", "user": {"token": "sesame"}}]);
    for (text, why) in [
        (whole[..whole.len() / 2].to_owned(), "not YAML"),
        (
            "kind: Secret\napiVersion: v1\ndata: {token: c2VzYW1l}\n".to_owned(),
            "it is a Secret, not a kubeconfig",
        ),
        (format!("{whole}\n---\n{whole}"), "holds 2 documents"),
        ("[sesame]".to_owned(), "expected a mapping"),
        ("sesame".to_owned(), "expected a mapping"),
        ("{}".to_owned(), "it has no context"),
        (no_user.to_string(), "it has no user \"u\"; was it cut off?"),
        (twice.to_string(), "two of its users"),
        (kubeconfig(json!({}), json!({"token": "sesame"})), "server is missing"),
        (
            kubeconfig(json!({"server": "https://h"}), json!({"username": "u", "password": "sesame"})),
            "no longer a credential",
        ),
        (
            kubeconfig(json!({"server": "https://h"}), json!({"token": "sesame", "as": "root"})),
            "acts as somebody else",
        ),
        (kubeconfig(json!({"server": "https://h"}), json!({"client-key-data": "sesame!"})), "not base64"),
        (kubeconfig(json!({"server": "https://h"}), json!({"tokenFile": "x"})), "tokenFile names the file"),
    ] {
        let error = member(&text, None).unwrap_err();
        assert!(error.contains(why) && !error.contains("sesame"), "{why}: {error}");
    }
    for (bytes, why) in [
        (&b""[..], "is empty"),
        (b"\xff\xfe", "not UTF-8"),
        (&vec![b'#'; 5 * 1024 * 1024], "larger than 4 MiB"),
    ] {
        let error = KubeconfigSource::read(bytes, "x", None).unwrap_err();
        assert!(error.contains(why), "{error}");
    }
}

/// Whatever is cut off anywhere is an error or a cluster that cannot be used, never a panic or another cluster.
#[test]
fn a_kubeconfig_cut_off_anywhere_never_becomes_another_one() {
    let yaml = "apiVersion: v1\nkind: Config\ncurrent-context: c\nclusters:\n- name: c\n  cluster:\n    server: https://h:6443\n\
                contexts:\n- name: c\n  context:\n    cluster: c\n    user: u\nusers:\n- name: u\n  user:\n    token: 0123456789\n";
    for end in 0..yaml.len() {
        let Ok(source) = KubeconfigSource::read(&yaml.as_bytes()[..end], "x", None) else { continue };
        if let Ok(member) = source.member(None) {
            // Only the last value can be cut short unseen; the cluster then refuses it.
            assert!(end > yaml.find("token: 0").unwrap(), "{end}: {:?}", member.name);
            assert_eq!(text(&member, "endpoint"), "https://h:6443");
            let _ = ClusterPolicy::default().read(member.secret, None);
        }
    }
}

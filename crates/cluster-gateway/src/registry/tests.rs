//! Secrets in, clusters out.

use std::collections::BTreeMap;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use rcgen::{CertifiedKey, generate_simple_self_signed};

use super::*;
use crate::credential::Credential;
use crate::transport::{Route, Verification};

mod history;
mod managed;
mod news;
mod tunnelled;

fn secret(name: &str, credential: &str, data: &[(&str, &[u8])]) -> Secret {
    let labels =
        BTreeMap::from([("cluster.core.oam.dev/cluster-credential-type".to_owned(), credential.to_owned())]);
    Secret {
        metadata: ObjectMeta {
            name: Some(name.to_owned()),
            uid: Some(format!("uid-{name}")),
            resource_version: Some("1".to_owned()),
            labels: Some(labels),
            ..ObjectMeta::default()
        },
        data: Some(data.iter().map(|(key, value)| ((*key).to_owned(), ByteString(value.to_vec()))).collect()),
        ..Secret::default()
    }
}

fn token_secret(data: &[(&str, &[u8])]) -> Secret {
    let mut secret =
        secret("c", "ServiceAccountToken", &[("endpoint", b"https://h:6443\n"), ("token", b"t")]);
    for (key, value) in data {
        secret.data.as_mut().unwrap().insert((*key).to_owned(), ByteString(value.to_vec()));
    }
    secret
}

fn annotate(mut secret: Secret, key: &str, value: &str) -> Secret {
    secret.metadata.annotations.get_or_insert_default().insert(key.to_owned(), value.to_owned());
    secret
}

fn label(mut secret: Secret, key: &str, value: &str) -> Secret {
    secret.metadata.labels.get_or_insert_default().insert(key.to_owned(), value.to_owned());
    secret
}

fn read(secret: Secret) -> Cluster {
    ClusterPolicy::default().read(secret, None)
}

fn refusal(secret: Secret) -> String {
    read(secret).upstream.expect_err("an unusable cluster").0
}

fn self_signed() -> (String, String) {
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(vec!["h".to_owned()]).unwrap();
    (cert.pem(), signing_key.serialize_pem())
}

#[test]
fn rule_211_a_token_secret_becomes_a_cluster() {
    let cluster = read(token_secret(&[]));
    let upstream = cluster.upstream.as_ref().expect("a usable cluster");
    assert_eq!(cluster.address.as_deref(), Some("https://h:6443"));
    assert_eq!(upstream.origin, "https://h:6443");
    assert!(
        matches!(&upstream.credential, Credential::Token(value) if value.as_bytes() == b"Bearer t" && value.is_sensitive())
    );
    assert_eq!(cluster.endpoint_type.as_str(), "Const");
}

#[test]
fn rule_211_a_certificate_secret_becomes_a_cluster() {
    let (certificate, key) = self_signed();
    let data: &[(&str, &[u8])] =
        &[("endpoint", b"https://h"), ("tls.crt", certificate.as_bytes()), ("tls.key", key.as_bytes())];
    let cluster = read(secret("c", "X509Certificate", data));
    let upstream = cluster.upstream.expect("a usable cluster");
    assert!(upstream.transport.spec().client_certificate.is_some());
}

#[test]
fn rule_165_ca_crt_comes_before_ca() {
    let (first, _) = self_signed();
    let (second, _) = self_signed();
    let verification = |data: &[(&str, &[u8])]| {
        read(token_secret(data)).upstream.unwrap().transport.spec().verification.clone()
    };
    let bundle = |pem: &str| Verification::Bundle(pem.as_bytes().into());
    assert_eq!(verification(&[("ca.crt", first.as_bytes()), ("ca", second.as_bytes())]), bundle(&first));
    assert_eq!(verification(&[("ca", second.as_bytes())]), bundle(&second));
}

#[test]
fn rule_166_no_ca_means_the_systems_roots_and_never_no_verification() {
    let cluster = read(token_secret(&[("ca.crt", b"")]));
    let upstream = cluster.upstream.unwrap();
    assert_eq!(upstream.transport.spec().verification, Verification::SystemRoots);
    assert!(!upstream.insecure);
}

#[test]
fn rule_166_insecure_needs_the_secret_and_the_operator() {
    let marked = || annotate(token_secret(&[]), "cluster.core.oam.dev/insecure-skip-tls-verify", "true");
    assert!(refusal(marked()).contains("--allow-insecure-clusters"));
    let policy = ClusterPolicy { allow_insecure: true, ..ClusterPolicy::default() };
    let upstream = policy.read(marked(), None).upstream.unwrap();
    assert!(upstream.insecure && upstream.transport.spec().verification == Verification::Insecure);
    let unmarked = policy.read(token_secret(&[]), None).upstream.unwrap();
    assert!(!unmarked.insecure);
    let odd = annotate(token_secret(&[]), "cluster.core.oam.dev/insecure-skip-tls-verify", "yes");
    assert!(refusal(odd).contains("expected true or false"));
}

#[test]
fn rule_167_clear_text_endpoints_are_refused_unless_marked_and_allowed() {
    let plain = || token_secret(&[("endpoint", b"http://h:8080")]);
    assert!(refusal(plain()).contains("clear text"));
    let policy = ClusterPolicy { allow_insecure: true, ..ClusterPolicy::default() };
    assert!(policy.read(plain(), None).upstream.is_err());
    let marked = annotate(plain(), "cluster.core.oam.dev/insecure-skip-tls-verify", "true");
    assert!(!policy.read(marked, None).upstream.unwrap().transport.spec().endpoint.tls);
}

#[test]
fn every_bad_field_is_named() {
    let (certificate, key) = self_signed();
    let (_, other_key) = self_signed();
    let x509 = |certificate: &[u8], key: &[u8]| {
        secret(
            "c",
            "X509Certificate",
            &[("endpoint", b"https://h"), ("tls.crt", certificate), ("tls.key", key)],
        )
    };
    for (secret, expected) in [
        (token_secret(&[("endpoint", b"")]), "\"endpoint\" is missing"),
        (token_secret(&[("endpoint", b"10.0.0.1:6443")]), "not a URL"),
        (token_secret(&[("endpoint", b"\xff\xfe")]), "not UTF-8"),
        (token_secret(&[("token", b"")]), "\"token\" is missing"),
        (token_secret(&[("token", b"a\r\nX-Evil: 1")]), "line breaks"),
        (token_secret(&[("ca.crt", b"nonsense")]), "\"ca.crt\" holds no PEM certificate"),
        (
            token_secret(&[("ca", b"-----BEGIN CERTIFICATE-----\n!!\n-----END CERTIFICATE-----\n")]),
            "\"ca\" holds damaged PEM",
        ),
        (x509(b"", key.as_bytes()), "\"tls.crt\" is missing"),
        (x509(certificate.as_bytes(), b""), "\"tls.key\" is missing"),
        (x509(b"nonsense", key.as_bytes()), "\"tls.crt\" holds no PEM certificate"),
        (x509(certificate.as_bytes(), b"nonsense"), "\"tls.key\" holds no PEM private key"),
        (x509(certificate.as_bytes(), other_key.as_bytes()), "do not belong together"),
        (secret("c", "Magic", &[("endpoint", b"https://h")]), "unknown value \"Magic\""),
        (
            label(token_secret(&[]), "cluster.core.oam.dev/cluster-endpoint-type", "Pigeon"),
            "unknown value \"Pigeon\"",
        ),
    ] {
        let reason = refusal(secret);
        assert!(reason.contains(expected), "{reason:?} does not say {expected:?}");
    }
}

#[test]
fn what_is_not_supported_is_refused_instead_of_ignored() {
    for (secret, expected) in [
        (
            label(token_secret(&[]), "cluster.core.oam.dev/cluster-endpoint-type", "ClusterProxy"),
            "ClusterProxy",
        ),
        (
            secret("c", "Dynamic", &[("endpoint", b"https://h"), ("exec", b"{\"command\": \"aws\"}")]),
            "--allow-exec-credential-command",
        ),
    ] {
        assert!(refusal(secret).contains(expected));
    }
}

#[test]
fn rule_181_a_cluster_keeps_no_annotation_that_could_hold_its_secret() {
    let cluster = read(annotate(
        annotate(
            token_secret(&[]),
            "kubectl.kubernetes.io/last-applied-configuration",
            "{\"data\":{\"token\":\"dA==\"}}",
        ),
        "cluster.core.oam.dev/cluster-alias",
        "origin",
    ));
    assert_eq!(cluster.annotations.len(), 1);
    assert!(!format!("{cluster:?}").contains("Bearer"), "key material in Debug");
}

fn index() -> (Index, Arc<Registry>) {
    let registry = Arc::new(Registry::default());
    (Index::new(Arc::clone(&registry), ClusterPolicy::default()), registry)
}

#[test]
fn rule_178_no_such_cluster_is_said_only_when_there_is_none() {
    let (mut index, registry) = index();
    let before = registry.get("c").unwrap_err().to_string();
    assert!(!before.contains("no such cluster"), "{before}");
    index.reset(vec![secret("bad", "ServiceAccountToken", &[])]);
    assert_eq!(registry.get("c").unwrap_err().to_string(), "no such cluster c");
    let unusable = registry.get("bad").unwrap().upstream().unwrap_err();
    assert!(!unusable.to_string().contains("no such cluster"), "{unusable}");
    assert_eq!(unusable.code(), 503);
}

#[test]
fn rule_164_a_changed_token_keeps_the_connections_and_a_changed_endpoint_does_not() {
    let (mut index, registry) = index();
    let transport =
        |registry: &Registry| Arc::clone(&registry.get("c").unwrap().upstream().unwrap().transport);
    index.reset(vec![token_secret(&[])]);
    let first = transport(&registry);
    index.apply(token_secret(&[("token", b"other")]));
    index.publish();
    assert!(Arc::ptr_eq(&first, &transport(&registry)));
    let cluster = registry.get("c").unwrap();
    assert!(
        matches!(&cluster.upstream().unwrap().credential, Credential::Token(value) if value.as_bytes() == b"Bearer other")
    );
    index.apply(token_secret(&[("endpoint", b"https://h:7443")]));
    index.publish();
    assert!(!Arc::ptr_eq(&first, &transport(&registry)));
}

#[test]
fn rule_163_another_client_certificate_is_another_connection() {
    let (mut index, registry) = index();
    let x509 = || {
        let (certificate, key) = self_signed();
        secret(
            "c",
            "X509Certificate",
            &[("endpoint", b"https://h"), ("tls.crt", certificate.as_bytes()), ("tls.key", key.as_bytes())],
        )
    };
    let transport =
        |registry: &Registry| Arc::clone(&registry.get("c").unwrap().upstream().unwrap().transport);
    index.reset(vec![x509()]);
    let first = transport(&registry);
    index.apply(x509());
    index.publish();
    assert!(!Arc::ptr_eq(&first, &transport(&registry)));
}

#[test]
fn a_relist_forgets_what_is_gone_and_keeps_what_is_unchanged() {
    let (mut index, registry) = index();
    index.reset(vec![token_secret(&[]), secret("gone", "ServiceAccountToken", &[])]);
    let first = registry.get("c").unwrap();
    index.reset(vec![token_secret(&[])]);
    assert!(Arc::ptr_eq(&first, &registry.get("c").unwrap()));
    assert!(registry.get("gone").is_err());
    assert_eq!(registry.snapshot().len(), 1);
}

#[test]
fn one_bad_entry_hurts_no_other() {
    let (mut index, registry) = index();
    index.reset(vec![
        secret("a", "ServiceAccountToken", &[]),
        token_secret(&[]),
        secret("z", "", &[("endpoint", b"\0")]),
    ]);
    assert!(registry.get("c").unwrap().upstream().is_ok());
    let names: Vec<_> = registry.snapshot().iter().map(|cluster| cluster.name.clone()).collect();
    assert_eq!(names, ["a", "c", "z"]);
}

#[test]
fn rule_167_rule_211_a_proxy_is_read_or_refused_without_repeating_it() {
    let url = b"http://user:hunter2@proxy:3128\n".as_slice();
    let cluster = read(token_secret(&[("proxy-url", url)]));
    let Route::Proxy(proxy) = &cluster.upstream().unwrap().transport.spec().route else { panic!("direct") };
    assert_eq!(proxy.to_string(), "http://proxy:3128");
    assert_eq!(proxy.login.as_ref().unwrap().password, "hunter2");
    assert_eq!(cluster.proxy_url.as_deref(), Some("http://proxy:3128"));
    assert!(!format!("{cluster:?}").contains("hunter2"));

    let (ca, _) = self_signed();
    let cluster = read(token_secret(&[("proxy-url", b"https://proxy"), ("proxy-ca.crt", ca.as_bytes())]));
    let Route::Proxy(proxy) = &cluster.upstream().unwrap().transport.spec().route else { panic!("direct") };
    assert_eq!(proxy.ca.as_deref(), Some(ca.as_bytes()));

    for (data, expected) in [
        (&[("proxy-url", b"ftp://u:hunter2@proxy".as_slice())][..], "expected http, https or socks5"),
        (&[("proxy-url", b"hunter2")], "key \"proxy-url\": is not a URL of a proxy"),
        (
            &[("proxy-url", b"https://proxy"), ("proxy-ca.crt", b"hunter2")],
            "key \"proxy-ca.crt\" holds no PEM",
        ),
    ] {
        let reason = refusal(token_secret(data));
        assert!(reason.contains(expected) && !reason.contains("hunter2"), "{reason}");
    }
}

#[test]
fn rule_163_another_proxy_or_login_is_another_transport() {
    let policy = ClusterPolicy::default();
    let read = |url: &[u8], previous| policy.read(token_secret(&[("proxy-url", url)]), previous);
    let transport = |cluster: &Cluster| Arc::clone(&cluster.upstream().unwrap().transport);
    let first = read(b"http://u:p@proxy", None);
    assert!(Arc::ptr_eq(&transport(&read(b"http://u:p@proxy:80", Some(&first))), &transport(&first)));
    for other in ["http://u:q@proxy", "http://proxy", "http://u:p@proxy:81", "https://u:p@proxy:80", ""] {
        let other = read(other.as_bytes(), Some(&first));
        assert!(!Arc::ptr_eq(&transport(&other), &transport(&first)), "{other:?}");
    }
}

#[test]
fn the_environments_proxy_is_for_clusters_that_name_none() {
    let variables = |name: &str| match name {
        "HTTPS_PROXY" => Some("http://environment:3128".to_owned()),
        "NO_PROXY" => Some(".local".to_owned()),
        _ => None,
    };
    let proxies = ProxyEnvironment::read(variables).unwrap();
    let policy = ClusterPolicy { proxies, ..ClusterPolicy::default() };
    for (data, expected) in [
        (&[][..], Some("http://environment:3128")),
        (&[("endpoint", b"https://a.local".as_slice())], None),
        (&[("proxy-url", b"socks5://own")], Some("socks5://own:1080")),
    ] {
        let cluster = policy.read(token_secret(data), None);
        let route = match &cluster.upstream().unwrap().transport.spec().route {
            Route::Proxy(proxy) => Some(proxy.to_string()),
            Route::Direct => None,
            Route::Konnectivity => panic!("an agent"),
        };
        assert_eq!(route.as_deref(), expected);
        assert!(data.iter().any(|(key, _)| *key == "proxy-url") || cluster.proxy_url.is_none());
    }
}

#[test]
fn a_proxy_for_what_an_agent_connects_to_is_refused() {
    let secret = token_secret(&[("proxy-url", b"http://proxy")]);
    let secret = label(secret, "cluster.core.oam.dev/cluster-endpoint-type", "ClusterProxy");
    assert!(refusal(secret).contains("\"proxy-url\" has no meaning"));
}

//! No hub: the same schemes, asked of other sources.

use std::sync::Arc;
use std::time::Duration;

use cluster_gateway::authn::{
    Authenticator, Connection, GROUP_AUTHENTICATED, LoadError, OidcConfig, StandaloneAuthentication, UserInfo,
};
use cluster_gateway::issuer::{CertificateAuthority, DataDir, Role};
use cluster_gateway::status::Error;
use http::StatusCode;
use http_body_util::BodyExt;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use super::{connection, request, user};
use crate::support::certificates::Ca;

/// A client CA of the server's own.
fn authority() -> (tempfile::TempDir, CertificateAuthority) {
    let parent = tempfile::tempdir().unwrap();
    let dir = DataDir::open(parent.path().join("data")).unwrap();
    let ca = CertificateAuthority::load_or_create(&dir, Role::Clients).unwrap();
    (parent, ca)
}

fn issue(ca: &CertificateAuthority, name: &str, groups: &[&str]) -> CertificateDer<'static> {
    let groups: Vec<_> = groups.iter().map(|&group| group.to_owned()).collect();
    let issued = ca.issue(name, &groups, Duration::from_secs(3600)).unwrap();
    CertificateDer::from_pem_slice(issued.certificate.as_bytes()).unwrap()
}

async fn who(
    authenticator: &Authenticator,
    connection: &Connection,
    headers: &[(&str, &str)],
) -> Result<UserInfo, Error> {
    authenticator.authenticate(connection, &mut request(headers)).await.map(Arc::unwrap_or_clone)
}

/// Message of the Status that a refused caller gets.
async fn message(error: Error) -> String {
    let response = error.into_response(false);
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
    let body = response.into_body().collect().await.unwrap().to_bytes();
    let status: serde_json::Value = serde_json::from_slice(&body).unwrap();
    assert_eq!((&status["reason"], &status["code"]), (&"Unauthorized".into(), &401.into()));
    status["message"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn rule_075_clients_of_the_own_ca_and_of_the_file_are_believed() {
    let (_dir, ca) = authority();
    let (others, strangers) = (Ca::new("others"), Ca::new("strangers"));
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), others.pem()).unwrap();
    let config = StandaloneAuthentication {
        ca: ca.client_cas().unwrap(),
        client_ca_file: Some(file.path().to_owned()),
        ..StandaloneAuthentication::default()
    };
    let authenticator = Authenticator::standalone(config).unwrap();
    let alice = connection(&[&issue(&ca, "alice", &["a", "b", "c"])]);
    // Its own CA counts from the beginning.
    assert_eq!(
        who(&authenticator, &alice, &[]).await.unwrap(),
        user("alice", &["a", "b", "c", GROUP_AUTHENTICATED])
    );
    let bob = connection(&[&others.client("bob", &["ops"])]);
    assert!(who(&authenticator, &bob, &[]).await.is_err());
    assert_eq!(authenticator.ca_certificates().len(), 1);
    authenticator.load().await.unwrap();
    assert_eq!(who(&authenticator, &alice, &[]).await.unwrap().name, "alice");
    assert_eq!(who(&authenticator, &bob, &[]).await.unwrap(), user("bob", &["ops", GROUP_AUTHENTICATED]));
    assert_eq!(authenticator.ca_certificates().len(), 2);
    let stranger = connection(&[&strangers.client("alice", &[])]);
    assert!(who(&authenticator, &stranger, &[]).await.is_err());
}

#[tokio::test]
async fn rule_067_nobody_is_a_front_proxy() {
    let (_dir, ca) = authority();
    let config =
        StandaloneAuthentication { ca: ca.client_cas().unwrap(), ..StandaloneAuthentication::default() };
    let authenticator = Authenticator::standalone(config).unwrap();
    let proxy = connection(&[&issue(&ca, "front-proxy-client", &[])]);
    let headers = [("x-remote-user", "admin"), ("x-remote-group", "system:masters")];
    let mut parts = request(&headers);
    let found = authenticator.authenticate(&proxy, &mut parts).await.unwrap();
    assert_eq!(*found, user("front-proxy-client", &[GROUP_AUTHENTICATED]));
    assert!(parts.headers.is_empty(), "{:?}", parts.headers);
}

#[tokio::test]
async fn rule_064_who_has_no_credential_is_told_how_to_get_one() {
    let authenticator = Authenticator::standalone(StandaloneAuthentication::default()).unwrap();
    authenticator.load().await.unwrap();
    let refused = who(&authenticator, &connection(&[]), &[]).await.unwrap_err();
    let text = message(refused).await;
    assert!(
        text.starts_with("Unauthorized: no credential was presented")
            && text.contains("`cluster-gateway kubeconfig`"),
        "{text}"
    );
    let basic = [("authorization", "Basic dTpw")];
    let refused = who(&authenticator, &connection(&[]), &basic).await.unwrap_err();
    assert!(message(refused).await.contains("no credential was presented"));
}

#[tokio::test]
async fn rule_061_a_wrong_credential_is_refused_without_saying_to_the_caller_what_is_wrong_with_it() {
    let config = StandaloneAuthentication { anonymous: true, ..StandaloneAuthentication::default() };
    let authenticator = Authenticator::standalone(config).unwrap();
    let refused = who(&authenticator, &connection(&[]), &[("authorization", "Bearer guessed")]).await;
    let refused = refused.unwrap_err();
    assert!(
        matches!(&refused, Error::UnauthorizedWithAdvice { cause, .. } if cause == "bearer token: nobody knows it"),
        "{refused:?}"
    );
    let text = message(refused).await;
    assert!(text.contains("the credential is not accepted") && !text.contains("knows it"), "{text}");
    assert!(text.contains("`cluster-gateway kubeconfig`"), "{text}");
}

#[tokio::test]
async fn rule_063_anonymous_callers_are_let_in_only_where_that_is_asked_for() {
    let config = StandaloneAuthentication { anonymous: true, ..StandaloneAuthentication::default() };
    let open = Authenticator::standalone(config).unwrap();
    assert_eq!(who(&open, &connection(&[]), &[]).await.unwrap(), UserInfo::anonymous());
}

#[tokio::test]
async fn rule_060_a_certificate_goes_before_a_token_and_a_wrong_token_beside_it_does_not_matter() {
    let (_dir, ca) = authority();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "t,carol,1\n").unwrap();
    let config = StandaloneAuthentication {
        ca: ca.client_cas().unwrap(),
        token_file: Some(file.path().to_owned()),
        ..StandaloneAuthentication::default()
    };
    let authenticator = Authenticator::standalone(config).unwrap();
    authenticator.load().await.unwrap();
    let alice = connection(&[&issue(&ca, "alice", &[])]);
    let stranger = connection(&[&Ca::new("strangers").client("mallory", &[])]);
    for (connection, token, expected) in [
        (&alice, "t", Some("alice")),
        (&alice, "wrong", Some("alice")),
        (&stranger, "t", Some("carol")),
        (&stranger, "wrong", None),
    ] {
        let bearer = format!("Bearer {token}");
        let found = who(&authenticator, connection, &[("authorization", &bearer)]).await;
        assert_eq!(found.ok().map(|user| user.name).as_deref(), expected, "{token}");
    }
}

#[tokio::test]
async fn everything_that_must_be_mended_is_said_at_once() {
    let missing = tempfile::tempdir().unwrap();
    let config = StandaloneAuthentication {
        client_ca_file: Some(missing.path().join("no-ca")),
        token_file: Some(missing.path().join("no-tokens")),
        oidc: Some(OidcConfig {
            issuer_url: "https://localhost".to_owned(),
            client_id: "x".to_owned(),
            ca_file: Some(missing.path().join("no-roots")),
            ..OidcConfig::default()
        }),
        ..StandaloneAuthentication::default()
    };
    let Err(LoadError::Fatal(text)) = Authenticator::standalone(config).unwrap().load().await else {
        panic!("the files are missing");
    };
    for expected in
        ["--client-ca-file", "no-ca", "--token-auth-file", "no-tokens", "--oidc-ca-file", "no-roots"]
    {
        assert!(text.contains(expected), "{expected}: {text}");
    }
}

#[tokio::test]
async fn wrong_settings_of_an_issuer_are_said_at_once() {
    let config = OidcConfig {
        issuer_url: "http://localhost".to_owned(),
        signing_algs: ["RS256", "none", "HS256"].map(str::to_owned).into(),
        groups_claim: Some(String::new()),
        username_claim: String::new(),
        ..OidcConfig::default()
    };
    let mistakes = config.check().unwrap_err();
    let config = StandaloneAuthentication { oidc: Some(config), ..StandaloneAuthentication::default() };
    let Err(LoadError::Fatal(text)) = Authenticator::standalone(config) else { panic!("it is wrong") };
    assert_eq!(text, mistakes.join("; "));
    for expected in [
        "--oidc-issuer-url: \"http://localhost\" does not begin with https://",
        "--oidc-client-id",
        "--oidc-username-claim",
        "--oidc-groups-claim",
        "--oidc-signing-algs: \"none\"",
        "--oidc-signing-algs: \"HS256\"",
    ] {
        assert!(text.contains(expected), "{expected}: {text}");
    }
    assert!(!text.contains("\"RS256\""), "{text}");
    for url in ["", "https://", "https://u@h", "https://h/?q", "https://h/#f", "https://h h"] {
        let config =
            OidcConfig { issuer_url: url.to_owned(), client_id: "x".to_owned(), ..OidcConfig::default() };
        assert_eq!(config.check().unwrap_err().len(), 1, "{url}");
    }
}

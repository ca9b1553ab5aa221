use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};

use super::*;
use crate::hub::HubConfig;

const HOUR: Duration = Duration::from_secs(3600);

fn params(name: &str, hours: u32) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.not_before = (SystemTime::now() - HOUR).into();
    params.not_after = (SystemTime::now() + HOUR * hours).into();
    params
}

fn ca(hours: u32) -> CertifiedIssuer<'static, KeyPair> {
    let mut params = params("ca", hours);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

fn certificate(ca: &CertifiedIssuer<'static, KeyPair>, name: &str, hours: u32) -> CertificateDer<'static> {
    params(name, hours).signed_by(&KeyPair::generate().unwrap(), ca).unwrap().der().clone()
}

/// An authenticator that trusts CAs from files; its hub is never there.
async fn authenticator(front: &str, clients: &str, allowed_names: &[&str]) -> Authenticator {
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        Some(path)
    };
    let kubeconfig = r#"{"clusters":[{"name":"c","cluster":{"server":"http://127.0.0.1:1"}}],"current-context":"x",
        "contexts":[{"name":"x","context":{"cluster":"c","user":"u"}}],"users":[{"name":"u"}]}"#;
    let hub = HubConfig { kubeconfig: file("kubeconfig", kubeconfig), ..HubConfig::default() };
    let config = AuthenticationConfig {
        client_ca_file: file("clients", clients),
        request_header: RequestHeaderConfig {
            client_ca_file: file("front", front),
            allowed_names: allowed_names.iter().map(|&name| name.to_owned()).collect(),
            ..RequestHeaderConfig::default()
        },
        ..AuthenticationConfig::default()
    };
    let authenticator = Authenticator::for_hub(config, Hub::connect(&hub).await.unwrap());
    authenticator.load().await.unwrap();
    authenticator
}

async fn name(authenticator: &Authenticator, connection: &Connection, now: SystemTime) -> Option<String> {
    let request = http::Request::get("/").header("x-remote-user", "alice").body(()).unwrap();
    let mut parts = request.into_parts().0;
    authenticator.authenticate_at(connection, &mut parts, now, true).await.ok().map(|user| user.name.clone())
}

#[tokio::test]
async fn rule_074_an_expired_certificate_is_refused_on_the_next_request_of_an_open_connection() {
    let (front, clients) = (ca(10), ca(10));
    let authenticator = authenticator(&front.pem(), &clients.pem(), &[]).await;
    let now = SystemTime::now();
    for (certificate, expected) in
        [(certificate(&front, "proxy", 1), "alice"), (certificate(&clients, "bob", 1), "bob")]
    {
        let connection = Connection::new(([127, 0, 0, 1], 1).into(), vec![certificate]);
        for minutes in [0, 30, 59] {
            let then = now + Duration::from_secs(60 * minutes);
            assert_eq!(name(&authenticator, &connection, then).await.as_deref(), Some(expected));
        }
        assert_eq!(name(&authenticator, &connection, now + HOUR + Duration::from_secs(1)).await, None);
    }
}

#[tokio::test]
async fn rule_074_an_expired_ca_vouches_for_nobody() {
    let (front, clients) = (ca(1), ca(10));
    let bundle = format!("{}{}", front.pem(), ca(10).pem());
    let authenticator = authenticator(&bundle, &clients.pem(), &[]).await;
    let certificates = vec![certificate(&front, "proxy", 5)];
    let connection = Connection::new(([127, 0, 0, 1], 1).into(), certificates);
    let now = SystemTime::now();
    assert_eq!(name(&authenticator, &connection, now).await.as_deref(), Some("alice"));
    assert_eq!(name(&authenticator, &connection, now + HOUR * 2).await, None);
}

#[tokio::test]
async fn rule_074_a_certificate_becomes_valid_on_an_open_connection() {
    let (front, clients) = (ca(10), ca(10));
    let authenticator = authenticator(&front.pem(), &clients.pem(), &[]).await;
    let connection = Connection::new(([127, 0, 0, 1], 1).into(), vec![certificate(&clients, "bob", 1)]);
    let now = SystemTime::now();
    let early = now - HOUR - Duration::from_secs(10);
    assert_eq!(name(&authenticator, &connection, early).await, None);
    assert_eq!(
        name(&authenticator, &connection, early + Duration::from_secs(20)).await.as_deref(),
        Some("bob")
    );
    // A clock that goes back is believed no longer than one that goes on.
    assert_eq!(name(&authenticator, &connection, early).await, None);
}

#[tokio::test]
async fn rule_073_a_verification_is_remembered_for_exactly_one_bundle() {
    let ca = ca(10);
    let chain = [certificate(&ca, "bob", 1)];
    let bundle = || Arc::new(crate::pki::ClientCas::from_pem(ca.pem().as_bytes()).unwrap());
    let (first, second, now) = (bundle(), bundle(), SystemTime::now());
    let verification = Verification::default();
    let verdict = verification.verify(&first, &chain, now);
    assert!(Arc::ptr_eq(&verdict, &verification.verify(&first, &chain, now)));
    assert!(!Arc::ptr_eq(&verdict, &verification.verify(&second, &chain, now)));
}

#[tokio::test]
async fn rule_272_a_shared_ca_without_allowed_names_is_complained_of() {
    let (shared, own) = (ca(10), ca(10));
    let both = format!("{}{}", own.pem(), shared.pem());
    let complaint = authenticator(&both, &shared.pem(), &[]).await.trust.shared_ca();
    assert!(complaint.is_some_and(|text| text.contains("--requestheader-allowed-names")));
    assert_eq!(authenticator(&both, &shared.pem(), &["proxy"]).await.trust.shared_ca(), None);
    assert_eq!(authenticator(&own.pem(), &shared.pem(), &[]).await.trust.shared_ca(), None);
}

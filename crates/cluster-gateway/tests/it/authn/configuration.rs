//! Whom to trust: the hub's ConfigMap and files.

use std::sync::Arc;
use std::time::Duration;

use cluster_gateway::authn::{AuthenticationConfig, Authenticator, LoadError, RequestHeaderConfig, UserInfo};
use cluster_gateway::hub::{Hub, HubConfig};
use rustls::pki_types::CertificateDer;

use super::{World, connection, publish, request};
use crate::support::certificates::Ca;
use crate::support::fake_hub::{FakeHub, Fault};

async fn load(hub: &FakeHub, config: AuthenticationConfig) -> (Arc<Authenticator>, Result<(), LoadError>) {
    let authenticator = Arc::new(Authenticator::for_hub(config, hub.hub().await));
    let loaded = authenticator.load().await;
    (authenticator, loaded)
}

async fn name(authenticator: &Authenticator, certificate: &CertificateDer<'static>) -> Option<String> {
    let mut parts = request(&[("x-remote-user", "alice")]);
    let answer = authenticator.authenticate(&connection(&[certificate]), &mut parts).await;
    answer.ok().map(|user| user.name.clone())
}

/// Waits until a certificate stands for this name.
async fn until(authenticator: &Authenticator, certificate: &CertificateDer<'static>, expected: Option<&str>) {
    let reached = async {
        while name(authenticator, certificate).await.as_deref() != expected {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), reached).await.expect("the change arrives");
}

fn follow(authenticator: &Arc<Authenticator>) {
    let authenticator = Arc::clone(authenticator);
    tokio::spawn(async move { authenticator.watch().await });
}

#[tokio::test]
async fn rule_072_a_missing_config_map_is_no_failure_and_nobody_is_believed() {
    let hub = FakeHub::start().await;
    let (authenticator, loaded) = load(&hub, AuthenticationConfig::default()).await;
    assert_eq!(loaded, Ok(()));
    let found = authenticator
        .authenticate(&connection(&[&Ca::new("x").client("front-proxy", &[])]), &mut request(&[]))
        .await;
    assert_eq!(*found.unwrap(), UserInfo::anonymous());
    assert!(authenticator.ca_certificates().is_empty());
}

#[tokio::test]
async fn rule_072_rule_100_what_must_be_mended_is_fatal_unless_tolerated() {
    let hub = FakeHub::start().await;
    let tolerant = AuthenticationConfig { tolerate_lookup_failure: true, ..Default::default() };
    hub.fault("configmaps", Fault::Status(403));
    let (_, loaded) = load(&hub, AuthenticationConfig::default()).await;
    let text = loaded.unwrap_err().to_string();
    assert!(
        text.contains("injected 403") && text.contains("extension-apiserver-authentication-reader"),
        "{text}"
    );
    assert_eq!(load(&hub, tolerant.clone()).await.1, Ok(()));
    hub.heal();
    hub.set_auth_config(&[("client-ca-file", "no PEM")]);
    assert!(matches!(load(&hub, AuthenticationConfig::default()).await.1, Err(LoadError::Fatal(_))));
    assert_eq!(load(&hub, tolerant).await.1, Ok(()));
    let skip = AuthenticationConfig { skip_lookup: true, ..Default::default() };
    assert_eq!(load(&hub, skip).await.1, Ok(()));
}

#[tokio::test]
async fn rule_072_a_hub_that_is_away_can_be_asked_again() {
    let hub = FakeHub::start().await;
    hub.fault("configmaps", Fault::Reset);
    let (authenticator, loaded) = load(&hub, AuthenticationConfig::default()).await;
    assert!(matches!(loaded, Err(LoadError::Unreachable(_))), "{loaded:?}");
    hub.heal();
    assert_eq!(authenticator.load().await, Ok(()));

    // Nothing listens there, and connecting does not mind.
    let kubeconfig = hub.dir().join("nowhere");
    let text = std::fs::read_to_string(hub.kubeconfig_path()).unwrap();
    let port = text.split("127.0.0.1:").nth(1).unwrap().split('"').next().unwrap();
    std::fs::write(&kubeconfig, text.replace(port, "1")).unwrap();
    let config = HubConfig { kubeconfig: Some(kubeconfig), ..HubConfig::default() };
    let authenticator =
        Authenticator::for_hub(AuthenticationConfig::default(), Hub::connect(&config).await.unwrap());
    assert!(matches!(authenticator.load().await, Err(LoadError::Unreachable(_))));
}

#[tokio::test]
async fn rule_065_rule_073_a_new_ca_acts_on_the_next_request_of_an_open_connection() {
    let world = World::new().await;
    follow(&world.authenticator);
    let (front_proxy, bob) = (world.front.client("front-proxy", &[]), world.clients.client("bob", &[]));
    let (open, bobs) = (connection(&[&front_proxy]), connection(&[&bob]));
    let ask = async |connection| {
        let mut parts = request(&[("x-remote-user", "alice")]);
        world.authenticator.authenticate(connection, &mut parts).await.map(|user| user.name.clone())
    };
    assert_eq!(ask(&open).await.unwrap(), "alice");
    assert_eq!(ask(&bobs).await.unwrap(), "bob");
    let (front, clients) = (Ca::new("front 2"), Ca::new("clients 2"));
    publish(&world.hub, &front, &clients);
    until(&world.authenticator, &front.client("front-proxy", &[]), Some("alice")).await;
    assert!(ask(&open).await.is_err());
    assert!(ask(&bobs).await.is_err());
    assert_eq!(name(&world.authenticator, &clients.client("bob", &[])).await.as_deref(), Some("bob"));
}

#[tokio::test]
async fn rule_072_what_becomes_unusable_leaves_the_last_good_state() {
    let world = World::new().await;
    follow(&world.authenticator);
    let (front_proxy, bob) = (world.front.client("front-proxy", &[]), world.clients.client("bob", &[]));
    let garbage: [&[(&str, &str)]; 4] = [
        &[("client-ca-file", "x"), ("requestheader-client-ca-file", "x")],
        &[("client-ca-file", ""), ("requestheader-client-ca-file", " ")],
        &[
            ("requestheader-client-ca-file", &world.front.pem()),
            ("requestheader-username-headers", "no JSON"),
        ],
        &[],
    ];
    for (step, data) in garbage.into_iter().enumerate() {
        // A marker that the change has been seen: a CA for clients that stands beside the garbage.
        let marker = Ca::new("marker");
        let marker_pem = marker.pem();
        let marked = [data, &[("client-ca-file", &marker_pem)]].concat();
        world.hub.set_auth_config(data);
        world.hub.set_auth_config(&marked);
        until(&world.authenticator, &marker.client("seen", &[]), Some("seen")).await;
        assert_eq!(name(&world.authenticator, &front_proxy).await.as_deref(), Some("alice"), "step {step}");
        publish(&world.hub, &world.front, &world.clients);
        until(&world.authenticator, &bob, Some("bob")).await;
    }
    world.hub.delete_auth_config();
    world.hub.cut_watches();
    let before = world.hub.requests("configmaps?");
    while world.hub.requests("configmaps?") < before + 1 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(name(&world.authenticator, &bob).await.as_deref(), Some("bob"));
}

#[tokio::test]
async fn rule_066_rule_056_files_take_the_place_of_the_config_map_and_are_read_again() {
    let hub = FakeHub::start().await;
    let (front, clients) = (Ca::new("front"), Ca::new("clients"));
    publish(&hub, &Ca::new("other"), &Ca::new("other"));
    let (front_file, client_file) = (hub.dir().join("front.pem"), hub.dir().join("clients.pem"));
    std::fs::write(&front_file, front.pem()).unwrap();
    std::fs::write(&client_file, clients.pem()).unwrap();
    let config = AuthenticationConfig {
        client_ca_file: Some(client_file.clone()),
        request_header: RequestHeaderConfig {
            client_ca_file: Some(front_file.clone()),
            allowed_names: vec!["mine".to_owned()],
            ..RequestHeaderConfig::default()
        },
        file_poll: Duration::from_millis(10),
        ..AuthenticationConfig::default()
    };
    let (authenticator, loaded) = load(&hub, config.clone()).await;
    assert_eq!(loaded, Ok(()));
    assert_eq!(hub.requests("configmaps"), 0);
    assert_eq!(name(&authenticator, &front.client("mine", &[])).await.as_deref(), Some("alice"));
    assert_eq!(name(&authenticator, &front.client("front-proxy", &[])).await, None);

    follow(&authenticator);
    let next = Ca::new("next");
    std::fs::write(&front_file, "garbage").unwrap();
    std::fs::write(&client_file, next.pem()).unwrap();
    until(&authenticator, &next.client("bob", &[]), Some("bob")).await;
    assert_eq!(name(&authenticator, &front.client("mine", &[])).await.as_deref(), Some("alice"));
    assert!(matches!(load(&hub, config).await.1, Err(LoadError::Fatal(text)) if text.contains("front.pem")));
}

#[tokio::test]
async fn rule_055_the_cas_to_hint_at_are_the_union_of_both_bundles() {
    let world = World::new().await;
    assert_eq!(world.authenticator.ca_certificates().len(), 2);
    let both = format!("{}{}", world.front.pem(), world.clients.pem());
    world.hub.set_auth_config(&[("client-ca-file", &both), ("requestheader-client-ca-file", &both)]);
    world.authenticator.load().await.unwrap();
    assert_eq!(world.authenticator.ca_certificates().len(), 2);
}

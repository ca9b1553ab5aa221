//! The serving certificate that renews itself, on a fake hub.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use cluster_gateway::certificate::{CertificateConfig, ManagedCertificate, Times};
use cluster_gateway::issuer::{CertificateAuthority, Role};
use cluster_gateway::pki;
use rustls::pki_types::CertificateDer;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::support::fake_hub::FakeHub;
use crate::support::world::until;

mod healing;
mod server;

const NAMESPACE: &str = "system";
const NAME: &str = "gateway-certificate";
const API_SERVICE: &str = "v1alpha1.cluster.core.oam.dev";
const DAY: Duration = Duration::from_secs(86_400);

fn config() -> CertificateConfig {
    let [service, namespace] = ["gateway", NAMESPACE].map(str::to_owned);
    let times = Times {
        look: Duration::from_millis(20),
        impatient: Duration::from_millis(20),
        lease: Duration::from_secs(1),
        adopted: Duration::from_millis(300),
        retired: Duration::from_millis(600),
    };
    CertificateConfig { service, namespace, names: Vec::new(), times }
}

/// One gateway's part in it.
struct Replica {
    served: watch::Receiver<Option<CertificateDer<'static>>>,
    settled: watch::Receiver<bool>,
    task: JoinHandle<()>,
}

impl Replica {
    async fn start(hub: &FakeHub) -> Self {
        let managed = ManagedCertificate::new(&hub.hub().await, &config()).unwrap();
        let (serving, served) = watch::channel(None);
        let settled = managed.settled();
        let present =
            move |pair: Arc<rustls::sign::CertifiedKey>| drop(serving.send(Some(pair.cert[0].clone())));
        Self { served, settled, task: tokio::spawn(managed.run(present)) }
    }

    fn served(&self) -> Option<CertificateDer<'static>> {
        self.served.borrow().clone()
    }

    async fn serves(&self) {
        until(|| async { self.served().is_some() && *self.settled.borrow() }).await;
    }
}

impl Drop for Replica {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn put_api_service(hub: &FakeHub, service: &str, spec: &Value) {
    let mut object = json!({
        "metadata": {"namespace": "", "name": API_SERVICE},
        "spec": {"groupPriorityMinimum": 100, "versionPriority": 10,
            "service": {"name": service, "namespace": NAMESPACE, "port": 443}},
    });
    for (key, value) in spec.as_object().unwrap() {
        object["spec"][key] = value.clone();
    }
    hub.put("apiservices", object);
}

fn ca_bundle(hub: &FakeHub) -> String {
    let object = hub.get("apiservices", "", API_SERVICE).unwrap_or_default();
    let encoded = object["spec"]["caBundle"].as_str().unwrap_or_default().to_owned();
    String::from_utf8(STANDARD.decode(encoded).unwrap_or_default()).unwrap_or_default()
}

fn secret(hub: &FakeHub) -> Option<Value> {
    hub.get("secrets", NAMESPACE, NAME)
}

fn secret_text(hub: &FakeHub, key: &str) -> String {
    let encoded = secret(hub).unwrap()["data"][key].as_str().unwrap_or_default().to_owned();
    String::from_utf8(STANDARD.decode(encoded).unwrap()).unwrap()
}

/// Changes the Secret's data as somebody with an editor does.
fn edit_secret(hub: &FakeHub, changes: &[(&str, &str)]) {
    let mut object = secret(hub).unwrap();
    for (key, text) in changes {
        object["data"][key] = json!(STANDARD.encode(text));
    }
    hub.put("secrets", object);
}

/// Whether the hub, as it is configured now, accepts what a replica serves now.
fn accepted(hub: &FakeHub, replica: &Replica) -> bool {
    let Some(leaf) = replica.served() else { return false };
    let now = SystemTime::now();
    pki::certificates(ca_bundle(hub).as_bytes())
        .is_ok_and(|cas| cas.iter().any(|ca| pki::verify_server(&leaf, ca, now).is_ok()))
}

/// Everything is as it should be and nothing is being written.
async fn at_rest(hub: &FakeHub, replicas: &[&Replica]) {
    until(|| async {
        let Some(secret) = secret(hub) else { return false };
        let cas = pki::certificates(secret_text(hub, "ca.crt").as_bytes()).unwrap_or_default();
        let first = replicas[0].served();
        let one_ca = cas.len() == 1 && ca_bundle(hub) == secret_text(hub, "ca.crt");
        let same = first.is_some() && replicas.iter().all(|replica| replica.served() == first);
        let stored = pki::certificates(secret_text(hub, "tls.crt").as_bytes()).unwrap_or_default();
        one_ca && same && stored.first() == first.as_ref() && accepted(hub, replicas[0]) && !secret.is_null()
    })
    .await;
}

fn writes(hub: &FakeHub) -> usize {
    hub.requests("POST /api/v1/") + hub.requests("PUT /api/v1/") + hub.requests("PATCH")
}

/// Lets the replicas look at everything several times.
async fn rounds(hub: &FakeHub) {
    let before = hub.requests("GET /api/v1/namespaces/system/secrets");
    until(|| async { hub.requests("GET /api/v1/namespaces/system/secrets") > before + 20 }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_replicas_that_start_at_once_agree_and_do_not_fight() {
    let hub = FakeHub::start().await;
    put_api_service(&hub, "gateway", &json!({"insecureSkipTLSVerify": true}));
    let (first, second) = tokio::join!(Replica::start(&hub), Replica::start(&hub));
    first.serves().await;
    second.serves().await;
    at_rest(&hub, &[&first, &second]).await;

    let object = hub.get("apiservices", "", API_SERVICE).unwrap();
    assert!(object["spec"]["insecureSkipTLSVerify"].is_null(), "{object}");
    assert_eq!(object["spec"]["versionPriority"], 10, "what is not ours stays");
    let secret = secret(&hub).unwrap();
    assert_eq!(
        (secret["type"].as_str(), secret["data"].as_object().unwrap().len()),
        (Some("kubernetes.io/tls"), 4)
    );

    let written = writes(&hub);
    rounds(&hub).await;
    assert_eq!(writes(&hub), written, "at rest nothing is written");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_service_that_is_not_there_is_not_made_and_a_foreign_one_is_left_alone() {
    let hub = FakeHub::start().await;
    let replica = Replica::start(&hub).await;
    replica.serves().await;
    rounds(&hub).await;
    assert!(hub.get("apiservices", "", API_SERVICE).is_none());

    for spec in [json!({}), json!({"caBundle": "Zm9yZWlnbg=="}), json!({"insecureSkipTLSVerify": true})] {
        put_api_service(&hub, "somebody-elses", &spec);
        let before = hub.get("apiservices", "", API_SERVICE);
        rounds(&hub).await;
        assert_eq!(hub.get("apiservices", "", API_SERVICE), before);
    }
    // As soon as it leads here, it is ours.
    put_api_service(&hub, "gateway", &json!({}));
    at_rest(&hub, &[&replica]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ca_is_replaced_while_two_replicas_serve_and_the_hub_accepts_both_all_the_time() {
    let hub = FakeHub::start().await;
    put_api_service(&hub, "gateway", &json!({}));
    // Made four of its five years ago; its certificate is young.
    let then = SystemTime::now() - DAY * 365 * 4;
    let made = CertificateAuthority::generate(Role::Serving, DAY * 365 * 5, then).unwrap();
    let certificate = pki::certificates(made.certificate.as_bytes()).unwrap().remove(0);
    let ca = CertificateAuthority::from_pair(certificate.clone(), &made.key).unwrap();
    let issued = ca.issue_server(&config().server_names().unwrap(), DAY * 90, SystemTime::now()).unwrap();
    let data = [
        ("ca.crt", &made.certificate),
        ("ca.key", &made.key),
        ("tls.crt", &issued.certificate),
        ("tls.key", &issued.key),
    ];
    let data: serde_json::Map<_, _> =
        data.into_iter().map(|(key, text)| (key.to_owned(), json!(STANDARD.encode(text)))).collect();
    hub.put("secrets", json!({"metadata": {"namespace": NAMESPACE, "name": NAME}, "data": data}));

    let (first, second) = (Replica::start(&hub).await, Replica::start(&hub).await);
    until(|| async { accepted(&hub, &first) && accepted(&hub, &second) }).await;
    let mut seen = Vec::new();
    while seen.last() != Some(&(1, false)) {
        let bundle = pki::certificates(ca_bundle(&hub).as_bytes()).unwrap();
        assert!(accepted(&hub, &first) && accepted(&hub, &second), "a connection failed after {seen:?}");
        let state = (bundle.len(), bundle[0] == certificate);
        if seen.last() != Some(&state) {
            seen.push(state);
        }
        assert!(seen.len() < 10, "it goes back and forth: {seen:?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(seen.contains(&(2, false)), "there was no overlap: {seen:?}");
    at_rest(&hub, &[&first, &second]).await;
}

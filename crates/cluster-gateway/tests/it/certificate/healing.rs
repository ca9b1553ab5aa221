//! Whatever is deleted or damaged is made anew, and the hub accepts what is served meanwhile.

use super::*;
use crate::support::fake_hub::Fault;

struct Scene {
    hub: FakeHub,
    replicas: [Replica; 2],
}

impl Scene {
    async fn start() -> Self {
        let hub = FakeHub::start().await;
        put_api_service(&hub, "gateway", &json!({}));
        let replicas = [Replica::start(&hub).await, Replica::start(&hub).await];
        let scene = Self { hub, replicas };
        scene.at_rest().await;
        scene
    }

    async fn at_rest(&self) {
        at_rest(&self.hub, &[&self.replicas[0], &self.replicas[1]]).await;
    }

    /// Waits for a condition; until then and at that moment the hub accepts both replicas.
    async fn seamless(&self, condition: impl Fn() -> bool) {
        let deadline = tokio::time::Instant::now() + Duration::from_secs(10);
        loop {
            let over = condition();
            assert!(self.replicas.iter().all(|replica| accepted(&self.hub, replica)), "a connection failed");
            if over {
                return;
            }
            assert!(tokio::time::Instant::now() < deadline, "the condition never held");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    fn bundle(&self) -> String {
        ca_bundle(&self.hub)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_secret_is_made_anew_with_another_ca_and_no_connection_fails() {
    let scene = Scene::start().await;
    let before = scene.bundle();
    scene.hub.delete_secret(NAMESPACE, NAME);
    let replaced = || !scene.bundle().contains(&before) && secret(&scene.hub).is_some();
    scene.seamless(replaced).await;
    scene.at_rest().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_secret_is_mended_and_no_connection_fails() {
    let scene = Scene::start().await;
    for (key, text) in [("tls.crt", "garbage"), ("tls.key", ""), ("ca.key", "garbage"), ("ca.crt", "garbage")]
    {
        let version = |hub: &FakeHub| secret(hub).unwrap()["metadata"]["resourceVersion"].clone();
        edit_secret(&scene.hub, &[(key, text)]);
        let damaged = version(&scene.hub);
        scene.seamless(|| version(&scene.hub) != damaged).await;
        assert_ne!(secret_text(&scene.hub, key), text, "{key}");
        scene.at_rest().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_ca_bundle_and_an_api_service_made_anew_are_set_right() {
    let scene = Scene::start().await;
    let good = scene.bundle();
    for spec in [
        json!({"caBundle": STANDARD.encode("garbage")}),
        json!({"caBundle": STANDARD.encode(pki_of_another())}),
        json!({}),
        json!({"insecureSkipTLSVerify": true}),
    ] {
        put_api_service(&scene.hub, "gateway", &spec);
        until(|| async { scene.bundle() == good }).await;
        let object = scene.hub.get("apiservices", "", API_SERVICE).unwrap();
        assert!(object["spec"]["insecureSkipTLSVerify"].is_null(), "{object}");
    }
    scene.hub.delete("apiservices", "", API_SERVICE);
    rounds(&scene.hub).await;
    put_api_service(&scene.hub, "gateway", &json!({}));
    until(|| async { scene.bundle() == good }).await;
    scene.at_rest().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_left_takes_over_from_one_that_died() {
    let mut scene = Scene::start().await;
    let good = scene.bundle();
    // Either of them holds the Lease; when both have been replaced once, so has it.
    for dying in 0..2 {
        scene.replicas[dying].task.abort();
        put_api_service(&scene.hub, "gateway", &json!({}));
        until(|| async { scene.bundle() == good }).await;
        scene.replicas[dying] = Replica::start(&scene.hub).await;
        scene.replicas[dying].serves().await;
    }
    scene.hub.delete("leases", NAMESPACE, NAME);
    put_api_service(&scene.hub, "gateway", &json!({}));
    until(|| async { scene.bundle() == good }).await;
    scene.at_rest().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conflict_or_a_hub_that_is_away_is_tried_again_and_takes_nothing_away() {
    let scene = Scene::start().await;
    let good = scene.bundle();
    for fault in [Fault::Status(409), Fault::Status(500), Fault::Reset] {
        scene.hub.fault("/", fault);
        rounds(&scene.hub).await;
        scene.hub.heal();
        scene.hub.fault_once("apiservices", Fault::Status(409));
        put_api_service(&scene.hub, "gateway", &json!({}));
        until(|| async { scene.bundle() == good }).await;
    }
    scene.at_rest().await;
    assert_eq!(scene.bundle(), good);
}

fn pki_of_another() -> String {
    CertificateAuthority::generate(Role::Serving, DAY, SystemTime::now()).unwrap().certificate
}

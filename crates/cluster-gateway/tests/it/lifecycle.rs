//! The life of a cluster at a hub: every point at which it can fail, with the hub's objects compared before and after.

mod detach;
mod join;
mod metadata;
mod rename;
mod told;

use std::collections::BTreeMap;
use std::time::Duration;

use cluster_gateway::lifecycle::{Gateway, JoinRequest, KubeconfigSource, Store};
use serde_json::{Value, json};

use crate::support::fake_hub::{Aggregated, FakeHub};

const NAMESPACE: &str = "vela-system";
const SECRETS: &str = "/api/v1/namespaces/vela-system/secrets";
const TYPE: &str = "cluster.core.oam.dev/cluster-credential-type";

/// A hub with a gateway, a cluster `old`, another one, and a Secret that is none.
struct Hub {
    fake: FakeHub,
    store: Store,
    gateway: Gateway,
}

impl Hub {
    async fn start() -> Self {
        let fake = FakeHub::start().await;
        fake.set_gateway(Some(Aggregated::default()));
        for (name, labels) in [
            ("old", json!({TYPE: "ServiceAccountToken", "region": "eu"})),
            ("other", json!({TYPE: "ServiceAccountToken"})),
            ("foreign", json!({"owner": "me"})),
        ] {
            fake.put("secrets", secret(name, &labels));
        }
        let client = fake.client().await;
        let gateway = Gateway::new(client.clone(), Duration::from_millis(600));
        Self { store: Store::hub(client, NAMESPACE), fake, gateway }
    }

    /// A change of what the gateway does.
    fn behaves(&self, change: impl FnOnce(&mut Aggregated)) {
        let mut gateway = self.fake.gateway().unwrap_or_default();
        change(&mut gateway);
        self.fake.set_gateway(Some(gateway));
    }

    /// Writes that it was asked for.
    fn writes(&self) -> Vec<String> {
        let all = self.fake.all_requests().into_iter();
        let all = all.filter(|line| !line.starts_with("GET "));
        all.map(|line| line.split('?').next().unwrap().to_owned()).collect()
    }
}

fn secret(name: &str, labels: &Value) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Secret", "type": "Opaque",
        "metadata": {"namespace": NAMESPACE, "name": name, "labels": labels, "annotations": {
            "cluster.core.oam.dev/cluster-alias": "An old one",
            "cluster.core.oam.dev/cluster-version": "{}",
            "status.cluster.core.oam.dev/healthy": "false",
            "mine": "stays",
        }},
        "data": {"endpoint": "aHR0cHM6Ly9vbGQ6NjQ0Mw==", "token": "b2xk", "ca.crt": "Q0E="},
    })
}

fn kubeconfig(server: &str) -> KubeconfigSource {
    let text = json!({
        "kind": "Config", "current-context": "c",
        "clusters": [{"name": "new", "cluster": {"server": server}}],
        "users": [{"name": "u", "user": {"token": "sesame"}}],
        "contexts": [{"name": "c", "context": {"cluster": "new", "user": "u"}}],
    });
    KubeconfigSource::read(text.to_string().as_bytes(), "kubeconfig", None).unwrap()
}

/// Without a look at the cluster itself.
fn request(name: &str) -> JoinRequest {
    JoinRequest {
        kubeconfig: kubeconfig("https://new.test"),
        context: None,
        name: Some(name.to_owned()),
        labels: BTreeMap::from([("tier".to_owned(), "gold".to_owned())]),
        alias: None,
        create_namespace: Some("vela-system".to_owned()),
        overwrite: false,
        allow_insecure: false,
        account: None,
        preflight: false,
    }
}

//! VelaUX' routes: every route and code, bodies of every kind, and what is left behind when something fails.

mod change;
mod create;
mod delete;
mod list;
mod look;
mod names;
mod replay;
mod rights;
mod stores;

use http::Method;
use serde_json::{Value, json};
use simulated_member::{Member, User};

use super::refusal;
use crate::support::caller::{Answer, Caller};
use crate::support::world::{NAMESPACE, Setup, World, until};

const CLUSTERS: &str = "/api/v1/clusters";
/// The member's token, which must never reach a caller.
const TOKEN: &str = "token-of-the-simulated-member-of-64-characters";
/// Namespace of the records.
const RECORDS: &str = "/namespaces/kubevela/configmaps";
const TYPE: &str = "cluster.core.oam.dev/cluster-credential-type";
const ALIAS: &str = "cluster.core.oam.dev/cluster-alias";

/// A hub with its records as ConfigMaps, a server, and a cluster that can be joined.
pub(crate) struct Fleet {
    pub(crate) world: World,
    pub(crate) member: Member,
    pub(crate) admin: Caller,
}

impl Fleet {
    pub(crate) async fn start() -> Self {
        Self::with(Setup::default()).await
    }

    async fn with(setup: Setup<'_>) -> Self {
        let world = World::with(Setup { manage: true, records_at_hub: true, ..setup }).await;
        let gateway = User::new("gateway").group("system:masters");
        let member = Member::builder().name("berlin").token(TOKEN, gateway).start().await.unwrap();
        let admin = world.managing(world.masters()).header("content-type", "application/json");
        let fleet = Self { world, member, admin };
        // The record of the hub itself is made in the background.
        until(|| async { fleet.record("local").is_some() }).await;
        fleet
    }

    /// Somebody else at management.
    fn user(&self, name: &str) -> Caller {
        self.world.managing(self.world.user(name, &["dev"])).header("content-type", "application/json")
    }

    fn body(&self, name: &str) -> Value {
        json!({"name": name, "kubeConfig": self.member.kubeconfig(TOKEN)})
    }

    async fn post(&self, path: &str, body: &Value) -> Answer {
        self.admin.send(Method::POST, path, &body.to_string()).await
    }

    async fn put(&self, name: &str, body: &Value) -> Answer {
        self.admin.send(Method::PUT, &format!("{CLUSTERS}/{name}"), &body.to_string()).await
    }

    async fn get(&self, name: &str) -> Answer {
        self.admin.get(&format!("{CLUSTERS}/{name}")).await
    }

    async fn delete(&self, name: &str) -> Answer {
        self.admin.send(Method::DELETE, &format!("{CLUSTERS}/{name}"), "").await
    }

    /// Joins the member under `name`.
    async fn join(&self, name: &str) {
        let answer = self.post(CLUSTERS, &self.body(name)).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
    }

    fn secret(&self, name: &str) -> Option<Value> {
        self.world.hub.secret(NAMESPACE, name)
    }

    /// The record of a cluster as VelaUX would read it.
    fn record(&self, name: &str) -> Option<Value> {
        use base64::Engine;
        let object = self.world.hub.get("configmaps", "kubevela", &format!("cls-{name}"))?;
        let data = object["binaryData"]["data"].as_str().unwrap();
        let json = base64::engine::general_purpose::STANDARD.decode(data).unwrap();
        Some(serde_json::from_slice(&json).unwrap())
    }

    /// Writes a record as VelaUX does.
    fn velaux_writes(&self, name: &str, record: &Value) {
        use base64::Engine;
        let data = base64::engine::general_purpose::STANDARD.encode(record.to_string());
        let labels = json!({"table": "vela_cluster", "primaryKey": name, "name": name});
        self.world.hub.put(
            "configmaps",
            json!({
                "apiVersion": "v1", "kind": "ConfigMap", "binaryData": {"data": data},
                "metadata": {"namespace": "kubevela", "name": format!("cls-{name}"), "labels": labels},
            }),
        );
    }

    fn forget_record(&self, name: &str) {
        self.world.hub.delete("configmaps", "kubevela", &format!("cls-{name}"));
    }

    /// Secrets and records without what changes with every write.
    fn content(&self) -> (Vec<Value>, Vec<Option<Value>>) {
        let names = ["m", "edge", "other"];
        let records = names.map(|name| {
            let mut record = self.record(name)?;
            record["updateTime"] = Value::Null;
            Some(record)
        });
        (self.world.hub.content(), records.to_vec())
    }
}

/// Code, status and field of a refusal, whose body is filled.
fn refused(answer: &Answer) -> (u16, u64, Option<String>) {
    let (code, message) = refusal(answer);
    assert!(!message.is_empty() && !answer.text().contains(TOKEN), "{}", answer.text());
    (answer.status, code, answer.json()["Field"].as_str().map(str::to_owned))
}

/// The keys of an object, in their order.
fn keys(object: &Value) -> Vec<String> {
    object.as_object().unwrap().keys().cloned().collect()
}

fn sorted(keys: &[&str]) -> Vec<String> {
    let mut keys: Vec<_> = keys.iter().map(|&key| key.to_owned()).collect();
    keys.sort();
    keys
}

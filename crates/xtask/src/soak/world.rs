//! A real hub, simulated members, and the gateway between them.

use std::fs;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use e2e::pki::{Authority, Identity, Leaf};
use e2e::registration::{self, GROUP, NAMESPACE};
use e2e::{ControlPlane, scratch};
use http::{HeaderMap, HeaderValue};
use serde_json::{Value, json};
use simulated_member::{Member, User};
use tempfile::TempDir;

use crate::process::Server;
use crate::wire::Dialer;

/// Tokens that each member knows, for one after the other to be used.
pub(super) const TOKENS: usize = 256;
/// Objects in a list.
pub(super) const OBJECTS: usize = 300;
pub(super) const USERS: usize = 8;
const USERS_GROUP: &str = "soak-users";
const READY: Duration = Duration::from_secs(60);

/// A cluster, and the members that it may lead to.
#[derive(Debug)]
pub(super) struct Cluster {
    pub(super) name: &'static str,
    pub(super) members: &'static [&'static str],
}

pub(super) const MEMBERS: [&str; 4] = ["m0", "m1", "m2", "m3"];

/// `roving` moves between two members; `passing` is deleted and made again.
pub(super) const CLUSTERS: [Cluster; 6] = [
    Cluster { name: "c0", members: &["m0"] },
    Cluster { name: "c1", members: &["m1"] },
    Cluster { name: "c2", members: &["m2"] },
    Cluster { name: "c3", members: &["m3"] },
    Cluster { name: "roving", members: &["m0", "m1"] },
    Cluster { name: "passing", members: &["m2"] },
];

pub(super) struct World {
    pub(super) members: Vec<Member>,
    pub(super) dialer: Dialer,
    pub(super) port: u16,
    hub: Mutex<ControlPlane>,
    gateway: Server,
    ca: Authority,
    directory: TempDir,
}

impl World {
    pub(super) async fn start() -> Result<Self> {
        let directory = scratch::directory("soak")?;
        let mut members = Vec::new();
        for name in MEMBERS {
            members.push(member(name).await?);
        }
        let ca = Authority::new("soak CA")?;
        write_serving(directory.path(), &ca)?;
        let hub = ControlPlane::start("soak")?;
        let access = registration::grant(&hub)?;
        grant_users(&hub)?;
        let front_proxy = hub.front_proxy_identity()?;
        let port = scratch::free_port()?;
        let gateway = start_gateway(directory.path(), &access.kubeconfig(), port)?;
        let dialer = Dialer::new(&ca.pem(), Some(&front_proxy))?;
        let world = Self { members, dialer, port, hub: Mutex::new(hub), gateway, ca, directory };
        for cluster in &CLUSTERS {
            world.register(cluster.name, cluster.members[0], 0)?;
        }
        Ok(world)
    }

    /// Makes or replaces the Secret of a cluster.
    pub(super) fn register(&self, cluster: &str, member: &str, token: usize) -> Result<()> {
        let member = self.member(member)?;
        let secret = json!({
            "apiVersion": "v1", "kind": "Secret", "type": "Opaque",
            "metadata": {"name": cluster, "namespace": NAMESPACE, "labels": {
                format!("{GROUP}/cluster-credential-type"): "ServiceAccountToken",
            }},
            "stringData": {
                "endpoint": member.url(), "ca.crt": member.ca_pem(), "token": self::token(token % TOKENS),
            },
        });
        registration::put_secret(&self.hub(), cluster, &secret)
    }

    pub(super) fn remove(&self, cluster: &str) -> Result<()> {
        registration::remove_member(&self.hub(), cluster)
    }

    /// Gives the gateway another serving certificate of the same CA.
    pub(super) fn renew_serving_certificate(&self) -> Result<()> {
        write_serving(self.directory.path(), &self.ca)
    }

    /// The hub; whoever restarts it keeps others from asking it meanwhile.
    pub(super) fn hub(&self) -> MutexGuard<'_, ControlPlane> {
        self.hub.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn member(&self, name: &str) -> Result<&Member> {
        let index = MEMBERS.iter().position(|member| *member == name).context("an unknown member")?;
        Ok(&self.members[index])
    }

    pub(super) fn memory(&self) -> Result<u64> {
        self.gateway.memory()
    }

    pub(super) fn descriptors(&self) -> Result<usize> {
        self.gateway.descriptors()
    }

    /// What the gateway has logged.
    pub(super) fn log(&self) -> String {
        fs::read_to_string(self.directory.path().join("log")).unwrap_or_default()
    }

    /// Every cluster answers: at the start nothing is in the way.
    pub(super) async fn everything_works(&self) -> Result<()> {
        self.recovered(READY).await
    }

    /// Ends all faults, and waits until every cluster answers.
    pub(super) async fn recovered(&self, timeout: Duration) -> Result<()> {
        for member in &self.members {
            member.faults().clear();
            member.faults().refuse_connections(false).await;
            member.faults().show_certificate(simulated_member::Certificate::Good)?;
        }
        for cluster in &CLUSTERS {
            let begun = Instant::now();
            while let Err(error) = self.ask(cluster.name).await {
                ensure!(begun.elapsed() < timeout, "{} does not answer: {error:#}", cluster.name);
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
        Ok(())
    }

    async fn ask(&self, cluster: &str) -> Result<()> {
        let connection = self.dialer.http2(self.port).await?;
        let path =
            format!("{}/api/v1/namespaces/default/configmaps/whoami", registration::proxy_path(cluster));
        let headers = headers(&user(0), "ask")?;
        let asking = connection.get(&path, &headers);
        tokio::time::timeout(Duration::from_secs(5), asking).await.context("no answer in time")??;
        Ok(())
    }
}

pub(super) fn user(number: usize) -> String {
    format!("user-{number}")
}

/// What the hub's front proxy would send for a user, and the nonce.
pub(super) fn headers(user: &str, nonce: &str) -> Result<HeaderMap> {
    let mut headers = HeaderMap::new();
    headers.insert("x-remote-user", HeaderValue::try_from(user)?);
    headers.insert("x-remote-group", HeaderValue::from_static(USERS_GROUP));
    headers.insert("x-simulated-nonce", HeaderValue::try_from(nonce)?);
    Ok(headers)
}

fn token(number: usize) -> String {
    format!("token-{number:04}")
}

async fn member(name: &str) -> Result<Member> {
    let mut builder = Member::builder().name(name);
    for number in 0..TOKENS {
        builder = builder.token(&token(number), User::new("gateway"));
    }
    let config_map = |object: &str, text: String| json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": object}, "data": {"text": text}});
    let mut objects: Vec<Value> =
        (0..OBJECTS).map(|number| config_map(&format!("filler-{number}"), "x".repeat(1000))).collect();
    objects.extend(["whoami", "up-0", "up-1"].map(|object| config_map(object, name.to_owned())));
    objects.push(json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "shell"},
        "spec": {"containers": [{"name": "shell", "image": "shell"}]},
    }));
    builder.objects(objects).start().await
}

fn grant_users(hub: &ControlPlane) -> Result<()> {
    let rbac = "rbac.authorization.k8s.io";
    hub.admin().apply(&json!({"apiVersion": "v1", "kind": "List", "items": [
        {
            "apiVersion": format!("{rbac}/v1"), "kind": "ClusterRole", "metadata": {"name": USERS_GROUP},
            "rules": [{"apiGroups": [GROUP], "resources": ["clustergateways/proxy"], "verbs": ["*"]}],
        },
        {
            "apiVersion": format!("{rbac}/v1"), "kind": "ClusterRoleBinding", "metadata": {"name": USERS_GROUP},
            "subjects": [{"apiGroup": rbac, "kind": "Group", "name": USERS_GROUP}],
            "roleRef": {"apiGroup": rbac, "kind": "ClusterRole", "name": USERS_GROUP},
        },
    ]}))
}

fn start_gateway(directory: &Path, kubeconfig: &Path, port: u16) -> Result<Server> {
    let mut command = e2e::process::command(e2e::binaries::gateway()?);
    command.arg("apiserver").arg(format!("--secure-port={port}")).arg("--bind-address=127.0.0.1");
    command.arg("--kubeconfig").arg(kubeconfig).arg(format!("--secret-namespace={NAMESPACE}"));
    command.arg("--tls-cert-file").arg(directory.join("tls.crt"));
    command.arg("--tls-private-key-file").arg(directory.join("tls.key"));
    command.arg("--feature-gates=ClientIdentityPenetration=true");
    // The hub is away for a while: who may has been decided before.
    command.arg("--authorization-webhook-cache-authorized-ttl=1h");
    Server::start("cluster-gateway", command, &directory.join("log"), &[port])
}

/// Puts a new certificate where the gateway reads it; each file changes at once.
fn write_serving(directory: &Path, ca: &Authority) -> Result<()> {
    let Identity { certificate, key } = ca.issue(&Leaf::server(&["localhost", "127.0.0.1"]))?;
    for (name, text) in [("tls.key", key), ("tls.crt", certificate)] {
        let new = directory.join(format!("{name}.new"));
        fs::write(&new, text).with_context(|| format!("write {name}"))?;
        fs::rename(&new, directory.join(name)).with_context(|| format!("replace {name}"))?;
    }
    Ok(())
}

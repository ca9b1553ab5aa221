//! The hub, and what is registered there.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use e2e::pki::{Authority, Identity};
use e2e::registration::{self, GATEWAY_USER, GROUP, NAMESPACE};
use e2e::{Access, ControlPlane, Credential};
use http::{HeaderMap, HeaderValue, Method, header};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use super::super::contender::Endpoints;
use super::{member_token, name};
use crate::wire::{self, Dialer};

/// How many requests are on their way when many objects are made.
const AT_ONCE: usize = 64;

/// The hub, the caller whose token the load carries, and the gateway's own way in.
pub(in super::super) struct Hub {
    pub(in super::super) control_plane: ControlPlane,
    pub(in super::super) caller: Access,
    pub(in super::super) gateway: Access,
    admin: Identity,
    port: u16,
}

impl Hub {
    pub(super) fn start(members: &Endpoints, ca: &str) -> Result<Self> {
        let control_plane = ControlPlane::start("bench")?;
        let gateway = registration::grant(&control_plane)?;
        let caller = control_plane.service_account("bench", "caller", "cluster-admin")?;
        for (&(upstream, protocol), endpoint) in members {
            let secret = cluster(NAMESPACE, name(upstream, protocol), endpoint.port, ca);
            registration::put_secret(&control_plane, name(upstream, protocol), &secret)?;
        }
        let Credential::X509(admin) = control_plane.admin().credential().clone() else {
            anyhow::bail!("the administrator has no certificate");
        };
        let port =
            control_plane.admin().server().rsplit(':').next().context("a port")?.parse().context("a port")?;
        Ok(Self { control_plane, caller, gateway, admin, port })
    }

    pub(in super::super) fn port(&self) -> u16 {
        self.port
    }

    /// The caller's.
    pub(in super::super) fn token(&self) -> &str {
        match self.caller.credential() {
            Credential::Token(token) => token,
            Credential::Anonymous | Credential::X509(_) => "",
        }
    }

    /// A client for the administrator.
    pub(in super::super) fn dialer(&self) -> Result<Dialer> {
        Dialer::new(&self.control_plane.ca().pem(), Some(&self.admin))
    }

    /// Makes a namespace whose Secrets the gateway may read.
    pub(in super::super) fn namespace(&self, name: &str) -> Result<()> {
        let rbac = "rbac.authorization.k8s.io";
        self.control_plane.admin().apply(&json!({"apiVersion": "v1", "kind": "List", "items": [
            {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}},
            {
                "apiVersion": format!("{rbac}/v1"), "kind": "Role", "metadata": {"name": "reader", "namespace": name},
                "rules": [{"apiGroups": [""], "resources": ["secrets"], "verbs": ["get", "list", "watch", "patch"]}],
            },
            {
                "apiVersion": format!("{rbac}/v1"), "kind": "RoleBinding",
                "metadata": {"name": "reader", "namespace": name},
                "subjects": [{"apiGroup": rbac, "kind": "User", "name": GATEWAY_USER}],
                "roleRef": {"apiGroup": rbac, "kind": "Role", "name": "reader"},
            },
        ]}))
    }

    /// Creates Secrets, many at once.
    pub(in super::super) fn create(
        &self,
        runtime: &Runtime,
        namespace: &str,
        secrets: &[Value],
    ) -> Result<()> {
        let path: Arc<str> = format!("/api/v1/namespaces/{namespace}/secrets").into();
        let secrets: Arc<[String]> = secrets.iter().map(Value::to_string).collect();
        let next = Arc::new(AtomicUsize::new(0));
        let dialer = self.dialer()?;
        runtime.block_on(async {
            let hub = dialer.http2(self.port).await?;
            let workers: Vec<_> = (0..AT_ONCE)
                .map(|_| {
                    let (hub, path, secrets, next) =
                        (hub.clone(), path.clone(), secrets.clone(), next.clone());
                    tokio::spawn(async move {
                        while let Some(secret) = secrets.get(next.fetch_add(1, Ordering::Relaxed)) {
                            create(&hub, &path, secret.clone()).await?;
                        }
                        anyhow::Ok(())
                    })
                })
                .collect();
            for worker in workers {
                worker.await.context("a task that creates Secrets")??;
            }
            Ok(())
        })
    }
}

/// Creates one object, and returns when the hub has it.
pub(in super::super) async fn create(hub: &wire::Http2, path: &str, object: String) -> Result<()> {
    let json = HeaderMap::from_iter([(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))]);
    let request = wire::request(Method::POST, path, &json)?;
    let answer = hub.call(request, Some(Bytes::from(object))).await.context("create an object")?;
    ensure!(answer.status == 201, "create: {} {}", answer.status, String::from_utf8_lossy(&answer.body));
    Ok(())
}

/// The Secret of a cluster at a port of loopback.
pub(in super::super) fn cluster(namespace: &str, name: &str, port: u16, ca: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Secret", "type": "Opaque",
        "metadata": {"name": name, "namespace": namespace, "labels": {
            format!("{GROUP}/cluster-credential-type"): "ServiceAccountToken",
        }},
        "stringData": {"endpoint": format!("https://127.0.0.1:{port}"), "ca.crt": ca, "token": member_token()},
    })
}

/// Secrets of clusters that are registered and never asked, each with a CA of its own.
pub(in super::super) fn idle_clusters(namespace: &str, count: u32) -> Result<Vec<Value>> {
    let clusters = (0..count).map(|number| {
        let name = format!("idle-{number:05}");
        let ca = Authority::new(&name)?.pem();
        Ok(cluster(namespace, &name, 10_000 + (number % 9_000) as u16, &ca))
    });
    clusters.collect()
}

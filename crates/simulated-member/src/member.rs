//! Starting and stopping a member.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use anyhow::{Context, Result, anyhow};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use crate::authn::Authenticator;
use crate::clock::Clock;
use crate::cluster::Cluster;
use crate::faults::Faults;
use crate::handle::Handler;
use crate::pki::{Ca, ClientCa, Identity};
use crate::recorder::{Recorded, Recorder};
use crate::schema::Schemas;
use crate::seed;
use crate::serve::Server;
use crate::store::{HISTORY, Store};
use crate::tls::Certificates;
use crate::user::User;

/// A member that is being put together.
#[derive(Debug)]
#[must_use = "a builder does nothing until it is started"]
pub struct Builder {
    name: String,
    address: SocketAddr,
    authenticator: Authenticator,
    client_cas: String,
    objects: Vec<Value>,
    history: usize,
}

impl Builder {
    /// What the member is called: its node is `NAME-node`. Default: `member`.
    pub fn name(mut self, name: &str) -> Self {
        name.clone_into(&mut self.name);
        self
    }

    /// Where it listens. Default: a free port of 127.0.0.1.
    pub fn address(mut self, address: SocketAddr) -> Self {
        self.address = address;
        self
    }

    /// Believes that whoever has this bearer token is `user`.
    pub fn token(mut self, token: &str, user: User) -> Self {
        self.authenticator.tokens.insert(token.to_owned(), user);
        self
    }

    /// Believes client certificates of these CAs (PEM), beside those of the member's own.
    pub fn client_ca(mut self, pem: &str) -> Self {
        self.client_cas.push_str(pem);
        self.client_cas.push('\n');
        self
    }

    /// Objects that are there from the beginning. Namespaces that they need are made; what follows from an object (the
    /// pods of a deployment) is there as well.
    pub fn objects(mut self, objects: impl IntoIterator<Item = Value>) -> Self {
        self.objects.extend(objects);
        self
    }

    /// How many changes are remembered for watches and pages: whoever is further behind gets `410 Gone`. Default: 10,000.
    pub fn history(mut self, changes: usize) -> Self {
        self.history = changes;
        self
    }

    /// Starts it; it serves when this returns.
    ///
    /// # Errors
    /// If the address cannot be bound, a CA is not PEM or an object cannot be kept.
    pub async fn start(self) -> Result<Member> {
        let store = Arc::new(Store::new(Clock::start(), self.history));
        seed::fill(&store, &self.name, self.objects).map_err(|status| anyhow!("{}", status.message))?;
        let ca = Ca::new(&format!("{} CA", self.name))?;
        let mut authenticator = self.authenticator;
        authenticator.client_cas = ClientCa::bundle(&format!("{}{}", self.client_cas, ca.pem()))?;
        let names = ["localhost".to_owned(), self.name.clone(), self.address.ip().to_string()];
        let certificates = Arc::new(Certificates::new(ca, names.to_vec())?);
        let (faults, listening) = Faults::new(Arc::clone(&certificates));
        let listener =
            TcpListener::bind(self.address).await.with_context(|| format!("bind {}", self.address))?;
        let address = listener.local_addr().context("the address that was bound")?;
        let cluster = Cluster { store, schemas: Schemas::load() };
        let (name, recorder) = (self.name.clone(), Recorder::default());
        let handler = Arc::new(Handler { name, cluster, authenticator, recorder, faults });
        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        let server = Arc::new(Server {
            address,
            tls: TlsAcceptor::from(Arc::new(certificates.server_config()?)),
            handler: Arc::clone(&handler),
            stop: stop.clone(),
            tasks: tasks.clone(),
            connections: AtomicU64::new(0),
        });
        tasks.spawn(server.run(listener, listening));
        Ok(Member { name: self.name, address, handler, certificates, tasks, stop: stop.drop_guard() })
    }
}

/// An API server in memory. It stops when it is dropped.
#[derive(Debug)]
pub struct Member {
    name: String,
    address: SocketAddr,
    handler: Arc<Handler>,
    certificates: Arc<Certificates>,
    tasks: TaskTracker,
    stop: DropGuard,
}

impl Member {
    /// Begins to put a member together.
    pub fn builder() -> Builder {
        Builder {
            name: "member".to_owned(),
            address: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            authenticator: Authenticator::default(),
            client_cas: String::new(),
            objects: Vec::new(),
            history: HISTORY,
        }
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The same as a URL.
    #[must_use]
    pub fn url(&self) -> String {
        format!("https://{}", self.address)
    }

    /// The CA of its serving certificate, PEM. Client certificates of this CA are believed, too.
    #[must_use]
    pub fn ca_pem(&self) -> String {
        self.certificates.ca().pem()
    }

    /// Issues a client certificate that proves `name` to be in `group`, valid for a day.
    ///
    /// # Errors
    /// If no key or certificate can be made of these names.
    pub fn client_certificate(&self, name: &str, group: Option<&str>) -> Result<Identity> {
        self.certificates.ca().client(name, group)
    }

    /// A kubeconfig (JSON, which is YAML) whose one context uses this bearer token.
    #[must_use]
    pub fn kubeconfig(&self, token: &str) -> String {
        self.kubeconfig_of(&json!({"token": token}))
    }

    /// The same with a client certificate.
    #[must_use]
    pub fn kubeconfig_with_certificate(&self, identity: &Identity) -> String {
        self.kubeconfig_of(&json!({
            "client-certificate-data": STANDARD.encode(&identity.certificate),
            "client-key-data": STANDARD.encode(&identity.key),
        }))
    }

    fn kubeconfig_of(&self, user: &Value) -> String {
        let name = &self.name;
        let cluster =
            json!({"server": self.url(), "certificate-authority-data": STANDARD.encode(self.ca_pem())});
        json!({
            "apiVersion": "v1", "kind": "Config", "current-context": name,
            "clusters": [{"name": name, "cluster": cluster}],
            "users": [{"name": name, "user": user}],
            "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
        })
        .to_string()
    }

    /// The switches of its faults.
    #[must_use]
    pub fn faults(&self) -> &Faults {
        &self.handler.faults
    }

    /// The requests so far, at most the last 10,000.
    #[must_use]
    pub fn requests(&self) -> Vec<Recorded> {
        self.handler.recorder.requests()
    }

    /// Forgets the requests so far.
    pub fn forget_requests(&self) {
        self.handler.recorder.clear();
    }

    /// Ends all connections, frees the port and returns when nothing of it runs any more.
    pub async fn stop(self) {
        drop(self.stop);
        self.tasks.close();
        self.tasks.wait().await;
    }
}

//! The composition root: a resolved configuration becomes a running process; start, readiness and stop are here.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context;
use http::{Request, Response};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::api::{Api, ApiConfig, VersionInfo};
use crate::authn::{Authenticator, Connection, LoadError};
use crate::authz::Authorizer;
use crate::body::Body;
use crate::config::Config;
use crate::gateway::{Gateway, IdentityPassing};
use crate::hub::Hub;
use crate::record::{Gauge, Recorder};
use crate::registry::{ClusterPolicy, Index, Registry, SecretSource, Snapshot};
use crate::server::{Handler, Listener, TlsReloader, self_signed};
use crate::transport::{AddressPolicy, TransportOptions};

/// How long a stop waits for requests for the gateway's own resources (contract rule 131).
const DRAIN: Duration = Duration::from_secs(60);
/// How long a stop waits for the last bytes of answers to leave.
const FLUSH: Duration = Duration::from_millis(500);

/// Serves until SIGTERM or SIGINT, then drains. A second signal ends the process at once, as a failure.
///
/// # Errors
/// What keeps the process from starting or from going on.
pub async fn run(config: Config) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let shutdown_delay = config.shutdown_delay;
    let mut server = Server::start(config).await?;
    tokio::select! {
        () = received(&mut terminate, &mut interrupt) => {}
        error = server.failed() => return Err(error),
    }
    tracing::info!("stopping: no longer ready; a second signal ends the process at once");
    tokio::select! {
        () = received(&mut terminate, &mut interrupt) => anyhow::bail!("ended by a second signal"),
        () = server.stop(shutdown_delay) => {}
    }
    tracing::info!("stopped");
    Ok(())
}

async fn received(terminate: &mut Signal, interrupt: &mut Signal) {
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}

impl Handler for Gateway {
    async fn handle(self: Arc<Self>, connection: Arc<Connection>, request: Request<Body>) -> Response<Body> {
        self.answer(&connection, request).await
    }
}

/// A running server. Dropping it ends its tasks.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    gateway: Arc<Gateway>,
    drain: CancellationToken,
    connections: TaskTracker,
    tasks: JoinSet<anyhow::Result<()>>,
}

impl Server {
    /// Binds the socket, starts all tasks and serves. It is ready when `/readyz` says so: the hub need not be there
    /// yet.
    ///
    /// # Errors
    /// If the configuration makes no hub client, the certificate cannot be used, or the address cannot be bound.
    pub async fn start(config: Config) -> anyhow::Result<Self> {
        let hub = Hub::connect(&config.hub).await?;
        let tls = tls(&config).await?;
        let listener = Listener::bind(config.address, Arc::clone(&tls)).await.with_context(|| {
            format!("cannot listen on {}; is the port taken or privileged?", config.address)
        })?;
        let address = listener.local_address()?;
        let loaded = Arc::new(AtomicBool::new(false));
        let gateway = Arc::new(gateway(&config, &hub, address, &loaded)?);
        let mut tasks = JoinSet::new();
        spawn_clusters(&mut tasks, &config, &hub, &gateway);
        tasks.spawn(follow_authentication(Arc::clone(&gateway), loaded, hub.url().to_owned()));
        tasks.spawn(advertise_client_cas(Arc::clone(&gateway), Arc::clone(&tls), config.poll));
        if let Some(files) = config.tls.clone() {
            tasks.spawn(async move {
                tls.follow(files, config.poll).await;
                Ok(())
            });
        }
        let drain = CancellationToken::new();
        let connections = TaskTracker::new();
        let serving = listener.serve(Arc::clone(&gateway), drain.clone(), connections.clone());
        tasks.spawn(async move {
            serving.await;
            Ok(())
        });
        tracing::info!(%address, namespace = config.secret_namespace, "serving");
        Ok(Self { address, gateway, drain, connections, tasks })
    }

    /// The address that is served.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Completes when a task finds that the process cannot go on.
    pub async fn failed(&mut self) -> anyhow::Error {
        loop {
            match self.tasks.join_next().await {
                Some(Ok(Ok(()))) => {}
                Some(Ok(Err(error))) => return error,
                Some(Err(error)) => {
                    return anyhow::Error::new(error).context("a task of the server panicked");
                }
                None => std::future::pending().await,
            }
        }
    }

    /// Stops in the order of rule 131: not ready, then (after `delay`) no new connections, then drain. Watches and
    /// upgrades are not waited for (rule 120).
    pub async fn stop(&mut self, delay: Duration) {
        self.gateway.stopping.store(true, Ordering::Relaxed);
        tokio::time::sleep(delay).await;
        self.drain.cancel();
        self.gateway.short.close();
        if tokio::time::timeout(DRAIN, self.gateway.short.wait()).await.is_err() {
            tracing::warn!(open = self.gateway.short.len(), "requests still open after {DRAIN:?} are cut");
        }
        self.connections.close();
        // Connections with open watches do not end by themselves; they are cut.
        let _ = tokio::time::timeout(FLUSH, self.connections.wait()).await;
    }
}

async fn tls(config: &Config) -> anyhow::Result<Arc<TlsReloader>> {
    let certificate = if let Some(files) = &config.tls {
        files.load().await?
    } else {
        tracing::warn!(
            "no --tls-cert-file: serving with a certificate made for this process, valid for localhost only; clients \
             that verify it need --tls-cert-file and --tls-private-key-file"
        );
        self_signed()?
    };
    Ok(Arc::new(TlsReloader::new(certificate)))
}

fn gateway(
    config: &Config,
    hub: &Hub,
    address: SocketAddr,
    loaded: &Arc<AtomicBool>,
) -> anyhow::Result<Gateway> {
    let registry = Arc::new(Registry::default());
    let recorder = Arc::new(Recorder::default());
    let stopping = Arc::new(AtomicBool::new(false));
    for rule in config.identity_rules.loosely_privileged() {
        tracing::warn!(
            rule,
            "this privileged identity rule names neither an exact user or group nor a pattern with ^ and $; it may \
             match more callers than meant"
        );
    }
    let api = Api::new(ApiConfig {
        version: VersionInfo::current(),
        secure_port: address.port(),
        healthiness_check: config.gates.healthiness_check,
        synced: {
            let (registry, loaded) = (Arc::clone(&registry), Arc::clone(loaded));
            Arc::new(move || registry.synced() && loaded.load(Ordering::Relaxed))
        },
        stopping: {
            let stopping = Arc::clone(&stopping);
            Arc::new(move || stopping.load(Ordering::Relaxed))
        },
        clusters: {
            let registry = Arc::clone(&registry);
            Arc::new(move || registry.snapshot())
        },
        metrics: {
            let (registry, recorder) = (Arc::clone(&registry), Arc::clone(&recorder));
            Arc::new(move || metrics(&recorder, &registry.snapshot()))
        },
    });
    Ok(Gateway {
        authn: Authenticator::for_hub(config.authentication.clone(), hub.clone()),
        authz: Authorizer::new(&config.authorization, hub.clone())?,
        api,
        registry,
        identity: IdentityPassing {
            always: config.gates.client_identity_penetration,
            global: config.identity_rules.clone(),
        },
        recorder,
        short: TaskTracker::new(),
        upgraded: TaskTracker::new(),
        stopping,
    })
}

fn metrics(recorder: &Recorder, snapshot: &Snapshot) -> String {
    recorder.metrics.retain_clusters(|name| snapshot.get(name).is_some());
    let usable = snapshot.iter().filter(|cluster| cluster.upstream.is_ok()).count();
    let insecure = snapshot.iter().filter_map(|cluster| cluster.upstream.as_ref().ok());
    let insecure = insecure.filter(|upstream| upstream.insecure).count();
    recorder.metrics.encode(vec![
        Gauge {
            name: "cluster_gateway_clusters",
            help: "Registered clusters, by whether they can be used",
            values: vec![
                (&[("state", "usable")], usable as u64),
                (&[("state", "unusable")], (snapshot.len() - usable) as u64),
            ],
        },
        Gauge {
            name: "cluster_gateway_insecure_clusters",
            help: "Clusters whose certificate is not verified",
            values: vec![(&[], insecure as u64)],
        },
    ])
}

fn spawn_clusters(
    tasks: &mut JoinSet<anyhow::Result<()>>,
    config: &Config,
    hub: &Hub,
    gateway: &Arc<Gateway>,
) {
    let addresses = AddressPolicy { allow_loopback: config.allow_loopback_clusters };
    let transport = TransportOptions { addresses, ..TransportOptions::default() };
    let policy =
        ClusterPolicy { allow_insecure: config.allow_insecure_clusters, transport: Arc::new(transport) };
    let index = Index::new(Arc::clone(&gateway.registry), policy);
    let source = SecretSource { namespace: config.secret_namespace.clone(), hub: hub.url().to_owned() };
    let client = hub.client();
    tasks.spawn(async move {
        source.run(client, index).await;
        Ok(())
    });
}

/// Reads whom to trust, again and again until the hub answers, and follows it from then on.
async fn follow_authentication(
    gateway: Arc<Gateway>,
    loaded: Arc<AtomicBool>,
    hub: String,
) -> anyhow::Result<()> {
    let mut reported = false;
    loop {
        match gateway.authn.load().await {
            Ok(()) => break,
            Err(LoadError::Unreachable(cause)) => {
                if !reported {
                    tracing::warn!(
                        hub,
                        cause,
                        "the hub cannot be reached; not ready until it is; trying again every second"
                    );
                    reported = true;
                }
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
            Err(error) => return Err(anyhow::Error::new(error).context("cannot read whom to trust")),
        }
    }
    if reported {
        tracing::info!(hub, "the hub can be reached");
    }
    loaded.store(true, Ordering::Relaxed);
    gateway.authn.watch().await;
    Ok(())
}

/// Keeps the CAs that are named in the handshake (rule 55) those that are trusted.
async fn advertise_client_cas(
    gateway: Arc<Gateway>,
    tls: Arc<TlsReloader>,
    poll: Duration,
) -> anyhow::Result<()> {
    let mut advertised = Vec::new();
    loop {
        let current = gateway.authn.ca_certificates();
        if current != advertised {
            tls.set_client_cas(&current);
            advertised = current;
        }
        tokio::time::sleep(if advertised.is_empty() { poll.min(Duration::from_secs(1)) } else { poll }).await;
    }
}

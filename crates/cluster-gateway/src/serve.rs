//! The composition root: a resolved configuration becomes a running process; start, readiness and stop are here.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

mod management;
mod policy;
mod readings;
mod sources;

use anyhow::Context;
use http::{Request, Response};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use policy::policy;
use sources::{Sources, forever};

use crate::api::{Api, ApiConfig, HealthRecords, VersionInfo};
use crate::audit::Auditor;
use crate::authn::{Authenticator, Connection};
use crate::authz::Authorizer;
use crate::body::Body;
use crate::config::{Config, Mode};
use crate::gateway::Gateway;
use crate::identity::IdentityPassing;
use crate::limits::Limits;
use crate::proxy::Hop;
use crate::record::{Recent, Recorder};
use crate::registry::{Index, Registry};
use crate::renewal::RenewalStats;
use crate::server::{Handler, Listener, TlsReloader};

/// How long a stop waits for requests for the gateway's own resources (contract rule 131).
const DRAIN: Duration = Duration::from_secs(60);
/// How long a stop waits for the last bytes of answers to leave.
const FLUSH: Duration = Duration::from_millis(500);
/// How long a stop waits for audit events to be written.
const AUDIT_FLUSH: Duration = Duration::from_secs(5);

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
    management_address: Option<SocketAddr>,
    gateway: Arc<Gateway>,
    loaded: Arc<AtomicBool>,
    stopping: Arc<AtomicBool>,
    drain: CancellationToken,
    connections: TaskTracker,
    tasks: JoinSet<anyhow::Result<()>>,
}

impl Server {
    /// Binds the socket, starts all tasks and serves. It is ready when `/readyz` says so: the hub need not be there
    /// yet.
    ///
    /// # Errors
    /// If the configuration makes no hub client, a directory cannot be used, the certificate cannot be used, or the
    /// address cannot be bound.
    pub async fn start(config: Config) -> anyhow::Result<Self> {
        Self::start_recorded(config, Recorder::default()).await
    }

    /// As [`Server::start`], with every request told to `recorder`.
    ///
    /// # Errors
    /// As [`Server::start`].
    pub async fn start_recorded(config: Config, mut recorder: Recorder) -> anyhow::Result<Self> {
        if let Some(audit) = config.audit.clone() {
            recorder.audit = Some(Arc::new(Auditor::start(audit).await?));
        }
        let Sources { authn, authz, tls, tls_files, followed } = Sources::open(&config).await?;
        let listener = own_listener(&config, &tls).await?;
        let address = listener.as_ref().map_or(Ok(config.address), Listener::local_address)?;
        let loaded = Arc::new(AtomicBool::new(false));
        let stopping = Arc::new(AtomicBool::new(false));
        let health = followed.health_records();
        let renewals = Arc::new(RenewalStats::default());
        let ingredients = Ingredients {
            authn,
            authz,
            recorder,
            health,
            renewals: &renewals,
            address,
            tls: &tls,
            loaded: &loaded,
            stopping: &stopping,
        };
        let gateway = Arc::new(gateway(&config, ingredients));
        let mut tasks = JoinSet::new();
        followed.look_after_members(&mut tasks, &config, &gateway.registry);
        if config.serves_gateway {
            followed.look_after_credentials(&mut tasks, &config, &gateway.registry, renewals);
        }
        let (drain, connections) = (CancellationToken::new(), TaskTracker::new());
        let policy = policy(&config);
        let management_address = match &config.manage {
            None => None,
            Some(manage) => {
                let (policy, drain) = (policy.clone(), &drain);
                let shared = management::Shared {
                    gateway: &gateway,
                    policy,
                    tls: &tls,
                    drain,
                    connections: &connections,
                    own: management::own_address(&config, address),
                };
                let (place, home) = (management::place(&followed), management::home(&config, &followed)?);
                Some(management::start(&mut tasks, manage, place, &home, shared).await?)
            }
        };
        let index = Index::new(Arc::clone(&gateway.registry), policy);
        followed.spawn(&mut tasks, &gateway, &tls, index, Arc::clone(&loaded));
        tasks.spawn(advertise_client_cas(Arc::clone(&gateway), Arc::clone(&tls), config.poll));
        tasks.spawn(follow_identity_rules(Arc::clone(&gateway), config.poll));
        if let Some(files) = tls_files {
            tasks.spawn(forever(tls.follow(files, config.poll)));
        }
        if let Some(listener) = listener {
            let serving = listener.serve(Arc::clone(&gateway), drain.clone(), connections.clone());
            tasks.spawn(forever(serving));
            tracing::info!(%address, "serving");
        }
        Ok(Self { address, management_address, gateway, loaded, stopping, drain, connections, tasks })
    }

    /// The address that is served.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The address of management, where it is served.
    #[must_use]
    pub fn management_address(&self) -> Option<SocketAddr> {
        self.management_address
    }

    /// What answers, for whoever embeds it.
    #[must_use]
    pub fn gateway(&self) -> &Arc<Gateway> {
        &self.gateway
    }

    /// Completes when the clusters have been read and it is known whom to trust.
    pub async fn ready(&self) {
        while !(self.gateway.registry.synced() && self.loaded.load(Ordering::Relaxed)) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
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
        self.stopping.store(true, Ordering::Relaxed);
        tokio::time::sleep(delay).await;
        self.gateway.draining.store(true, Ordering::Relaxed);
        if !self.gateway.send_retry_after {
            self.drain.cancel();
        }
        self.gateway.short.close();
        if tokio::time::timeout(DRAIN, self.gateway.short.wait()).await.is_err() {
            tracing::warn!(open = self.gateway.short.len(), "requests still open after {DRAIN:?} are cut");
        }
        self.drain.cancel();
        self.connections.close();
        // Connections with open watches do not end by themselves; they are cut.
        let _ = tokio::time::timeout(FLUSH, self.connections.wait()).await;
        if let Some(audit) = &self.gateway.recorder.audit {
            audit.flush(AUDIT_FLUSH).await;
        }
    }
}

/// What a [`Gateway`] is made of besides the configuration.
struct Ingredients<'s> {
    authn: Authenticator,
    authz: Authorizer,
    recorder: Recorder,
    health: Option<Arc<dyn HealthRecords>>,
    renewals: &'s Arc<RenewalStats>,
    address: SocketAddr,
    tls: &'s Arc<TlsReloader>,
    loaded: &'s Arc<AtomicBool>,
    stopping: &'s Arc<AtomicBool>,
}

fn gateway(config: &Config, ingredients: Ingredients<'_>) -> Gateway {
    let Ingredients { authn, authz, mut recorder, health, renewals, address, tls, loaded, stopping } =
        ingredients;
    let registry = Arc::new(Registry::default());
    if config.manage.is_some() {
        let registry = Arc::clone(&registry);
        let is_registered = move |name: &str| registry.snapshot().get(name).is_some();
        recorder.recent = Some(Arc::new(Recent::new(is_registered)));
    }
    let recorder = Arc::new(recorder);
    let limits = Arc::new(Limits::new(config.limits.clone()));
    let api = Api::new(ApiConfig {
        version: VersionInfo::current(),
        secure_port: address.port(),
        healthiness_check: config.gates.healthiness_check,
        list_control_plane: match &config.mode {
            Mode::Hub(mode) => mode.list_control_plane,
            Mode::Standalone(_) => true,
        },
        synced: {
            let (registry, loaded) = (Arc::clone(&registry), Arc::clone(loaded));
            Arc::new(move || registry.synced() && loaded.load(Ordering::Relaxed))
        },
        stopping: {
            let stopping = Arc::clone(stopping);
            Arc::new(move || stopping.load(Ordering::Relaxed))
        },
        clusters: {
            let registry = Arc::clone(&registry);
            Arc::new(move || registry.snapshot())
        },
        metrics: {
            let (registry, recorder, tls) = (Arc::clone(&registry), Arc::clone(&recorder), Arc::clone(tls));
            let (limits, renewals) = (Arc::clone(&limits), Arc::clone(renewals));
            Arc::new(move || {
                readings::metrics(&recorder, &registry.snapshot(), &limits, &renewals, tls.not_after())
            })
        },
        impersonates: config.gates.client_identity_penetration,
        health,
    });
    Gateway {
        authn,
        authz,
        api,
        registry,
        identity: IdentityPassing::new(config.gates.client_identity_penetration, config.identity.clone()),
        limits,
        hop: Hop::default(),
        recorder,
        short: TaskTracker::new(),
        upgraded: TaskTracker::new(),
        draining: AtomicBool::new(false),
        send_retry_after: config.shutdown_send_retry_after,
    }
}

/// The gateway's own socket; `None`, where management is all that is served.
async fn own_listener(config: &Config, tls: &Arc<TlsReloader>) -> anyhow::Result<Option<Listener>> {
    if !config.serves_gateway {
        return Ok(None);
    }
    let listener = Listener::bind(config.address, Arc::clone(tls)).await;
    listener
        .map(Some)
        .with_context(|| format!("cannot listen on {}; is the port taken or privileged?", config.address))
}

async fn follow_identity_rules(gateway: Arc<Gateway>, poll: Duration) -> anyhow::Result<()> {
    gateway.identity.follow(poll).await;
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

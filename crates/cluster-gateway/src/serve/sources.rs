//! Where clusters, users and rights come from: the hub, or files. Everything else is the same for both.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustls::sign::CertifiedKey;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::api::HealthRecords;
use crate::authn::{Authenticator, LoadError, StandaloneAuthentication};
use crate::authz::{Authorizer, RbacDirectory, RbacPolicy};
use crate::certificate::ManagedCertificate;
use crate::config::{Config, HubMode, Mode, StandaloneMode};
use crate::gateway::Gateway;
use crate::health::{HEALTH_LEASE, HealthRecorder, Monitor};
use crate::hub::{Hub, Lease};
use crate::issuer::{CertificateAuthority, DataDir, Role, ServerNames, Serving};
use crate::registry::{DirectorySource, Index, ManagedClusterSource, Registry, SecretSource};
use crate::renewal::{Keeper, RenewalStats, Renewer, Turn};
use crate::server::{TlsFiles, TlsReloader, self_signed};

/// How long to wait before asking again a hub that is not there.
const AGAIN: Duration = Duration::from_secs(1);
/// How long whoever records health does so after the last sign of life.
const LEASE_DURATION: Duration = Duration::from_secs(15);

/// What a [`Mode`] comes to when it has been opened.
pub(super) struct Sources {
    pub(super) authn: Authenticator,
    pub(super) authz: Authorizer,
    pub(super) tls: Arc<TlsReloader>,
    /// Files of the serving certificate; `None`: it lives in memory.
    pub(super) tls_files: Option<TlsFiles>,
    pub(super) followed: Followed,
}

/// What is followed as long as the process lives.
pub(super) enum Followed {
    Hub {
        hub: Hub,
        secrets: SecretSource,
        managed: ManagedClusterSource,
        certificate: Option<Box<ManagedCertificate>>,
    },
    Files {
        clusters: DirectorySource,
        directory: PathBuf,
        rights: Option<RbacDirectory>,
        serving: Option<Serving>,
    },
}

impl Sources {
    /// Opens what the configuration names. A hub need not be there yet; directories must.
    pub(super) async fn open(config: &Config) -> anyhow::Result<Self> {
        match &config.mode {
            Mode::Hub(mode) => Self::of_hub(config, mode).await,
            Mode::Standalone(mode) => Self::of_files(config, mode).await,
        }
    }

    async fn of_hub(config: &Config, mode: &HubMode) -> anyhow::Result<Self> {
        let hub = Hub::connect(&mode.hub).await?;
        let (shown, certificate) = of_hub_certificate(config, mode, &hub).await?;
        let secrets = SecretSource { namespace: mode.secret_namespace.clone(), hub: hub.url().to_owned() };
        let managed = ManagedClusterSource {
            merge: mode.ocm_integration,
            hub: hub.url().to_owned(),
            // What is only shown is not worth a request as often.
            again: if mode.ocm_integration { config.poll } else { config.poll * 6 },
        };
        Ok(Self {
            authn: Authenticator::for_hub(mode.authentication.clone(), hub.clone()),
            authz: Authorizer::new(&config.authorization, hub.clone())?,
            tls: Arc::new(TlsReloader::new(shown)),
            tls_files: config.tls.clone(),
            followed: Followed::Hub { hub, secrets, managed, certificate },
        })
    }

    async fn of_files(config: &Config, mode: &StandaloneMode) -> anyhow::Result<Self> {
        let data = DataDir::open(&mode.data_dir)?;
        let ca = CertificateAuthority::load_or_create(&data, Role::Clients)?;
        let (tls_files, serving) = if let Some(files) = config.tls.clone() {
            (files, None)
        } else {
            let serving = Serving::load_or_create(&data, &mode.names)?;
            (TlsFiles { certificate: serving.certificate_file(), key: serving.key_file() }, Some(serving))
        };
        let authentication = StandaloneAuthentication { ca: ca.client_cas()?, ..mode.authentication.clone() };
        let rights = mode.rbac.clone();
        let rights = rights.map(|rbac| RbacDirectory::load(rbac, config.authorization.policy)).transpose()?;
        let policy = rights.as_ref().map_or_else(Arc::<RbacPolicy>::default, RbacDirectory::policy);
        Ok(Self {
            authn: Authenticator::standalone(authentication)?,
            authz: Authorizer::by_policy(&config.authorization, policy)?,
            tls: Arc::new(TlsReloader::new(tls_files.load().await?)),
            tls_files: Some(tls_files),
            followed: Followed::Files {
                clusters: DirectorySource::load(mode.clusters.clone())?,
                directory: mode.clusters.directory.clone(),
                rights,
                serving,
            },
        })
    }
}

/// What to serve with until something better is known, and what keeps that up to date.
async fn of_hub_certificate(
    config: &Config,
    mode: &HubMode,
    hub: &Hub,
) -> anyhow::Result<(Arc<CertifiedKey>, Option<Box<ManagedCertificate>>)> {
    if let Some(files) = &config.tls {
        return Ok((files.load().await?, None));
    }
    if let Some(certificate) = &mode.certificate {
        let managed = ManagedCertificate::new(hub, certificate)?;
        return Ok((self_signed(&certificate.server_names()?)?, Some(Box::new(managed))));
    }
    tracing::warn!(
        "serving with a certificate made for this process, valid for localhost only; clients that verify it need \
         --tls-cert-file and --tls-private-key-file, or --service-name and --service-namespace for a certificate that \
         is kept at the hub"
    );
    Ok((self_signed(&ServerNames::with_localhost(&[])?)?, None))
}

impl Followed {
    /// Where health is recorded: in the Secrets that are followed; nowhere without a hub.
    pub(super) fn health_records(&self) -> Option<Arc<dyn HealthRecords>> {
        match self {
            Self::Hub { hub, secrets, .. } => Some(Arc::new(hub.secret_metadata(&secrets.namespace))),
            Self::Files { .. } => None,
        }
    }

    /// Starts probing the members. What is found is recorded at the hub if it is shown there (rule 211).
    pub(super) fn look_after_members(
        &self,
        tasks: &mut JoinSet<anyhow::Result<()>>,
        config: &Config,
        registry: &Arc<Registry>,
    ) {
        let recorded =
            config.serves_gateway && config.gates.healthiness_check && !config.health.interval.is_zero();
        let recorder = match self {
            Self::Hub { hub, secrets, .. } if recorded => {
                let namespace = own_namespace(hub, secrets);
                let (lease, leadership) = Lease::new(hub, namespace, HEALTH_LEASE, LEASE_DURATION);
                tasks.spawn(forever(lease.run()));
                Some(HealthRecorder::new(hub.secret_metadata(&secrets.namespace), leadership))
            }
            _ => None,
        };
        let monitor = Monitor::new(Arc::clone(registry), config.health.clone(), recorder);
        tasks.spawn(forever(monitor.run()));
    }

    /// Starts renewing the tokens of members' service accounts, and warning of the end of credentials.
    pub(super) fn look_after_credentials(
        &self,
        tasks: &mut JoinSet<anyhow::Result<()>>,
        config: &Config,
        registry: &Arc<Registry>,
        stats: Arc<RenewalStats>,
    ) {
        let (keeper, events, turn) = match (self, &config.mode) {
            (Self::Hub { hub, secrets, .. }, _) => (
                Keeper::Hub(Box::new(hub.secret_metadata(&secrets.namespace))),
                Some(hub.events(&secrets.namespace)),
                Turn::by_lease(hub, own_namespace(hub, secrets)),
            ),
            (Self::Files { .. }, Mode::Standalone(mode)) => {
                (Keeper::Directory(mode.clusters.clone()), None, Turn::Alone)
            }
            (Self::Files { .. }, Mode::Hub(_)) => return,
        };
        let renewer = Renewer::new(Arc::clone(registry), config.renewal.clone(), keeper, events, turn, stats);
        tasks.spawn(forever(renewer.run()));
    }

    /// Starts everything that keeps clusters, users, rights and the certificate up to date. `loaded` is set once it is
    /// known whom to trust and there is a certificate to show.
    pub(super) fn spawn(
        self,
        tasks: &mut JoinSet<anyhow::Result<()>>,
        gateway: &Arc<Gateway>,
        tls: &Arc<TlsReloader>,
        index: Index,
        loaded: Arc<AtomicBool>,
    ) {
        let gateway = Arc::clone(gateway);
        match self {
            Self::Hub { hub, secrets, managed, certificate } => {
                let client = hub.client();
                tasks.spawn(forever(async move { secrets.run(client, index, managed).await }));
                let settled = certificate.as_ref().map(|certificate| certificate.settled());
                tasks.spawn(follow_users(gateway, loaded, settled, hub.url().to_owned()));
                if let Some(certificate) = certificate {
                    let tls = Arc::clone(tls);
                    tasks.spawn(forever(certificate.run(move |pair| tls.set_certificate(pair))));
                }
            }
            Self::Files { clusters, directory: _, rights, serving } => {
                tasks.spawn(forever(clusters.run(index)));
                tasks.spawn(follow_users(gateway, loaded, None, String::new()));
                if let Some(rights) = rights {
                    tasks.spawn(forever(rights.watch()));
                }
                if let Some(serving) = serving {
                    tasks.spawn(forever(serving.keep_renewed()));
                }
            }
        }
    }
}

/// Where Leases lie. Outside of a cluster the gateway has no namespace of its own.
pub(super) fn own_namespace<'h>(hub: &'h Hub, secrets: &'h SecretSource) -> &'h str {
    if hub.in_cluster() { hub.namespace() } else { &secrets.namespace }
}

/// A task that has no failure to report.
pub(super) async fn forever(task: impl Future<Output = ()>) -> anyhow::Result<()> {
    task.await;
    Ok(())
}

/// Reads whom to trust, again and again until the hub answers, and follows it from then on.
async fn follow_users(
    gateway: Arc<Gateway>,
    loaded: Arc<AtomicBool>,
    settled: Option<watch::Receiver<bool>>,
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
                tokio::time::sleep(AGAIN).await;
            }
            Err(error) => return Err(anyhow::Error::new(error).context("cannot read whom to trust")),
        }
    }
    if reported {
        tracing::info!(hub, "the hub can be reached");
    }
    let ready = async {
        if let Some(mut settled) = settled {
            // It ends only with the process.
            let _ = settled.wait_for(|settled| *settled).await;
        }
        loaded.store(true, Ordering::Relaxed);
    };
    tokio::join!(ready, gateway.authn.watch());
    Ok(())
}

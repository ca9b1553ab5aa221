//! Management, beside the gateway of this process.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::sources::{Followed, forever, own_namespace};
use crate::config::{Config, ConfigError, ManageConfig, Mode};
use crate::gateway::Gateway;
use crate::issuer::DataDir;
use crate::manage::login::{Home, Login};
use crate::manage::store::Store;
use crate::manage::{
    Busy, Fleet, Manage, ManageSettings, Management, Place, Records, Resources, SelfAddress,
};
use crate::registry::ClusterPolicy;
use crate::server::{Listener, TlsReloader};

/// What management shares with the gateway.
pub(super) struct Shared<'s> {
    pub(super) gateway: &'s Arc<Gateway>,
    pub(super) policy: ClusterPolicy,
    pub(super) tls: &'s Arc<TlsReloader>,
    pub(super) drain: &'s CancellationToken,
    pub(super) connections: &'s TaskTracker,
    pub(super) own: Option<SelfAddress>,
}

/// Binds the socket and serves. Gives the address.
pub(super) async fn start(
    tasks: &mut JoinSet<anyhow::Result<()>>,
    config: &ManageConfig,
    place: Place,
    home: &Home,
    shared: Shared<'_>,
) -> anyhow::Result<SocketAddr> {
    let listener = match config.tls {
        true => Listener::bind(config.address, Arc::clone(shared.tls)).await,
        false => Listener::bind_insecure(config.address).await,
    };
    let listener = listener.with_context(|| {
        format!("cannot listen on {} for management; is the port taken or privileged?", config.address)
    })?;
    let address = listener.local_address()?;
    let hub = match &place {
        Place::Hub { hub, .. } => Some(hub.client()),
        Place::Directory(_) => None,
    };
    let login = login(config, home)?;
    let problems = login.check().await;
    anyhow::ensure!(problems.is_empty(), "management cannot let anybody sign in: {}", problems.join("; "));
    let manage = Arc::new(Manage {
        login,
        gateway: Arc::clone(shared.gateway),
        settings: ManageSettings { name: name(config, &place), tls: config.tls },
        place,
        records: Records::new(Store::open(&config.records, hub).await?),
        busy: Busy::default(),
        resources: Resources::default(),
        fleet: Fleet::default(),
        own: shared.own,
        policy: shared.policy,
        stopping: shared.drain.clone(),
    });
    let recording = Arc::clone(&manage);
    tasks.spawn(forever(async move { recording.record_hub().await }));
    let followed = Arc::clone(&manage);
    tasks.spawn(forever(async move { followed.login.watch().await }));
    let management = Arc::new(Management::new(manage));
    let serving = listener.serve(management, shared.drain.clone(), shared.connections.clone());
    tasks.spawn(forever(serving));
    let scheme = if config.tls { "https" } else { "http" };
    tracing::info!(%address, "management is served: {scheme}://{address}/");
    Ok(address)
}

/// Browsers see HTTPS unless this very machine is asked without.
fn login(config: &ManageConfig, home: &Home) -> anyhow::Result<Login> {
    let secure = config.tls || !config.address.ip().is_loopback();
    Login::new(config.login.clone(), home, secure).map_err(|mistakes| ConfigError(mistakes).into())
}

/// Where management keeps what is its own.
///
/// # Errors
/// If a data directory cannot be used.
pub(super) fn home(config: &Config, followed: &Followed) -> anyhow::Result<Home> {
    Ok(match (followed, &config.mode) {
        (Followed::Hub { hub, secrets, .. }, _) => Home::Hub {
            hub: Box::new(hub.clone()),
            namespace: own_namespace(hub, secrets).to_owned(),
            records: config.manage.as_ref().and_then(|manage| manage.records.namespace()).map(str::to_owned),
        },
        (Followed::Files { .. }, Mode::Standalone(mode)) => Home::Directory(DataDir::open(&mode.data_dir)?),
        (Followed::Files { .. }, Mode::Hub(_)) => anyhow::bail!("a server of a hub has no directory"),
    })
}

fn name(config: &ManageConfig, place: &Place) -> String {
    config.name.clone().unwrap_or_else(|| match place {
        Place::Hub { hub, .. } => {
            let host = hub.url().parse::<http::Uri>().ok().and_then(|url| url.host().map(str::to_owned));
            host.unwrap_or_else(|| "hub".to_owned())
        }
        Place::Directory(_) => "standalone".to_owned(),
    })
}

/// Where users reach this process as a gateway, without a hub.
pub(super) fn own_address(config: &Config, address: SocketAddr) -> Option<SelfAddress> {
    match &config.mode {
        Mode::Standalone(mode) if config.serves_gateway => Some(SelfAddress {
            address,
            data_dir: mode.data_dir.clone(),
            own_certificate: config.tls.is_none(),
        }),
        Mode::Standalone(_) | Mode::Hub(_) => None,
    }
}

/// Where clusters are kept.
pub(super) fn place(followed: &Followed) -> Place {
    match followed {
        Followed::Hub { hub, secrets, .. } => {
            Place::Hub { hub: Box::new(hub.clone()), namespace: secrets.namespace.clone() }
        }
        Followed::Files { directory, .. } => Place::Directory(directory.clone()),
    }
}

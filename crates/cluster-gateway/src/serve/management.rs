//! Management, beside the gateway of this process.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::sources::{Followed, forever};
use crate::config::ManageConfig;
use crate::gateway::Gateway;
use crate::manage::store::Store;
use crate::manage::{Busy, Manage, ManageSettings, Management, Place, Records, Resources};
use crate::registry::ClusterPolicy;
use crate::server::{Listener, TlsReloader};

/// What management shares with the gateway.
pub(super) struct Shared<'s> {
    pub(super) gateway: &'s Arc<Gateway>,
    pub(super) policy: ClusterPolicy,
    pub(super) tls: &'s Arc<TlsReloader>,
    pub(super) drain: &'s CancellationToken,
    pub(super) connections: &'s TaskTracker,
}

/// Binds the socket and serves. Gives the address.
pub(super) async fn start(
    tasks: &mut JoinSet<anyhow::Result<()>>,
    config: &ManageConfig,
    place: Place,
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
    let manage = Arc::new(Manage {
        gateway: Arc::clone(shared.gateway),
        settings: ManageSettings { name: name(config, &place), tls: config.tls },
        place,
        records: Records::new(Store::open(&config.records, hub).await?),
        resources: Resources::default(),
        busy: Busy::default(),
        policy: shared.policy,
        stopping: shared.drain.clone(),
    });
    let recording = Arc::clone(&manage);
    tasks.spawn(forever(async move { recording.record_hub().await }));
    let management = Arc::new(Management::new(manage));
    let serving = listener.serve(management, shared.drain.clone(), shared.connections.clone());
    tasks.spawn(forever(serving));
    let scheme = if config.tls { "https" } else { "http" };
    tracing::info!(%address, "management is served: {scheme}://{address}/");
    Ok(address)
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

/// Where clusters are kept.
pub(super) fn place(followed: &Followed) -> Place {
    match followed {
        Followed::Hub { hub, secrets, .. } => {
            Place::Hub { hub: Box::new(hub.clone()), namespace: secrets.namespace.clone() }
        }
        Followed::Files { directory, .. } => Place::Directory(directory.clone()),
    }
}

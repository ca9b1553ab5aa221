//! Which clusters there are.

use std::collections::BTreeMap;
use std::sync::Arc;

use cluster_gateway_client::BASE_PATH;
use cluster_gateway_client::v1alpha1::{ClusterGateway, VirtualCluster};
use kube::Client;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::Summary;
use crate::api::{LabelSelector, described};
use crate::hub::{CallError, call};
use crate::lifecycle::{Store, StoreError};
use crate::registry::{ClusterPolicy, Entry};
use crate::transport::{AddressPolicy, TransportOptions};

/// Why there is no list.
#[derive(Debug, thiserror::Error)]
pub enum ListError {
    /// The selector is not understood; nothing was asked.
    #[error("--selector: {0}")]
    Selector(String),
    /// The gateway does not answer, or the hub knows of none.
    #[error("the gateway does not answer: {0}")]
    NoGateway(String),
    /// The hub refuses or cannot be asked.
    #[error(transparent)]
    Hub(#[from] CallError),
    /// The store cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Whether `text` is a label selector; `Err` says where it is not.
///
/// # Errors
/// What Kubernetes' own parser would say.
pub fn is_selector(text: &str) -> Result<(), String> {
    LabelSelector::parse(text).map(drop)
}

/// A list of the hub, as far as it matters here.
#[derive(Deserialize)]
struct Items<T> {
    items: Vec<T>,
}

/// The clusters that the gateway behind `hub` shows: the hub itself first, as the gateway sorts them. `selector` is a
/// label selector; empty: all.
///
/// # Errors
/// [`ListError`]; [`ListError::NoGateway`] means that the store may know more.
pub async fn through_gateway(hub: &Client, selector: &str) -> Result<Vec<Summary>, ListError> {
    LabelSelector::parse(selector).map_err(ListError::Selector)?;
    let query = match selector {
        "" => String::new(),
        selector => format!("?labelSelector={}", utf8_percent_encode(selector, NON_ALPHANUMERIC)),
    };
    let shown: Vec<VirtualCluster> = items(hub, &format!("virtualclusters{query}")).await?;
    let gateways: Vec<ClusterGateway> = items(hub, "clustergateways").await?;
    let gateways: BTreeMap<_, _> =
        gateways.iter().map(|gateway| (gateway.metadata.name.as_str(), gateway)).collect();
    let summary = |shown: VirtualCluster| {
        let gateway = gateways.get(shown.metadata.name.as_str()).copied();
        Summary::of(shown, gateway)
    };
    Ok(shown.into_iter().map(summary).collect())
}

async fn items<T: DeserializeOwned>(hub: &Client, resource: &str) -> Result<Vec<T>, ListError> {
    let request = http::Request::get(format!("{BASE_PATH}/{resource}")).body(Vec::new());
    let request = request.map_err(|error| ListError::NoGateway(error.to_string()))?;
    match call(hub.request::<Items<T>>(request)).await {
        Ok(Items { items }) => Ok(items),
        // A hub without the gateway's APIService does not know the path; one whose gateway is away says 503.
        Err(CallError::NotFound(reason) | CallError::Unreachable(reason)) => {
            Err(ListError::NoGateway(reason))
        }
        Err(error) => Err(ListError::Hub(error)),
    }
}

/// The clusters of a store, read straight from there and sorted by name. Of their health only what is recorded there is
/// known.
///
/// # Errors
/// [`ListError`].
pub async fn from_store(store: &Store, selector: &str) -> Result<Vec<Summary>, ListError> {
    let labels = LabelSelector::parse(selector).map_err(ListError::Selector)?;
    Ok(summaries(store.list().await?.into_iter(), &labels))
}

fn summaries(entries: impl Iterator<Item = Entry>, labels: &LabelSelector) -> Vec<Summary> {
    let policy = policy();
    let selected = entries.map(|entry| policy.read(entry, None)).filter(|cluster| {
        described(cluster).is_some_and(|(shown, _)| labels.matches(&shown.metadata.labels))
    });
    let mut summaries: Vec<_> = selected.filter_map(|cluster| Summary::read(&cluster)).collect();
    summaries.sort_by(|a, b| a.name.cmp(&b.name));
    summaries
}

/// What a cluster may do here, where nobody has said what the gateway allows: everything that a gateway can be told to
/// allow but running programs.
pub(super) fn policy() -> ClusterPolicy {
    let transport =
        TransportOptions { addresses: AddressPolicy { allow_loopback: true }, ..TransportOptions::default() };
    ClusterPolicy { allow_insecure: true, transport: Arc::new(transport), ..ClusterPolicy::default() }
}

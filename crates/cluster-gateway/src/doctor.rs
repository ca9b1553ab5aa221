//! How a hub and its clusters do: the hub itself, and every cluster as it is seen from here and from the gateway's place.
//!
//! Reads only. Nothing is printed here; results serialise.

use futures_util::StreamExt;
use futures_util::stream;
use serde::Serialize;

mod gateway;
mod hub;
mod report;

pub use report::{Check, ClusterReport, Report, View};

use crate::diagnosis::{Depth, absent, diagnose};
use crate::hub::Operator;
use crate::lifecycle::{Store, StoreError};
use crate::registry::{ClusterPolicy, Entry};
use cluster_gateway_client::v1alpha1::{EndpointType, LABEL_ENDPOINT_TYPE};

/// Clusters that are looked at at once: as many as a gateway lets be diagnosed.
const AT_ONCE: usize = 4;

/// From where clusters are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Places {
    /// From the place of the gateway, which is asked.
    Gateway,
    /// From where this runs, with the credential in the store.
    Here,
    /// From both.
    Both,
}

/// What is needed to look.
#[derive(Debug)]
pub struct Doctor {
    /// The hub, if there is one.
    pub hub: Option<Operator>,
    /// Where the gateway is asked: at the hub, or a standalone server. `None`: it is not asked.
    pub gateway: Option<Operator>,
    /// Where the clusters are kept.
    pub store: Store,
    /// From where.
    pub from: Places,
    /// What is allowed from here.
    pub policy: ClusterPolicy,
    /// How far and how long.
    pub depth: Depth,
}

impl Doctor {
    /// Looks at one cluster.
    pub async fn cluster(&self, name: &str) -> ClusterReport {
        if let Err(error) = self.store.check_name(name) {
            let here = View::Seen { findings: absent(name, &error.to_string()).findings };
            return ClusterReport { cluster: name.to_owned(), here: Some(here), gateway: None };
        }
        let (here, gateway) = tokio::join!(self.here(name), self.at_gateway(name));
        ClusterReport { cluster: name.to_owned(), here, gateway }
    }

    /// Looks at the hub, if there is one, and at every cluster, a few at a time.
    pub async fn everything(&self) -> Report {
        let mut checks = match &self.hub {
            Some(hub) => hub::look(hub, &self.store).await,
            None => Vec::new(),
        };
        let names = match self.names().await {
            Ok(names) => names,
            Err(check) => {
                checks.push(check);
                Vec::new()
            }
        };
        let clusters = stream::iter(names).map(|name| async move { self.cluster(&name).await });
        Report { hub: checks, clusters: clusters.buffered(AT_ONCE).collect().await }
    }

    /// Names of all clusters, sorted: those of the store, or where only the gateway is asked, those that it knows.
    async fn names(&self) -> Result<Vec<String>, Check> {
        let names = match (&self.gateway, self.from) {
            (Some(gateway), Places::Gateway) => gateway::names(&gateway.client()).await,
            _ => self.store.list().await.map(named).map_err(|error| error.to_string()),
        };
        let mut names = names.map_err(|reason| {
            Check::failed(
                "Clusters",
                format!("the clusters cannot be listed: {reason}"),
                "see the reason, and name one cluster",
            )
        })?;
        names.sort();
        Ok(names)
    }

    async fn here(&self, name: &str) -> Option<View> {
        if self.from == Places::Gateway {
            return None;
        }
        let place = self.store.place(name);
        Some(match self.store.get(name).await {
            Ok(Some(entry)) if behind_agent(&entry) => View::unasked(
                "the cluster's agent connects to the konnectivity proxy server, and only the gateway knows that: look from the \
                 gateway",
            ),
            Ok(Some(entry)) if self.from == Places::Both && !names_endpoint(&entry) => View::unasked(
                "the Secret has no key \"endpoint\"; the gateway may have it from a ManagedCluster",
            ),
            Ok(Some(entry)) => {
                View::Seen { findings: diagnose(entry, &self.policy, &self.depth).await.findings }
            }
            Ok(None) => View::Seen { findings: absent(name, &format!("there is no {place}")).findings },
            Err(error @ (StoreError::Forbidden(_) | StoreError::NotFound(_))) => {
                View::unasked(format!("you cannot read {place}: {error}"))
            }
            Err(error) => View::unseen(format!("{place} cannot be read: {error}")),
        })
    }

    async fn at_gateway(&self, name: &str) -> Option<View> {
        if self.from == Places::Here {
            return None;
        }
        match &self.gateway {
            Some(gateway) => Some(gateway::diagnosis(&gateway.client(), name).await),
            None => None,
        }
    }
}

fn named(entries: Vec<Entry>) -> Vec<String> {
    entries.into_iter().filter_map(|entry| entry.secret.metadata.name).collect()
}

fn names_endpoint(entry: &Entry) -> bool {
    // What a kubeconfig cannot say, its reader has said better.
    entry.unusable.is_some() || entry.secret.data.as_ref().is_some_and(|data| data.contains_key("endpoint"))
}

fn behind_agent(entry: &Entry) -> bool {
    let kind = entry.secret.metadata.labels.as_ref().and_then(|labels| labels.get(LABEL_ENDPOINT_TYPE));
    kind.and_then(|kind| EndpointType::parse(kind)) == Some(EndpointType::ClusterProxy)
}

//! How a cluster is, for people: everything that is known of it in one view.

use std::time::SystemTime;

use serde::Serialize;

use crate::registry::{Cluster, Unusable};
use crate::transport::{Condition, State};

/// How a cluster is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
pub enum Status {
    /// It answers; a reason says what is odd about it.
    Healthy,
    /// It does not answer, or says that it is not ready; or its Secret cannot be understood.
    Unhealthy,
    /// Nobody has looked yet, or nobody is to look.
    Unknown,
}

/// How a cluster is, and how it has been lately.
#[derive(Debug, Clone, PartialEq)]
pub struct Standing {
    /// How it is.
    pub status: Status,
    /// Why; empty if all is well, or nothing is known.
    pub reason: String,
    /// Since when, as far as this process knows.
    pub since: Option<SystemTime>,
    /// Milliseconds to the answers of the latest probes, at most 24, the newest last; `None`: no answer.
    pub latency: Vec<Option<f64>>,
    /// `gitVersion` of its `/version`; empty if it is not known.
    pub version: String,
}

impl Standing {
    /// What this process knows of a cluster.
    #[must_use]
    pub fn of(cluster: &Cluster) -> Self {
        let Condition { state, reason, since, latencies, version, .. } = match &cluster.upstream {
            Ok(upstream) => upstream.transport.condition(),
            Err(Unusable(reason)) => return Self::unusable(reason),
        };
        Self {
            status: Status::of(state),
            reason,
            since,
            latency: latencies.milliseconds().collect(),
            version: version.unwrap_or_default(),
        }
    }

    fn unusable(reason: &str) -> Self {
        Self {
            status: Status::Unhealthy,
            reason: reason.to_owned(),
            since: None,
            latency: Vec::new(),
            version: String::new(),
        }
    }
}

impl Status {
    fn of(state: State) -> Self {
        match state {
            State::Unknown => Self::Unknown,
            State::Healthy => Self::Healthy,
            State::Unhealthy | State::Open => Self::Unhealthy,
        }
    }

    /// Its name, as it is serialised.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Healthy => "Healthy",
            Self::Unhealthy => "Unhealthy",
            Self::Unknown => "Unknown",
        }
    }
}

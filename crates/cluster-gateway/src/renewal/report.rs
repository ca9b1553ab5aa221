//! What is said in the log: once, and again when it has changed.

use std::collections::BTreeMap;

use super::ask::AskError;
use super::keeper::KeepError;
use super::stats::Outcome;
use super::track::{Done, Failure, Renewed};
use super::{CREDENTIALS_LEASE, Keeper, Turn};
use crate::hub::{CallError, Standing};

/// What was last complained about.
#[derive(Debug, Default)]
pub(super) struct Complaints {
    lease: Option<String>,
    events: Option<String>,
    clusters: BTreeMap<String, String>,
}

pub(super) fn outcome(result: &Result<Renewed, Failure>) -> Outcome {
    match result {
        Ok(_) => Outcome::Renewed,
        Err(Failure::Ask(AskError::Unreachable(_))) => Outcome::MemberUnreachable,
        Err(Failure::Ask(AskError::Refused(_))) => Outcome::MemberRefused,
        Err(Failure::Keep(KeepError::Changed)) => Outcome::Conflict,
        Err(Failure::Keep(KeepError::Refused(_))) => Outcome::StoreRefused,
        Err(Failure::Keep(KeepError::Unreachable(_))) => Outcome::StoreUnreachable,
    }
}

impl Complaints {
    /// Says what keeps the Lease from being had.
    pub(super) fn lease(&mut self, turn: &Turn) {
        let cause = match turn.standing() {
            Some(Standing::Fails(CallError::Refused(cause) | CallError::Forbidden(cause))) => cause,
            Some(Standing::Holds(_)) => {
                if self.lease.take().is_some() {
                    tracing::info!(
                        "the Lease {CREDENTIALS_LEASE} is held: credentials of clusters are renewed again"
                    );
                }
                return;
            }
            _ => return,
        };
        if self.lease.as_ref() != Some(&cause) {
            tracing::warn!(
                cause,
                "credentials of clusters are not renewed, because the Lease {CREDENTIALS_LEASE} cannot be had; the gateway \
                 needs the rights to create, get and update it"
            );
            self.lease = Some(cause);
        }
    }

    /// Says what came out of something.
    pub(super) fn done(&mut self, cluster: &str, done: &Done, keeper: &Keeper) {
        match done {
            Done::Renewal(Ok(renewed)) => {
                self.clusters.remove(cluster);
                let account = renewed.account.to_string();
                let ends = super::token::written(renewed.life.ends);
                tracing::info!(cluster, account, ends, "the token of the cluster was renewed");
            }
            Done::Renewal(Err(Failure::Keep(KeepError::Changed))) => {
                tracing::debug!(
                    cluster,
                    "the cluster's Secret changed while its token was renewed; it is tried again"
                );
            }
            Done::Renewal(Err(failure)) => self.failed(cluster, failure, keeper),
            Done::Event(_, Err(CallError::Forbidden(cause) | CallError::Refused(cause))) => {
                if self.events.as_ref() != Some(cause) {
                    tracing::warn!(
                        cause,
                        "no Events are written about credentials that end; the gateway needs the right to create events in \
                         the namespace of the clusters' Secrets"
                    );
                    self.events = Some(cause.clone());
                }
            }
            Done::Event(_, Err(error)) => {
                tracing::debug!(cluster, %error, "an Event was not written; it is tried again");
            }
            Done::Event(_, Ok(())) => self.events = None,
        }
    }

    fn failed(&mut self, cluster: &str, failure: &Failure, keeper: &Keeper) {
        let cause = failure.to_string();
        if self.clusters.get(cluster) == Some(&cause) {
            return;
        }
        let kept = match keeper {
            Keeper::Hub(_) => "hub",
            Keeper::Directory(_) => "directory",
        };
        tracing::warn!(
            cluster,
            cause,
            kept_at = kept,
            "the token of the cluster was not renewed; the current one is used on, and it is tried again with growing pauses"
        );
        self.clusters.insert(cluster.to_owned(), cause);
    }
}

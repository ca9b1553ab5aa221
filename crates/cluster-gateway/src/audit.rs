//! Audit events as kube-apiserver writes them, `audit.k8s.io/v1`, for own and proxied requests (contract rules 136, 137).
//!
//! A [`Trail`] gathers what is known of one request and hands events to the backends, which write in threads of their
//! own. What it will never do: hold a body, a credential, or the value of a query parameter that it does not know.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

mod event;
mod log;
mod policy;
mod queue;
mod request_uri;
mod source;
mod trail;
mod webhook;

pub use log::{LogConfig, LogTarget};
pub use policy::{Level, Policy, Stage};
pub use queue::{Backend, Counts, Mode};
pub use trail::{Ending, Trail};
pub use webhook::WebhookConfig;

use event::Entry;
use queue::{Queue, Room};

/// Whether and where requests are audited, as plain values.
#[derive(Debug, Clone)]
pub struct AuditConfig {
    /// `--audit-policy-file`: which requests.
    pub policy: Policy,
    /// `--audit-log-*`: a file or standard output.
    pub log: Option<LogConfig>,
    /// `--audit-webhook-*`: a server.
    pub webhook: Option<WebhookConfig>,
}

/// Why auditing cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The log cannot be opened.
    #[error("--audit-log-path: cannot open {path}: {cause}; its directory must exist and be writable")]
    Log {
        /// The file.
        path: String,
        /// Why not.
        cause: std::io::Error,
    },
    /// The kubeconfig of the webhook cannot be used.
    #[error("--audit-webhook-config-file: {path}: {cause}")]
    Webhook {
        /// The file.
        path: String,
        /// What is wrong with it.
        cause: String,
    },
}

/// Decides which requests are audited and hands their events to the backends. Dropping the last reference ends the
/// backends once they have written what they have.
pub struct Auditor {
    policy: Policy,
    queues: Vec<Queue>,
    counts: Arc<Counts>,
}

impl Auditor {
    /// Opens the backends. The webhook's server need not be there yet. Runs within a tokio runtime, whose end waits for
    /// the backends.
    ///
    /// # Errors
    /// [`StartError`].
    pub async fn start(config: AuditConfig) -> Result<Self, StartError> {
        if config.policy.wants_bodies() {
            tracing::warn!(
                "audit policy: levels Request and RequestResponse are recorded as Metadata; bodies are never recorded, \
                 as they stream through and may hold secrets"
            );
        }
        let counts = Arc::new(Counts::default());
        let mut queues = Vec::new();
        if let Some(log) = config.log {
            queues.push(log::start(&log, &counts)?);
        }
        if let Some(webhook) = config.webhook {
            queues.push(webhook::start(webhook, &counts).await?);
        }
        Ok(Self { policy: config.policy, queues, counts })
    }

    /// What has been counted, for the metrics.
    #[must_use]
    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    /// Waits until everything recorded so far has been written, or given up, but for no longer than `limit`.
    pub async fn flush(&self, limit: Duration) {
        let flushed = futures_util::future::join_all(self.queues.iter().map(Queue::flushed));
        if tokio::time::timeout(limit, flushed).await.is_err() {
            tracing::warn!("audit: some events could not be written within {limit:?} of the stop");
        }
    }

    /// Records what may only be recorded once there is room for it. `None`: done; otherwise the request must wait for the
    /// future, which does it then.
    fn admit(self: &Arc<Self>, entry: Option<Entry>, cost: u32) -> Option<Waiting> {
        match self.queues.iter().map(|queue| queue.try_room(cost)).collect::<Option<Vec<_>>>() {
            Some(room) => {
                self.record(entry, room);
                None
            }
            None => {
                let this = Arc::clone(self);
                Some(Box::pin(async move {
                    let mut room = Vec::with_capacity(this.queues.len());
                    for queue in &this.queues {
                        room.push(queue.room(cost).await);
                    }
                    this.record(entry, room);
                }))
            }
        }
    }

    /// Hands an event to every backend. `room` is what has been reserved with each of them.
    fn record(&self, entry: Option<Entry>, room: Vec<Room>) {
        let Some(entry) = entry.map(Arc::new) else { return };
        self.counts.generated();
        let mut room = room.into_iter();
        for queue in &self.queues {
            queue.push(Arc::clone(&entry), room.next().unwrap_or_default());
        }
    }
}

/// A request's wait until its audit events have room.
pub type Waiting = Pin<Box<dyn Future<Output = ()> + Send>>;

impl fmt::Debug for Auditor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Auditor").field("policy", &self.policy).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;

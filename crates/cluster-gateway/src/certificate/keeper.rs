//! The rounds: read, renew if the Lease is ours, serve, publish.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::SystemTime;

use rustls::pki_types::CertificateDer;
use rustls::sign::CertifiedKey;
use tokio::sync::watch;

use super::Times;
use super::api_service::{NAME, Publisher};
use super::material::{Content, Found, Pair};
use super::plan::{self, Circumstances, Memory, Plan, Settled};
use super::store::Store;
use crate::hub::{CallError, Leadership, Standing};
use crate::issuer::{self, IssuerError, ServerNames};
use crate::pki;

/// Everything that the rounds need.
pub(super) struct Keeper {
    pub(super) store: Store,
    pub(super) publisher: Publisher,
    pub(super) leadership: Leadership,
    pub(super) names: ServerNames,
    pub(super) times: Times,
    /// What is served, and what was trusted then.
    pub(super) memory: Option<Memory>,
    pub(super) settled: Settled,
    pub(super) complaints: Complaints,
    pub(super) settling: watch::Sender<bool>,
}

/// Why a round did not come to its end.
enum Trouble {
    /// With the Secret.
    Secret(CallError),
    /// No certificate could be made.
    Making(IssuerError),
}

impl Keeper {
    pub(super) async fn run(mut self, present: impl Fn(Arc<CertifiedKey>) + Send + Sync) {
        let mut leadership = self.leadership.clone();
        loop {
            match self.round(&present).await {
                Ok(()) => self.complaints.over(Topic::Secret),
                Err(Trouble::Secret(error)) => self.complain(Topic::Secret, &error),
                Err(Trouble::Making(error)) => tracing::warn!(%error, "no serving certificate can be made"),
            }
            let pause = if *self.settling.borrow() { self.times.look } else { self.times.impatient };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = leadership.changed() => {}
            }
        }
    }

    async fn round(&mut self, present: &impl Fn(Arc<CertifiedKey>)) -> Result<(), Trouble> {
        let secret = self.store.read().await.map_err(Trouble::Secret)?;
        let found = Found::read(secret.as_ref().and_then(|secret| secret.data.as_ref()));
        if !self.leadership.is_held() {
            self.follow(found, present);
            return Ok(());
        }
        self.complaints.over(Topic::Lease);
        let content = match self.plan(found).map_err(Trouble::Making)? {
            Plan::Keep(content) => content,
            Plan::Write(content, why) => {
                self.store.write(secret, content.data()).await.map_err(Trouble::Secret)?;
                tracing::info!(
                    secret = self.store.location, expires = expiry(&content.pair), names = %self.names, why,
                    "the serving certificate's Secret was written"
                );
                content
            }
        };
        self.serve(&content.pair, content.trusted(), present);
        self.publish(&content).await;
        self.settling.send_replace(true);
        Ok(())
    }

    fn plan(&self, found: Found) -> Result<Plan, IssuerError> {
        let settled = self.settled.elapsed(&found);
        let circumstances = Circumstances {
            memory: self.memory.as_ref(),
            names: &self.names,
            settled,
            times: &self.times,
            now: SystemTime::now(),
        };
        plan::next(found, circumstances)
    }

    /// What a replica does that does not hold the Lease: it serves what stands in the Secret, if that is any good.
    fn follow(&mut self, found: Found, present: &impl Fn(Arc<CertifiedKey>)) {
        self.settled = Settled::default();
        let verifies = |pair: &Pair| pair.verifies(&found.trusted, SystemTime::now());
        let unfit = || "it is not valid now, or no CA beside it has issued it".to_owned();
        let problem = match found.pair.and_then(|pair| if verifies(&pair) { Ok(pair) } else { Err(unfit()) })
        {
            Ok(pair) => {
                self.serve(&pair, found.trusted, present);
                self.settling.send_replace(true);
                None
            }
            Err(problem) => Some(problem),
        };
        if let Some(problem) = problem {
            tracing::debug!(
                secret = self.store.location,
                problem,
                "waiting for whoever holds the lease to mend it"
            );
        }
        match self.leadership.standing() {
            Standing::Fails(error) => self.complain(Topic::Lease, &error),
            Standing::Holds(_) | Standing::Waits => self.complaints.over(Topic::Lease),
        }
    }

    fn serve(
        &mut self,
        pair: &Pair,
        trusted: Vec<CertificateDer<'static>>,
        present: &impl Fn(Arc<CertifiedKey>),
    ) {
        let served = self.memory.as_ref().map(|memory| memory.pair.leaf());
        if served != Some(pair.leaf()) {
            present(Arc::clone(&pair.certified));
            tracing::info!(
                secret = self.store.location,
                expires = expiry(pair),
                "serving the certificate of the Secret"
            );
        }
        self.memory = Some(Memory { trusted, pair: pair.clone() });
    }

    async fn publish(&mut self, content: &Content) {
        match self.publisher.publish(&content.bundle()).await {
            Ok(_) => self.complaints.over(Topic::ApiService),
            Err(error) => {
                self.complain(Topic::ApiService, &error);
                if !is_final(&error) {
                    self.settled = Settled::default();
                    return;
                }
            }
        }
        self.settled.note(content);
    }

    /// Says what a person must mend, once. What mends itself is not worth more than a word.
    fn complain(&mut self, topic: Topic, error: &CallError) {
        let object = match topic {
            Topic::Secret => format!("Secret {}", self.store.location),
            Topic::Lease => format!("Lease {}", self.store.location),
            Topic::ApiService => format!("APIService {NAME}"),
        };
        if !is_final(error) {
            tracing::debug!(object, %error, "trying again");
            return;
        }
        if topic != Topic::ApiService {
            // Nobody else may either: all replicas have the same rights.
            self.settling.send_replace(true);
        }
        if self.complaints.is_news(topic, error.to_string()) {
            let consequence = match topic {
                Topic::ApiService => {
                    "the hub may not know the CA of this gateway's certificate (its caBundle)"
                }
                _ if self.memory.is_some() => "the serving certificate cannot be renewed",
                _ => "serving with a certificate made for this process, which nobody can verify",
            };
            let remedy = match error {
                CallError::NotFound(_) => "see whether --service-namespace is right",
                CallError::Refused(_) => "if the object cannot be changed, delete it: it is made again",
                _ => "grant the right, as deploy/cluster-gateway.yaml does",
            };
            tracing::warn!(
                object, hub = %error,
                "{consequence}; {remedy}, or give --tls-cert-file and --tls-private-key-file"
            );
        }
    }
}

/// Whether a person must do something about it.
fn is_final(error: &CallError) -> bool {
    match error {
        CallError::Forbidden(_) | CallError::Refused(_) | CallError::NotFound(_) => true,
        CallError::Conflict(_) | CallError::Unreachable(_) => false,
    }
}

fn expiry(pair: &Pair) -> String {
    pki::validity(pair.leaf())
        .map_or_else(|error| error.to_string(), |validity| issuer::date(*validity.end()))
}

/// What a complaint is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Topic {
    Secret,
    Lease,
    ApiService,
}

/// What was said last, so that it is not said with every round.
#[derive(Debug, Default)]
pub(super) struct Complaints(BTreeMap<Topic, String>);

impl Complaints {
    fn is_news(&mut self, topic: Topic, text: String) -> bool {
        let before = self.0.insert(topic, text);
        before.as_ref() != self.0.get(&topic)
    }

    fn over(&mut self, topic: Topic) {
        if self.0.remove(&topic).is_some() {
            tracing::info!(?topic, "the serving certificate: what was complained of is mended");
        }
    }
}

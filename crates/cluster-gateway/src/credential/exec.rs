//! Credentials that a program gives: client-go's exec plugins (contract rule 273).
//!
//! Whoever writes a cluster's Secret chooses the arguments of a program that runs as the gateway. So nothing runs that the
//! operator has not named, with a clean environment, a time limit and bounded output.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::{Semaphore, watch};
use tokio::time::Instant;

mod answer;
mod config;
mod run;

pub use answer::Issued;
pub use config::{ClusterInfo, ExecConfig};

/// Programs that run at once.
const AT_ONCE: usize = 16;
/// Of those whose last run has failed: they must not take all places.
const SUSPECTS_AT_ONCE: usize = 4;
/// How long after a failure the program is not run again; doubled with every further one.
const BACKOFF: Duration = Duration::from_secs(1);
/// The most that it is doubled to.
const MAX_BACKOFF: Duration = Duration::from_secs(60);
/// How often one request waits for a program whose credential is then no longer good.
const MOST_RUNS: usize = 3;

/// What the operator allows. The default allows nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExecPolicy {
    /// Programs that may be run, absolute paths (`--allow-exec-credential-command`). Default: none.
    pub commands: Vec<PathBuf>,
    /// The environment that they get, besides what the Secret says. Default: empty.
    pub environment: Vec<(String, String)>,
    /// How long one run may take, waiting for a place included. Default 30 s.
    pub timeout: Duration,
    /// How old a credential is at least before a member's 401 makes the program run again. Default 10 s.
    pub least_age: Duration,
}

impl Default for ExecPolicy {
    fn default() -> Self {
        Self {
            commands: Vec::new(),
            environment: Vec::new(),
            timeout: Duration::from_secs(30),
            least_age: Duration::from_secs(10),
        }
    }
}

impl ExecPolicy {
    /// The program that a Secret means: an allowed path, or the file name of one.
    ///
    /// # Errors
    /// It is not allowed.
    fn resolve(&self, command: &str) -> Result<&Path, String> {
        let shown: String = command.escape_debug().take(200).collect();
        if self.commands.is_empty() {
            return Err(format!(
                "the credential comes from the program \"{shown}\", and the gateway may run none; its operator allows one \
                 with --allow-exec-credential-command=/PATH/OF/THE/PROGRAM"
            ));
        }
        let named = |path: &&PathBuf| path.as_path() == Path::new(command) && command.starts_with('/');
        let called = |path: &&PathBuf| path.file_name().is_some_and(|name| name == command);
        let mut found = self.commands.iter().filter(|path| named(path) || called(path));
        match (found.next(), found.next()) {
            (Some(path), None) => Ok(path),
            (Some(_), Some(_)) => Err(format!(
                "several programs called \"{shown}\" are allowed; write command as an absolute path"
            )),
            (None, _) => Err(format!(
                "the program \"{shown}\" is not among those that the gateway may run; its operator names them with \
                 --allow-exec-credential-command"
            )),
        }
    }
}

/// Runs programs for all clusters.
#[derive(Debug)]
pub struct ExecPlugins {
    policy: ExecPolicy,
    places: Semaphore,
    places_of_suspects: Semaphore,
}

impl Default for ExecPlugins {
    fn default() -> Self {
        Self::new(ExecPolicy::default())
    }
}

impl ExecPlugins {
    /// Runs what `policy` allows.
    #[must_use]
    pub fn new(policy: ExecPolicy) -> Self {
        let (places, places_of_suspects) = (Semaphore::new(AT_ONCE), Semaphore::new(SUSPECTS_AT_ONCE));
        Self { policy, places, places_of_suspects }
    }

    /// What the operator allows.
    #[must_use]
    pub fn policy(&self) -> &ExecPolicy {
        &self.policy
    }

    /// The program's standard output. Bounded in time, size and number.
    async fn run(&self, config: &ExecConfig, suspect: bool) -> Result<Vec<u8>, String> {
        let limit = self.policy.timeout;
        let places = if suspect { &self.places_of_suspects } else { &self.places };
        let deadline = Instant::now() + limit;
        let Ok(Ok(_place)) = tokio::time::timeout_at(deadline, places.acquire()).await else {
            return Err(format!(
                "has to wait: too many such programs are running, and none ended within {limit:?}"
            ));
        };
        run::run(config, &self.policy, deadline).await
    }
}

/// A cluster's credential that a program gives.
pub struct ExecCredential {
    config: ExecConfig,
    plugins: Arc<ExecPlugins>,
    state: ArcSwap<State>,
    /// The run under way that everybody waits for who has no credential.
    running: Mutex<Option<watch::Receiver<()>>>,
}

/// What the runs so far have come to.
#[derive(Clone, Default)]
struct State {
    issued: Option<Arc<Issued>>,
    failure: Option<Failed>,
}

#[derive(Clone)]
struct Failed {
    reason: Arc<str>,
    backoff: Duration,
    until: Instant,
}

impl ExecCredential {
    /// A credential that is asked for when it is needed first.
    #[must_use]
    pub fn new(config: ExecConfig, plugins: Arc<ExecPlugins>) -> Self {
        Self { config, plugins, state: ArcSwap::default(), running: Mutex::default() }
    }

    /// What the Secret says of the program.
    #[must_use]
    pub fn config(&self) -> &ExecConfig {
        &self.config
    }

    /// The credential, if a good one is there; takes no lock unless it is due for renewal, which goes on in the
    /// background.
    #[must_use]
    pub fn current(self: &Arc<Self>) -> Option<Arc<Issued>> {
        let state = self.state.load();
        let issued = state.issued.as_ref()?;
        let now = Instant::now();
        if issued.expires.is_some_and(|at| at <= now) {
            return None;
        }
        if issued.renew.is_some_and(|at| at <= now) && state.resting(now).is_none() {
            self.start();
        }
        Some(Arc::clone(issued))
    }

    /// The credential, from the program if need be. Many who ask at once wait for one run; after a failure all are told
    /// for a while why it failed.
    ///
    /// # Errors
    /// Why there is none, in words for the cluster's owner.
    pub async fn obtain(self: &Arc<Self>) -> Result<Arc<Issued>, String> {
        for _ in 0..MOST_RUNS {
            if let Some(issued) = self.current() {
                return Ok(issued);
            }
            if let Some(failure) = self.state.load().resting(Instant::now()) {
                return Err(failure.reason.to_string());
            }
            // An error means that the run has ended, too.
            let _ = self.start().changed().await;
        }
        Err(self.failed("gives credentials that are no longer good when they come"))
    }

    /// The member has refused `used` with a 401: the program is asked again, for the next requests.
    pub fn refused(self: &Arc<Self>, used: &Arc<Issued>) {
        let state = self.state.load();
        let current = state.issued.as_ref().is_some_and(|issued| Arc::ptr_eq(issued, used));
        let now = Instant::now();
        if current && used.since + self.plugins.policy.least_age <= now && state.resting(now).is_none() {
            tracing::info!(
                program = %self.config.command.display(),
                cluster = self.config.cluster,
                "the cluster has answered 401; asking the program for another credential"
            );
            self.start();
        }
    }

    /// Joins the run under way, or starts one. It goes on if nobody waits any more.
    fn start(self: &Arc<Self>) -> watch::Receiver<()> {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(run) = &*running {
            return run.clone();
        }
        let (ended, run) = watch::channel(());
        *running = Some(run.clone());
        drop(running);
        let this = Running(Arc::clone(self));
        tokio::spawn(async move {
            this.0.run().await;
            drop(this);
            drop(ended);
        });
        run
    }

    async fn run(&self) {
        let before = self.state.load_full();
        let output = self.plugins.run(&self.config, before.failure.is_some()).await;
        let issued = output.and_then(|output| answer::read(&output, self.config.api_version));
        let after = match issued {
            Ok(issued) => {
                tracing::debug!(
                    program = %self.config.command.display(),
                    cluster = self.config.cluster,
                    "the program gave a credential"
                );
                State { issued: Some(Arc::new(issued)), failure: None }
            }
            Err(reason) => {
                let failure = self.failure(&reason, before.failure.as_ref());
                State { issued: before.issued.clone(), failure: Some(failure) }
            }
        };
        self.state.store(Arc::new(after));
    }

    fn failure(&self, reason: &str, before: Option<&Failed>) -> Failed {
        let reason = self.failed(reason);
        let backoff = before.map_or(BACKOFF, |before| (before.backoff * 2).min(MAX_BACKOFF));
        tracing::warn!(
            cluster = self.config.cluster,
            reason,
            again_in = ?backoff,
            "no credential for this cluster; other clusters are not affected"
        );
        Failed { reason: reason.into(), backoff, until: Instant::now() + backoff }
    }

    fn failed(&self, reason: &str) -> String {
        format!("the credential program {} {reason}", self.config.command.display())
    }
}

impl State {
    /// The last failure, while the program is not to be run again because of it.
    fn resting(&self, now: Instant) -> Option<&Failed> {
        self.failure.as_ref().filter(|failure| now < failure.until)
    }
}

impl fmt::Debug for ExecCredential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExecCredential").field("command", &self.config.command).finish_non_exhaustive()
    }
}

/// Clears the run under way, also if it panics, so that the next request starts another.
struct Running(Arc<ExecCredential>);

impl Drop for Running {
    fn drop(&mut self) {
        *self.0.running.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

#[cfg(test)]
mod tests;

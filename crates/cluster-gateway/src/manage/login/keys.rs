//! Where the keys of sessions come from: a file, the data directory, or a Secret that all replicas share. They are read
//! again now and then, so that they can be changed while people work.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{Api, PostParams};
use tokio::io::AsyncReadExt;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::Home;
use super::seal::{KeyRing, OpenError, Purpose};
use crate::hub::{CallError, call};
use crate::issuer::DataDir;

/// Name of the Secret, and of the file in the data directory.
pub const SESSION_KEY: &str = "cluster-gateway-session-key";
/// Its key in the Secret.
const FIELD: &str = "keys";
/// How often the keys are read again.
const POLL: Duration = Duration::from_secs(30);
/// How long after a look another one is not worth it. Somebody else may have put a new key there a moment ago.
const PAUSE: Duration = Duration::from_secs(2);
/// Bytes of a file of keys, at most.
const MAX_FILE: u64 = 64 * 1024;

/// The keys, and where they come from.
#[derive(Debug)]
pub(super) struct SessionKeys {
    source: Source,
    /// `None`: they could not be read yet.
    ring: ArcSwapOption<KeyRing>,
    last: Mutex<Last>,
}

#[derive(Debug)]
enum Source {
    File(PathBuf),
    Directory(DataDir),
    Hub { secrets: Box<Api<Secret>>, place: String },
}

/// What a key is needed for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Need {
    /// To open what was sealed: without a key there is nothing.
    Open,
    /// To seal: without a key one is made.
    Seal,
}

/// The last look.
#[derive(Debug, Default)]
struct Last {
    at: Option<Instant>,
    problem: Option<String>,
}

impl SessionKeys {
    /// Keys of the file, or of where the server is at home. Nothing is read yet.
    pub(super) fn new(file: Option<PathBuf>, home: &Home) -> Self {
        let source = match (file, home) {
            (Some(path), _) => Source::File(path),
            (None, Home::Directory(dir)) => Source::Directory(dir.clone()),
            (None, Home::Hub { hub, namespace, .. }) => Source::Hub {
                secrets: Box::new(Api::namespaced(hub.client(), namespace)),
                place: format!("{namespace}/{SESSION_KEY}"),
            },
        };
        Self { source, ring: ArcSwapOption::empty(), last: Mutex::default() }
    }

    /// Whether files of keys can be used.
    pub(super) async fn check(&self) -> Result<(), String> {
        match &self.source {
            // A hub need not be there yet.
            Source::Hub { .. } => Ok(()),
            Source::File(_) | Source::Directory(_) => self.ring(Need::Seal).await.map(drop),
        }
    }

    /// Seals by the key of the moment.
    ///
    /// # Errors
    /// Why there is no key.
    pub(super) async fn seal(&self, purpose: Purpose, plain: &[u8]) -> Result<String, String> {
        let ring = self.ring(Need::Seal).await?;
        ring.seal(purpose, plain).ok_or_else(|| "the system has no randomness to give".to_owned())
    }

    /// What was sealed; `None` if it was not sealed by us for this. A key that is not known may be new, so the keys are
    /// read again.
    ///
    /// # Errors
    /// Why there is no key.
    pub(super) async fn open(&self, purpose: Purpose, text: &str) -> Result<Option<Vec<u8>>, String> {
        let open = |ring: &KeyRing| ring.open(purpose, text);
        let opened = self.ring.load().as_deref().map(open);
        let opened = match opened {
            None | Some(Err(OpenError::UnknownKey)) => {
                let problem = self.refresh(Need::Open).await;
                let opened = self.ring.load().as_deref().map(open);
                match (opened, problem) {
                    (None, Some(problem)) => return Err(problem),
                    // Nobody has made a key yet, so nobody has sealed anything.
                    (None, None) => return Ok(None),
                    (Some(opened), _) => opened,
                }
            }
            Some(opened) => opened,
        };
        Ok(opened.ok())
    }

    /// Reads the keys again and again, for ever.
    pub(super) async fn watch(&self) {
        loop {
            self.refresh(Need::Open).await;
            tokio::time::sleep(if self.ring.load().is_some() { POLL } else { PAUSE }).await;
        }
    }

    async fn ring(&self, need: Need) -> Result<Arc<KeyRing>, String> {
        if let Some(ring) = self.ring.load_full() {
            return Ok(ring);
        }
        let problem = self.refresh(need).await;
        let unknown = || problem.unwrap_or_else(|| "there is no key for sessions yet".to_owned());
        self.ring.load_full().ok_or_else(unknown)
    }

    /// Reads the keys, unless somebody has just done so; says what was wrong. What was read before stays in force.
    async fn refresh(&self, need: Need) -> Option<String> {
        let mut last = self.last.lock().await;
        let enough = need == Need::Open || last.problem.is_some() || self.ring.load().is_some();
        if enough && last.at.is_some_and(|at| at.elapsed() < PAUSE) {
            return last.problem.clone();
        }
        let read = match &self.source {
            Source::File(path) => from_file(path).await.map(Some),
            Source::Directory(dir) => from_directory(dir).await.map(Some),
            Source::Hub { secrets, place } => from_hub(secrets, place, need).await,
        };
        let problem = match read {
            Ok(None) => None,
            Ok(Some(ring)) => {
                if self.ring.load().as_deref().is_none_or(|before| !before.same(&ring)) {
                    tracing::info!(keys = ring.len(), "the keys of sessions are loaded");
                    self.ring.store(Some(Arc::new(ring)));
                }
                None
            }
            Err(problem) => {
                if last.problem.as_ref() != Some(&problem) {
                    tracing::warn!(
                        "the keys of sessions: {problem}; keys that were read before stay in force"
                    );
                }
                Some(problem)
            }
        };
        *last = Last { at: Some(Instant::now()), problem: problem.clone() };
        problem
    }
}

async fn from_file(path: &Path) -> Result<KeyRing, String> {
    let wrong =
        |problem: &dyn std::fmt::Display| format!("--session-key-file: {}: {problem}", path.display());
    let mut text = String::new();
    let file = tokio::fs::File::open(path).await.map_err(|error| wrong(&error))?;
    file.take(MAX_FILE).read_to_string(&mut text).await.map_err(|error| wrong(&error))?;
    KeyRing::parse(&text).map_err(|problem| wrong(&problem))
}

async fn from_directory(dir: &DataDir) -> Result<KeyRing, String> {
    let at = dir.path().join(SESSION_KEY);
    let dir = dir.clone();
    let read = tokio::task::spawn_blocking(move || dir.secret(SESSION_KEY, KeyRing::generate)).await;
    let text = read.map_err(|error| error.to_string())?.map_err(|error| error.to_string())?;
    let text = text.ok_or("the system has no randomness to give")?;
    KeyRing::parse(&text).map_err(|problem| {
        format!(
            "{}: {problem}; without the file a new key is made, and everybody signs in again",
            at.display()
        )
    })
}

/// Reads the Secret; makes it if it is needed. Of several replicas that make it at once, one does.
async fn from_hub(secrets: &Api<Secret>, place: &str, need: Need) -> Result<Option<KeyRing>, String> {
    let failed = |error: CallError| match error {
        CallError::Forbidden(words) => format!(
            "{words}. Grant get of Secret {place}, and create of Secrets in its namespace; or use --session-key-file"
        ),
        other => format!("Secret {place}: {other}"),
    };
    let read = async || call(secrets.get_opt(SESSION_KEY)).await.map_err(failed);
    let secret = match read().await? {
        Some(secret) => secret,
        None if need == Need::Open => return Ok(None),
        None => match call(secrets.create(&PostParams::default(), &fresh()?)).await {
            Ok(secret) => {
                tracing::info!(secret = place, "a new key of sessions is made");
                secret
            }
            Err(CallError::Conflict(_)) => {
                read().await?.ok_or_else(|| format!("Secret {place} is gone again"))?
            }
            Err(error) => return Err(failed(error)),
        },
    };
    let unusable = |problem: &str| {
        format!(
            "Secret {place}: {problem}; without the Secret a new key is made, and everybody signs in again"
        )
    };
    let text = secret.data.as_ref().and_then(|data| data.get(FIELD));
    let text = text.and_then(|bytes| std::str::from_utf8(&bytes.0).ok());
    let ring = KeyRing::parse(text.unwrap_or_default());
    ring.map(Some).map_err(|problem| unusable(&format!("{FIELD} {problem}")))
}

fn fresh() -> Result<Secret, String> {
    let key = KeyRing::generate().ok_or("the system has no randomness to give")?;
    let label = |key: &str| (format!("app.kubernetes.io/{key}"), "cluster-gateway".to_owned());
    Ok(Secret {
        metadata: ObjectMeta {
            name: Some(SESSION_KEY.to_owned()),
            labels: Some([label("name"), label("managed-by")].into()),
            ..ObjectMeta::default()
        },
        data: Some(BTreeMap::from([(FIELD.to_owned(), ByteString(key.into_bytes()))])),
        type_: Some("Opaque".to_owned()),
        ..Secret::default()
    })
}

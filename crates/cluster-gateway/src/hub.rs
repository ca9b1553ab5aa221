//! The hub's API server: the only module that talks to it.
//!
//! Making a [`Hub`] reads files and environment but sends nothing, so that a process can start and serve its health
//! while the hub is away.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures_util::{Stream, StreamExt};
use http::{HeaderValue, header};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::Api;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Client, Config};
use rustls::pki_types::CertificateDer;

use crate::pki;

mod call;
mod event;
mod lease;
mod operator;
mod review;
mod secret;

pub use call::{CallError, call};
pub use event::{Events, Warning};
pub use lease::{Leadership, Lease, Standing};
pub use operator::{Operator, OperatorConfig};
pub use review::ReviewError;
use review::Reviewer;
pub use secret::{Annotate, SecretMetadata, TokenChange, WriteError};

/// How the hub is reached.
#[derive(Debug, Clone, Default)]
pub struct HubConfig {
    /// `--kubeconfig`; without it the pod's service account is used.
    pub kubeconfig: Option<PathBuf>,
    /// `--authentication-kubeconfig`, for TokenReviews and the authentication ConfigMap; without it as above.
    pub authentication_kubeconfig: Option<PathBuf>,
    /// `--authorization-kubeconfig`, for SubjectAccessReviews; without it as above.
    pub authorization_kubeconfig: Option<PathBuf>,
    /// `User-Agent` of all requests to the hub; empty: `cluster-gateway/VERSION`.
    pub user_agent: String,
}

/// Why no client can be made. Nothing has been sent.
#[derive(Debug, thiserror::Error)]
pub enum HubError {
    /// Neither a kubeconfig was named nor does the process run in a cluster.
    #[error("no --kubeconfig is given and this is no pod of a cluster: {0}")]
    NotInCluster(String),
    /// A kubeconfig cannot be used.
    #[error("kubeconfig {path}: {cause}")]
    Kubeconfig {
        /// The file.
        path: String,
        /// What is wrong with it.
        cause: String,
    },
    /// The user agent is not a header value.
    #[error("the user agent holds characters that a header cannot carry")]
    UserAgent,
    /// The configuration makes no client.
    #[error("the configuration for the hub makes no client: {0}")]
    Client(String),
}

/// Why an object of the hub could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// The hub does not answer, or cannot right now: trying again makes sense.
    #[error("the hub cannot be asked: {0}")]
    Unreachable(String),
    /// The hub refuses: somebody must grant a right or mend a configuration.
    #[error("the hub refuses: {0}")]
    Refused(String),
}

/// The hub. Cheap to clone.
#[derive(Clone)]
pub struct Hub {
    client: Client,
    authentication: Client,
    token_reviews: Reviewer,
    access_reviews: Reviewer,
    namespace: String,
    url: String,
    ca: Option<Arc<str>>,
    in_cluster: bool,
}

impl Hub {
    /// Makes the clients. The hub need not be there.
    ///
    /// # Errors
    /// [`HubError`]: a configuration is missing or unusable.
    pub async fn connect(config: &HubConfig) -> Result<Self, HubError> {
        let main = load(config.kubeconfig.as_deref(), &config.user_agent).await?;
        let for_reviews = async |path: Option<&Path>| {
            let mut loaded = match path {
                Some(path) => load(Some(path), &config.user_agent).await?,
                None => main.clone(),
            };
            // Reviews have their own rule for trying again (rule 77).
            loaded.default_retry = false;
            client(loaded).await
        };
        let authentication = for_reviews(config.authentication_kubeconfig.as_deref()).await?;
        let authorization = for_reviews(config.authorization_kubeconfig.as_deref()).await?;
        Ok(Self {
            token_reviews: Reviewer::new(authentication.clone()),
            access_reviews: Reviewer::new(authorization),
            authentication,
            namespace: main.default_namespace.clone(),
            url: main.cluster_url.to_string(),
            ca: bundle(&main),
            in_cluster: config.kubeconfig.is_none(),
            client: client(main).await?,
        })
    }

    /// The client for everything but reviews and the authentication ConfigMap. It speaks HTTP/1.1 on pooled connections
    /// and tries again by itself on 429, 503 and 504.
    #[must_use]
    pub fn client(&self) -> Client {
        self.client.clone()
    }

    /// Namespace of the pod, or that of the kubeconfig's current context.
    #[must_use]
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// URL of the hub's API server, for messages.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The bundle that the hub's API server is verified with, PEM; `None`: the roots of the system.
    #[must_use]
    pub fn ca_pem(&self) -> Option<&str> {
        self.ca.as_deref()
    }

    /// Whether the hub is the cluster that this process runs in.
    #[must_use]
    pub fn in_cluster(&self) -> bool {
        self.in_cluster
    }

    /// Reads one ConfigMap with the client for authentication. `None`: there is none.
    ///
    /// # Errors
    /// [`ReadError`]; also after 10 s without an answer.
    pub async fn config_map(&self, namespace: &str, name: &str) -> Result<Option<ConfigMap>, ReadError> {
        let api = Api::<ConfigMap>::namespaced(self.authentication.clone(), namespace);
        match tokio::time::timeout(review::TRY_LIMIT, api.get_opt(name)).await {
            Ok(Ok(config_map)) => Ok(config_map),
            Ok(Err(error)) => Err(ReadError::from(error)),
            Err(_) => Err(ReadError::Unreachable("no answer within 10 s".to_owned())),
        }
    }

    /// Watches one ConfigMap with the client for authentication, for ever: failures are items of the stream, and it
    /// starts again with growing pauses.
    pub fn watch_config_map(
        &self,
        namespace: &str,
        name: &str,
    ) -> impl Stream<Item = Result<watcher::Event<ConfigMap>, watcher::Error>> + Send + use<> {
        let api = Api::<ConfigMap>::namespaced(self.authentication.clone(), namespace);
        let only = watcher_config().fields(&format!("metadata.name={name}"));
        watcher(api, only).default_backoff().boxed()
    }
}

/// What every watch of the hub asks for: lists in pages of 500.
#[must_use]
pub fn watcher_config() -> watcher::Config {
    watcher::Config::default().page_size(500)
}

impl From<kube::Error> for ReadError {
    fn from(error: kube::Error) -> Self {
        match error {
            kube::Error::Api(status) if status.code < 500 && status.code != 429 => {
                Self::Refused(status.message.clone())
            }
            kube::Error::Api(status) => Self::Unreachable(status.message.clone()),
            other => Self::Unreachable(chain(&other)),
        }
    }
}

impl fmt::Debug for Hub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hub").field("namespace", &self.namespace).finish_non_exhaustive()
    }
}

/// Longest silence of the hub while something is read from it. A watch is ended by the hub after 290 s; a hub that has
/// vanished without a word would freeze the clusters for ever.
const READ_TIMEOUT: Duration = Duration::from_secs(320);

async fn load(path: Option<&Path>, user_agent: &str) -> Result<Config, HubError> {
    let mut config = match path {
        None => Config::incluster().map_err(|error| HubError::NotInCluster(chain(&error)))?,
        Some(path) => from_file(path).await?,
    };
    let default = concat!("cluster-gateway/", env!("CARGO_PKG_VERSION"));
    let user_agent = if user_agent.is_empty() { default } else { user_agent };
    let user_agent = HeaderValue::from_str(user_agent).map_err(|_| HubError::UserAgent)?;
    config.headers.push((header::USER_AGENT, user_agent));
    config.read_timeout = Some(READ_TIMEOUT);
    Ok(config)
}

async fn from_file(path: &Path) -> Result<Config, HubError> {
    let unusable = |cause: String| HubError::Kubeconfig { path: path.display().to_string(), cause };
    let kubeconfig = Kubeconfig::read_from(path).map_err(|error| unusable(chain(&error)))?;
    Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default())
        .await
        .map_err(|error| unusable(chain(&error)))
}

/// The CAs of the configuration, PEM.
fn bundle(config: &Config) -> Option<Arc<str>> {
    let given = config.root_cert.as_ref().map(|roots| {
        roots.iter().map(|der| pki::to_pem(&CertificateDer::from_slice(der))).collect::<String>()
    });
    let read = || std::fs::read_to_string(config.root_cert_file.as_ref()?).ok();
    given.or_else(read).map(Into::into)
}

/// Makes a client where it may block: a kubeconfig can name a program to run for its credential.
async fn client(config: Config) -> Result<Client, HubError> {
    tokio::task::spawn_blocking(move || Client::try_from(config))
        .await
        .map_err(|error| HubError::Client(error.to_string()))?
        .map_err(|error| HubError::Client(chain(&error)))
}

/// An error with its causes, as one line. Libraries that repeat a cause in their own text say it once.
pub(crate) fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let words = cause.to_string();
        if !text.contains(&words) {
            text = format!("{text}: {words}");
        }
        next = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn connecting_needs_no_hub_and_says_which_file_is_wrong() {
        let dir = tempfile::tempdir().unwrap();
        let good = dir.path().join("good");
        let text = r#"{"clusters":[{"name":"c","cluster":{"server":"http://127.0.0.1:1"}}],"contexts":[{"name":"x",
            "context":{"cluster":"c","user":"u","namespace":"here"}}],"current-context":"x","users":[{"name":"u"}]}"#;
        std::fs::write(&good, text).unwrap();
        let config = HubConfig { kubeconfig: Some(good.clone()), ..HubConfig::default() };
        let hub = Hub::connect(&config).await.unwrap();
        assert_eq!((hub.namespace(), hub.in_cluster()), ("here", false));
        assert!(matches!(hub.config_map("a", "b").await, Err(ReadError::Unreachable(_))));

        let read_timeout = load(Some(&good), "").await.unwrap().read_timeout.unwrap();
        assert!(
            read_timeout > Duration::from_secs(290),
            "a watch may be silent for as long as the hub lets it live"
        );
        assert!(read_timeout < Duration::from_secs(600), "a hub that has vanished is noticed");

        let bad = dir.path().join("bad");
        let config = HubConfig { authorization_kubeconfig: Some(bad.clone()), ..config };
        let error = Hub::connect(&config).await.unwrap_err().to_string();
        assert!(error.contains(&bad.display().to_string()), "{error}");
    }
}

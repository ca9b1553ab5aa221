//! The gateway's own documents and resources: everything that is answered here and not by a member.
//!
//! Documents (discovery, OpenAPI) are made once at start; serving one clones a reference. Only `clustergateways` and
//! `virtualclusters` look at the registered clusters, so discovery answers whatever state those are in (contract rule
//! 40). No answer of this module holds key material (rule 210).

use std::sync::Arc;
use std::time::Duration;

use cluster_gateway_client::GROUP;
use futures_util::FutureExt as _;
use http::request::Parts;
use http::{Method, Response};
use time::OffsetDateTime;

use crate::authz::Permit;
use crate::body::Body;
use crate::registry::Snapshot;
use crate::request::{DocumentTarget, ResourceTarget};
use crate::status::Error;

mod cluster_gateways;
pub(crate) mod compress;
mod described;
mod diagnosis;
mod discovery;
mod encode;
mod health;
mod health_record;
pub(crate) mod human;
mod index;
mod items;
mod metrics;
mod negotiate;
mod object;
mod openapi;
mod options;
mod pages;
mod route;
mod selector;
mod table;
mod uid;
mod version;
mod virtual_clusters;
mod watch;
mod yaml;

#[cfg(test)]
mod tests;

use cluster_gateways::ClusterGateways;
use diagnosis::Diagnoses;
use route::Route;
use virtual_clusters::VirtualClusters;

pub use described::{described, shown_address};
pub use health::Condition;
pub use health_record::HealthRecords;
pub use negotiate::wants_pretty;
pub(crate) use selector::LabelSelector;
pub use version::VersionInfo;

/// How long a request waits for a version that is not here yet, as kube-apiserver's do.
const FRESH: Duration = Duration::from_secs(3);

/// Gives the current clusters.
pub type Clusters = Arc<dyn Fn() -> Arc<Snapshot> + Send + Sync>;
/// Tells the time.
type Clock = fn() -> OffsetDateTime;
/// Gives the current metrics in OpenMetrics text.
pub type Metrics = Arc<dyn Fn() -> String + Send + Sync>;

/// What the API is made of.
pub struct ApiConfig {
    /// What `/version` says.
    pub version: VersionInfo,
    /// Port that classic discovery names as the server's address (rule 19).
    pub secure_port: u16,
    /// Feature gate `HealthinessCheck`: whether recorded health is shown (rule 211).
    pub healthiness_check: bool,
    /// Whether the hub itself is listed among the virtual clusters (rule 214).
    pub list_control_plane: bool,
    /// Whether the clusters have been read from the hub. Until then `/readyz` fails (rule 16) and no cluster is said
    /// to exist or not to exist.
    pub synced: Condition,
    /// Whether the process has been asked to stop (rule 17).
    pub stopping: Condition,
    /// The registered clusters.
    pub clusters: Clusters,
    /// The body of `/metrics` (rule 6).
    pub metrics: Metrics,
    /// Whether callers' identities are passed on to members, so that a diagnosis looks for the right to impersonate.
    pub impersonates: bool,
    /// Where health is recorded (rule 232); `None`: there is no hub, and writes are refused.
    pub health: Option<Arc<dyn HealthRecords>>,
}

/// Answers every request that is not for a member.
pub struct Api {
    version: encode::Rendered,
    discovery: discovery::Discovery,
    openapi: openapi::OpenApi,
    checks: health::Checks,
    index: bytes::Bytes,
    healthiness_check: bool,
    list_control_plane: bool,
    synced: Condition,
    clusters: Clusters,
    clock: Clock,
    metrics: Metrics,
    health: Option<Arc<dyn HealthRecords>>,
    diagnoses: Diagnoses,
}

impl Api {
    /// Makes all documents.
    #[must_use]
    pub fn new(config: ApiConfig) -> Self {
        let checks = health::Checks::new(Arc::clone(&config.synced), config.stopping);
        Self {
            version: encode::Rendered::of(&config.version),
            discovery: discovery::Discovery::new(config.secure_port),
            openapi: openapi::OpenApi::new(),
            index: index::render(&checks),
            checks,
            healthiness_check: config.healthiness_check,
            list_control_plane: config.list_control_plane,
            synced: config.synced,
            clusters: config.clusters,
            clock: OffsetDateTime::now_utc,
            metrics: config.metrics,
            health: config.health,
            diagnoses: Diagnoses::new(config.impersonates),
        }
    }

    /// Answers a request for a resource.
    ///
    /// # Errors
    /// What rules 197-234 say of it; [`Error::NotSynced`] before the clusters have been read.
    pub async fn serve(
        &self,
        permit: &Permit<ResourceTarget>,
        parts: &Parts,
        body: Body,
    ) -> Result<Response<Body>, Error> {
        let response = self.answer(permit.target(), parts, body).await?;
        Ok(compress::large(&parts.headers, response).await)
    }

    async fn answer(
        &self,
        target: &ResourceTarget,
        parts: &Parts,
        body: Body,
    ) -> Result<Response<Body>, Error> {
        let writes = matches!(parts.method, Method::PUT | Method::PATCH);
        if writes && target.is_ours() && matches!(Route::of(target), Some(Route::Health)) {
            return health_record::write(self, &target.name, parts, body).await;
        }
        // Nothing else has a body worth reading.
        drop(body);
        self.resource(target, parts).await
    }

    /// Answers a request for anything that is no resource.
    ///
    /// # Errors
    /// [`Error::UnknownPath`], [`Error::MethodNotAllowed`], [`Error::NotAcceptable`].
    pub async fn document(
        &self,
        permit: &Permit<DocumentTarget>,
        parts: &Parts,
    ) -> Result<Response<Body>, Error> {
        let response = self.path(&permit.target().path, parts)?;
        Ok(compress::large(&parts.headers, response).await)
    }

    fn path(&self, path: &str, parts: &Parts) -> Result<Response<Body>, Error> {
        match path {
            "/" | "/index.html" => Ok(index::found(&self.index)),
            "/version" | "/version/" => {
                only_get(&parts.method)?;
                self.version.negotiated(parts)
            }
            "/metrics" => Ok(metrics::all(&(self.metrics)(), parts)),
            "/metrics/slis" => Ok(metrics::slis(&self.checks)),
            _ => self
                .checks
                .answer(path, parts.uri.query().unwrap_or_default())
                .or_else(|| self.openapi.answer(path, parts))
                .or_else(|| self.discovery.answer(path, parts))
                .unwrap_or_else(|| self.unknown(path)),
        }
    }

    /// Below the own group the router knows what exists; everywhere else the paths that do are listed (rule 2).
    fn unknown(&self, path: &str) -> Result<Response<Body>, Error> {
        let below_group = path.strip_prefix("/apis/").and_then(|rest| rest.strip_prefix(GROUP));
        match below_group {
            Some(rest) if rest.starts_with('/') => Err(Error::UnknownPath),
            _ => Ok(index::not_found(&self.index)),
        }
    }

    async fn resource(&self, target: &ResourceTarget, parts: &Parts) -> Result<Response<Body>, Error> {
        if !target.is_ours() {
            return if target.group == GROUP {
                Err(Error::UnknownPath)
            } else {
                Ok(index::not_found(&self.index))
            };
        }
        let route = Route::of(target).ok_or(Error::UnknownPath)?;
        only_get(&parts.method)?;
        match route {
            Route::ClusterGateways => object::list(self, self.cluster_gateways(), target, parts).await,
            Route::ClusterGateway | Route::Health => {
                object::get(self, self.cluster_gateways(), &target.name, parts).await
            }
            Route::Diagnosis => diagnosis::get(self, &target.name, parts).await,
            Route::VirtualClusters => object::list(self, self.virtual_clusters(), target, parts).await,
            Route::VirtualCluster => object::get(self, self.virtual_clusters(), &target.name, parts).await,
        }
    }

    fn cluster_gateways(&self) -> ClusterGateways {
        ClusterGateways { healthiness_check: self.healthiness_check }
    }

    fn virtual_clusters(&self) -> VirtualClusters {
        VirtualClusters { list_control_plane: self.list_control_plane }
    }

    fn now(&self) -> OffsetDateTime {
        (self.clock)()
    }

    /// The clusters, at least of this version; 0: as they are. Another replica may be ahead by a moment.
    async fn fresh(&self, version: u64) -> Result<Arc<Snapshot>, Error> {
        let arrived = async {
            loop {
                let snapshot = self.snapshot()?;
                if snapshot.version() >= version {
                    return Ok(snapshot);
                }
                if !snapshot.may_come(version) {
                    return Err(Error::FutureVersion { asked: version, current: snapshot.version() });
                }
                let superseded = snapshot.superseded();
                drop(snapshot);
                superseded.cancelled().await;
            }
        };
        // Nearly always it is here, and nothing has to be waited for.
        let mut arrived = std::pin::pin!(arrived);
        if let Some(here) = (&mut arrived).now_or_never() {
            return here;
        }
        tokio::time::timeout(FRESH, arrived).await.unwrap_or_else(|_| {
            Err(Error::FutureVersion { asked: version, current: self.snapshot()?.version() })
        })
    }

    /// The clusters, once they are known: an empty answer before that would read as "they are gone".
    fn snapshot(&self) -> Result<Arc<Snapshot>, Error> {
        if (self.synced)() { Ok((self.clusters)()) } else { Err(Error::NotSynced) }
    }
}

impl std::fmt::Debug for Api {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Api").field("healthiness_check", &self.healthiness_check).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for ApiConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ApiConfig")
            .field("version", &self.version)
            .field("secure_port", &self.secure_port)
            .field("healthiness_check", &self.healthiness_check)
            .finish_non_exhaustive()
    }
}

/// Rule 219. A HEAD is a GET whose body is not sent.
fn only_get(method: &Method) -> Result<(), Error> {
    if matches!(*method, Method::GET | Method::HEAD) { Ok(()) } else { Err(Error::MethodNotAllowed) }
}

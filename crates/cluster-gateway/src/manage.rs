//! What people manage clusters with, besides the command line: a REST API, the records behind it, and a console.
//!
//! It stands on the library functions behind the commands: no second copy of them. Members are asked through the gateway of
//! this process, as the caller; the hub is asked as the caller, too. No proxied request ever waits for it.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use axum::Router;
use axum::response::IntoResponse;
use futures_util::FutureExt;
use http::request::Parts;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use tokio_util::sync::CancellationToken;
use tower_service::Service;

pub mod login;
pub mod store;

mod busy;
mod caller;
mod cluster_name;
mod events;
mod fleet;
mod input;
mod join;
mod openapi;
mod pages;
mod place;
mod records;
mod refusal;
mod rights;
mod routes;
mod velaux;

pub use busy::{Busy, Held};
pub use caller::{Caller, Means};
pub use cluster_name::ClusterName;
pub use fleet::{Fleet, Route, SelfAddress, is_reachable, needs_force};
pub use input::{Json, MAX_BODY};
pub use place::Place;
pub use records::{Records, View};
pub use refusal::{Code, Refusal};
pub use rights::{Permissions, Right};
pub use velaux::Resources;

use crate::authn::Connection;
use crate::body::Body;
use crate::gateway::Gateway;
use crate::record::Recording;
use crate::registry::ClusterPolicy;
use crate::request::{DocumentTarget, RequestInfo};
use crate::server::Handler;

/// What is the same for all replicas and all callers, as plain values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManageSettings {
    /// What people call this hub. Default: the host of its API server; in standalone that of the machine.
    pub name: String,
    /// Whether the listener speaks TLS; cookies are marked by it.
    pub tls: bool,
}

/// Everything that a request for management meets.
#[derive(Debug)]
pub struct Manage {
    /// The gateway of this process: who asks, may they, which clusters there are, and the way to them.
    pub gateway: Arc<Gateway>,
    /// Where clusters are kept.
    pub place: Place,
    /// What is recorded of clusters besides.
    pub records: Records,
    /// Clusters that are being changed right now.
    pub busy: Busy,
    /// What is kept of the fleet while people look at it.
    pub fleet: Fleet,
    /// Where users reach this very process as a gateway; `None`: there is a hub, or management is all that is served.
    pub own: Option<SelfAddress>,
    /// What members have, as was seen lately.
    pub resources: Resources,
    /// How clusters may be reached from here, before they are joined.
    pub policy: ClusterPolicy,
    /// Who asks, and how people sign in.
    pub login: login::Login,
    /// Plain settings.
    pub settings: ManageSettings,
    /// Cancelled when the process stops: endless answers end.
    pub stopping: CancellationToken,
}

/// The listener's answerer.
#[derive(Debug)]
pub struct Management {
    manage: Arc<Manage>,
    router: Router,
}

impl Management {
    /// Puts the routes together.
    #[must_use]
    pub fn new(manage: Arc<Manage>) -> Self {
        let router = routes::router(&manage);
        Self { manage, router }
    }

    async fn route(&self, connection: Arc<Connection>, request: Request<Body>) -> Response<Body> {
        let path = request.uri().path();
        if is_operators(path) {
            return self.manage.gateway.answer(&connection, request).await;
        }
        if path.starts_with("/api/") {
            self.api(connection, request).await
        } else {
            self.routed(request).await
        }
    }

    /// A request for the API: recorded, and only for who has said who they are.
    async fn api(&self, connection: Arc<Connection>, request: Request<Body>) -> Response<Body> {
        let (mut parts, body) = request.into_parts();
        let recording = Recording::start(&self.manage.gateway.recorder, &parts);
        recording.received(&connection, &document(&parts), &parts);
        let response = match caller::admit(&self.manage, &connection, &mut parts, &recording).await {
            Ok(()) => {
                let line = Line::of(&parts);
                parts.extensions.insert(connection);
                parts.extensions.insert(recording.clone());
                let response = self.routed(Request::from_parts(parts, body)).await;
                line.log(response.status());
                response
            }
            Err(refusal) => refusal.map(Body::boxed_any),
        };
        recording.finish(response)
    }

    async fn routed(&self, request: Request<Body>) -> Response<Body> {
        let Ok(response) = self.router.clone().call(request.map(axum::body::Body::new)).await;
        response.map(Body::boxed_any)
    }
}

/// What the audit takes a request of the API for: a path that is no resource's.
fn document(parts: &Parts) -> RequestInfo {
    let path = percent_encoding::percent_decode_str(parts.uri.path()).decode_utf8_lossy().into_owned();
    RequestInfo::Document(DocumentTarget { verb: parts.method.as_str().to_ascii_lowercase(), path })
}

/// What the log tells of a request that changes something.
struct Line(Option<(Method, String, String)>);

impl Line {
    fn of(parts: &Parts) -> Self {
        let caller = parts.extensions.get::<Caller>().filter(|_| !parts.method.is_safe());
        Self(
            caller
                .map(|caller| (parts.method.clone(), parts.uri.path().to_owned(), caller.user.name.clone())),
        )
    }

    fn log(&self, code: StatusCode) {
        if let Self(Some((method, path, user))) = self {
            tracing::info!(user, %method, path, code = code.as_u16(), "management request");
        }
    }
}

impl Handler for Management {
    async fn handle(self: Arc<Self>, connection: Arc<Connection>, request: Request<Body>) -> Response<Body> {
        let under_api = request.uri().path().starts_with("/api/");
        let answer = AssertUnwindSafe(self.route(connection, request)).catch_unwind().await;
        let mut response = answer.unwrap_or_else(|_| {
            tracing::error!("a request for management made its handler panic; please report the lines above");
            let body =
                Refusal::new(Code::Internal, "this request made the server stumble; its log says more");
            body.into_response().map(Body::boxed_any)
        });
        if under_api {
            let headers = response.headers_mut();
            headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
            headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        }
        response
    }
}

/// What whoever looks after the process asks: answered as on the gateway's own listener.
fn is_operators(path: &str) -> bool {
    ["/healthz", "/readyz", "/livez"]
        .iter()
        .any(|root| path.strip_prefix(root).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')))
        || path == "/metrics"
}

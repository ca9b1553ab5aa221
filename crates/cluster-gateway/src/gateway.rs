//! The path of a request, top to bottom: who asks, may they, which cluster, as whom, and on.
//!
//! No parsing, no caching and no I/O of its own; only the order of steps.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::FutureExt;
use http::request::Parts;
use http::{Method, Request, Response, Version};
use tokio_util::task::TaskTracker;

mod finish;

use finish::{uncached, warned, without_body};

use crate::api::{Api, wants_pretty};
use crate::authn::{Authenticator, Connection, UserInfo, Warning};
use crate::authz::{Authorizer, Permit};
use crate::body::Body;
use crate::identity::IdentityPassing;
use crate::limits::{Limits, MAX_HEADERS, Place};
use crate::proxy;
use crate::record::{Recorder, Recording};
use crate::registry::Registry;
use crate::request::{
    DocumentTarget, ProxyTarget, RequestError, RequestInfo, ResourceTarget, Verb, query_value,
};
use crate::status::Error;

/// Everything that a request meets on its way.
#[derive(Debug)]
pub struct Gateway {
    /// Who asks.
    pub authn: Authenticator,
    /// May they.
    pub authz: Authorizer,
    /// Our own resources and documents.
    pub api: Api,
    /// The clusters.
    pub registry: Arc<Registry>,
    /// Whether and by which rules callers' identities are passed on.
    pub identity: IdentityPassing,
    /// How much may be under way at once.
    pub limits: Arc<Limits>,
    /// The mark by which it knows what has passed it.
    pub hop: proxy::Hop,
    /// Where every request is recorded.
    pub recorder: Arc<Recorder>,
    /// Requests that a stop waits for.
    pub short: TaskTracker,
    /// Upgraded streams.
    pub upgraded: TaskTracker,
    /// Set once new requests are refused because the process is stopping.
    pub draining: AtomicBool,
    /// Whether they are told to come back (rule 133).
    pub send_retry_after: bool,
}

impl Gateway {
    /// Answers one request; every failure, a panic too, becomes an answer.
    pub async fn answer(&self, connection: &Connection, request: Request<Body>) -> Response<Body> {
        // What is waited for in here borrows them: whatever each step holds itself makes every request's future larger.
        let (mut parts, mut body) = request.into_parts();
        let recording = Recording::start(&self.recorder, &parts);
        let pretty = wants_pretty(&parts);
        let head_only = parts.method == Method::HEAD;
        if parts.version == Version::HTTP_2 && self.limits.says_goaway() {
            connection.close_when_idle();
        }
        let routed = self.in_time(connection, &mut parts, &mut body, &recording);
        let routed = AssertUnwindSafe(routed).catch_unwind().await;
        let response = routed.unwrap_or(Err(Error::Panic)).unwrap_or_else(|error| {
            recording.failed(&error);
            uncached(error.into_response(pretty))
        });
        recording.finish(if head_only { without_body(response) } else { response })
    }

    /// Rules 122, 123: what is wrong with the request line is said before anything else is looked at.
    async fn in_time(
        &self,
        connection: &Connection,
        parts: &mut Parts,
        body: &mut Body,
        recording: &Recording,
    ) -> Result<Response<Body>, Error> {
        if parts.method == Method::CONNECT {
            // A success would turn the connection into a tunnel that leads nowhere.
            return Err(Error::MethodNotAllowed);
        }
        if parts.headers.len() > MAX_HEADERS {
            return Err(Error::TooManyHeaders { number: parts.headers.len(), most: MAX_HEADERS });
        }
        let uri = parts.uri.clone();
        let uri = uri.path_and_query().map_or("/", |path| path.as_str());
        let info = RequestInfo::parse(parts).map_err(|error| unreadable(&error, uri))?;
        self.refuse_while_draining(connection, &info)?;
        recording.received(connection, &info, parts);
        match deadline(&info, parts, self.limits.request_timeout())? {
            Some(limit) => {
                // What has a deadline is what a stop waits for, from here to the last byte of the answer.
                let awaited = self.short.token();
                // Boxed: a proxied request's future must not have room for it.
                let answer = Box::pin(self.route(connection, info, parts, body, uri, recording));
                let answer = tokio::time::timeout(limit, answer).await.unwrap_or(Err(Error::Timeout));
                answer.map(|response| response.map(|body| body.holding(awaited)))
            }
            None => self.route(connection, info, parts, body, uri, recording).await,
        }
    }

    async fn route(
        &self,
        connection: &Connection,
        info: RequestInfo,
        parts: &mut Parts,
        body: &mut Body,
        uri: &str,
        recording: &Recording,
    ) -> Result<Response<Body>, Error> {
        let user = self.authenticate(connection, &info, parts).await?;
        let warning = parts.extensions.remove::<Warning>();
        if let Some(room) = recording.authenticated(&user) {
            room.await;
        }
        let user = self.authz.impersonate(user, parts, uri).await?;
        recording.user(&user);
        if let RequestInfo::Proxy(target) = &info {
            recording.proxied(&parts.method, target, parts.uri.query());
        }
        let place = self.limits.admit(&info, &user)?;
        let response = match info {
            RequestInfo::Proxy(target) => {
                let permit = self.authz.authorize(user, target, uri).await?;
                recording.allowed(permit.reason());
                self.proxy(&permit, place, parts, body, connection, recording).await?
            }
            // Boxed: a proxied request's future must not be as large as theirs.
            RequestInfo::Resource(target) => {
                let answer = Box::pin(self.resource(user, target, parts, body, uri, recording)).await?;
                uncached(answer).map(|body| body.holding(place))
            }
            RequestInfo::Document(target) => {
                let answer = Box::pin(self.document(user, target, parts, uri, recording)).await?;
                uncached(answer).map(|body| body.holding(place))
            }
        };
        Ok(warned(response, warning))
    }

    /// Who looks after the process from outside has no credential.
    async fn authenticate(
        &self,
        connection: &Connection,
        info: &RequestInfo,
        parts: &mut Parts,
    ) -> Result<Arc<UserInfo>, Error> {
        match info {
            RequestInfo::Document(target) if self.authz.is_open(target) => {
                self.authn.authenticate_on_open_path(connection, parts).await
            }
            _ => self.authn.authenticate(connection, parts).await,
        }
    }

    async fn proxy(
        &self,
        permit: &Permit<ProxyTarget>,
        place: Place,
        parts: &mut Parts,
        body: &mut Body,
        connection: &Connection,
        recording: &Recording,
    ) -> Result<Response<Body>, Error> {
        if !is_forwarded(&parts.method) {
            return Err(Error::MethodNotAllowed);
        }
        let cluster = self.registry.get(&permit.target().path.cluster)?;
        recording.cluster(&cluster.name);
        let upstream = cluster.upstream()?;
        let upgrade = permit.target().upgrade;
        let place = self.limits.admit_to(place, &cluster.name, &cluster.in_flight, permit.user(), upgrade)?;
        let own_rules = &cluster.identity_rules;
        let passing = self.identity.exchange(permit.user(), &cluster.name, own_rules, parts.uri.query());
        let identity = passing.await?;
        let observer = upgrade.then(|| recording.observer());
        let exchange = proxy::Exchange {
            permit,
            upstream,
            identity,
            hop: &self.hop,
            place,
            tasks: &self.upgraded,
            observer,
        };
        proxy::forward(exchange, parts, body, connection.forwarded_for()).await
    }

    async fn resource(
        &self,
        user: Arc<UserInfo>,
        target: ResourceTarget,
        parts: &Parts,
        body: &mut Body,
        uri: &str,
        recording: &Recording,
    ) -> Result<Response<Body>, Error> {
        let permit = self.authz.authorize(user, target, uri).await?;
        recording.allowed(permit.reason());
        self.api.serve(&permit, parts, std::mem::take(body)).await
    }

    async fn document(
        &self,
        user: Arc<UserInfo>,
        target: DocumentTarget,
        parts: &Parts,
        uri: &str,
        recording: &Recording,
    ) -> Result<Response<Body>, Error> {
        let permit = self.authz.authorize(user, target, uri).await?;
        recording.allowed(permit.reason());
        self.api.document(&permit, parts).await
    }

    /// Rule 132: what still comes on kept connections while the process drains.
    fn refuse_while_draining(&self, connection: &Connection, info: &RequestInfo) -> Result<(), Error> {
        let open = |path: &str| {
            ["/readyz", "/livez", "/healthz", "/metrics"].iter().any(|root| path.starts_with(root))
        };
        let answered = matches!(info, RequestInfo::Document(target) if open(&target.path));
        if !self.draining.load(Ordering::Relaxed) || answered {
            return Ok(());
        }
        if !self.send_retry_after {
            return Err(Error::ShuttingDown);
        }
        connection.close_when_idle();
        Err(Error::ComeBack)
    }
}

/// The methods that Kubernetes connects with; the others are unknown to its router.
fn is_forwarded(method: &Method) -> bool {
    [Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE, Method::HEAD, Method::OPTIONS]
        .contains(method)
}

fn unreadable(error: &RequestError, uri: &str) -> Error {
    match error {
        RequestError::Path(error) => Error::BadRequest(error.to_string()),
        RequestError::SpecialVerb(_) => Error::RequestLine {
            uri: uri.to_owned(),
            message: format!("failed to create RequestInfo: {error}"),
        },
    }
}

/// How long a request may take (rule 122). `None`: it is long-running (rule 120).
fn deadline(info: &RequestInfo, parts: &Parts, longest: Duration) -> Result<Option<Duration>, Error> {
    match info {
        RequestInfo::Proxy(_) | RequestInfo::Resource(ResourceTarget { verb: Verb::Watch, .. }) => {
            return Ok(None);
        }
        RequestInfo::Resource(_) | RequestInfo::Document(_) => {}
    }
    let asked = query_value(parts.uri.query().unwrap_or_default(), "timeout");
    let asked = asked.filter(|text| !text.is_empty()).map(|text| {
        crate::request::duration(&text).map_err(|error| {
            Error::BadRequest(format!("invalid timeout specified in the request URL - {error}"))
        })
    });
    Ok(Some(match asked.transpose()? {
        Some(asked) if !asked.is_zero() => asked.min(longest),
        _ => longest,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many bytes the future of a function has.
    fn size<'a, F>(_: fn(&'a Gateway, &'a Connection, Request<Body>) -> F) -> usize {
        size_of::<F>()
    }

    #[test]
    fn a_requests_future_is_small() {
        // Each request makes one, and moves it. It has been 8 KiB.
        assert!(size(Gateway::answer) < 5 << 10, "{} bytes", size(Gateway::answer));
    }
}

//! One authorized request to one member, and its answer back.
//!
//! Demands a [`Permit`] and does what it says: cluster and path come from there and from nowhere else. It buffers
//! nothing, does not understand Kubernetes paths, and never looks inside an upgraded stream.

use http::request::Parts;
use http::{HeaderValue, Method, Request, Response};
use tokio_util::task::TaskTracker;

use crate::authz::Permit;
use crate::body::{Body, Observer};
use crate::identity;
use crate::limits::Place;
use crate::registry::{Upstream, Way};
use crate::request::ProxyTarget;
use crate::status::Error;
use crate::transport::LongRunning;

mod headers;
mod hop;
mod long_running;
mod splice;
mod upgrade;
mod uri;

pub use hop::Hop;

/// What [`forward`] needs besides the request.
pub struct Exchange<'e> {
    /// Proof that the request may be made; says to which cluster and path.
    pub permit: &'e Permit<ProxyTarget>,
    /// The way to that cluster.
    pub upstream: &'e Upstream,
    /// Whose identity the member sees.
    pub identity: identity::Exchange<'e>,
    /// This gateway, as it marks what passes it.
    pub hop: &'e Hop,
    /// Held until the last byte of the answer or of the upgraded stream.
    pub place: Place,
    /// Where upgraded streams live, so that the process can wait for them.
    pub tasks: &'e TaskTracker,
    /// Sees the bytes of an upgraded stream, both directions, and its end. Dropped unused on any other answer.
    pub observer: Option<Box<dyn Observer>>,
}

impl std::fmt::Debug for Exchange<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Exchange").field("permit", &self.permit).finish_non_exhaustive()
    }
}

/// Sends an authorized request to its member and gives back the answer as soon as its head is there.
///
/// Of the request it takes headers and body; the request line is the permit's. `peer` is the address that sent it, as
/// `X-Forwarded-For` names it. Dropping the future, or the body of
/// the answer, cancels the request at the member (rule 176). An answer that breaks off breaks off for the client too
/// (rule 175).
///
/// The member's `Audit-Id` is dropped; the caller sets the gateway's own (rule 115).
///
/// # Errors
/// [`Error::BadRequest`] for a query that cannot be read in one way only; [`Error::Loop`] if the request has been here
/// before; otherwise what the member or the way to it
/// did wrong: [`Error::Dial`], [`Error::Member`], [`Error::MemberTimeout`], [`Error::InvalidUpgradeResponse`],
/// [`Error::TooManyRequests`], [`Error::ClusterUnusable`].
pub async fn forward(
    exchange: Exchange<'_>,
    parts: &mut Parts,
    body: &mut Body,
    peer: &HeaderValue,
) -> Result<Response<Body>, Error> {
    let target = exchange.permit.target();
    let way = exchange
        .upstream
        .way()
        .await
        .map_err(|reason| Error::ClusterUnusable { cluster: target.path.cluster.clone(), reason })?;
    let outbound = Outbound {
        cluster: &target.path.cluster,
        method: &target.method,
        path: &target.path.path,
        query: target.query(),
        base_path: &exchange.upstream.base_path,
        way,
        identity: &exchange.identity,
        hop: exchange.hop,
    };
    if target.upgrade {
        // Boxed: rare, and large; a request's future is moved and kept as a whole.
        let stream =
            upgrade::Stream { tasks: exchange.tasks, observer: exchange.observer, place: exchange.place };
        Box::pin(upgrade::forward(&outbound, parts, body, peer, stream)).await
    } else {
        let answer = outbound.forward(parts, body, peer).await?;
        Ok(answer.map(|body| body.holding(exchange.place)))
    }
}

/// Where a request goes.
#[derive(Debug)]
struct Outbound<'o> {
    /// Name of the cluster, for messages.
    cluster: &'o str,
    method: &'o Method,
    /// Path at the member, escaped, without its base path.
    path: &'o str,
    /// Query, escaped, as the client wrote it.
    query: Option<&'o str>,
    base_path: &'o str,
    way: Way<'o>,
    identity: &'o identity::Exchange<'o>,
    hop: &'o Hop,
}

impl Outbound<'_> {
    async fn forward(
        &self,
        parts: &mut Parts,
        body: &mut Body,
        peer: &HeaderValue,
    ) -> Result<Response<Body>, Error> {
        let mut request = self.request(parts, body, peer)?;
        if long_running::is_long_running(self.path, self.query) {
            request.extensions_mut().insert(LongRunning);
        }
        let response =
            self.way.transport.send(request).await.map_err(|error| error.into_status(self.cluster))?;
        self.way.answered(response.status());
        if response.status().is_informational() {
            // Nobody asked to leave HTTP.
            return Err(Error::InvalidUpgradeResponse(response.status()));
        }
        Ok(answer(response))
    }

    /// The request as the member gets it. The credential comes last, so nothing that the client names can take it away
    /// (rule 157).
    fn request(
        &self,
        parts: &mut Parts,
        body: &mut Body,
        peer: &HeaderValue,
    ) -> Result<Request<Body>, Error> {
        let mut request =
            Request::new(std::mem::take(body).filtering_trailers(headers::strip_request_trailers));
        *request.uri_mut() = uri::upstream(self.base_path, self.path, self.query)?;
        *request.method_mut() = self.method.clone();
        let mut headers = std::mem::take(&mut parts.headers);
        headers::strip_request(&mut headers);
        headers::append_forwarded_for(&mut headers, peer);
        self.hop.mark(&mut headers, self.cluster)?;
        self.identity.apply(&mut headers)?;
        self.way.attach(&mut headers);
        *request.headers_mut() = headers;
        Ok(request)
    }
}

/// The answer as the client gets it (rules 115, 159, 170).
fn answer(response: Response<Body>) -> Response<Body> {
    let (mut parts, body) = response.into_parts();
    headers::strip_response(&mut parts.headers);
    headers::default_cache_control(&mut parts.headers);
    parts.version = http::Version::default();
    Response::from_parts(parts, body.filtering_trailers(headers::strip_response_trailers))
}

#[cfg(test)]
mod tests;

//! Requests that leave HTTP: exec, attach, port-forward, WebSockets (contract rules 182-193).

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use http::header::{self, HeaderValue};
use http::request::Parts;
use http::{HeaderMap, Response, StatusCode};
use http_body::{Frame, SizeHint};
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;
use tokio::time::{Instant, Sleep, sleep_until};
use tokio_util::task::TaskTracker;

use super::{Outbound, splice};
use crate::body::{Body, BodyError, Observer};
use crate::limits::Place;
use crate::status::Error;
use crate::transport::TransportError;

/// How long a member may take to say why it refuses an upgrade (rule 186).
const REFUSAL_LIMIT: Duration = Duration::from_secs(10);

/// What an upgraded stream needs and holds.
pub(super) struct Stream<'s> {
    pub(super) tasks: &'s TaskTracker,
    pub(super) observer: Option<Box<dyn Observer>>,
    pub(super) place: Place,
}

pub(super) async fn forward(
    outbound: &Outbound<'_>,
    parts: &mut Parts,
    body: &mut Body,
    peer: &HeaderValue,
    stream: Stream<'_>,
) -> Result<Response<Body>, Error> {
    let protocol = protocol(&parts.headers)?;
    let client = parts
        .extensions
        .remove::<OnUpgrade>()
        .ok_or_else(|| Error::Internal("the connection of an upgrade request cannot leave HTTP".into()))?;
    let mut request = outbound.request(parts, body, peer)?;
    request.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    request.headers_mut().insert(header::UPGRADE, protocol);
    let response = outbound
        .way
        .transport
        .upgrade(request)
        .await
        .map_err(|error| dial_error(error).into_status(outbound.cluster))?;
    outbound.way.answered(response.status());
    match response.status() {
        StatusCode::SWITCHING_PROTOCOLS => Ok(switch(response, client, stream)),
        status if status.as_u16() >= 400 => Ok(refusal(response).map(|body| body.holding(stream.place))),
        status => Err(Error::InvalidUpgradeResponse(status)),
    }
}

/// The one protocol to ask the member for (rule 158). Other versions of HTTP, and TLS, are refused: what comes after
/// the switch would be requests that nobody has authorized, on a connection that carries our certificate.
fn protocol(headers: &HeaderMap) -> Result<HeaderValue, Error> {
    let token = headers
        .get(header::UPGRADE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(',').map(str::trim).find(|token| !token.is_empty()))
        .ok_or_else(|| Error::BadRequest("the Upgrade header names no protocol".into()))?;
    let name = token.split_once('/').map_or(token, |(name, _)| name);
    if ["h2", "h2c", "h3", "http", "tls"].iter().any(|refused| name.eq_ignore_ascii_case(refused)) {
        return Err(Error::BadRequest(format!("upgrades to {name} are not forwarded")));
    }
    HeaderValue::from_str(token).map_err(|_| Error::BadRequest("the Upgrade header is malformed".into()))
}

/// Go's words for a dial that fails on this path (rule 177).
fn dial_error(error: TransportError) -> TransportError {
    match error {
        TransportError::Dial(text) => TransportError::Dial(format!("error dialing backend: {text}")),
        other => other,
    }
}

/// Relays the member's 101 as it is, and then every byte (rule 185).
fn switch(mut response: Response<Incoming>, client: OnUpgrade, stream: Stream<'_>) -> Response<Body> {
    let member = hyper::upgrade::on(&mut response);
    let Stream { tasks, observer, place } = stream;
    tasks.spawn(async move {
        splice::run(client, member, observer).await;
        drop(place);
    });
    let mut answer = Response::new(Body::empty());
    *answer.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    *answer.headers_mut() = std::mem::take(response.headers_mut());
    answer
}

/// Relays the member's refusal and closes both connections behind it: not one more byte of the client reaches the
/// member (rules 186, 187).
fn refusal(response: Response<Incoming>) -> Response<Body> {
    let deadline = Box::pin(sleep_until(Instant::now() + REFUSAL_LIMIT));
    let response = response.map(|body| Body::boxed(Limited { body: Body::from(body), deadline }));
    let mut answer = super::answer(response);
    answer.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    answer
}

/// A body that breaks off at a deadline.
struct Limited {
    body: Body,
    deadline: Pin<Box<Sleep>>,
}

impl http_body::Body for Limited {
    type Data = bytes::Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) {
            return Poll::Ready(frame);
        }
        ready!(self.deadline.as_mut().poll(cx));
        Poll::Ready(Some(Err("the member did not finish refusing the upgrade in time".into())))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn protocol_of(value: &str) -> Result<HeaderValue, Error> {
        let mut headers = HeaderMap::new();
        headers.insert(header::UPGRADE, value.parse().expect("a header value"));
        protocol(&headers)
    }

    #[test]
    fn rule_158_exactly_one_protocol_is_asked_for() {
        for (sent, received) in
            [("SPDY/3.1", "SPDY/3.1"), ("websocket", "websocket"), (" websocket , SPDY/3.1", "websocket")]
        {
            assert_eq!(protocol_of(sent).expect("a protocol"), received);
        }
    }

    #[test]
    fn other_versions_of_http_are_refused() {
        for sent in ["h2c", "H2C", "HTTP/2.0", "TLS/1.2", ",", ""] {
            assert!(matches!(protocol_of(sent), Err(Error::BadRequest(_))), "{sent}");
        }
    }
}

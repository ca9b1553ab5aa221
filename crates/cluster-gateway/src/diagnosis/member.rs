//! Requests to the member, with the gateway's credential.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Limited};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::time::timeout;

use crate::body::Body;
use crate::registry::{Upstream, Way};
use crate::transport::TransportError;

/// Bytes of an answer that are read.
const MOST_BYTES: usize = 64 * 1024;
/// Characters of a member's own words that are repeated.
const MOST_WORDS: usize = 300;
/// How long the rest of an answer is waited for whose head has come: what does not end says enough in its first part.
const BODY_LIMIT: Duration = Duration::from_secs(2);

/// A member that TLS has been agreed on with.
pub(super) struct Member<'u> {
    pub(super) upstream: &'u Upstream,
    way: Way<'u>,
    /// What must not be repeated, should the member or a proxy quote it.
    secret: Option<String>,
}

/// What it has answered.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    /// When the member says that it answered.
    pub(super) date: Option<SystemTime>,
    pub(super) json: bool,
    body: Bytes,
    /// The beginning of its own words: of a Status the message, else of the text; nothing that holds the credential.
    pub(super) words: String,
}

impl<'u> Member<'u> {
    /// With the credential of this moment.
    ///
    /// # Errors
    /// The program that is to give it gives none.
    pub(super) async fn of(upstream: &'u Upstream) -> Result<Self, String> {
        let way = upstream.way().await?;
        let mut headers = HeaderMap::new();
        way.attach(&mut headers);
        let secret = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let secret = secret.map(|value| value.strip_prefix("Bearer ").unwrap_or(value).to_owned());
        Ok(Self { upstream, way, secret })
    }

    pub(super) async fn get(&self, path: &str) -> Result<Answer, TransportError> {
        let answer = self.way.transport.send(self.request(Method::GET, path, Body::empty())).await?;
        let (head, body) = answer.into_parts();
        Ok(self.read(&head, body).await)
    }

    /// Creates what is only asked and never kept: a review.
    pub(super) async fn review(&self, path: &str, review: &Value) -> Result<Answer, TransportError> {
        let mut request = self.request(Method::POST, path, Body::from(review.to_string()));
        request.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let answer = self.way.transport.send(request).await?;
        self.way.answered(answer.status());
        let (head, body) = answer.into_parts();
        Ok(self.read(&head, body).await)
    }

    /// Asks to leave HTTP. What comes after a 101 is closed at once.
    pub(super) async fn upgrade(&self, path: &str, protocol: Protocol) -> Result<Answer, TransportError> {
        let mut request = self.request(Method::GET, path, Body::empty());
        let headers = request.headers_mut();
        headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
        protocol.ask(headers);
        // API servers agree to no WebSocket without an origin, and take any.
        if let Ok(origin) = HeaderValue::from_str(&self.upstream.origin) {
            headers.insert(header::ORIGIN, origin);
        }
        let answer = self.way.transport.upgrade(request).await?;
        let (head, body) = answer.into_parts();
        let body = if head.status == StatusCode::SWITCHING_PROTOCOLS { Body::empty() } else { body.into() };
        Ok(self.read(&head, body).await)
    }

    fn request(&self, method: Method, path: &str, body: Body) -> Request<Body> {
        let mut request = Request::new(body);
        *request.method_mut() = method;
        // The base path has been parsed out of a URL, and the rest is written here.
        *request.uri_mut() = format!("{}{path}", self.upstream.base_path).parse().unwrap_or_default();
        let headers = request.headers_mut();
        let user_agent = concat!("cluster-gateway/", env!("CARGO_PKG_VERSION"), " (doctor)");
        headers.insert(header::USER_AGENT, HeaderValue::from_static(user_agent));
        headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
        self.way.attach(headers);
        request
    }

    async fn read(&self, head: &http::response::Parts, body: Body) -> Answer {
        let body = timeout(BODY_LIMIT, Limited::new(body, MOST_BYTES).collect()).await;
        let body = body.ok().and_then(Result::ok).map(|body| body.to_bytes()).unwrap_or_default();
        Answer {
            status: head.status,
            date: date(&head.headers),
            json: is_json(&head.headers),
            words: self.words(&body),
            body,
        }
    }

    fn words(&self, body: &[u8]) -> String {
        #[derive(Deserialize)]
        struct Status {
            message: String,
        }
        let said = serde_json::from_slice::<Status>(body);
        let text = said.map_or_else(|_| String::from_utf8_lossy(body).into_owned(), |status| status.message);
        if self.secret.as_ref().is_some_and(|secret| text.contains(secret.as_str())) {
            return "its words are withheld: they repeat the credential".to_owned();
        }
        line(&text)
    }
}

impl Answer {
    /// The status, and what was said.
    pub(super) fn shown(&self) -> String {
        let colon = if self.words.is_empty() { "" } else { ": " };
        format!("{}{colon}{}", self.status.as_u16(), self.words)
    }

    pub(super) fn parse<T: DeserializeOwned>(&self) -> Option<T> {
        serde_json::from_slice(&self.body).ok()
    }

    /// Whether an API server has answered, and not something in between: its answers are objects, its refusals too.
    pub(super) fn is_kubernetes(&self) -> bool {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Object {
            kind: String,
            api_version: String,
        }
        self.parse::<Object>().is_some_and(|object| !object.kind.is_empty() && !object.api_version.is_empty())
    }
}

/// What an upgrade is to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Protocol {
    /// kubectl's exec, attach and port-forward, as they were always made.
    Spdy,
    /// Browsers, and newer versions of kubectl.
    WebSocket,
}

impl Protocol {
    fn ask(self, headers: &mut HeaderMap) {
        match self {
            Self::Spdy => {
                headers.insert(header::UPGRADE, HeaderValue::from_static("SPDY/3.1"));
                headers.insert("x-stream-protocol-version", HeaderValue::from_static("v4.channel.k8s.io"));
            }
            Self::WebSocket => {
                headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
                headers.insert(header::SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
                // Sixteen bytes, which prove nothing to anybody.
                headers
                    .insert(header::SEC_WEBSOCKET_KEY, HeaderValue::from_static("ZG9jdG9yIGxvb2tzIG9uIQ=="));
            }
        }
    }
}

/// When an answer was made (RFC 9110, section 6.6.1).
pub(super) fn date(headers: &HeaderMap) -> Option<SystemTime> {
    httpdate::parse_http_date(headers.get(header::DATE)?.to_str().ok()?).ok()
}

fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    kind.is_some_and(|kind| kind.starts_with("application/json"))
}

/// One short line without control characters.
pub(super) fn line(text: &str) -> String {
    let plain = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    plain.take(MOST_WORDS).collect::<String>().split_whitespace().collect::<Vec<_>>().join(" ")
}

//! One probe of one member.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Limited};
use serde::Deserialize;
use tokio::time::{Instant, timeout};

use crate::body::Body;
use crate::registry::{Upstream, Way};
use crate::transport::TransportError;

/// Bytes of an answer that are read: so many that its connection can be used again.
const MOST_BYTES: usize = 64 * 1024;
/// Characters of a member's own words that are repeated.
const MOST_WORDS: usize = 200;
/// Characters of a version.
const MOST_VERSION: usize = 64;

/// What a probe has found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Finding {
    /// `Ok`: it is well, with what is odd about it or nothing; `Err`: why it is not.
    pub(crate) ready: Result<String, String>,
    /// From the request to the head of the answer, if there was one.
    pub(crate) latency: Option<Duration>,
    /// The version that the member says it has, if it was asked and answered.
    pub(crate) version: Option<String>,
}

/// Asks a member whether it is ready, over the connections that its requests use. `None`: it was not asked, because another
/// request is being tried.
pub(crate) async fn probe(upstream: &Upstream, limit: Duration, version: bool) -> Option<Finding> {
    let way = match timeout(limit, upstream.way()).await {
        Ok(Ok(way)) => way,
        Ok(Err(reason)) => return Some(failed(reason, None)),
        Err(_) => return Some(failed(format!("no credential from its program within {limit:?}"), None)),
    };
    let transport = &upstream.transport;
    if transport.opened().is_some() {
        transport.let_one_through();
    }
    let Ok(finding) = timeout(limit, ask(upstream, &way, version)).await else {
        transport.gave_up(limit);
        return Some(failed(format!("no answer to a probe within {limit:?}"), None));
    };
    finding
}

async fn ask(upstream: &Upstream, way: &Way<'_>, version: bool) -> Option<Finding> {
    let mut finding = None;
    // Servers older than Kubernetes 1.16 have no /readyz.
    for path in ["/readyz", "/healthz"] {
        let begun = Instant::now();
        let answer = match send(upstream, way, path).await {
            Ok(answer) => answer,
            Err(TransportError::Open { .. }) => return None,
            Err(error) => return Some(failed(error.to_string(), None)),
        };
        let (latency, status) = (begun.elapsed(), answer.status());
        let body = read(answer).await;
        let judged = judge(path, status, &body);
        finding = Some(Finding { ready: judged, latency: Some(latency), version: None });
        if status != StatusCode::NOT_FOUND {
            break;
        }
    }
    let mut finding = finding?;
    if version && finding.ready.is_ok() {
        finding.version = ask_version(upstream, way).await;
    }
    Some(finding)
}

fn failed(reason: String, latency: Option<Duration>) -> Finding {
    Finding { ready: Err(reason), latency, version: None }
}

fn judge(path: &str, status: StatusCode, body: &[u8]) -> Result<String, String> {
    match status {
        status if status.is_success() => Ok(String::new()),
        StatusCode::UNAUTHORIZED => {
            Ok(format!("{path} answered 401: the member does not accept the gateway's credential"))
        }
        StatusCode::FORBIDDEN => {
            Ok(format!("{path} answered 403: the gateway's user may not read it, so only this is known"))
        }
        StatusCode::TOO_MANY_REQUESTS => Ok(format!("{path} answered 429: the member is overloaded")),
        status => {
            let words = words(body);
            let colon = if words.is_empty() { "" } else { ": " };
            Err(format!("{path} answered {}{colon}{words}", status.as_u16()))
        }
    }
}

/// The first lines that say something: of kube-apiserver's, those of checks that fail.
fn words(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let failing: Vec<_> = text.lines().filter(|line| line.starts_with("[-]")).collect();
    let text = if failing.is_empty() { text.into_owned() } else { failing.join(" ") };
    let plain = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    plain.take(MOST_WORDS).collect::<String>().trim().to_owned()
}

async fn ask_version(upstream: &Upstream, way: &Way<'_>) -> Option<String> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Version {
        git_version: String,
    }
    let answer = send(upstream, way, "/version").await.ok()?;
    let body = read(answer).await;
    let Version { git_version } = serde_json::from_slice(&body).ok()?;
    let sound = git_version.len() <= MOST_VERSION && git_version.bytes().all(|byte| byte.is_ascii_graphic());
    sound.then_some(git_version)
}

async fn send(upstream: &Upstream, way: &Way<'_>, path: &str) -> Result<Response<Body>, TransportError> {
    let mut headers = HeaderMap::new();
    let user_agent = concat!("cluster-gateway/", env!("CARGO_PKG_VERSION"), " (health)");
    headers.insert(header::USER_AGENT, HeaderValue::from_static(user_agent));
    headers.insert(header::ACCEPT, HeaderValue::from_static("*/*"));
    way.attach(&mut headers);
    let mut request = Request::new(Body::empty());
    *request.method_mut() = Method::GET;
    // The base path has been parsed out of a URL.
    *request.uri_mut() = format!("{}{path}", upstream.base_path).parse().unwrap_or_default();
    *request.headers_mut() = headers;
    let answer = way.transport.send(request).await?;
    way.answered(answer.status());
    Ok(answer)
}

/// What can be had of a body; nothing if it is too long or breaks off.
async fn read(answer: Response<Body>) -> Bytes {
    let body = Limited::new(answer.into_body(), MOST_BYTES).collect().await;
    body.map(|body| body.to_bytes()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(code: u16, body: &str) -> Result<String, String> {
        judge("/readyz", StatusCode::from_u16(code).unwrap(), body.as_bytes())
    }

    #[test]
    fn an_answer_that_refuses_is_an_answer_and_says_so() {
        assert_eq!(judged(200, "ok"), Ok(String::new()));
        for (code, word) in [(401, "credential"), (403, "may not read"), (429, "overloaded")] {
            let note = judged(code, "").unwrap();
            assert!(note.contains(&code.to_string()) && note.contains(word), "{note}");
        }
    }

    #[test]
    fn a_member_that_is_not_ready_says_which_check_fails() {
        let body = "[+]ping ok\n[-]etcd failed: reason withheld\n[+]log ok\nreadyz check failed\n";
        assert_eq!(judged(500, body).unwrap_err(), "/readyz answered 500: [-]etcd failed: reason withheld");
        assert_eq!(judged(503, "").unwrap_err(), "/readyz answered 503");
        assert_eq!(judged(302, "x\r\ny\u{0}").unwrap_err(), "/readyz answered 302: x  y");
        assert!(judged(500, &"é".repeat(5000)).unwrap_err().chars().count() < 250);
    }
}

//! A new token, asked for with the current one, over the connections of the cluster: whatever leads there leads this there, too.

use std::time::{Duration, SystemTime};

use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Limited};
use serde::Deserialize;
use tokio::time::timeout;

use super::ServiceAccountRef;
use super::token::{self, Token};
use crate::body::Body;
use crate::registry::Upstream;

/// How long a member may take.
const LIMIT: Duration = Duration::from_secs(15);
/// Bytes of an answer. A token has a few thousand.
const MOST_BYTES: usize = 256 * 1024;
/// Characters of a member's own words that are repeated.
const MOST_WORDS: usize = 300;

/// Why a member gave no token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AskError {
    /// It cannot be reached, or is not well: trying again makes sense.
    #[error("{0}")]
    Unreachable(String),
    /// It says no; its words, and what helps.
    #[error("{0}")]
    Refused(String),
}

/// Asks the member behind `upstream` for a token of `account` that holds for `lifetime`, with the credential of the cluster.
/// The member may shorten the lifetime.
///
/// # Errors
/// [`AskError`]; also after 15 s without an answer.
pub async fn ask(
    upstream: &Upstream,
    account: &ServiceAccountRef,
    lifetime: Duration,
) -> Result<Token, AskError> {
    let asked = SystemTime::now();
    let answer = timeout(LIMIT, exchange(upstream, account, token::request(lifetime))).await;
    let (status, body) = answer
        .unwrap_or_else(|_| Err(AskError::Unreachable(format!("no answer within {} s", LIMIT.as_secs()))))?;
    match status {
        status if status.is_success() => Token::read(&body, asked).map_err(AskError::Refused),
        status if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS => {
            Err(AskError::Unreachable(format!("the member answered {}{}", status.as_u16(), words(&body))))
        }
        status => Err(AskError::Refused(refusal(status, account, &words(&body)))),
    }
}

async fn exchange(
    upstream: &Upstream,
    account: &ServiceAccountRef,
    body: Vec<u8>,
) -> Result<(StatusCode, Vec<u8>), AskError> {
    let way = upstream.way().await.map_err(AskError::Unreachable)?;
    let mut headers = HeaderMap::new();
    let user_agent = concat!("cluster-gateway/", env!("CARGO_PKG_VERSION"), " (credentials)");
    headers.insert(header::USER_AGENT, HeaderValue::from_static(user_agent));
    headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(body.len()));
    way.attach(&mut headers);
    let mut request = Request::new(Body::from(body));
    *request.method_mut() = Method::POST;
    // The base path has been parsed out of a URL, and the account's names are checked.
    *request.uri_mut() =
        format!("{}{}", upstream.base_path, account.token_path()).parse().unwrap_or_default();
    *request.headers_mut() = headers;
    let answer =
        way.transport.send(request).await.map_err(|error| AskError::Unreachable(error.to_string()))?;
    let status = answer.status();
    way.answered(status);
    let body = Limited::new(answer.into_body(), MOST_BYTES).collect().await;
    let body =
        body.map_err(|_| AskError::Unreachable("the member's answer breaks off or is too long".to_owned()))?;
    Ok((status, body.to_bytes().to_vec()))
}

fn refusal(status: StatusCode, account: &ServiceAccountRef, words: &str) -> String {
    let remedy = match status {
        StatusCode::UNAUTHORIZED => {
            "; it no longer accepts the cluster's credential: give it another with cluster-gateway rotate"
                .to_owned()
        }
        StatusCode::FORBIDDEN => format!(
            "; the cluster's user needs the right to create serviceaccounts/token of {} in namespace {}",
            account.name(),
            account.namespace()
        ),
        StatusCode::NOT_FOUND => format!("; is there still a service account {account} on the member?"),
        _ => String::new(),
    };
    format!("the member answered {}{words}{remedy}", status.as_u16())
}

/// The message of a Status, after a colon; nothing of anything else: it might be a token.
fn words(body: &[u8]) -> String {
    #[derive(Deserialize)]
    struct Status {
        kind: String,
        message: String,
    }
    let message = match serde_json::from_slice(body) {
        Ok(Status { kind, message }) if kind == "Status" => message,
        _ => return String::new(),
    };
    let plain = message.chars().map(|c| if c.is_control() { ' ' } else { c });
    format!(": {}", plain.take(MOST_WORDS).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_says_what_helps_and_repeats_only_a_status() {
        let account = ServiceAccountRef::new("ns", "a").unwrap();
        for (code, word) in [
            (401, "rotate"),
            (403, "serviceaccounts/token of a in namespace ns"),
            (404, "still a service account ns/a"),
        ] {
            let text = refusal(StatusCode::from_u16(code).unwrap(), &account, "");
            assert!(text.contains(word) && text.contains(&code.to_string()), "{text}");
        }
        assert_eq!(words(br#"{"kind":"Status","message":"no\nway"}"#), ": no way");
        assert_eq!(words(br#"{"kind":"TokenRequest","message":"x","status":{"token":"secret"}}"#), "");
        assert_eq!(words(b"secret"), "");
    }
}

//! Bearer tokens, in `Authorization` and among the WebSocket protocols; the hub says whose they are (contract rules
//! 76-81).

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{HeaderMap, HeaderValue, header};
use k8s_openapi::api::authentication::v1::{TokenReviewSpec, TokenReviewStatus};

use super::UserInfo;
use super::scheme::Answer;
use crate::cache::{self, Answers, Failure};
use crate::hub::Hub;
use crate::request::connection_tokens;

/// Prefix of the WebSocket protocol that is a token.
const PROTOCOL_PREFIX: &str = "base64url.bearer.authorization.k8s.io.";

/// A text for a `Warning: 299` header of the answer, left in the request's extensions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Warning(pub &'static str);

/// A token as a request presents it.
#[derive(PartialEq, Eq)]
pub(super) enum Presented {
    Nothing,
    Token(String),
    Malformed(&'static str),
}

/// Asks the hub about tokens and remembers what it says. A token itself is kept nowhere: the key of the memory is a keyed
/// hash of it, with a key made at start.
pub(super) struct Tokens {
    hub: Hub,
    key: hmac::Key,
    ttl: Duration,
    answers: Arc<Answers<[u8; 32], Verdict>>,
}

/// Whose the token is, or why it is nobody's.
type Verdict = Result<Arc<UserInfo>, Arc<str>>;

impl Tokens {
    pub(super) fn new(hub: Hub, ttl: Duration) -> Self {
        let key = hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new())
            .expect("the system's random generator works");
        Self { hub, key, ttl, answers: Arc::new(Answers::new()) }
    }

    pub(super) async fn authenticate(&self, presented: Presented) -> Answer {
        let token = match presented {
            Presented::Nothing => return Answer::NotRequested,
            Presented::Malformed(why) => return Answer::Failed(why.to_owned()),
            Presented::Token(token) => token,
        };
        match self.review(token).await {
            Ok(Ok(user)) => Answer::Authenticated((*user).clone()),
            Ok(Err(reason)) => Answer::Failed(format!("bearer token: {reason}")),
            Err(failure) => Answer::Failed(format!("bearer token: the hub could not be asked: {failure}")),
        }
    }

    async fn review(&self, token: String) -> Result<Verdict, Failure> {
        let mut key = [0; 32];
        key.copy_from_slice(hmac::sign(&self.key, token.as_bytes()).as_ref());
        if let Some(verdict) = self.answers.get(&key) {
            return Ok(verdict);
        }
        let (hub, ttl) = (self.hub.clone(), self.ttl);
        let answer = self.answers.get_or_ask(key, move || async move {
            let spec = TokenReviewSpec { token: Some(token), audiences: None };
            let status = hub.token_review(spec).await.map_err(Failure::new)?;
            let value = verdict(status);
            Ok(cache::Answer { bytes: value.as_ref().map_or(0, |user| user.bytes()), value, ttl })
        });
        // Boxed: rare, and large; a request's future is moved and kept as a whole.
        Box::pin(answer).await
    }
}

/// Only an explicit success counts (rule 78). What the hub says of a bad token is its answer, so it is remembered like
/// any other (rule 80); kube-apiserver puts it into `error`.
fn verdict(status: TokenReviewStatus) -> Verdict {
    if let Some(error) = status.error.filter(|error| !error.is_empty()) {
        return Err(error.into());
    }
    if status.authenticated != Some(true) {
        return Err("the hub does not know it".into());
    }
    let user = status.user.unwrap_or_default();
    match user.username.filter(|name| !name.is_empty()) {
        None => Err("the hub names no user for it".into()),
        Some(name) => Ok(Arc::new(UserInfo {
            name,
            uid: user.uid.unwrap_or_default(),
            groups: user.groups.unwrap_or_default(),
            extra: user.extra.unwrap_or_default(),
        })),
    }
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tokens").finish_non_exhaustive()
    }
}

/// The token in the first `Authorization` header, if it is a bearer token (rule 76).
pub(super) fn bearer(headers: &HeaderMap) -> Presented {
    match authorization(headers) {
        Some((scheme, token)) if is_bearer(scheme) && !token.is_empty() => match std::str::from_utf8(token) {
            Ok(token) => Presented::Token(token.to_owned()),
            Err(_) => Presented::Malformed("bearer token: it is not UTF-8"),
        },
        _ => Presented::Nothing,
    }
}

/// A bearer token behind two spaces is not seen; the caller should learn of it.
pub(super) fn warning(headers: &HeaderMap) -> Option<Warning> {
    let value = headers.get(header::AUTHORIZATION)?.as_bytes().trim_ascii();
    let (scheme, token) = authorization(headers)?;
    let hidden = is_bearer(scheme) && token.is_empty() && value.len() > scheme.len() + 1;
    hidden.then_some(Warning("the bearer token was not used: more than one space stands before it"))
}

/// Scheme and second word of the first `Authorization` header. Words are parted by single spaces.
fn authorization(headers: &HeaderMap) -> Option<(&[u8], &[u8])> {
    let value = headers.get(header::AUTHORIZATION)?.as_bytes().trim_ascii();
    let mut words = value.splitn(3, |&byte| byte == b' ');
    Some((words.next()?, words.next()?))
}

fn is_bearer(scheme: &[u8]) -> bool {
    scheme.eq_ignore_ascii_case(b"bearer")
}

/// The token among the protocols of a WebSocket request (rule 81).
pub(super) fn web_socket(headers: &HeaderMap) -> Presented {
    if !is_web_socket(headers) {
        return Presented::Nothing;
    }
    let (tokens, others): (Vec<_>, Vec<_>) =
        protocols(headers).partition(|protocol| protocol.starts_with(PROTOCOL_PREFIX.as_bytes()));
    let token = match tokens.as_slice() {
        [] => return Presented::Nothing,
        [token] => &token[PROTOCOL_PREFIX.len()..],
        _ => return Presented::Malformed("WebSocket token: more than one is given"),
    };
    let Ok(Ok(token)) = URL_SAFE_NO_PAD.decode(token).map(String::from_utf8) else {
        return Presented::Malformed("WebSocket token: it is not base64url without padding of UTF-8");
    };
    if token.is_empty() {
        Presented::Nothing
    } else if others.is_empty() {
        Presented::Malformed("WebSocket token: no other protocol is offered beside it")
    } else {
        Presented::Token(token)
    }
}

/// Removes tokens from the WebSocket protocols; the others stay, in one header.
pub(super) fn strip_protocols(headers: &mut HeaderMap) {
    let is_token = |protocol: &&[u8]| protocol.starts_with(PROTOCOL_PREFIX.as_bytes());
    if !protocols(headers).any(|protocol| is_token(&protocol)) {
        return;
    }
    let others: Vec<_> = protocols(headers).filter(|protocol| !is_token(protocol)).collect();
    let others = HeaderValue::from_bytes(&others.join(&b","[..]));
    headers.remove(header::SEC_WEBSOCKET_PROTOCOL);
    if let Some(others) = others.ok().filter(|others| !others.is_empty()) {
        headers.insert(header::SEC_WEBSOCKET_PROTOCOL, others);
    }
}

fn protocols(headers: &HeaderMap) -> impl Iterator<Item = &[u8]> {
    headers
        .get_all(header::SEC_WEBSOCKET_PROTOCOL)
        .into_iter()
        .flat_map(|value| value.as_bytes().split(|&byte| byte == b','))
        .map(<[u8]>::trim_ascii)
}

fn is_web_socket(headers: &HeaderMap) -> bool {
    headers.get(header::UPGRADE).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"websocket"))
        && connection_tokens(headers).any(|token| token.eq_ignore_ascii_case("upgrade"))
}

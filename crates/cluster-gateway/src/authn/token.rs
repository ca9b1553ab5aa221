//! Bearer tokens, in `Authorization` and among the WebSocket protocols, and who is asked about them (contract rules 76,
//! 79, 81).

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::SystemTime;

use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures_util::future::join_all;
use http::{HeaderMap, HeaderValue, header};
use memchr::memchr;

use super::UserInfo;
use super::oidc::Oidc;
use super::scheme::{Answer, Scheme, first_success};
use super::session::TokenError;
use super::static_token::TokenFile;
use super::token_review::TokenReviews;
use crate::request::connection_tokens;

/// Prefix of the WebSocket protocol that is a token.
const PROTOCOL_PREFIX: &str = "base64url.bearer.authorization.k8s.io.";

/// A text for a `Warning: 299` header of the answer, left in the request's extensions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Warning(pub &'static str);

/// A token as a request presents it.
#[derive(PartialEq, Eq)]
pub(super) enum Presented<'a> {
    Nothing,
    Token(Cow<'a, str>),
    Malformed(&'static str),
}

/// What is asked of those who may know a token.
pub(super) struct AskedToken<'a> {
    pub(super) token: &'a str,
    /// Who presents it.
    pub(super) peer: IpAddr,
    pub(super) now: SystemTime,
}

/// Somebody who may know whose a token is.
#[derive(Debug)]
pub(super) enum TokenSource {
    Review(Box<TokenReviews>),
    File(Box<TokenFile>),
    Oidc(Arc<Oidc>),
}

impl Scheme<AskedToken<'_>> for TokenSource {
    async fn authenticate(&self, asked: &AskedToken<'_>) -> Answer {
        match self {
            Self::Review(reviews) => reviews.authenticate(asked.token, asked.peer).await,
            Self::File(file) => file.authenticate(asked.token),
            Self::Oidc(issuer) => issuer.authenticate(asked).await,
        }
    }
}

/// Everybody who may know tokens, in the order in which they are asked.
#[derive(Debug, Default)]
pub(super) struct Tokens(pub(super) Vec<TokenSource>);

impl Tokens {
    /// A token that nobody knows is wrong: whoever presents one is not anonymous (rule 61).
    pub(super) async fn authenticate(
        &self,
        presented: Presented<'_>,
        peer: IpAddr,
        now: SystemTime,
    ) -> Answer {
        let token = match presented {
            Presented::Nothing => return Answer::NotRequested,
            Presented::Malformed(why) => return Answer::Failed(why.to_owned()),
            Presented::Token(token) => token,
        };
        match first_success(&self.0, &AskedToken { token: &token, peer, now }).await {
            Ok(Some(user)) => Answer::Authenticated(user),
            Ok(None) => Answer::Failed("bearer token: nobody knows it".to_owned()),
            Err(reasons) => Answer::Failed(format!("bearer token: {reasons}")),
        }
    }

    /// Whose a token is, and whether that can be found out at all.
    pub(super) async fn whose(&self, asked: &AskedToken<'_>) -> Result<Arc<UserInfo>, TokenError> {
        let (mut reasons, mut unavailable) = (Vec::new(), None);
        for source in &self.0 {
            let answer = match source {
                TokenSource::Review(reviews) => match reviews.review(asked.token, asked.peer).await {
                    Ok(Ok(user)) => Answer::Authenticated(user),
                    Ok(Err(reason)) => Answer::Failed(reason.to_string()),
                    Err(failure) => {
                        unavailable = Some(format!("the hub could not be asked: {failure}"));
                        continue;
                    }
                },
                TokenSource::File(_) | TokenSource::Oidc(_) => source.authenticate(asked).await,
            };
            match answer {
                Answer::Authenticated(user) => return Ok(UserInfo::completed(user)),
                Answer::Failed(reason) => reasons.push(reason),
                Answer::NotRequested => {}
            }
        }
        match unavailable {
            Some(cause) => Err(TokenError::Unavailable(cause)),
            None if reasons.is_empty() => Err(TokenError::Refused("nobody knows it".to_owned())),
            None => Err(TokenError::Refused(reasons.join("; "))),
        }
    }

    /// Reads files; returns what is wrong with them.
    pub(super) async fn load(&self) -> Vec<String> {
        let mut problems = Vec::new();
        for source in &self.0 {
            match source {
                TokenSource::Review(_) => {}
                TokenSource::File(file) => problems.extend(file.load().await),
                TokenSource::Oidc(issuer) => problems.extend(issuer.check_files().await),
            }
        }
        problems
    }

    /// Follows files and issuers for ever.
    pub(super) async fn watch(&self) {
        let watches = self.0.iter().map(|source| async move {
            match source {
                TokenSource::Review(_) => {}
                TokenSource::File(file) => file.watch().await,
                TokenSource::Oidc(issuer) => issuer.watch().await,
            }
        });
        join_all(watches).await;
    }
}

/// Stands for tokens where they are remembered: a keyed hash, with a key made at start, so that neither memory nor the time
/// that a comparison takes says anything about a token (rule 79).
pub(super) struct Fingerprints(hmac::Key);

impl Fingerprints {
    pub(super) fn new() -> Self {
        let key = hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new());
        Self(key.expect("the system's random generator works"))
    }

    pub(super) fn of(&self, token: &str) -> [u8; 32] {
        let mut fingerprint = [0; 32];
        fingerprint.copy_from_slice(hmac::sign(&self.0, token.as_bytes()).as_ref());
        fingerprint
    }
}

/// The token in the first `Authorization` header, if it is a bearer token (rule 76).
pub(super) fn bearer(headers: &HeaderMap) -> Presented<'_> {
    match authorization(headers) {
        Some((scheme, token)) if is_bearer(scheme) && !token.is_empty() => match std::str::from_utf8(token) {
            Ok(token) => Presented::Token(Cow::Borrowed(token)),
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
    let (scheme, rest) = value.split_at(memchr(b' ', value)?);
    let rest = &rest[1..];
    Some((scheme, &rest[..memchr(b' ', rest).unwrap_or(rest.len())]))
}

fn is_bearer(scheme: &[u8]) -> bool {
    scheme.eq_ignore_ascii_case(b"bearer")
}

/// The token among the protocols of a WebSocket request (rule 81).
pub(super) fn web_socket(headers: &HeaderMap) -> Presented<'static> {
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
        Presented::Token(Cow::Owned(token))
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

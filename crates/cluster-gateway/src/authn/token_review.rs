//! The hub says whose a bearer token is (contract rules 77-80).

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::authentication::v1::{TokenReviewSpec, TokenReviewStatus};
use quick_cache::sync::Cache;

use super::UserInfo;
use super::scheme::Answer;
use super::token::Fingerprints;
use crate::cache::{self, Answers, Failure, Share};
use crate::hub::Hub;

/// Tokens that are remembered as good ones for longer than the hub's answer counts. It opens no door: only, the hub is
/// asked about them on their user's account, not on that of the address they come from.
const MAX_SEEN: usize = 8192;

/// Asks the hub about tokens and remembers what it says. A token itself is kept nowhere, only its fingerprint.
pub(super) struct TokenReviews {
    hub: Hub,
    fingerprints: Fingerprints,
    ttl: Duration,
    answers: Arc<Answers<[u8; 32], Verdict>>,
    /// Whose a token was when the hub last knew it.
    seen: Cache<[u8; 32], Arc<str>>,
}

/// Whose the token is, or why it is nobody's.
pub(super) type Verdict = Result<Arc<UserInfo>, Arc<str>>;

impl TokenReviews {
    pub(super) fn new(hub: Hub, ttl: Duration) -> Self {
        let (answers, seen) = (Arc::new(Answers::new()), Cache::new(MAX_SEEN));
        Self { hub, fingerprints: Fingerprints::new(), ttl, answers, seen }
    }

    pub(super) async fn authenticate(&self, token: &str, peer: IpAddr) -> Answer {
        match self.review(token, peer).await {
            Ok(Ok(user)) => Answer::Authenticated(user),
            Ok(Err(reason)) => Answer::Failed(reason.to_string()),
            Err(failure) => Answer::Failed(format!("the hub could not be asked: {failure}")),
        }
    }

    /// What the hub says of the token, now or not long ago.
    pub(super) async fn review(&self, token: &str, peer: IpAddr) -> Result<Verdict, Failure> {
        let key = self.fingerprints.of(token);
        if let Some(verdict) = self.answers.get(&key) {
            return Ok(verdict);
        }
        // Boxed: rare, and large; a request's future is moved and kept as a whole.
        let verdict = Box::pin(self.ask(key, token, peer)).await?;
        match &verdict {
            Ok(user) => self.seen.insert(key, user.name.as_str().into()),
            Err(_) => drop(self.seen.remove(&key)),
        }
        Ok(verdict)
    }

    async fn ask(&self, key: [u8; 32], token: &str, peer: IpAddr) -> Result<Verdict, Failure> {
        let share = match self.seen.get(&key) {
            Some(user) => Share::known(&*user),
            None => Share::unknown(network(peer)),
        };
        let (hub, ttl, token, standing) = (self.hub.clone(), self.ttl, token.to_owned(), share.standing());
        let question = move || async move {
            let spec = TokenReviewSpec { token: Some(token), audiences: None };
            let status = hub.token_review(spec, standing).await.map_err(Failure::new)?;
            let value = verdict(status);
            Ok(cache::Answer { bytes: value.as_ref().map_or(0, |user| user.bytes()), value, ttl })
        };
        self.answers.get_or_ask(key, share, question).await
    }
}

/// What one caller can choose his address from: with IPv6 that is a network of 64 bits.
fn network(peer: IpAddr) -> String {
    match peer.to_canonical() {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            format!("{a:x}:{b:x}:{c:x}:{d:x}::/64")
        }
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

impl fmt::Debug for TokenReviews {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenReviews").finish_non_exhaustive()
    }
}

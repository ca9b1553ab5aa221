//! What sessions of people ask besides the way of a request: whose a token is that they keep for them, and that nothing of
//! what was shown goes on.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::SystemTime;

use http::HeaderMap;

use super::token::AskedToken;
use super::{Authenticator, UserInfo, hygiene};

/// Why it is not known whose a token is. No text holds a part of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum TokenError {
    /// It is nobody's; why, for the log.
    Refused(String),
    /// It could not be found out; why.
    Unavailable(String),
}

impl Authenticator {
    /// Whose a bearer token is, which somebody at `peer` presents.
    pub(crate) async fn whose_token(&self, token: &str, peer: IpAddr) -> Result<Arc<UserInfo>, TokenError> {
        self.tokens.whose(&AskedToken { token, peer, now: SystemTime::now() }).await
    }

    /// Removes credentials and identities from a request that has been answered for otherwise, see
    /// [`Authenticator::authenticate`].
    pub(crate) fn strip(&self, headers: &mut HeaderMap) {
        hygiene::strip(headers, self.trust.request_header().as_deref());
    }
}

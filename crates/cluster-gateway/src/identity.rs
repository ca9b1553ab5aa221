//! As whom the member sees a request, where the caller's identity is passed on (contract rules 151-156).
//!
//! Rules are read once and compiled; whatever cannot be understood is refused then, never guessed at a request. A rule
//! may leave the answer to a webhook; what that says is held to the same terms.

use std::sync::Arc;

mod file;
mod passing;
mod pattern;
mod rules;
mod schema;
mod webhook;
mod write;

pub use file::RulesFile;
pub use passing::{IdentityConfig, IdentityPassing};
pub use rules::{RuleError, Rules};
pub use webhook::{WebhookHosts, Webhooks};

use http::HeaderMap;

use crate::authn::UserInfo;
use crate::status::Error;

/// Whose identity a request carries at the member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Exchange<'a> {
    /// That of the gateway's credential: no impersonation.
    Gateway,
    /// The caller's own.
    Caller(&'a UserInfo),
    /// One that a rule or its webhook names.
    Mapped(Arc<UserInfo>),
}

impl Exchange<'_> {
    /// Writes the impersonation headers (rule 151). All others must have been removed before (rule 149).
    ///
    /// The caller's own uid is not passed on, as in the original; that of a mapping is.
    ///
    /// # Errors
    /// [`Error::BadRequest`] if a part of the identity cannot stand in a header; nothing is sent then.
    pub fn apply(&self, headers: &mut HeaderMap) -> Result<(), Error> {
        let written = match self {
            Self::Gateway => return Ok(()),
            Self::Caller(user) => write::write(headers, user, ""),
            Self::Mapped(user) => write::write(headers, user, &user.uid),
        };
        written.map_err(|problem| {
            Error::BadRequest(format!("the identity cannot be passed on to the cluster: {problem}"))
        })
    }
}

#[cfg(test)]
mod tests;

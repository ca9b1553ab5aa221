//! May they? And the proof that they may: only this module makes a [`Permit`] (contract rules 85-100, 146-149).
//!
//! What it will never do: allow something because it could not find out. No answer is a failure, not a yes.

use std::sync::Arc;
use std::time::Duration;

use crate::authn::{GROUP_MASTERS, UserInfo};
use crate::cache::{self, Answers, Failure};
use crate::hub::Hub;
use crate::status::{Error, Forbidden};

mod always_allow;
mod attributes;
mod impersonation;
mod review;

use always_allow::AlwaysAllow;
pub use always_allow::BadPath;
pub use attributes::{Attributes, Target};
use review::{Key, KeyRef};

/// Proof that `user` may do what `target` says. What was authorized is what is carried; there is no second copy of it.
#[derive(Debug)]
pub struct Permit<T> {
    user: UserInfo,
    target: T,
}

impl<T> Permit<T> {
    /// Who was authorized.
    #[must_use]
    pub fn user(&self) -> &UserInfo {
        &self.user
    }

    /// What was authorized.
    #[must_use]
    pub fn target(&self) -> &T {
        &self.target
    }
}

/// What a target needs to be allowed, where there is a choice.
#[derive(Debug, Clone, Copy)]
pub struct Policy {
    /// An upgrade of a proxied request needs `create` besides the verb of its method (rule 90). Default: yes.
    pub upgrade_needs_create: bool,
}

impl Default for Policy {
    fn default() -> Self {
        Self { upgrade_needs_create: true }
    }
}

/// Settings of authorization, as plain values.
#[derive(Debug, Clone)]
pub struct AuthorizationConfig {
    /// `--authorization-always-allow-paths`: paths that anybody may use; a trailing `*` means prefix. Default `/healthz`,
    /// `/readyz`, `/livez` (rule 18).
    pub always_allow_paths: Vec<String>,
    /// `--authorization-webhook-cache-authorized-ttl`. Default 10 s; zero: not remembered.
    pub allowed_ttl: Duration,
    /// `--authorization-webhook-cache-unauthorized-ttl`. Default 10 s; zero: not remembered.
    pub denied_ttl: Duration,
    /// Choices in what is asked.
    pub policy: Policy,
}

impl AuthorizationConfig {
    /// Checks the settings without a hub.
    ///
    /// # Errors
    /// [`BadPath`], as [`Authorizer::new`].
    pub fn check(&self) -> Result<(), BadPath> {
        AlwaysAllow::new(&self.always_allow_paths).map(|_| ())
    }
}

impl Default for AuthorizationConfig {
    fn default() -> Self {
        Self {
            always_allow_paths: ["/healthz", "/readyz", "/livez"].map(str::to_owned).to_vec(),
            allowed_ttl: Duration::from_secs(10),
            denied_ttl: Duration::from_secs(10),
            policy: Policy::default(),
        }
    }
}

/// Asks the hub what users may do, and remembers its answers for a while.
#[derive(Debug)]
pub struct Authorizer {
    hub: Hub,
    always_allow: AlwaysAllow,
    answers: Arc<Answers<Key, Decision>>,
    allowed_ttl: Duration,
    denied_ttl: Duration,
    policy: Policy,
}

/// The hub's answer.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Decision {
    allowed: bool,
    reason: Arc<str>,
}

impl Authorizer {
    /// An authorizer that asks `hub`.
    ///
    /// # Errors
    /// [`BadPath`]: an always-allowed path has a `*` that is not at its end.
    pub fn new(config: &AuthorizationConfig, hub: Hub) -> Result<Self, BadPath> {
        Ok(Self {
            hub,
            always_allow: AlwaysAllow::new(&config.always_allow_paths)?,
            answers: Arc::new(Answers::new()),
            allowed_ttl: config.allowed_ttl,
            denied_ttl: config.denied_ttl,
            policy: config.policy,
        })
    }

    /// The proof that `user` may do what `target` says. `uri` is the request's, for the words of a failure.
    ///
    /// # Errors
    /// [`Error::Forbidden`], or [`Error::AuthorizationUnknown`] if the hub does not say.
    pub async fn authorize<T: Target>(
        &self,
        user: UserInfo,
        target: T,
        uri: &str,
    ) -> Result<Permit<T>, Error> {
        for attributes in target.attributes(&self.policy) {
            self.check(&user, attributes, uri).await?;
        }
        Ok(Permit { user, target })
    }

    /// Administrators, then open paths, then the hub (rule 85).
    async fn check(&self, user: &UserInfo, attributes: Attributes<'_>, uri: &str) -> Result<(), Error> {
        if user.in_group(GROUP_MASTERS) || self.always_allow.allows(&attributes) {
            return Ok(());
        }
        match self.decide(user, attributes).await {
            Ok(Decision { allowed: true, .. }) => Ok(()),
            Ok(Decision { reason, .. }) => Err(Error::Forbidden(Box::new(Forbidden {
                user: user.name.clone(),
                verb: attributes.verb().to_owned(),
                on: attributes.into(),
                reason: reason.as_ref().to_owned(),
            }))),
            Err(Failure(message)) => {
                Err(Error::AuthorizationUnknown { uri: uri.to_owned(), message: message.as_ref().to_owned() })
            }
        }
    }

    /// The hub's answer, new or remembered. A remembered one costs a hash and a comparison: nothing is copied.
    async fn decide(&self, user: &UserInfo, attributes: Attributes<'_>) -> Result<Decision, Failure> {
        let key = KeyRef { user, attributes };
        if let Some(decision) = self.answers.get(&key) {
            return Ok(decision);
        }
        let key = Key::from(key);
        let (hub, asked, ttls) = (self.hub.clone(), key.clone(), (self.allowed_ttl, self.denied_ttl));
        let answer = self.answers.get_or_ask(key, move || async move {
            let status = hub.subject_access_review(asked.spec()).await.map_err(Failure::new)?;
            let value = review::decision(status)?;
            let ttl = if value.allowed { ttls.0 } else { ttls.1 };
            let ttl = if asked.may_be_kept() { ttl } else { Duration::ZERO };
            Ok(cache::Answer { bytes: asked.bytes() + value.reason.len(), value, ttl })
        });
        // Boxed: rare, and large; a request's future is moved and kept as a whole.
        Box::pin(answer).await
    }
}

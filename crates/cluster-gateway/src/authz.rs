//! May they? And the proof that they may: only this module makes a [`Permit`] (contract rules 85-100, 146-149).
//!
//! What it will never do: allow something because it could not find out. No answer is a failure, not a yes.

use std::sync::Arc;
use std::time::Duration;

use crate::authn::{GROUP_MASTERS, UserInfo};
use crate::cache::Failure;
use crate::hub::Hub;
use crate::status::{Error, Forbidden};

mod always_allow;
mod attributes;
mod impersonation;
mod policy;
mod proxied;
mod review;

use always_allow::AlwaysAllow;
pub use always_allow::BadPath;
pub use attributes::{Attributes, Target};
pub use policy::{RbacConfig, RbacDirectory, RbacPolicy};
use review::Reviews;

/// Longest attributes that are asked about, in bytes: several times what any Kubernetes path or name is.
const MAX_ASKED: usize = 16 << 10;

/// Proof that `user` may do what `target` says. What was authorized is what is carried; there is no second copy of it.
#[derive(Debug)]
pub struct Permit<T> {
    user: Arc<UserInfo>,
    target: T,
    reason: Option<Arc<str>>,
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

    /// Why it was allowed, in the words of the authorizer; `None`: it was not asked, or gave no reason.
    #[must_use]
    pub fn reason(&self) -> Option<&Arc<str>> {
        self.reason.as_ref()
    }
}

/// What a target needs to be allowed, where there is a choice.
#[derive(Debug, Clone, Copy)]
pub struct Policy {
    /// An upgrade of a proxied request needs `create` besides the verb of its method (rule 90). Default: yes.
    pub upgrade_needs_create: bool,
    /// A proxied request is itself asked for besides `clustergateways/proxy`, as its member's API server would
    /// (`--authorize-proxy-subpath`, rules 107-112). Default: no.
    pub proxied_requests: bool,
}

impl Default for Policy {
    fn default() -> Self {
        Self { upgrade_needs_create: true, proxied_requests: false }
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

/// Decides what users may do.
#[derive(Debug)]
pub struct Authorizer {
    always_allow: AlwaysAllow,
    decider: Decider,
    policy: Policy,
}

/// Who decides what neither an administrator nor an open path asks.
#[derive(Debug)]
enum Decider {
    SubjectAccessReview(Box<Reviews>),
    Policy(Arc<RbacPolicy>),
}

/// An answer.
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
        let reviews = Reviews::new(hub, config.allowed_ttl, config.denied_ttl);
        Self::deciding(config, Decider::SubjectAccessReview(Box::new(reviews)))
    }

    /// An authorizer that follows RBAC manifests. The TTLs have no meaning then: nothing is remembered, and a changed
    /// manifest counts from the next request on.
    ///
    /// # Errors
    /// [`BadPath`], as [`Authorizer::new`].
    pub fn by_policy(config: &AuthorizationConfig, policy: Arc<RbacPolicy>) -> Result<Self, BadPath> {
        Self::deciding(config, Decider::Policy(policy))
    }

    fn deciding(config: &AuthorizationConfig, decider: Decider) -> Result<Self, BadPath> {
        let always_allow = AlwaysAllow::new(&config.always_allow_paths)?;
        Ok(Self { always_allow, decider, policy: config.policy })
    }

    /// The proof that `user` may do what `target` says. `uri` is the request's, for the words of a failure.
    ///
    /// # Errors
    /// [`Error::Forbidden`]; [`Error::AuthorizationUnknown`] if the hub does not say; [`Error::TooManyRequests`] if too
    /// much is being asked already; [`Error::BadRequest`] for paths and names beyond all measure.
    pub async fn authorize<T: Target>(
        &self,
        user: impl Into<Arc<UserInfo>>,
        target: T,
        uri: &str,
    ) -> Result<Permit<T>, Error> {
        let user = user.into();
        let mut reason = None;
        for attributes in target.attributes(&self.policy) {
            reason = self.check(&user, attributes, None, uri).await?.or(reason);
        }
        if let Some(carried) = target.carried(&self.policy) {
            // Boxed: off by default, and large; a request's future is moved and kept as a whole.
            Box::pin(self.check_carried(&user, carried, uri)).await?;
        }
        Ok(Permit { user, target, reason })
    }

    /// Whether everybody may use `target`, whoever they are (rule 18).
    #[must_use]
    pub fn is_open(&self, target: &impl Target) -> bool {
        target.attributes(&self.policy).all(|attributes| self.always_allow.allows(&attributes))
    }

    /// Administrators, then open paths, then the decider (rule 85). `cluster`: where it is to be done, if not here; the
    /// open paths are the gateway's own. `Ok` holds the decider's reason.
    async fn check(
        &self,
        user: &UserInfo,
        attributes: Attributes<'_>,
        cluster: Option<&str>,
        uri: &str,
    ) -> Result<Option<Arc<str>>, Error> {
        let open = || cluster.is_none() && self.always_allow.allows(&attributes);
        if user.in_group(GROUP_MASTERS) || open() {
            return Ok(None);
        }
        if attributes.bytes() > MAX_ASKED {
            return Err(Error::BadRequest(format!(
                "the path or the names in the request are longer than {MAX_ASKED} bytes, the most that can be authorized"
            )));
        }
        let decision = match &self.decider {
            Decider::SubjectAccessReview(reviews) => reviews.decide(user, attributes, cluster).await,
            Decider::Policy(policy) if policy.allows(user, &attributes) => return Ok(None),
            Decider::Policy(_) => Ok(Decision { allowed: false, reason: Arc::default() }),
        };
        match decision {
            Ok(Decision { allowed: true, reason }) => Ok(Some(reason)),
            Ok(Decision { reason, .. }) => Err(Error::Forbidden(Box::new(Forbidden {
                user: user.name.clone(),
                verb: attributes.verb().to_owned(),
                on: attributes.into(),
                reason: reason.as_ref().to_owned(),
            }))),
            Err(failure @ Failure::Busy(_)) => Err(Error::TooManyRequests(failure.to_string())),
            Err(Failure::Unknown(message)) => {
                Err(Error::AuthorizationUnknown { uri: uri.to_owned(), message: message.as_ref().to_owned() })
            }
        }
    }
}

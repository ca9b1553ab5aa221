//! ID tokens of an OpenID Connect issuer, with kube-apiserver's meaning of the settings.
//!
//! Signatures are verified with aws-lc-rs itself: it is here already, has every algorithm of the family (P-521, too), and
//! leaves no code path for `none` and for secrets shared between issuer and server. Claims are looked at only after that;
//! the issuer's name is read before, to tell whose token it is, and again is part of what was signed.
//!
//! Left out: claims that live elsewhere (`_claim_sources`), encrypted tokens, HTTP proxies and redirects on the way to the
//! issuer.

use std::sync::Arc;
use std::time::SystemTime;

use arc_swap::ArcSwapOption;
use tokio::sync::Mutex;
use tokio::time::Instant;
use tracing::info;

mod algorithm;
mod claims;
mod code;
mod config;
mod discovery;
mod jwt;
mod keys;

use algorithm::Algorithm;
pub(crate) use code::{AuthorizationCode, Begun, LoginError, words};
pub use config::OidcConfig;
pub(crate) use jwt::Jwt;
use keys::{Found, KeySet};

use super::UserInfo;
use super::complaints::Complaints;
use super::scheme::Answer;
use super::token::AskedToken;

/// An issuer whose tokens are believed.
#[derive(Debug)]
pub(super) struct Oidc {
    config: OidcConfig,
    algorithms: Vec<Algorithm>,
    /// `None`: never read yet.
    keys: ArcSwapOption<KeySet>,
    last_attempt: Mutex<Option<Instant>>,
    complaints: Complaints,
}

impl Oidc {
    /// # Errors
    /// All mistakes, see [`OidcConfig::check`].
    pub(super) fn new(config: OidcConfig) -> Result<Self, Vec<String>> {
        config.check()?;
        let algorithms = config.signing_algs.iter().filter_map(|name| Algorithm::parse(name)).collect();
        Ok(Self {
            config,
            algorithms,
            keys: ArcSwapOption::empty(),
            last_attempt: Mutex::default(),
            complaints: Complaints::default(),
        })
    }

    /// What is no token of this kind at all is somebody else's.
    pub(super) async fn authenticate(self: &Arc<Self>, asked: &AskedToken<'_>) -> Answer {
        let Some(token) = Jwt::parse(asked.token) else { return Answer::NotRequested };
        match self.user(&token, asked.now).await {
            Ok(user) => Answer::Authenticated(Arc::new(user)),
            Err(reason) => Answer::Failed(format!("ID token: {reason}")),
        }
    }

    async fn user(self: &Arc<Self>, token: &Jwt<'_>, now: SystemTime) -> Result<UserInfo, String> {
        claims::check_issuer(token, &self.config.issuer_url)?;
        self.verify(token).await?;
        claims::check(token, &self.config, now)?;
        claims::user(token, &self.config)
    }

    /// Whether one of the issuer's keys has signed it. A key that is not known may be new, so the keys are read again.
    async fn verify(self: &Arc<Self>, token: &Jwt<'_>) -> Result<(), String> {
        let algorithm = token.algorithm(&self.algorithms, self.config.flags)?;
        let find = || self.keys.load().as_ref().map(|keys| keys.verify(algorithm, token));
        let found = match find() {
            None | Some(Found::NoKey) => {
                // On a task of its own: a caller who goes away does not break off what others wait for.
                let issuer = Arc::clone(self);
                let _ = tokio::spawn(async move { issuer.refresh().await }).await;
                find()
            }
            found => found,
        };
        match found {
            Some(Found::Signed) => Ok(()),
            Some(Found::NotSigned) => Err("the signature does not match the issuer's key".to_owned()),
            Some(Found::NoKey) => Err("no key of the issuer has signed it".to_owned()),
            None => Err("the keys of the issuer could not be read yet".to_owned()),
        }
    }

    /// Reads the keys, unless somebody has just tried. Whoever comes meanwhile waits for the one attempt.
    async fn refresh(&self) {
        let mut last_attempt = self.last_attempt.lock().await;
        if last_attempt.is_some_and(|last| last.elapsed() < self.config.key_pause) {
            return;
        }
        match discovery::keys(&self.config).await {
            Ok(keys) => {
                self.complaints.tell("OIDC issuer", Vec::new());
                if self.keys.load().as_deref() != Some(&keys) {
                    info!(
                        issuer = self.config.issuer_url,
                        keys = keys.len(),
                        "keys of the OIDC issuer are loaded"
                    );
                    self.keys.store(Some(Arc::new(keys)));
                }
            }
            Err(problem) => self.complaints.tell("OIDC issuer", vec![problem]),
        }
        *last_attempt = Some(Instant::now());
    }

    /// What is wrong with the files of the settings.
    pub(super) async fn check_files(&self) -> Vec<String> {
        discovery::roots(&self.config).await.err().into_iter().collect()
    }

    /// Reads the keys now and then, for ever: a key that the issuer withdraws is believed no longer.
    pub(super) async fn watch(&self) {
        loop {
            self.refresh().await;
            let known = self.keys.load().is_some();
            tokio::time::sleep(if known { self.config.key_refresh } else { self.config.key_pause }).await;
        }
    }
}

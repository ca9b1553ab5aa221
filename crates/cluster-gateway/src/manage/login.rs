//! Who asks: for people with a browser, VelaUX' front end, and programs (`console/API.md`, "Sessions" and "Signing in").
//!
//! What is shown and wrong is refused: nobody falls through to a weaker way. A session is a sealed cookie, so that replicas
//! share nothing but a key. What it will never do: keep a token anywhere but in that cookie, or log one.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http::request::Parts;
use quick_cache::sync::Cache;

mod attempts;
mod cookie;
mod failure;
mod forgery;
mod keys;
mod oidc;
mod routes;
mod seal;
mod session;
mod sign_in;
mod velaux;
mod who;

use attempts::Attempts;
use cookie::Cookies;
pub use failure::{Failure, ForgedRequest, VelaUxFailure};
pub use keys::SESSION_KEY;
use keys::SessionKeys;
use oidc::OidcLogin;
pub use oidc::{CALLBACK, LoginOidcConfig};
pub(super) use routes::{is_open, routes};
pub use session::Method;
pub(super) use session::Secret;
pub use sign_in::{Redirect, SignedIn};
use velaux::VelaUx;
pub use velaux::VelaUxConfig;

use super::Caller;
use crate::authn::{Authenticator, Connection, Jwt, UserInfo};
use crate::hub::Hub;
use crate::issuer::DataDir;

/// Sessions that somebody has ended here before their time, at most.
const MAX_ENDED: usize = 8192;
/// The paths that VelaUX has, too.
const VELAUX_PATHS: &str = "/api/v1/clusters";

/// Settings of signing in, as plain values.
#[derive(Debug, Clone)]
pub struct LoginConfig {
    /// `--session-lifetime`: the longest life of a session. Default 8 h.
    pub session_lifetime: Duration,
    /// `--session-key-file`: keys of sessions. Default: where the server is at [`Home`].
    pub session_key_file: Option<PathBuf>,
    /// `--login-oidc-*`: where people sign in. Default: nowhere, then they need a token or a certificate.
    pub oidc: Option<LoginOidcConfig>,
    /// `--velaux-*`: whether VelaUX' users may come in. Default: no.
    pub velaux: Option<VelaUxConfig>,
}

impl Default for LoginConfig {
    fn default() -> Self {
        Self {
            session_lifetime: Duration::from_secs(8 * 3600),
            session_key_file: None,
            oidc: None,
            velaux: None,
        }
    }
}

/// Where a server keeps what is its own.
#[derive(Clone)]
pub enum Home {
    /// In a hub.
    Hub {
        /// The hub.
        hub: Box<Hub>,
        /// Namespace of the Secret with the keys of sessions, [`SESSION_KEY`].
        namespace: String,
        /// Namespace of VelaUX' records; `None`: they are elsewhere.
        records: Option<String>,
    },
    /// In a directory.
    Directory(DataDir),
}

/// Finds out who asks, and lets people sign in and out.
pub struct Login {
    lifetime: Duration,
    cookies: Cookies,
    keys: SessionKeys,
    oidc: Option<OidcLogin>,
    velaux: Option<VelaUx>,
    attempts: Attempts,
    /// Sessions that ended before their time, by what no other session has.
    ended: Cache<[u8; 32], ()>,
    /// Scheme and host by which browsers know the console, if they are set.
    origin: Option<String>,
}

impl Login {
    /// `secure`: whether browsers see HTTPS. Nothing is read or asked yet.
    ///
    /// # Errors
    /// Every mistake in the settings, each with its flag.
    pub fn new(config: LoginConfig, home: &Home, secure: bool) -> Result<Self, Vec<String>> {
        let mut mistakes = Vec::new();
        let keys = SessionKeys::new(config.session_key_file, home);
        let records = match home {
            Home::Hub { hub, records, .. } => records.as_deref().map(|namespace| (&**hub, namespace)),
            Home::Directory(_) => None,
        };
        let velaux = config
            .velaux
            .and_then(|velaux| VelaUx::new(velaux, records).map_err(|mistake| mistakes.push(mistake)).ok());
        let oidc = config.oidc.and_then(|oidc| OidcLogin::new(oidc).map_err(|all| mistakes.extend(all)).ok());
        if !mistakes.is_empty() {
            return Err(mistakes);
        }
        Ok(Self {
            lifetime: config.session_lifetime,
            cookies: Cookies { secure },
            keys,
            origin: oidc.as_ref().and_then(OidcLogin::origin),
            oidc,
            velaux,
            attempts: Attempts::new(),
            ended: Cache::new(MAX_ENDED),
        })
    }

    /// What is wrong with the files of the settings. Neither hub nor provider need be there yet.
    pub async fn check(&self) -> Vec<String> {
        let mut problems = Vec::from_iter(self.keys.check().await.err());
        if let Some(velaux) = &self.velaux {
            problems.extend(velaux.check().await.err());
        }
        if let Some(oidc) = &self.oidc {
            problems.extend(oidc.client.check_files().await);
        }
        problems
    }

    /// Follows keys and provider for ever.
    pub async fn watch(&self) {
        let velaux = async {
            if let Some(velaux) = &self.velaux {
                velaux.watch().await;
            }
        };
        let oidc = async {
            if let Some(oidc) = &self.oidc {
                oidc.client.watch().await;
            }
        };
        tokio::join!(self.keys.watch(), velaux, oidc);
    }

    /// Who sends this request. Afterwards no credential, no identity header and no cookie is left in `parts`. Whether the
    /// request is theirs and not another site's is for [`Login::check_forgery`] to say.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn identify(
        &self,
        authn: &Authenticator,
        connection: &Connection,
        parts: &mut Parts,
    ) -> Result<Caller, Failure> {
        let found = self.found(authn, connection, parts).await;
        authn.strip(&mut parts.headers);
        found.map_err(|failure| match &self.velaux {
            Some(_) if is_velauxs(parts.uri.path()) => failure.at_velaux(),
            _ => failure,
        })
    }

    /// Whether a request is its caller's own. A certificate is like a cookie: a browser shows it for whoever asks.
    ///
    /// # Errors
    /// [`Failure::Forged`].
    pub fn check_forgery(
        &self,
        caller: &Caller,
        connection: &Connection,
        parts: &mut Parts,
    ) -> Result<(), Failure> {
        let forged = match &caller.csrf {
            None if connection.certificates().is_empty() => Ok(()),
            csrf => forgery::check(parts, csrf.as_ref(), self.origin.as_deref()),
        };
        parts.headers.remove(forgery::CSRF_TOKEN);
        forged.map_err(|forged| Failure::Forged(ForgedRequest::from(forged)))
    }
}

/// Nobody in particular may manage anything.
fn somebody(user: Arc<UserInfo>) -> Result<Arc<UserInfo>, Failure> {
    if user.is_anonymous() { Err(Failure::NotSignedIn) } else { Ok(user) }
}

/// When a token ends by its own word, which is only ever used to end a session sooner.
fn token_expires(token: &str) -> Option<SystemTime> {
    let seconds = Jwt::parse(token)?.claims.get("exp")?.as_f64()?;
    if seconds.is_finite() && seconds >= 0.0 { session::moment(seconds as u64) } else { None }
}

fn is_velauxs(path: &str) -> bool {
    path.strip_prefix(VELAUX_PATHS).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login")
            .field("oidc", &self.oidc)
            .field("velaux", &self.velaux)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Home {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hub { namespace, .. } => write!(f, "Hub(namespace {namespace})"),
            Self::Directory(dir) => write!(f, "Directory({})", dir.path().display()),
        }
    }
}

//! Who asks: for people with a browser, VelaUX' front end, and programs (`console/API.md`, "Sessions" and "Signing in").
//!
//! What is shown and wrong is refused: nobody falls through to a weaker way. A session is a sealed cookie, so that replicas
//! share nothing but a key. What it will never do: keep a token anywhere but in that cookie, or log one.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http::request::Parts;
use http::{HeaderValue, header};
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

use attempts::Attempts;
use cookie::{Cookie, Cookies, Found};
pub use failure::{Failure, ForgedRequest, VelaUxFailure};
pub use keys::SESSION_KEY;
use keys::SessionKeys;
use oidc::OidcLogin;
pub use oidc::{CALLBACK, LoginOidcConfig};
pub(super) use routes::{is_open, routes};
use seal::Purpose;
pub use session::Method;
pub(super) use session::Secret;
use session::{Session, Subject};
pub use sign_in::{Redirect, SignedIn};
pub use velaux::VelaUxConfig;
use velaux::{Presented, VelaUx};

use super::{Caller, Means};
use crate::authn::{Authenticator, Connection, Jwt, TokenError, UserInfo};
use crate::hub::Hub;
use crate::issuer::DataDir;
use crate::pki;

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

    async fn found(
        &self,
        authn: &Authenticator,
        connection: &Connection,
        parts: &mut Parts,
    ) -> Result<Caller, Failure> {
        refuse_impersonation(parts)?;
        let mut values = parts.headers.get_all(header::AUTHORIZATION).iter();
        let authorization = match (values.next(), values.next()) {
            (Some(_), Some(_)) => {
                return Err(Failure::Credential("there is more than one Authorization header".to_owned()));
            }
            (value, _) => value.cloned(),
        };
        match authorization {
            Some(value) => self.by_header(authn, connection, parts, &value).await,
            None if !connection.certificates().is_empty() => {
                match self.by_certificate(authn, connection, parts).await? {
                    Some(caller) => Ok(caller),
                    None => self.by_cookie(authn, connection, parts).await,
                }
            }
            None => self.by_cookie(authn, connection, parts).await,
        }
    }

    /// VelaUX' token, or a bearer token. What nobody knows counts against the address that it comes from.
    async fn by_header(
        &self,
        authn: &Authenticator,
        connection: &Connection,
        parts: &mut Parts,
        value: &HeaderValue,
    ) -> Result<Caller, Failure> {
        let peer = connection.peer().ip();
        let Ok(text) = value.to_str() else {
            return Err(Failure::Credential("the Authorization header is no text".to_owned()));
        };
        if !self.attempts.knows(text) {
            self.attempts.check(peer).map_err(Failure::TooMany)?;
        }
        let found = match self.velaux.as_ref().map(|velaux| (velaux, VelaUx::read(text))) {
            Some((velaux, Presented::Ours(token))) => {
                let verified = velaux.verify(&token, SystemTime::now()).await;
                verified.map(|(user, expires)| by_token(user, Means::VelaUx, Some(expires)))
            }
            Some((_, Presented::Others(otherwise))) => {
                let found = self.by_bearer(authn, connection, parts, text).await;
                found.map_err(|failure| match failure {
                    Failure::Credential(_) => Failure::VelaUx(otherwise),
                    other => other,
                })
            }
            None => self.by_bearer(authn, connection, parts, text).await,
        };
        match &found {
            Ok(_) => self.attempts.learn(text),
            // A token whose time is over was a good one once; nobody guesses those.
            Err(Failure::VelaUx(VelaUxFailure::Expired | VelaUxFailure::NotValidYet)) => {}
            Err(Failure::Credential(_) | Failure::VelaUx(_)) => {
                self.attempts.forget(text);
                self.attempts.failed(peer);
            }
            Err(_) => {}
        }
        found
    }

    async fn by_bearer(
        &self,
        authn: &Authenticator,
        connection: &Connection,
        parts: &mut Parts,
        value: &str,
    ) -> Result<Caller, Failure> {
        if !connection.certificates().is_empty()
            && let Some(caller) = self.by_certificate(authn, connection, parts).await?
        {
            return Ok(caller);
        }
        let token = value.split_once(' ').filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
        let token = token.map(|(_, token)| token.trim()).filter(|token| !token.is_empty());
        let Some(token) = token else {
            return Err(Failure::Credential("the Authorization header holds no bearer token".to_owned()));
        };
        let user = authn.whose_token(token, connection.peer().ip()).await.map_err(|error| match error {
            TokenError::Refused(cause) => Failure::Credential(format!("bearer token: {cause}")),
            TokenError::Unavailable(cause) => Failure::Unavailable(cause),
        })?;
        somebody(user).map(|user| by_token(user, Means::Credential, token_expires(token)))
    }

    /// By what the connection shows, and what a front proxy says there. `None`: nobody is named.
    async fn by_certificate(
        &self,
        authn: &Authenticator,
        connection: &Connection,
        parts: &mut Parts,
    ) -> Result<Option<Caller>, Failure> {
        let mut asked = without_body(parts);
        asked.headers.remove(header::AUTHORIZATION);
        match authn.authenticate_on_open_path(connection, &mut asked).await {
            Ok(user) if user.is_anonymous() => Ok(None),
            Ok(user) => {
                let ends = connection.certificates().first().and_then(|leaf| pki::validity(leaf).ok());
                let expires = ends.map(|times| *times.end());
                let (means, method) = (Means::Credential, Method::ClientCertificate);
                Ok(Some(Caller { user, means, method, expires, csrf: None }))
            }
            Err(error) => Err(Failure::Credential(cause(&error))),
        }
    }

    async fn by_cookie(
        &self,
        authn: &Authenticator,
        connection: &Connection,
        parts: &Parts,
    ) -> Result<Caller, Failure> {
        let session = self.session(parts).await?;
        let user = match &session.subject {
            Subject::User(user) => Arc::clone(user),
            Subject::Token(token) => {
                let whose = authn.whose_token(token, connection.peer().ip()).await;
                whose.map_err(|error| match error {
                    TokenError::Refused(_) => Failure::Ended("its token is no longer accepted"),
                    TokenError::Unavailable(cause) => Failure::Unavailable(cause),
                })?
            }
        };
        let user = somebody(user)?;
        Ok(session.caller(user))
    }

    /// The session of the cookie, if it is one of ours and has not ended.
    async fn session(&self, parts: &Parts) -> Result<Session, Failure> {
        let sealed = match self.cookies.get(Cookie::Session, &parts.headers) {
            Found::Nothing => return Err(Failure::NotSignedIn),
            Found::Several => return Err(Failure::Ended("the browser has sent two of them")),
            Found::One(sealed) => sealed,
        };
        let opened = self.keys.open(Purpose::Session, sealed).await.map_err(Failure::Unavailable)?;
        let session = opened.and_then(|bytes| Session::from_bytes(&bytes));
        let session = session.ok_or(Failure::Ended("its cookie cannot be read, or its key is gone"))?;
        if session.has_ended(SystemTime::now()) {
            return Err(Failure::Ended("its time is over"));
        }
        if self.ended.get(&session.csrf.bytes()).is_some() {
            return Err(Failure::Ended("somebody has signed out"));
        }
        Ok(session)
    }
}

fn by_token(user: Arc<UserInfo>, means: Means, expires: Option<SystemTime>) -> Caller {
    Caller { user, means, method: Method::Token, expires, csrf: None }
}

/// Impersonation is for requests to the gateway itself; who means to be somebody else here must not act as themselves.
fn refuse_impersonation(parts: &Parts) -> Result<(), Failure> {
    let asked = parts.headers.keys().find(|name| name.as_str().replace('_', "-").starts_with("impersonate-"));
    match asked {
        None => Ok(()),
        Some(name) => Err(Failure::BadRequest {
            message: format!(
                "the management API does not impersonate: send the request without the header {name}"
            ),
            field: None,
        }),
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

/// The head of the request, to be taken apart by authentication.
fn without_body(parts: &Parts) -> Parts {
    let mut copy = http::Request::new(()).into_parts().0;
    copy.method = parts.method.clone();
    copy.uri = parts.uri.clone();
    copy.version = parts.version;
    copy.headers = parts.headers.clone();
    copy
}

fn cause(error: &crate::status::Error) -> String {
    match error {
        crate::status::Error::Unauthorized(cause)
        | crate::status::Error::UnauthorizedWithAdvice { cause, .. } => cause.clone(),
        other => other.to_string(),
    }
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

//! Signing in and out.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http::HeaderValue;
use http::request::Parts;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::cookie::{Cookie, Found, MAX_COOKIE};
use super::oidc::{Brought, OidcLogin, PATIENCE, State, told};
use super::seal::Purpose;
use super::session::{Session, Subject};
use super::{Failure, ForgedRequest, Login, Method, forgery, somebody, token_expires};
use crate::authn::{Authenticator, Connection, LoginError, TokenError, UserInfo};
use crate::manage::Caller;
use crate::request::query_value;

/// Bytes of a token that somebody signs in with, at most. What is longer fits into no cookie.
const MAX_TOKEN: usize = MAX_COOKIE;

/// Somebody who has just signed in.
#[derive(Debug)]
pub struct SignedIn {
    /// Who they are.
    pub caller: Caller,
    /// The `Set-Cookie` by which the browser knows from now on.
    pub cookie: HeaderValue,
}

/// Where a browser goes next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redirect {
    /// A path here, or a URL of the provider.
    pub location: String,
    /// What it is to keep or to forget, as `Set-Cookie`.
    pub cookies: Vec<HeaderValue>,
    /// Who has signed in, if somebody has.
    pub user: Option<Arc<UserInfo>>,
}

impl Login {
    /// What people call the provider at which they may sign in; `None`: there is none.
    #[must_use]
    pub fn oidc_name(&self) -> Option<&str> {
        self.oidc.as_ref().map(|oidc| oidc.name.as_str())
    }

    /// Signs somebody in who has a bearer token.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn with_token(
        &self,
        authn: &Authenticator,
        connection: &Connection,
        parts: &Parts,
        token: &str,
    ) -> Result<SignedIn, Failure> {
        if forgery::is_of_another_site(parts, self.origin.as_deref()) {
            return Err(Failure::Forged(ForgedRequest::from(forgery::Forged::Site)));
        }
        let token = token.trim();
        let wrong = |what: &str| Failure::BadRequest { message: what.to_owned(), field: Some("token") };
        if token.is_empty() {
            return Err(wrong("there is no token"));
        }
        if token.len() > MAX_TOKEN {
            return Err(Failure::TooLarge(format!("the token alone has {} bytes", token.len())));
        }
        if token.contains(|character: char| !character.is_ascii_graphic()) {
            return Err(wrong("the token holds characters that no token has; was it copied as a whole?"));
        }
        let peer = connection.peer().ip();
        let attempt = self.attempts.begin(peer).map_err(Failure::TooMany)?;
        let user = match authn.whose_token(token, peer).await.map(somebody) {
            Ok(Ok(user)) => user,
            Ok(Err(_)) => return Err(Failure::Token("it is that of nobody in particular".to_owned())),
            Err(TokenError::Refused(cause)) => return Err(Failure::Token(cause)),
            Err(TokenError::Unavailable(cause)) => {
                attempt.forgive();
                return Err(Failure::Unavailable(cause));
            }
        };
        attempt.forgive();
        let (subject, ends) = (Subject::Token(token.to_owned()), token_expires(token));
        let size = || format!("the token has {} bytes", token.len());
        self.signed_in(Method::Token, subject, user, ends, size).await
    }

    /// Ends the caller's session, if it is by one that they ask, and returns the `Set-Cookie` that removes its cookie. A copy
    /// of the cookie is good for nothing more here; other replicas do not learn of it.
    #[must_use]
    pub fn sign_out(&self, caller: &Caller) -> HeaderValue {
        if let Some(session) = &caller.csrf {
            self.ended.insert(session.bytes(), ());
            tracing::info!(user = caller.user.name, "signed out");
        }
        self.no_session()
    }

    /// The `Set-Cookie` that removes the cookie of a session.
    #[must_use]
    pub fn no_session(&self) -> HeaderValue {
        self.cookies.clear(Cookie::Session)
    }

    /// Sends somebody to the provider. Whatever goes wrong leads to the page for signing in.
    pub async fn to_provider(&self, parts: &Parts) -> Redirect {
        let Some(oidc) = &self.oidc else {
            return refused("signing in by OpenID Connect is not set up here");
        };
        match self.begun(oidc, parts).await {
            Ok((location, cookie)) => Redirect { location, cookies: vec![cookie], user: None },
            Err(text) => refused(&text),
        }
    }

    async fn begun(&self, oidc: &OidcLogin, parts: &Parts) -> Result<(String, HeaderValue), String> {
        let to = query_value(parts.uri.query().unwrap_or_default(), "return").unwrap_or_default();
        let state = oidc.begin(parts, self.cookies.secure, &to, SystemTime::now());
        let state = state.ok_or("the request names no host that the sign-in service could lead back to")?;
        let location = oidc.client.authorization_url(&state.begun()).await.map_err(|error| log(&error))?;
        let sealed = self.keys.seal(Purpose::OidcState, &state.to_bytes()).await?;
        let cookie = self.cookies.set(Cookie::OidcState, &sealed, PATIENCE);
        cookie.map(|cookie| (location, cookie)).map_err(|_| "the path to return to is too long".to_owned())
    }

    /// Lets somebody in who comes back from the provider. Whatever goes wrong leads to the page for signing in.
    pub async fn from_provider(&self, connection: &Connection, parts: &Parts) -> Redirect {
        let forget = self.cookies.clear(Cookie::OidcState);
        match self.returned(connection, parts).await {
            Ok((location, SignedIn { caller, cookie })) => {
                Redirect { location, cookies: vec![cookie, forget], user: Some(caller.user) }
            }
            Err(text) => Redirect { cookies: vec![forget], ..refused(&text) },
        }
    }

    async fn returned(&self, connection: &Connection, parts: &Parts) -> Result<(String, SignedIn), String> {
        let oidc = self.oidc.as_ref().ok_or("signing in by OpenID Connect is not set up here")?;
        let attempt = self.attempts.begin(connection.peer().ip());
        let attempt = attempt.map_err(|wait| Failure::TooMany(wait).to_string())?;
        let unknown = "this sign-in was not begun in this browser, or took longer than 10 minutes";
        let state = self.state(parts).await?.ok_or(unknown)?;
        let query = parts.uri.query().unwrap_or_default();
        let code = match state.brought(query, oidc.client.issuer()).ok_or(unknown)? {
            Brought::Code(code) => code,
            Brought::Refusal(words) => {
                attempt.forgive();
                return Err(format!("the sign-in service says: {words}"));
            }
        };
        let signed_in = match oidc.client.finish(&code, &state.begun()).await {
            Ok(signed_in) => signed_in,
            Err(error) => {
                if matches!(error, LoginError::Unavailable(_) | LoginError::Secret(_)) {
                    attempt.forgive();
                }
                return Err(log(&error));
            }
        };
        attempt.forgive();
        let (user, ends) = (signed_in.user, Some(signed_in.expires));
        let subject = Subject::User(user.clone());
        let size = || format!("\"{}\" is in {} groups", user.name, user.groups.len());
        let signed_in = self.signed_in(Method::Oidc, subject, user.clone(), ends, size).await;
        signed_in.map(|signed_in| (state.to, signed_in)).map_err(|failure| failure.to_string())
    }

    async fn state(&self, parts: &Parts) -> Result<Option<State>, String> {
        let Found::One(sealed) = self.cookies.get(Cookie::OidcState, &parts.headers) else { return Ok(None) };
        let opened = self.keys.open(Purpose::OidcState, sealed).await?;
        Ok(opened.and_then(|bytes| State::from_bytes(&bytes, SystemTime::now())))
    }

    async fn signed_in(
        &self,
        method: Method,
        subject: Subject,
        user: Arc<UserInfo>,
        ends: Option<SystemTime>,
        size: impl Fn() -> String,
    ) -> Result<SignedIn, Failure> {
        let now = SystemTime::now();
        let session = Session::begin(method, subject, self.lifetime, ends, now);
        let session =
            session.ok_or_else(|| Failure::Unavailable("the system has no randomness to give".to_owned()))?;
        let sealed = self.keys.seal(Purpose::Session, &session.to_bytes()).await;
        let age = session.expires.duration_since(now).unwrap_or(Duration::ZERO);
        let cookie = self.cookies.set(Cookie::Session, &sealed.map_err(Failure::Unavailable)?, age);
        let cookie = cookie.map_err(|bytes| Failure::TooLarge(format!("it has {bytes}; {}", size())))?;
        tracing::info!(user = user.name, ?method, "signed in");
        Ok(SignedIn { caller: session.caller(user), cookie })
    }
}

/// The page for signing in, with why it did not work.
fn refused(text: &str) -> Redirect {
    let location = format!("/login?error={}", utf8_percent_encode(text, NON_ALPHANUMERIC));
    Redirect { location, cookies: Vec::new(), user: None }
}

fn log(error: &LoginError) -> String {
    tracing::warn!(%error, "somebody could not sign in by OpenID Connect");
    told(error)
}

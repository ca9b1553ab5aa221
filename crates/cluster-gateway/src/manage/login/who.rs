//! The ways of saying who one is, from the strongest on.

use std::sync::Arc;
use std::time::SystemTime;

use http::request::Parts;
use http::{HeaderValue, header};

use super::cookie::{Cookie, Found};
use super::seal::Purpose;
use super::session::{Session, Subject};
use super::velaux::{Presented, VelaUx};
use super::{Failure, Login, Method, VelaUxFailure, somebody, token_expires};
use crate::authn::{Authenticator, Connection, TokenError, UserInfo};
use crate::manage::{Caller, Means};
use crate::pki;
use crate::status::Error;

impl Login {
    /// Who sends the request. What is shown and wrong is refused, whatever else is shown.
    pub(super) async fn found(
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

/// The head of the request, to be taken apart by authentication.
fn without_body(parts: &Parts) -> Parts {
    let mut copy = http::Request::new(()).into_parts().0;
    copy.method = parts.method.clone();
    copy.uri = parts.uri.clone();
    copy.version = parts.version;
    copy.headers = parts.headers.clone();
    copy
}

fn cause(error: &Error) -> String {
    match error {
        Error::Unauthorized(cause) | Error::UnauthorizedWithAdvice { cause, .. } => cause.clone(),
        other => other.to_string(),
    }
}

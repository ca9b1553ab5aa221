//! Who asks.

use std::sync::Arc;
use std::time::SystemTime;

use axum::extract::FromRequestParts;
use axum::response::{AppendHeaders, IntoResponse, Response};
use http::header;
use http::request::Parts;

use super::login::{self, Failure, Method, Secret};
use super::{Code, Manage, Refusal};
use crate::authn::{Connection, UserInfo};
use crate::record::Recording;
use crate::status::Error;

/// Somebody who has been authenticated. A handler that has one knows that whoever asks is known.
#[derive(Debug, Clone)]
pub struct Caller {
    /// Who.
    pub user: Arc<UserInfo>,
    /// What they showed.
    pub means: Means,
    /// How they have said who they are.
    pub method: Method,
    /// When that ends; `None`: it has no end, or is not known. Endless answers end with it.
    pub expires: Option<SystemTime>,
    /// What requests that change something must carry; `None`: nothing, as no cookie says who asks.
    pub(super) csrf: Option<Secret>,
}

/// What a caller showed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Means {
    /// A bearer token or a client certificate, with this very request.
    Credential,
    /// The cookie of a session.
    Session,
    /// A token of VelaUX.
    VelaUx,
}

impl FromRequestParts<Arc<Manage>> for Caller {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &Arc<Manage>) -> Result<Self, Refusal> {
        parts.extensions.get::<Self>().cloned().ok_or_else(|| {
            Refusal::new(Code::Unauthenticated, "sign in, or send a bearer token or a client certificate")
        })
    }
}

impl Caller {
    /// What `X-CSRF-Token` of their requests that change something must be; empty if they need none.
    #[must_use]
    pub fn csrf_token(&self) -> String {
        self.csrf.map_or_else(String::new, |secret| secret.text())
    }
}

/// Finds out who asks, before any handler runs, and writes it down. `parts` holds the [`Caller`] then, unless everybody may
/// use the path.
pub(super) async fn admit(
    manage: &Manage,
    connection: &Connection,
    parts: &mut Parts,
    recording: &Recording,
) -> Result<(), Response> {
    if login::is_open(&parts.method, parts.uri.path()) {
        return Ok(());
    }
    let login = &manage.login;
    let caller = match login.identify(&manage.gateway.authn, connection, parts).await {
        Ok(caller) => caller,
        Err(failure) => {
            refused(recording, &failure.cause());
            log(&failure, connection, parts);
            let ended =
                matches!(failure, Failure::Ended(_)).then(|| (header::SET_COOKIE, login.no_session()));
            return Err((AppendHeaders(ended), Refusal::from(failure)).into_response());
        }
    };
    told(recording, &caller.user).await;
    login
        .check_forgery(&caller, connection, parts)
        .inspect_err(|failure| log(failure, connection, parts))
        .map_err(|failure| Refusal::from(failure).into_response())?;
    parts.extensions.insert(caller);
    Ok(())
}

/// The request is this user's, from here on.
pub(super) async fn told(recording: &Recording, user: &UserInfo) {
    if let Some(room) = recording.authenticated(user) {
        room.await;
    }
    recording.user(user);
}

/// The request is nobody's.
pub(super) fn refused(recording: &Recording, cause: &str) {
    recording.failed(&Error::Unauthorized(cause.to_owned()));
}

/// What a person cannot be told is in the log; what they do by themselves every day is not.
fn log(failure: &Failure, connection: &Connection, parts: &Parts) {
    let (peer, path, cause) = (connection.peer(), parts.uri.path(), failure.cause());
    match failure {
        Failure::NotSignedIn | Failure::Ended(_) => {
            tracing::debug!(%peer, path, cause, "a request for management is refused");
        }
        _ => tracing::info!(%peer, path, cause, "a request for management is refused"),
    }
}

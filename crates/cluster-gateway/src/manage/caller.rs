//! Who asks.

use std::sync::Arc;
use std::time::SystemTime;

use axum::extract::{FromRequestParts, Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http::request::Parts;

use super::{Code, Manage, Refusal};
use crate::authn::{Connection, UserInfo};

/// Somebody who has been authenticated. A handler that has one knows that whoever asks is known.
#[derive(Debug, Clone)]
pub struct Caller {
    /// Who.
    pub user: Arc<UserInfo>,
    /// How they showed it.
    pub means: Means,
    /// When that ends; `None`: it has no end, or none that is known.
    pub expires: Option<SystemTime>,
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

/// Finds out who asks, before any handler runs.
pub(super) async fn identify(
    State(manage): State<Arc<Manage>>,
    request: Request,
    next: Next,
) -> Result<Response, Refusal> {
    let (mut parts, body) = request.into_parts();
    let connection = parts.extensions.get::<Arc<Connection>>().cloned();
    let connection = connection
        .ok_or_else(|| Refusal::new(Code::Internal, "the connection of this request is not known"))?;
    let user = manage.gateway.authn.authenticate(&connection, &mut parts).await?;
    if !user.is_anonymous() {
        parts.extensions.insert(Caller { user, means: Means::Credential, expires: None });
    }
    Ok(next.run(Request::from_parts(parts, body)).await)
}

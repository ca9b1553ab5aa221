//! Which path is answered by what.

use std::sync::Arc;

use axum::Router;
use http::Uri;

use super::{Code, Manage, Refusal, fleet, join, login, openapi, pages, velaux};

/// All routes. Who asks has been found out before.
pub(super) fn router(manage: &Arc<Manage>) -> Router {
    let api = Router::new()
        .merge(login::routes())
        .merge(fleet::router())
        .merge(join::router())
        .merge(velaux::router())
        .merge(openapi::router())
        .fallback(unknown)
        .method_not_allowed_fallback(not_allowed);
    Router::new().nest("/api", api).fallback(pages::page).with_state(Arc::clone(manage))
}

async fn unknown(uri: Uri) -> Refusal {
    Refusal::new(Code::UnknownRoute, format!("there is nothing at {}", uri.path()))
}

async fn not_allowed(method: http::Method, uri: Uri) -> Refusal {
    Refusal::new(Code::MethodNotAllowed, format!("{method} is not possible on {}", uri.path()))
}

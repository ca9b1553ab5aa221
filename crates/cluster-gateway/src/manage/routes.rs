//! Which path is answered by what.

use std::sync::Arc;

use axum::Router;
use axum::middleware::from_fn_with_state;
use http::Uri;

use super::caller::identify;
use super::{Code, Manage, Refusal, openapi, pages, velaux};

/// All routes.
pub(super) fn router(manage: &Arc<Manage>) -> Router {
    let api = Router::new()
        .merge(velaux::router())
        .merge(openapi::router())
        .fallback(unknown)
        .method_not_allowed_fallback(not_allowed)
        .layer(from_fn_with_state(Arc::clone(manage), identify));
    Router::new().nest("/api", api).fallback(pages::page).with_state(Arc::clone(manage))
}

async fn unknown(uri: Uri) -> Refusal {
    Refusal::new(Code::UnknownRoute, format!("there is nothing at {}", uri.path()))
}

async fn not_allowed(method: http::Method, uri: Uri) -> Refusal {
    Refusal::new(Code::MethodNotAllowed, format!("{method} is not possible on {}", uri.path()))
}

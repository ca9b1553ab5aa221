//! The OpenAPI document of everything below `/api/`.
//!
//! It is written by hand: it is what clients rely on, so a change of the code must not change it unseen. A test holds that the
//! routes of the code and of the document are the same.

use std::sync::Arc;

use axum::Router;
use axum::response::IntoResponse;
use axum::routing::get;
use http::header;

use super::{Caller, Manage};

/// The document, as it is served.
const DOCUMENT: &str = include_str!("openapi.json");

/// Its route. Whoever is signed in may read it.
pub(super) fn router() -> Router<Arc<Manage>> {
    Router::new().route("/v1/openapi.json", get(document))
}

async fn document(_caller: Caller) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], DOCUMENT)
}

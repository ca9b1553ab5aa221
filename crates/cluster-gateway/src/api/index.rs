//! The list of paths: the answer of `/`, and of every path that is not there (contract rules 1-4).

use bytes::Bytes;
use cluster_gateway_client::{BASE_PATH, GROUP};
use http::{HeaderValue, Response, StatusCode, header};
use serde::Serialize;

use super::health::Checks;
use crate::body::Body;

#[derive(Serialize)]
struct RootPaths {
    paths: Vec<String>,
}

/// The list, sorted and indented.
pub(super) fn render(checks: &Checks) -> Bytes {
    let group = format!("/apis/{GROUP}");
    let mut paths: Vec<String> = [
        "/apis",
        &group,
        BASE_PATH,
        "/metrics",
        "/metrics/slis",
        "/openapi/v2",
        "/openapi/v3",
        "/openapi/v3/",
        "/version",
    ]
    .map(str::to_owned)
    .into();
    paths.extend(checks.paths());
    paths.sort();
    serde_json::to_vec_pretty(&RootPaths { paths }).expect("a list of strings is JSON").into()
}

pub(super) fn found(index: &Bytes) -> Response<Body> {
    respond(StatusCode::OK, index)
}

pub(super) fn not_found(index: &Bytes) -> Response<Body> {
    respond(StatusCode::NOT_FOUND, index)
}

fn respond(status: StatusCode, index: &Bytes) -> Response<Body> {
    let mut response = Response::new(Body::from(index.clone()));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

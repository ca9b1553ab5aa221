//! `/openapi/v2` and `/openapi/v3`, for the aggregator and `kubectl explain` (contract rules 42, 43, 45-53).
//!
//! JSON only; every document is made once, with its ETag.

use cluster_gateway_client::{BASE_PATH, GROUP};
use http::request::Parts;
use http::{HeaderValue, Response, StatusCode, header};
use serde_json::{Map, Value, json};
use time::OffsetDateTime;

use super::negotiate::accepts_json;
use crate::body::Body;
use crate::request::query_value;
use crate::status::Error;

mod content;
mod dialect;
mod paths;
mod schemas;

use content::Content;
use dialect::Dialect;
pub(super) use schemas::unknown_fields;

/// How long a document that is named by its hash may be kept.
const YEAR: time::Duration = time::Duration::days(365);

/// The documents.
pub(super) struct OpenApi {
    v2: Content,
    v3: Content,
    /// Path below `/openapi/v3/`, and what stands there.
    groups: Vec<(String, Content)>,
}

impl OpenApi {
    pub(super) fn new() -> Self {
        let groups: Vec<_> =
            ["apis".to_owned(), format!("apis/{GROUP}"), BASE_PATH[1..].to_owned(), "version".to_owned()]
                .into_iter()
                .map(|path| {
                    let document = Content::new(v3(&paths::below(&path, Dialect::V3)).to_string());
                    (path, document)
                })
                .collect();
        let index: Map<_, _> = groups
            .iter()
            .map(|(path, document)| {
                let url = format!("/openapi/v3/{path}?hash={}", document.hash());
                (path.clone(), json!({ "serverRelativeURL": url }))
            })
            .collect();
        // Compressed as the original's handler does it: version 2 only, whatever its length.
        Self {
            v2: Content::compressed(v2().to_string()),
            v3: Content::new(json!({ "paths": index }).to_string()),
            groups,
        }
    }

    /// The answer at `path`, whatever the method; `None`: the path is not one of these.
    pub(super) fn answer(&self, path: &str, parts: &Parts) -> Option<Result<Response<Body>, Error>> {
        match path.strip_prefix("/openapi/")? {
            "v2" => Some(Ok(negotiated(&self.v2, parts, Content::respond))),
            "v3" | "v3/" => Some(Ok(self.v3.respond(parts))),
            rest => {
                let path = rest.strip_prefix("v3/")?;
                let document = self.groups.iter().find(|(own, _)| own == path);
                // Rule 52: the original says 200 to any other path, and sends nothing.
                let document = document.ok_or(Error::UnknownPath);
                Some(document.map(|(_, document)| negotiated(document, parts, respond_by_hash)))
            }
        }
    }
}

/// The answer of `respond`, or a 406 to who does not take JSON (rule 45).
fn negotiated(
    document: &Content,
    parts: &Parts,
    respond: fn(&Content, &Parts) -> Response<Body>,
) -> Response<Body> {
    let mut response = if accepts_json(&parts.headers) { respond(document, parts) } else { not_acceptable() };
    response.headers_mut().append(header::VARY, HeaderValue::from_static("Accept"));
    response
}

/// Rules 50, 51: what is asked for by its hash never changes; asked for by a wrong one, it is served all the same,
/// because a redirect would not pass kube-apiserver.
fn respond_by_hash(document: &Content, parts: &Parts) -> Response<Body> {
    let mut response = document.respond(parts);
    match query_value(parts.uri.query().unwrap_or_default(), "hash") {
        None => {}
        Some(hash) if hash.is_empty() => {}
        Some(hash) if hash == document.hash() => {
            let immutable = HeaderValue::from_static("public, immutable");
            response.headers_mut().insert(header::CACHE_CONTROL, immutable);
            content::insert_date(&mut response, header::EXPIRES, OffsetDateTime::now_utc() + YEAR);
        }
        Some(_) => {
            response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        }
    }
    response
}

/// Without a body, as the original's handler answers (rule 45).
fn not_acceptable() -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NOT_ACCEPTABLE;
    response
}

/// Rule 47.
fn info() -> Value {
    json!({ "title": "Cluster Gateway", "version": "1.0.0" })
}

fn v2() -> Value {
    json!({
        "swagger": "2.0",
        "info": info(),
        "paths": paths::all(Dialect::V2),
        "definitions": schemas::all(Dialect::V2),
    })
}

fn v3(paths: &Map<String, Value>) -> Value {
    json!({
        "openapi": "3.0.0",
        "info": info(),
        "paths": paths,
        "components": { "schemas": schemas::used(paths) },
    })
}

//! `/openapi/v2` and `/openapi/v3`, for the aggregator and `kubectl explain` (contract rules 42, 43, 45-53).
//!
//! JSON only; every document is made once, with its ETag.

use std::time::SystemTime;

use bytes::Bytes;
use cluster_gateway_client::{BASE_PATH, GROUP};
use http::request::Parts;
use http::{HeaderValue, Response, StatusCode, header};
use serde_json::{Map, Value, json};
use time::OffsetDateTime;
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;

use super::encode::{is_held, sha512};
use super::negotiate::accepts_json;
use crate::body::Body;
use crate::request::query_value;
use crate::status::Error;

mod dialect;
mod paths;
mod schemas;

use dialect::Dialect;

/// Format of HTTP dates.
const HTTP_DATE: &[BorrowedFormatItem<'_>] =
    format_description!("[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT");
/// How long a document that is named by its hash may be kept.
const YEAR: time::Duration = time::Duration::days(365);

/// The documents.
pub(super) struct OpenApi {
    v2: Document,
    v3: Document,
    /// Path below `/openapi/v3/`, and what stands there.
    groups: Vec<(String, Document)>,
}

struct Document {
    json: Bytes,
    hash: String,
    made: OffsetDateTime,
}

impl OpenApi {
    pub(super) fn new() -> Self {
        let groups: Vec<_> =
            ["apis".to_owned(), format!("apis/{GROUP}"), BASE_PATH[1..].to_owned(), "version".to_owned()]
                .into_iter()
                .map(|path| {
                    let document = Document::new(&v3(&paths::below(&path, Dialect::V3)));
                    (path, document)
                })
                .collect();
        let index: Map<_, _> = groups
            .iter()
            .map(|(path, document)| {
                let url = format!("/openapi/v3/{path}?hash={}", document.hash);
                (path.clone(), json!({ "serverRelativeURL": url }))
            })
            .collect();
        Self { v2: Document::new(&v2()), v3: Document::new(&json!({ "paths": index })), groups }
    }

    /// The answer at `path`, whatever the method; `None`: the path is not one of these.
    pub(super) fn answer(&self, path: &str, parts: &Parts) -> Option<Result<Response<Body>, Error>> {
        match path.strip_prefix("/openapi/")? {
            "v2" => Some(Ok(self.v2.negotiated(parts, Document::respond))),
            "v3" | "v3/" => Some(Ok(self.v3.respond(parts))),
            rest => {
                let path = rest.strip_prefix("v3/")?;
                let document = self.groups.iter().find(|(own, _)| own == path);
                // Rule 52: the original says 200 to any other path, and sends nothing.
                let document = document.ok_or(Error::UnknownPath);
                Some(document.map(|(_, document)| document.negotiated(parts, Document::respond_by_hash)))
            }
        }
    }
}

impl Document {
    fn new(value: &Value) -> Self {
        let json = value.to_string();
        Self { hash: sha512(json.as_bytes()), json: json.into(), made: SystemTime::now().into() }
    }

    /// The answer of `respond`, or a 406 to who does not take JSON (rule 45).
    fn negotiated(&self, parts: &Parts, respond: fn(&Self, &Parts) -> Response<Body>) -> Response<Body> {
        if !accepts_json(&parts.headers) {
            return not_acceptable();
        }
        let mut response = respond(self, parts);
        response.headers_mut().insert(header::VARY, HeaderValue::from_static("Accept"));
        response
    }

    fn respond(&self, parts: &Parts) -> Response<Body> {
        let etag = format!("\"{}\"", self.hash);
        let held = is_held(parts, &etag);
        let mut response = Response::new(if held { Body::empty() } else { Body::from(self.json.clone()) });
        let headers = response.headers_mut();
        if !held {
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        if let Ok(etag) = HeaderValue::try_from(etag) {
            headers.insert(header::ETAG, etag);
        }
        insert_date(&mut response, header::LAST_MODIFIED, self.made);
        if held {
            *response.status_mut() = StatusCode::NOT_MODIFIED;
        }
        response
    }

    /// Rules 50, 51: what is asked for by its hash never changes; asked for by a wrong one, it is served all the same,
    /// because a redirect would not pass kube-apiserver.
    fn respond_by_hash(&self, parts: &Parts) -> Response<Body> {
        let mut response = self.respond(parts);
        match query_value(parts.uri.query().unwrap_or_default(), "hash") {
            None => {}
            Some(hash) if hash == self.hash => {
                let immutable = HeaderValue::from_static("public, immutable");
                response.headers_mut().insert(header::CACHE_CONTROL, immutable);
                insert_date(&mut response, header::EXPIRES, OffsetDateTime::now_utc() + YEAR);
            }
            Some(_) => {
                response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
            }
        }
        response
    }
}

fn insert_date(response: &mut Response<Body>, name: header::HeaderName, date: OffsetDateTime) {
    let text = date.format(HTTP_DATE).unwrap_or_default();
    if let Ok(value) = HeaderValue::try_from(text) {
        response.headers_mut().insert(name, value);
    }
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

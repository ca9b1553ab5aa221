//! How a failure stands on the wire.

use http::{HeaderValue, Response, header};
use serde::Serialize;

use super::{Error, NotAcceptable};
use crate::body::Body;

/// A Kubernetes `Status` of a failure, with its keys in the order in which kube-apiserver writes them.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    api_version: Option<&'static str>,
    metadata: Empty,
    status: &'static str,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    details: Option<Details>,
    code: u16,
}

#[derive(Debug, Clone, Serialize)]
struct Empty {}

/// `details` of a [`Status`] (rule 216a).
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Details {
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) name: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) group: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) kind: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) causes: Vec<Cause>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) retry_after_seconds: Option<u32>,
}

/// One of the `causes` in [`Details`].
#[derive(Debug, Clone, Serialize)]
pub(super) struct Cause {
    reason: &'static str,
    message: &'static str,
}

impl Cause {
    /// By this clients know that a version has not arrived yet.
    pub(super) const VERSION_TOO_LARGE: Self =
        Self { reason: "ResourceVersionTooLarge", message: "Too large resource version" };
}

impl Error {
    /// The Status without its type, as audit events hold it; `None`: the answer is plain text, which repeats the query
    /// (rule 137).
    #[must_use]
    pub fn untyped_status(&self) -> Option<Status> {
        let status = (!self.is_text()).then(|| Status::from(self))?;
        Some(Status { kind: None, api_version: None, ..status })
    }

    /// The answer. `pretty`: indent the JSON (rule 207).
    #[must_use]
    pub fn into_response(self, pretty: bool) -> Response<Body> {
        let mut response = if self.is_text() {
            let mut response = Response::new(Body::from(self.to_string()));
            let headers = response.headers_mut();
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
            headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
            response
        } else {
            let mut response = Response::new(Body::from(self.json(pretty)));
            response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
            response
        };
        *response.status_mut() = self.code();
        if matches!(self, Self::Forbidden(_)) {
            response
                .headers_mut()
                .insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        }
        if let Some(seconds) = self.retry_after() {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }

    fn json(&self, pretty: bool) -> Vec<u8> {
        let status = Status::from(self);
        let pretty = pretty || matches!(self, Self::NotAcceptable(NotAcceptable::Router(_)));
        let (mut bytes, newline) = if pretty {
            (serde_json::to_vec_pretty(&status), false)
        } else {
            (serde_json::to_vec(&status), true)
        };
        if let (Ok(bytes), true) = (&mut bytes, newline) {
            bytes.push(b'\n');
        }
        bytes.unwrap_or_default()
    }
}

impl From<&Error> for Status {
    fn from(error: &Error) -> Self {
        // The deadline's Status is written by a filter that does not know its own type (rule 123).
        let typed = !matches!(error, Error::Timeout);
        Self {
            kind: typed.then_some("Status"),
            api_version: typed.then_some("v1"),
            metadata: Empty {},
            status: "Failure",
            message: error.to_string(),
            reason: error.reason(),
            details: error.details(),
            code: error.code().as_u16(),
        }
    }
}

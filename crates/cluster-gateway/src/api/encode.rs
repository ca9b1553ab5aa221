//! Writes documents: compact or indented JSON, YAML.

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderValue, Response, header};
use serde::Serialize;

use super::negotiate::{DOCUMENT, Format, Output, negotiate};
use super::yaml;
use crate::body::Body;
use crate::status::Error;

/// Writes `value` as agreed.
///
/// # Errors
/// [`Error::Internal`] if it cannot be written, which no type here can cause.
pub(super) fn respond(value: &impl Serialize, output: Output) -> Result<Response<Body>, Error> {
    let bytes = match output.format {
        Format::Json if output.pretty => serde_json::to_vec_pretty(value),
        Format::Json => line(value),
        Format::Yaml => serde_json::to_value(value).map(|value| yaml::write(&value).into_bytes()),
    };
    let bytes = bytes.map_err(|error| Error::Internal(error.to_string()))?;
    Ok(typed(bytes.into(), output.format))
}

/// A document that never changes, in all its forms.
pub(super) struct Rendered {
    line: Bytes,
    pretty: Bytes,
    yaml: Bytes,
}

impl Rendered {
    pub(super) fn of(value: &impl Serialize) -> Self {
        let tree = serde_json::to_value(value).expect("a document of strings and lists is JSON");
        Self {
            line: line(value).expect("a document of strings and lists is JSON").into(),
            pretty: serde_json::to_vec_pretty(value).expect("a document of strings and lists is JSON").into(),
            yaml: yaml::write(&tree).into(),
        }
    }

    /// The answer in the form that the request asks for.
    pub(super) fn negotiated(&self, parts: &Parts) -> Result<Response<Body>, Error> {
        Ok(self.respond(negotiate(parts, &DOCUMENT)?))
    }

    pub(super) fn respond(&self, output: Output) -> Response<Body> {
        let bytes = match output.format {
            Format::Json if output.pretty => &self.pretty,
            Format::Json => &self.line,
            Format::Yaml => &self.yaml,
        };
        typed(bytes.clone(), output.format)
    }

    /// Compact JSON without the newline: what an ETag is made of.
    pub(super) fn compact(&self) -> &[u8] {
        self.line.strip_suffix(b"\n").unwrap_or(&self.line)
    }
}

/// Compact JSON and a newline (rule 207).
fn line(value: &impl Serialize) -> serde_json::Result<Vec<u8>> {
    let mut bytes = serde_json::to_vec(value)?;
    bytes.push(b'\n');
    Ok(bytes)
}

fn typed(bytes: Bytes, format: Format) -> Response<Body> {
    let content_type = match format {
        Format::Json => "application/json",
        Format::Yaml => "application/yaml",
    };
    let mut response = Response::new(Body::from(bytes));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

/// Upper-case hexadecimal SHA-512: what Kubernetes makes ETags and document hashes of (rules 32, 46).
pub(super) fn sha512(bytes: &[u8]) -> String {
    use sha2::{Digest, Sha512};
    Sha512::digest(bytes).iter().fold(String::with_capacity(128), |mut text, byte| {
        use std::fmt::Write as _;
        let _ = write!(text, "{byte:02X}");
        text
    })
}

/// Whether the client already holds what `etag` (quoted) stands for.
pub(super) fn is_held(parts: &Parts, etag: &str) -> bool {
    parts
        .headers
        .get_all(header::IF_NONE_MATCH)
        .into_iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|held| held.trim().trim_start_matches("W/"))
        .any(|held| held == etag || held == "*")
}

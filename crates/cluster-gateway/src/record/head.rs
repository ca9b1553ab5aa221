//! What the heads of a request and of its answer say.

use http::request::Parts;
use http::{HeaderValue, Response, header};

use super::AUDIT_ID;
use crate::body::Body;

/// Longest `Audit-ID` taken over from a caller, in bytes; a longer one is replaced.
const MAX_AUDIT_ID: usize = 64;

/// How many bytes an answer's body has, by itself or by its head.
pub(super) fn length(response: &Response<Body>) -> Option<u64> {
    let own = http_body::Body::size_hint(response.body()).exact();
    own.or_else(|| response.headers().get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok())
}

/// The caller's id if it is a sane one, else a new one.
pub(super) fn audit_id(parts: &Parts) -> HeaderValue {
    let sane = |value: &&HeaderValue| {
        !value.is_empty() && value.len() <= MAX_AUDIT_ID && value.as_bytes().iter().all(u8::is_ascii_graphic)
    };
    parts.headers.get(AUDIT_ID).filter(sane).cloned().unwrap_or_else(|| {
        let mut buffer = uuid::Uuid::encode_buffer();
        let text = uuid::Uuid::new_v4().hyphenated().encode_lower(&mut buffer);
        HeaderValue::from_str(text).unwrap_or_else(|_| HeaderValue::from_static("unknown"))
    })
}

//! What is done to answers before they leave.

use http::{HeaderValue, Response, header};

use crate::authn::Warning;
use crate::body::Body;

/// The answer to HEAD (rule 174): hyper leaves a body in place on HTTP/2, where clients take it for an error.
pub(super) fn without_body(response: Response<Body>) -> Response<Body> {
    let length = http_body::Body::size_hint(response.body()).exact().filter(|length| *length > 0);
    let mut response = response.map(|_| Body::empty());
    if let Some(length) = length {
        response.headers_mut().entry(header::CONTENT_LENGTH).or_insert(length.into());
    }
    response
}

/// Rule 116.
pub(super) fn uncached(mut response: Response<Body>) -> Response<Body> {
    let headers = response.headers_mut();
    if !headers.contains_key(header::CACHE_CONTROL) {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache, private"));
    }
    response
}

pub(super) fn warned(mut response: Response<Body>, warning: Option<Warning>) -> Response<Body> {
    if let Some(Warning(text)) = warning {
        let value = HeaderValue::from_str(&format!("299 - \"{text}\""));
        if let Ok(value) = value {
            response.headers_mut().append(header::WARNING, value);
        }
    }
    response
}

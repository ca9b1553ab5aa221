//! How a document is served whose bytes are known: conditions, ranges and codings, as Go's `http.ServeContent` answers
//! them (contract rule 46, RFC 9110).

use std::ops::Range;
use std::time::SystemTime;

use bytes::Bytes;
use flate2::Compression;
use http::request::Parts;
use http::{HeaderName, HeaderValue, Method, Response, StatusCode, header};
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;
use time::{OffsetDateTime, PrimitiveDateTime};

use crate::api::compress::{accepts_gzip, encoded, gzip};
use crate::api::encode::{is_held, sha512};
use crate::body::Body;

/// Format of HTTP dates.
const HTTP_DATE: &[BorrowedFormatItem<'_>] =
    format_description!("[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT");

/// A JSON document that never changes, with what it is known by.
pub(super) struct Content {
    json: Bytes,
    /// The same, compressed.
    gzip: Option<Bytes>,
    hash: String,
    made: OffsetDateTime,
}

impl Content {
    pub(super) fn new(json: String) -> Self {
        let made = OffsetDateTime::from(SystemTime::now());
        Self {
            hash: sha512(json.as_bytes()),
            gzip: None,
            json: json.into(),
            // The header's dates know no parts of a second.
            made: made.replace_nanosecond(0).unwrap_or(made),
        }
    }

    /// As [`Content::new`], and compressed for those who take that.
    pub(super) fn compressed(json: String) -> Self {
        let content = Self::new(json);
        Self { gzip: gzip(&content.json, Compression::best()), ..content }
    }

    /// Upper-case hexadecimal SHA-512.
    pub(super) fn hash(&self) -> &str {
        &self.hash
    }

    /// The whole document, a part of it, or why there is none to send.
    pub(super) fn respond(&self, parts: &Parts) -> Response<Body> {
        let etag = format!("\"{}\"", self.hash);
        let mut response = match self.condition(parts, &etag) {
            Some(status) => bare(status),
            None => self.content(parts, &etag),
        };
        if let Ok(etag) = HeaderValue::try_from(etag) {
            response.headers_mut().insert(header::ETAG, etag);
        }
        insert_date(&mut response, header::LAST_MODIFIED, self.made);
        response
    }

    /// What the conditions of a request come to, in the order of RFC 9110, 13.2.2; `None`: the document is sent.
    fn condition(&self, parts: &Parts, etag: &str) -> Option<StatusCode> {
        let given = |name: &HeaderName| parts.headers.contains_key(name);
        let date = |name| self.date(parts, name);
        let reads = matches!(parts.method, Method::GET | Method::HEAD);
        if given(&header::IF_MATCH) {
            if !names(parts, &header::IF_MATCH, etag) {
                return Some(StatusCode::PRECONDITION_FAILED);
            }
        } else if date(header::IF_UNMODIFIED_SINCE).is_some_and(|date| self.made > date) {
            return Some(StatusCode::PRECONDITION_FAILED);
        }
        if given(&header::IF_NONE_MATCH) {
            let refused = if reads { StatusCode::NOT_MODIFIED } else { StatusCode::PRECONDITION_FAILED };
            return is_held(parts, etag).then_some(refused);
        }
        let unchanged = reads && date(header::IF_MODIFIED_SINCE).is_some_and(|date| self.made <= date);
        unchanged.then_some(StatusCode::NOT_MODIFIED)
    }

    fn date(&self, parts: &Parts, name: HeaderName) -> Option<OffsetDateTime> {
        let text = parts.headers.get(name)?.to_str().ok()?;
        Some(PrimitiveDateTime::parse(text, HTTP_DATE).ok()?.assume_utc())
    }

    fn content(&self, parts: &Parts, etag: &str) -> Response<Body> {
        let length = self.json.len();
        let mut response = match self.range(parts, etag) {
            Asked::Whole => {
                let response = Response::new(Body::from(self.json.clone()));
                match self.gzip.as_ref().filter(|_| accepts_gzip(&parts.headers)) {
                    Some(compressed) => return typed(encoded(response, compressed.clone())),
                    None => response,
                }
            }
            Asked::Part(range) => {
                let place = format!("bytes {}-{}/{length}", range.start, range.end - 1);
                let mut response = Response::new(Body::from(self.json.slice(range)));
                *response.status_mut() = StatusCode::PARTIAL_CONTENT;
                insert(&mut response, header::CONTENT_RANGE, &place);
                response
            }
            Asked::Nothing => {
                let mut response = bare(StatusCode::RANGE_NOT_SATISFIABLE);
                insert(&mut response, header::CONTENT_RANGE, &format!("bytes */{length}"));
                return response;
            }
        };
        response.headers_mut().insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
        typed(response)
    }

    /// Which part is asked for. Several at once are answered with the whole, which RFC 9110, 14.2 allows.
    fn range(&self, parts: &Parts, etag: &str) -> Asked {
        let text = |name| parts.headers.get(name).and_then(|value| value.to_str().ok());
        let current = match text(header::IF_RANGE) {
            None => true,
            Some(known) if known.starts_with('"') => known == etag,
            Some(_) => self.date(parts, header::IF_RANGE) == Some(self.made),
        };
        let range = text(header::RANGE).filter(|_| current).and_then(|range| range.strip_prefix("bytes="));
        range.and_then(|range| part(range.trim(), self.json.len())).unwrap_or(Asked::Whole)
    }
}

enum Asked {
    Whole,
    Part(Range<usize>),
    Nothing,
}

/// Reads `first-last`, `first-` or `-count`. `None`: it is none of these, and ignored.
fn part(range: &str, length: usize) -> Option<Asked> {
    let (first, last) = range.split_once('-')?;
    let number = |digits: &str| {
        let all_digits = digits.bytes().all(|byte| byte.is_ascii_digit());
        // More than anything holds is as good as all of it.
        all_digits.then(|| digits.parse().unwrap_or(usize::MAX))
    };
    let range = match (first.is_empty(), last.is_empty()) {
        (true, true) => return None,
        (true, false) => length - number(last)?.min(length)..length,
        (false, true) => number(first)?..length,
        (false, false) => number(first)?..number(last)?.saturating_add(1).min(length),
    };
    Some(if range.is_empty() { Asked::Nothing } else { Asked::Part(range) })
}

fn names(parts: &Parts, name: &HeaderName, etag: &str) -> bool {
    let values = parts.headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).map(str::trim).any(|named| named == "*" || named == etag)
}

fn bare(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}

fn typed(mut response: Response<Body>) -> Response<Body> {
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

fn insert(response: &mut Response<Body>, name: HeaderName, text: &str) {
    if let Ok(value) = HeaderValue::try_from(text) {
        response.headers_mut().insert(name, value);
    }
}

pub(super) fn insert_date(response: &mut Response<Body>, name: HeaderName, date: OffsetDateTime) {
    insert(response, name, &date.format(HTTP_DATE).unwrap_or_default());
}

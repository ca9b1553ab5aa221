//! Compression of large answers (contract rule 208). What comes from members passes as it is, and so do watches.

use std::io::{self, Write as _};

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::{HeaderMap, HeaderValue, Response, header};

use crate::body::Body;

/// Longest answer that is sent as it is, in bytes.
pub(super) const THRESHOLD: usize = 128 * 1024;

/// Compresses an answer if the client takes that and it is worth it. The work is done where it may block.
pub(super) async fn large(request: &HeaderMap, response: Response<Body>) -> Response<Body> {
    let Some(bytes) = response.body().as_full().filter(|bytes| bytes.len() > THRESHOLD) else {
        return response;
    };
    if !accepts_gzip(request) || response.headers().contains_key(header::CONTENT_ENCODING) {
        return response;
    }
    let bytes = bytes.clone();
    // What kube-apiserver compresses with: quick, and most of the gain.
    let compressed = tokio::task::spawn_blocking(move || gzip(&bytes, Compression::fast())).await;
    match compressed {
        Ok(Some(compressed)) => encoded(response, compressed),
        _ => response,
    }
}

/// The response with a compressed body in the place of its own.
pub(super) fn encoded(response: Response<Body>, compressed: Bytes) -> Response<Body> {
    let mut response = response.map(|_| Body::from(compressed));
    mark(response.headers_mut());
    response
}

/// Says that a body is compressed.
pub(super) fn mark(headers: &mut HeaderMap) {
    headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    headers.append(header::VARY, HeaderValue::from_static("Accept-Encoding"));
}

/// Compresses what comes in pieces.
pub(super) struct Packing(GzEncoder<Vec<u8>>);

impl Packing {
    pub(super) fn begin() -> Self {
        Self(GzEncoder::new(Vec::new(), Compression::fast()))
    }

    /// What can be sent of all that has been added; may be nothing.
    pub(super) fn add(&mut self, piece: &[u8]) -> io::Result<Bytes> {
        self.0.write_all(piece)?;
        Ok(std::mem::take(self.0.get_mut()).into())
    }

    pub(super) fn finish(self) -> io::Result<Bytes> {
        self.0.finish().map(Bytes::from)
    }
}

/// `None`: it cannot be compressed, which memory alone could cause.
pub(crate) fn gzip(bytes: &[u8], level: Compression) -> Option<Bytes> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(bytes.len() / 8), level);
    encoder.write_all(bytes).ok()?;
    encoder.finish().ok().map(Bytes::from)
}

/// Whether `gzip` is named in `Accept-Encoding` and not refused by `q=0` (RFC 9110, 12.5.3).
pub(crate) fn accepts_gzip(headers: &HeaderMap) -> bool {
    headers
        .get_all(header::ACCEPT_ENCODING)
        .into_iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|coding| {
            let mut fields = coding.split(';').map(str::trim);
            let named = fields.next().is_some_and(|name| name.eq_ignore_ascii_case("gzip"));
            let quality = fields.find_map(|field| field.strip_prefix("q="));
            named && quality.is_none_or(|quality| quality.parse::<f32>().is_ok_and(|quality| quality > 0.0))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rule_208_a_coding_is_taken_that_is_named_and_not_refused() {
        let accepts = |value: &'static str| {
            accepts_gzip(&HeaderMap::from_iter([(header::ACCEPT_ENCODING, HeaderValue::from_static(value))]))
        };
        for value in ["gzip", "deflate, gzip;q=0.5", "br,GZIP"] {
            assert!(accepts(value), "{value}");
        }
        for value in ["", "identity", "*", "gzip;q=0", "gzip;q=0.0", "gzip;q=x", "x-gzip", "deflate"] {
            assert!(!accepts(value), "{value}");
        }
        assert!(!accepts_gzip(&HeaderMap::new()));
    }
}

//! Where one HTTP/1.1 request ends and the next begins must be beyond doubt (contract rule 194).

use http::header::{CONNECTION, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderValue, Response, StatusCode};

use crate::body::Body;

/// How the body of an HTTP/1.1 request is delimited (rule 194).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Framing {
    Length,
    /// hyper takes `Content-Length` away when `Transfer-Encoding` is there, too, so whether somebody on the way could
    /// have believed the length is not known. What stands behind the body is therefore never read as a request.
    Chunked,
    /// A coding that would reach the member without its name.
    Unknown,
}

impl Framing {
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
        match (codings.next(), codings.next()) {
            (None, _) => Self::Length,
            (Some(coding), None) if coding.as_bytes().eq_ignore_ascii_case(b"chunked") => Self::Chunked,
            _ => Self::Unknown,
        }
    }

    /// Whether the request can be read.
    pub(super) fn is_known(self) -> bool {
        self != Self::Unknown
    }

    /// Ends the connection after the answer where it must not be read any further.
    pub(super) fn finish(self, mut response: Response<Body>) -> Response<Body> {
        if self != Self::Length && response.status() != StatusCode::SWITCHING_PROTOCOLS {
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}

/// The answer to what is not [`Framing::is_known`].
pub(super) fn refusal() -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::BAD_REQUEST;
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn framing(values: &[&str]) -> Framing {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(TRANSFER_ENCODING, value.parse().expect("a header value"));
        }
        Framing::of(&headers)
    }

    #[test]
    fn rule_194_only_plain_chunks_are_understood() {
        assert_eq!(framing(&[]), Framing::Length);
        assert_eq!(framing(&["chunked"]), Framing::Chunked);
        assert_eq!(framing(&["Chunked"]), Framing::Chunked);
        for unknown in
            [&["gzip, chunked"][..], &["chunked, chunked"], &["chunked", "chunked"], &["xchunked"], &[""]]
        {
            assert_eq!(framing(unknown), Framing::Unknown, "{unknown:?}");
        }
    }
}

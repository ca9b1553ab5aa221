//! Where one HTTP/1.1 request ends and the next begins must be beyond doubt (contract rules 187, 194).

use http::header::{CONNECTION, TRANSFER_ENCODING, UPGRADE};
use http::{HeaderMap, HeaderValue, Response, StatusCode};

use crate::body::Body;

/// What may stand behind a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Framing {
    /// The next request.
    Length,
    /// Nothing that is read. hyper takes `Content-Length` away when `Transfer-Encoding` is there, too, so whether
    /// somebody on the way could have believed the length is not known. And what a client sends behind a request to
    /// leave HTTP was never meant as a request: a proxy may relay it without having looked at it.
    Last,
    /// The body has a coding that would reach the member without its name; the request cannot be read.
    Unknown,
}

impl Framing {
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
        match (codings.next(), codings.next()) {
            (None, _) if headers.contains_key(UPGRADE) => Self::Last,
            (None, _) => Self::Length,
            (Some(coding), None) if coding.as_bytes().eq_ignore_ascii_case(b"chunked") => Self::Last,
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

    fn framing(codings: &[&str]) -> Framing {
        let mut headers = HeaderMap::new();
        for coding in codings {
            headers.append(TRANSFER_ENCODING, coding.parse().expect("a header value"));
        }
        Framing::of(&headers)
    }

    #[test]
    fn rule_194_only_plain_chunks_are_understood() {
        assert_eq!(framing(&[]), Framing::Length);
        assert_eq!(framing(&["chunked"]), Framing::Last);
        assert_eq!(framing(&["Chunked"]), Framing::Last);
        for unknown in [&["gzip, chunked"][..], &["chunked, chunked"], &["chunked"; 2], &["xchunked"], &[""]]
        {
            assert_eq!(framing(unknown), Framing::Unknown, "{unknown:?}");
        }
    }

    #[test]
    fn rule_187_a_connection_ends_with_its_answer_unless_it_leaves_http() {
        let mut headers = HeaderMap::new();
        headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
        let framing = Framing::of(&headers);
        for (code, closed) in [(101, false), (200, true), (403, true), (500, true)] {
            let mut response = Response::new(Body::empty());
            *response.status_mut() = StatusCode::from_u16(code).expect("a status");
            assert_eq!(framing.finish(response).headers().contains_key(CONNECTION), closed, "{code}");
        }
    }
}

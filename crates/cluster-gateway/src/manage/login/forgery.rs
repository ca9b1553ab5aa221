//! Requests that a page of another site has a browser send with our user's cookie or certificate.

use http::request::Parts;
use http::{HeaderMap, HeaderName, Method, header};

use super::session::Secret;

/// The header by which a page of ours proves to be one.
pub(super) const CSRF_TOKEN: HeaderName = HeaderName::from_static("x-csrf-token");
const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Why a request may be another site's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Forged {
    #[error("the X-CSRF-Token header is missing or wrong")]
    Token,
    #[error("the request comes from a page of another site")]
    Site,
}

/// Whether a request can only come from where its credential was meant to be used. `secret`: that of the session, if a
/// cookie says who asks.
pub(super) fn check(parts: &Parts, secret: Option<&Secret>, own_origin: Option<&str>) -> Result<(), Forged> {
    if matches!(parts.method, Method::GET | Method::HEAD) {
        return Ok(());
    }
    if is_of_another_site(parts, own_origin) {
        return Err(Forged::Site);
    }
    let Some(secret) = secret else { return Ok(()) };
    match only(&parts.headers, &CSRF_TOKEN) {
        Some(text) if secret.is(text) => Ok(()),
        _ => Err(Forged::Token),
    }
}

/// Whether a browser says that a page of another site has made it send this. Programs say nothing. A site of the same
/// domain is another one, too: cookies and certificates do not tell them apart, but people do.
pub(super) fn is_of_another_site(parts: &Parts, own_origin: Option<&str>) -> bool {
    let headers = &parts.headers;
    if headers.contains_key(SEC_FETCH_SITE) {
        return !matches!(only(headers, &SEC_FETCH_SITE), Some(b"same-origin" | b"none"));
    }
    if !headers.contains_key(header::ORIGIN) {
        return false;
    }
    let Some(origin) = only(headers, &header::ORIGIN).and_then(|value| std::str::from_utf8(value).ok())
    else {
        return true;
    };
    if own_origin.is_some_and(|own| own.eq_ignore_ascii_case(origin)) {
        return false;
    }
    let asked = host(parts);
    let named = origin.split_once("://").map(|(_, host)| host);
    !named.zip(asked).is_some_and(|(named, asked)| named.eq_ignore_ascii_case(asked))
}

/// Host and port that the caller asks for.
pub(super) fn host(parts: &Parts) -> Option<&str> {
    let authority = parts.uri.authority().map(http::uri::Authority::as_str);
    authority.or_else(|| std::str::from_utf8(only(&parts.headers, &header::HOST)?).ok())
}

/// The value of a header that is there once.
fn only<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<&'h [u8]> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?;
    values.next().is_none().then_some(value.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(method: &str, headers: &[(&str, &str)]) -> Parts {
        let mut request = http::Request::builder().method(method).uri("/api/v1/x");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap().into_parts().0
    }

    #[test]
    fn with_a_cookie_whatever_changes_something_needs_the_token_of_the_session() {
        let (secret, other) = (Secret::random().unwrap(), Secret::random().unwrap());
        let (right, wrong) = (secret.text(), other.text());
        for method in ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "BREW"] {
            let asked = |headers: &[(&str, &str)]| check(&parts(method, headers), Some(&secret), None);
            assert_eq!(asked(&[("x-csrf-token", &right)]), Ok(()), "{method}");
            for headers in [
                &[][..],
                &[("x-csrf-token", "")],
                &[("x-csrf-token", &wrong)],
                &[("x-csrf-token", &right[..right.len() - 1])],
                &[("x-csrf-token", &right), ("x-csrf-token", &right)],
            ] {
                assert_eq!(asked(headers), Err(Forged::Token), "{method} {headers:?}");
            }
            let crossed = [("x-csrf-token", right.as_str()), ("sec-fetch-site", "cross-site")];
            assert_eq!(asked(&crossed), Err(Forged::Site), "{method}");
        }
        for method in ["GET", "HEAD"] {
            assert_eq!(check(&parts(method, &[]), Some(&secret), None), Ok(()));
        }
    }

    #[test]
    fn a_browser_says_where_a_request_comes_from() {
        for (headers, other) in [
            (&[][..], false),
            (&[("sec-fetch-site", "same-origin")], false),
            (&[("sec-fetch-site", "none")], false),
            (&[("sec-fetch-site", "same-site")], true),
            (&[("sec-fetch-site", "cross-site")], true),
            (&[("sec-fetch-site", "")], true),
            (&[("sec-fetch-site", "same-origin"), ("sec-fetch-site", "cross-site")], true),
            // A proxy in front may change Host, not what the browser has said of itself.
            (&[("sec-fetch-site", "same-origin"), ("origin", "https://gw"), ("host", "10.0.0.1")], false),
            (&[("origin", "https://gw"), ("host", "gw")], false),
            (&[("origin", "https://GW:8443"), ("host", "gw:8443")], false),
            (&[("origin", "https://console.example"), ("host", "10.0.0.1:8443")], false),
            (&[("origin", "https://evil.example"), ("host", "gw")], true),
            (&[("origin", "https://gw"), ("host", "gw:8443")], true),
            (&[("origin", "https://gw.evil.example"), ("host", "gw")], true),
            (&[("origin", "null"), ("host", "gw")], true),
            (&[("origin", "https://gw")], true),
            (&[("origin", "https://gw"), ("origin", "https://gw"), ("host", "gw")], true),
        ] {
            let parts = parts("POST", headers);
            assert_eq!(is_of_another_site(&parts, Some("https://console.example")), other, "{headers:?}");
            assert_eq!(check(&parts, None, Some("https://console.example")).is_err(), other, "{headers:?}");
        }
    }
}

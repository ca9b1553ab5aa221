//! Our cookies, in requests and answers (RFC 6265).

use std::time::Duration;

use http::{HeaderMap, HeaderValue, header};

/// Bytes of a cookie with its attributes that every browser keeps.
pub(super) const MAX_COOKIE: usize = 4096;

/// A cookie of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cookie {
    /// Holds the session. Sent for requests of our own pages alone.
    Session,
    /// Holds what has to be known when somebody comes back from the provider. Sent when another site leads here, too.
    OidcState,
}

/// How cookies are made here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cookies {
    /// Whether browsers see HTTPS.
    pub(super) secure: bool,
}

impl Cookies {
    /// With `__Host-` a browser takes the cookie from this very host over HTTPS alone: no other host of the domain can put
    /// its own session here.
    fn name(self, cookie: Cookie) -> &'static str {
        match (cookie, self.secure) {
            (Cookie::Session, true) => "__Host-cluster-gateway-session",
            (Cookie::Session, false) => "cluster-gateway-session",
            (Cookie::OidcState, true) => "__Host-cluster-gateway-login",
            (Cookie::OidcState, false) => "cluster-gateway-login",
        }
    }

    /// Its value. Two of one name are somebody's trick.
    pub(super) fn get(self, cookie: Cookie, headers: &HeaderMap) -> Found<'_> {
        let name = self.name(cookie);
        let pairs = headers.get_all(header::COOKIE).into_iter().filter_map(|value| value.to_str().ok());
        let pairs = pairs.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
        let mut values = pairs.filter(|(own, _)| *own == name).map(|(_, value)| value);
        match (values.next(), values.next()) {
            (None, _) => Found::Nothing,
            (Some(value), None) => Found::One(value),
            (Some(_), Some(_)) => Found::Several,
        }
    }

    /// The `Set-Cookie` that keeps a value for `age`.
    ///
    /// # Errors
    /// Its length, if that is more than every browser keeps.
    pub(super) fn set(self, cookie: Cookie, value: &str, age: Duration) -> Result<HeaderValue, usize> {
        let text = self.line(cookie, value, age.as_secs());
        if text.len() > MAX_COOKIE {
            return Err(text.len());
        }
        HeaderValue::try_from(&text).map_err(|_| text.len())
    }

    /// The `Set-Cookie` that removes it.
    pub(super) fn clear(self, cookie: Cookie) -> HeaderValue {
        HeaderValue::try_from(self.line(cookie, "", 0)).unwrap_or_else(|_| HeaderValue::from_static(""))
    }

    fn line(self, cookie: Cookie, value: &str, age: u64) -> String {
        let same_site = if cookie == Cookie::Session { "Strict" } else { "Lax" };
        let secure = if self.secure { "; Secure" } else { "" };
        let name = self.name(cookie);
        format!("{name}={value}; Path=/; Max-Age={age}; HttpOnly; SameSite={same_site}{secure}")
    }
}

/// What a request holds of a cookie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found<'a> {
    Nothing,
    One(&'a str),
    Several,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_is_for_this_host_and_its_pages_alone() {
        let age = Duration::from_secs(60);
        let set = |secure, cookie| Cookies { secure }.set(cookie, "v", age).unwrap();
        assert_eq!(
            set(true, Cookie::Session),
            "__Host-cluster-gateway-session=v; Path=/; Max-Age=60; HttpOnly; SameSite=Strict; Secure"
        );
        assert_eq!(
            set(false, Cookie::Session),
            "cluster-gateway-session=v; Path=/; Max-Age=60; HttpOnly; SameSite=Strict"
        );
        assert_eq!(
            set(true, Cookie::OidcState),
            "__Host-cluster-gateway-login=v; Path=/; Max-Age=60; HttpOnly; SameSite=Lax; Secure"
        );
        let cleared = Cookies { secure: true }.clear(Cookie::Session);
        assert!(cleared.to_str().unwrap().starts_with("__Host-cluster-gateway-session=; Path=/; Max-Age=0;"));
        let long = "x".repeat(MAX_COOKIE);
        assert!(Cookies { secure: true }.set(Cookie::Session, &long, age).unwrap_err() > MAX_COOKIE);
    }

    #[test]
    fn a_cookie_is_found_among_others_and_two_of_them_are_none() {
        let cookies = Cookies { secure: true };
        for (lines, expected) in [
            (&[][..], Found::Nothing),
            (&["a=b; __Host-cluster-gateway-session=x=y"], Found::One("x=y")),
            (&["a=b", "__Host-cluster-gateway-session=x"], Found::One("x")),
            (&["cluster-gateway-session=x"], Found::Nothing),
            (&["a__Host-cluster-gateway-session=x", "__Host-cluster-gateway-session"], Found::Nothing),
            (&["__Host-cluster-gateway-session=x; __Host-cluster-gateway-session=y"], Found::Several),
            (&["__Host-cluster-gateway-session=x", "__Host-cluster-gateway-session=x"], Found::Several),
        ] {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append(header::COOKIE, HeaderValue::from_static(line));
            }
            assert_eq!(cookies.get(Cookie::Session, &headers), expected, "{lines:?}");
        }
    }
}

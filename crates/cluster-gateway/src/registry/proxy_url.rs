//! The `proxy-url` of a Secret, or of the environment: a URL, checked once. No message repeats any part of it that could
//! belong to a password.

use std::sync::Arc;

use percent_encoding::percent_decode_str;

use crate::transport::{EndpointUrl, ProxyLogin, ProxyProtocol, ProxySpec};

/// Why the URL of a proxy cannot be used; the text names the remedy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum ProxyUrlError {
    /// It is no URL with a host.
    #[error(
        "is not a URL of a proxy; expected SCHEME://[USER:PASSWORD@]HOST[:PORT], with special characters of user and \
             password percent-encoded"
    )]
    NotAUrl,
    /// Its scheme is none that is spoken (rule 167).
    #[error("scheme \"{0}\" is not supported; expected http, https or socks5")]
    Scheme(String),
    /// User or password cannot be told to the proxy.
    #[error("its {0}")]
    Login(&'static str),
}

/// Reads the URL of a proxy. `ca` are the CAs of its certificate, PEM, already checked.
///
/// As in Go, the ports are 80, 443 and 1080 unless given, and `socks5h` is the same as `socks5`: the proxy resolves
/// names.
///
/// # Errors
/// Any [`ProxyUrlError`].
pub(super) fn proxy(url: &str, ca: Option<Arc<[u8]>>) -> Result<ProxySpec, ProxyUrlError> {
    let (scheme, rest) = url.split_once("://").ok_or(ProxyUrlError::NotAUrl)?;
    let (protocol, default_port) = match scheme.to_ascii_lowercase().as_str() {
        "http" => (ProxyProtocol::Http, 80),
        "https" => (ProxyProtocol::Https, 443),
        "socks5" | "socks5h" => (ProxyProtocol::Socks5, 1080),
        // What does not look like a scheme may be anything.
        other if other.len() <= 10 && other.bytes().all(|byte| byte.is_ascii_alphanumeric()) => {
            return Err(ProxyUrlError::Scheme(other.to_owned()));
        }
        _ => return Err(ProxyUrlError::NotAUrl),
    };
    let (login, host) = match rest.rsplit_once('@') {
        Some((login, host)) => (Some(self::login(login, protocol)?), host),
        None => (None, rest),
    };
    let (host, port) = host_and_port(host)?;
    Ok(ProxySpec { protocol, host, port: port.unwrap_or(default_port), login, ca })
}

/// A host is what it is in an endpoint. `None`: no port is given.
fn host_and_port(text: &str) -> Result<(String, Option<u16>), ProxyUrlError> {
    // Those differ in the port that they stand for, so one that is given is the same in both.
    let ports = ["https", "http"].map(|scheme| EndpointUrl::parse(&format!("{scheme}://{text}")));
    match ports {
        [Ok(one), Ok(other)] if one.base_path.is_empty() => {
            let given = one.endpoint.port == other.endpoint.port;
            Ok((one.endpoint.host, given.then_some(one.endpoint.port)))
        }
        _ => Err(ProxyUrlError::NotAUrl),
    }
}

fn login(text: &str, protocol: ProxyProtocol) -> Result<ProxyLogin, ProxyUrlError> {
    // A delimiter here would make the host another one to other readers of this URL.
    if text.contains(['/', '?', '#', '@']) {
        return Err(ProxyUrlError::NotAUrl);
    }
    let decode = |text: &str| {
        let text = percent_decode_str(text).decode_utf8();
        let text = text.map_err(|_| ProxyUrlError::Login("user or password is not UTF-8 text"))?;
        if text.contains(char::is_control) {
            return Err(ProxyUrlError::Login("user or password holds control characters"));
        }
        Ok(text.into_owned())
    };
    let (user, password) = text.split_once(':').unwrap_or((text, ""));
    let (user, password) = (decode(user)?, decode(password)?);
    match protocol {
        ProxyProtocol::Http | ProxyProtocol::Https if user.contains(':') => {
            Err(ProxyUrlError::Login("user holds a colon, which HTTP Basic authentication cannot carry"))
        }
        ProxyProtocol::Socks5
            if user.is_empty() || password.is_empty() || user.len() > 255 || password.len() > 255 =>
        {
            Err(ProxyUrlError::Login("user and password must have 1 to 255 bytes each, as SOCKS5 wants it"))
        }
        _ => Ok(ProxyLogin { user, password }),
    }
}

/// The URL of a proxy as it may be shown: without anything that could be a user or a password, also if it is malformed.
pub(super) fn without_login(url: &str) -> String {
    match url.rsplit_once('@') {
        Some((before, host)) => {
            let scheme = before.split_once("://").map_or(String::new(), |(scheme, _)| format!("{scheme}://"));
            format!("{scheme}{host}")
        }
        None => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(url: &str) -> ProxySpec {
        proxy(url, None).expect("a proxy")
    }

    #[test]
    fn protocol_host_port_and_login_are_taken_apart() {
        for (url, shown) in [
            ("http://Proxy.test", "http://proxy.test:80"),
            ("http://proxy:3128/", "http://proxy:3128"),
            ("https://proxy", "https://proxy:443"),
            ("HTTPS://proxy:80", "https://proxy:80"),
            ("socks5://[fd00::1]", "socks5://[fd00::1]:1080"),
            ("socks5h://10.0.0.1:443", "socks5://10.0.0.1:443"),
        ] {
            assert_eq!(parsed(url).to_string(), shown, "{url}");
            assert!(parsed(url).login.is_none());
        }
        let login = parsed("http://u%40x:p%3Ass%2f@proxy:1").login.unwrap();
        assert_eq!((login.user.as_str(), login.password.as_str()), ("u@x", "p:ss/"));
        let login = parsed("http://token@proxy").login.unwrap();
        assert_eq!((login.user.as_str(), login.password.as_str()), ("token", ""));
    }

    #[test]
    fn rule_167_what_is_no_proxy_is_refused_without_repeating_it() {
        for url in [
            "",
            "proxy:3128",
            "http://",
            "http://hunter2@",
            "http://proxy:x",
            "http://proxy:0",
            "http://proxy/path",
            "http://proxy?hunter2",
            "http://u:hunter2/@proxy",
            "http://u:hunter2#@proxy",
            "http://u:hunter2@a@proxy",
            "http://u:%ff@proxy",
            "http://u:hunter2%0a@proxy",
            "http://u%3a:hunter2@proxy",
            "socks5://u@proxy",
            "socks4://u:hunter2@proxy",
            "ftp://proxy",
            "hunter2hunter2://proxy",
        ] {
            let error = proxy(url, None).expect_err(url).to_string();
            assert!(!error.contains("hunter2"), "{error}");
        }
        assert_eq!(proxy("ssh://h", None), Err(ProxyUrlError::Scheme("ssh".into())));
    }

    #[test]
    fn a_login_is_never_shown() {
        let spec = parsed("http://user:hunter2@proxy:3128");
        let shown = format!("{spec} {spec:?} {:?}", spec.login);
        assert!(!shown.contains("hunter2") && !shown.contains("user"), "{shown}");
        for (url, shown) in [
            ("http://proxy:1", "http://proxy:1"),
            ("http://u:hunter2@proxy:1", "http://proxy:1"),
            ("http://u:hunter2/?#@@proxy:1/x", "http://proxy:1/x"),
            ("u:hunter2@proxy:1", "proxy:1"),
        ] {
            assert_eq!(without_login(url), shown);
        }
    }
}

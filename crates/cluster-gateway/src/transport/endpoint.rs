//! The `endpoint` of a Secret: a URL, checked once.

use std::net::Ipv6Addr;

use http::Uri;

use super::Endpoint;

/// A parsed endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndpointUrl {
    /// Where to connect.
    pub endpoint: Endpoint,
    /// `scheme://authority`, as the upstream request line and `Host` name it.
    pub origin: String,
    /// Path prefix without a trailing slash; may be empty.
    pub base_path: String,
}

/// Why an endpoint cannot be used; the text names the remedy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EndpointError {
    /// It is no URL.
    #[error("\"{0}\" is not a URL; expected https://HOST[:PORT][/PATH]")]
    NotAUrl(String),
    /// Its scheme is neither https nor http.
    #[error("scheme \"{0}\" is not supported; expected https")]
    Scheme(String),
    /// It holds user information, a query or a fragment, which have no meaning here.
    #[error("must not contain {0}")]
    Surplus(&'static str),
    /// Its path prefix contains dot segments or empty segments.
    #[error("the path prefix \"{0}\" must not contain empty, \".\" or \"..\" segments")]
    BasePath(String),
}

impl EndpointUrl {
    /// Reads an endpoint; surrounding white space must have been removed by the caller.
    ///
    /// # Errors
    /// Any [`EndpointError`].
    pub fn parse(text: &str) -> Result<Self, EndpointError> {
        let not_a_url = || EndpointError::NotAUrl(text.escape_debug().take(200).collect());
        // First, so that no message repeats what stands before it.
        if text.contains('@') {
            return Err(EndpointError::Surplus("user information (\"user@\")"));
        }
        if text.contains('#') {
            return Err(EndpointError::Surplus("a fragment (\"#\")"));
        }
        let uri: Uri = text.parse().map_err(|_| not_a_url())?;
        let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
            return Err(not_a_url());
        };
        let tls = match scheme {
            "https" => true,
            "http" => false,
            other => return Err(EndpointError::Scheme(other.to_owned())),
        };
        if uri.query().is_some() {
            return Err(EndpointError::Surplus("a query (\"?\")"));
        }
        let host = host(authority.host()).ok_or_else(not_a_url)?;
        let after_host = authority.as_str().strip_prefix(authority.host()).unwrap_or_default();
        let port = match after_host.strip_prefix(':') {
            None if after_host.is_empty() => {
                if tls {
                    443
                } else {
                    80
                }
            }
            Some(digits) => digits.parse().ok().filter(|port| *port > 0).ok_or_else(not_a_url)?,
            None => return Err(not_a_url()),
        };
        Ok(Self {
            endpoint: Endpoint { tls, host, port },
            origin: format!("{scheme}://{authority}"),
            base_path: base_path(uri.path())?,
        })
    }
}

impl EndpointUrl {
    /// What an agent in the cluster is asked for: it knows the cluster's API server by the cluster's name (contract rules
    /// 237, 243).
    #[must_use]
    pub fn behind_agent(cluster: &str) -> Self {
        let endpoint = Endpoint { tls: true, host: cluster.to_owned(), port: 443 };
        Self { origin: format!("https://{}", endpoint.authority()), endpoint, base_path: String::new() }
    }
}

/// Host without brackets; `None` if it cannot be one.
fn host(text: &str) -> Option<String> {
    if let Some(inner) = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        return inner.parse::<Ipv6Addr>().ok().map(|address| address.to_string());
    }
    let valid = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
    (!text.is_empty() && text.bytes().all(valid)).then(|| text.to_ascii_lowercase())
}

fn base_path(path: &str) -> Result<String, EndpointError> {
    let path = path.strip_suffix('/').unwrap_or(path);
    let bad = |segment: &str| {
        let decoded = percent_encoding::percent_decode_str(segment).decode_utf8_lossy();
        segment.is_empty() || decoded == "." || decoded == ".." || decoded.contains(['/', '\\'])
    };
    if path.split('/').skip(1).any(bad) {
        return Err(EndpointError::BasePath(path.to_owned()));
    }
    Ok(path.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> EndpointUrl {
        EndpointUrl::parse(text).expect("a usable endpoint")
    }

    #[test]
    fn host_port_and_prefix_are_taken_apart() {
        let url = parsed("https://Rancher.example:8443/k8s/clusters/c-1/");
        assert_eq!(url.endpoint, Endpoint { tls: true, host: "rancher.example".into(), port: 8443 });
        assert_eq!(url.base_path, "/k8s/clusters/c-1");
        assert_eq!(parsed("https://h").endpoint.port, 443);
        assert_eq!(parsed("https://h/").base_path, "");
    }

    #[test]
    fn rule_145_ipv6_endpoints_keep_their_brackets_in_the_authority_only() {
        let url = parsed("https://[fd00::1]:6443");
        assert_eq!((url.endpoint.host.as_str(), url.origin.as_str()), ("fd00::1", "https://[fd00::1]:6443"));
        assert_eq!(parsed("https://[fd00::1]").endpoint.port, 443);
    }

    #[test]
    fn what_is_no_endpoint_is_refused_with_its_reason() {
        for text in [
            "",
            "10.0.0.1",
            "10.0.0.1:6443",
            "/x",
            "https://",
            "https://h:0",
            "https://h:99999",
            "https://[::g]",
            "https://a b",
            "https://h:x",
        ] {
            assert!(
                matches!(EndpointUrl::parse(text), Err(EndpointError::NotAUrl(_))),
                "{text}: {:?}",
                EndpointUrl::parse(text)
            );
        }
        assert_eq!(EndpointUrl::parse("ftp://h"), Err(EndpointError::Scheme("ftp".into())));
        for text in ["https://u:p@h", "https://h?x=1", "https://h#f"] {
            assert!(matches!(EndpointUrl::parse(text), Err(EndpointError::Surplus(_))), "{text}");
        }
        for text in ["https://h/../x", "https://h/a//b", "https://h/%2e%2e/x", "https://h/a%2fb"] {
            assert!(matches!(EndpointUrl::parse(text), Err(EndpointError::BasePath(_))), "{text}");
        }
    }

    #[test]
    fn rule_181_an_endpoints_user_information_is_not_repeated() {
        for text in ["https://u:secret@h", "u:secret@10.0.0.1:6443", "https://u:secret^@h"] {
            let error = EndpointUrl::parse(text).expect_err("user information is refused");
            assert!(!error.to_string().contains("secret"), "{error}");
        }
    }
}

//! `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY`, for clusters whose Secret names no proxy: as Go programs read them, and so
//! the original.

use std::net::IpAddr;

use super::proxy_url::proxy;
use crate::transport::{Endpoint, ProxySpec};

/// The proxies of the environment. The default is none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProxyEnvironment {
    https: Option<ProxySpec>,
    http: Option<ProxySpec>,
    exceptions: Vec<Exception>,
}

/// An entry of `NO_PROXY`.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Exception {
    All,
    Network(IpAddr, u8),
    Host { name: String, subdomains: Subdomains, port: Option<u16> },
    Address { address: IpAddr, port: Option<u16> },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Subdomains {
    /// `example.com`: it and everything below it.
    Too,
    /// `.example.com` or `*.example.com`: only what is below it.
    Only,
}

impl ProxyEnvironment {
    /// Reads the variables, asked for by name; the name in capitals comes first, and an empty value is none.
    ///
    /// # Errors
    /// One text per variable that cannot be used, without its value. What stands in `NO_PROXY` and means nothing is
    /// passed over.
    pub fn read(variable: impl Fn(&str) -> Option<String>) -> Result<Self, Vec<String>> {
        let value = |name: &str| {
            let either = [name.to_owned(), name.to_lowercase()];
            either.into_iter().find_map(|name| variable(&name).filter(|value| !value.is_empty()))
        };
        let mut mistakes = Vec::new();
        let mut read = |name: &str| {
            let url = value(name)?;
            let url = if url.contains("://") { url } else { format!("http://{url}") };
            proxy(&url, None).map_err(|error| mistakes.push(format!("{name}: {error}"))).ok()
        };
        let (https, http) = (read("HTTPS_PROXY"), read("HTTP_PROXY"));
        let exceptions = value("NO_PROXY").unwrap_or_default();
        let exceptions = exceptions.split(',').filter_map(|entry| Exception::parse(entry.trim())).collect();
        if mistakes.is_empty() { Ok(Self { https, http, exceptions }) } else { Err(mistakes) }
    }

    /// The proxy on the way to `endpoint`. This machine itself is never reached through one.
    #[must_use]
    pub fn proxy_for(&self, endpoint: &Endpoint) -> Option<&ProxySpec> {
        let proxy = if endpoint.tls { &self.https } else { &self.http }.as_ref()?;
        let address = endpoint.host.parse::<IpAddr>().ok();
        let local = endpoint.host == "localhost" || address.is_some_and(|address| address.is_loopback());
        let excepted = || self.exceptions.iter().any(|exception| exception.matches(endpoint, address));
        (!local && !excepted()).then_some(proxy)
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.https.is_none() && self.http.is_none()
    }
}

impl Exception {
    fn parse(entry: &str) -> Option<Self> {
        if entry == "*" {
            return Some(Self::All);
        }
        if let Some((address, bits)) = entry.split_once('/') {
            return Some(Self::Network(address.parse().ok()?, bits.parse().ok()?));
        }
        if let Ok(address) = entry.parse() {
            return Some(Self::Address { address, port: None });
        }
        let (host, port) = match entry.rsplit_once(':') {
            Some((host, port)) => (host, Some(port.parse().ok()?)),
            None => (entry, None),
        };
        if let Ok(address) = host.trim_start_matches('[').trim_end_matches(']').parse() {
            return Some(Self::Address { address, port });
        }
        let host = host.strip_prefix('*').unwrap_or(host).to_ascii_lowercase();
        let (name, subdomains) = match host.strip_prefix('.') {
            Some(name) => (name.to_owned(), Subdomains::Only),
            None => (host, Subdomains::Too),
        };
        (!name.is_empty()).then_some(Self::Host { name, subdomains, port })
    }

    fn matches(&self, endpoint: &Endpoint, address: Option<IpAddr>) -> bool {
        let on = |port: &Option<u16>| port.is_none_or(|port| port == endpoint.port);
        match self {
            Self::All => true,
            Self::Network(network, bits) => address.is_some_and(|address| within(address, *network, *bits)),
            Self::Address { address: excepted, port } => address == Some(*excepted) && on(port),
            Self::Host { name, subdomains, port } => {
                let above = endpoint.host.strip_suffix(name.as_str());
                let below = above.is_some_and(|above| above.ends_with('.'));
                on(port) && (below || *subdomains == Subdomains::Too && above == Some(""))
            }
        }
    }
}

fn within(address: IpAddr, network: IpAddr, bits: u8) -> bool {
    let (address, network, width) = match (address, network) {
        (IpAddr::V4(address), IpAddr::V4(network)) => {
            (address.to_bits().into(), network.to_bits().into(), 32u8)
        }
        (IpAddr::V6(address), IpAddr::V6(network)) => (address.to_bits(), network.to_bits(), 128),
        _ => return false,
    };
    let differing: u128 = address ^ network;
    match width.checked_sub(bits) {
        Some(host_bits) => differing.checked_shr(host_bits.into()).unwrap_or(0) == 0,
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<ProxyEnvironment, Vec<String>> {
        ProxyEnvironment::read(|name| {
            let found = variables.iter().find(|(variable, _)| *variable == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    fn proxied(no_proxy: &str, host: &str) -> bool {
        let environment = read(&[("HTTPS_PROXY", "http://p:1"), ("NO_PROXY", no_proxy)]).unwrap();
        let endpoint = Endpoint { tls: true, host: host.to_owned(), port: 6443 };
        environment.proxy_for(&endpoint).is_some()
    }

    #[test]
    fn the_scheme_of_the_endpoint_chooses_the_proxy() {
        let environment = read(&[("https_proxy", "p:3128"), ("HTTP_PROXY", "socks5://s")]).unwrap();
        let through = |tls| {
            let endpoint = Endpoint { tls, host: "m.test".into(), port: 6443 };
            environment.proxy_for(&endpoint).map(ToString::to_string)
        };
        assert_eq!(through(true).as_deref(), Some("http://p:3128"));
        assert_eq!(through(false).as_deref(), Some("socks5://s:1080"));
        assert!(read(&[]).unwrap().is_empty());
        assert!(read(&[("HTTPS_PROXY", ""), ("https_proxy", "")]).unwrap().is_empty());
    }

    #[test]
    fn what_no_proxy_names_and_this_machine_itself_are_reached_directly() {
        for (no_proxy, host) in [
            ("*", "m.test"),
            ("a, m.test", "m.test"),
            ("M.test", "a.m.test"),
            (".m.test", "a.m.test"),
            ("*.m.test", "a.m.test"),
            ("m.test:6443", "m.test"),
            ("10.0.0.1", "10.0.0.1"),
            ("10.0.0.1:6443", "10.0.0.1"),
            ("10.0.0.0/8", "10.200.3.4"),
            ("0.0.0.0/0", "8.8.8.8"),
            ("fd00::/8", "fd12::1"),
            ("fd00::1", "fd00::1"),
            ("[fd00::1]:6443", "fd00::1"),
            ("", "localhost"),
            ("", "127.0.0.9"),
            ("", "::1"),
        ] {
            assert!(!proxied(no_proxy, host), "{host} with {no_proxy:?}");
        }
        for (no_proxy, host) in [
            ("", "m.test"),
            ("m.test", "xm.test"),
            (".m.test", "m.test"),
            ("m.test:443", "m.test"),
            ("10.0.0.1:443", "10.0.0.1"),
            ("10.0.0.0/8", "11.0.0.1"),
            ("10.0.0.0/8", "10.m.test"),
            ("10.0.0.0/33", "10.0.0.0"),
            ("fd00::/8", "10.0.0.1"),
            (".,:,/,a/b", "m.test"),
        ] {
            assert!(proxied(no_proxy, host), "{host} with {no_proxy:?}");
        }
    }

    #[test]
    fn a_proxy_that_cannot_be_used_is_named_by_its_variable_only() {
        let mistakes = read(&[("HTTPS_PROXY", "ftp://u:hunter2@p"), ("http_proxy", "http://")]).unwrap_err();
        assert_eq!(mistakes.len(), 2);
        assert!(mistakes[0].starts_with("HTTPS_PROXY: ") && mistakes[1].starts_with("HTTP_PROXY: "));
        assert!(!mistakes.concat().contains("hunter2"));
    }
}

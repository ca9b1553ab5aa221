//! Where a request comes from.

use std::net::IpAddr;

use http::{HeaderMap, HeaderName};

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_REAL_IP: HeaderName = HeaderName::from_static("x-real-ip");
/// Addresses taken from headers, at most: anybody can write them.
const MAX_CLAIMED: usize = 16;

/// The addresses that proxies on the way claim, in their order, and at the end the peer, which nobody can claim (rule
/// 136). Whatever is no address is left out.
pub(super) fn ips(headers: &HeaderMap, peer: IpAddr) -> Vec<IpAddr> {
    let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let address = |part: &str| part.trim().parse::<IpAddr>().ok().map(|ip| ip.to_canonical());
    let mut ips: Vec<IpAddr> =
        text(X_FORWARDED_FOR).split(',').take(MAX_CLAIMED).filter_map(address).collect();
    if let Some(ip) = address(text(X_REAL_IP)).filter(|ip| !ips.contains(ip)) {
        ips.push(ip);
    }
    let peer = peer.to_canonical();
    if ips.last() != Some(&peer) {
        ips.push(peer);
    }
    ips
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(headers: &[(&'static str, &str)]) -> Vec<String> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, value.parse().unwrap());
        }
        ips(&map, "::ffff:10.0.0.9".parse().unwrap()).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn rule_136_the_chain_then_x_real_ip_then_the_peer_each_once() {
        assert_eq!(of(&[]), ["10.0.0.9"]);
        let chain = ("x-forwarded-for", "1.1.1.1, 2001:db8::1,evil\"\\, 2.2.2.2");
        assert_eq!(of(&[chain]), ["1.1.1.1", "2001:db8::1", "2.2.2.2", "10.0.0.9"]);
        assert_eq!(of(&[chain, ("x-real-ip", "1.1.1.1")]), ["1.1.1.1", "2001:db8::1", "2.2.2.2", "10.0.0.9"]);
        assert_eq!(
            of(&[("x-forwarded-for", "1.1.1.1"), ("x-real-ip", "3.3.3.3")]),
            ["1.1.1.1", "3.3.3.3", "10.0.0.9"]
        );
        assert_eq!(of(&[("x-forwarded-for", "1.1.1.1,10.0.0.9")]), ["1.1.1.1", "10.0.0.9"]);
        assert_eq!(of(&[("x-real-ip", "10.0.0.9")]), ["10.0.0.9"]);
    }

    #[test]
    fn a_caller_cannot_make_the_list_long() {
        let many = vec!["1.2.3.4"; 10_000].join(",");
        assert_eq!(of(&[("x-forwarded-for", &many)]).len(), MAX_CLAIMED + 1);
    }
}

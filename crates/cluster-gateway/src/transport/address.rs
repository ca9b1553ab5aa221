//! Which addresses may be dialled (contract rule 168).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Decides on resolved addresses, at the moment of the connect: a name that changes its address is caught.
///
/// Link-local, unspecified, multicast and broadcast addresses are always denied, also inside IPv6 forms that carry an
/// IPv4 address.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AddressPolicy {
    /// Whether 127.0.0.0/8 and `::1` may be dialled. Default: no, they are the gateway's own pod.
    pub allow_loopback: bool,
}

impl AddressPolicy {
    /// Why `address` must not be dialled; `None`: it may.
    #[must_use]
    pub fn denial(self, address: IpAddr) -> Option<&'static str> {
        match address {
            IpAddr::V4(address) => self.denial_v4(address),
            IpAddr::V6(address) => match embedded(address) {
                Some(embedded) => self.denial_v4(embedded),
                None => self.denial_v6(address),
            },
        }
    }

    fn denial_v4(self, address: Ipv4Addr) -> Option<&'static str> {
        // All of 0.0.0.0/8 means "this host"; Linux connects it to loopback.
        if address.octets()[0] == 0 {
            Some("unspecified")
        } else if address.is_link_local() {
            Some("link-local")
        } else if address.is_multicast() || address.is_broadcast() {
            Some("multicast")
        } else {
            self.denial_loopback(address.is_loopback())
        }
    }

    fn denial_v6(self, address: Ipv6Addr) -> Option<&'static str> {
        if address.is_unspecified() {
            Some("unspecified")
        } else if address.is_unicast_link_local() {
            Some("link-local")
        } else if address.is_multicast() {
            Some("multicast")
        } else {
            self.denial_loopback(address.is_loopback())
        }
    }

    fn denial_loopback(self, loopback: bool) -> Option<&'static str> {
        (loopback && !self.allow_loopback).then_some("loopback")
    }
}

/// The IPv4 address that an IPv6 address stands for: mapped, compatible, NAT64 or 6to4.
fn embedded(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let v4 = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        Ipv4Addr::new(a, b, c, d)
    };
    match address.segments() {
        // `::` and `::1` are addresses of their own.
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => None,
        [0, 0, 0, 0, 0, 0 | 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => Some(v4(high, low)),
        [0x2002, high, low, ..] => Some(v4(high, low)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn denial(policy: AddressPolicy, address: &str) -> Option<&'static str> {
        policy.denial(address.parse().expect("an address"))
    }

    #[test]
    fn rule_168_local_addresses_are_denied_in_every_form() {
        let policy = AddressPolicy { allow_loopback: true };
        for (address, reason) in [
            ("169.254.169.254", "link-local"),
            ("::ffff:169.254.169.254", "link-local"),
            ("::169.254.169.254", "link-local"),
            ("64:ff9b::a9fe:a9fe", "link-local"),
            ("2002:a9fe:a9fe::1", "link-local"),
            ("fe80::1", "link-local"),
            ("febf::1", "link-local"),
            ("0.0.0.0", "unspecified"),
            ("0.1.2.3", "unspecified"),
            ("::", "unspecified"),
            ("::ffff:0.0.0.0", "unspecified"),
            ("224.0.0.1", "multicast"),
            ("255.255.255.255", "multicast"),
            ("ff02::1", "multicast"),
        ] {
            assert_eq!(denial(policy, address), Some(reason), "{address}");
        }
        for address in ["10.0.0.1", "192.168.1.1", "8.8.8.8", "fd00::1", "2001:db8::1", "64:ff9b::a00:1"] {
            assert_eq!(denial(policy, address), None, "{address}");
        }
    }

    #[test]
    fn rule_168_loopback_is_denied_unless_allowed() {
        for address in ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"] {
            assert_eq!(denial(AddressPolicy::default(), address), Some("loopback"), "{address}");
            assert_eq!(denial(AddressPolicy { allow_loopback: true }, address), None, "{address}");
        }
    }
}

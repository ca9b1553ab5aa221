//! Which addresses may be dialled (contract rule 168).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Metadata services that are not link-local: of Alibaba Cloud, Azure and Oracle Cloud.
const METADATA_V4: [Ipv4Addr; 3] =
    [Ipv4Addr::new(100, 100, 100, 200), Ipv4Addr::new(168, 63, 129, 16), Ipv4Addr::new(192, 0, 0, 192)];
/// The same over IPv6: of AWS (instances, and pods' identities), Google Cloud and Oracle Cloud.
const METADATA_V6: [Ipv6Addr; 4] = [
    Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254),
    Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x23),
    Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254),
    Ipv6Addr::new(0xfd00, 0xc1, 0, 0, 0, 0, 0xa9fe, 0xa9fe),
];

/// Decides on resolved addresses, at the moment of the connect: a name that changes its address is caught.
///
/// Link-local, unspecified, multicast and broadcast addresses and those of clouds' metadata services are always denied,
/// also inside IPv6 forms that carry an IPv4 address.
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
            IpAddr::V6(address) => {
                let embedded = embedded(address);
                if embedded.is_empty() {
                    return self.denial_v6(address);
                }
                embedded.iter().find_map(|address| self.denial_v4(*address))
            }
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
        } else if METADATA_V4.contains(&address) {
            Some("metadata")
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
        } else if METADATA_V6.contains(&address) {
            Some("metadata")
        } else {
            self.denial_loopback(address.is_loopback())
        }
    }

    fn denial_loopback(self, loopback: bool) -> Option<&'static str> {
        (loopback && !self.allow_loopback).then_some("loopback")
    }
}

/// The IPv4 addresses that an IPv6 address may stand for: mapped, compatible, translated (SIIT), NAT64, 6to4, Teredo.
fn embedded(address: Ipv6Addr) -> Vec<Ipv4Addr> {
    match address.segments() {
        // `::` and `::1` are addresses of their own.
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => Vec::new(),
        [0, 0, 0, 0, 0, 0 | 0xffff, high, low]
        | [0, 0, 0, 0, 0xffff, 0, high, low]
        | [0x64, 0xff9b, 0, 0, 0, 0, high, low]
        | [0x2002, high, low, ..] => vec![v4(high, low)],
        // Teredo: the server's address, and the client's with all bits turned over.
        [0x2001, 0, high, low, _, _, client_high, client_low] => {
            vec![v4(high, low), v4(!client_high, !client_low)]
        }
        [0x64, 0xff9b, 1, ..] => local_nat64(address.octets()),
        _ => Vec::new(),
    }
}

/// What an address of 64:ff9b:1::/48 can stand for: each site chooses the length of its prefix, and with it where the
/// IPv4 address is (RFC 6052, section 2.2; RFC 8215). Where there are only zeros there is none.
fn local_nat64(octets: [u8; 16]) -> Vec<Ipv4Addr> {
    let places = [[6, 7, 9, 10], [7, 9, 10, 11], [9, 10, 11, 12], [12, 13, 14, 15]];
    let addresses = places.map(|place| Ipv4Addr::from(place.map(|index: usize| octets[index])));
    addresses.into_iter().filter(|address| address.octets()[0] != 0).collect()
}

fn v4(high: u16, low: u16) -> Ipv4Addr {
    let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
    Ipv4Addr::new(a, b, c, d)
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
            ("::ffff:0:a9fe:a9fe", "link-local"),
            ("2001:0:a9fe:a9fe::1", "link-local"),
            ("2001:0:102:304:0:0:5601:5601", "link-local"),
            ("64:ff9b:1:a9fe:a9:fe00::", "link-local"),
            ("64:ff9b:1:01a9:fe:a9fe::", "link-local"),
            ("64:ff9b:1:0102:a9:fea9:fe00::", "link-local"),
            ("64:ff9b:1::a9fe:a9fe", "link-local"),
            ("64:ff9b:1:2:3:4:a9fe:a9fe", "link-local"),
            ("100.100.100.200", "metadata"),
            ("::ffff:100.100.100.200", "metadata"),
            ("168.63.129.16", "metadata"),
            ("192.0.0.192", "metadata"),
            ("fd00:ec2::254", "metadata"),
            ("fd00:ec2::23", "metadata"),
            ("fd20:ce::254", "metadata"),
            ("fd00:c1::a9fe:a9fe", "metadata"),
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
        for address in [
            "10.0.0.1",
            "192.168.1.1",
            "8.8.8.8",
            "fd00::1",
            "2001:db8::1",
            "64:ff9b::a00:1",
            "64:ff9b:1::a00:1",
            "64:ff9b:1:a00:0:100::",
            "2002:a00:1::1",
            "fd00:ec2::255",
        ] {
            assert_eq!(denial(policy, address), None, "{address}");
        }
    }

    #[test]
    fn rule_168_loopback_is_denied_unless_allowed() {
        for address in ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1", "::ffff:0:127.0.0.1"] {
            assert_eq!(denial(AddressPolicy::default(), address), Some("loopback"), "{address}");
            assert_eq!(denial(AddressPolicy { allow_loopback: true }, address), None, "{address}");
        }
    }
}

//! Which addresses a caller may make the gateway reach.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

/// Whether an address is one of the public network, or of a network that the operator allows.
///
/// It is asked about the very address that is connected to, so that no name, redirect or change of a name in
/// between leads elsewhere. An IPv6 address that stands for an IPv4 one is judged as that one.
pub fn may_reach(address: IpAddr, allowed: &[IpNet]) -> bool {
    let address = address.to_canonical();
    allowed.iter().any(|net| net.contains(&address))
        || match address {
            IpAddr::V4(address) => is_public_v4(address),
            IpAddr::V6(address) => is_public_v6(address),
        }
}

/// IPv4 networks that are not public, by IANA's registry of special purposes.
const SPECIAL_V4: [([u8; 4], u32); 15] = [
    ([0, 0, 0, 0], 8),
    ([10, 0, 0, 0], 8),
    ([100, 64, 0, 0], 10),
    ([127, 0, 0, 0], 8),
    ([169, 254, 0, 0], 16),
    ([172, 16, 0, 0], 12),
    ([192, 0, 0, 0], 24),
    ([192, 0, 2, 0], 24),
    ([192, 88, 99, 0], 24),
    ([192, 168, 0, 0], 16),
    ([198, 18, 0, 0], 15),
    ([198, 51, 100, 0], 24),
    ([203, 0, 113, 0], 24),
    ([224, 0, 0, 0], 4),
    ([240, 0, 0, 0], 4),
];

fn is_public_v4(address: Ipv4Addr) -> bool {
    let bits = address.to_bits();
    !SPECIAL_V4.iter().any(|(net, length)| {
        let mask = u32::MAX << (32 - length);
        bits & mask == u32::from_be_bytes(*net)
    })
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let [first, second, ..] = address.segments();
    match first {
        // Tunnels: 6to4 and NAT64 hold the IPv4 address that they end at.
        0x2002 => is_public_v4(embedded(address, 2)),
        0x64 if second == 0xff9b => address.segments()[2..6] == [0; 4] && is_public_v4(embedded(address, 12)),
        // IETF's own (Teredo, benchmarking, ORCHID) and documentation.
        0x2001 => second >= 0x200 && second != 0xdb8,
        0x3fff => second >= 0x1000,
        // Nothing else is routed in public.
        _ => first & 0xe000 == 0x2000,
    }
}

fn embedded(address: Ipv6Addr, at: usize) -> Ipv4Addr {
    let octets = address.octets();
    Ipv4Addr::new(octets[at], octets[at + 1], octets[at + 2], octets[at + 3])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reach(address: &str, allowed: &[&str]) -> bool {
        let allowed: Vec<IpNet> = allowed.iter().map(|net| net.parse().unwrap()).collect();
        may_reach(address.parse().unwrap(), &allowed)
    }

    #[test]
    fn public_addresses_are_reached() {
        for address in
            ["1.1.1.1", "93.184.216.34", "172.32.0.1", "192.0.1.1", "2606:4700::1111", "::ffff:1.1.1.1"]
        {
            assert!(reach(address, &[]), "{address}");
        }
        assert!(reach("2002:0101:0101::1", &[]));
        assert!(reach("64:ff9b::1.1.1.1", &[]));
    }

    #[test]
    fn no_way_leads_inside() {
        for address in [
            "127.0.0.1",
            "0.0.0.0",
            "10.1.2.3",
            "100.64.0.1",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "192.0.0.192",
            "198.19.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:169.254.169.254",
            "::127.0.0.1",
            "fc00::1",
            "fd00:ec2::254",
            "fe80::1",
            "fec0::1",
            "ff02::1",
            "100::1",
            "2001::1",
            "2001:db8::1",
            "2002:7f00:1::1",
            "2002:a9fe:a9fe::",
            "64:ff9b::127.0.0.1",
            "64:ff9b:1::1.1.1.1",
            "64:ff9b::a9fe:a9fe",
        ] {
            assert!(!reach(address, &[]), "{address}");
        }
    }

    #[test]
    fn the_operator_may_allow_a_network() {
        assert!(reach("127.0.0.1", &["127.0.0.0/8"]));
        assert!(reach("::ffff:127.0.0.1", &["127.0.0.0/8"]));
        assert!(!reach("10.0.0.1", &["127.0.0.0/8", "fd00::/8"]));
        assert!(reach("fd00::1", &["fd00::/8"]));
    }
}

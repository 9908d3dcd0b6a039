//! An address, or a range of addresses.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// An address (the longest prefix) or a range of addresses (CIDR).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Network {
    address: IpAddr,
    prefix: u8,
}

impl Network {
    /// The network that holds `address`; `None` where the prefix is longer than addresses are.
    /// An IPv4-mapped IPv6 network is an IPv4 network.
    #[must_use]
    pub fn new(address: IpAddr, prefix: u8) -> Option<Self> {
        match address {
            IpAddr::V4(v4) => {
                let bits = mask_v4(v4, prefix)?;
                Some(Self { address: Ipv4Addr::from_bits(bits).into(), prefix })
            }
            IpAddr::V6(v6) => match v6.to_ipv4_mapped() {
                Some(v4) if prefix >= 96 => Self::new(v4.into(), prefix - 96),
                _ => Some(Self { address: Ipv6Addr::from_bits(mask_v6(v6, prefix)?).into(), prefix }),
            },
        }
    }

    /// The network of this address alone.
    #[must_use]
    pub fn host(address: IpAddr) -> Self {
        let address = address.to_canonical();
        Self { address, prefix: if address.is_ipv4() { 32 } else { 128 } }
    }

    /// The first address.
    #[must_use]
    pub fn address(self) -> IpAddr {
        self.address
    }

    /// The length of the prefix in bits.
    #[must_use]
    pub fn prefix(self) -> u8 {
        self.prefix
    }

    /// Whether the network is one address.
    #[must_use]
    pub fn is_host(self) -> bool {
        self.prefix == if self.address.is_ipv4() { 32 } else { 128 }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_host() { write!(out, "{}", self.address) } else { write!(out, "{}/{}", self.address, self.prefix) }
    }
}

fn mask_v4(address: Ipv4Addr, prefix: u8) -> Option<u32> {
    let mask = u32::MAX.checked_shl(32_u32.checked_sub(prefix.into())?).unwrap_or(0);
    Some(address.to_bits() & mask)
}

fn mask_v6(address: Ipv6Addr, prefix: u8) -> Option<u128> {
    let mask = u128::MAX.checked_shl(128_u32.checked_sub(prefix.into())?).unwrap_or(0);
    Some(address.to_bits() & mask)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_is_its_first_address_and_a_prefix() {
        let show =
            |address: &str, prefix| Network::new(address.parse().unwrap(), prefix).map(|found| found.to_string());
        for (address, prefix, expected) in [
            ("192.0.2.77", 24, Some("192.0.2.0/24")),
            ("192.0.2.77", 32, Some("192.0.2.77")),
            ("192.0.2.77", 0, Some("0.0.0.0/0")),
            ("192.0.2.77", 33, None),
            ("2001:db8::1", 32, Some("2001:db8::/32")),
            ("2001:db8::1", 129, None),
            ("::ffff:192.0.2.77", 120, Some("192.0.2.0/24")),
            ("::ffff:192.0.2.77", 64, Some("::/64")),
        ] {
            assert_eq!(show(address, prefix).as_deref(), expected, "{address}/{prefix}");
        }
        assert!(Network::host("::ffff:192.0.2.77".parse().unwrap()).address().is_ipv4());
    }
}

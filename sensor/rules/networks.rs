//! The addresses and prefixes of a rule set, found by longest prefix. Which lists they come from and
//! what a hit means is left to `rules`.
//!
//! One sorted table a family, ordered by prefix length and then by network: a lookup is one binary
//! search for each prefix length in use, at most 33 for IPv4 and 129 for IPv6.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::names::{Class, Origin};

/// An address (the longest prefix) or a range of addresses (CIDR).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Network {
    address: IpAddr,
    prefix: u8,
}

impl Network {
    /// The network that holds `address`; `None` where the prefix is longer than addresses are.
    /// An IPv4-mapped IPv6 network is an IPv4 network.
    pub(super) fn new(address: IpAddr, prefix: u8) -> Option<Self> {
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

    pub(super) fn host(address: IpAddr) -> Self {
        let address = address.to_canonical();
        Self { address, prefix: if address.is_ipv4() { 32 } else { 128 } }
    }

    pub(super) fn address(self) -> IpAddr {
        self.address
    }

    pub(super) fn prefix(self) -> u8 {
        self.prefix
    }

    fn is_host(self) -> bool {
        self.prefix == if self.address.is_ipv4() { 32 } else { 128 }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_host() { write!(out, "{}", self.address) } else { write!(out, "{}/{}", self.address, self.prefix) }
    }
}

#[derive(Default)]
pub(super) struct Networks {
    v4: Table<u32>,
    v6: Table<u128>,
}

impl Networks {
    /// Of the same network in the same list the first line stays. The second value is the class of each
    /// that was left out.
    pub(super) fn new(mut entries: Vec<(Network, Origin)>, classes: &[Class]) -> (Self, Vec<Class>) {
        let class = |origin: Origin| classes.get(usize::from(origin.class)).copied();
        entries.sort_by_key(|(network, origin)| {
            let kind = class(*origin).map(|class| (class.list, class.allow));
            (network.address.is_ipv6(), network.prefix, network.address, kind)
        });
        let mut repeated = Vec::new();
        entries.dedup_by(|later, first| {
            let (Some(class), Some(earlier)) = (class(later.1), class(first.1)) else { return false };
            let said = later.0 == first.0 && class.is_alike(earlier);
            if said {
                repeated.push(class);
            }
            said
        });
        let mut networks = Self::default();
        for (network, origin) in entries {
            match network.address {
                IpAddr::V4(address) => networks.v4.push(network.prefix, address.to_bits(), origin),
                IpAddr::V6(address) => networks.v6.push(network.prefix, address.to_bits(), origin),
            }
        }
        (networks, repeated)
    }

    /// Gives every entry that holds the address, from the longest prefix to the shortest.
    pub(super) fn each(&self, address: IpAddr, mut found: impl FnMut(Network, Origin)) {
        match address.to_canonical() {
            IpAddr::V4(v4) => self.v4.each(
                |prefix| mask_v4(v4, prefix),
                |prefix, bits, origin| {
                    found(Network { address: Ipv4Addr::from_bits(bits).into(), prefix }, origin);
                },
            ),
            IpAddr::V6(v6) => self.v6.each(
                |prefix| mask_v6(v6, prefix),
                |prefix, bits, origin| {
                    found(Network { address: Ipv6Addr::from_bits(bits).into(), prefix }, origin);
                },
            ),
        }
    }

    pub(super) fn all(&self, mut entry: impl FnMut(Network, Origin)) {
        self.v4
            .all(|prefix, bits, origin| entry(Network { address: Ipv4Addr::from_bits(bits).into(), prefix }, origin));
        self.v6
            .all(|prefix, bits, origin| entry(Network { address: Ipv6Addr::from_bits(bits).into(), prefix }, origin));
    }
}

/// The entries of one address family.
#[derive(Default)]
struct Table<B> {
    /// Prefix length, and where its entries end. They begin where those before end.
    groups: Vec<(u8, usize)>,
    networks: Vec<B>,
    origins: Vec<Origin>,
}

impl<B: Copy + Ord> Table<B> {
    fn push(&mut self, prefix: u8, network: B, origin: Origin) {
        self.networks.push(network);
        self.origins.push(origin);
        let end = self.networks.len();
        match self.groups.last_mut() {
            Some(group) if group.0 == prefix => group.1 = end,
            _ => self.groups.push((prefix, end)),
        }
    }

    fn each(&self, network_of: impl Fn(u8) -> Option<B>, mut found: impl FnMut(u8, B, Origin)) {
        for (index, (prefix, end)) in self.groups.iter().enumerate().rev() {
            let start = index.checked_sub(1).and_then(|before| self.groups.get(before)).map_or(0, |group| group.1);
            let (Some(wanted), Some(group)) = (network_of(*prefix), self.networks.get(start..*end)) else { continue };
            let first = start + group.partition_point(|network| *network < wanted);
            let same =
                self.networks.get(first..*end).unwrap_or_default().iter().take_while(|network| **network == wanted);
            for (network, origin) in same.zip(self.origins.get(first..).unwrap_or_default()) {
                found(*prefix, *network, *origin);
            }
        }
    }

    fn all(&self, mut entry: impl FnMut(u8, B, Origin)) {
        let mut entries = self.networks.iter().zip(&self.origins).enumerate().peekable();
        for (prefix, end) in &self.groups {
            while let Some((_, (network, origin))) = entries.next_if(|(index, _)| index < end) {
                entry(*prefix, *network, *origin);
            }
        }
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
    use crate::rules::names::Scope;

    fn network(text: &str) -> Network {
        let (address, prefix) = text.split_once('/').unwrap();
        Network::new(address.parse().unwrap(), prefix.parse().unwrap()).unwrap()
    }

    #[test]
    fn the_longest_prefix_comes_first() {
        let class = Class { list: 0, scope: Scope::Suffix, allow: false, details: false };
        let texts =
            ["192.0.2.0/24", "192.0.2.77/32", "192.0.2.77/24", "0.0.0.0/0", "2001:db8::/32", "::ffff:198.51.100.0/120"];
        let entries = (1..).zip(texts).map(|(at, text)| (network(text), Origin { class: 0, at }));
        let (networks, repeated) = Networks::new(entries.collect(), &[class]);
        let find = |address: &str| {
            let mut found = Vec::new();
            networks.each(address.parse().unwrap(), |network, origin| found.push((network.to_string(), origin.at)));
            found
        };
        let any = ("0.0.0.0/0".to_owned(), 4);
        assert_eq!(find("192.0.2.77"), [("192.0.2.77".to_owned(), 2), ("192.0.2.0/24".to_owned(), 1), any.clone()]);
        assert_eq!(find("192.0.3.77"), std::slice::from_ref(&any));
        assert_eq!(find("::ffff:198.51.100.9"), [("198.51.100.0/24".to_owned(), 6), any]);
        assert_eq!(find("2001:db8::1"), [("2001:db8::/32".to_owned(), 5)]);
        assert_eq!(find("2001:db9::1"), []);
        assert_eq!(repeated.len(), 1, "line 3 names the network of line 1");
        let mut all = Vec::new();
        networks.all(|network, _| all.push(network));
        assert_eq!(all.len(), 5);
        assert_eq!(Network::new("192.0.2.1".parse().unwrap(), 33), None);
    }
}

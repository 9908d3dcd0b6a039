//! The addresses and prefixes of a rule set, found by longest prefix. Which lists they come from and
//! what a match means is left to `set`.
//!
//! Each family has one sorted table, ordered by prefix length and then by network. A lookup is one
//! binary search for each prefix length in use: at most 33 for IPv4 and 129 for IPv6.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::names::{Class, Origin, Repeated};
use crate::invariant::Invariant;
use crate::name::Network;

#[derive(Default)]
pub(in crate::rules) struct Networks {
    v4: Table<u32>,
    v6: Table<u128>,
}

impl Networks {
    /// The entries are sorted by [`leave_out_repeated`].
    pub(super) fn new(entries: Vec<(Network, Origin)>) -> Self {
        let mut networks = Self::default();
        for (network, origin) in entries {
            match network.address() {
                IpAddr::V4(address) => networks.v4.push(network.prefix(), address.to_bits(), origin),
                IpAddr::V6(address) => networks.v6.push(network.prefix(), address.to_bits(), origin),
            }
        }
        networks
    }

    /// Gives every entry that holds the address, from the longest prefix to the shortest.
    pub(in crate::rules) fn each(&self, address: IpAddr, found: impl FnMut(Network, Origin)) {
        let address = address.to_canonical();
        if address.is_ipv4() { self.v4.each(address, found) } else { self.v6.each(address, found) }
    }

    /// Gives every entry there is.
    pub(super) fn all(&self, mut entry: impl FnMut(Network, Origin)) {
        self.v4.all(&mut entry);
        self.v6.all(&mut entry);
    }
}

/// Sorts the entries from `start` on, as [`Networks`] has them. Where a list names a network
/// several times, only the first entry stays.
pub(super) fn leave_out_repeated(
    entries: &mut Vec<(Network, Origin)>,
    start: usize,
    classes: &[Class],
    repeated: &mut [Repeated],
) {
    let class = |origin: Origin| classes.get(usize::from(origin.class)).copied();
    let Some(added) = entries.get_mut(start..) else { return };
    added.sort_unstable_by_key(|(network, origin)| {
        let kind = class(*origin).map(|class| (class.list, class.allow));
        (network.address().is_ipv6(), network.prefix(), network.address(), kind, *origin)
    });
    let mut kept = 0_usize;
    for at in 0..added.len() {
        let Some((network, origin)) = added.get(at).copied() else { break };
        let before = kept.checked_sub(1).and_then(|before| added.get(before));
        let said = before.filter(|before| before.0 == network).is_some_and(|before| {
            class(before.1).zip(class(origin)).is_some_and(|(earlier, class)| class.is_alike(earlier))
        });
        if said {
            if let Some(repeated) = repeated.get_mut(usize::from(origin.class)) {
                repeated.networks += 1;
            }
        } else {
            if let Some(place) = added.get_mut(kept) {
                *place = (network, origin);
            }
            kept += 1;
        }
    }
    entries.truncate(start + kept);
}

/// The bits of an address of one family.
trait Bits: Copy + Ord {
    /// `None`: the address is of the other family.
    fn of(address: IpAddr) -> Option<Self>;
    fn address(self) -> IpAddr;
}

impl Bits for u32 {
    fn of(address: IpAddr) -> Option<Self> {
        if let IpAddr::V4(address) = address { Some(address.to_bits()) } else { None }
    }

    fn address(self) -> IpAddr {
        Ipv4Addr::from_bits(self).into()
    }
}

impl Bits for u128 {
    fn of(address: IpAddr) -> Option<Self> {
        if let IpAddr::V6(address) = address { Some(address.to_bits()) } else { None }
    }

    fn address(self) -> IpAddr {
        Ipv6Addr::from_bits(self).into()
    }
}

/// The entries of one address family.
#[derive(Default)]
struct Table<B> {
    /// Prefix length, and where its entries end. They begin where those of the group before end.
    groups: Vec<(u8, usize)>,
    networks: Vec<B>,
    origins: Vec<Origin>,
}

impl<B: Bits> Table<B> {
    fn push(&mut self, prefix: u8, network: B, origin: Origin) {
        self.networks.push(network);
        self.origins.push(origin);
        let end = self.networks.len();
        match self.groups.last_mut() {
            Some(group) if group.0 == prefix => group.1 = end,
            _ => self.groups.push((prefix, end)),
        }
    }

    fn each(&self, address: IpAddr, mut found: impl FnMut(Network, Origin)) {
        for (index, (prefix, end)) in self.groups.iter().enumerate().rev() {
            let start = index.checked_sub(1).and_then(|before| self.groups.get(before)).map_or(0, |group| group.1);
            let Some(network) = Network::new(address, *prefix) else { continue };
            let (Some(wanted), Some(group)) = (B::of(network.address()), self.networks.get(start..*end)) else {
                continue;
            };
            let first = start + group.partition_point(|network| *network < wanted);
            let same = self.networks.get(first..*end).holds().iter().take_while(|network| **network == wanted);
            for (_, origin) in same.zip(self.origins.get(first..).holds()) {
                found(network, *origin);
            }
        }
    }

    fn all(&self, entry: &mut impl FnMut(Network, Origin)) {
        let mut entries = self.networks.iter().zip(&self.origins).enumerate().peekable();
        for (prefix, end) in &self.groups {
            while let Some((_, (network, origin))) = entries.next_if(|(index, _)| index < end) {
                if let Some(network) = Network::new(network.address(), *prefix) {
                    entry(network, *origin);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::names::{Allow, Scope};
    use super::*;

    fn network(text: &str) -> Network {
        let (address, prefix) = text.split_once('/').unwrap();
        Network::new(address.parse().unwrap(), prefix.parse().unwrap()).unwrap()
    }

    #[test]
    fn the_longest_prefix_comes_first() {
        let class = Class { list: 0, scope: Scope::Suffix, allow: Allow::No, details: false };
        let texts =
            ["192.0.2.0/24", "192.0.2.77/32", "192.0.2.77/24", "0.0.0.0/0", "2001:db8::/32", "::ffff:198.51.100.0/120"];
        let entries = (1..).zip(texts).map(|(at, text)| (network(text), Origin { class: 0, at }));
        let (mut entries, mut repeated): (Vec<_>, _) = (entries.collect(), [Repeated::default()]);
        leave_out_repeated(&mut entries, 0, &[class], &mut repeated);
        let networks = Networks::new(entries);
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
        assert_eq!(repeated[0].networks, 1, "line 3 names the network of line 1");
        let mut all = Vec::new();
        networks.all(|network, _| all.push(network));
        assert_eq!(all.len(), 5);
    }
}

//! The watch list: addresses that listed names resolved to. Connections to a watched address are sightings.

use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;
use std::rc::Rc;

use super::Match;
use crate::event::Command;
use crate::rules::Rules;

/// Addresses watched at a time, as many as the kernel's map holds: few answers match anything. The address
/// that was resolved longest ago is evicted first.
const WATCHED: usize = 4_096;

/// Addresses watched of one answer, more than a datagram holds: one hostile answer must not evict all others.
const ADDRESSES: usize = 256;

/// Nanoseconds that an address is watched after its last lookup: programs keep addresses far beyond
/// their TTL, and addresses change hands.
const WATCH_TIME: u64 = 24 * 3_600 * 1_000_000_000;

/// The watched addresses.
#[derive(Debug, Default)]
pub struct WatchList {
    watched: HashMap<IpAddr, Rc<Resolution>>,
    /// The addresses by the time of their last lookup, oldest first.
    order: BTreeSet<(u64, IpAddr)>,
}

/// The last lookup that resolved to an address.
#[derive(Debug)]
pub struct Resolution {
    pub time: u64,
    pub name: Rc<str>,
    /// The matches that concern the address.
    pub matches: Vec<Match>,
}

impl WatchList {
    #[must_use]
    pub fn get(&self, address: IpAddr) -> Option<&Rc<Resolution>> {
        self.watched.get(&address)
    }

    /// Watches the addresses that a lookup of `name` resolved to. A listed name stands for all of its
    /// addresses, a listed address for itself.
    pub fn resolved(
        &mut self,
        (time, name): (u64, &str),
        addresses: impl Iterator<Item = IpAddr>,
        matches: &[Match],
        commands: &mut Vec<Command>,
    ) {
        if matches.is_empty() {
            return;
        }
        let mut shared: Option<Rc<str>> = None;
        for address in addresses.take(ADDRESSES).map(|address| address.to_canonical()) {
            let is_meant = |matched: &&Match| {
                matched.atomic.parse().is_ok_and(|listed: IpAddr| listed.to_canonical() == address)
                    || !is_address(&matched.hit.indicator)
            };
            if !is_elsewhere(address) || !matches.iter().any(|matched| is_meant(&matched)) {
                continue;
            }
            let name = Rc::clone(shared.get_or_insert_with(|| name.into()));
            let matches = matches.iter().filter(is_meant).cloned().collect();
            self.watch(address, Resolution { time, name, matches }, commands);
        }
    }

    /// Forgets addresses whose last lookup is long ago.
    pub fn expire(&mut self, now: u64, commands: &mut Vec<Command>) {
        // A clock that was set back by as much ends the watch too.
        while self.order.first().is_some_and(|(last, _)| last.abs_diff(now) >= WATCH_TIME) {
            self.forget_oldest(commands);
        }
    }

    /// Forgets addresses whose lookup matches none of these lists.
    pub fn reconsider(&mut self, rules: &Rules, commands: &mut Vec<Command>) {
        let mut found = Vec::new();
        let mut is_listed = |matched: &Match| {
            found.clear();
            match matched.atomic.parse() {
                Ok(address) => rules.match_address(address, &mut found),
                Err(_) => rules.match_name(&matched.atomic, &mut found),
            }
            !found.is_empty()
        };
        let lapsed = self.watched.iter().filter(|(_, resolution)| !resolution.matches.iter().any(&mut is_listed));
        for (time, address) in lapsed.map(|(address, resolution)| (resolution.time, *address)).collect::<Vec<_>>() {
            self.order.remove(&(time, address));
            self.forget(address, commands);
        }
    }

    fn watch(&mut self, address: IpAddr, resolution: Resolution, commands: &mut Vec<Command>) {
        let time = resolution.time;
        if self.watched.len() >= WATCHED && !self.watched.contains_key(&address) {
            self.forget_oldest(commands);
        }
        match self.watched.insert(address, Rc::new(resolution)) {
            Some(before) => drop(self.order.remove(&(before.time, address))),
            None => commands.push(Command::Watch(address)),
        }
        self.order.insert((time, address));
    }

    fn forget_oldest(&mut self, commands: &mut Vec<Command>) {
        if let Some((_, address)) = self.order.pop_first() {
            self.forget(address, commands);
        }
    }

    fn forget(&mut self, address: IpAddr, commands: &mut Vec<Command>) {
        self.watched.remove(&address);
        commands.push(Command::Forget(address));
    }
}

/// Whether an indicator is an address or a network, not a name.
fn is_address(indicator: &str) -> bool {
    indicator.split('/').next().is_some_and(|address| address.parse::<IpAddr>().is_ok())
}

/// Whether an address is another host. Blocking resolvers answer a listed name with 0.0.0.0, 127.0.0.1 or
/// the like, to which every program of the host connects all the time.
fn is_elsewhere(address: IpAddr) -> bool {
    !(address.is_loopback()
        || address.is_unspecified()
        || address.is_multicast()
        || match address {
            IpAddr::V4(address) => address.is_link_local() || address.is_broadcast() || address.octets()[0] == 0,
            IpAddr::V6(address) => address.is_unicast_link_local(),
        })
}

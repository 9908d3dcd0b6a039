//! The watch list: addresses that listed names resolved to. Connections to a watched address are sightings.

use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;

use super::Match;
use crate::event::Command;
use crate::metrics::{Levels, Metrics};
use crate::rules::Rules;

/// Addresses watched at a time, as many as the kernel's map holds: few answers match anything. Past it the user
/// with the most addresses loses the one that was resolved longest ago.
const WATCHED: usize = 4_096;

/// Addresses watched of one answer, more than a datagram holds: one hostile answer must not evict all others.
const ADDRESSES: usize = 256;

/// Nanoseconds that an address is watched after its last lookup: programs keep addresses far beyond
/// their TTL, and addresses change hands.
const WATCH_TIME: u64 = 24 * 3_600 * 1_000_000_000;

/// The effective user of the task that asked. `None` where the task is not known.
type User = Option<u32>;

/// The watched addresses.
#[derive(Debug)]
pub struct WatchList {
    watched: HashMap<IpAddr, Rc<Resolution>>,
    /// The addresses by the time of their last lookup, oldest first: all, and those of each user.
    order: BTreeSet<(u64, IpAddr)>,
    users: HashMap<User, BTreeSet<(u64, IpAddr)>>,
    bytes: usize,
    metrics: Arc<Metrics>,
}

/// The last lookup that resolved to an address.
#[derive(Debug)]
pub struct Resolution {
    pub time: u64,
    pub name: Rc<str>,
    user: User,
    /// The matches of names, which all addresses of the answer share.
    of_names: Rc<[Match]>,
    /// The matches of the address itself.
    of_address: Vec<Match>,
}

/// A lookup that matches, as the watch list needs it.
#[derive(Debug, Clone, Copy)]
pub struct Lookup<'a> {
    pub time: u64,
    pub name: &'a str,
    /// The effective user of the task that asked.
    pub user: Option<u32>,
    pub matches: &'a [Match],
}

impl Resolution {
    /// The matches that concern the address.
    pub fn matches(&self) -> impl Iterator<Item = &Match> {
        self.of_names.iter().chain(&self.of_address)
    }

    /// Bytes of memory. Matches that several addresses share count for each of them, because each keeps them.
    fn bytes(&self) -> usize {
        /// The entries of the tables.
        const ENTRIES: usize = 4 * size_of::<(u64, IpAddr)>();
        size_of::<Self>() + ENTRIES + self.name.len() + self.matches().map(Match::bytes).sum::<usize>()
    }
}

impl WatchList {
    #[must_use]
    pub fn new(metrics: Arc<Metrics>) -> Self {
        Self { watched: HashMap::new(), order: BTreeSet::new(), users: HashMap::new(), bytes: 0, metrics }
    }

    #[must_use]
    pub fn get(&self, address: IpAddr) -> Option<&Rc<Resolution>> {
        self.watched.get(&address)
    }

    /// Watches the addresses that a lookup resolved to. A listed name stands for all of its addresses, a listed
    /// address for itself.
    pub fn resolved(
        &mut self,
        lookup: Lookup<'_>,
        addresses: impl Iterator<Item = IpAddr>,
        commands: &mut Vec<Command>,
    ) {
        let Lookup { time, name, user, matches } = lookup;
        if matches.is_empty() {
            return;
        }
        let is_of_name = |matched: &&Match| !is_address(&matched.hit.indicator);
        let of_names: Rc<[Match]> = matches.iter().filter(is_of_name).cloned().collect();
        let name: Rc<str> = name.into();
        for address in addresses.take(ADDRESSES).map(|address| address.to_canonical()) {
            let is_of_address = |matched: &&Match| {
                is_address(&matched.hit.indicator)
                    && matched.atomic.parse().is_ok_and(|listed: IpAddr| listed.to_canonical() == address)
            };
            let of_address: Vec<_> = matches.iter().filter(is_of_address).cloned().collect();
            if is_elsewhere(address) && !(of_names.is_empty() && of_address.is_empty()) {
                let (name, of_names) = (Rc::clone(&name), Rc::clone(&of_names));
                self.watch(address, Resolution { time, name, user, of_names, of_address }, commands);
            }
        }
    }

    /// Forgets addresses whose last lookup is long ago.
    pub fn expire(&mut self, now: u64, commands: &mut Vec<Command>) {
        // A clock that was set back by as much ends the watch too.
        while let Some((time, address)) = self.order.first().copied()
            && time.abs_diff(now) >= WATCH_TIME
        {
            self.forget(address, commands);
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
        let lapsed = self.watched.iter().filter(|(_, resolution)| !resolution.matches().any(&mut is_listed));
        for address in lapsed.map(|(address, _)| *address).collect::<Vec<_>>() {
            self.forget(address, commands);
        }
    }

    /// Publishes the size of the list.
    pub fn publish(&self, levels: &Levels) {
        levels.watched_addresses.set(self.watched.len() as u64);
        self.metrics.memory.watched.set(self.bytes);
    }

    fn watch(&mut self, address: IpAddr, resolution: Resolution, commands: &mut Vec<Command>) {
        let (time, user, bytes) = (resolution.time, resolution.user, resolution.bytes());
        if let Some(before) = self.watched.remove(&address) {
            self.unlink(address, &before);
        } else {
            // The kernel's map may be full, so entries are taken out before this one is put in.
            self.make_space(bytes, commands);
            commands.push(Command::Watch(address));
        }
        self.bytes += bytes;
        self.watched.insert(address, Rc::new(resolution));
        self.order.insert((time, address));
        self.users.entry(user).or_default().insert((time, address));
    }

    fn make_space(&mut self, bytes: usize, commands: &mut Vec<Command>) {
        let bound = self.metrics.memory.watched.bound();
        while self.watched.len() >= WATCHED || self.bytes + bytes > bound {
            let most = self.users.values().max_by_key(|addresses| addresses.len());
            let Some((_, oldest)) = most.and_then(BTreeSet::first).copied() else { return };
            self.metrics.losses.watch_evicted.add(1);
            self.forget(oldest, commands);
        }
    }

    fn forget(&mut self, address: IpAddr, commands: &mut Vec<Command>) {
        if let Some(resolution) = self.watched.remove(&address) {
            self.unlink(address, &resolution);
            commands.push(Command::Forget(address));
        }
    }

    /// Takes an address out of the tables beside `watched`.
    fn unlink(&mut self, address: IpAddr, resolution: &Resolution) {
        let place = (resolution.time, address);
        self.bytes -= resolution.bytes();
        self.order.remove(&place);
        if let Some(addresses) = self.users.get_mut(&resolution.user) {
            addresses.remove(&place);
            if addresses.is_empty() {
                self.users.remove(&resolution.user);
            }
        }
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

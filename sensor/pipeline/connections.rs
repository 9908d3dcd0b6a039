//! Connections to what a listed name resolved to: which addresses are watched, for how long, and
//! which connections are to be told. Who connected is left to `process`, the document to `ecs`.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;

use super::Outlet;
use crate::alert::Match;
use crate::dns::{Message, Section};
use crate::event::{self, Command, ConnectionId, Stage};
use crate::journal::{Body, Document};
use crate::metrics::Metrics;
use crate::process::{Actor, Processes};
use crate::rules::Rules;
use crate::sighting::connection::{self, DESTINATION_IP};

/// Addresses watched at a time, as many as the kernel's map holds: few answers match anything. The one
/// that was resolved longest ago goes first.
const WATCHED: usize = 4_096;

/// Addresses watched of one answer, more than a datagram holds: one hostile answer must not push out all others.
const ADDRESSES: usize = 256;

/// Nanoseconds after its last lookup that an address is watched: programs keep addresses far beyond
/// their TTL, and addresses change hands.
const WATCH_TIME: u64 = 24 * 3_600 * 1_000_000_000;

/// Open connections that are followed, as many as the kernel's map holds. Only where records were lost
/// can there be more; then the oldest is forgotten.
const OPEN: usize = 8_192;

/// All that outlives an event.
#[derive(Debug)]
pub(super) struct Connections {
    watched: HashMap<IpAddr, Rc<Resolution>>,
    /// When each was resolved last, oldest first.
    order: BTreeSet<(u64, IpAddr)>,
    open: BTreeMap<ConnectionId, Open>,
    commands: Vec<Command>,
    metrics: Arc<Metrics>,
}

/// What the last lookup said of an address.
#[derive(Debug)]
struct Resolution {
    time: u64,
    name: Rc<str>,
    matches: Vec<Match>,
    /// The names and addresses of the answer that are listed.
    listed: Vec<String>,
}

/// Told as opened; held until it is closed, however long its process and its watch are gone.
#[derive(Debug)]
struct Open {
    actor: Actor,
    resolution: Rc<Resolution>,
}

impl Connections {
    pub(super) fn new(metrics: Arc<Metrics>) -> Self {
        Self { watched: HashMap::new(), order: BTreeSet::new(), open: BTreeMap::new(), commands: Vec::new(), metrics }
    }

    /// What the kernel side is to do, since this was last asked.
    pub(super) fn take(&mut self) -> impl Iterator<Item = Command> {
        self.commands.drain(..)
    }

    /// Watches what this answer of `name` resolves to. A listed name stands for all of its addresses, a
    /// listed address for itself.
    pub(super) fn resolved(&mut self, time: u64, name: Option<&str>, message: &Message, matches: &[Match]) {
        if matches.is_empty() {
            return;
        }
        let mut asked: Option<Rc<str>> = None;
        let addresses = message.addresses().filter(|(_, record)| record.section == Section::Answer);
        for (address, record) in addresses.take(ADDRESSES) {
            let address = address.to_canonical();
            let is_meant = |matched: &&Match| {
                matched.atomic.parse().is_ok_and(|listed: IpAddr| listed.to_canonical() == address)
                    || !is_address(&matched.hit.indicator)
            };
            if !is_elsewhere(address) || !matches.iter().any(|matched| is_meant(&matched)) {
                continue;
            }
            let name = Rc::clone(asked.get_or_insert_with(|| name.unwrap_or(record.name).into()));
            let (listed, matches) = matches
                .iter()
                .filter(is_meant)
                .map(|Match { hit, atomic, .. }| {
                    (atomic.clone(), Match { hit: hit.clone(), field: &DESTINATION_IP, atomic: address.to_string() })
                })
                .unzip();
            self.watch(address, Resolution { time, name, matches, listed });
        }
    }

    /// Gives the document of a connection that is to be told.
    pub(super) fn connection(
        &mut self,
        event: &event::Connection,
        processes: &mut Processes,
        outlet: &mut Outlet,
        emit: &mut impl FnMut(&Document<'_>),
    ) {
        if event.stage == Stage::Closed {
            if let Some(open) = self.open.remove(&event.id) {
                open.write(event, outlet, emit);
            }
            return;
        }
        let Some(resolution) = self.watched.get(&event.destination.ip()).cloned() else {
            if event.stage == Stage::Opened {
                self.commands.push(Command::Release(event.id));
            }
            return;
        };
        let process = event.task.and_then(|task| {
            let process = processes.of_task(&task, event.time);
            if process.is_none() {
                self.metrics.losses.process_unknown.add(1);
            }
            process
        });
        self.metrics.traffic.connections.add(1);
        let connection = Open { actor: Actor { process, task: event.task }, resolution };
        connection.write(event, outlet, emit);
        if event.stage == Stage::Opened {
            if self.open.len() >= OPEN && self.open.pop_first().is_some() {
                self.metrics.losses.connection_evicted.add(1);
            }
            self.open.insert(event.id, connection);
        }
    }

    /// Forgets what was resolved long enough ago.
    pub(super) fn expire(&mut self, now: u64) {
        // A clock that was set back by as much ends it too.
        while self.order.first().is_some_and(|(last, _)| last.abs_diff(now) >= WATCH_TIME) {
            self.forget_oldest();
        }
    }

    /// Watches no more what these lists have nothing of.
    pub(super) fn reconsider(&mut self, rules: &Rules) {
        let mut found = Vec::new();
        let mut is_listed = |text: &String| {
            found.clear();
            match text.parse() {
                Ok(address) => rules.match_address(address, &mut found),
                Err(_) => rules.match_name(text, &mut found),
            }
            !found.is_empty()
        };
        let lapsed = self.watched.iter().filter(|(_, resolution)| !resolution.listed.iter().any(&mut is_listed));
        for (time, address) in lapsed.map(|(address, resolution)| (resolution.time, *address)).collect::<Vec<_>>() {
            self.order.remove(&(time, address));
            self.forget(address);
        }
    }

    fn watch(&mut self, address: IpAddr, resolution: Resolution) {
        let time = resolution.time;
        if self.watched.len() >= WATCHED && !self.watched.contains_key(&address) {
            self.forget_oldest();
        }
        match self.watched.insert(address, Rc::new(resolution)) {
            Some(before) => drop(self.order.remove(&(before.time, address))),
            None => self.commands.push(Command::Watch(address)),
        }
        self.order.insert((time, address));
    }

    fn forget_oldest(&mut self) {
        if let Some((_, address)) = self.order.pop_first() {
            self.forget(address);
        }
    }

    fn forget(&mut self, address: IpAddr) {
        self.watched.remove(&address);
        self.commands.push(Command::Forget(address));
    }
}

impl Open {
    fn write(&self, event: &event::Connection, outlet: &mut Outlet, emit: &mut impl FnMut(&Document<'_>)) {
        let Self { actor, resolution } = self;
        let connection = connection::Document {
            event,
            actor,
            name: &resolution.name,
            resolved: resolution.time,
            matches: &resolution.matches,
        };
        outlet.write(event.time, Body::Connection(connection), emit);
    }
}

/// An address or a network, not a name.
fn is_address(indicator: &str) -> bool {
    indicator.split('/').next().is_some_and(|address| address.parse::<IpAddr>().is_ok())
}

/// Blocking resolvers answer a listed name with 0.0.0.0, 127.0.0.1 or the like: whoever connects there
/// reaches this host, or nobody, and every program of the host does so all the time.
fn is_elsewhere(address: IpAddr) -> bool {
    !(address.is_loopback()
        || address.is_unspecified()
        || address.is_multicast()
        || match address {
            IpAddr::V4(address) => address.is_link_local() || address.is_broadcast() || address.octets()[0] == 0,
            IpAddr::V6(address) => address.is_unicast_link_local(),
        })
}

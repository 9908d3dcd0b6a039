//! One compiled set of lists: what a name or an address matches, and what the lists say about it.
//! How lists are read is left to `read`, how entries are found to `index`.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;

use super::index::compile::Compiled;
use super::index::details::Details;
use super::index::names::{Allow, EntryRef, Names};
use super::index::networks::Networks;
use super::list::{Entry, List};
use super::lists::{Counts, Format};
use crate::invariant::Invariant;
use crate::name::Network;

/// One compiled set of lists. A reload replaces it as a whole.
#[derive(Default)]
pub struct Rules {
    pub(super) lists: Vec<Loaded>,
    pub(super) names: Names,
    pub(super) networks: Networks,
    pub(super) details: Details,
}

/// A list in force.
#[derive(Clone)]
pub(super) struct Loaded {
    pub list: Arc<List>,
    /// The path, of those given, that the list came from.
    pub origin: PathBuf,
    pub format: Option<Format>,
    pub counts: Counts,
}

impl Rules {
    pub(super) fn new(lists: Vec<Loaded>, compiled: Compiled) -> Self {
        let Compiled { names, networks, details, .. } = compiled;
        Self { lists, names, networks, details }
    }

    /// Adds what a name in document form matches: the longest entry of every list that has one, longest
    /// first. A list whose exception covers the name has none, and no list has where an allow list does.
    pub fn match_name(&self, name: &str, found: &mut Vec<EntryRef>) {
        let before = found.len();
        let mut exceptions = Exceptions::default();
        self.names.each(name, |entry| {
            let others = found.get_mut(before..).holds();
            // From the shortest to the longest: a later entry of the same list is the better one.
            match others.iter_mut().find(|other| other.is_like(entry)) {
                Some(shorter) => *shorter = entry,
                None => found.push(entry),
            }
            exceptions.note(entry);
        });
        exceptions.apply(before, found);
        if found.len() > before + 1 {
            found.get_mut(before..).holds().sort_by_key(|entry| entry.part);
        }
    }

    /// Finds the entries of a resolved address: the longest prefix of every list that has one.
    pub fn match_address(&self, address: IpAddr, found: &mut Vec<EntryRef>) {
        let before = found.len();
        let mut exceptions = Exceptions::default();
        self.each_of_address(address, |entry| {
            let others = found.get(before..).holds();
            if !others.iter().any(|other| other.is_like(entry)) {
                found.push(entry);
            }
            exceptions.note(entry);
        });
        exceptions.apply(before, found);
    }

    /// The entry that `name` matched.
    #[must_use]
    pub fn entry_of_name(&self, name: &str, entry: EntryRef) -> Option<Entry> {
        self.entry(entry, name.get(entry.part..).holds().into())
    }

    /// The entry that `address` matched.
    #[must_use]
    pub fn entry_of_address(&self, address: IpAddr, entry: EntryRef) -> Option<Entry> {
        let network = Network::new(address.to_canonical(), u8::try_from(entry.part).ok()?)?;
        self.entry(entry, network.to_string().into())
    }

    /// Every entry that a name matches; for people, who ask once.
    #[must_use]
    pub fn matches_of_name(&self, name: &str) -> Vec<Entry> {
        let mut found = Vec::new();
        self.match_name(name, &mut found);
        found.into_iter().filter_map(|entry| self.entry_of_name(name, entry)).collect()
    }

    /// Every exception that covers a name.
    #[must_use]
    pub fn exceptions_of_name(&self, name: &str) -> Vec<Exception> {
        let mut found = Vec::new();
        self.names.each(name, |entry| found.extend(Some(entry).filter(|entry| entry.class.is_exception())));
        found.into_iter().filter_map(|entry| Exception::new(entry, self.entry_of_name(name, entry))).collect()
    }

    /// Every entry that an address matches.
    #[must_use]
    pub fn matches_of_address(&self, address: IpAddr) -> Vec<Entry> {
        let mut found = Vec::new();
        self.match_address(address, &mut found);
        found.into_iter().filter_map(|entry| self.entry_of_address(address, entry)).collect()
    }

    /// Every exception that covers an address.
    #[must_use]
    pub fn exceptions_of_address(&self, address: IpAddr) -> Vec<Exception> {
        let mut found = Vec::new();
        self.each_of_address(address, |entry| found.extend(Some(entry).filter(|entry| entry.class.is_exception())));
        found.into_iter().filter_map(|entry| Exception::new(entry, self.entry_of_address(address, entry))).collect()
    }

    fn each_of_address(&self, address: IpAddr, mut each: impl FnMut(EntryRef)) {
        self.networks.each(address, |network, origin| {
            if let Some(class) = self.names.classes.get(usize::from(origin.class)).copied() {
                each(EntryRef { class, at: origin.at, part: network.prefix().into() });
            }
        });
    }

    fn entry(&self, entry: EntryRef, indicator: Arc<str>) -> Option<Entry> {
        let list = Arc::clone(&self.lists.get(usize::from(entry.class.list))?.list);
        let (line, metadata) = self.details.of(entry.class, entry.at)?;
        Some(Entry { list, line, indicator, metadata: metadata.map(Arc::new) })
    }

    /// Whether nothing can match.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.lists.is_empty()
    }

    /// Names in force, of all lists.
    #[must_use]
    pub fn names(&self) -> u64 {
        self.names.records.len() as u64
    }
}

/// An entry that takes what it covers out of a list.
#[derive(Debug, Clone)]
pub struct Exception {
    pub entry: Entry,
    /// The exception holds for all lists, not only for its own.
    pub for_all_lists: bool,
}

impl Exception {
    fn new(found: EntryRef, entry: Option<Entry>) -> Option<Self> {
        Some(Self { entry: entry?, for_all_lists: found.class.allow == Allow::AllLists })
    }
}

/// The exceptions that one lookup has met.
#[derive(Default)]
struct Exceptions {
    own: bool,
    all: bool,
}

impl Exceptions {
    #[inline]
    fn note(&mut self, entry: EntryRef) {
        match entry.class.allow {
            Allow::No => {}
            Allow::OwnList => self.own = true,
            Allow::AllLists => self.all = true,
        }
    }

    /// Takes out the entries that exceptions cover, and the exceptions themselves.
    #[inline]
    fn apply(&self, before: usize, found: &mut Vec<EntryRef>) {
        if self.all {
            found.truncate(before);
        } else if self.own {
            let mut kept = before;
            for at in before..found.len() {
                let Some(entry) = found.get(at).copied() else { break };
                let looked_at = found.get(before..).holds();
                let excepted =
                    looked_at.iter().any(|other| other.class.list == entry.class.list && other.class.is_exception());
                if !excepted {
                    found.swap(kept, at);
                    kept += 1;
                }
            }
            found.truncate(kept);
        }
    }
}

impl fmt::Debug for Rules {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lists: Vec<&str> = self.lists.iter().map(|loaded| loaded.list.id.as_str()).collect();
        out.debug_struct("Rules").field("lists", &lists).field("names", &self.names()).finish_non_exhaustive()
    }
}

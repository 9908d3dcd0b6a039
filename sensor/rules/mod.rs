//! Blocklists: read every public format, compile, match a name by suffix and an address by prefix.
//! Which names of a message are looked up, and what a hit becomes, is left to `pipeline` and `ecs`.
//!
//! # What matches
//! - An entry matches its name and everything below it, at label boundaries. Lists with `match = "exact"`,
//!   and the formats that mean the name alone (a response policy zone without `*.`, `local-data`),
//!   match the name only.
//! - Of each list the longest match counts; every list that has one is named, the longest first.
//! - Exceptions win: a name that an allow list, an `@@` rule or `rpz-passthru` covers never alerts,
//!   whether the exception is the longer match or not.
//!
//! # From file to set
//! `manifest` (which lists) → `source` (lines) → `format` (entries) → `intake` (checked, counted) →
//! `compile` → `names`, `networks`, `details` (read-only). A set is never changed: a reload makes a
//! new one on another thread, and the loop swaps one pointer.

mod check;
mod compile;
mod details;
mod entry;
mod flaw;
mod format;
mod hash;
mod intake;
mod load;
mod manifest;
mod memory;
mod name;
mod names;
mod networks;
mod reload;
mod source;
mod watch;

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;

pub use check::{check, lookup};
pub use format::Format;
pub use intake::{Counts, Problem};
pub use load::{ListReport, Load, Unusable, load};
pub use manifest::Action;
pub use names::Found;
pub use reload::Reload;
pub use watch::{Watched, Watcher};

use flaw::Flaw;
use networks::Network;

/// One compiled set of lists. Replaced as a whole on reload.
#[derive(Default)]
pub struct Rules {
    lists: Vec<Loaded>,
    names: names::Names,
    networks: networks::Networks,
    details: details::Details,
}

/// A list in force.
struct Loaded {
    list: Arc<List>,
    /// The path, of those given, that it came from.
    origin: PathBuf,
    report: ListReport,
}

/// What the configuration says about a list; copied into alerts.
#[derive(Debug, Default)]
pub struct List {
    /// `rule.id`
    pub id: String,
    /// `rule.name`
    pub name: String,
    /// `rule.category`
    pub category: Option<String>,
    /// `rule.reference`
    pub reference: Option<String>,
    /// `threat.indicator.provider` / `threat.feed.name`
    pub feed: Option<String>,
    /// `event.severity`, 0 to 100.
    pub severity: Option<u8>,
    /// Where it was read from.
    pub path: PathBuf,
    /// Short hash of the content: `rule.version`.
    pub version: String,
}

/// One entry of one list that a name or an address matched.
#[derive(Debug, Clone)]
pub struct Hit {
    pub list: Arc<List>,
    /// 1-based line in `list.path`.
    pub line: u32,
    /// The entry as names are written in documents (`evil.example`), or an address or CIDR.
    pub indicator: Arc<str>,
    /// The entry's own metadata (JSON lines, CSV).
    pub metadata: Option<Arc<Metadata>>,
}

/// What a list says about one entry.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct Metadata {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uuid: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// 0 to 100, overrides the list's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub severity: Option<u8>,
}

impl Rules {
    fn new(lists: Vec<Loaded>, compiled: compile::Compiled) -> Self {
        let compile::Compiled { names, networks, details, .. } = compiled;
        Self { lists, names, networks, details }
    }

    /// Adds what a name, as documents write it (lower case, no trailing dot, `\DDD` escapes), matches:
    /// the longest entry of every list that has one, longest first; none where an allow list wins.
    pub fn match_name(&self, name: &str, found: &mut Vec<Found>) {
        let before = found.len();
        let mut allowed = false;
        self.names.each(name, |entry| {
            allowed |= entry.class.allow;
            // From the shortest to the longest: a later entry of the same list is the better one.
            let others = found.get_mut(before..).unwrap_or_default();
            match others.iter_mut().find(|other| other.class.list == entry.class.list) {
                Some(shorter) => *shorter = entry,
                None => found.push(entry),
            }
        });
        if allowed {
            found.truncate(before);
        } else if found.len() > before + 1 {
            found.get_mut(before..).unwrap_or_default().sort_by_key(|entry| entry.part);
        }
    }

    /// The same for a resolved address: the longest prefix of every list that has one.
    pub fn match_address(&self, address: IpAddr, found: &mut Vec<Found>) {
        let before = found.len();
        let mut allowed = false;
        self.each_of_address(address, |entry| {
            allowed |= entry.class.allow;
            let others = found.get(before..).unwrap_or_default();
            if others.iter().all(|other| other.class.list != entry.class.list) {
                found.push(entry);
            }
        });
        if allowed {
            found.truncate(before);
        }
    }

    /// What is told of an entry that `name` matched.
    #[must_use]
    pub fn hit_of_name(&self, name: &str, found: Found) -> Option<Hit> {
        self.hit(found, name.get(found.part..).unwrap_or_default().into())
    }

    /// What is told of an entry that `address` matched.
    #[must_use]
    pub fn hit_of_address(&self, address: IpAddr, found: Found) -> Option<Hit> {
        let network = Network::new(address.to_canonical(), u8::try_from(found.part).ok()?)?;
        self.hit(found, network.to_string().into())
    }

    /// Every hit of a name, or every exception that covers it; for people, who ask once.
    #[must_use]
    pub fn hits_of_name(&self, name: &str, exceptions: bool) -> Vec<Hit> {
        let mut found = Vec::new();
        if exceptions {
            self.names.each(name, |entry| found.extend(Some(entry).filter(|entry| entry.class.allow)));
        } else {
            self.match_name(name, &mut found);
        }
        found.into_iter().filter_map(|entry| self.hit_of_name(name, entry)).collect()
    }

    /// The same of an address.
    #[must_use]
    pub fn hits_of_address(&self, address: IpAddr, exceptions: bool) -> Vec<Hit> {
        let mut found = Vec::new();
        if exceptions {
            self.each_of_address(address, |entry| found.extend(Some(entry).filter(|entry| entry.class.allow)));
        } else {
            self.match_address(address, &mut found);
        }
        found.into_iter().filter_map(|entry| self.hit_of_address(address, entry)).collect()
    }

    fn each_of_address(&self, address: IpAddr, mut each: impl FnMut(Found)) {
        self.networks.each(address, |network, origin| {
            if let Some(class) = self.names.classes.get(usize::from(origin.class)).copied() {
                each(Found { class, at: origin.at, part: network.prefix().into() });
            }
        });
    }

    fn hit(&self, found: Found, indicator: Arc<str>) -> Option<Hit> {
        let list = Arc::clone(&self.lists.get(usize::from(found.class.list))?.list);
        let (line, metadata) = self.details.of(found.class, found.at)?;
        Some(Hit { list, line, indicator, metadata: metadata.map(Arc::new) })
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

impl fmt::Debug for Rules {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lists: Vec<&str> = self.lists.iter().map(|loaded| loaded.list.id.as_str()).collect();
        out.debug_struct("Rules").field("lists", &lists).field("names", &self.names()).finish_non_exhaustive()
    }
}

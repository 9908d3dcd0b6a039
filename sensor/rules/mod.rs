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
mod codec;
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
mod stage;
mod watch;

use std::cmp::Reverse;
use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;

pub use check::{check, lookup};
pub use format::Format;
pub use intake::{Counts, Problem};
pub use load::{ListReport, Load, Unusable, load};
pub use manifest::Action;
pub use reload::Reload;
pub use watch::{Watched, Watcher};

use flaw::Flaw;

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
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Metadata {
    pub uuid: Option<String>,
    pub source: Option<String>,
    pub description: Option<String>,
    /// 0 to 100, overrides the list's.
    pub severity: Option<u8>,
}

impl Rules {
    fn new(lists: Vec<Loaded>, compiled: compile::Compiled) -> Self {
        let compile::Compiled { names, networks, details, .. } = compiled;
        Self { lists, names, networks, details }
    }

    /// Adds the hits of a name as documents write it (lower case, no trailing dot, `\DDD`
    /// escapes): the longest match of every list that has one, longest first; none where an allow list wins.
    pub fn match_name(&self, name: &str, hits: &mut Vec<Hit>) {
        let before = hits.len();
        let mut allowed = false;
        self.names.each(name, |found| {
            if allowed {
                return;
            }
            if found.class.allow {
                allowed = true;
                hits.truncate(before);
                return;
            }
            let Some(loaded) = self.lists.get(usize::from(found.class.list)) else { return };
            let hit = Hit {
                list: loaded.list.clone(),
                line: found.line,
                indicator: name.get(found.start..).unwrap_or_default().into(),
                metadata: found.details.and_then(|details| self.details.get(details)).map(Arc::new),
            };
            // From the shortest to the longest: a later entry of the same list is the better one.
            let others = hits.get_mut(before..).unwrap_or_default();
            match others.iter_mut().find(|other| Arc::ptr_eq(&other.list, &hit.list)) {
                Some(shorter) => *shorter = hit,
                None => hits.push(hit),
            }
        });
        if hits.len() > before + 1 {
            hits.get_mut(before..).unwrap_or_default().sort_by_key(|hit| Reverse(hit.indicator.len()));
        }
    }

    /// Adds the hits of a resolved address: the longest prefix of every list that has one, longest
    /// first; none where an allow list wins.
    pub fn match_address(&self, address: IpAddr, hits: &mut Vec<Hit>) {
        let before = hits.len();
        let mut allowed = false;
        self.networks.each(address, |network, origin| {
            let Some(class) = self.names.classes.get(usize::from(origin.class)).filter(|_| !allowed) else { return };
            if class.allow {
                allowed = true;
                hits.truncate(before);
                return;
            }
            let Some(loaded) = self.lists.get(usize::from(class.list)) else { return };
            let others = hits.get(before..).unwrap_or_default();
            if others.iter().all(|other| !Arc::ptr_eq(&other.list, &loaded.list)) {
                hits.push(Hit {
                    list: loaded.list.clone(),
                    line: origin.line,
                    indicator: network.to_string().into(),
                    metadata: if class.details { self.details.get(origin.details).map(Arc::new) } else { None },
                });
            }
        });
    }

    /// Adds the exceptions that cover a name.
    fn exceptions_of_name(&self, name: &str, hits: &mut Vec<Hit>) {
        self.names.each(name, |found| {
            if let (true, Some(loaded)) = (found.class.allow, self.lists.get(usize::from(found.class.list))) {
                let indicator = name.get(found.start..).unwrap_or_default().into();
                hits.push(Hit { list: loaded.list.clone(), line: found.line, indicator, metadata: None });
            }
        });
    }

    fn exceptions_of_address(&self, address: IpAddr, hits: &mut Vec<Hit>) {
        self.networks.each(address, |network, origin| {
            let Some(class) = self.names.classes.get(usize::from(origin.class)).filter(|class| class.allow) else {
                return;
            };
            if let Some(loaded) = self.lists.get(usize::from(class.list)) {
                let indicator = network.to_string().into();
                hits.push(Hit { list: loaded.list.clone(), line: origin.line, indicator, metadata: None });
            }
        });
    }

    /// Whether nothing can match.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.lists.is_empty()
    }

    /// Names in force, of all lists.
    #[must_use]
    pub fn names(&self) -> u64 {
        self.names.count
    }
}

impl fmt::Debug for Rules {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lists: Vec<&str> = self.lists.iter().map(|loaded| loaded.list.id.as_str()).collect();
        out.debug_struct("Rules").field("lists", &lists).field("names", &self.names.count).finish_non_exhaustive()
    }
}

//! The trail of indicators through documents: the lookups that resolved them; the connections to the addresses that
//! they resolved to; and the later lookups and connections of the processes behind these, and of the processes that
//! they started.

use std::collections::{BTreeMap, HashSet};
use std::io::{self, Write};
use std::net::IpAddr;
use std::sync::Arc;

use super::document::{Document, Refusal, address};
use super::indicator::Indicator;
use super::lines::{Entry, Lines, ViewError};
use super::moment::Moment;
use super::step::{Relation, Step};
use crate::rules::{Entry as Listed, Rules};

/// Processes, and addresses, that are followed at a time: more than a host starts in days. A file could have
/// any number of them.
const FOLLOWED: usize = 1 << 20;
/// Lines at the start of a file among which one must be a document: the first may be torn.
const TORN: usize = 16;
/// Bytes of an identifier of a process, which has some forty.
const LONGEST_ENTITY: usize = 256;

/// Why a file is not read to its end.
#[derive(Debug, thiserror::Error)]
pub enum TrailError {
    #[error(transparent)]
    View(#[from] ViewError),
    #[error("the trail cannot be written")]
    Write(#[from] io::Error),
}

/// Figures of what was read, and of what could not be.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Summary {
    pub documents: u64,
    /// Documents outside the time that was asked for.
    pub outside: u64,
    /// Lines that are no documents of dnstrail: torn, or of another program.
    pub skipped: u64,
    /// Lines longer than [`super::LONGEST_LINE`].
    pub too_long: u64,
    /// Processes and addresses past the bound, which were not followed.
    pub not_followed: u64,
}

/// Figures of one indicator.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Found {
    pub lookups: u64,
    pub connections: u64,
}

/// A trail in the making.
#[derive(Debug)]
pub struct Trail {
    indicators: Vec<Indicator>,
    /// Lists whose entries are indicators as well.
    rules: Option<Arc<Rules>>,
    since: Option<Moment>,
    until: Option<Moment>,
    followed: Followed,
    found: Vec<Found>,
    /// The findings of the entries of each list, by the id of the list.
    found_of_lists: BTreeMap<String, Found>,
    summary: Summary,
}

/// The indicator that a document names.
enum Named {
    /// An indicator that was typed, by its place among them.
    Typed(usize),
    Listed(Listed),
}

impl Trail {
    #[must_use]
    pub fn new(indicators: Vec<Indicator>) -> Self {
        Self {
            found: vec![Found::default(); indicators.len()],
            indicators,
            rules: None,
            since: None,
            until: None,
            followed: Followed::default(),
            found_of_lists: BTreeMap::new(),
            summary: Summary::default(),
        }
    }

    /// Follows the entries of lists as well.
    #[must_use]
    pub fn with_rules(self, rules: Arc<Rules>) -> Self {
        Self { rules: Some(rules), ..self }
    }

    /// Reads only documents from `since` on and before `until`.
    #[must_use]
    pub fn within(self, since: Option<Moment>, until: Option<Moment>) -> Self {
        Self { since, until, ..self }
    }

    /// Reads a file, the oldest first, and writes the steps that it has.
    ///
    /// # Errors
    /// A line in another format, a file that cannot be read, or `out` that cannot be written.
    pub fn read(&mut self, lines: &mut Lines, json: bool, out: &mut impl Write) -> Result<(), TrailError> {
        loop {
            let number = lines.number() + 1;
            let line = match lines.read()? {
                None => return Ok(()),
                Some(Entry::TooLong) => {
                    self.summary.too_long += 1;
                    continue;
                }
                Some(Entry::Line(line)) => line,
            };
            let document = match Document::read(line) {
                Ok(document) => document,
                Err(Refusal::NotOurs) => {
                    self.summary.skipped += 1;
                    continue;
                }
                Err(Refusal::Format(format)) => {
                    return Err(ViewError::Format { name: lines.name().to_owned(), line: number, format }.into());
                }
            };
            self.summary.documents += 1;
            if self.is_outside(&document.time) {
                self.summary.outside += 1;
                continue;
            }
            if let Some((relation, indicator)) = self.relate(&document) {
                let indicator = match indicator {
                    Some(Named::Typed(place)) => self.indicators.get(place).map(ToString::to_string),
                    Some(Named::Listed(entry)) => Some(entry.indicator.to_string()),
                    None => None,
                };
                Step::new(relation, indicator.as_deref(), &document).write(json, out)?;
            }
        }
    }

    /// The figures so far.
    #[must_use]
    pub fn summary(&self) -> Summary {
        Summary { not_followed: self.followed.lacking, ..self.summary.clone() }
    }

    /// Each indicator, and what was found of it so far.
    pub fn found(&self) -> impl Iterator<Item = (&Indicator, &Found)> {
        self.indicators.iter().zip(&self.found)
    }

    /// The id of each list that has an entry on the trail, and what was found of its entries so far.
    pub fn found_of_lists(&self) -> impl Iterator<Item = (&str, &Found)> {
        self.found_of_lists.iter().map(|(id, found)| (id.as_str(), found))
    }

    /// Processes that resolved an indicator.
    #[must_use]
    pub fn processes(&self) -> usize {
        self.followed.resolvers.len()
    }

    /// Whether a document is outside the time that was asked for, as every document without a readable time is.
    fn is_outside(&self, time: &str) -> bool {
        if self.since.is_none() && self.until.is_none() {
            return false;
        }
        let time = time.parse::<Moment>().ok();
        time.is_none_or(|time| {
            self.since.is_some_and(|since| time < since) || self.until.is_some_and(|until| time >= until)
        })
    }

    /// The relation of a document to the indicators, and the indicator that it names itself.
    fn relate(&mut self, document: &Document<'_>) -> Option<(Relation, Option<Named>)> {
        let is_connection = match &*document.event.dataset {
            "dnstrail.connection" => true,
            dataset if dataset.starts_with("dnstrail.dns") => false,
            _ => return None,
        };
        let named = self.named(document, is_connection);
        if let Some(found) = named.as_ref().and_then(|named| self.found_of(named)) {
            *(if is_connection { &mut found.connections } else { &mut found.lookups }) += 1;
        }
        match named {
            _ if is_connection => {
                let is_connected = named.is_some() || self.followed.has_address(&document.destination.ip);
                is_connected.then_some((Relation::Connected, named))
            }
            None => None,
            Some(named) => {
                if self.is_name(&named) {
                    self.followed.add_addresses(document.resolved());
                }
                self.followed.add_resolver(&document.process.entity_id);
                Some((Relation::Resolved, Some(named)))
            }
        }
        .or_else(|| self.followed.relate(document).map(|relation| (relation, None)))
    }

    /// The first typed indicator that a document names, else the first entry of a list.
    fn named(&self, document: &Document<'_>, is_connection: bool) -> Option<Named> {
        let is_named = |indicator: &Indicator| {
            if is_connection { indicator.is_destination(document) } else { indicator.is_resolved(document) }
        };
        let typed = self.indicators.iter().position(is_named).map(Named::Typed);
        typed.or_else(|| self.listed(document).map(Named::Listed))
    }

    fn listed(&self, document: &Document<'_>) -> Option<Listed> {
        let rules = self.rules.as_ref()?;
        let by_name = document.names().find_map(|name| rules.matches_of_name(name).into_iter().next());
        let is_connection = document.event.dataset == "dnstrail.connection";
        let to = address(&document.destination.ip).filter(|_| is_connection);
        let mut addresses = document.resolved().chain(to);
        by_name.or_else(|| addresses.find_map(|ip| rules.matches_of_address(ip).into_iter().next()))
    }

    fn found_of(&mut self, named: &Named) -> Option<&mut Found> {
        match named {
            Named::Typed(place) => self.found.get_mut(*place),
            Named::Listed(entry) => Some(self.found_of_lists.entry(entry.list.id.clone()).or_default()),
        }
    }

    /// Whether the indicator is a name, which stands for all addresses that it resolved to.
    fn is_name(&self, named: &Named) -> bool {
        match named {
            Named::Typed(place) => matches!(self.indicators.get(*place), Some(Indicator::Name(_))),
            Named::Listed(entry) => matches!(entry.indicator.parse(), Ok(Indicator::Name(_))),
        }
    }
}

/// The time of the first document among the first lines of a file.
#[must_use]
pub fn first_time(lines: &mut Lines) -> Option<Moment> {
    for _ in 0..TORN {
        if let Entry::Line(line) = lines.read().ok()??
            && let Ok(document) = Document::read(line)
        {
            return document.time.parse().ok();
        }
    }
    None
}

/// The processes on the trail, by `process.entity_id`, and the addresses that it leads to.
#[derive(Debug, Default)]
struct Followed {
    resolvers: HashSet<Box<str>>,
    /// Processes that a resolver started, and those that these started.
    children: HashSet<Box<str>>,
    /// Addresses that an indicator resolved to.
    addresses: HashSet<IpAddr>,
    /// Processes and addresses that the tables had no space for.
    lacking: u64,
}

impl Followed {
    fn add_resolver(&mut self, entity: &str) {
        add(&mut self.resolvers, entity, &mut self.lacking);
    }

    fn add_addresses(&mut self, addresses: impl Iterator<Item = IpAddr>) {
        for address in addresses {
            if self.addresses.len() < FOLLOWED || self.addresses.contains(&address) {
                self.addresses.insert(address);
            } else {
                self.lacking += 1;
            }
        }
    }

    fn has_address(&self, text: &str) -> bool {
        !self.addresses.is_empty() && address(text).is_some_and(|address| self.addresses.contains(&address))
    }

    /// The relation of a later lookup or connection of a followed process, or of a child of one.
    fn relate(&mut self, document: &Document<'_>) -> Option<Relation> {
        let process = &document.process;
        if self.resolvers.contains(&*process.entity_id) {
            return Some(Relation::Then);
        }
        let parent = &*process.parent.entity_id;
        if self.resolvers.contains(parent) || self.children.contains(parent) {
            add(&mut self.children, &process.entity_id, &mut self.lacking);
        }
        self.children.contains(&*process.entity_id).then_some(Relation::Child)
    }
}

/// Adds a process, which may lack its identifier.
fn add(processes: &mut HashSet<Box<str>>, entity: &str, lacking: &mut u64) {
    if entity.is_empty() || processes.contains(entity) {
        return;
    }
    if processes.len() < FOLLOWED && entity.len() <= LONGEST_ENTITY {
        processes.insert(entity.into());
    } else {
        *lacking += 1;
    }
}

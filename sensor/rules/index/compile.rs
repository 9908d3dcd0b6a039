//! Entries in the order they are read into the read-only form that `names`, `networks` and `details`
//! look up. Reading entries is left to the formats.
//!
//! Of the same name in the same list the widest stays, and of equals the first.

use std::collections::HashMap;

use super::super::list::Metadata;
use super::details::{Details, DetailsWriter, Mark as DetailsMark};
use super::hash::Key;
use super::memory::make_room;
use super::names::{Class, Names, Origin, Record, Scope};
use super::networks::Networks;
use crate::name::Network;

/// Entries of one set: numbers of records are 32 bits wide, and an entry takes 18 bytes.
const MOST_ENTRIES: usize = 1 << 27;

/// No room is left for another entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the rule set holds as many entries as it can")]
pub(in crate::rules) struct Full;

/// What an entry belongs to.
#[derive(Debug, Clone, Copy)]
pub(in crate::rules) struct Place {
    pub list: u16,
    pub line: u32,
    pub allow: bool,
}

pub(in crate::rules) struct Builder {
    key: Key,
    records: Vec<Record>,
    networks: Vec<(Network, Origin)>,
    classes: Vec<Class>,
    class_numbers: HashMap<Class, u16>,
    /// The class of the entry before: mostly that of the next, too.
    last_class: Option<(Class, u16)>,
    details: DetailsWriter,
    depths: u128,
}

/// How far [`Builder::back`] goes.
pub(in crate::rules) struct Mark {
    records: usize,
    networks: usize,
    details: DetailsMark,
    depths: u128,
}

/// A finished set.
#[derive(Default)]
pub(in crate::rules) struct Compiled {
    pub names: Names,
    pub networks: Networks,
    pub details: Details,
    /// The class of each name that was left out because its list says the same elsewhere.
    pub repeated_names: Vec<Class>,
    pub repeated_networks: Vec<Class>,
}

impl Builder {
    /// A set whose entries [`Builder::carry`] takes from has the same key.
    pub(in crate::rules) fn new(key: Key) -> Self {
        Self {
            key,
            records: Vec::new(),
            networks: Vec::new(),
            classes: Vec::new(),
            class_numbers: HashMap::new(),
            last_class: None,
            details: DetailsWriter::default(),
            depths: 0,
        }
    }

    /// Adds a name as documents write it.
    #[inline]
    pub(in crate::rules) fn name(
        &mut self,
        name: &str,
        scope: Scope,
        place: Place,
        metadata: Option<&Metadata>,
    ) -> Result<(), Full> {
        let origin = self.origin(place, scope, metadata).ok_or(Full)?;
        let (hash, labels) = self.key.name(name.as_bytes());
        self.depths |= 1_u128.checked_shl(u32::try_from(labels).unwrap_or(u32::MAX)).unwrap_or(0);
        self.record(Record::new(hash, origin))
    }

    pub(in crate::rules) fn network(
        &mut self,
        network: Network,
        place: Place,
        metadata: Option<&Metadata>,
    ) -> Result<(), Full> {
        if self.networks.len() >= MOST_ENTRIES {
            return Err(Full);
        }
        let origin = self.origin(place, Scope::Suffix, metadata).ok_or(Full)?;
        make_room(&mut self.networks, 1);
        self.networks.push((network, origin));
        Ok(())
    }

    /// Adds the entries of another set whose list has a number in this one. What fitted there fits
    /// again, or is less than what came instead: an overflow was reported there.
    pub(in crate::rules) fn carry(
        &mut self,
        names: &Names,
        networks: &Networks,
        details: &Details,
        lists: &HashMap<u16, u16>,
    ) {
        // How many labels a record's name has is known of all together only.
        self.depths |= names.depths;
        let origin = |builder: &mut Self, origin: Origin| {
            let class = names.classes.get(usize::from(origin.class))?;
            let list = *lists.get(&class.list)?;
            let (line, metadata) = details.of(*class, origin.at)?;
            builder.origin(Place { list, line, allow: class.allow }, class.scope, metadata.as_ref())
        };
        for record in &names.records {
            if let Some(origin) = origin(self, record.origin()) {
                let _ = self.record(record.with(origin));
            }
        }
        networks.all(|network, before| {
            if let Some(origin) = origin(self, before) {
                make_room(&mut self.networks, 1);
                self.networks.push((network, origin));
            }
        });
    }

    pub(in crate::rules) fn mark(&self) -> Mark {
        let (records, networks) = (self.records.len(), self.networks.len());
        Mark { records, networks, details: self.details.mark(), depths: self.depths }
    }

    /// Forgets what was added since.
    pub(in crate::rules) fn back(&mut self, mark: &Mark) {
        self.records.truncate(mark.records);
        self.networks.truncate(mark.networks);
        self.details.back(mark.details);
        self.depths = mark.depths;
    }

    pub(in crate::rules) fn finish(self) -> Compiled {
        let Self { key, mut records, networks, classes, details, depths, .. } = self;
        let (networks, repeated_networks) = Networks::new(networks, &classes);
        records.sort_unstable();
        let repeated_names = leave_out_repeated(&mut records, &classes);
        let names = Names::new(key, classes, records, depths);
        Compiled { names, networks, details: details.finish(), repeated_names, repeated_networks }
    }

    #[inline]
    fn record(&mut self, record: Record) -> Result<(), Full> {
        if self.records.len() >= MOST_ENTRIES {
            return Err(Full);
        }
        make_room(&mut self.records, 1);
        self.records.push(record);
        Ok(())
    }

    /// `None`: there is no room for another class.
    #[inline]
    fn origin(&mut self, place: Place, scope: Scope, metadata: Option<&Metadata>) -> Option<Origin> {
        let details = metadata.and_then(|metadata| self.details.add(place.line, metadata));
        let class = Class { list: place.list, scope, allow: place.allow, details: details.is_some() };
        Some(Origin { class: self.class(class)?, at: details.unwrap_or(place.line) })
    }

    fn class(&mut self, class: Class) -> Option<u16> {
        if let Some((last, number)) = self.last_class
            && last == class
        {
            return Some(number);
        }
        let next = u16::try_from(self.classes.len()).ok()?;
        let number = *self.class_numbers.entry(class).or_insert(next);
        if number == next {
            self.classes.push(class);
        }
        self.last_class = Some((class, number));
        Some(number)
    }
}

/// Leaves out what a list has said of a name already, or says more widely; returns the class of each.
fn leave_out_repeated(records: &mut Vec<Record>, classes: &[Class]) -> Vec<Class> {
    let class = |record: &Record| classes.get(usize::from(record.origin().class)).copied();
    for same_name in records.chunk_by_mut(Record::is_same_name).filter(|records| records.len() > 1) {
        // Of one list the widest scope first; entries of equal scope stay in the order they were read.
        same_name.sort_by_key(|record| class(record).map(|class| (class.list, class.allow, class.scope)));
    }
    let mut repeated = Vec::new();
    records.dedup_by(|later, before| {
        let (true, Some(class), Some(earlier)) = (later.is_same_name(before), class(later), class(before)) else {
            return false;
        };
        let said = class.is_alike(earlier) && (earlier.scope == class.scope || earlier.scope == Scope::Suffix);
        if said {
            repeated.push(class);
        }
        said
    });
    repeated
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(list: u16, line: u32) -> Place {
        Place { list, line, allow: false }
    }

    fn found(compiled: &Compiled, name: &str) -> Vec<(u16, u32)> {
        let mut found = Vec::new();
        compiled.names.each(name, |hit| found.push((hit.class.list, hit.at)));
        found
    }

    #[test]
    fn of_one_name_in_one_list_the_widest_and_first_stays() {
        let mut builder = Builder::new(Key::random());
        for (line, scope) in [(1, Scope::Exact), (2, Scope::Below), (3, Scope::Suffix), (4, Scope::Suffix)] {
            builder.name("evil.example", scope, place(0, line), None).unwrap();
        }
        builder.name("evil.example", Scope::Suffix, place(1, 1), None).unwrap();
        let compiled = builder.finish();
        assert_eq!(found(&compiled, "evil.example"), [(0, 3), (1, 1)]);
        assert_eq!(compiled.names.records.len(), 2);
        assert_eq!(compiled.repeated_names.len(), 3);
    }

    #[test]
    fn what_is_taken_back_is_gone() {
        let mut builder = Builder::new(Key::random());
        builder.name("kept.example", Scope::Suffix, place(0, 1), None).unwrap();
        let mark = builder.mark();
        builder.name("gone.example", Scope::Suffix, place(1, 1), None).unwrap();
        builder.network(Network::host([192, 0, 2, 1].into()), place(1, 2), None).unwrap();
        builder.back(&mark);
        let compiled = builder.finish();
        assert_eq!(found(&compiled, "kept.example"), [(0, 1)]);
        assert_eq!(found(&compiled, "gone.example"), []);
        let mut networks = 0;
        compiled.networks.all(|_, _| networks += 1);
        assert_eq!(networks, 0);
    }

    #[test]
    fn a_million_times_the_same_name_is_one_entry() {
        let mut builder = Builder::new(Key::random());
        for line in 1..=1_000_000 {
            builder.name("same.example", Scope::Suffix, place(0, line), None).unwrap();
        }
        let compiled = builder.finish();
        assert_eq!(found(&compiled, "same.example"), [(0, 1)]);
        assert_eq!(compiled.repeated_names.len(), 999_999);
    }
}

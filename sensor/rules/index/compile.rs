//! Entries in the order they are read, and the read-only form of them that `names`, `networks` and
//! `details` look up. Reading entries is left to the formats.
//!
//! A list keeps one entry for a name: the widest, and among equals the first. The entries of one list are
//! thinned out whenever they fill the space that is left, so that a list which repeats itself takes no more
//! space than its different entries.

use std::collections::HashMap;

use super::super::list::Metadata;
use super::details::{Details, DetailsWriter, Mark as DetailsMark};
use super::hash::Key;
use super::memory::make_space;
use super::names::{Allow, Class, Names, Origin, Record, Repeated, Scope};
use super::networks::{self, Networks};
use crate::name::Network;

/// Bytes that the entries of one set may take: 13 million names. During a reload two sets are there.
pub(in crate::rules) const LARGEST_SET: usize = 224 << 20;
/// A record, and its share of the directory of names.
const NAME_BYTES: usize = size_of::<Record>() + 2;
/// A network as it is read, and as it is looked up.
const NETWORK_BYTES: usize = size_of::<(Network, Origin)>() + size_of::<(u128, Origin)>();

/// The set has no space for another entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the lists hold more entries than fit")]
pub(in crate::rules) struct Full;

/// The list and line of an entry.
#[derive(Debug, Clone, Copy)]
pub(in crate::rules) struct Place {
    pub list: u16,
    pub line: u32,
    pub allow: Allow,
}

pub(in crate::rules) struct Builder {
    key: Key,
    records: Vec<Record>,
    networks: Vec<(Network, Origin)>,
    classes: Vec<Class>,
    class_numbers: HashMap<Class, u16>,
    /// The class of the entry before, which mostly is that of the next one, too.
    last_class: Option<(Class, u16)>,
    details: DetailsWriter,
    depths: u128,
    /// For each class the entries that were left out, because the list has them elsewhere.
    repeated: Vec<Repeated>,
    /// The state when the list at hand began.
    list_start: Mark,
    /// The bound of all entries in bytes.
    limit: usize,
}

/// How far [`Builder::take_back`] goes.
#[derive(Clone, Copy, Default)]
struct Mark {
    records: usize,
    networks: usize,
    classes: usize,
    details: DetailsMark,
    depths: u128,
}

/// A finished set of entries.
#[derive(Default)]
pub(in crate::rules) struct Compiled {
    pub names: Names,
    pub networks: Networks,
    pub details: Details,
    /// For each class in `names`.
    pub repeated: Vec<Repeated>,
}

impl Builder {
    /// A set whose entries [`Builder::carry`] takes from has the same key. `limit` is in bytes.
    pub(in crate::rules) fn new(key: Key, limit: usize) -> Self {
        Self {
            key,
            records: Vec::new(),
            networks: Vec::new(),
            classes: Vec::new(),
            class_numbers: HashMap::new(),
            last_class: None,
            details: DetailsWriter::default(),
            depths: 0,
            repeated: Vec::new(),
            list_start: Mark::default(),
            limit,
        }
    }

    /// Adds a name in document form.
    #[inline]
    pub(in crate::rules) fn name(
        &mut self,
        name: &str,
        scope: Scope,
        place: Place,
        metadata: Option<&Metadata>,
    ) -> Result<(), Full> {
        self.make_way()?;
        let origin = self.origin(place, scope, metadata).ok_or(Full)?;
        let (hash, labels) = self.key.name(name.as_bytes());
        self.depths |= 1_u128.checked_shl(u32::try_from(labels).unwrap_or(u32::MAX)).unwrap_or(0);
        make_space(&mut self.records, 1);
        self.records.push(Record::new(hash, origin));
        Ok(())
    }

    pub(in crate::rules) fn network(
        &mut self,
        network: Network,
        place: Place,
        metadata: Option<&Metadata>,
    ) -> Result<(), Full> {
        self.make_way()?;
        let origin = self.origin(place, Scope::Suffix, metadata).ok_or(Full)?;
        make_space(&mut self.networks, 1);
        self.networks.push((network, origin));
        Ok(())
    }

    /// Adds the entries of another set whose list has a number in this one. The limit
    /// does not apply to them: they were within it in the set before, and a list that stays in force must not be
    /// dropped for lack of space.
    pub(in crate::rules) fn carry(
        &mut self,
        names: &Names,
        networks: &Networks,
        details: &Details,
        lists: &HashMap<u16, u16>,
    ) {
        // The set knows how many labels its names have, but not which record has how many.
        self.depths |= names.depths;
        let origin = |builder: &mut Self, origin: Origin| {
            let class = names.classes.get(usize::from(origin.class))?;
            let list = *lists.get(&class.list)?;
            let (line, metadata) = details.of(*class, origin.at)?;
            builder.origin(Place { list, line, allow: class.allow }, class.scope, metadata.as_ref())
        };
        for record in &names.records {
            if let Some(origin) = origin(self, record.origin()) {
                make_space(&mut self.records, 1);
                self.records.push(record.with(origin));
            }
        }
        networks.all(|network, before| {
            if let Some(origin) = origin(self, before) {
                make_space(&mut self.networks, 1);
                self.networks.push((network, origin));
            }
        });
    }

    /// Begins another list: later entries belong to it.
    pub(in crate::rules) fn begin_list(&mut self) {
        self.list_start = Mark {
            records: self.records.len(),
            networks: self.networks.len(),
            classes: self.classes.len(),
            details: self.details.mark(),
            depths: self.depths,
        };
    }

    /// Forgets what was added since the list began.
    pub(in crate::rules) fn take_back(&mut self) {
        let start = self.list_start;
        self.records.truncate(start.records);
        self.networks.truncate(start.networks);
        self.details.take_back(start.details);
        self.depths = start.depths;
        // The classes of a list are its own.
        for class in self.classes.drain(start.classes..) {
            self.class_numbers.remove(&class);
        }
        self.repeated.truncate(start.classes);
        self.last_class = None;
    }

    pub(in crate::rules) fn finish(self) -> Compiled {
        let Self { key, mut records, mut networks, classes, details, depths, mut repeated, .. } = self;
        networks::leave_out_repeated(&mut networks, 0, &classes, &mut repeated);
        leave_out_repeated(&mut records, 0, &classes, &mut repeated);
        let names = Names::new(key, classes, records, depths);
        Compiled { names, networks: Networks::new(networks), details: details.finish(), repeated }
    }

    /// Makes sure that another entry fits. Where the space is used up, the list at hand is thinned out; thinning
    /// is worth its work only while it frees a quarter of the space, or else the set is full.
    #[inline]
    fn make_way(&mut self) -> Result<(), Full> {
        if self.bytes() < self.limit {
            return Ok(());
        }
        self.thin_out();
        if self.bytes() > self.limit / 4 * 3 { Err(Full) } else { Ok(()) }
    }

    #[cold]
    fn thin_out(&mut self) {
        let start = self.list_start;
        networks::leave_out_repeated(&mut self.networks, start.networks, &self.classes, &mut self.repeated);
        leave_out_repeated(&mut self.records, start.records, &self.classes, &mut self.repeated);
    }

    #[inline]
    fn bytes(&self) -> usize {
        self.records.len() * NAME_BYTES + self.networks.len() * NETWORK_BYTES + self.details.bytes()
    }

    /// The class and place of an entry; `None` where there is no space for another class.
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
            self.repeated.push(Repeated::default());
        }
        self.last_class = Some((class, number));
        Some(number)
    }
}

/// Sorts the records from `start` on, and leaves out what a list has said of a name already, or says
/// more widely.
fn leave_out_repeated(records: &mut Vec<Record>, start: usize, classes: &[Class], repeated: &mut [Repeated]) {
    let class = |record: &Record| classes.get(usize::from(record.origin().class)).copied();
    let Some(added) = records.get_mut(start..) else { return };
    added.sort_unstable();
    for same_name in added.chunk_by_mut(Record::is_same_name).filter(|records| records.len() > 1) {
        // The widest scope of a list comes first; entries of equal scope stay in the order they were read.
        same_name.sort_by_key(|record| class(record).map(|class| (class.list, class.allow, class.scope)));
    }
    let mut kept = 0_usize;
    for at in 0..added.len() {
        let Some(record) = added.get(at).copied() else { break };
        let before = kept.checked_sub(1).and_then(|before| added.get(before));
        let said = before.filter(|before| before.is_same_name(&record)).is_some_and(|before| {
            class(before).zip(class(&record)).is_some_and(|(earlier, class)| {
                class.is_alike(earlier) && (earlier.scope == class.scope || earlier.scope == Scope::Suffix)
            })
        });
        if said {
            if let Some(repeated) = repeated.get_mut(usize::from(record.origin().class)) {
                repeated.names += 1;
            }
        } else {
            if let Some(place) = added.get_mut(kept) {
                *place = record;
            }
            kept += 1;
        }
    }
    records.truncate(start + kept);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn builder() -> Builder {
        Builder::new(Key::random(), LARGEST_SET)
    }

    fn place(list: u16, line: u32) -> Place {
        Place { list, line, allow: Allow::No }
    }

    fn found(compiled: &Compiled, name: &str) -> Vec<(u16, u32)> {
        let mut found = Vec::new();
        compiled.names.each(name, |entry| found.push((entry.class.list, entry.at)));
        found
    }

    fn repeated(compiled: &Compiled) -> u64 {
        compiled.repeated.iter().map(|repeated| repeated.names + repeated.networks).sum()
    }

    #[test]
    fn of_one_name_in_one_list_the_widest_and_first_stays() {
        let mut builder = builder();
        for (line, scope) in [(1, Scope::Exact), (2, Scope::Below), (3, Scope::Suffix), (4, Scope::Suffix)] {
            builder.name("evil.example", scope, place(0, line), None).unwrap();
        }
        builder.name("evil.example", Scope::Suffix, place(1, 1), None).unwrap();
        let compiled = builder.finish();
        assert_eq!(found(&compiled, "evil.example"), [(0, 3), (1, 1)]);
        assert_eq!(compiled.names.records.len(), 2);
        assert_eq!(repeated(&compiled), 3);
    }

    #[test]
    fn a_list_that_is_taken_back_leaves_nothing() {
        let mut builder = builder();
        builder.begin_list();
        builder.name("kept.example", Scope::Suffix, place(0, 1), None).unwrap();
        builder.begin_list();
        let metadata = Metadata { source: Some("feed".into()), ..Metadata::default() };
        for line in 1..=3 {
            builder.name("gone.example", Scope::Suffix, place(1, line), Some(&metadata)).unwrap();
            builder.network(Network::host([192, 0, 2, 1].into()), place(1, line), None).unwrap();
        }
        builder.thin_out();
        builder.take_back();
        builder.begin_list();
        builder.name("next.example", Scope::Exact, place(1, 7), None).unwrap();
        let compiled = builder.finish();
        assert_eq!(found(&compiled, "kept.example"), [(0, 1)]);
        assert_eq!(found(&compiled, "gone.example"), []);
        assert_eq!(found(&compiled, "next.example"), [(1, 7)]);
        assert_eq!(repeated(&compiled), 0, "what was left out of the list that is gone is no duplicate of the next");
        let mut networks = 0;
        compiled.networks.all(|_, _| networks += 1);
        assert_eq!(networks, 0);
    }

    /// A list that repeats itself is thinned out while it is read: it takes no more space than its different entries.
    #[test]
    fn repeated_entries_take_no_space() {
        let limit = 10_000 * NAME_BYTES;
        let mut builder = Builder::new(Key::random(), limit);
        for list in 0..2 {
            builder.begin_list();
            for line in 1..=1_000_000 {
                let name = ["a.example", "b.example"][line as usize % 2];
                builder.name(name, Scope::Suffix, place(list, line), None).unwrap();
                assert!(builder.bytes() < limit + NETWORK_BYTES);
                if line % 1_000 == 0 {
                    builder.network(Network::host([192, 0, 2, 1].into()), place(list, line), None).unwrap();
                }
            }
        }
        let compiled = builder.finish();
        assert_eq!(found(&compiled, "b.example"), [(0, 1), (1, 1)]);
        assert_eq!(found(&compiled, "a.example"), [(0, 2), (1, 2)]);
        assert_eq!(repeated(&compiled), 2 * (999_998 + 999));
    }

    #[test]
    fn different_entries_are_refused_where_they_do_not_fit() {
        let mut builder = Builder::new(Key::random(), 1_000 * NAME_BYTES);
        builder.begin_list();
        let mut number = 0;
        let full = loop {
            let name = format!("{number}.example");
            if let Err(full) = builder.name(&name, Scope::Suffix, place(0, number), None) {
                break full;
            }
            number += 1;
        };
        assert_eq!((full, number), (Full, 1_000));
        builder.take_back();
        builder.begin_list();
        builder.name("small.example", Scope::Suffix, place(0, 1), None).unwrap();
        // Details count, also their texts.
        let error = (0..).find_map(|number| {
            let metadata = Metadata { uuid: Some(format!("{number}")), ..Metadata::default() };
            builder.name("same.example", Scope::Suffix, place(0, number), Some(&metadata)).err()
        });
        assert_eq!(error, Some(Full));
    }
}

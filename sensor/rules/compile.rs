//! Entries in the order they are read into the read-only form that `names`, `networks` and `details`
//! look up. Reading entries is left to the formats.
//!
//! Names are gathered as plain text, counted into buckets by their hash (a counting sort, so one bucket
//! keeps the order of reading), and written bucket by bucket. Of the same name in the same list the
//! widest stays, and of equals the first.

use std::collections::HashMap;

use super::Metadata;
use super::codec::{Codec, Encoder};
use super::details::{Details, DetailsWriter, Mark as DetailsMark};
use super::hash::Key;
use super::names::{self, Class, Names, Scope};
use super::networks::{Network, Networks, Origin};

/// Entries of one set: offsets are 32 bits wide, and an entry takes about 20 bytes.
pub(super) const MOST_ENTRIES: usize = 1 << 27;
/// Text of one set: offsets are 32 bits wide.
const MOST_TEXT: usize = u32::MAX as usize;
/// From this size on, memory is asked for in one piece of at least [`OWN_MAPPING`].
const LARGE: usize = 1 << 20;
/// glibc gives memory back to the kernel at once only if it was mapped for itself, and its threshold for
/// that climbs up to 32 MiB (mallopt(3), M_MMAP_THRESHOLD). More than that is always mapped; pages that
/// are never touched cost nothing. So memory comes back after a reload.
const OWN_MAPPING: usize = 40 << 20;
/// No details follow.
const NO_DETAILS: u32 = u32::MAX;

/// No room is left for another entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the rule set holds as many entries as it can")]
pub(super) struct Full;

/// What an entry belongs to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub list: u16,
    pub line: u32,
    pub allow: bool,
}

pub(super) struct Builder {
    key: Key,
    texts: Vec<u8>,
    entries: Vec<Entry>,
    networks: Vec<(Network, Origin)>,
    classes: Vec<Class>,
    class_numbers: HashMap<Class, u16>,
    /// The class of the entry before: mostly that of the next, too.
    last_class: Option<(Class, u16)>,
    details: DetailsWriter,
    depths: u128,
}

/// A name that was read. Details, where its class says so, follow its text as four bytes.
#[derive(Clone, Copy)]
struct Entry {
    hash: [u32; 2],
    text: u32,
    line: u32,
    class: u16,
    length: u16,
}

/// How far [`Builder::back`] goes.
pub(super) struct Mark {
    texts: usize,
    entries: usize,
    networks: usize,
    details: DetailsMark,
}

/// A finished set.
#[derive(Default)]
pub(super) struct Compiled {
    pub names: Names,
    pub networks: Networks,
    pub details: Details,
    /// The class of each name that was left out because its list says the same elsewhere.
    pub repeated_names: Vec<Class>,
    pub repeated_networks: Vec<Class>,
}

impl Builder {
    pub(super) fn new() -> Self {
        Self {
            key: Key::random(),
            texts: Vec::new(),
            entries: Vec::new(),
            networks: Vec::new(),
            classes: Vec::new(),
            class_numbers: HashMap::new(),
            last_class: None,
            details: DetailsWriter::default(),
            depths: 0,
        }
    }

    /// Adds a name as documents write it.
    pub(super) fn name(
        &mut self,
        name: &str,
        scope: Scope,
        place: Place,
        metadata: Option<&Metadata>,
    ) -> Result<(), Full> {
        let (Ok(length), Ok(text)) = (u16::try_from(name.len()), u32::try_from(self.texts.len())) else {
            return Err(Full);
        };
        if self.entries.len() >= MOST_ENTRIES || self.texts.len() + name.len() + 4 > MOST_TEXT {
            return Err(Full);
        }
        let details = metadata.and_then(|metadata| self.details.add(metadata));
        let class = self
            .class(Class { list: place.list, scope, allow: place.allow, details: details.is_some() })
            .ok_or(Full)?;
        make_room(&mut self.texts, name.len() + 4);
        self.texts.extend_from_slice(name.as_bytes());
        if let Some(details) = details {
            self.texts.extend_from_slice(&details.to_le_bytes());
        }
        let (hash, labels) = self.key.name(name.as_bytes());
        self.depths |= 1_u128.checked_shl(u32::try_from(labels).unwrap_or(u32::MAX)).unwrap_or(0);
        make_room(&mut self.entries, 1);
        self.entries.push(Entry { hash: split(hash), text, line: place.line, class, length });
        Ok(())
    }

    pub(super) fn network(&mut self, network: Network, place: Place, metadata: Option<&Metadata>) -> Result<(), Full> {
        if self.networks.len() >= MOST_ENTRIES {
            return Err(Full);
        }
        let details = metadata.and_then(|metadata| self.details.add(metadata));
        let class = Class { list: place.list, scope: Scope::Suffix, allow: place.allow, details: details.is_some() };
        let class = self.class(class).ok_or(Full)?;
        make_room(&mut self.networks, 1);
        self.networks.push((network, Origin { class, line: place.line, details: details.unwrap_or(NO_DETAILS) }));
        Ok(())
    }

    pub(super) fn mark(&self) -> Mark {
        let (texts, entries, networks) = (self.texts.len(), self.entries.len(), self.networks.len());
        Mark { texts, entries, networks, details: self.details.mark() }
    }

    /// Forgets what was added since.
    pub(super) fn back(&mut self, mark: &Mark) {
        self.texts.truncate(mark.texts);
        self.entries.truncate(mark.entries);
        self.networks.truncate(mark.networks);
        self.details.back(mark.details);
    }

    pub(super) fn finish(self) -> Compiled {
        let Self { key, texts, entries, networks, classes, details, depths, .. } = self;
        let (networks, repeated_networks) = Networks::new(networks, &classes);
        let mut repeated_names = Vec::new();
        let codec = Codec::learn(entries.iter().step_by(Codec::step(entries.len())).map(|entry| entry.text(&texts)));
        let encoder = Encoder::new(&codec);
        let sorted = Sorted::new(&entries);
        drop(entries);

        let mut directory = roomy(sorted.ends.len() + 1);
        let mut records: Vec<u8> = Vec::new();
        let mut kept: Vec<Entry> = Vec::new();
        let mut record = Vec::new();
        let mut count = 0;
        for bucket in sorted.buckets() {
            kept.clear();
            for entry in bucket {
                keep(*entry, &mut kept, &texts, &classes, &mut repeated_names);
            }
            let mut marks = 0;
            let start = u32::try_from(records.len()).unwrap_or(u32::MAX);
            for entry in &kept {
                marks |= names::marks(joined(entry.hash));
                record.clear();
                names::write_number(entry.class.into(), &mut record);
                names::write_number(entry.line, &mut record);
                if classes.get(usize::from(entry.class)).is_some_and(|class| class.details) {
                    names::write_number(entry.details(&texts), &mut record);
                }
                encoder.write(entry.text(&texts), &mut record);
                make_room(&mut records, record.len() + 5);
                names::write_number(u32::try_from(record.len()).unwrap_or(0), &mut records);
                records.extend_from_slice(&record);
            }
            count += kept.len() as u64;
            directory.push(names::directory_word(start, marks));
        }
        directory.push(names::directory_word(u32::try_from(records.len()).unwrap_or(u32::MAX), 0));
        let names = Names { key, codec, classes, directory, records, depths, count };
        Compiled { names, networks, details: details.finish(), repeated_names, repeated_networks }
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

impl Entry {
    fn text<'a>(&self, texts: &'a [u8]) -> &'a [u8] {
        let start = self.text as usize;
        texts.get(start..start + usize::from(self.length)).unwrap_or_default()
    }

    fn details(&self, texts: &[u8]) -> u32 {
        let end = self.text as usize + usize::from(self.length);
        texts.get(end..).and_then(<[u8]>::first_chunk).map_or(NO_DETAILS, |bytes| u32::from_le_bytes(*bytes))
    }
}

/// Entries by bucket.
struct Sorted {
    entries: Vec<Entry>,
    ends: Vec<u32>,
}

impl Sorted {
    fn new(entries: &[Entry]) -> Self {
        let buckets = names::buckets_for(entries.len());
        let bucket_of = |entry: &Entry| names::bucket(joined(entry.hash), buckets);
        let mut ends: Vec<u32> = roomy(buckets);
        ends.resize(buckets, 0);
        for entry in entries {
            ends[bucket_of(entry)] += 1;
        }
        let mut start = 0;
        for end in &mut ends {
            start += std::mem::replace(end, start);
        }
        let mut sorted: Vec<Entry> = roomy(entries.len());
        sorted.resize(entries.len(), Entry { hash: [0; 2], text: 0, line: 0, class: 0, length: 0 });
        for entry in entries {
            let end = &mut ends[bucket_of(entry)];
            sorted[*end as usize] = *entry;
            *end += 1;
        }
        Self { entries: sorted, ends }
    }

    fn buckets(&self) -> impl Iterator<Item = &[Entry]> {
        let mut start = 0;
        self.ends.iter().map(move |end| {
            let bucket = self.entries.get(start..*end as usize).unwrap_or_default();
            start = *end as usize;
            bucket
        })
    }
}

/// Adds an entry to those of its bucket, unless its list has said so already.
fn keep(entry: Entry, kept: &mut Vec<Entry>, texts: &[u8], classes: &[Class], repeated: &mut Vec<Class>) {
    let Some(class) = classes.get(usize::from(entry.class)).copied() else { return };
    for before in kept.iter_mut().filter(|before| before.hash == entry.hash) {
        let Some(earlier) = classes.get(usize::from(before.class)) else { continue };
        let one_list = (earlier.list, earlier.allow) == (class.list, class.allow);
        if !one_list || before.text(texts) != entry.text(texts) {
            continue;
        }
        if earlier.scope == class.scope || earlier.scope == Scope::Suffix {
            repeated.push(class);
            return;
        }
        if class.scope == Scope::Suffix {
            repeated.push(*earlier);
            *before = entry;
            return;
        }
    }
    kept.push(entry);
}

fn split(hash: u64) -> [u32; 2] {
    let [a, b, c, d, e, f, g, h] = hash.to_le_bytes();
    [u32::from_le_bytes([a, b, c, d]), u32::from_le_bytes([e, f, g, h])]
}

fn joined([low, high]: [u32; 2]) -> u64 {
    u64::from(low) | u64::from(high) << 32
}

/// Room for so many items, in a piece of its own if that is much.
fn roomy<T>(items: usize) -> Vec<T> {
    let mut empty = Vec::new();
    make_room(&mut empty, items);
    empty
}

#[inline]
fn make_room<T>(items: &mut Vec<T>, more: usize) {
    if items.capacity() - items.len() >= more {
        return;
    }
    let own_mapping = OWN_MAPPING / size_of::<T>();
    if (items.len() + more) * size_of::<T>() > LARGE && items.len() + more < own_mapping {
        items.reserve_exact(own_mapping - items.len());
    } else {
        items.reserve(more);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(list: u16, line: u32) -> Place {
        Place { list, line, allow: false }
    }

    fn found(compiled: &Compiled, name: &str) -> Vec<(u16, u32)> {
        let mut found = Vec::new();
        compiled.names.each(name, |hit| found.push((hit.class.list, hit.line)));
        found
    }

    #[test]
    fn of_one_name_in_one_list_the_widest_and_first_stays() {
        let mut builder = Builder::new();
        for (line, scope) in [(1, Scope::Exact), (2, Scope::Below), (3, Scope::Suffix), (4, Scope::Suffix)] {
            builder.name("evil.example", scope, place(0, line), None).unwrap();
        }
        builder.name("evil.example", Scope::Suffix, place(1, 1), None).unwrap();
        let compiled = builder.finish();
        assert_eq!(found(&compiled, "evil.example"), [(0, 3), (1, 1)]);
        assert_eq!(compiled.names.count, 3, "the entry below stays: it was read before it was covered");
        assert_eq!(compiled.repeated_names.len(), 2);
    }

    #[test]
    fn what_is_taken_back_is_gone() {
        let mut builder = Builder::new();
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
        let mut builder = Builder::new();
        for line in 1..=1_000_000 {
            builder.name("same.example", Scope::Suffix, place(0, line), None).unwrap();
        }
        let compiled = builder.finish();
        assert_eq!(found(&compiled, "same.example"), [(0, 1)]);
        assert_eq!(compiled.repeated_names.len(), 999_999);
    }
}

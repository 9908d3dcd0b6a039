//! Entries in the order they are read into the read-only form that `names`, `networks` and `details`
//! look up. Reading entries is left to the formats.
//!
//! Names wait in a `stage`, parted by hash; each part is sorted into its buckets and written. Of the same
//! name in the same list the widest stays, and of equals the first.

use std::collections::HashMap;

use super::Metadata;
use super::codec::{self, Codec, Encoder};
use super::details::{Details, DetailsWriter, Mark as DetailsMark};
use super::hash::Key;
use super::memory::{make_room, roomy};
use super::names::{self, Class, Names, Scope};
use super::networks::{Network, Networks, Origin};
use super::stage::{Mark as StageMark, PARTS, Stage, Staged};

/// Entries of one set: offsets are 32 bits wide, and an entry takes about 20 bytes.
const MOST_ENTRIES: usize = 1 << 27;
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
    stage: Stage,
    networks: Vec<(Network, Origin)>,
    classes: Vec<Class>,
    class_numbers: HashMap<Class, u16>,
    /// The class of the entry before: mostly that of the next, too.
    last_class: Option<(Class, u16)>,
    details: DetailsWriter,
    depths: u128,
}

/// How far [`Builder::back`] goes.
pub(super) struct Mark {
    stage: StageMark,
    networks: usize,
    details: DetailsMark,
    depths: u128,
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
            stage: Stage::new(),
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
        if self.stage.len() >= MOST_ENTRIES {
            return Err(Full);
        }
        let details = metadata.and_then(|metadata| self.details.add(metadata));
        let class = Class { list: place.list, scope, allow: place.allow, details: details.is_some() };
        let class = self.class(class).ok_or(Full)?;
        let (hash, labels) = self.key.name(name.as_bytes());
        self.depths |= 1_u128.checked_shl(u32::try_from(labels).unwrap_or(u32::MAX)).unwrap_or(0);
        let details = details.unwrap_or(NO_DETAILS);
        let staged = Staged { hash, class, line: place.line, details, name: name.as_bytes() };
        if self.stage.push(&staged) { Ok(()) } else { Err(Full) }
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
        let (stage, networks) = (self.stage.mark(), self.networks.len());
        Mark { stage, networks, details: self.details.mark(), depths: self.depths }
    }

    /// Forgets what was added since.
    pub(super) fn back(&mut self, mark: &Mark) {
        self.stage.back(&mark.stage);
        self.networks.truncate(mark.networks);
        self.details.back(mark.details);
        self.depths = mark.depths;
    }

    pub(super) fn finish(self) -> Compiled {
        let Self { key, stage, networks, classes, details, depths, .. } = self;
        let (networks, repeated_networks) = Networks::new(networks, &classes);
        // Parts are an even choice: which name is in which is chance.
        let sample = (0..PARTS).flat_map(|part| stage.part(part)).take(codec::SAMPLE);
        let codec = Codec::learn(sample.map(|staged| staged.name));
        let mut writer = Writer::new(stage.len(), &codec, &classes);
        for part in 0..PARTS {
            writer.part(&stage, part);
        }
        let Writer { directory, records, repeated, count, .. } = writer.finish();
        let names = Names { key, codec, classes, directory, records, depths, count };
        Compiled { names, networks, details: details.finish(), repeated_names: repeated, repeated_networks }
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

/// Makes the directory and the records of [`Names`].
struct Writer<'a> {
    encoder: Encoder,
    classes: &'a [Class],
    /// In all, and of each part.
    buckets: usize,
    buckets_per_part: usize,
    directory: Vec<u64>,
    records: Vec<u8>,
    record: Vec<u8>,
    repeated: Vec<Class>,
    count: u64,
}

impl<'a> Writer<'a> {
    fn new(names: usize, codec: &Codec, classes: &'a [Class]) -> Self {
        let buckets = names::buckets_for(names);
        Self {
            encoder: Encoder::new(codec),
            classes,
            buckets,
            buckets_per_part: buckets / PARTS,
            directory: roomy(buckets + 1),
            records: Vec::new(),
            record: Vec::new(),
            repeated: Vec::new(),
            count: 0,
        }
    }

    /// Writes the buckets of one part: a counting sort, which keeps the order of reading.
    fn part(&mut self, stage: &Stage, part: usize) {
        let first = part * self.buckets_per_part;
        let bucket = |staged: &Staged<'_>| names::bucket(staged.hash, self.buckets).saturating_sub(first);
        let staged: Vec<Staged<'_>> = stage.part(part).collect();
        let mut ends = vec![0_usize; self.buckets_per_part];
        for staged in &staged {
            ends[bucket(staged)] += 1;
        }
        let mut start = 0;
        for end in &mut ends {
            start += std::mem::replace(end, start);
        }
        let mut order = vec![0_usize; staged.len()];
        for (index, staged) in staged.iter().enumerate() {
            let end = &mut ends[bucket(staged)];
            order[*end] = index;
            *end += 1;
        }
        let mut kept: Vec<Staged<'_>> = Vec::new();
        let mut start = 0;
        for end in ends {
            kept.clear();
            for index in order.get(start..end).unwrap_or_default() {
                self.keep(staged[*index], &mut kept);
            }
            self.bucket(&kept);
            start = end;
        }
    }

    /// Adds an entry to those of its bucket, unless its list has said so already.
    fn keep<'s>(&mut self, entry: Staged<'s>, kept: &mut Vec<Staged<'s>>) {
        let Some(class) = self.classes.get(usize::from(entry.class)).copied() else { return };
        for before in kept.iter_mut().filter(|before| before.hash == entry.hash && before.name == entry.name) {
            let Some(earlier) = self.classes.get(usize::from(before.class)) else { continue };
            if (earlier.list, earlier.allow) != (class.list, class.allow) {
                continue;
            }
            if earlier.scope == class.scope || earlier.scope == Scope::Suffix {
                self.repeated.push(class);
                return;
            }
            if class.scope == Scope::Suffix {
                self.repeated.push(*earlier);
                *before = entry;
                return;
            }
        }
        kept.push(entry);
    }

    fn bucket(&mut self, entries: &[Staged<'_>]) {
        let start = u32::try_from(self.records.len()).unwrap_or(u32::MAX);
        let mut marks = 0;
        for entry in entries {
            marks |= names::marks(entry.hash);
            self.record.clear();
            names::write_number(entry.class.into(), &mut self.record);
            names::write_number(entry.line, &mut self.record);
            if entry.details != NO_DETAILS {
                names::write_number(entry.details, &mut self.record);
            }
            self.encoder.write(entry.name, &mut self.record);
            make_room(&mut self.records, self.record.len() + 6);
            self.records.push(names::tag(entry.hash));
            names::write_number(u32::try_from(self.record.len()).unwrap_or(0), &mut self.records);
            self.records.extend_from_slice(&self.record);
        }
        self.count += entries.len() as u64;
        self.directory.push(names::directory_word(start, marks));
    }

    fn finish(mut self) -> Self {
        self.directory.push(names::directory_word(u32::try_from(self.records.len()).unwrap_or(u32::MAX), 0));
        self
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

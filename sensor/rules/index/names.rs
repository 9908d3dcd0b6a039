//! The names of a rule set in a compact, read-only form, found by suffix. Which lists they come from
//! and what a match means is left to `set`; how the form is made is left to `compile`.
//!
//! # Layout
//! A name is kept as its hash, and records are in the order of that, in buckets of four on average:
//!
//! ```text
//! directory  one u64 a bucket:   number of its first record (32 bits) | which hashes it holds (32 bits, 3 set per name)
//! records    16 bytes an entry:  hash | check | class | line
//! ```
//! A *class* is what many entries share: list, scope, whether it allows, whether it has details.
//! A lookup reads one word of the directory for each suffix (2 bytes an entry, so it stays in the cache); a
//! match reads one cache line or two of records besides. An entry costs 18 bytes, however long its name is.
//!
//! Names are distinguished by eighty bits of a keyed hash (`hash`), whose key no outsider can know. A name is
//! taken for one of 2,200,000 others once in 10^17 suffixes: at a million queries a second, in thousands of years.

use super::hash::{Hash, Key};
use crate::invariant::Invariant;
use crate::name::label_start;

/// Names of one bucket, on average.
const BUCKET: usize = 4;
/// A name of 255 octets has at most 127 labels (RFC 1035 2.3.4).
const DEPTHS: usize = 128;

/// The names that an entry matches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(in crate::rules) enum Scope {
    /// The name and everything below it.
    Suffix,
    /// The name only.
    Exact,
    /// Everything below the name, not the name (`*.` in a response policy zone).
    Below,
}

/// Whether an entry is an exception, and for whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(in crate::rules) enum Allow {
    /// No exception: the names that it matches are listed.
    No,
    /// An exception from its own list.
    OwnList,
    /// An exception from all lists: the names that it matches never alert.
    AllLists,
}

/// The properties that many entries share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(in crate::rules) struct Class {
    /// Index of the list.
    pub list: u16,
    pub scope: Scope,
    pub allow: Allow,
    /// The list says more about each entry.
    pub details: bool,
}

impl Class {
    /// Whether the entries of the class are exceptions.
    pub(in crate::rules) fn is_exception(self) -> bool {
        self.allow != Allow::No
    }

    /// Whether both classes are of the same list and have the same effect.
    pub(in crate::rules) fn is_alike(self, other: Self) -> bool {
        (self.list, self.allow) == (other.list, other.allow)
    }
}

/// Entries of one class that were left out because their list says the same elsewhere.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::rules) struct Repeated {
    pub names: u64,
    pub networks: u64,
}

/// Where an entry was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::rules) struct Origin {
    /// Number of its class.
    pub class: u16,
    /// The line; for a class with details the place of the details, which begin with the line.
    pub at: u32,
}

/// An entry. Those of one name stand together, and in one class in the order they were read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::rules) struct Record {
    place: u64,
    check: u16,
    class: u16,
    at: u32,
}

impl Record {
    #[allow(clippy::cast_possible_truncation)] // 80 bits are enough
    pub(in crate::rules) fn new(hash: Hash, origin: Origin) -> Self {
        Self { place: hash.place, check: hash.check as u16, class: origin.class, at: origin.at }
    }

    pub(in crate::rules) fn origin(self) -> Origin {
        Origin { class: self.class, at: self.at }
    }

    pub(in crate::rules) fn is_same_name(&self, other: &Self) -> bool {
        self.place == other.place && self.check == other.check
    }

    /// The record of the same name in another set.
    pub(in crate::rules) fn with(self, origin: Origin) -> Self {
        Self { class: origin.class, at: origin.at, ..self }
    }
}

/// An entry that a name or an address matched. Only the set that it was found in can read it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EntryRef {
    pub(in crate::rules) class: Class,
    /// As in [`Origin`].
    pub(in crate::rules) at: u32,
    /// Where the entry's name starts in the name that was looked up; for an address, the length of the prefix.
    pub(in crate::rules) part: usize,
}

impl EntryRef {
    /// Whether both entries are of the same list and have the same effect.
    #[inline]
    pub(in crate::rules) fn is_like(self, other: Self) -> bool {
        self.class.is_alike(other.class)
    }
}

pub(in crate::rules) struct Names {
    pub(in crate::rules) key: Key,
    pub(in crate::rules) classes: Vec<Class>,
    /// One more than there are buckets; the last only ends the one before.
    directory: Vec<u64>,
    pub(in crate::rules) records: Vec<Record>,
    /// Numbers of labels that entries have, a bit each: other suffixes are not looked up.
    pub(in crate::rules) depths: u128,
}

impl Names {
    /// `records` are sorted.
    pub(in crate::rules) fn new(key: Key, classes: Vec<Class>, records: Vec<Record>, depths: u128) -> Self {
        let buckets = records.len().div_ceil(BUCKET).max(1);
        let mut directory = super::memory::roomy(buckets + 1);
        let mut rest = records.iter().zip(0..).peekable();
        for index in 0..buckets {
            let first = rest.peek().map_or(records.len(), |(_, number)| *number);
            let mut marks = 0;
            while let Some((record, _)) = rest.next_if(|(record, _)| bucket(record.place, buckets) == index) {
                marks |= self::marks(record.place);
            }
            directory.push(word(first, marks));
        }
        directory.push(word(records.len(), 0));
        Self { key, classes, directory, records, depths }
    }

    /// Gives every entry that `name` matches, from the shortest to the longest.
    #[inline]
    pub(in crate::rules) fn each(&self, name: &str, mut found: impl FnMut(EntryRef)) {
        let bytes = name.as_bytes();
        let mut hash = self.key.root();
        let mut end = bytes.len();
        for depth in 1..DEPTHS {
            // No entry may have as many labels as are left.
            if self.depths >> depth == 0 {
                return;
            }
            let Some(start) = label_start(bytes, end) else { return };
            hash = self.key.extend(hash, bytes.get(start..end).holds());
            if self.depths >> depth & 1 == 1 {
                self.suffix(hash, start, &mut found);
            }
            if start == 0 {
                return;
            }
            end = start - 1;
        }
    }

    #[inline]
    fn suffix(&self, hash: Hash, start: usize, found: &mut impl FnMut(EntryRef)) {
        let index = bucket(hash.place, self.directory.len() - 1);
        let (Some(word), Some(next)) = (self.directory.get(index), self.directory.get(index + 1)) else { return };
        let marks = marks(hash.place);
        if word & marks != marks {
            return;
        }
        let wanted = Record::new(hash, Origin { class: 0, at: 0 });
        let bucket = self.records.get(first_record(*word)..first_record(*next)).holds();
        for record in bucket.iter().filter(|record| record.is_same_name(&wanted)) {
            let Some(class) = self.classes.get(usize::from(record.class)).copied() else { return };
            let fits = match class.scope {
                Scope::Suffix => true,
                Scope::Exact => start == 0,
                Scope::Below => start != 0,
            };
            if fits {
                found(EntryRef { class, at: record.at, part: start });
            }
        }
    }
}

impl Default for Names {
    fn default() -> Self {
        Self::new(Key::random(), Vec::new(), Vec::new(), 0)
    }
}

/// The bucket of a hash, by its upper bits: buckets are in the order of hashes.
#[inline]
#[allow(clippy::cast_possible_truncation)] // less than `buckets`
fn bucket(place: u64, buckets: usize) -> usize {
    ((u128::from(place) * buckets as u128) >> 64) as usize
}

/// The bits that stand for a hash in the directory, by its lower bits.
#[inline]
fn marks(place: u64) -> u64 {
    1 << (place & 31) | 1 << (place >> 5 & 31) | 1 << (place >> 10 & 31)
}

/// A directory word.
fn word(first_record: usize, marks: u64) -> u64 {
    (first_record as u64) << 32 | marks
}

#[inline]
#[allow(clippy::cast_possible_truncation)] // the number that went in
fn first_record(word: u64) -> usize {
    (word >> 32) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_a_quarter_of_a_cache_line() {
        assert_eq!(size_of::<Record>(), 16);
    }

    #[test]
    fn every_hash_has_a_bucket() {
        assert_eq!(bucket(u64::MAX, 7), 6);
        assert_eq!(bucket(0, 7), 0);
    }
}

//! The names of a rule set in a compact, read-only form, found by suffix. Which lists they come from
//! and what a hit means is left to `rules`; how the form is made is left to `compile`.
//!
//! # Layout
//! Names are kept in the order of their hash, in buckets of four on average:
//!
//! ```text
//! directory  one u64 a bucket:  offset of its records (32 bits) | which hashes it holds (32 bits, 3 set per name)
//! records    tag | length | class | line | [details] | name    one byte of the hash, then variable-length
//!                                                               integers; the name as `codec` writes it
//! ```
//! A *class* is what many entries share: list, scope, whether it allows, whether details follow.
//! A miss reads one word of the directory a suffix (2 bytes an entry, so it stays in the cache); a hit
//! reads one cache line or two of records besides. A hash only leads to a record: the name itself is
//! compared, so that no collision can raise an alert. An entry costs its coded name (about half of the
//! text) and eight or nine bytes.

use super::codec::Codec;
use super::hash::{Key, label_start};
use super::stage::PARTS;

/// Names of one bucket, on average.
const BUCKET: usize = 4;
/// A name of 255 octets has at most 127 labels (RFC 1035 2.3.4).
const DEPTHS: usize = 128;

/// What an entry says about names below it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Scope {
    /// The name and everything below it.
    Suffix,
    /// The name only.
    Exact,
    /// What is below the name, not the name (`*.` in a response policy zone).
    Below,
}

/// What many entries share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Class {
    /// Index of the list.
    pub list: u16,
    pub scope: Scope,
    /// Names that must never alert.
    pub allow: bool,
    /// An offset into the details follows.
    pub details: bool,
}

/// One entry that a name matched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Found {
    pub class: Class,
    pub line: u32,
    pub details: Option<u32>,
    /// Where the entry's name starts in the name that was looked up.
    pub start: usize,
}

pub(super) struct Names {
    pub(super) key: Key,
    pub(super) codec: Codec,
    pub(super) classes: Vec<Class>,
    /// One more than there are buckets; the last only ends the one before.
    pub(super) directory: Vec<u64>,
    pub(super) records: Vec<u8>,
    /// Numbers of labels that entries have, a bit each: other suffixes are not looked up.
    pub(super) depths: u128,
    pub(super) count: u64,
}

impl Default for Names {
    fn default() -> Self {
        Self {
            key: Key::random(),
            codec: Codec::default(),
            classes: Vec::new(),
            directory: vec![0; 2],
            records: Vec::new(),
            depths: 0,
            count: 0,
        }
    }
}

impl Names {
    /// Gives every entry that `name` matches, from the shortest to the longest.
    #[inline]
    pub(super) fn each(&self, name: &str, mut found: impl FnMut(Found)) {
        if self.depths == 0 {
            return;
        }
        let bytes = name.as_bytes();
        let mut hash = self.key.root();
        let mut end = bytes.len();
        for depth in 1..DEPTHS {
            // What is left may hold entries of more labels than were read so far, or none.
            if self.depths >> depth == 0 {
                return;
            }
            let Some(start) = label_start(bytes, end) else { return };
            hash = self.key.extend(hash, bytes.get(start..end).unwrap_or_default());
            if self.depths >> depth & 1 == 1 {
                let word = self.directory.get(bucket(hash, self.buckets())).copied().unwrap_or(0);
                if word & marks(hash) == marks(hash) {
                    self.bucket(hash, bytes.get(start..).unwrap_or_default(), start, &mut found);
                }
            }
            if start == 0 {
                return;
            }
            end = start - 1;
        }
    }

    /// Every record: class, line, details and the name.
    pub(super) fn all(&self, mut record: impl FnMut(Class, u32, Option<u32>, &[u8])) {
        let mut name = Vec::new();
        for (class, line, details, coded) in Records(&self.records).filter_map(|(_, content)| self.open(content)) {
            name.clear();
            self.codec.read(coded, &mut name);
            record(class, line, details, &name);
        }
    }

    fn buckets(&self) -> usize {
        self.directory.len() - 1
    }

    fn bucket(&self, hash: u64, suffix: &[u8], start: usize, found: &mut impl FnMut(Found)) {
        let index = bucket(hash, self.buckets());
        let from = self.directory.get(index).map_or(0, |word| offset(*word));
        let to = self.directory.get(index + 1).map_or(0, |word| offset(*word));
        for (its_tag, record) in Records(self.records.get(from..to).unwrap_or_default()) {
            if its_tag != tag(hash) {
                continue;
            }
            let Some((class, line, details, coded)) = self.open(record) else { return };
            let fits = match class.scope {
                Scope::Suffix => true,
                Scope::Exact => start == 0,
                Scope::Below => start != 0,
            };
            if fits && self.codec.is(coded, suffix) {
                found(Found { class, line, details, start });
            }
        }
    }

    #[inline]
    fn open<'a>(&self, mut record: &'a [u8]) -> Option<(Class, u32, Option<u32>, &'a [u8])> {
        let class = *self.classes.get(read_number(&mut record)? as usize)?;
        let line = read_number(&mut record)?;
        let details = if class.details { Some(read_number(&mut record)?) } else { None };
        Some((class, line, details, record))
    }
}

/// The records of a bucket, or of all buckets: tag and content.
struct Records<'a>(&'a [u8]);

impl<'a> Iterator for Records<'a> {
    type Item = (u8, &'a [u8]);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let (tag, mut rest) = self.0.split_first()?;
        let length = read_number(&mut rest)? as usize;
        let (record, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some((*tag, record))
    }
}

/// The byte of a hash that neither chooses the bucket nor is in its marks.
#[inline]
#[allow(clippy::cast_possible_truncation)] // one byte is wanted
pub(super) fn tag(hash: u64) -> u8 {
    (hash >> 16) as u8
}

/// How many buckets `names` names get: as many for each part of the stage, so that no bucket is in two.
pub(super) fn buckets_for(names: usize) -> usize {
    names.div_ceil(BUCKET * PARTS).max(1) * PARTS
}

/// The bucket of a hash, by its upper half.
#[inline]
#[allow(clippy::cast_possible_truncation)] // less than `buckets`
pub(super) fn bucket(hash: u64, buckets: usize) -> usize {
    ((u128::from(hash >> 32) * buckets as u128) >> 32) as usize
}

/// The bits that stand for a hash in the directory, by its lower half.
#[inline]
pub(super) fn marks(hash: u64) -> u64 {
    1 << (hash & 31) | 1 << (hash >> 5 & 31) | 1 << (hash >> 10 & 31)
}

/// A directory word.
pub(super) fn directory_word(offset: u32, marks: u64) -> u64 {
    u64::from(offset) << 32 | marks
}

fn offset(word: u64) -> usize {
    (word >> 32) as usize
}

/// Seven bits a byte, the lowest first; the last has its top bit clear.
pub(super) fn write_number(mut number: u32, bytes: &mut Vec<u8>) {
    while let low @ 0x80.. = number {
        bytes.push(low.to_le_bytes()[0] | 0x80);
        number >>= 7;
    }
    bytes.push(number.to_le_bytes()[0]);
}

#[inline]
pub(super) fn read_number(bytes: &mut &[u8]) -> Option<u32> {
    let mut number = 0;
    for shift in (0..32).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u32::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_survive() {
        for number in [0, 1, 127, 128, 16_383, 16_384, 2_200_000, u32::MAX] {
            let mut bytes = Vec::new();
            write_number(number, &mut bytes);
            let mut rest = bytes.as_slice();
            assert_eq!(read_number(&mut rest), Some(number));
            assert!(rest.is_empty());
            assert_eq!(read_number(&mut &bytes[..bytes.len() - 1]), None);
        }
    }

    #[test]
    fn every_hash_has_a_bucket() {
        assert_eq!(bucket(u64::MAX, 7), 6);
        assert_eq!(bucket(0, 7), 0);
        assert_eq!(buckets_for(0), PARTS);
        assert_eq!(buckets_for(2_200_000) % PARTS, 0);
    }
}

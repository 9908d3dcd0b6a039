//! The hash of every suffix of a name in one pass, label by label from the right. Each run has its own key,
//! so that no query and no list can choose names that collide. The entries under a hash are left to `names`.

use std::hash::{BuildHasher, Hasher, RandomState};

use crate::invariant::Invariant;
use crate::name::label_start;

/// The secret of one run.
#[derive(Clone, Copy)]
pub(in crate::rules) struct Key {
    seed: Hash,
    factor: Hash,
}

/// Stands for a name: two hashes that know nothing of each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::rules) struct Hash {
    /// Chooses where a name is kept.
    pub place: u64,
    /// Distinguishes names with the same `place`.
    pub check: u64,
}

impl Key {
    pub(in crate::rules) fn random() -> Self {
        let draw = || RandomState::new().build_hasher().finish();
        // Odd factors of a folded multiplication lose no input bit.
        Self { seed: Hash { place: draw(), check: draw() }, factor: Hash { place: draw() | 1, check: draw() | 1 } }
    }

    /// The hash of the root, which each suffix starts from.
    pub(in crate::rules) fn root(self) -> Hash {
        self.seed
    }

    /// The hash of `label` in front of a suffix whose hash is `parent`.
    #[inline]
    pub(in crate::rules) fn extend(self, parent: Hash, label: &[u8]) -> Hash {
        let length = (label.len() as u64).wrapping_mul(LENGTH_FACTOR);
        let mut state = Hash { place: parent.place ^ length, check: parent.check ^ length };
        let mut rest = label;
        while rest.len() > 8 {
            let Some((word, tail)) = rest.split_first_chunk::<8>() else { break };
            state = self.mix(state, u64::from_le_bytes(*word));
            rest = tail;
        }
        self.mix(state, tail(rest))
    }

    #[inline]
    fn mix(self, state: Hash, word: u64) -> Hash {
        Hash { place: fold(state.place ^ word, self.factor.place), check: fold(state.check ^ word, self.factor.check) }
    }

    /// The hash of a whole name, and how many labels it has.
    pub(in crate::rules) fn name(self, name: &[u8]) -> (Hash, usize) {
        let (mut hash, mut labels) = (self.root(), 0);
        let mut end = name.len();
        while let Some(start) = label_start(name, end) {
            hash = self.extend(hash, name.get(start..end).holds());
            labels += 1;
            if start == 0 {
                break;
            }
            end = start - 1;
        }
        (hash, labels)
    }
}

/// Spreads the length over the word: 2^64 divided by the golden ratio.
const LENGTH_FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;

#[inline]
#[allow(clippy::cast_possible_truncation)] // both halves of the product are taken
fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    (product as u64) ^ ((product >> 64) as u64)
}

/// Up to eight bytes as one word; the length is already part of the state.
#[inline]
fn tail(bytes: &[u8]) -> u64 {
    if let (Some(first), Some(last)) = (bytes.first_chunk::<4>(), bytes.last_chunk::<4>()) {
        return u64::from(u32::from_le_bytes(*first)) | u64::from(u32::from_le_bytes(*last)) << 32;
    }
    match *bytes {
        [] => 0,
        [a] => u64::from(a),
        [a, b] => u64::from(a) | u64::from(b) << 8,
        [a, b, c, ..] => u64::from(a) | u64::from(b) << 8 | u64::from(c) << 16,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_suffix_hashes_like_the_name_alone() {
        let key = Key::random();
        let (parent, labels) = key.name(b"evil.example");
        assert_eq!(labels, 2);
        assert_eq!((key.extend(parent, b"www"), 3), key.name(b"www.evil.example"));
        assert_ne!(parent, key.name(b"evilexample").0);
        assert_ne!(key.name(b"ab.c"), key.name(b"a.bc"));
        assert_ne!(key.name(b"aaaaaaaa.c"), key.name(b"aaaaaaaaa.c"));
        assert_ne!(Key::random().name(b"evil.example").0, parent, "every run has its own key");
    }
}

//! One table for everything that an outsider can fill: bounded in entries and in bytes. When either
//! bound is passed, the entry that was used longest ago is evicted, and the caller is given it, to count
//! it and to undo what hangs on it.
//!
//! The bytes of an entry are its key, its value, what both [`Held::held`] on the heap, and the table's own
//! share. The memory of evicted entries is used again: a full table allocates nothing for the next entry.

mod held;

use std::borrow::Borrow;
use std::fmt;
use std::hash::{BuildHasher, Hash, RandomState};

use hashlink::LinkedHashMap;

pub use held::Held;

/// Bytes that the table needs for an entry besides key and value: two links, the allocator's header, and
/// eight slots of nine bytes in a hash table, whose size is a power of two and which is kept half empty.
const SHARE: usize = 16 + 8 + 8 * 9;

/// The most that a table holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    pub entries: usize,
    pub bytes: usize,
}

/// A table in the order of use, with bounds. The hash is keyed anew in each run, so that no
/// outsider can choose keys that collide.
pub struct Bounded<K, V, S = RandomState> {
    map: LinkedHashMap<K, Weighed<V>, S>,
    bounds: Bounds,
    bytes: usize,
    /// Entries that the hash table holds while half of it stays empty.
    roomy: usize,
}

/// A value, and the bytes that its entry counts for.
struct Weighed<V> {
    value: V,
    bytes: usize,
}

impl<K: Hash + Eq + Held, V: Held> Bounded<K, V> {
    /// An empty table. Memory is taken as entries come.
    #[must_use]
    pub fn new(bounds: Bounds) -> Self {
        Self { map: LinkedHashMap::with_hasher(RandomState::new()), bounds, bytes: 0, roomy: 0 }
    }
}

impl<K: Hash + Eq + Held, V: Held, S: BuildHasher> Bounded<K, V, S> {
    /// Puts an entry in, as the one used last, and returns the value that the key had before. `evicted` is
    /// given every entry that had to go: this one, if it alone is larger than the table may be.
    pub fn insert(&mut self, key: K, value: V, evicted: impl FnMut(K, V)) -> Option<V> {
        self.make_space();
        let bytes = entry_bytes(&key, &value);
        let before = self.map.insert(key, Weighed { value, bytes });
        self.bytes += bytes;
        let before = before.map(|before| {
            self.bytes -= before.bytes;
            before.value
        });
        self.enforce(evicted);
        before
    }

    /// The value of a key. The order of use stays.
    pub fn get<Q: Hash + Eq + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        self.map.get(key).map(|weighed| &weighed.value)
    }

    /// The value of a key, which counts as used now.
    pub fn touch<Q: Hash + Eq + ?Sized>(&mut self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        self.map.to_back(key).map(|weighed| &weighed.value)
    }

    /// Changes a value, which counts as used now, and weighs it again. `None`: there is no such key, and
    /// `change` was not called.
    pub fn change<Q: Hash + Eq + ?Sized, R>(
        &mut self,
        key: &Q,
        change: impl FnOnce(&mut V) -> R,
        evicted: impl FnMut(K, V),
    ) -> Option<R>
    where
        K: Borrow<Q>,
    {
        let weighed = self.map.to_back(key)?;
        let held = weighed.value.held();
        let result = change(&mut weighed.value);
        let bytes = weighed.bytes.saturating_sub(held).saturating_add(weighed.value.held());
        self.bytes = self.bytes - weighed.bytes + bytes;
        weighed.bytes = bytes;
        self.enforce(evicted);
        Some(result)
    }

    /// Takes an entry out.
    pub fn remove<Q: Hash + Eq + ?Sized>(&mut self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        let weighed = self.map.remove(key)?;
        self.bytes -= weighed.bytes;
        Some(weighed.value)
    }

    /// The entry that was used longest ago.
    #[must_use]
    pub fn oldest(&self) -> Option<(&K, &V)> {
        self.map.front().map(|(key, weighed)| (key, &weighed.value))
    }

    /// Takes the entry out that was used longest ago.
    pub fn pop_oldest(&mut self) -> Option<(K, V)> {
        let (key, weighed) = self.map.pop_front()?;
        self.bytes -= weighed.bytes;
        Some((key, weighed.value))
    }

    /// Every entry, the one used longest ago first.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (&K, &V)> {
        self.map.iter().map(|(key, weighed)| (key, &weighed.value))
    }

    /// Takes out what `keep` does not want. The order of use stays.
    pub fn retain(&mut self, mut keep: impl FnMut(&K, &V) -> bool) {
        let bytes = &mut self.bytes;
        self.map.retain(|key, weighed| {
            let kept = keep(key, &weighed.value);
            if !kept {
                *bytes -= weighed.bytes;
            }
            kept
        });
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.map.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.map.is_empty()
    }

    /// The bytes of all entries.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    #[must_use]
    pub fn bounds(&self) -> Bounds {
        self.bounds
    }

    /// Grows the hash table before it is more than half full. A table that is fuller grows when too many of
    /// its slots were used once, which may be long after the number of its entries has come to rest.
    fn make_space(&mut self) {
        if self.map.len() >= self.roomy {
            self.roomy = (2 * self.roomy).clamp(8, self.bounds.entries.saturating_add(1).max(8));
            self.map.reserve((2 * self.roomy + 2).saturating_sub(self.map.len()));
        }
    }

    fn enforce(&mut self, mut evicted: impl FnMut(K, V)) {
        while self.map.len() > self.bounds.entries || self.bytes > self.bounds.bytes {
            let Some((key, value)) = self.pop_oldest() else { return };
            evicted(key, value);
        }
    }
}

impl<K, V, S> fmt::Debug for Bounded<K, V, S> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let entries = self.map.len();
        out.debug_struct("Bounded").field("entries", &entries).field("bytes", &self.bytes).finish_non_exhaustive()
    }
}

fn entry_bytes<K: Held, V: Held>(key: &K, value: &V) -> usize {
    SHARE.saturating_add(size_of::<(K, Weighed<V>)>()).saturating_add(key.held()).saturating_add(value.held())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(entries: usize, bytes: usize) -> Bounded<u32, String> {
        Bounded::new(Bounds { entries, bytes })
    }

    /// The bytes of one entry whose value holds `held` bytes.
    fn one(held: usize) -> usize {
        entry_bytes(&0_u32, &String::new()) + held
    }

    #[test]
    fn the_entry_used_longest_ago_is_evicted() {
        let mut table = table(3, usize::MAX);
        let mut evicted = Vec::new();
        for key in 1..=3 {
            table.insert(key, key.to_string(), |key, _| evicted.push(key));
        }
        assert_eq!(table.touch(&1).map(String::as_str), Some("1"));
        table.get(&2);
        assert_eq!(table.insert(3, "three".into(), |key, _| evicted.push(key)), Some("3".into()));
        table.insert(4, "4".into(), |key, _| evicted.push(key));
        assert_eq!(evicted, [2], "looking is no use, touching and replacing are");
        assert_eq!(table.iter().map(|(key, _)| *key).collect::<Vec<_>>(), [1, 3, 4]);
        assert_eq!(table.oldest().map(|(key, _)| *key), Some(1));
        assert_eq!(table.pop_oldest(), Some((1, "1".into())));
        assert_eq!(table.remove(&1), None);
    }

    #[test]
    fn bytes_are_bounded_as_entries_are() {
        let mut table = table(usize::MAX, 4 * one(100));
        let mut evicted = 0;
        for key in 0..1_000 {
            table.insert(key, "x".repeat(100), |_, _| evicted += 1);
            assert!(table.bytes() <= 4 * one(100), "{} bytes", table.bytes());
        }
        assert_eq!((table.len(), evicted), (4, 996));
        // A value that grows pushes others out.
        assert_eq!(table.change(&999, |value| value.push_str(&"x".repeat(150)), |_, _| evicted += 1), Some(()));
        assert_eq!((table.len(), evicted), (3, 997));
        assert_eq!(table.change(&7, |_| (), |_, _| evicted += 1), None);
        let mut gone = Vec::new();
        table.insert(1_000, "x".repeat(10_000), |key, _| gone.push(key));
        assert_eq!((gone, table.len(), table.bytes()), (vec![997, 998, 999, 1_000], 0, 0));
    }

    #[test]
    fn every_way_out_gives_the_bytes_back() {
        let mut table = table(10, usize::MAX);
        for key in 0..10 {
            table.insert(key, "x".repeat(key as usize), |_, _| {});
        }
        table.retain(|key, _| key % 2 == 0);
        assert_eq!(table.len(), 5);
        table.remove(&0);
        table.pop_oldest();
        table.insert(4, String::new(), |_, _| {});
        table.change(&6, String::clear, |_, _| {});
        let held: usize = table.iter().map(|(_, value)| one(value.held())).sum();
        assert_eq!(table.bytes(), held);
        while table.pop_oldest().is_some() {}
        assert_eq!(table.bytes(), 0);
    }
}

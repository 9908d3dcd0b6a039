//! Flows by key, in the order in which they were last heard of.

use std::net::SocketAddr;

use hashbrown::HashMap;

/// One direction of one connection as seen from one place. On loopback the same segment is seen
/// leaving and arriving, hence `ingress`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FlowKey {
    pub source: SocketAddr,
    pub destination: SocketAddr,
    /// Inode number of the network namespace; 0 when not known.
    pub network_namespace: u32,
    pub ingress: bool,
}

/// Values keep their place, and their buffers, when they are removed, for the next flow to use.
#[derive(Debug)]
pub(super) struct Table<V> {
    places: HashMap<FlowKey, u32>,
    slots: Vec<Slot<V>>,
    free: Vec<u32>,
    newest: u32,
    oldest: u32,
}

/// A flow between its neighbours in time.
#[derive(Debug)]
struct Slot<V> {
    key: FlowKey,
    newer: u32,
    older: u32,
    value: V,
}

/// No neighbour.
const NONE: u32 = u32::MAX;

impl<V> Default for Table<V> {
    fn default() -> Self {
        Self { places: HashMap::new(), slots: Vec::new(), free: Vec::new(), newest: NONE, oldest: NONE }
    }
}

// Indices come from this table alone and stay inside `slots`, which never shrinks.
#[allow(clippy::indexing_slicing)]
impl<V: Default> Table<V> {
    pub(super) fn len(&self) -> usize {
        self.places.len()
    }

    pub(super) fn find(&self, key: &FlowKey) -> Option<u32> {
        // Segments of one flow come in trains.
        if self.newest != NONE && self.slots[self.newest as usize].key == *key {
            return Some(self.newest);
        }
        self.places.get(key).copied()
    }

    /// Adds a flow that is not there; its value may be one that was removed.
    pub(super) fn insert(&mut self, key: FlowKey) -> u32 {
        let index = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot { key, newer: NONE, older: NONE, value: V::default() });
            u32::try_from(self.slots.len() - 1).unwrap_or(NONE)
        });
        self.slots[index as usize].key = key;
        self.places.insert(key, index);
        self.link_newest(index);
        index
    }

    pub(super) fn value_mut(&mut self, index: u32) -> &mut V {
        &mut self.slots[index as usize].value
    }

    pub(super) fn oldest(&self) -> Option<u32> {
        (self.oldest != NONE).then_some(self.oldest)
    }

    /// Makes it the newest.
    pub(super) fn touch(&mut self, index: u32) {
        if self.newest != index {
            self.unlink(index);
            self.link_newest(index);
        }
    }

    /// Removes the oldest flow. The value stays where it is, and the caller clears it.
    pub(super) fn remove_oldest(&mut self) -> Option<&mut V> {
        let index = self.oldest()?;
        self.unlink(index);
        self.free.push(index);
        let slot = &mut self.slots[index as usize];
        self.places.remove(&slot.key);
        Some(&mut slot.value)
    }

    /// Visits all flows, from the oldest to the newest.
    pub(super) fn each(&mut self, mut visit: impl FnMut(&FlowKey, &mut V)) {
        let mut index = self.oldest;
        while index != NONE {
            let slot = &mut self.slots[index as usize];
            visit(&slot.key, &mut slot.value);
            index = slot.newer;
        }
    }

    fn link_newest(&mut self, index: u32) {
        let older = self.newest;
        let slot = &mut self.slots[index as usize];
        (slot.newer, slot.older) = (NONE, older);
        match older {
            NONE => self.oldest = index,
            older => self.slots[older as usize].newer = index,
        }
        self.newest = index;
    }

    fn unlink(&mut self, index: u32) {
        let (newer, older) = (self.slots[index as usize].newer, self.slots[index as usize].older);
        match newer {
            NONE => self.newest = older,
            newer => self.slots[newer as usize].older = older,
        }
        match older {
            NONE => self.oldest = newer,
            older => self.slots[older as usize].newer = newer,
        }
    }
}

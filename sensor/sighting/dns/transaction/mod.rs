//! Queries and their answers. A message is read only as far as its question; `lookup` makes the documents.

mod key;
mod question;

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use crate::alert::Match;
use crate::event::{Direction, Ends, Task};
use crate::metrics::Metrics;
use crate::net::Transport;
use crate::process::{Actor, Process};
use crate::sighting::Marks;
pub use key::Conversation;
use key::Key;
use question::{keep, same_question};

/// A query, from its sighting until its answers are no longer awaited.
#[derive(Debug)]
pub struct Transaction {
    /// The time of its first sending, nanoseconds since the Unix epoch.
    pub time: u64,
    /// The process and thread that asked.
    pub actor: Actor,
    pub client: SocketAddr,
    pub server: SocketAddr,
    pub transport: Transport,
    pub network_namespace: u32,
    pub direction: Option<Direction>,
    /// See [`Document::behind_nat`](super::Document::behind_nat).
    pub behind_nat: Option<Box<Ends>>,
    pub marks: Marks,
    /// Bytes of the query.
    pub length: usize,
    /// The query; header and question alone where the query is very long.
    pub bytes: Vec<u8>,
    /// The matches that its documents have named so far.
    pub labels: Vec<Match>,
    key: Key,
    answered: bool,
    timed_out: bool,
    /// The time of its answer or timeout.
    settled: u64,
    place: Place,
    previous: u32,
    next: u32,
    /// The next older one with the same key.
    older: u32,
}

/// Queries that wait for an answer: 13,000 new queries a second, none of which is answered within the usual 5 s.
pub const PENDING: usize = 65_536;

/// Transactions kept after their answer or timeout, so that a second or late answer is marked as such.
pub const SETTLED: usize = 16_384;

/// Nanoseconds that a settled transaction is kept. glibc gives up after 2 rounds of 3 servers and 5 s each, so
/// no program waits for a later answer.
pub const SETTLED_TIME: u64 = 30_000_000_000;

/// Queries with the same addresses, ports and id and different questions. An honest client has one
/// (RFC 5452 4.3); multicast DNS, whose ids are all zero, some dozens.
const SAME_KEY: usize = 64;

/// Bytes of a slot and of the entries that lead to it.
const SLOT: usize = size_of::<Transaction>() + 2 * size_of::<(Key, u32)>();

/// No slot.
const NONE: u32 = u32::MAX;

/// A query to be remembered.
#[derive(Debug)]
pub struct Query<'a> {
    pub time: u64,
    pub bytes: &'a [u8],
    pub actor: Actor,
    pub direction: Option<Direction>,
    pub behind_nat: Option<Ends>,
    pub marks: Marks,
}

/// The transaction that an answer belongs to.
#[derive(Debug)]
pub struct Answered<'a> {
    pub transaction: &'a mut Transaction,
    /// The image that asked. A duplicate has none: the first answer has taken it.
    pub process: Option<Rc<Process>>,
    /// The timeout was emitted before.
    pub late: bool,
    /// The query had an answer before.
    pub duplicate: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Free,
    Pending,
    Settled,
}

/// A chain of slots, oldest first.
#[derive(Debug, Clone, Copy)]
struct Queue {
    first: u32,
    last: u32,
    length: usize,
}

impl Queue {
    const EMPTY: Self = Self { first: NONE, last: NONE, length: 0 };
}

/// All transactions of this host or capture, in slots that are used again.
#[derive(Debug)]
pub struct Transactions {
    timeout: u64,
    metrics: Arc<Metrics>,
    slots: Vec<Transaction>,
    /// The newest transaction of each key.
    newest: HashMap<Key, u32>,
    /// One queue for each [`Place`].
    queues: [Queue; 3],
    /// Bytes of all matches that are remembered.
    label_bytes: usize,
    /// Bytes of all images that are kept, each as often as it is kept.
    image_bytes: usize,
    /// Bytes of all slots with the queries in them.
    slot_bytes: usize,
}

impl Transactions {
    /// `timeout`: nanoseconds after which a query counts as not answered.
    #[must_use]
    pub fn new(timeout: u64, metrics: Arc<Metrics>) -> Self {
        Self {
            timeout,
            metrics,
            slots: Vec::new(),
            newest: HashMap::new(),
            queues: [Queue::EMPTY; 3],
            label_bytes: 0,
            image_bytes: 0,
            slot_bytes: 0,
        }
    }

    /// Remembers a query. `true`: the query is new, not a repetition of one in flight.
    pub fn query(&mut self, conversation: &Conversation, query: Query<'_>) -> (bool, &mut Transaction) {
        let key = Key::of_query(conversation);
        let newest = self.newest.get(&key).copied().unwrap_or(NONE);
        if let Some(index) = self.repeated(newest, &query) {
            let known = &mut self.slots[index as usize];
            if known.actor.task.is_none() && query.actor.task.is_some() {
                known.actor = Actor { process: None, ..query.actor };
            }
            return (false, known);
        }
        self.prune(newest, query.bytes);
        let query = Query { actor: self.affordable(query.actor), ..query };
        let index = self.insert(key, conversation, query);
        (true, &mut self.slots[index as usize])
    }

    /// Finds the query of an answer, and marks it as answered. `task` owns the socket that got the answer.
    pub fn answer(
        &mut self,
        conversation: &Conversation,
        time: u64,
        bytes: &[u8],
        task: Option<&Task>,
    ) -> Option<Answered<'_>> {
        let index = Key::of_answer(conversation).into_iter().flatten().find_map(|key| self.find(&key, bytes, task))?;
        if self.slots[index as usize].place == Place::Pending {
            self.slots[index as usize].settled = time;
            self.put(index, Place::Settled);
        }
        let transaction = &mut self.slots[index as usize];
        let before = std::mem::replace(&mut transaction.answered, true);
        // Several hosts may answer a multicast query, and a zone comes in many messages (RFC 5936 2.2).
        let several = transaction.key.is_multicast()
            || (transaction.transport == Transport::Tcp && question::is_transfer(&transaction.bytes));
        let process = if several { transaction.actor.process.clone() } else { transaction.actor.process.take() };
        if !several {
            self.image_bytes -= process.as_ref().map_or(0, |process| process.bytes());
        }
        Some(Answered { late: transaction.timed_out, duplicate: before && !several, process, transaction })
    }

    /// The next query that has waited too long, oldest first; `None` when there is no more.
    /// `now`: nanoseconds since the Unix epoch, of an event or of the clock that events have.
    pub fn expire(&mut self, now: u64) -> Option<&Transaction> {
        while let Some(old) = self.oldest(Place::Settled) {
            if now.abs_diff(self.slots[old as usize].settled) < SETTLED_TIME {
                break;
            }
            self.release(old);
        }
        while let Some(old) = self.oldest(Place::Pending) {
            let transaction = &mut self.slots[old as usize];
            // The clock of a capture may go back: then the oldest query seems to come from the future.
            if now.abs_diff(transaction.time) < self.timeout {
                break;
            }
            if transaction.key.is_multicast() {
                // No host has to answer a multicast query.
                self.release(old);
                continue;
            }
            transaction.timed_out = true;
            transaction.settled = now;
            self.put(old, Place::Settled);
            return self.slots.get(old as usize);
        }
        None
    }

    /// Bytes of matches that can still be remembered. Past them a match is not, and raises another alert with the
    /// answer.
    #[must_use]
    pub fn label_space(&self) -> usize {
        self.metrics.memory.labels.bound().saturating_sub(self.label_bytes)
    }

    /// Counts the bytes of matches that were added to a transaction, and the matches that found no space.
    pub fn count_labels(&mut self, (bytes, left_out): (usize, u64)) {
        self.label_bytes += bytes;
        self.metrics.losses.label_evicted.add(left_out);
    }

    /// Publishes the bytes of all tables.
    pub fn publish(&self) {
        let memory = &self.metrics.memory;
        memory.queries.set(self.slot_bytes);
        memory.labels.set(self.label_bytes);
        memory.query_images.set(self.image_bytes);
    }

    /// The actor with its image, or, where all images are too large already, with the key alone, by which the table
    /// of processes is asked again.
    fn affordable(&mut self, actor: Actor) -> Actor {
        let bytes = actor.process.as_ref().map_or(0, |process| process.bytes());
        if self.image_bytes + bytes > self.metrics.memory.query_images.bound() {
            self.metrics.losses.query_image_evicted.add(1);
            return Actor { process: None, ..actor };
        }
        self.image_bytes += bytes;
        actor
    }

    /// Nanoseconds after which a query counts as not answered.
    #[must_use]
    pub fn timeout(&self) -> u64 {
        self.timeout
    }

    /// Transactions that wait, and those kept after their answer or timeout.
    #[must_use]
    pub fn len(&self) -> (usize, usize) {
        (self.queue(Place::Pending).length, self.queue(Place::Settled).length)
    }

    /// The newest waiting transaction, else the newest settled one; the asker's own comes first.
    fn find(&self, key: &Key, bytes: &[u8], task: Option<&Task>) -> Option<u32> {
        let mut found = None;
        let mut best = 0;
        let mut index = *self.newest.get(key)?;
        while let Some(known) = self.slots.get(index as usize) {
            let owner = match (&known.actor.task, task) {
                (Some(asker), Some(owner)) => Some(asker.process == owner.process),
                _ => None,
            };
            // A multicast answer reaches every socket of the group, so the receiving socket must have asked.
            let matches = if key.is_multicast() {
                owner != Some(false) && question::answers_multicast(&known.bytes, bytes)
            } else {
                question::answers(&known.bytes, bytes)
            };
            if matches {
                let rank = 1 + u8::from(known.place == Place::Pending) * 2 + u8::from(owner == Some(true));
                if rank > best {
                    (best, found) = (rank, Some(index));
                }
            }
            index = known.older;
        }
        found
    }

    /// A waiting transaction with the same question and the same asker.
    fn repeated(&self, newest: u32, query: &Query<'_>) -> Option<u32> {
        let mut index = newest;
        while let Some(known) = self.slots.get(index as usize) {
            let same_asker = match (&known.actor.task, &query.actor.task) {
                (Some(known), Some(asker)) => known.process == asker.process,
                _ => true,
            };
            if known.place == Place::Pending
                && same_asker
                && same_question(&known.bytes, query.bytes, known.key.is_multicast())
            {
                return Some(index);
            }
            index = known.older;
        }
        None
    }

    /// Makes space for a new query of this key. A repeated question replaces its settled predecessor.
    fn prune(&mut self, newest: u32, bytes: &[u8]) {
        let mut kept = 0;
        let mut index = newest;
        while let Some(known) = self.slots.get(index as usize) {
            let older = known.older;
            kept += 1;
            if kept >= SAME_KEY {
                self.evict(index);
            } else if known.place == Place::Settled && same_question(&known.bytes, bytes, known.key.is_multicast()) {
                self.release(index);
            }
            index = older;
        }
    }

    fn insert(&mut self, key: Key, conversation: &Conversation, query: Query<'_>) -> u32 {
        if self.queue(Place::Pending).length >= PENDING
            && let Some(oldest) = self.oldest(Place::Pending)
        {
            self.evict(oldest);
        }
        let is_grown = self.queue(Place::Free).length == 0;
        if is_grown && self.slot_bytes + SLOT > self.metrics.memory.queries.bound() {
            self.evict_oldest();
        }
        let index = self.slot(key, conversation, &query);
        let older = self.newest.insert(key, index).unwrap_or(NONE);
        let transaction = &mut self.slots[index as usize];
        transaction.older = older;
        transaction.actor = query.actor;
        self.put(index, Place::Pending);
        self.shrink(index);
        index
    }

    /// Forgets the transaction that is missed least. `None` where there is none.
    fn evict_oldest(&mut self) -> Option<u32> {
        let oldest = self.oldest(Place::Settled).or_else(|| self.oldest(Place::Pending))?;
        self.evict(oldest);
        Some(oldest)
    }

    /// Gives bytes of queries back until all slots fit their share: those of free slots first. `newest` stays.
    fn shrink(&mut self, newest: u32) {
        while self.slot_bytes > self.metrics.memory.queries.bound() {
            let is_kept = |index: &u32| self.slots[*index as usize].bytes.capacity() > 0;
            let free = self.oldest(Place::Free).filter(is_kept);
            let next = [Place::Settled, Place::Pending].into_iter().find_map(|place| self.oldest(place));
            if free.is_none() && next.is_none_or(|next| next == newest) {
                return;
            }
            let Some(index) = free.or_else(|| self.evict_oldest()) else { return };
            let bytes = std::mem::take(&mut self.slots[index as usize].bytes);
            self.slot_bytes -= bytes.capacity();
            // Slots that have none left are used last.
            self.put(index, Place::Free);
        }
    }

    /// A free slot, filled with the values that need no ownership.
    fn slot(&mut self, key: Key, conversation: &Conversation, query: &Query<'_>) -> u32 {
        let free = self.oldest(Place::Free);
        let mut bytes = free.map(|index| std::mem::take(&mut self.slots[index as usize].bytes)).unwrap_or_default();
        let labels = free.map(|index| std::mem::take(&mut self.slots[index as usize].labels)).unwrap_or_default();
        let capacity = bytes.capacity();
        keep(query.bytes, &mut bytes);
        self.slot_bytes += bytes.capacity() - capacity;
        let (place, previous, next) = free.map_or((Place::Free, NONE, NONE), |index| {
            let slot = &self.slots[index as usize];
            (slot.place, slot.previous, slot.next)
        });
        let transaction = Transaction {
            time: query.time,
            actor: Actor::default(),
            client: conversation.client,
            server: conversation.server,
            transport: conversation.transport,
            network_namespace: conversation.network_namespace,
            direction: query.direction,
            behind_nat: query.behind_nat.map(Box::new),
            marks: query.marks,
            length: query.bytes.len(),
            bytes,
            labels,
            key,
            answered: false,
            timed_out: false,
            settled: 0,
            place,
            previous,
            next,
            older: NONE,
        };
        if let Some(index) = free {
            self.slots[index as usize] = transaction;
            return index;
        }
        // PENDING and SETTLED bound the number of slots far below u32::MAX.
        let index = u32::try_from(self.slots.len()).unwrap_or(NONE);
        self.slots.push(transaction);
        self.slot_bytes += SLOT;
        self.append(index, Place::Free);
        index
    }

    /// Forgets a waiting transaction for lack of space.
    fn evict(&mut self, index: u32) {
        let transaction = &self.slots[index as usize];
        if transaction.place == Place::Pending && !transaction.key.is_multicast() {
            self.metrics.losses.transaction_evicted.add(1);
        }
        self.release(index);
    }

    fn release(&mut self, index: u32) {
        let Transaction { key, older, .. } = self.slots[index as usize];
        if let Entry::Occupied(mut newest) = self.newest.entry(key) {
            let mut newer = *newest.get();
            if newer != index {
                while let Some(slot) = self.slots.get_mut(newer as usize) {
                    if slot.older == index {
                        slot.older = older;
                        break;
                    }
                    newer = slot.older;
                }
            } else if older == NONE {
                newest.remove();
            } else {
                newest.insert(older);
            }
        }
        let transaction = &mut self.slots[index as usize];
        let actor = std::mem::take(&mut transaction.actor);
        self.image_bytes -= actor.process.map_or(0, |process| process.bytes());
        // The memory of a hostile query's matches is not kept for the next query.
        self.label_bytes -= std::mem::take(&mut transaction.labels).iter().map(Match::bytes).sum::<usize>();
        self.put(index, Place::Free);
    }

    fn queue(&self, place: Place) -> &Queue {
        &self.queues[place as usize]
    }

    fn oldest(&self, place: Place) -> Option<u32> {
        Some(self.queue(place).first).filter(|first| *first != NONE)
    }

    /// Moves a slot to the end of another queue.
    fn put(&mut self, index: u32, place: Place) {
        let Transaction { place: from, previous, next, .. } = self.slots[index as usize];
        match self.slots.get_mut(previous as usize) {
            Some(slot) => slot.next = next,
            None => self.queues[from as usize].first = next,
        }
        match self.slots.get_mut(next as usize) {
            Some(slot) => slot.previous = previous,
            None => self.queues[from as usize].last = previous,
        }
        self.queues[from as usize].length -= 1;
        self.append(index, place);
        if place == Place::Settled
            && self.queue(place).length > SETTLED
            && let Some(oldest) = self.oldest(place)
        {
            self.release(oldest);
        }
    }

    fn append(&mut self, index: u32, place: Place) {
        let queue = &mut self.queues[place as usize];
        let last = std::mem::replace(&mut queue.last, index);
        queue.length += 1;
        if last == NONE {
            queue.first = index;
        } else {
            self.slots[last as usize].next = index;
        }
        let transaction = &mut self.slots[index as usize];
        (transaction.place, transaction.previous, transaction.next) = (place, last, NONE);
    }
}

#[cfg(test)]
mod tests;

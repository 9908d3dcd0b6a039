//! One stream, read with its urgent bytes and without them.
//!
//! A byte sent as urgent (`MSG_OOB`) is taken out of the stream by the receiver's kernel, unless the
//! receiver asked for it inline (`SO_OOBINLINE`), or another urgent byte came before the first was read
//! (`tcp_check_urg` in `net/ipv4/tcp_input.c`; RFC 6093). No packet shows which of these happened, so
//! that both readings go on. The reading without urgent bytes is never dropped, for the writer of the stream
//! could make it look wrong with messages that servers answer all the same.

use super::Framing;
use super::sequence::after;

/// Readings of one stream at a time. Three urgent bytes that cannot be placed make eight.
const READINGS: usize = 8;
/// Messages that cannot be, after which a reading with an urgent byte is dropped: a writer may have sent
/// a few odd ones on purpose.
const TOLERATED: u32 = 4;
/// Urgent bytes that are announced and have not come yet. A sender announces one at a time.
const ANNOUNCED: usize = 8;

#[derive(Debug, Default)]
pub(super) struct Readings<F> {
    /// The reading without urgent bytes.
    first: F,
    others: Vec<F>,
    /// Sequence numbers of the urgent bytes to come.
    urgent: Vec<u32>,
}

impl<F: Framing> Readings<F> {
    /// See [`Framing::restart`].
    pub(super) fn restart(&mut self, exact: bool) {
        self.first.restart(exact);
        (self.others, self.urgent) = (Vec::new(), Vec::new());
    }

    /// Takes note that the byte at `sequence` is urgent.
    pub(super) fn announce(&mut self, sequence: u32) {
        if self.urgent.len() < ANNOUNCED && !self.urgent.contains(&sequence) {
            self.urgent.push(sequence);
        }
    }

    /// Takes the bytes at `sequence`, which are the next; see [`Framing::push`].
    pub(super) fn push(&mut self, mut sequence: u32, mut bytes: &[u8], message: &mut dyn FnMut(&[u8])) -> u64 {
        let mut lost = 0;
        while let Some(place) = self.next_urgent(sequence, bytes.len()) {
            let (before, rest) = bytes.split_at(place);
            let (urgent, rest) = rest.split_at(rest.len().min(1));
            lost += self.feed(before, message);
            lost += self.fork(urgent, message);
            sequence = sequence.wrapping_add(u32::try_from(place + urgent.len()).unwrap_or(u32::MAX));
            bytes = rest;
        }
        lost + self.feed(bytes, message)
    }

    /// See [`Framing::gap`].
    pub(super) fn gap(&mut self, bytes: u64) -> u64 {
        for other in &mut self.others {
            other.gap(bytes);
        }
        self.first.gap(bytes)
    }

    /// See [`Framing::close`].
    pub(super) fn close(&mut self) -> u64 {
        (self.others, self.urgent) = (Vec::new(), Vec::new());
        self.first.close()
    }

    /// See [`Framing::unread`].
    pub(super) fn unread(&self) -> u64 {
        self.first.unread()
    }

    /// Bytes of memory in use beside the value itself.
    pub(super) fn capacity(&self) -> usize {
        let others = self.others.iter().map(|other| size_of::<F>() + other.capacity()).sum::<usize>();
        self.first.capacity() + others + self.urgent.capacity() * size_of::<u32>()
    }

    /// See [`Framing::shrink`].
    pub(super) fn shrink(&mut self, capacity: usize) {
        self.first.shrink(capacity);
    }

    /// See [`Framing::is_foreign`].
    pub(super) fn is_foreign(&mut self) -> bool {
        self.first.is_foreign()
    }

    /// The place of the first urgent byte among the next `length` bytes, which is announced no longer.
    fn next_urgent(&mut self, sequence: u32, length: usize) -> Option<usize> {
        if self.urgent.is_empty() {
            return None;
        }
        self.urgent.retain(|urgent| after(*urgent, sequence) >= 0);
        let place = |urgent: &u32| usize::try_from(after(*urgent, sequence)).ok().filter(|place| *place < length);
        let first = self.urgent.iter().filter_map(place).min()?;
        self.urgent.retain(|urgent| place(urgent) != Some(first));
        Some(first)
    }

    fn feed(&mut self, bytes: &[u8], message: &mut dyn FnMut(&[u8])) -> u64 {
        let lost = self.first.push(bytes, message);
        for other in &mut self.others {
            other.push(bytes, message);
        }
        self.others.retain(|other| other.trial() < TOLERATED);
        lost
    }

    /// Adds, to each reading, one that keeps the urgent byte. Returns 1 where the readings are too many for it:
    /// then the byte is skipped for good.
    fn fork(&mut self, urgent: &[u8], message: &mut dyn FnMut(&[u8])) -> u64 {
        let room = READINGS - 1 - self.others.len();
        let wanted = 1 + self.others.len();
        let mut with: Vec<F> = std::iter::once(&self.first).chain(&self.others).take(room).cloned().collect();
        for reading in &mut with {
            reading.begin_trial();
            reading.push(urgent, message);
        }
        self.others.append(&mut with);
        u64::from(wanted > room)
    }
}

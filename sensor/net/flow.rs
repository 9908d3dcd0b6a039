//! The segments of one flow direction, put in order by sequence number (RFC 9293 3.4).

use std::collections::VecDeque;

use super::reading::Readings;
use super::sequence::{after, length32};
use super::{Framing, Mark, Tcp, Verdict};

/// Segments of one flow that wait behind a gap, and their bytes: four of the largest (64 KiB)
/// super-segments, or a message sent byte by byte in the wrong order.
const AHEAD_SEGMENTS: usize = 1024;
const AHEAD_BYTES: usize = 256 << 10;
/// How long a gap may stay open: longer than the first retransmissions take (RFC 6298), shorter
/// than a DNS client waits. In nanoseconds.
const GAP_PATIENCE: u64 = 3_000_000_000;
/// A jump of the sequence number that is a new connection on the same ports rather than a gap;
/// above Linux's largest default window (`tcp_rmem`: 6 MiB).
const NEW_CONNECTION: u32 = 8 << 20;
/// A flow that holds nothing and was silent for so long is forgotten without being counted: servers
/// close idle connections after seconds (RFC 7766 6.2.3). In nanoseconds.
const IDLE: u64 = 120_000_000_000;
/// A flow that was closed is forgotten after this silence; until then, its retransmissions are not taken for
/// new bytes. In nanoseconds.
const LINGER: u64 = 10_000_000_000;
/// Bytes of memory that a closed flow keeps for its successor.
const KEPT_CAPACITY: usize = 512;

#[derive(Debug, Default)]
pub(super) struct Flow<F, M> {
    readings: Readings<F>,
    /// The joined marks of the bytes of the message that is not complete yet.
    mark: M,
    /// Sequence number of the first byte that belongs to this connection, as far as is known.
    start: u32,
    /// `start` follows a SYN.
    exact: bool,
    /// Sequence number of the next byte in order.
    next: u32,
    /// Sequence number after the last byte, once a FIN said so.
    end: Option<u32>,
    closed: bool,
    ahead: VecDeque<Piece>,
    ahead_bytes: usize,
    /// The time at which the gap before the first segment of `ahead` opened.
    gap_since: u64,
    /// The time of the last packet.
    heard: u64,
}

/// A segment that came before those that precede it. In a queue, by `sequence`.
#[derive(Debug)]
struct Piece {
    sequence: u32,
    bytes: Vec<u8>,
}

impl<F: Framing, M: Mark> Flow<F, M> {
    /// Begins a connection with this segment, its first that was seen.
    pub(super) fn reset(&mut self, first: &Tcp<'_>) {
        self.clear();
        self.readings.restart(first.syn);
        self.exact = first.syn;
        self.start = data_sequence(first);
        self.next = self.start;
    }

    /// Takes a segment, and returns the number of bytes that were lost or passed over. Bytes that waited behind a gap count to the segment
    /// that fills it.
    pub(super) fn push_marked(
        &mut self,
        time: u64,
        (segment, mark): (&Tcp<'_>, M),
        message: &mut impl FnMut(&[u8], M),
    ) -> (u64, Verdict) {
        let mut joined = if self.readings.unread() == 0 { mark } else { self.mark.joined(mark) };
        let result = self.push(time, segment, &mut |bytes| message(bytes, std::mem::replace(&mut joined, mark)));
        self.mark = joined;
        result
    }

    fn push(&mut self, time: u64, segment: &Tcp<'_>, message: &mut dyn FnMut(&[u8])) -> (u64, Verdict) {
        self.heard = time;
        let sequence = data_sequence(segment);
        let mut lost = 0;
        let jump = after(sequence, self.next);
        let jumps = !segment.bytes.is_empty() && jump.unsigned_abs() > NEW_CONNECTION;
        let other = if segment.syn { sequence != self.start } else { jumps };
        if other {
            lost += self.unread();
            self.reset(segment);
        }

        // A receiver ignores an RST at another place, too (RFC 5961 3.2), unless only the sensor has a gap before it.
        if let Some(urgent) = segment.urgent.filter(|urgent| after(*urgent, self.next) >= 0) {
            self.readings.announce(urgent);
        }
        let reset = segment.rst && jump >= 0 && jump.unsigned_abs() <= NEW_CONNECTION;
        lost += self.place(time, sequence, segment.bytes, message);
        if !self.ahead.is_empty() && (reset || self.is_gap_hopeless(time)) {
            lost += self.give_up_gap(time, message);
        }
        if segment.fin {
            self.end = Some(sequence.wrapping_add(length32(segment.bytes)));
        }
        let end = self.end.take_if(|end| after(self.next, *end) >= 0);
        if reset || end == Some(self.next) {
            lost += self.close(message);
        }
        let verdict = if self.readings.is_foreign() { Verdict::Foreign } else { Verdict::Expected };
        (lost, verdict)
    }

    /// Gives up a gap that was open for too long.
    pub(super) fn expire(&mut self, time: u64, message: &mut dyn FnMut(&[u8])) -> u64 {
        let mut lost = 0;
        while self.is_gap_hopeless(time) {
            lost += self.give_up_gap(self.gap_since, message);
        }
        lost
    }

    /// Gives up all that is incomplete.
    pub(super) fn finish(&mut self, message: &mut dyn FnMut(&[u8])) -> u64 {
        self.close(message)
    }

    /// Whether the flow holds nothing, so that nothing is lost when it is forgotten.
    pub(super) fn is_stale(&self, time: u64) -> bool {
        let patience = if self.closed { LINGER } else { IDLE };
        self.unread() == 0 && time.saturating_sub(self.heard) > patience
    }

    /// Memory in use beyond the flow itself.
    pub(super) fn held(&self) -> usize {
        self.readings.capacity() + self.ahead_bytes + self.ahead.capacity() * size_of::<Piece>()
    }

    /// Whether segments wait behind a gap.
    pub(super) fn has_gap(&self) -> bool {
        !self.ahead.is_empty()
    }

    /// Bytes that were seen and not handed out.
    pub(super) fn unread(&self) -> u64 {
        self.readings.unread() + self.ahead_bytes as u64
    }

    /// Forgets everything, so that another flow can take its place.
    pub(super) fn clear(&mut self) {
        self.readings.restart(false);
        self.readings.shrink(KEPT_CAPACITY);
        self.ahead = VecDeque::new();
        self.ahead_bytes = 0;
        (self.end, self.closed) = (None, false);
    }

    fn place(&mut self, time: u64, mut sequence: u32, mut bytes: &[u8], message: &mut dyn FnMut(&[u8])) -> u64 {
        let mut lost = 0;
        if bytes.is_empty() {
            return 0;
        }
        let early = after(self.start, sequence);
        if early > 0 {
            // These bytes stand before the first one that was seen, so they are no retransmission. After a
            // SYN they belong to another connection, or are a keep-alive (RFC 9293 3.8.4).
            let (before, rest) = bytes.split_at(bytes.len().min(early.unsigned_abs() as usize));
            if self.exact {
                lost += if before.len() > 1 { before.len() as u64 } else { 0 };
            } else {
                if before.len() == early.unsigned_abs() as usize {
                    self.start = sequence; // else what lies between may still come
                }
                let mut framing = F::default();
                lost += framing.push(before, message) + framing.close();
            }
            (sequence, bytes) = (sequence.wrapping_add(length32(before)), rest);
        }
        let old = after(self.next, sequence);
        if old > 0 {
            bytes = bytes.get(old.unsigned_abs() as usize..).unwrap_or_default();
            sequence = self.next;
        }
        if bytes.is_empty() {
            return lost;
        }
        self.closed = false;
        if sequence == self.next {
            lost += self.readings.push(sequence, bytes, message);
            self.next = self.next.wrapping_add(length32(bytes));
            lost += self.drain(message);
        } else {
            if self.ahead.is_empty() {
                self.gap_since = time;
            }
            self.keep(sequence, bytes);
        }
        lost
    }

    fn keep(&mut self, sequence: u32, bytes: &[u8]) {
        let end = sequence.wrapping_add(length32(bytes));
        let index = self.ahead.partition_point(|piece| after(piece.sequence, sequence) <= 0);
        let before = index.checked_sub(1).and_then(|index| self.ahead.get(index));
        if before.is_some_and(|before| after(before.end(), end) >= 0) {
            return; // seen before
        }
        self.ahead_bytes += bytes.len();
        self.ahead.insert(index, Piece { sequence, bytes: bytes.to_vec() });
    }

    /// Hands out the waiting segments that are next in order.
    fn drain(&mut self, message: &mut dyn FnMut(&[u8])) -> u64 {
        let mut lost = 0;
        while let Some(old) = self.ahead.front().map(|first| after(self.next, first.sequence)).filter(|old| *old >= 0) {
            let Some(first) = self.ahead.pop_front() else {
                break;
            };
            self.ahead_bytes -= first.bytes.len();
            if let Some(bytes) = first.bytes.get(old.unsigned_abs() as usize..).filter(|bytes| !bytes.is_empty()) {
                lost += self.readings.push(self.next, bytes, message);
                self.next = self.next.wrapping_add(length32(bytes));
            }
        }
        lost
    }

    fn is_gap_hopeless(&self, time: u64) -> bool {
        !self.ahead.is_empty()
            && (self.ahead.len() > AHEAD_SEGMENTS
                || self.ahead_bytes > AHEAD_BYTES
                || time.saturating_sub(self.gap_since) > GAP_PATIENCE)
    }

    /// Goes on behind the gap. `time` is the time from which the next gap is waited for.
    fn give_up_gap(&mut self, time: u64, message: &mut dyn FnMut(&[u8])) -> u64 {
        let Some(first) = self.ahead.front() else {
            return 0;
        };
        let gap = after(first.sequence, self.next).unsigned_abs();
        let lost = self.readings.gap(u64::from(gap));
        self.next = first.sequence;
        self.gap_since = time;
        lost + self.drain(message)
    }

    /// Ends the connection. Its sequence numbers stay known, so that copies of its segments are recognised; and if
    /// the connection goes on all the same, nothing of it is missed.
    fn close(&mut self, message: &mut dyn FnMut(&[u8])) -> u64 {
        let mut lost = 0;
        while !self.ahead.is_empty() {
            lost += self.give_up_gap(self.heard, message);
        }
        lost += self.readings.close();
        self.readings.shrink(KEPT_CAPACITY);
        self.ahead = VecDeque::new();
        self.closed = true;
        lost
    }
}

impl Piece {
    fn end(&self) -> u32 {
        self.sequence.wrapping_add(length32(&self.bytes))
    }
}

/// SYN takes one sequence number (RFC 9293 3.4).
fn data_sequence(segment: &Tcp<'_>) -> u32 {
    segment.sequence.wrapping_add(u32::from(segment.syn))
}

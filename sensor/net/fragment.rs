//! Fragments of IPv4 and IPv6 datagrams until they are whole, in bounded memory. Live packets are
//! whole; captures are not.
//!
//! Fragments that overlap with different bytes, or in part, end their datagram, for IPv6 as RFC 5722 asks and for
//! IPv4 as Linux does since 2018 (commit 7969e5c40dfd): a datagram that the host's own kernel refuses reached no
//! program. Exact copies are ignored (RFC 8200 4.5).

use std::collections::VecDeque;
use std::mem;
use std::net::IpAddr;
use std::ops::Range;
use std::sync::Arc;

use super::error::PacketError;
use super::ip::{Datagram, Fragment};
use crate::metrics::Metrics;

/// Incomplete datagrams at a time. A datagram is incomplete for a few packets; more than this many
/// at once is loss or an attack. Few enough for a linear search.
const DATAGRAMS: usize = 256;
/// Age at which a datagram is given up, by packet time: Linux's `ipfrag_time`, in nanoseconds.
const AGE: u64 = 30_000_000_000;
/// Stretches of one datagram with holes between them. Fragments come nearly in order.
const STRETCHES: usize = 64;
/// The largest datagram that either version can describe.
const DATAGRAM_BYTES: usize = 65_535;
/// Buffers kept for later datagrams.
const SPARE: usize = 8;

/// Incomplete datagrams, in the order of their first fragment.
#[derive(Debug)]
pub(super) struct Fragments {
    waiting: VecDeque<Incomplete>,
    /// Sum of the buffers of `waiting`.
    held: usize,
    /// The last datagram that became whole, whose bytes are lent out.
    whole: Incomplete,
    spare: Vec<Incomplete>,
    metrics: Arc<Metrics>,
}

/// RFC 791 3.2 and RFC 8200 4.5. IPv6 has no protocol in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Key {
    identification: u32,
    source: IpAddr,
    destination: IpAddr,
    protocol: Option<u8>,
}

#[derive(Debug, Default)]
struct Incomplete {
    key: Option<Key>,
    /// The time of the first fragment that came.
    time: u64,
    /// The protocol that the fragment at offset 0 names.
    protocol: u8,
    bytes: Vec<u8>,
    /// The parts of `bytes` that have come: sorted, and apart from each other.
    stretches: Vec<Range<usize>>,
    /// The length of the whole datagram, which the last fragment shows.
    total: Option<usize>,
    /// The datagram was counted as lost; it is kept so that its later fragments are recognised.
    given_up: bool,
}

impl Fragments {
    pub(super) fn new(metrics: Arc<Metrics>) -> Self {
        Self { waiting: VecDeque::new(), held: 0, whole: Incomplete::default(), spare: Vec::new(), metrics }
    }

    /// Adds a fragment; gives the protocol and the payload of the datagram if that makes it whole.
    pub(super) fn join(
        &mut self,
        time: u64,
        datagram: &Datagram<'_>,
        fragment: Fragment,
    ) -> Result<Option<(u8, &[u8])>, PacketError> {
        let piece = datagram.payload;
        let place = fragment.offset..fragment.offset + piece.len();
        if place.end > DATAGRAM_BYTES || piece.is_empty() || (fragment.more && !piece.len().is_multiple_of(8)) {
            return Err(PacketError::Fragment);
        }
        while self.waiting.front().is_some_and(|oldest| time.saturating_sub(oldest.time) > AGE) {
            self.forget_oldest();
        }

        let key = Key {
            identification: fragment.identification,
            source: datagram.source,
            destination: datagram.destination,
            protocol: datagram.source.is_ipv4().then_some(datagram.protocol),
        };
        let found = self.waiting.iter().rposition(|incomplete| incomplete.key == Some(key));
        // A capture of several interfaces holds each fragment twice, the last copy too late.
        let copy = || self.whole.key == Some(key) && self.whole.bytes.get(place.clone()) == Some(piece);
        if found.is_none() && fragment.offset > 0 && copy() {
            return Ok(None);
        }
        let index = found.unwrap_or_else(|| self.begin(key, time));
        let Some(incomplete) = self.waiting.get_mut(index) else {
            return Ok(None);
        };
        if incomplete.given_up {
            return Ok(None);
        }
        if fragment.offset == 0 {
            incomplete.protocol = datagram.protocol;
        }
        let before = incomplete.bytes.len();
        let accepted = incomplete.insert(place, piece, fragment.more);
        self.held += incomplete.bytes.len() - before;
        if !accepted {
            self.held -= incomplete.bytes.len();
            incomplete.give_up();
            self.metrics.losses.fragments_expired.add(1);
        } else if incomplete.is_whole()
            && let Some(whole) = self.waiting.remove(index)
        {
            self.held -= whole.bytes.len();
            let last = mem::replace(&mut self.whole, whole);
            self.recycle(last);
            return Ok(Some((self.whole.protocol, &self.whole.bytes)));
        }
        while self.held > self.metrics.memory.fragments.bound() {
            self.forget_oldest();
        }
        self.metrics.memory.fragments.set(self.held);
        Ok(None)
    }

    /// Gives up everything.
    pub(super) fn finish(&mut self) {
        while !self.waiting.is_empty() {
            self.forget_oldest();
        }
    }

    fn begin(&mut self, key: Key, time: u64) -> usize {
        if self.waiting.len() >= DATAGRAMS {
            self.forget_oldest();
        }
        let fresh = self.spare.pop().unwrap_or_default();
        self.waiting.push_back(Incomplete { key: Some(key), time, ..fresh });
        self.waiting.len() - 1
    }

    fn forget_oldest(&mut self) {
        if let Some(oldest) = self.waiting.pop_front() {
            if !oldest.given_up {
                self.metrics.losses.fragments_expired.add(1);
            }
            self.held -= oldest.bytes.len();
            self.recycle(oldest);
        }
    }

    fn recycle(&mut self, mut used: Incomplete) {
        if self.spare.len() < SPARE {
            used.bytes.clear();
            used.stretches.clear();
            self.spare.push(Incomplete { bytes: used.bytes, stretches: used.stretches, ..Incomplete::default() });
        }
    }
}

impl Incomplete {
    /// `false`: the fragment contradicts what is there.
    fn insert(&mut self, place: Range<usize>, piece: &[u8], more: bool) -> bool {
        let reaches = self.stretches.last().map_or(0, |last| last.end);
        if !more {
            if self.total.is_some_and(|total| total != place.end) || place.end < reaches {
                return false;
            }
            self.total = Some(place.end);
        }
        if self.total.is_some_and(|total| place.end > total) {
            return false;
        }
        let next = self.stretches.partition_point(|stretch| stretch.start < place.start);
        let (left, right) = self.stretches.split_at(next);
        let (left, right) = (left.last(), right.first());
        let inside = |stretch: Option<&Range<usize>>| {
            stretch.is_some_and(|stretch| stretch.start <= place.start && place.end <= stretch.end)
        };
        if inside(left) || inside(right) {
            return self.bytes.get(place).is_some_and(|there| there == piece);
        }
        if left.is_some_and(|left| left.end > place.start) || right.is_some_and(|right| right.start < place.end) {
            return false;
        }
        let (joins_left, joins_right) =
            (left.is_some_and(|left| left.end == place.start), right.is_some_and(|right| right.start == place.end));

        if self.bytes.len() < place.end {
            self.bytes.resize(place.end, 0);
        }
        if let Some(room) = self.bytes.get_mut(place.clone()) {
            room.copy_from_slice(piece);
        }
        let from = if joins_left { next - 1 } else { next };
        let to = if joins_right { next + 1 } else { next };
        let stretch = Range {
            start: self.stretches.get(from).map_or(place.start, |first| first.start.min(place.start)),
            end: if joins_right { self.stretches.get(next).map_or(place.end, |last| last.end) } else { place.end },
        };
        self.stretches.splice(from..to, [stretch]);
        self.stretches.len() <= STRETCHES
    }

    fn is_whole(&self) -> bool {
        matches!((self.stretches.as_slice(), self.total), ([only], Some(total)) if *only == (0..total))
    }

    fn give_up(&mut self) {
        self.given_up = true;
        self.bytes = Vec::new();
        self.stretches = Vec::new();
    }
}

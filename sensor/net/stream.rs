//! The TCP bytes of each flow direction in order, given to its [`Framing`], in bounded memory.
//!
//! When bytes are sent twice with different content, those handed out first count. Among segments
//! that wait behind a gap, the one that begins at the lower sequence number counts.

use std::sync::Arc;

use super::Tcp;
use super::flow::Flow;
use super::framing::{Framing, Mark, Verdict};
use super::table::{FlowKey, Table};
use crate::metrics::Metrics;

/// Flow directions at a time; the one not heard of for longest goes first. A busy resolver holds
/// some thousands of connections open.
const FLOWS: usize = 16_384;

/// Every flow that DNS messages are awaited from.
#[derive(Debug)]
pub struct Streams<F, M = ()> {
    flows: Table<Flow<F, M>>,
    /// Sum of what the flows hold.
    held: usize,
    /// Flows in which segments wait behind a gap.
    gaps: usize,
    metrics: Arc<Metrics>,
}

impl<F: Framing, M: Mark> Streams<F, M> {
    /// Bytes of a flow in the table, and of the entry that leads to it.
    const SLOT: usize = size_of::<Flow<F, M>>() + 4 * size_of::<FlowKey>();

    #[must_use]
    pub fn new(metrics: Arc<Metrics>) -> Self {
        Self { flows: Table::default(), held: 0, gaps: 0, metrics }
    }

    /// Bytes held for all flows.
    #[must_use]
    pub fn held(&self) -> usize {
        self.held
    }

    /// Takes one segment, whose bytes have `mark`; `time` is that of its packet in nanoseconds. `message` gets each
    /// message that it completes, without the length prefix: borrowed from `segment` where it stands there
    /// whole and in order; and the joined marks of its bytes.
    pub fn push(
        &mut self,
        key: &FlowKey,
        time: u64,
        (segment, mark): (&Tcp<'_>, M),
        mut message: impl FnMut(&[u8], M),
    ) -> Verdict {
        if segment.bytes.is_empty() && !(segment.syn || segment.fin || segment.rst) {
            return Verdict::Expected;
        }
        let index = match self.flows.find(key) {
            Some(index) => index,
            None if segment.bytes.is_empty() && !segment.syn => return Verdict::Expected,
            None => {
                self.make_space(time);
                let index = self.flows.insert(*key);
                let flow = self.flows.value_mut(index);
                flow.reset(segment);
                let held = flow.held();
                self.hold(held + Self::SLOT, 0);
                index
            }
        };
        self.flows.touch(index);
        let flow = self.flows.value_mut(index);
        let (held, gap) = (flow.held(), flow.has_gap());
        let (lost, verdict) = flow.push_marked(time, (segment, mark), &mut message);
        let held_now = flow.held();
        self.gaps = self.gaps + usize::from(flow.has_gap()) - usize::from(gap);
        self.hold(held_now, held);
        if lost > 0 {
            self.metrics.losses.stream_bytes.add(lost);
        }
        while self.is_full() && self.flows.oldest().is_some_and(|oldest| oldest != index) {
            self.forget_oldest(time);
        }
        verdict
    }

    /// Hands out the bytes that wait behind gaps which will not be filled any more. The caller does this
    /// about every second; it costs nothing while no flow has a gap.
    pub fn expire(&mut self, time: u64, mut message: impl FnMut(&FlowKey, &[u8])) {
        if self.gaps > 0 {
            self.give_up_gaps(|flow, each| flow.expire(time, each), &mut message);
        }
    }

    /// Hands out what waits behind any gap, and counts what is left: the packets have come to
    /// their end.
    pub fn finish(&mut self, mut message: impl FnMut(&FlowKey, &[u8])) {
        self.give_up_gaps(Flow::finish, &mut message);
    }

    fn give_up_gaps(
        &mut self,
        give_up: impl Fn(&mut Flow<F, M>, &mut dyn FnMut(&[u8])) -> u64,
        message: &mut impl FnMut(&FlowKey, &[u8]),
    ) {
        let (mut lost, mut held, mut gaps) = (0, 0, 0);
        self.flows.each(|key, flow| {
            lost += give_up(flow, &mut |bytes| message(key, bytes));
            held += Self::SLOT + flow.held();
            gaps += usize::from(flow.has_gap());
        });
        self.gaps = gaps;
        self.hold(held, self.held);
        self.metrics.losses.stream_bytes.add(lost);
    }

    fn make_space(&mut self, time: u64) {
        while let Some(oldest) = self.flows.oldest() {
            if self.flows.len() < FLOWS && !self.flows.value_mut(oldest).is_stale(time) {
                break;
            }
            self.forget_oldest(time);
        }
    }

    fn forget_oldest(&mut self, time: u64) {
        let Some(flow) = self.flows.remove_oldest() else {
            return;
        };
        let held = Self::SLOT + flow.held();
        self.gaps -= usize::from(flow.has_gap());
        if !flow.is_stale(time) {
            self.metrics.losses.stream_evicted.add(1);
            self.metrics.losses.stream_bytes.add(flow.unread());
        }
        flow.clear();
        self.hold(0, held);
    }

    /// Replaces `before` bytes that are held by `now`. All kinds share one bound.
    fn hold(&mut self, now: usize, before: usize) {
        self.held = self.held + now - before;
        let streams = &self.metrics.memory.streams;
        streams.set(streams.bytes() + now - before);
    }

    fn is_full(&self) -> bool {
        let streams = &self.metrics.memory.streams;
        streams.bytes() > streams.bound()
    }
}

//! Reads the kernel's ring: records out, one after the other, and sleep when there are none.

use std::cell::Cell;
use std::os::fd::{AsFd, BorrowedFd};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use libbpf_rs::{AsRawLibbpf, MapCore, RingBuffer, RingBufferBuilder, libbpf_sys};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::time::{ClockId, clock_gettime};

use crate::event::{self, Clock, Event};
use crate::metrics::Metrics;

/// Records taken at once before signals and timers are looked at again.
const BATCH: usize = 4096;
/// While there is traffic the ring is drained this often, and no record costs a wake-up. The
/// ring holds far more than what a host sends and receives in that time.
const NAP: Duration = Duration::from_millis(10);
/// Longest sleep when nothing happens: what waits for a time-out is looked at this often.
const IDLE: Duration = Duration::from_millis(250);

/// The ring, and who gets its records.
#[allow(clippy::struct_field_names, reason = "libbpf's ring is the ring")]
pub struct Ring {
    ring: RingBuffer<'static>,
    clock: Rc<Cell<Clock>>,
    idle: &'static AtomicU32,
    /// Records were found by the last `drain`.
    busy: bool,
    /// Most bytes that waited since [`Ring::take_fill`].
    fill: u64,
}

impl Ring {
    /// `idle` is the kernel side's `reader_idle`.
    pub(super) fn new(
        map: &dyn MapCore,
        idle: &'static AtomicU32,
        metrics: Arc<Metrics>,
        mut handle: impl FnMut(&Event<'_>) + 'static,
    ) -> libbpf_rs::Result<Self> {
        let clock = Rc::new(Cell::new(read_clock(None)));
        let at = Rc::clone(&clock);
        let mut builder = RingBufferBuilder::new();
        builder.add(map, move |record| {
            match event::decode(record, at.get()) {
                Ok(event) => handle(&event),
                Err(_) => metrics.losses.record_invalid.add(1),
            }
            0
        })?;
        Ok(Self { ring: builder.build()?, clock, idle, busy: false, fill: 0 })
    }

    /// Hands out what the ring holds, a bounded number of records. True: there may be more.
    pub fn drain(&mut self) -> bool {
        self.clock.set(read_clock(Some(self.clock.get())));
        self.fill = self.fill.max(self.waiting());
        let count = self.ring.consume_raw_n(BATCH);
        self.busy = count > 0;
        usize::try_from(count).is_ok_and(|count| count >= BATCH)
    }

    /// Most bytes that waited when they were drained, since this was last asked.
    pub fn take_fill(&mut self) -> u64 {
        std::mem::take(&mut self.fill)
    }

    fn waiting(&self) -> u64 {
        // SAFETY: the ring lives as long as `self.ring`, which has one; both positions are read atomically.
        unsafe {
            let ring = libbpf_sys::ring_buffer__ring(self.ring.as_libbpf_object().as_ptr(), 0);
            if ring.is_null() { 0 } else { libbpf_sys::ring__avail_data_size(ring) as u64 }
        }
    }

    /// Sleeps until there may be records, one of `others` is readable, or a tick is due; no longer
    /// than `most`.
    pub fn wait(&mut self, others: &[BorrowedFd<'_>], most: Option<Duration>) {
        let mut fds: Vec<PollFd> = others.iter().map(|fd| PollFd::new(*fd, PollFlags::POLLIN)).collect();
        let mut sleep = NAP;
        // SAFETY: the ring's descriptor lives as long as `self.ring`.
        let ring = unsafe { BorrowedFd::borrow_raw(self.ring.epoll_fd()) };
        if !self.busy {
            // poll sees records that came before this is set, so none is slept over.
            self.idle.store(1, Ordering::SeqCst);
            sleep = IDLE;
            fds.push(PollFd::new(ring.as_fd(), PollFlags::POLLIN));
        }
        // Interrupted or not: the caller looks at everything again.
        let _ = poll(
            &mut fds,
            PollTimeout::try_from(most.map_or(sleep, |most| most.min(sleep))).unwrap_or(PollTimeout::ZERO),
        );
        self.idle.store(0, Ordering::SeqCst);
    }
}

/// Where monotonic time stands in the time of day. That changes only when the clock is set: what agrees with
/// this reading of both, however long it was interrupted, is still true.
fn read_clock(before: Option<Clock>) -> Clock {
    let time = |id| clock_gettime(id).map_or(Duration::ZERO, Duration::from).as_nanos();
    let [begin, now, end] = [ClockId::CLOCK_MONOTONIC, ClockId::CLOCK_REALTIME, ClockId::CLOCK_MONOTONIC].map(time);
    let epoch = |monotonic: u128| u64::try_from(now.saturating_sub(monotonic)).unwrap_or(u64::MAX);
    let (least, most) = (epoch(end), epoch(begin));
    match before {
        Some(clock) if (least..=most).contains(&clock.epoch) => clock,
        _ => Clock { epoch: least + (most - least) / 2 },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_stays_until_it_is_set() {
        let clock = read_clock(None);
        let mut read = clock;
        for _ in 0..1000 {
            read = read_clock(Some(read));
        }
        assert!(read.epoch.abs_diff(clock.epoch) < 1_000_000, "{} is not {}", read.epoch, clock.epoch);
        let set = Clock { epoch: clock.epoch - 3_600_000_000_000 };
        assert!(read_clock(Some(set)).epoch.abs_diff(clock.epoch) < 1_000_000_000);
    }
}

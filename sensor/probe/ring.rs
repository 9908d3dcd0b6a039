//! Reads the kernel's ring (kernel/bpf/ringbuf.c): records out, one after the other, and sleep when there
//! are none.

use std::num::NonZeroUsize;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use nix::libc::c_void;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::mman::{MapFlags, ProtFlags, mmap, munmap};
use nix::time::{ClockId, clock_gettime};
use nix::unistd::{SysconfVar, sysconf};

use crate::event::Clock;

/// Records taken at once before signals and timers are looked at again.
const BATCH: usize = 4096;
/// While there is traffic the ring is drained this often, and no record costs a wake-up. The
/// ring holds far more than what a host sends and receives in that time.
const NAP: Duration = Duration::from_millis(10);
/// Longest sleep when nothing happens: queries that wait for their timeout are looked at this often.
const IDLE: Duration = Duration::from_millis(250);

/// Flags of a record's first word (`BPF_RINGBUF_BUSY_BIT`, `BPF_RINGBUF_DISCARD_BIT`): being written, void.
const BUSY: u32 = 1 << 31;
const VOID: u32 = 1 << 30;
/// Bytes before each record (`BPF_RINGBUF_HDR_SZ`).
const HEADER: u64 = 8;

/// The ring, mapped as the kernel lays it out.
pub struct Ring {
    map: OwnedFd,
    /// One page that the reader writes: up to where records were given back.
    consumer: Mapping,
    /// One page that the kernel writes, up to where records were reserved; then the records, twice in a row,
    /// so that none is split at the end.
    producer: Mapping,
    page: usize,
    /// Bytes of records: a power of two.
    size: u64,
    /// The kernel side's `reader_idle`, mapped as long as the probes are held.
    idle: NonNull<AtomicU32>,
    clock: Clock,
    /// Records were found by the last `drain`.
    busy: bool,
    /// None of those that were there at its begin is left.
    is_drained: bool,
    /// Most bytes that waited since [`Ring::take_fill`].
    fill: u64,
}

impl Ring {
    /// `size`: bytes of the map. `idle` is the kernel side's `reader_idle`.
    pub(super) fn new(map: OwnedFd, size: u32, idle: NonNull<AtomicU32>) -> nix::Result<Self> {
        let page = page_size();
        let consumer = Mapping::new(&map, 0, page, ProtFlags::PROT_READ | ProtFlags::PROT_WRITE)?;
        let producer = Mapping::new(&map, page, page + 2 * size as usize, ProtFlags::PROT_READ)?;
        let (clock, size) = (read_clock(None), size.into());
        Ok(Self { map, consumer, producer, page, size, idle, clock, busy: false, is_drained: false, fill: 0 })
    }

    /// Hands out what the ring holds, a bounded number of records, each until `handle` returns. True: there
    /// may be more.
    pub(super) fn drain(&mut self, handle: &mut impl FnMut(&[u8], Clock)) -> bool {
        let mut at = self.consumed();
        let end = Self::position(&self.producer).load(Ordering::Acquire);
        self.fill = self.fill.max(end.wrapping_sub(at));
        let mut count = 0;
        while at != end && count < BATCH {
            let Some((record, next)) = self.record(at) else { break };
            if let Some(record) = record {
                handle(record, self.clock);
                count += 1;
            }
            at = next;
            Self::position(&self.consumer).store(at, Ordering::Release);
        }
        self.busy = count > 0;
        self.is_drained = at == end;
        count == BATCH
    }

    /// Whether the last `drain` handed out all that the ring held when it began.
    pub(super) fn is_drained(&self) -> bool {
        self.is_drained
    }

    /// Reads how the kernel's time stands in the time of day.
    pub(super) fn read_clock(&mut self) {
        self.clock = read_clock(Some(self.clock));
    }

    pub(super) fn clock(&self) -> Clock {
        self.clock
    }

    /// Most bytes that waited when they were drained, since this was last asked.
    pub fn take_fill(&mut self) -> u64 {
        std::mem::take(&mut self.fill)
    }

    /// Sleeps until there may be records, one of `others` is readable, or a tick is due; no longer
    /// than `most`.
    pub fn wait(&mut self, others: &[BorrowedFd<'_>], most: Option<Duration>) {
        let mut fds: Vec<PollFd> = others.iter().map(|fd| PollFd::new(*fd, PollFlags::POLLIN)).collect();
        let mut sleep = NAP;
        if !self.busy {
            // poll sees records that came before this is set, so none is slept over.
            self.idle().store(1, Ordering::SeqCst);
            sleep = IDLE;
            fds.push(PollFd::new(self.map.as_fd(), PollFlags::POLLIN));
        }
        // Interrupted or not: the caller looks at everything again.
        let _ = poll(
            &mut fds,
            PollTimeout::try_from(most.map_or(sleep, |most| most.min(sleep))).unwrap_or(PollTimeout::ZERO),
        );
        self.idle().store(0, Ordering::SeqCst);
    }

    fn idle(&self) -> &AtomicU32 {
        // SAFETY: the owner of the ring keeps the flag mapped beside the ring.
        unsafe { self.idle.as_ref() }
    }

    fn consumed(&self) -> u64 {
        Self::position(&self.consumer).load(Ordering::Acquire)
    }

    fn position(page: &Mapping) -> &AtomicU64 {
        // SAFETY: each page begins with a position (unsigned long), aligned, which both sides access atomically.
        unsafe { page.start.cast::<AtomicU64>().as_ref() }
    }

    /// The record at a position below the producer's, and the position behind it. Outer `None`: it is still
    /// being written; inner `None`: it was given up.
    #[allow(clippy::option_option, reason = "both are states of one record")]
    #[allow(clippy::cast_possible_truncation, reason = "lengths of a mapping, on a kernel of 64 bits")]
    fn record(&self, at: u64) -> Option<(Option<&[u8]>, u64)> {
        // Below `size`, which is the length of a mapping.
        let offset = self.page + (at & (self.size - 1)) as usize;
        // SAFETY: a header of 8 bytes stands at each multiple of 8 up to the producer's position.
        let length = unsafe { self.producer.start.byte_add(offset).cast::<AtomicU32>().as_ref() };
        let length = length.load(Ordering::Acquire);
        if length & BUSY != 0 {
            return None;
        }
        let bytes = u64::from(length & !VOID);
        let next = at + (bytes + HEADER).next_multiple_of(8);
        debug_assert!(bytes + HEADER <= self.size, "a record of {bytes} bytes does not fit the ring");
        if length & VOID != 0 || bytes + HEADER > self.size {
            return Some((None, next));
        }
        // SAFETY: the kernel has finished these bytes and leaves them until the consumer's position is behind
        // them; they lie within the mapping, whose second half repeats the first.
        let record = unsafe {
            std::slice::from_raw_parts(
                self.producer.start.byte_add(offset + HEADER as usize).cast::<u8>().as_ptr(),
                bytes as usize,
            )
        };
        Some((Some(record), next))
    }
}

pub(super) fn page_size() -> usize {
    let page = sysconf(SysconfVar::PAGE_SIZE).ok().flatten();
    page.and_then(|page| usize::try_from(page).ok()).unwrap_or(4096)
}

/// Memory that is shared with the kernel.
pub(super) struct Mapping {
    pub(super) start: NonNull<c_void>,
    length: usize,
}

impl Mapping {
    pub(super) fn new(map: &OwnedFd, offset: usize, length: usize, protection: ProtFlags) -> nix::Result<Self> {
        let size = NonZeroUsize::new(length).ok_or(nix::errno::Errno::EINVAL)?;
        // SAFETY: a new mapping at an address of the kernel's choice.
        let start = unsafe { mmap(None, size, protection, MapFlags::MAP_SHARED, map, offset.cast_signed() as i64)? };
        Ok(Self { start, length })
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: mapped by `new`, and no reference into it outlives `self`.
        let _ = unsafe { munmap(self.start, self.length) };
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

/// As the kernel side reads it (CLOCK_MONOTONIC), in nanoseconds.
pub(super) fn monotonic() -> u64 {
    let time = clock_gettime(ClockId::CLOCK_MONOTONIC).map_or(Duration::ZERO, Duration::from);
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
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

//! The boot clock in time of day.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

/// Turns `CLOCK_BOOTTIME`, in which the kernel keeps when a process began, into time of day. All copies share
/// one reading, so what was kept before the time of day was set is converted anew.
#[derive(Debug, Clone, Default)]
pub struct BootClock(Rc<Cell<u64>>);

impl BootClock {
    /// `epoch`: nanoseconds from the Unix epoch to the zero of the boot clock.
    #[must_use]
    pub fn new(epoch: u64) -> Self {
        Self(Rc::new(Cell::new(epoch)))
    }

    /// The clock of this host, as it stands now.
    #[must_use]
    pub fn read() -> Self {
        let clock = Self::new(0);
        clock.renew();
        clock
    }

    /// Reads the time of day anew. The two clocks move against each other only when the time of day is set: while
    /// the old offset lies within this reading, however long that was interrupted, it is still true.
    pub fn renew(&self) {
        let time = |id| clock_gettime(id).map_or(Duration::ZERO, Duration::from).as_nanos();
        let [begin, now, end] = [ClockId::CLOCK_BOOTTIME, ClockId::CLOCK_REALTIME, ClockId::CLOCK_BOOTTIME].map(time);
        let epoch = |boot: u128| u64::try_from(now.saturating_sub(boot)).unwrap_or(u64::MAX);
        let (least, most) = (epoch(end), epoch(begin));
        if !(least..=most).contains(&self.0.get()) {
            self.0.set(least + (most - least) / 2);
        }
    }

    #[cfg(test)]
    pub(crate) fn set(&self, epoch: u64) {
        self.0.set(epoch);
    }

    /// A time of the boot clock in nanoseconds since the Unix epoch.
    #[must_use]
    pub fn at(&self, boot: u64) -> u64 {
        self.0.get().saturating_add(boot)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_of_day_is_read_anew_after_it_was_set() {
        let clock = BootClock::read();
        let kept = clock.clone();
        let before = kept.at(1_000);
        for _ in 0..1_000 {
            clock.renew();
        }
        assert!(kept.at(1_000).abs_diff(before) < 1_000_000, "nothing was set");
        // The sensor began an hour before the time of day was corrected.
        let clock = BootClock::new(before - 1_000 - 3_600_000_000_000);
        let kept = clock.clone();
        clock.renew();
        assert!(kept.at(1_000).abs_diff(before) < 1_000_000_000);
    }
}

//! Signals as descriptors: SIGINT and SIGTERM end the run; SIGHUP reads the rules and opens the files anew.

use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};

use crate::sink::Stopping;

/// The signals of a run. They are blocked before the first thread starts, so that every thread leaves them to
/// the descriptors.
pub struct Signals {
    end: Arc<SignalFd>,
    renew: SignalFd,
}

impl Signals {
    /// # Errors
    /// The process has no descriptors left.
    pub fn block() -> nix::Result<Self> {
        let descriptor = |signals: &[Signal]| {
            let set = signals.iter().copied().collect::<SigSet>();
            set.thread_block()?;
            SignalFd::with_flags(&set, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)
        };
        Ok(Self {
            end: Arc::new(descriptor(&[Signal::SIGINT, Signal::SIGTERM])?),
            renew: descriptor(&[Signal::SIGHUP])?,
        })
    }

    /// Descriptors that are readable once a signal came.
    pub fn descriptors(&self) -> [BorrowedFd<'_>; 2] {
        [self.end.as_fd(), self.renew.as_fd()]
    }

    /// Whether a signal that ends the run came. The signal stays pending.
    pub fn is_ending(&self) -> bool {
        is_readable(self.end.as_fd())
    }

    /// Takes SIGHUP; whether it came.
    pub fn take_renewal(&self) -> bool {
        matches!(self.renew.read_signal(), Ok(Some(_)))
    }

    /// Whether a signal that ends the run came, as a question that outputs ask while they wait for a reader.
    pub fn stopping(&self) -> Stopping {
        let end = Arc::clone(&self.end);
        Arc::new(move || is_readable(end.as_fd()))
    }
}

fn is_readable(descriptor: BorrowedFd<'_>) -> bool {
    poll(&mut [PollFd::new(descriptor, PollFlags::POLLIN)], PollTimeout::ZERO).is_ok_and(|ready| ready > 0)
}

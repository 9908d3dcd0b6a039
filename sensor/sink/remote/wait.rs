//! Waiting for a descriptor that takes bytes.

use std::io;
use std::os::fd::AsFd;
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

/// The outcome of waiting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::sink) enum Ready {
    Writable,
    NotYet,
    /// The last reader has gone.
    Broken,
}

/// Waits until a descriptor takes bytes, its peer has gone, or the time is over.
pub(in crate::sink) fn wait_writable(descriptor: impl AsFd, limit: Duration) -> io::Result<Ready> {
    let mut entry = [PollFd::new(descriptor.as_fd(), PollFlags::POLLOUT)];
    match poll(&mut entry, PollTimeout::try_from(limit).unwrap_or(PollTimeout::MAX)) {
        Ok(_) | Err(Errno::EINTR) => {}
        Err(error) => return Err(error.into()),
    }
    let seen = entry[0].revents().unwrap_or(PollFlags::empty());
    Ok(if seen.intersects(PollFlags::POLLERR | PollFlags::POLLNVAL | PollFlags::POLLHUP) {
        Ready::Broken
    } else if seen.contains(PollFlags::POLLOUT) {
        Ready::Writable
    } else {
        Ready::NotYet
    })
}

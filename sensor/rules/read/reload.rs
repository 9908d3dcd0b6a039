//! Reads the lists again on a thread of its own, so that the loop goes on matching with the set in
//! force until the new one is complete. When to do so is left to `watch` and to the loop, which gets SIGHUP.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::super::set::Rules;
use super::load::{Load, load};

/// A load under way. Its descriptor becomes readable when it is done.
#[derive(Debug)]
pub struct Reload {
    done: UnixStream,
    thread: JoinHandle<Load>,
}

impl Reload {
    /// Begins to read the lists that the paths name. Those that cannot be used keep their entries of
    /// `previous`.
    ///
    /// # Errors
    /// The system gives no thread or no descriptor; the set in force stays.
    pub fn start(paths: Vec<PathBuf>, previous: impl Into<Option<Arc<Rules>>>) -> io::Result<Self> {
        let previous = previous.into();
        let (done, end) = UnixStream::pair()?;
        let thread = thread::Builder::new().name("rules".into()).spawn(move || {
            // Closed with the thread, however that ends: the other end reads end-of-file.
            let _end = end;
            load(&paths, previous.as_deref())
        })?;
        Ok(Self { done, thread })
    }

    /// Whether [`Reload::finish`] will not wait.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.thread.is_finished()
    }

    /// Waits until it is finished, but no longer than this.
    pub fn wait(&self, longest: Duration) {
        let longest = PollTimeout::try_from(longest).unwrap_or(PollTimeout::MAX);
        // An interrupted wait is a short one.
        let _ = poll(&mut [PollFd::new(self.done.as_fd(), PollFlags::POLLIN)], longest);
    }

    /// The new set, once it is there. `None` if the thread died: the set in force stays.
    #[must_use]
    pub fn finish(self) -> Option<Load> {
        self.thread.join().ok()
    }
}

impl AsFd for Reload {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.done.as_fd()
    }
}

//! The watcher of the lists on a thread of its own: it looks at files, and a file system that does not answer must
//! not hold up the loop.

use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::stamp::Watched;
use super::watch::Watcher;

/// The loop's end. Becomes readable when lists have changed.
#[derive(Debug)]
pub struct Lookout {
    thread: UnixStream,
    loads: Sender<Vec<Watched>>,
}

impl Lookout {
    /// Watches what a load has read.
    ///
    /// # Errors
    /// The kernel gives no inotify instance (`fs.inotify.max_user_instances`), no descriptor or no thread.
    pub fn start(watched: Vec<Watched>) -> io::Result<Self> {
        let watcher = Watcher::idle()?;
        let (of_loop, of_thread) = UnixStream::pair()?;
        of_loop.set_nonblocking(true)?;
        of_thread.set_nonblocking(true)?;
        let (loads, next) = channel();
        thread::Builder::new().name("watch".into()).spawn(move || look_out(watcher, watched, of_thread, &next))?;
        Ok(Self { thread: of_loop, loads })
    }

    /// Watches what another load has read.
    pub fn renew(&mut self, watched: Vec<Watched>) {
        // A thread that died is not missed: SIGHUP still renews.
        let _ = self.loads.send(watched);
        let _ = self.thread.write(&[0]);
    }

    /// Whether lists have changed since the last call.
    pub fn take_change(&mut self) -> bool {
        let mut bytes = [0; 64];
        self.thread.read(&mut bytes).is_ok_and(|count| count > 0)
    }
}

impl AsFd for Lookout {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.thread.as_fd()
    }
}

fn look_out(mut watcher: Watcher, watched: Vec<Watched>, mut of_loop: UnixStream, next: &Receiver<Vec<Watched>>) {
    watcher.renew(watched, Instant::now());
    loop {
        let timeout = watcher.timeout(Instant::now());
        // A millisecond more: a sleep that ends before its time would be followed by another one.
        let timeout = timeout.map_or(PollTimeout::NONE, |timeout| {
            PollTimeout::try_from(timeout + Duration::from_millis(1)).unwrap_or(PollTimeout::MAX)
        });
        let mut fds =
            [PollFd::new(watcher.as_fd(), PollFlags::POLLIN), PollFd::new(of_loop.as_fd(), PollFlags::POLLIN)];
        if poll(&mut fds, timeout).is_err() {
            continue;
        }
        match of_loop.read(&mut [0; 64]) {
            // The loop is gone.
            Ok(0) => return,
            Ok(_) => {}
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {}
            Err(_) => return,
        }
        if let Some(watched) = next.try_iter().last() {
            watcher.renew(watched, Instant::now());
        }
        watcher.read(Instant::now());
        if watcher.is_due(Instant::now())
            && of_loop.write(&[0]).is_err_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
        {
            return;
        }
    }
}

//! A part as a process: forked before the first thread, ended with the process that asks.

use std::ffi::CString;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::prctl;
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::{ForkResult, Pid, fork, getpid, getppid, pipe2};

use super::Channel;

/// Descriptors of a part: its channel, and the pipe that is closed with it.
const CHANNEL: RawFd = 3;
const LIFE: RawFd = 4;

/// The end of the sensor waits this long for the end of a part, which may be stuck in a file system.
const PATIENCE: Duration = Duration::from_millis(500);

/// A part that runs.
#[derive(Debug)]
pub struct Part {
    pub name: &'static str,
    pid: Pid,
    channel: Arc<Channel>,
    /// Readable once the part has ended.
    life: OwnedFd,
}

impl Part {
    /// Starts `serve` in a process of its own, which ends with it, and with the process that starts it. No thread may
    /// run yet.
    ///
    /// # Errors
    /// The system gives no process or no descriptors.
    pub fn start(name: &'static str, serve: impl FnOnce(&Channel)) -> io::Result<Self> {
        let (asks, serves) = Channel::pair()?;
        let (life, held) = pipe2(nix::fcntl::OFlag::O_CLOEXEC)?;
        let parent = getpid();
        // SAFETY: no other thread runs, so the child may do anything that its parent may.
        match unsafe { fork()? } {
            ForkResult::Parent { child } => {
                drop((serves, held));
                Ok(Self { name, pid: child, channel: Arc::new(asks), life })
            }
            ForkResult::Child => {
                let served = settle(name, parent, [serves.as_fd(), held.as_fd()]).map(|channel| {
                    // Nothing may unwind into what the parent goes on with.
                    catch_unwind(AssertUnwindSafe(|| serve(&channel)))
                });
                std::process::exit(i32::from(!matches!(served, Ok(Ok(())))));
            }
        }
    }

    #[must_use]
    pub fn channel(&self) -> Arc<Channel> {
        Arc::clone(&self.channel)
    }

    #[must_use]
    pub fn pid(&self) -> u32 {
        self.pid.as_raw().unsigned_abs()
    }

    #[must_use]
    pub fn has_ended(&self) -> bool {
        let mut ends = [PollFd::new(self.life.as_fd(), PollFlags::POLLIN)];
        poll(&mut ends, PollTimeout::ZERO).is_ok_and(|ready| ready > 0)
    }
}

impl AsFd for Part {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.life.as_fd()
    }
}

impl Drop for Part {
    /// The part ends when its channel does.
    fn drop(&mut self) {
        let _ = nix::sys::socket::shutdown(self.channel.as_fd().as_raw_fd(), nix::sys::socket::Shutdown::Both);
        let end = Instant::now() + PATIENCE;
        while waitpid(self.pid, Some(WaitPidFlag::WNOHANG)).is_ok_and(|status| status.pid().is_none()) {
            if Instant::now() >= end {
                break;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

/// Leaves the child its own two descriptors and the standard ones, so that it neither holds nor asks other parts.
fn settle(name: &str, parent: Pid, [channel, life]: [BorrowedFd<'_>; 2]) -> nix::Result<Channel> {
    prctl::set_pdeathsig(Signal::SIGKILL)?;
    if getppid() != parent {
        return Err(nix::errno::Errno::ESRCH);
    }
    if let Ok(name) = CString::new(format!("dnstrail-{name}")) {
        prctl::set_name(&name)?;
    }
    let channel = nix::fcntl::fcntl(channel, nix::fcntl::FcntlArg::F_DUPFD_CLOEXEC(LIFE + 1))?;
    let life = nix::fcntl::fcntl(life, nix::fcntl::FcntlArg::F_DUPFD_CLOEXEC(LIFE + 1))?;
    // SAFETY: the process that forked goes on with its copies of what is closed here; nothing of it is used in
    // this one any more, which ends without dropping any of it.
    unsafe {
        for (from, to) in [(channel, CHANNEL), (life, LIFE)] {
            if libc::dup3(from, to, libc::O_CLOEXEC) < 0 {
                return Err(nix::errno::Errno::last());
            }
        }
        if libc::syscall(libc::SYS_close_range, LIFE + 1, u32::MAX, 0) < 0 {
            return Err(nix::errno::Errno::last());
        }
    }
    // SAFETY: it was made above, and nothing else owns it.
    Ok(Channel::of(unsafe { std::os::fd::FromRawFd::from_raw_fd(CHANNEL) }))
}

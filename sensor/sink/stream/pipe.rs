//! Descriptors that may keep a writer waiting (pipes, FIFOs, terminals, the socket that a service
//! manager gives as stdout), written without ever waiting inside a write.
//!
//! `O_NONBLOCK` belongs to the open file, which stdout shares with other processes (a shell would get
//! it too): a pipe or terminal is opened anew through `/proc`, a socket is told per call.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use nix::fcntl::{FcntlArg, fcntl};
use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{MsgFlags, send};

use crate::sink::remote::link::{Connector, Doubt, Lost, Message, Transport};

/// A pipe that says it is writable has room for so many bytes (POSIX `PIPE_BUF`).
const SURE_ROOM: usize = 4096;
/// What an ordinary pipe holds (pipe(7)), where it cannot be asked.
const PIPE_CAPACITY: u64 = 64 << 10;

#[derive(Debug)]
pub(crate) struct Pipe {
    file: File,
    way: Way,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// Regular file or the like: a write does not wait for a reader.
    Plain,
    /// Our own open file, with `O_NONBLOCK`.
    Own,
    Socket,
    /// Shared, and it could not be opened anew: a little at a time, after poll.
    Careful,
}

/// What became of waiting for a descriptor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ready {
    Writable,
    NotYet,
    /// The last reader has gone.
    Broken,
}

impl Pipe {
    pub fn stdout() -> io::Result<Self> {
        let shared = File::from(io::stdout().as_fd().try_clone_to_owned()?);
        let kind = shared.metadata()?.file_type();
        if kind.is_socket() {
            return Ok(Pipe { file: shared, way: Way::Socket });
        }
        let terminal = kind.is_char_device() && nix::unistd::isatty(&shared).unwrap_or(false);
        if !kind.is_fifo() && !terminal {
            return Ok(Pipe { file: shared, way: Way::Plain });
        }
        match open_without_waiting("/proc/self/fd/1".into()) {
            Ok(file) => Ok(Pipe { file, way: Way::Own }),
            Err(_) => Ok(Pipe { file: shared, way: Way::Careful }),
        }
    }

    /// Writes what fits; `WouldBlock` if nothing does.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.way {
            Way::Plain | Way::Own => self.file.write(bytes),
            Way::Socket => {
                use std::os::fd::AsRawFd;
                Ok(send(self.file.as_raw_fd(), bytes, MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL)?)
            }
            Way::Careful => match self.wait(Duration::ZERO)? {
                Ready::Writable => self.file.write(bytes.get(..SURE_ROOM).unwrap_or(bytes)),
                Ready::NotYet => Err(io::ErrorKind::WouldBlock.into()),
                Ready::Broken => Err(io::ErrorKind::BrokenPipe.into()),
            },
        }
    }

    pub fn wait(&self, limit: Duration) -> io::Result<Ready> {
        if self.way == Way::Plain {
            return Ok(Ready::Writable);
        }
        wait_writable(self.file.as_fd(), limit)
    }

    fn capacity(&self) -> u64 {
        fcntl(&self.file, FcntlArg::F_GETPIPE_SZ)
            .ok()
            .and_then(|size| u64::try_from(size).ok())
            .unwrap_or(PIPE_CAPACITY)
    }
}

/// Waits until a descriptor takes bytes, its peer has gone, or the time is over.
pub(crate) fn wait_writable(descriptor: impl AsFd, limit: Duration) -> io::Result<Ready> {
    let mut entry = [PollFd::new(descriptor.as_fd(), PollFlags::POLLOUT)];
    let limit = PollTimeout::try_from(limit).unwrap_or(PollTimeout::MAX);
    match poll(&mut entry, limit) {
        Ok(_) | Err(nix::errno::Errno::EINTR) => {}
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

/// Is stdout a regular file, or a device that takes everything?
pub(crate) fn stdout_never_waits() -> bool {
    Pipe::stdout().is_ok_and(|pipe| pipe.way == Way::Plain)
}

fn open_without_waiting(path: PathBuf) -> io::Result<File> {
    OpenOptions::new().write(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY).open(path)
}

/// A pipe as something to deliver lines to.
#[derive(Debug)]
pub(crate) enum PipeConnector {
    Stdout,
    /// stdout once its reader has gone: nobody else can come to read.
    Gone,
    Path(PathBuf),
}

impl Connector for PipeConnector {
    fn connect(&mut self, _deadline: Instant) -> io::Result<Box<dyn Transport>> {
        let pipe = match self {
            PipeConnector::Gone => return Err(io::Error::other("its reader has gone for good")),
            PipeConnector::Stdout => {
                *self = PipeConnector::Gone;
                Pipe::stdout()?
            }
            PipeConnector::Path(path) => {
                let file = open_without_waiting(path.clone()).map_err(|error| match error.raw_os_error() {
                    Some(libc::ENXIO) => io::Error::other("nothing reads from it"),
                    _ => error,
                })?;
                Pipe { file, way: Way::Own }
            }
        };
        Ok(Box::new(PipeTransport { pipe, written: 0 }))
    }

    fn frame(&mut self, message: &Message<'_>, _datagram: bool, frame: &mut Vec<u8>) {
        frame.extend_from_slice(message.line);
    }
}

struct PipeTransport {
    pipe: Pipe,
    written: u64,
}

impl Transport for PipeTransport {
    fn send(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = self.pipe.write(bytes)?;
        self.written += taken as u64;
        Ok(taken)
    }

    fn wait(&mut self, limit: Duration) -> io::Result<()> {
        match self.pipe.wait(limit)? {
            Ready::Broken => Err(io::ErrorKind::BrokenPipe.into()),
            Ready::Writable | Ready::NotYet => Ok(()),
        }
    }

    fn check(&mut self) -> io::Result<()> {
        self.wait(Duration::ZERO)
    }

    fn acknowledged(&mut self) -> u64 {
        self.written
    }

    /// What a pipe holds goes with its last reader.
    fn doubt(&mut self, _lost: Lost) -> Doubt {
        Doubt::Bytes(self.pipe.capacity())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    fn pipe(way: Way) -> (File, Pipe) {
        let (reader, writer) = nix::unistd::pipe().unwrap();
        let path = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&writer));
        let file = if way == Way::Own { open_without_waiting(path.into()).unwrap() } else { File::from(writer) };
        (File::from(reader), Pipe { file, way })
    }

    #[test]
    fn a_full_pipe_does_not_hold_the_writer() {
        for way in [Way::Own, Way::Careful] {
            let (mut reader, mut pipe) = pipe(way);
            let mut written = 0;
            let error = loop {
                match pipe.write(&[b'x'; 10_000]) {
                    Ok(some) => written += some,
                    Err(error) => break error,
                }
            };
            assert_eq!(error.kind(), io::ErrorKind::WouldBlock, "{way:?}");
            assert_eq!(pipe.wait(Duration::from_millis(1)).unwrap(), Ready::NotYet);
            let mut room = vec![0; written];
            reader.read_exact(&mut room).unwrap();
            assert_eq!(pipe.wait(Duration::from_millis(1)).unwrap(), Ready::Writable);
            drop(reader);
            assert_eq!(pipe.wait(Duration::from_millis(1)).unwrap(), Ready::Broken);
            assert_eq!(pipe.write(b"x").unwrap_err().kind(), io::ErrorKind::BrokenPipe);
        }
    }
}

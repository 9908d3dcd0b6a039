//! Descriptors that may keep a writer waiting (pipes, FIFOs, terminals, the socket that a service
//! manager gives as stdout), written without ever waiting inside a write.
//!
//! `O_NONBLOCK` belongs to the open file, which stdout shares with other processes (a shell would get it
//! too). A pipe or terminal is therefore opened anew through `/proc`, and a socket is asked for each call.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::fcntl::{FcntlArg, fcntl};
use nix::libc;
use nix::sys::socket::{MsgFlags, send};

use super::super::error::LinkError;
use super::super::open;
use super::super::remote::{Connector, Doubt, Link, Lost, Message, Ready, wait_writable};

/// A writable pipe takes this many bytes (POSIX `PIPE_BUF`).
const SURE_ROOM: usize = 4096;
/// The capacity of an ordinary pipe (pipe(7)), used where the kernel does not say.
const PIPE_CAPACITY: u64 = 64 << 10;

#[derive(Debug)]
pub(super) struct Pipe {
    file: File,
    way: Way,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// A regular file or the like: a write does not wait for a reader.
    Plain,
    /// An open file of our own, with `O_NONBLOCK`.
    Own,
    Socket,
    /// A shared file that cannot be opened anew: it is written a little at a time, after poll.
    Careful,
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
        match open::stream(Path::new("/proc/self/fd/1")) {
            Ok(file) => Ok(Pipe { file, way: Way::Own }),
            Err(_) => Ok(Pipe { file: shared, way: Way::Careful }),
        }
    }

    /// Writes as much as fits; `WouldBlock` if nothing does.
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

/// True where stdout is a regular file, or a device that takes everything.
pub(in crate::sink) fn stdout_never_waits() -> bool {
    Pipe::stdout().is_ok_and(|pipe| pipe.way == Way::Plain)
}

/// A pipe as a receiver.
#[derive(Debug)]
pub(in crate::sink) enum PipeConnector {
    Stdout,
    /// stdout once it was connected: after its reader has gone, no other can come.
    Gone,
    Path(PathBuf),
}

impl Connector for PipeConnector {
    fn connect(&mut self, _deadline: Instant) -> Result<Box<dyn Link>, LinkError> {
        let pipe = match self {
            PipeConnector::Gone => return Err(LinkError::ReaderGone),
            PipeConnector::Stdout => {
                *self = PipeConnector::Gone;
                Pipe::stdout()?
            }
            PipeConnector::Path(path) => {
                let file = open::stream(path).map_err(|error| match error.raw_os_error() {
                    Some(libc::ENXIO) => LinkError::NoReader,
                    _ => error.into(),
                })?;
                Pipe { file, way: Way::Own }
            }
        };
        Ok(Box::new(PipeLink { pipe, written: 0 }))
    }

    fn frame(&mut self, message: &Message<'_>, _datagram: bool, frame: &mut Vec<u8>) {
        frame.extend_from_slice(message.line);
    }
}

struct PipeLink {
    pipe: Pipe,
    written: u64,
}

impl Link for PipeLink {
    fn send(&mut self, bytes: &[u8]) -> Result<usize, LinkError> {
        let taken = self.pipe.write(bytes)?;
        self.written += taken as u64;
        Ok(taken)
    }

    fn wait(&mut self, limit: Duration) -> Result<(), LinkError> {
        match self.pipe.wait(limit)? {
            Ready::Broken => Err(io::Error::from(io::ErrorKind::BrokenPipe).into()),
            Ready::Writable | Ready::NotYet => Ok(()),
        }
    }

    fn check(&mut self) -> Result<(), LinkError> {
        self.wait(Duration::ZERO)
    }

    fn acknowledged(&mut self) -> u64 {
        self.written
    }

    /// The bytes inside a pipe go with its last reader.
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
        let file = if way == Way::Own { open::stream(Path::new(&path)).unwrap() } else { File::from(writer) };
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

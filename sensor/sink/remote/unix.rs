//! A syslog receiver on this host: a datagram socket, or a stream socket where there is one.

use std::fs;
use std::io::Write;
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::Path;
use std::time::Duration;

use nix::libc;

use super::super::error::LinkError;
use super::input::{discard_input, wait_for_space};
use super::link::{Doubt, Link, Lost};

/// Datagrams that wait in a local receiver's queue, where the system does not say.
const QUEUE: u64 = 512;
/// The most that a local stream holds beyond what its reader has taken: `net.core.wmem_default`, and half
/// as much again, for the last buffer is taken whole while any space is left (`unix_stream_sendmsg`).
const UNIX_STREAM: u64 = 212_992 + 212_992 / 2;

/// Connects to a local socket.
pub(super) fn unix(path: &Path) -> Result<Box<dyn Link>, LinkError> {
    let socket = UnixDatagram::unbound()?;
    match socket.connect(path) {
        Ok(()) => {
            socket.set_nonblocking(true)?;
            Ok(Box::new(Datagrams { socket, sent: 0 }))
        }
        Err(error) if error.raw_os_error() == Some(libc::EPROTOTYPE) => {
            let stream = UnixStream::connect(path)?;
            stream.set_nonblocking(true)?;
            Ok(Box::new(LocalStream { stream, sent: 0 }))
        }
        Err(error) => Err(error.into()),
    }
}

struct Datagrams {
    socket: UnixDatagram,
    sent: u64,
}

impl Link for Datagrams {
    fn send(&mut self, bytes: &[u8]) -> Result<usize, LinkError> {
        let taken = self.socket.send(bytes)?;
        self.sent += taken as u64;
        Ok(taken)
    }

    fn wait(&mut self, limit: Duration) -> Result<(), LinkError> {
        wait_for_space(&self.socket, limit)
    }

    fn check(&mut self) -> Result<(), LinkError> {
        Ok(())
    }

    fn acknowledged(&mut self) -> u64 {
        self.sent
    }

    /// The receiver's queue goes with the receiver.
    fn doubt(&mut self, _lost: Lost) -> Doubt {
        let queue = fs::read_to_string("/proc/sys/net/unix/max_dgram_qlen").ok();
        // The kernel lets one more in than the number says.
        Doubt::Lines(queue.and_then(|text| text.trim().parse::<u64>().ok()).unwrap_or(QUEUE) + 1)
    }

    fn is_datagram(&self) -> bool {
        true
    }
}

struct LocalStream {
    stream: UnixStream,
    sent: u64,
}

impl Link for LocalStream {
    fn send(&mut self, bytes: &[u8]) -> Result<usize, LinkError> {
        let taken = self.stream.write(bytes)?;
        self.sent += taken as u64;
        Ok(taken)
    }

    fn wait(&mut self, limit: Duration) -> Result<(), LinkError> {
        wait_for_space(&self.stream, limit)
    }

    fn check(&mut self) -> Result<(), LinkError> {
        discard_input(&mut self.stream)
    }

    fn acknowledged(&mut self) -> u64 {
        self.sent
    }

    /// A receiver that closes with unread bytes resets the connection; an orderly end has read them all. A
    /// send that comes first meets the end only, and the reset is still to be asked for.
    fn doubt(&mut self, lost: Lost) -> Doubt {
        let reset = self.stream.take_error().ok().flatten().is_some();
        if lost == Lost::Ended && !reset { Doubt::None } else { Doubt::Bytes(UNIX_STREAM) }
    }
}

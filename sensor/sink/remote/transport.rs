//! Plain connections to a syslog receiver: local sockets, UDP, TCP; and what each can say about bytes
//! that were sent but perhaps not read.

use std::fs;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs, UdpSocket};
use std::os::fd::AsFd;
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::Path;
use std::time::{Duration, Instant};

use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{GetSockOpt, setsockopt, sockopt};

use super::link::{Doubt, Lost, Transport};
use crate::sink::stream::pipe::{Ready, wait_writable};
use crate::sink::target::Address;

/// One address of a name is tried for so long, so that the next one has its turn.
const ATTEMPT: Duration = Duration::from_secs(4);
/// A peer that confirms nothing for so long is taken for dead; the system's default is a quarter of an hour.
const SILENCE: Duration = Duration::from_secs(30);
/// An idle connection is tried after so many seconds, so that a firewall does not forget it.
const KEEPALIVE_SECONDS: u32 = 30;
/// Datagrams that wait in a local receiver's queue, where the system does not say.
const QUEUE: u64 = 512;
/// What a local stream holds at most beyond what its reader has taken: `net.core.wmem_default`, and half
/// as much again, for the last buffer is taken whole while any room is left (`unix_stream_sendmsg`).
const UNIX_STREAM: u64 = 212_992 + 212_992 / 2;
/// A refusal by ICMP comes within that, or is not waited for.
const REFUSAL: Duration = Duration::from_secs(1);
/// What a syslog receiver says is not for us.
const IGNORED: usize = 4096;

pub(super) fn unix(path: &Path) -> io::Result<Box<dyn Transport>> {
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
        Err(error) => Err(error),
    }
}

struct Datagrams {
    socket: UnixDatagram,
    sent: u64,
}

impl Transport for Datagrams {
    fn send(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = self.socket.send(bytes)?;
        self.sent += taken as u64;
        Ok(taken)
    }

    fn wait(&mut self, limit: Duration) -> io::Result<()> {
        wait_for_room(&self.socket, limit)
    }

    fn check(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn acknowledged(&mut self) -> u64 {
        self.sent
    }

    /// The receiver's queue dies with it.
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

impl Transport for LocalStream {
    fn send(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = self.stream.write(bytes)?;
        self.sent += taken as u64;
        Ok(taken)
    }

    fn wait(&mut self, limit: Duration) -> io::Result<()> {
        wait_for_room(&self.stream, limit)
    }

    fn check(&mut self) -> io::Result<()> {
        ignore_what_comes(&mut self.stream)
    }

    fn acknowledged(&mut self) -> u64 {
        self.sent
    }

    /// A receiver that closes with unread bytes resets the connection; an orderly end has read them all.
    /// A send that comes first is told of the end only, and the reset is still to be asked for.
    fn doubt(&mut self, lost: Lost) -> Doubt {
        let reset = self.stream.take_error().ok().flatten().is_some();
        if lost == Lost::Ended && !reset { Doubt::None } else { Doubt::Bytes(UNIX_STREAM) }
    }
}

pub(super) fn udp(address: &Address, after_failure: bool) -> io::Result<Box<dyn Transport>> {
    let mut last = no_address(address);
    for peer in resolve(address)? {
        let any: SocketAddr = if peer.is_ipv4() { ([0, 0, 0, 0], 0).into() } else { ([0u16; 8], 0).into() };
        match UdpSocket::bind(any).and_then(|socket| socket.connect(peer).map(|()| socket)) {
            Ok(socket) => {
                socket.set_nonblocking(true)?;
                return Ok(Box::new(Udp { socket, sent: 0, trial: after_failure.then_some(Trial::Due), refused: 0 }));
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// UDP promises nothing. What the network says by ICMP is heard: a refused datagram is kept where it is
/// sure to be the last one, and counted as lost where it was an earlier one.
struct Udp {
    socket: UdpSocket,
    sent: u64,
    /// After a refusal a single datagram goes ahead.
    trial: Option<Trial>,
    refused: u64,
}

enum Trial {
    Due,
    Since(Instant),
}

impl Udp {
    fn refusal(&mut self, earlier: bool) -> io::Result<()> {
        match self.socket.take_error()? {
            Some(error) => {
                if earlier && self.trial.is_none() {
                    self.refused += 1;
                }
                Err(error)
            }
            None => Ok(()),
        }
    }
}

impl Transport for Udp {
    fn send(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if matches!(self.trial, Some(Trial::Since(_))) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let taken = self.socket.send(bytes)?;
        // On this host the refusal is there before send returns.
        self.refusal(false)?;
        self.sent += taken as u64;
        if self.trial.is_some() {
            self.trial = Some(Trial::Since(Instant::now()));
        }
        Ok(taken)
    }

    fn wait(&mut self, limit: Duration) -> io::Result<()> {
        if self.trial.is_some() {
            // Nothing but an error is waited for; `check` reads it.
            let mut entry = [PollFd::new(self.socket.as_fd(), PollFlags::empty())];
            let _ = poll(&mut entry, PollTimeout::try_from(limit).unwrap_or(PollTimeout::MAX));
            return Ok(());
        }
        wait_for_room(&self.socket, limit)
    }

    fn check(&mut self) -> io::Result<()> {
        self.refusal(true)?;
        if matches!(self.trial, Some(Trial::Since(since)) if since.elapsed() >= REFUSAL) {
            self.trial = None;
        }
        Ok(())
    }

    fn acknowledged(&mut self) -> u64 {
        if self.trial.is_some() { 0 } else { self.sent }
    }

    fn doubt(&mut self, _lost: Lost) -> Doubt {
        Doubt::Refused(self.refused)
    }

    fn is_datagram(&self) -> bool {
        true
    }

    fn is_proven(&self) -> bool {
        self.trial.is_none()
    }
}

pub(super) fn tcp(address: &Address, deadline: Instant) -> io::Result<Box<dyn Transport>> {
    Ok(Box::new(Tcp::connect(address, deadline)?))
}

pub(super) struct Tcp {
    stream: TcpStream,
    /// `tcpi_bytes_acked` before the first byte: the SYN may count.
    base: u64,
    confirmed: u64,
    /// The largest window that the peer has offered: about the size of its buffer.
    window: u64,
    has_window: bool,
}

impl Tcp {
    pub fn connect(address: &Address, deadline: Instant) -> io::Result<Self> {
        let mut last = no_address(address);
        for peer in resolve(address)? {
            let left = deadline.saturating_duration_since(Instant::now()).min(ATTEMPT);
            if left.is_zero() {
                return Err(io::ErrorKind::TimedOut.into());
            }
            match TcpStream::connect_timeout(&peer, left) {
                Ok(stream) => return Self::over(stream),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    fn over(stream: TcpStream) -> io::Result<Self> {
        stream.set_nonblocking(true)?;
        // Lines are sent in batches already.
        stream.set_nodelay(true)?;
        setsockopt(&stream, sockopt::KeepAlive, &true)?;
        setsockopt(&stream, sockopt::TcpKeepIdle, &KEEPALIVE_SECONDS)?;
        let silence = u32::try_from(SILENCE.as_millis()).unwrap_or(u32::MAX);
        setsockopt(&stream, sockopt::TcpUserTimeout, &silence)?;
        let base = bytes_acknowledged(&stream).unwrap_or_default();
        Ok(Tcp { stream, base, confirmed: 0, window: 0, has_window: kernel_tells_window() })
    }
}

impl Read for Tcp {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        self.stream.read(room)
    }
}

impl Write for Tcp {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl AsFd for Tcp {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

impl Transport for Tcp {
    fn send(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.write(bytes)
    }

    fn wait(&mut self, limit: Duration) -> io::Result<()> {
        wait_for_room(&self.stream, limit)
    }

    fn check(&mut self) -> io::Result<()> {
        ignore_what_comes(&mut self.stream)
    }

    fn acknowledged(&mut self) -> u64 {
        if let Some(bytes) = bytes_acknowledged(&self.stream) {
            self.confirmed = bytes.saturating_sub(self.base).max(self.confirmed);
        }
        if self.has_window {
            self.window = self.window.max(offered_window(&self.stream));
        }
        self.confirmed
    }

    /// A receiver that closes with unread bytes resets the connection (RFC 2525 section 2.17), so an
    /// orderly end has read what it confirmed. Else: what fits in its buffer, which grows while it is
    /// read (twice the window that was seen), or all of this connection where windows are not seen.
    fn doubt(&mut self, lost: Lost) -> Doubt {
        match lost {
            Lost::Ended => Doubt::None,
            Lost::Broken if self.has_window => Doubt::Bytes(self.window.saturating_mul(2)),
            Lost::Broken => Doubt::Bytes(u64::MAX),
        }
    }

    fn finish(&mut self) {
        let _ = self.stream.shutdown(std::net::Shutdown::Write);
    }
}

/// `struct tcp_info` (linux/tcp.h) up to `tcpi_bytes_acked`, which Linux 4.1 brought, or up to
/// `tcpi_snd_wnd` (5.4). The kernel fills what is asked for; fields never move.
const TO_BYTES_ACKED: usize = 128;
const TO_SEND_WINDOW: usize = 232;

#[derive(Debug, Clone, Copy)]
struct ShortInfo;
#[derive(Debug, Clone, Copy)]
struct LongInfo;

nix::getsockopt_impl!(
    ShortInfo,
    libc::IPPROTO_TCP,
    libc::TCP_INFO,
    [u8; TO_BYTES_ACKED],
    sockopt::GetStruct<[u8; TO_BYTES_ACKED]>
);
nix::getsockopt_impl!(
    LongInfo,
    libc::IPPROTO_TCP,
    libc::TCP_INFO,
    [u8; TO_SEND_WINDOW],
    sockopt::GetStruct<[u8; TO_SEND_WINDOW]>
);

fn bytes_acknowledged(stream: &TcpStream) -> Option<u64> {
    let info = ShortInfo.get(stream).ok()?;
    info.last_chunk::<8>().map(|bytes| u64::from_ne_bytes(*bytes))
}

fn offered_window(stream: &TcpStream) -> u64 {
    let window = LongInfo.get(stream).ok().and_then(|info| info.last_chunk::<4>().copied());
    window.map_or(0, |bytes| u64::from(u32::from_ne_bytes(bytes)))
}

/// Linux 5.4 and later.
fn kernel_tells_window() -> bool {
    let release = nix::sys::utsname::uname().map(|name| name.release().to_string_lossy().into_owned());
    let release = release.unwrap_or_default();
    let mut numbers =
        release.split(|letter: char| !letter.is_ascii_digit()).map(|part| part.parse::<u32>().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0)) >= (5, 4)
}

fn resolve(address: &Address) -> io::Result<impl Iterator<Item = SocketAddr>> {
    (address.host.as_str(), address.port)
        .to_socket_addrs()
        .map_err(|error| io::Error::other(format!("{} cannot be resolved: {error}", address.host)))
}

fn no_address(address: &Address) -> io::Error {
    io::Error::other(format!("{} has no address", address.host))
}

fn wait_for_room(descriptor: impl AsFd, limit: Duration) -> io::Result<()> {
    // A peer that has gone is met by the next send or check, with its own error.
    if wait_writable(descriptor, limit)? == Ready::Broken {
        std::thread::yield_now();
    }
    Ok(())
}

fn ignore_what_comes(stream: &mut impl Read) -> io::Result<()> {
    let mut room = [0; IGNORED];
    // At most once: a receiver that talks without end must not hold us.
    match stream.read(&mut room) {
        Ok(0) => Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the receiver closed the connection")),
        Ok(_) => Ok(()),
        Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => Ok(()),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::os::unix::net::UnixListener;

    use super::*;

    const LINE: &[u8] = b"a line that nobody reads\n";

    fn lost(error: &io::Error) -> Lost {
        if error.kind() == io::ErrorKind::BrokenPipe { Lost::Ended } else { Lost::Broken }
    }

    /// Sends until the loss shows, without a look at the connection in between.
    fn send_until_lost(transport: &mut dyn Transport) -> io::Error {
        loop {
            match transport.send(LINE) {
                Err(error) if error.kind() != io::ErrorKind::WouldBlock => return error,
                _ => {}
            }
        }
    }

    #[test]
    fn a_send_that_meets_the_end_first_still_learns_of_unread_lines() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        let listener = UnixListener::bind(&path).unwrap();
        for read_first in [false, true] {
            let mut local = unix(&path).unwrap();
            let (mut peer, _) = listener.accept().unwrap();
            local.send(LINE).unwrap();
            local.check().unwrap();
            if read_first {
                peer.read_exact(&mut [0; LINE.len()]).unwrap();
            }
            drop(peer);
            let error = send_until_lost(local.as_mut());
            let wanted = if read_first { Doubt::None } else { Doubt::Bytes(UNIX_STREAM) };
            assert_eq!(local.doubt(lost(&error)), wanted, "{error}");
        }
    }

    #[test]
    fn tcp_tells_a_reset_from_an_end() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = Address { host: "127.0.0.1".into(), port: listener.local_addr().unwrap().port() };
        for read_first in [false, true] {
            let mut tcp = tcp(&address, Instant::now() + ATTEMPT).unwrap();
            let (mut peer, _) = listener.accept().unwrap();
            tcp.send(LINE).unwrap();
            if read_first {
                peer.read_exact(&mut [0; LINE.len()]).unwrap();
            } else {
                // Only what has arrived can be unread.
                while tcp.acknowledged() < LINE.len() as u64 {
                    std::thread::yield_now();
                }
            }
            drop(peer);
            let error = send_until_lost(tcp.as_mut());
            let doubt = tcp.doubt(lost(&error));
            assert_eq!(doubt == Doubt::None, read_first, "{error} {doubt:?}");
        }
    }
}

//! A syslog receiver over TCP, and what the kernel knows of the bytes that it has sent.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use nix::libc;
use nix::sys::socket::{GetSockOpt, setsockopt, sockopt};

use super::super::error::LinkError;
use super::super::target::Address;
use super::input::{discard_input, resolve, wait_for_space};
use super::link::{Doubt, Link, Lost};

/// One address of a name is tried for this long, so that the next one has its turn.
const ATTEMPT: Duration = Duration::from_secs(4);
/// A peer that confirms nothing for this long is taken for dead; the system's default is a quarter of an hour.
const SILENCE: Duration = Duration::from_secs(30);
/// An idle connection is tried after this many seconds, so that a firewall does not forget it.
const KEEPALIVE_SECONDS: u32 = 30;

pub(super) fn tcp(address: &Address, deadline: Instant) -> Result<Box<dyn Link>, LinkError> {
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
    pub fn connect(address: &Address, deadline: Instant) -> Result<Self, LinkError> {
        let mut last = LinkError::NoAddress(address.host.clone());
        for peer in resolve(address)? {
            let left = deadline.saturating_duration_since(Instant::now()).min(ATTEMPT);
            if left.is_zero() {
                return Err(io::Error::from(io::ErrorKind::TimedOut).into());
            }
            match TcpStream::connect_timeout(&peer, left) {
                Ok(stream) => return Ok(Self::over(stream)?),
                Err(error) => last = error.into(),
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
        let base = bytes_acknowledged(&stream).unwrap_or(0);
        Ok(Tcp { stream, base, confirmed: 0, window: 0, has_window: kernel_shows_window() })
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

impl Link for Tcp {
    fn send(&mut self, bytes: &[u8]) -> Result<usize, LinkError> {
        Ok(self.stream.write(bytes)?)
    }

    fn wait(&mut self, limit: Duration) -> Result<(), LinkError> {
        wait_for_space(&self.stream, limit)
    }

    fn check(&mut self) -> Result<(), LinkError> {
        discard_input(&mut self.stream)
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

    /// A receiver that closes with unread bytes resets the connection (RFC 2525 section 2.17), so an orderly
    /// end has read all that it confirmed. After any other end the doubt is its buffer, which grows while it
    /// is read (twice the window that was seen), or the whole connection where windows are not seen.
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

/// True for Linux 5.4 and later.
fn kernel_shows_window() -> bool {
    let release = nix::sys::utsname::uname().map(|name| name.release().to_string_lossy().into_owned());
    let Ok(release) = release else { return false };
    let mut numbers =
        release.split(|letter: char| !letter.is_ascii_digit()).map(|part| part.parse::<u32>().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0)) >= (5, 4)
}

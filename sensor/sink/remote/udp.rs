//! A syslog receiver over UDP.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::super::error::LinkError;
use super::super::target::Address;
use super::input::{resolve, wait_for_space};
use super::link::{Doubt, Link, Lost};

/// A refusal by ICMP comes within this time, or is not waited for.
const REFUSAL: Duration = Duration::from_secs(1);

/// Connects to the first address that can be reached. After a failure one datagram goes ahead.
pub(super) fn udp(address: &Address, after_failure: bool) -> Result<Box<dyn Link>, LinkError> {
    let mut last = LinkError::NoAddress(address.host.clone());
    for peer in resolve(address)? {
        let any: SocketAddr = if peer.is_ipv4() { ([0, 0, 0, 0], 0).into() } else { ([0u16; 8], 0).into() };
        match UdpSocket::bind(any).and_then(|socket| socket.connect(peer).map(|()| socket)) {
            Ok(socket) => {
                socket.set_nonblocking(true)?;
                return Ok(Box::new(Udp { socket, sent: 0, trial: after_failure.then_some(Trial::Due), refused: 0 }));
            }
            Err(error) => last = error.into(),
        }
    }
    Err(last)
}

/// A socket that hears refusals by ICMP, the only answer that UDP has: a refused datagram is kept where it
/// is sure to be the last one, and counted as lost where it was an earlier one.
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
    fn refusal(&mut self, earlier: bool) -> Result<(), LinkError> {
        match self.socket.take_error()? {
            Some(error) => {
                if earlier && self.trial.is_none() {
                    self.refused += 1;
                }
                Err(error.into())
            }
            None => Ok(()),
        }
    }
}

impl Link for Udp {
    fn send(&mut self, bytes: &[u8]) -> Result<usize, LinkError> {
        if matches!(self.trial, Some(Trial::Since(_))) {
            return Err(io::Error::from(io::ErrorKind::WouldBlock).into());
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

    fn wait(&mut self, limit: Duration) -> Result<(), LinkError> {
        if self.trial.is_some() {
            // Only an error is waited for; `check` reads it.
            let mut entry = [PollFd::new(self.socket.as_fd(), PollFlags::empty())];
            let _ = poll(&mut entry, PollTimeout::try_from(limit).unwrap_or(PollTimeout::MAX));
            return Ok(());
        }
        wait_for_space(&self.socket, limit)
    }

    fn check(&mut self) -> Result<(), LinkError> {
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

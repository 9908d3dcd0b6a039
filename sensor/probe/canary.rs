//! A datagram of the sensor's own, sent from one loopback socket to another: it must come back through the ring.

use std::net::{Ipv4Addr, UdpSocket};

/// A loopback address that no service has for its own. The sensor's socket there takes the datagram before any
/// service that listens on every address.
const ADDRESS: Ipv4Addr = Ipv4Addr::new(127, 127, 53, 53);

/// The header of a DNS message without a question, and a number that no one else knows.
const HEADER: usize = 12;
pub(super) const TOKEN: usize = HEADER + 16;

/// The sockets at both ends.
#[derive(Debug)]
pub(super) struct Canary {
    asks: UdpSocket,
    answers: UdpSocket,
    token: [u8; TOKEN],
}

impl Canary {
    /// `ports`: those that carry DNS; `None` where none of them can be listened on.
    pub(super) fn new(ports: &[u16]) -> Option<Self> {
        // The highest first: it needs no privilege, and is the least likely to be taken.
        let mut ports = ports.to_vec();
        ports.sort_unstable_by(|one, other| other.cmp(one));
        ports.iter().find_map(|port| Self::at(*port))
    }

    fn at(port: u16) -> Option<Self> {
        let answers = UdpSocket::bind((ADDRESS, port)).ok()?;
        let asks = UdpSocket::bind((ADDRESS, 0)).ok()?;
        asks.connect(answers.local_addr().ok()?).ok()?;
        answers.connect(asks.local_addr().ok()?).ok()?;
        asks.set_nonblocking(true).ok()?;
        answers.set_nonblocking(true).ok()?;
        let mut token = [0; TOKEN];
        let number = std::fs::read("/proc/sys/kernel/random/uuid").ok()?;
        token.get_mut(HEADER..)?.copy_from_slice(number.get(..TOKEN - HEADER)?);
        Some(Self { asks, answers, token })
    }

    pub(super) fn token(&self) -> [u8; TOKEN] {
        self.token
    }

    /// Goes there and back, so that either end sees one that leaves and one that comes. On a host without its loopback
    /// interface the datagram goes nowhere, which says nothing of the probes.
    pub(super) fn send(&self) -> bool {
        let mut buffer = [0; TOKEN];
        let is_there = self.asks.send(&self.token).is_ok() && self.answers.recv(&mut buffer).is_ok();
        let is_back = is_there && self.answers.send(&self.token).is_ok();
        let _ = self.asks.recv(&mut buffer);
        is_back
    }
}

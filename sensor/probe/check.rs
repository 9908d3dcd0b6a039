//! Whether the kernel side still sees: every ten seconds each link is looked at, and a datagram of the sensor's own
//! must come back through the ring. The changes that are found become documents above.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};

use libbpf_rs::Link;
use libbpf_rs::query::LinkTypeInfo;

use crate::event::program::Program;
use crate::event::{Direction, Packet};

/// Nanoseconds between two looks, and nanoseconds after which the datagram is missed: a blind sensor says so within
/// 15 seconds.
const INTERVAL: u64 = 10_000_000_000;
const PATIENCE: u64 = 4_000_000_000;

/// A loopback address that no service has for its own. The sensor's socket there takes the datagram before any
/// service that listens on every address.
const ADDRESS: Ipv4Addr = Ipv4Addr::new(127, 127, 53, 53);

/// The header of a DNS message without a question, and a number that no one else knows.
const HEADER: usize = 12;
const CANARY: usize = HEADER + 16;

/// A change in what the kernel side sees.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sight {
    /// `what` sees nothing any more. `attached_again`: its hook was put back.
    Lost { what: String, attached_again: bool },
    /// Everything is seen again.
    Back,
}

/// The state of the checks.
#[derive(Debug, Default)]
pub(super) struct Check {
    canary: Option<Canary>,
    looked: u64,
    /// The links were whole at the last look.
    are_links_whole: bool,
    is_blind: bool,
}

impl Check {
    /// `ports`: those that carry DNS. Where none of them can be listened on, only the links are looked at.
    pub(super) fn new(ports: &[u16]) -> Self {
        // The highest first: it needs no privilege, and is the least likely to be taken.
        let mut ports = ports.to_vec();
        ports.sort_unstable_by(|one, other| other.cmp(one));
        Self { canary: ports.iter().find_map(|port| Canary::new(*port)), ..Self::default() }
    }

    /// Whether this packet is the sensor's own.
    pub(super) fn takes(&mut self, packet: &Packet<'_>) -> bool {
        self.canary.as_mut().is_some_and(|canary| canary.takes(packet))
    }

    /// Looks at what is due at `now` (CLOCK_MONOTONIC). A link that lost its program is replaced by what `attach`
    /// gives.
    pub(super) fn turn(
        &mut self,
        now: u64,
        links: &mut [(&'static Program, Link)],
        attach: impl Fn(&'static Program) -> Option<Link>,
    ) -> Vec<Sight> {
        let mut found = Vec::new();
        if now.saturating_sub(self.looked) >= INTERVAL {
            self.looked = now;
            for (program, link) in links.iter_mut().filter(|(_, link)| !is_attached(link)) {
                let again = attach(program);
                found.push(Sight::Lost { what: program.hook.into(), attached_again: again.is_some() });
                if let Some(again) = again {
                    *link = again;
                }
            }
            self.are_links_whole = found.is_empty();
            if let Some(canary) = &mut self.canary {
                canary.send(now);
            }
        }
        let judged = match &mut self.canary {
            Some(canary) => canary.judge(now),
            None => (now == self.looked).then_some(None),
        };
        match judged {
            Some(Some(missed)) if !self.is_blind => {
                found.push(Sight::Lost { what: missed.into(), attached_again: false });
            }
            Some(None) if self.is_blind && self.are_links_whole => {
                self.is_blind = false;
                found.push(Sight::Back);
            }
            _ => {}
        }
        self.is_blind |= found.iter().any(|sight| matches!(sight, Sight::Lost { .. }));
        found
    }
}

/// A cgroup that a link has lost has no number. Before Linux 5.15 a kprobe is held by a perf event, which has no
/// information and cannot be detached from outside.
fn is_attached(link: &Link) -> bool {
    let Ok(info) = link.info() else { return true };
    !matches!(info.info, LinkTypeInfo::Cgroup(cgroup) if cgroup.cgroup_id == 0)
}

/// The datagram that must come back, and the sockets at both of its ends.
#[derive(Debug)]
struct Canary {
    asks: UdpSocket,
    answers: UdpSocket,
    token: [u8; CANARY],
    /// When it was sent, until it is judged.
    sent: Option<u64>,
    left: bool,
    came: bool,
}

impl Canary {
    fn new(port: u16) -> Option<Self> {
        let answers = UdpSocket::bind((ADDRESS, port)).ok()?;
        let asks = UdpSocket::bind((ADDRESS, 0)).ok()?;
        asks.connect(answers.local_addr().ok()?).ok()?;
        asks.set_nonblocking(true).ok()?;
        answers.set_nonblocking(true).ok()?;
        let mut token = [0; CANARY];
        let number = std::fs::read("/proc/sys/kernel/random/uuid").ok()?;
        token.get_mut(HEADER..)?.copy_from_slice(number.get(..CANARY - HEADER)?);
        Some(Self { asks, answers, token, sent: None, left: false, came: false })
    }

    fn takes(&mut self, packet: &Packet<'_>) -> bool {
        if !packet.bytes.ends_with(&self.token) {
            return false;
        }
        match packet.direction {
            Some(Direction::Egress) => self.left = true,
            Some(Direction::Ingress) => self.came = true,
            None => {}
        }
        true
    }

    /// Goes there and back, so that either end sees one that leaves and one that comes.
    fn send(&mut self, now: u64) {
        (self.left, self.came) = (false, false);
        let mut buffer = [0; CANARY];
        let from: Option<SocketAddr> = self
            .asks
            .send(&self.token)
            .ok()
            .and_then(|_| self.answers.recv_from(&mut buffer).ok())
            .map(|(_, from)| from);
        // A host without its loopback interface sends the datagram nowhere, which says nothing about the probes.
        let is_back = from.is_some_and(|from| self.answers.send_to(&self.token, from).is_ok());
        let _ = self.asks.recv(&mut buffer);
        self.sent = is_back.then_some(now);
    }

    /// The outcome of the datagram. `None`: there is nothing to be judged yet; else the facts that are not seen.
    #[allow(clippy::option_option, reason = "whether there is a verdict, and the verdict")]
    fn judge(&mut self, now: u64) -> Option<Option<&'static str>> {
        let sent = self.sent?;
        if !(self.left && self.came) && now.saturating_sub(sent) < PATIENCE {
            return None;
        }
        self.sent = None;
        Some(match (self.left, self.came) {
            (true, true) => None,
            (true, false) => Some("what comes back"),
            (false, true) => Some("what leaves"),
            (false, false) => Some("what leaves, and what comes back"),
        })
    }
}

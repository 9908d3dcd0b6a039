//! Whether the kernel side still sees: every ten seconds each link is looked at, and a datagram of the sensor's own
//! must come back through the ring. The changes that are found become documents above.

use super::canary::TOKEN;
use crate::event::program::Program;
use crate::event::{Direction, Packet};

/// Nanoseconds between two looks, and nanoseconds after which the datagram is missed: a blind sensor says so within
/// 15 seconds.
const INTERVAL: u64 = 10_000_000_000;
const PATIENCE: u64 = 4_000_000_000;

/// A change in what the kernel side sees.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sight {
    /// `what` sees nothing any more. `attached_again`: its hook was put back.
    Lost { what: String, attached_again: bool },
    /// Everything is seen again.
    Back,
}

/// The finding of one look: the links that had lost their program, whether each has one again, and whether the
/// datagram was sent.
#[derive(Debug, Default)]
pub(super) struct Look {
    pub lost: Vec<(&'static Program, bool)>,
    pub is_sent: bool,
}

/// The state of the checks.
#[allow(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
#[derive(Debug)]
pub(super) struct Check {
    /// The last bytes of the datagram; `None` where there is none.
    token: Option<[u8; TOKEN]>,
    /// When the datagram was sent, until it is judged, and where it was seen.
    sent: Option<u64>,
    left: bool,
    came: bool,
    looked: u64,
    /// The links were whole at the last look.
    are_links_whole: bool,
    is_blind: bool,
}

impl Check {
    pub(super) fn new(token: [u8; TOKEN]) -> Self {
        let token = (token != [0; TOKEN]).then_some(token);
        let (sent, left, came) = (None, false, false);
        Self { token, sent, left, came, looked: 0, are_links_whole: false, is_blind: false }
    }

    /// Whether this packet is the sensor's own.
    pub(super) fn takes(&mut self, packet: &Packet<'_>) -> bool {
        if !self.token.is_some_and(|token| packet.bytes.ends_with(&token)) {
            return false;
        }
        match packet.direction {
            Some(Direction::Egress) => self.left = true,
            Some(Direction::Ingress) => self.came = true,
            None => {}
        }
        true
    }

    /// Looks at what is due at `now` (CLOCK_MONOTONIC).
    pub(super) fn turn(&mut self, now: u64, look: impl FnOnce() -> Look) -> Vec<Sight> {
        let mut found = Vec::new();
        if now.saturating_sub(self.looked) >= INTERVAL {
            self.looked = now;
            (self.left, self.came) = (false, false);
            let Look { lost, is_sent } = look();
            found.extend(
                lost.into_iter()
                    .map(|(program, attached_again)| Sight::Lost { what: program.hook.into(), attached_again }),
            );
            self.are_links_whole = found.is_empty();
            self.sent = is_sent.then_some(now);
        }
        let judged = match self.token {
            Some(_) => self.judge(now),
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

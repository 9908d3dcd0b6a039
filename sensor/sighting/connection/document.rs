//! The document of a connection.

use crate::alert::{self, Match};
use crate::event::{self, Stage};
use crate::process::Actor;
use crate::schema::event::{Category, Event, Outcome, Type};

/// A TCP connection to an address that a listed name resolved to.
#[derive(Debug)]
pub struct Document<'a> {
    pub event: &'a event::Connection,
    /// The process and thread that connected.
    pub actor: &'a Actor,
    /// The name that was asked for.
    pub name: &'a str,
    /// The last time that `name` resolved to this address: nanoseconds since the Unix epoch.
    pub resolved: u64,
    /// The matches of that lookup that concern this address. Each matches `destination.ip`.
    pub matches: &'a [Match],
}

impl Document<'_> {
    /// `event.severity`: the highest of the entries that match.
    #[must_use]
    pub fn severity(&self) -> Option<u8> {
        alert::severity(self.matches)
    }
}

impl Document<'_> {
    /// The bytes that were sent and received, which are known once the connection is closed.
    pub(super) fn bytes(&self) -> Option<[u64; 2]> {
        (self.event.stage == Stage::Closed).then_some([self.event.sent, self.event.received])
    }

    /// The event of a connection is never an alert: that of its lookup was one.
    pub(super) fn event(&self, time: u64) -> Event<'static> {
        let seen = self.event;
        let (action, types, outcome): (_, &[Type], _) = match seen.stage {
            Stage::Opened => ("connection-opened", &[Type::Connection, Type::Start], Outcome::Success),
            Stage::Failed => ("connection-failed", &[Type::Connection, Type::End], Outcome::Failure),
            Stage::Closed => ("connection-closed", &[Type::Connection, Type::End], Outcome::Success),
        };
        let ended = seen.stage != Stage::Opened;
        Event {
            categories: &[Category::Network],
            types,
            outcome: Some(outcome),
            severity: self.severity(),
            duration: ended.then(|| time.saturating_sub(seen.start)),
            start: Some(seen.start),
            end: ended.then_some(time),
            reason: reason(seen.error).filter(|_| ended),
            ..Event::new(action, "dnstrail.connection")
        }
    }
}

/// The meaning of an errno(3) that the network gave.
fn reason(error: u32) -> Option<&'static str> {
    Some(match error {
        32 | 104 => "reset by the other end",
        101 => "network unreachable",
        110 => "timed out",
        111 => "refused",
        113 => "host unreachable",
        _ => return None,
    })
}

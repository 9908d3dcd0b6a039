//! The document of a connection.

use crate::alert::{self, Match};
use crate::event;
use crate::process::Actor;

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

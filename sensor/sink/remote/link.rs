//! The two interfaces of a receiver: one makes connections and frames lines, the other is a connection and
//! says what became of the lines when it is lost.

use std::time::{Duration, Instant};

use super::super::error::LinkError;
use super::super::line::Kind;

/// A line in a chunk.
#[derive(Debug, Clone, Copy)]
pub(in crate::sink) struct Message<'a> {
    /// The document with its newline.
    pub line: &'a [u8],
    pub kind: Kind,
    pub severity: Option<u8>,
    /// Nanoseconds since the Unix epoch.
    pub time: u64,
}

/// Makes connections and frames lines for them.
pub(in crate::sink) trait Connector {
    /// Makes a connection; it may wait until the deadline, on the thread of its output.
    fn connect(&mut self, deadline: Instant) -> Result<Box<dyn Link>, LinkError>;
    fn frame(&mut self, message: &Message<'_>, datagram: bool, frame: &mut Vec<u8>);
}

/// One connection. Only [`Link::wait`] waits.
pub(in crate::sink) trait Link {
    /// Sends as much as fits, a datagram whole; `WouldBlock` if nothing does.
    fn send(&mut self, bytes: &[u8]) -> Result<usize, LinkError>;
    /// Waits until sending may be tried again.
    fn wait(&mut self, limit: Duration) -> Result<(), LinkError>;
    /// Fails if the peer has gone.
    fn check(&mut self) -> Result<(), LinkError>;
    /// The number of sent bytes that the peer's kernel has confirmed.
    fn acknowledged(&mut self) -> u64;
    /// The confirmed part that the peer may not have read when the connection was lost.
    fn doubt(&mut self, lost: Lost) -> Doubt;
    fn is_datagram(&self) -> bool {
        false
    }
    /// True once it is known that a receiver takes the lines.
    fn is_proven(&self) -> bool {
        true
    }
    /// Everything is confirmed, and the connection ends.
    fn finish(&mut self) {}
}

/// The way in which a connection was lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::sink) enum Lost {
    /// The receiver closed it in order, which says that it had read everything.
    Ended,
    /// The connection was lost in any other way.
    Broken,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::sink) enum Doubt {
    None,
    /// The last confirmed bytes, this many.
    Bytes(u64),
    /// The last confirmed lines, this many.
    Lines(u64),
    /// Lines known to be lost, this many.
    Refused(u64),
}

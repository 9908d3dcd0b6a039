//! What a delivery asks of a way to send: how a connection is made, how a line looks on it, and what can
//! be said of lines when it is lost.

use std::io;
use std::time::{Duration, Instant};

use crate::sink::Kind;

/// A line in a chunk.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Message<'a> {
    /// With its newline.
    pub line: &'a [u8],
    pub kind: Kind,
    pub severity: Option<u8>,
    /// Nanoseconds since the Unix epoch.
    pub time: u64,
}

/// Makes connections, and knows how a line looks on them.
pub(crate) trait Connector: Send {
    /// May wait until the deadline; it runs on the thread of its output.
    fn connect(&mut self, deadline: Instant) -> io::Result<Box<dyn Transport>>;
    fn frame(&mut self, message: &Message<'_>, datagram: bool, frame: &mut Vec<u8>);
}

/// One connection. Nothing waits except in [`Transport::wait`].
pub(crate) trait Transport: Send {
    /// Sends what fits, a datagram whole; `WouldBlock` if nothing does.
    fn send(&mut self, bytes: &[u8]) -> io::Result<usize>;
    /// Waits until sending may be tried again.
    fn wait(&mut self, limit: Duration) -> io::Result<()>;
    /// Has the peer gone?
    fn check(&mut self) -> io::Result<()>;
    /// Of the bytes given to `send`: how many the peer's kernel has confirmed.
    fn acknowledged(&mut self) -> u64;
    /// Of what was confirmed: how much the peer may not have read when the connection was lost.
    fn doubt(&mut self, lost: Lost) -> Doubt;
    fn is_datagram(&self) -> bool {
        false
    }
    /// Is it known that somebody receives?
    fn is_proven(&self) -> bool {
        true
    }
    /// Everything is confirmed, and this is the end.
    fn finish(&mut self) {}
}

/// How a connection was lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lost {
    /// The receiver closed it, and by that says that it had read everything.
    Ended,
    /// Anything else.
    Broken,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Doubt {
    None,
    /// The last so many bytes.
    Bytes(u64),
    /// The last so many lines.
    Lines(u64),
    /// So many lines are known to be lost.
    Refused(u64),
}

//! IP packets into the TCP and UDP segments that they carry, borrowed from the bytes; fragments
//! are put together first. `dns` gives a payload its meaning, `stream` the bytes of TCP their order. Tunnels (IP in IP, GRE) are not looked into.

use std::sync::Arc;

use super::error::PacketError;
use super::fragment::Fragments;
use super::segment::Segment;
use super::{ip, transport};
use crate::metrics::Metrics;

/// Reads packets, and keeps the fragments of those that are not whole yet.
#[derive(Debug)]
pub struct Reassembler {
    fragments: Fragments,
}

impl Reassembler {
    #[must_use]
    pub fn new(metrics: Arc<Metrics>) -> Self {
        Self { fragments: Fragments::new(metrics) }
    }

    /// Reads one packet from its IP header on; `time` is its time in nanoseconds. `None`: a
    /// fragment was kept, or belongs to a datagram that was given up.
    ///
    /// A packet that is no fragment is borrowed from `bytes` and costs no allocation.
    ///
    /// # Errors
    /// See [`PacketError`]; the next packet is not affected.
    pub fn parse<'a>(&'a mut self, time: u64, bytes: &'a [u8]) -> Result<Option<Segment<'a>>, PacketError> {
        let datagram = ip::datagram(bytes)?;
        let Some(fragment) = datagram.fragment else {
            return transport::segment(&datagram, datagram.protocol, datagram.payload).map(Some);
        };
        let Some((protocol, payload)) = self.fragments.join(time, &datagram, fragment)? else {
            return Ok(None);
        };
        let (protocol, payload) = ip::upper_layer(protocol, payload)?;
        transport::segment(&datagram, protocol, payload).map(Some)
    }

    /// Gives up what is still incomplete, and counts it: the packets have come to their end.
    pub fn finish(&mut self) {
        self.fragments.finish();
    }
}

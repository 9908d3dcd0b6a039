//! IP packets into the TCP and UDP segments that they carry, borrowed from the bytes; fragments
//! are put together first. `dns` gives a payload its meaning, `stream` the bytes of TCP their order. Tunnels (IP in IP, GRE) are not looked into.

use std::net::SocketAddr;
use std::sync::Arc;

use super::fragment::Fragments;
use super::{ip, transport};
use crate::metrics::Metrics;

/// Reads packets, and keeps the fragments of those that are not whole yet.
#[derive(Debug)]
pub struct Reassembler {
    fragments: Fragments,
}

/// The payload of the network layer, once headers are read and fragments are joined.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Segment<'a> {
    pub source: SocketAddr,
    pub destination: SocketAddr,
    pub payload: Payload<'a>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Payload<'a> {
    /// Shorter than the UDP header says when the packet was cut.
    Udp(&'a [u8]),
    UdpLite(&'a [u8]),
    Tcp(Tcp<'a>),
}

impl Payload<'_> {
    /// The datagrams of one packet. The kernel keeps several in one where the sender asked for it
    /// (`UDP_SEGMENT`) or the receiver allows it (`UDP_GRO`): each has `size` bytes, the last may be shorter,
    /// and a size of 0 says that there is only one. TCP bytes need no cutting.
    pub fn datagrams(self, size: u32) -> impl Iterator<Item = Self> {
        let (bytes, rest) = match self {
            Self::Udp(bytes) if size > 0 => (bytes, None),
            whole => (&[][..], Some(whole)),
        };
        let size = usize::try_from(size).unwrap_or(usize::MAX).max(1);
        bytes.chunks(size).map(Self::Udp).chain(rest)
    }
}

/// The parts of a TCP segment that decide about the order of its bytes (RFC 9293 3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[allow(clippy::struct_excessive_bools, reason = "the flags of the header, each by name")]
pub struct Tcp<'a> {
    pub sequence: u32,
    pub syn: bool,
    pub fin: bool,
    pub rst: bool,
    /// Sequence number of the urgent byte that the segment announces: of its last one, as Linux and most
    /// others count (RFC 6093 2).
    pub urgent: Option<u32>,
    pub bytes: &'a [u8],
}

/// Why a packet gives no segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PacketError {
    #[error("neither IPv4 nor IPv6")]
    Version,
    #[error("the bytes end inside the {0} header")]
    Short(&'static str),
    #[error("a length in the {0} header contradicts the header itself")]
    Length(&'static str),
    #[error("more than {} extension headers", ip::EXTENSION_HEADERS)]
    ExtensionHeaders,
    #[error("a fragment that cannot be part of a datagram")]
    Fragment,
    /// The packet is well-formed and carries another protocol.
    #[error("IP protocol {0} is neither TCP nor UDP")]
    Protocol(u8),
}

impl PacketError {
    /// Whether the packet could not be read, which is a loss (`packet_malformed`). Any other packet was read and is
    /// of no interest.
    #[must_use]
    pub fn is_malformed(self) -> bool {
        !matches!(self, Self::Protocol(_))
    }
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

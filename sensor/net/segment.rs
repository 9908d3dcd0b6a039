//! The TCP and UDP segments that packets carry.

use std::net::SocketAddr;

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

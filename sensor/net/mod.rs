//! IP packets, fragments and the order of TCP bytes, in bounded memory and blind to protocols: what
//! the bytes mean is left to `sighting` and `dns`.

mod error;
mod flow;
mod fragment;
mod framing;
mod ip;
mod packet;
mod reading;
mod segment;
mod sequence;
mod stream;
mod table;
mod transport;

pub use error::PacketError;
pub use framing::{Framing, Mark, Verdict};
pub use packet::Reassembler;
pub use segment::{Payload, Segment, Tcp};
pub use stream::Streams;
pub use table::FlowKey;

/// The transport protocol that carried a payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    Udp,
    /// RFC 3828: UDP whose checksum may cover a part only.
    UdpLite,
    Tcp,
}

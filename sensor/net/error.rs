//! Packets that cannot be read.

/// Headers between IPv6 and its payload. RFC 8200 4.1 knows seven, one of them twice.
pub(super) const EXTENSION_HEADERS: usize = 16;

/// Why a packet gives no segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PacketError {
    #[error("neither IPv4 nor IPv6")]
    Version,
    #[error("the bytes end inside the {0} header")]
    Short(&'static str),
    #[error("a length in the {0} header contradicts the header itself")]
    Length(&'static str),
    #[error("more than {} extension headers", EXTENSION_HEADERS)]
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

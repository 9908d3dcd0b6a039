//! Commands of the sensor to the kernel side. The modules above decide them, and `probe` applies them.

use std::net::IpAddr;

use super::ConnectionId;

/// One wish to the kernel side. A command that an event leads to is applied before the event's record is
/// given back to the ring.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Command {
    /// TCP connections are followed from now on. Until then they cost one test.
    FollowConnections,
    /// Connections to this address are followed.
    Watch(IpAddr),
    /// Connections to this address are no longer followed; those that were seen to open stay.
    Forget(IpAddr),
    /// This connection is no longer followed.
    Release(ConnectionId),
    /// Packets of the TCP connection with this socket cookie ([`Packet::socket`](super::Packet::socket)) are
    /// only counted from now on.
    Mute { socket: u64, reason: MuteReason },
}

/// Why the packets of a connection are not wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MuteReason {
    /// The stream was joined half-way, and nothing in it looked like DNS.
    NotDns,
}

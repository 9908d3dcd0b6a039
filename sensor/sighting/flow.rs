//! The place and the time at which a payload was seen.

use std::net::SocketAddr;

use crate::event::{Direction, End, Ends, Packet, Task};
use crate::net::{FlowKey, Mark, Payload, Segment, Transport};
use crate::observe::Observe;

/// The end of a conversation at which a packet was seen. On loopback one message is seen at both ends, and
/// the two sightings are two transactions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// At the socket of the client.
    Client,
    /// At the socket of the server.
    Server,
    /// In a capture.
    Wire,
}

/// The facts about a payload that are known before its bytes are read.
#[derive(Debug, Clone, Copy)]
pub struct Flow {
    /// Nanoseconds since the Unix epoch.
    pub time: u64,
    /// The ends of the packet.
    pub source: SocketAddr,
    pub destination: SocketAddr,
    pub transport: Transport,
    /// `None` in a capture.
    pub direction: Option<Direction>,
    pub origin: Origin,
    /// Inode number; 0 when not known.
    pub network_namespace: u32,
    /// The end of the conversation that this host's socket is, where the kernel side knows who opened it.
    pub end: Option<End>,
    /// Socket cookie; 0 when not known.
    pub socket: u64,
    /// The ends that the packet shows, where NAT changed those that the program sees.
    pub behind_nat: Option<Ends>,
    /// The source may be an address behind NAT, too; see [`Packet::is_unbound`].
    pub is_unbound: bool,
}

/// The sender of a payload, and reasons to doubt what is known.
#[derive(Debug, Clone, Copy, Default)]
pub struct Origin {
    /// The sender, or the owner of the socket that received. `None` where it cannot be known.
    pub task: Option<Task>,
    pub marks: Marks,
}

/// Reasons to doubt what a document says.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Marks {
    /// Several processes wrote the bytes. The task wrote the first of them.
    pub several_writers: bool,
    /// The sender may have changed the bytes after they were seen, as they lay in memory of its own.
    pub is_zero_copy: bool,
}

impl Mark for Origin {
    fn joined(self, later: Self) -> Self {
        let process = |origin: &Self| origin.task.map(|task| task.process);
        Self {
            task: self.task.or(later.task),
            marks: Marks {
                several_writers: self.marks.several_writers
                    || later.marks.several_writers
                    || process(&self) != process(&later),
                is_zero_copy: self.marks.is_zero_copy || later.marks.is_zero_copy,
            },
        }
    }
}

impl Flow {
    pub(crate) fn of_packet(packet: &Packet<'_>, segment: &Segment<'_>) -> Self {
        let shown = Ends { source: segment.source, destination: segment.destination };
        // The ends that the program sees are also those of what arrives.
        let Ends { source, destination } = packet.before_nat.unwrap_or(shown);
        Self {
            time: packet.time,
            source,
            destination,
            transport: match segment.payload {
                Payload::Udp(_) => Transport::Udp,
                Payload::UdpLite(_) => Transport::UdpLite,
                Payload::Tcp(_) => Transport::Tcp,
            },
            direction: packet.direction,
            origin: Origin {
                task: packet.task,
                marks: Marks { several_writers: packet.several_writers, is_zero_copy: packet.is_zero_copy },
            },
            network_namespace: packet.network_namespace,
            end: packet.end,
            socket: packet.socket,
            behind_nat: packet.before_nat.map(|_| shown),
            is_unbound: packet.is_unbound,
        }
    }

    /// The flow of a message that waited behind a gap. The sender of such a message is not kept.
    pub(super) fn of_stream(key: &FlowKey, time: u64, captured: bool) -> Self {
        let direction = if key.ingress { Direction::Ingress } else { Direction::Egress };
        Self {
            time,
            source: key.source,
            destination: key.destination,
            transport: Transport::Tcp,
            direction: (!captured).then_some(direction),
            origin: Origin::default(),
            network_namespace: key.network_namespace,
            end: None,
            socket: 0,
            behind_nat: None,
            is_unbound: false,
        }
    }

    pub(super) fn key(&self) -> FlowKey {
        FlowKey {
            source: self.source,
            destination: self.destination,
            network_namespace: self.network_namespace,
            ingress: self.direction == Some(Direction::Ingress),
        }
    }

    /// The end of the conversation at which the packet was seen.
    #[must_use]
    pub fn side(&self, source_is_client: bool) -> Side {
        match (self.direction, source_is_client) {
            (None, _) => Side::Wire,
            (Some(Direction::Egress), true) | (Some(Direction::Ingress), false) => Side::Client,
            _ => Side::Server,
        }
    }

    /// Whether the sighting is to be emitted.
    #[must_use]
    pub fn is_observed(&self, observe: Observe, source_is_client: bool) -> bool {
        match (observe, self.side(source_is_client)) {
            (Observe::All, _) | (_, Side::Wire) => true,
            (Observe::Clients, side) => side == Side::Client,
            (Observe::Servers, side) => side == Side::Server,
        }
    }
}

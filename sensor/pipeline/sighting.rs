//! Where and how one message was seen: its ends, which of them asks, and whether anyone wants to know.

use std::net::SocketAddr;

use crate::event::{Direction, Packet, Task};
use crate::net::{FlowKey, Payload, Segment, Transport};
use crate::observe::Observe;
use crate::transaction::Side;

/// Port numbers, as one bit each.
#[derive(Debug)]
pub(super) struct Ports(Box<[u64]>);

impl Ports {
    pub(super) fn new(ports: &[u16]) -> Self {
        let mut bits = vec![0; (1 << 16) / 64].into_boxed_slice();
        for port in ports {
            bits[usize::from(port / 64)] |= 1 << (port % 64);
        }
        Self(bits)
    }

    fn contains(&self, port: u16) -> bool {
        self.0[usize::from(port / 64)] & 1 << (port % 64) != 0
    }
}

/// All that is known of a message before it is read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sighting {
    pub(super) time: u64,
    pub(super) source: SocketAddr,
    pub(super) destination: SocketAddr,
    pub(super) transport: Transport,
    pub(super) direction: Option<Direction>,
    pub(super) task: Option<Task>,
    pub(super) network_namespace: u32,
    /// By the ports; `None` where both or none are of DNS, so that the message must tell.
    pub(super) source_is_client: Option<bool>,
}

impl Sighting {
    /// `None` where neither port is one of DNS.
    pub(super) fn of_packet(packet: &Packet<'_>, segment: &Segment<'_>, ports: &Ports) -> Option<Self> {
        let transport = match segment.payload {
            Payload::Udp(_) => Transport::Udp,
            Payload::Tcp(_) => Transport::Tcp,
        };
        Some(Self {
            time: packet.time,
            source: segment.source,
            destination: segment.destination,
            transport,
            direction: packet.direction,
            task: packet.task,
            network_namespace: packet.network_namespace,
            source_is_client: client(segment.source, segment.destination, ports)?,
        })
    }

    /// Of a message that waited behind a gap; who sent it is not kept.
    pub(super) fn of_flow(flow: &FlowKey, time: u64, captured: bool, ports: &Ports) -> Option<Self> {
        let direction = if flow.ingress { Direction::Ingress } else { Direction::Egress };
        Some(Self {
            time,
            source: flow.source,
            destination: flow.destination,
            transport: Transport::Tcp,
            direction: (!captured).then_some(direction),
            task: None,
            network_namespace: flow.network_namespace,
            source_is_client: client(flow.source, flow.destination, ports)?,
        })
    }

    pub(super) fn flow(&self) -> FlowKey {
        FlowKey {
            source: self.source,
            destination: self.destination,
            network_namespace: self.network_namespace,
            ingress: self.direction == Some(Direction::Ingress),
        }
    }

    /// At whose socket this was seen.
    pub(super) fn side(&self, source_is_client: bool) -> Side {
        match (self.direction, source_is_client) {
            (None, _) => Side::Wire,
            (Some(Direction::Egress), true) | (Some(Direction::Ingress), false) => Side::Client,
            _ => Side::Server,
        }
    }

    /// Whether the document is wanted; `true` as long as the side is not known.
    pub(super) fn is_observed(&self, observe: Observe, source_is_client: Option<bool>) -> bool {
        let Some(source_is_client) = source_is_client else { return true };
        match (observe, self.side(source_is_client)) {
            (Observe::All, _) | (_, Side::Wire) => true,
            (Observe::Clients, side) => side == Side::Client,
            (Observe::Servers, side) => side == Side::Server,
        }
    }
}

/// Outer `None`: no DNS; inner: the ports do not tell who asks.
#[allow(clippy::option_option, reason = "both questions are answered by the same two look-ups")]
fn client(source: SocketAddr, destination: SocketAddr, ports: &Ports) -> Option<Option<bool>> {
    match (ports.contains(source.port()), ports.contains(destination.port())) {
        (false, false) => None,
        (false, true) => Some(Some(true)),
        (true, false) => Some(Some(false)),
        (true, true) => Some(None),
    }
}

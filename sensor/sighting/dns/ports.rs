//! The ports that carry DNS.

use crate::event::{Direction, End};
use crate::sighting::Flow;

/// Port numbers, as one bit each.
#[derive(Debug)]
pub(super) struct Ports(Box<[u64]>);

/// The end of a packet that is the client, by who opened the conversation, else by the ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Client {
    Source,
    Destination,
    /// Both ports carry DNS.
    Either,
    /// No port carries DNS.
    Neither,
}

impl Ports {
    pub(super) fn new(ports: &[u16]) -> Self {
        let mut bits = vec![0; (1 << 16) / 64].into_boxed_slice();
        for port in ports {
            bits[usize::from(port / 64)] |= 1 << (port % 64);
        }
        Self(bits)
    }

    pub(super) fn client(&self, flow: &Flow) -> Client {
        let by_ports = match (self.contains(flow.source.port()), self.contains(flow.destination.port())) {
            (false, false) => return Client::Neither,
            (false, true) => Client::Source,
            (true, false) => Client::Destination,
            (true, true) => Client::Either,
        };
        match (flow.end, flow.direction) {
            (Some(End::Client), Some(Direction::Egress)) | (Some(End::Server), Some(Direction::Ingress)) => {
                Client::Source
            }
            (Some(_), Some(_)) => Client::Destination,
            _ => by_ports,
        }
    }

    fn contains(&self, port: u16) -> bool {
        self.0[usize::from(port / 64)] & 1 << (port % 64) != 0
    }
}

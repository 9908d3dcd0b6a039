//! The way of a packet to its kind: claimed, put in order, and cut into messages.

use std::sync::Arc;

use super::flow::Origin;
use super::{Context, Emit, Flow, Kind, Seen, Settings};
use crate::event::Direction;
use crate::metrics::Levels;
use crate::net::{Payload, Streams, Verdict};

/// A packet on its way to a kind.
#[derive(Debug)]
pub(crate) struct Packet<'a> {
    pub(crate) flow: Flow,
    pub(crate) payload: Payload<'a>,
}

/// The outcome for a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Routed {
    /// No kind wants packets of this flow.
    Unclaimed,
    Taken,
    /// The flow turned out to carry another protocol than the one that its kind expects.
    Foreign,
}

/// A kind with the TCP flows that it claims.
#[derive(Debug)]
pub(super) struct Route<K: Kind> {
    kind: K,
    streams: Streams<K::Framing, Origin>,
}

impl<K: Kind> Route<K> {
    pub(super) fn new(settings: &Settings, context: &Context) -> Self {
        Self { kind: K::new(settings, context), streams: Streams::new(Arc::clone(&context.metrics)) }
    }

    /// `None`: the kind does not claim the flow.
    pub(super) fn packet(&mut self, packet: &Packet<'_>, context: &mut Context, out: &mut dyn Emit) -> Option<Routed> {
        let Self { kind, streams } = self;
        let Packet { flow, payload } = packet;
        let first = match payload {
            Payload::Udp(bytes) | Payload::UdpLite(bytes) => bytes,
            Payload::Tcp(tcp) => tcp.bytes,
        };
        if !kind.claims(flow, first, context) {
            return None;
        }
        Some(match payload {
            Payload::Udp(bytes) | Payload::UdpLite(bytes) => {
                kind.see(Seen::Message { flow, bytes }, context, out);
                Routed::Taken
            }
            Payload::Tcp(tcp) => {
                // Bytes that arrive belong to the owner of the socket now.
                let arrives = flow.direction == Some(Direction::Ingress);
                let message = |bytes: &[u8], origin| {
                    let origin = if arrives { flow.origin } else { origin };
                    kind.see(Seen::Message { flow: &Flow { origin, ..*flow }, bytes }, context, out);
                };
                match streams.push(&flow.key(), flow.time, (tcp, flow.origin), message) {
                    Verdict::Expected => Routed::Taken,
                    Verdict::Foreign => Routed::Foreign,
                }
            }
        })
    }

    pub(super) fn see(&mut self, seen: Seen<'_>, context: &mut Context, out: &mut dyn Emit) {
        self.kind.see(seen, context, out);
    }

    pub(super) fn publish(&self, levels: &Levels) {
        self.kind.publish(levels);
    }

    pub(super) fn advance(&mut self, now: u64, context: &mut Context, out: &mut dyn Emit) {
        self.kind.advance(now, context, out);
    }

    pub(super) fn sweep(&mut self, now: u64, captured: bool, context: &mut Context, out: &mut dyn Emit) {
        let Self { kind, streams } = self;
        streams.expire(now, |key, bytes| {
            kind.see(Seen::Message { flow: &Flow::of_stream(key, now, captured), bytes }, context, out);
        });
    }

    pub(super) fn finish(&mut self, now: u64, captured: bool, context: &mut Context, out: &mut dyn Emit) {
        let Self { kind, streams } = self;
        streams.finish(|key, bytes| {
            kind.see(Seen::Message { flow: &Flow::of_stream(key, now, captured), bytes }, context, out);
        });
        kind.advance(now, context, out);
    }
}

//! IPv4, IPv6, TCP and UDP headers, borrowed from bytes (RFC 791, 8200, 9293, 768).
use std::net::{IpAddr, SocketAddr};

/// What the network layer carries, once its headers are read and its fragments are joined.
#[derive(Debug, Clone, Copy)]
pub struct Segment<'a> {
    pub source: SocketAddr,
    pub destination: SocketAddr,
    pub payload: Payload<'a>,
}

#[derive(Debug, Clone, Copy)]
pub enum Payload<'a> {
    Udp(&'a [u8]),
    Tcp { sequence: u32, syn: bool, fin: bool, rst: bool, bytes: &'a [u8] },
}
const _: Option<IpAddr> = None;

//! Builders of packets and captures, byte by byte, for tests.

use std::net::{Ipv4Addr, Ipv6Addr};

use dnstrail::net::Tcp;

pub const CLIENT4: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 10);
pub const SERVER4: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 53);
pub const CLIENT6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0x10);
pub const SERVER6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0x53);
pub const CLIENT_PORT: u16 = 40_000;

pub const UDP: u8 = 17;
pub const TCP: u8 = 6;

/// A query for `name`, A, IN, recursion desired.
pub fn query(id: u16, name: &str) -> Vec<u8> {
    let mut message = id.to_be_bytes().to_vec();
    message.extend([1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    for label in name.split('.').filter(|label| !label.is_empty()) {
        message.push(u8::try_from(label.len()).unwrap());
        message.extend(label.bytes());
    }
    message.extend([0, 0, 1, 0, 1]);
    message
}

/// An answer without a question that is `length` bytes long.
pub fn answer(id: u16, length: usize) -> Vec<u8> {
    let mut message = id.to_be_bytes().to_vec();
    message.extend([0x81, 0x80, 0, 0, 0, 1, 0, 0, 0, 0]);
    message.resize(length, b'x');
    message
}

/// With the length of DNS over TCP.
pub fn framed(message: &[u8]) -> Vec<u8> {
    let mut bytes = u16::try_from(message.len()).unwrap().to_be_bytes().to_vec();
    bytes.extend(message);
    bytes
}

pub fn udp(payload: &[u8]) -> Vec<u8> {
    let mut bytes = CLIENT_PORT.to_be_bytes().to_vec();
    bytes.extend(53u16.to_be_bytes());
    bytes.extend(u16::try_from(payload.len() + 8).unwrap().to_be_bytes());
    bytes.extend([0, 0]);
    bytes.extend(payload);
    bytes
}

/// `options` is padded to whole words.
pub fn tcp(segment: &Tcp<'_>, options: &[u8]) -> Vec<u8> {
    let words = options.len().div_ceil(4);
    let mut bytes = CLIENT_PORT.to_be_bytes().to_vec();
    bytes.extend(53u16.to_be_bytes());
    bytes.extend(segment.sequence.to_be_bytes());
    bytes.extend([0; 4]);
    bytes.push(u8::try_from((5 + words) << 4).unwrap());
    let urgent = u8::from(segment.urgent.is_some()) << 5;
    bytes.push(u8::from(segment.fin) | u8::from(segment.syn) << 1 | u8::from(segment.rst) << 2 | urgent);
    bytes.extend([0; 4]);
    // The pointer leads behind the byte.
    let behind = segment.urgent.map_or(0, |urgent| urgent.wrapping_sub(segment.sequence) + 1);
    bytes.extend(u16::try_from(behind).unwrap().to_be_bytes());
    bytes.extend(options);
    bytes.resize(20 + words * 4, 0);
    bytes.extend(segment.bytes);
    bytes
}

pub fn data(sequence: u32, bytes: &[u8]) -> Tcp<'_> {
    Tcp { sequence, bytes, ..Tcp::default() }
}

/// A whole IPv4 packet; `options` is padded to whole words.
pub fn ipv4(protocol: u8, options: &[u8], payload: &[u8]) -> Vec<u8> {
    fragment4(protocol, options, payload, 0x1234, 0, false)
}

pub fn fragment4(protocol: u8, options: &[u8], payload: &[u8], id: u16, offset: usize, more: bool) -> Vec<u8> {
    let words = 5 + options.len().div_ceil(4);
    let mut bytes = vec![0x40 | u8::try_from(words).unwrap(), 0];
    bytes.extend(u16::try_from(words * 4 + payload.len()).unwrap_or(0).to_be_bytes());
    bytes.extend(id.to_be_bytes());
    assert_eq!(offset % 8, 0);
    bytes.extend((u16::try_from(offset / 8).unwrap() | u16::from(more) << 13).to_be_bytes());
    bytes.extend([64, protocol, 0, 0]);
    bytes.extend(CLIENT4.octets());
    bytes.extend(SERVER4.octets());
    bytes.extend(options);
    bytes.resize(words * 4, 0);
    bytes.extend(payload);
    bytes
}

/// An IPv6 packet whose payload may begin with extension headers.
pub fn ipv6(next: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0x60, 0, 0, 0];
    bytes.extend(u16::try_from(payload.len()).unwrap_or(0).to_be_bytes());
    bytes.extend([next, 64]);
    bytes.extend(CLIENT6.octets());
    bytes.extend(SERVER6.octets());
    bytes.extend(payload);
    bytes
}

pub fn fragment6(protocol: u8, payload: &[u8], id: u32, offset: usize, more: bool) -> Vec<u8> {
    assert_eq!(offset % 8, 0);
    let mut bytes = vec![protocol, 0];
    bytes.extend((u16::try_from(offset).unwrap() | u16::from(more)).to_be_bytes());
    bytes.extend(id.to_be_bytes());
    bytes.extend(payload);
    ipv6(44, &bytes)
}

/// Byte order of a capture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    Little,
    Big,
}

impl Order {
    pub fn u16(self, value: u16) -> [u8; 2] {
        if self == Self::Big { value.to_be_bytes() } else { value.to_le_bytes() }
    }

    pub fn u32(self, value: u32) -> [u8; 4] {
        if self == Self::Big { value.to_be_bytes() } else { value.to_le_bytes() }
    }

    pub fn u64(self, value: u64) -> [u8; 8] {
        if self == Self::Big { value.to_be_bytes() } else { value.to_le_bytes() }
    }
}

pub fn pcap_header(order: Order, magic: u32, link: u32) -> Vec<u8> {
    let mut bytes = order.u32(magic).to_vec();
    bytes.extend(order.u16(2));
    bytes.extend(order.u16(4));
    bytes.extend([0; 8]);
    bytes.extend(order.u32(262_144));
    bytes.extend(order.u32(link));
    bytes
}

pub fn pcap_record(order: Order, seconds: u32, fraction: u32, original: usize, frame: &[u8]) -> Vec<u8> {
    let lengths = [frame.len(), original].map(|length| u32::try_from(length).unwrap());
    let mut bytes: Vec<u8> =
        [seconds, fraction, lengths[0], lengths[1]].iter().flat_map(|value| order.u32(*value)).collect();
    bytes.extend(frame);
    bytes
}

/// A block of pcapng around `body`, which is padded.
pub fn block(order: Order, kind: u32, body: &[u8]) -> Vec<u8> {
    let padded = body.len().next_multiple_of(4);
    let length = order.u32(u32::try_from(padded + 12).unwrap());
    let mut bytes = order.u32(kind).to_vec();
    bytes.extend(length);
    bytes.extend(body);
    bytes.resize(8 + padded, 0);
    bytes.extend(length);
    bytes
}

pub fn section(order: Order) -> Vec<u8> {
    let mut body = order.u32(0x1a2b_3c4d).to_vec();
    body.extend(order.u16(1));
    body.extend(order.u16(0));
    body.extend([0xff; 8]);
    block(order, 0x0a0d_0d0a, &body)
}

/// `options` are code and value.
pub fn interface(order: Order, link: u16, snap_length: u32, options: &[(u16, &[u8])]) -> Vec<u8> {
    let mut body = order.u16(link).to_vec();
    body.extend([0; 2]);
    body.extend(order.u32(snap_length));
    for (code, value) in options {
        body.extend(order.u16(*code));
        body.extend(order.u16(u16::try_from(value.len()).unwrap()));
        body.extend(*value);
        body.resize(body.len().next_multiple_of(4), 0);
    }
    block(order, 1, &body)
}

pub fn enhanced_packet(order: Order, interface: u32, units: u64, frame: &[u8]) -> Vec<u8> {
    let length = u32::try_from(frame.len()).unwrap();
    let (high, low) = (u32::try_from(units >> 32).unwrap(), u32::try_from(units & 0xffff_ffff).unwrap());
    let mut body: Vec<u8> = [interface, high, low, length, length].iter().flat_map(|value| order.u32(*value)).collect();
    body.extend(frame);
    block(order, 6, &body)
}

/// The same before there was the enhanced packet block.
pub fn obsolete_packet(order: Order, interface: u16, units: u64, frame: &[u8]) -> Vec<u8> {
    let length = u32::try_from(frame.len()).unwrap();
    let (high, low) = (u32::try_from(units >> 32).unwrap(), u32::try_from(units & 0xffff_ffff).unwrap());
    let mut body = order.u16(interface).to_vec();
    body.extend(order.u16(0xffff));
    body.extend([high, low, length, length].iter().flat_map(|value| order.u32(*value)));
    body.extend(frame);
    block(order, 2, &body)
}

pub fn simple_packet(order: Order, original: usize, frame: &[u8]) -> Vec<u8> {
    let mut body = order.u32(u32::try_from(original).unwrap()).to_vec();
    body.extend(frame);
    block(order, 3, &body)
}

//! IPv4 (RFC 791) and IPv6 (RFC 8200) headers, down to what they carry.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::error::{EXTENSION_HEADERS, PacketError};
use crate::invariant::Invariant;

const HOP_BY_HOP: u8 = 0;
const ROUTING: u8 = 43;
const FRAGMENT: u8 = 44;
const AUTHENTICATION: u8 = 51;
const DESTINATION_OPTIONS: u8 = 60;
const MOBILITY: u8 = 135;
const HIP: u8 = 139;
const SHIM6: u8 = 140;

/// One IP packet: a whole datagram, or a piece of one.
#[derive(Debug, Clone, Copy)]
pub(super) struct Datagram<'a> {
    pub source: IpAddr,
    pub destination: IpAddr,
    /// The protocol of `payload`. A fragment has the one that its own header names.
    pub protocol: u8,
    pub fragment: Option<Fragment>,
    pub payload: &'a [u8],
}

/// The place of a fragment in its datagram.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fragment {
    pub identification: u32,
    /// The distance from the start of the datagram, in bytes.
    pub offset: usize,
    /// More fragments follow this one.
    pub more: bool,
}

pub(super) fn datagram(bytes: &[u8]) -> Result<Datagram<'_>, PacketError> {
    match bytes.first().map(|first| first >> 4) {
        Some(4) => version4(bytes),
        Some(6) => version6(bytes),
        _ => Err(PacketError::Version),
    }
}

fn version4(bytes: &[u8]) -> Result<Datagram<'_>, PacketError> {
    const NAME: &str = "IPv4";
    let (fixed, _) = bytes.split_first_chunk::<20>().ok_or(PacketError::Short(NAME))?;
    let header_length = usize::from(fixed[0] & 0x0f) * 4;
    if header_length < fixed.len() {
        return Err(PacketError::Length(NAME));
    }
    let total_length = usize::from(u16::from_be_bytes([fixed[2], fixed[3]]));
    // Super-segments that the network card is to cut carry 0 (BIG TCP: Linux commit b1a78b9b9886).
    let end = if total_length == 0 { bytes.len() } else { total_length };
    if end < header_length {
        return Err(PacketError::Length(NAME));
    }
    // Bytes behind the total length are padding of the link layer.
    let payload = bytes.get(header_length..end.min(bytes.len())).ok_or(PacketError::Short(NAME))?;

    let place = u16::from_be_bytes([fixed[6], fixed[7]]);
    let (offset, more) = (usize::from(place & 0x1fff) * 8, place & 0x2000 != 0);
    let fragment = (more || offset > 0).then(|| Fragment {
        identification: u32::from(u16::from_be_bytes([fixed[4], fixed[5]])),
        offset,
        more,
    });
    let mut datagram = Datagram {
        source: IpAddr::V4(Ipv4Addr::new(fixed[12], fixed[13], fixed[14], fixed[15])),
        destination: IpAddr::V4(Ipv4Addr::new(fixed[16], fixed[17], fixed[18], fixed[19])),
        protocol: fixed[9],
        fragment,
        payload,
    };
    if fragment.is_some() {
        if end > bytes.len() {
            return Err(PacketError::Fragment);
        }
    } else if datagram.protocol == AUTHENTICATION {
        (datagram.protocol, datagram.payload) = upper_layer(AUTHENTICATION, payload)?;
    }
    Ok(datagram)
}

fn version6(bytes: &[u8]) -> Result<Datagram<'_>, PacketError> {
    let (fixed, rest) = bytes.split_first_chunk::<40>().ok_or(PacketError::Short("IPv6"))?;
    let payload_length = usize::from(u16::from_be_bytes([fixed[4], fixed[5]]));
    // 0 is a jumbogram (RFC 2675): BIG TCP super-segments have it, and mostly no jumbo option.
    let end = if payload_length == 0 { rest.len() } else { payload_length };
    let cut = end > rest.len();
    let (source, destination) = (address6(fixed, 8), address6(fixed, 24));
    let chain = Chain { protocol: fixed[6], bytes: rest.get(..end).unwrap_or(rest) };
    let (chain, fragment) = chain.walk()?;
    if fragment.is_some() && cut {
        return Err(PacketError::Fragment);
    }
    Ok(Datagram { source, destination, protocol: chain.protocol, fragment, payload: chain.bytes })
}

fn address6(header: &[u8; 40], at: usize) -> IpAddr {
    let octets = header.get(at..).and_then(|bytes| bytes.first_chunk::<16>()).copied().holds();
    IpAddr::V6(Ipv6Addr::from(octets))
}

/// Skips the headers that stand between IP and TCP or UDP once all fragments are joined.
pub(super) fn upper_layer(protocol: u8, bytes: &[u8]) -> Result<(u8, &[u8]), PacketError> {
    match (Chain { protocol, bytes }).walk()? {
        (chain, None) => Ok((chain.protocol, chain.bytes)),
        (_, Some(_)) => Err(PacketError::Fragment),
    }
}

/// A protocol number, and the bytes that it describes.
#[derive(Clone, Copy)]
struct Chain<'a> {
    protocol: u8,
    bytes: &'a [u8],
}

impl Chain<'_> {
    /// Goes on to the first header that is not an extension header, or to what a fragment holds.
    fn walk(mut self) -> Result<(Self, Option<Fragment>), PacketError> {
        const NAME: &str = "IPv6 extension";
        for _ in 0..EXTENSION_HEADERS {
            let length = match self.protocol {
                HOP_BY_HOP | ROUTING | DESTINATION_OPTIONS | MOBILITY | HIP | SHIM6 => {
                    usize::from(*self.bytes.get(1).ok_or(PacketError::Short(NAME))?) * 8 + 8
                }
                // RFC 4302 2.2: in units of four bytes, minus two.
                AUTHENTICATION => usize::from(*self.bytes.get(1).ok_or(PacketError::Short(NAME))?) * 4 + 8,
                FRAGMENT => 8,
                _ => return Ok((self, None)),
            };
            let (header, rest) = self.bytes.split_at_checked(length).ok_or(PacketError::Short(NAME))?;
            let &[next, _, high, low, a, b, c, d, ..] = header else {
                return Err(PacketError::Short(NAME));
            };
            let here = self.protocol;
            self = Self { protocol: next, bytes: rest };
            if here == FRAGMENT {
                let place = u16::from_be_bytes([high, low]);
                let (offset, more) = (usize::from(place & !7), place & 1 != 0);
                // A fragment that is the whole datagram is none (RFC 6946).
                if more || offset > 0 {
                    let identification = u32::from_be_bytes([a, b, c, d]);
                    return Ok((self, Some(Fragment { identification, offset, more })));
                }
            }
        }
        Err(PacketError::ExtensionHeaders)
    }
}

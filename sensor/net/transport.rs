//! TCP (RFC 9293), UDP (RFC 768) and UDP-Lite (RFC 3828) headers.

use std::net::SocketAddr;

use super::error::PacketError;
use super::ip::Datagram;
use super::segment::{Payload, Segment, Tcp};

const TCP: u8 = 6;
const UDP: u8 = 17;
const UDP_LITE: u8 = 136;

pub(super) fn segment<'a>(datagram: &Datagram<'_>, protocol: u8, bytes: &'a [u8]) -> Result<Segment<'a>, PacketError> {
    let (ports, payload) = match protocol {
        UDP => udp(bytes)?,
        UDP_LITE => udp_lite(bytes)?,
        TCP => tcp(bytes)?,
        other => return Err(PacketError::Protocol(other)),
    };
    Ok(Segment {
        source: SocketAddr::new(datagram.source, ports.0),
        destination: SocketAddr::new(datagram.destination, ports.1),
        payload,
    })
}

fn udp(bytes: &[u8]) -> Result<((u16, u16), Payload<'_>), PacketError> {
    let Some((&[a, b, c, d, high, low, _, _], rest)) = bytes.split_first_chunk::<8>() else {
        return Err(PacketError::Short("UDP"));
    };
    let length = match usize::from(u16::from_be_bytes([high, low])) {
        0 => rest.len(), // longer than the field can say (RFC 2675 4)
        length => length.checked_sub(8).ok_or(PacketError::Length("UDP"))?,
    };
    let payload = rest.get(..length).unwrap_or(rest);
    Ok(((u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d])), Payload::Udp(payload)))
}

/// RFC 3828 3.1: the checksum's coverage stands in the place of a length.
fn udp_lite(bytes: &[u8]) -> Result<((u16, u16), Payload<'_>), PacketError> {
    let Some((&[a, b, c, d, ..], payload)) = bytes.split_first_chunk::<8>() else {
        return Err(PacketError::Short("UDP-Lite"));
    };
    Ok(((u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d])), Payload::UdpLite(payload)))
}

fn tcp(bytes: &[u8]) -> Result<((u16, u16), Payload<'_>), PacketError> {
    let Some((fixed, _)) = bytes.split_first_chunk::<20>() else {
        return Err(PacketError::Short("TCP"));
    };
    let offset = usize::from(fixed[12] >> 4) * 4;
    if offset < fixed.len() {
        return Err(PacketError::Length("TCP"));
    }
    let flags = fixed[13];
    let sequence = u32::from_be_bytes([fixed[4], fixed[5], fixed[6], fixed[7]]);
    // The pointer leads behind the byte; 0 means the first byte to Linux (`tcp_check_urg`).
    let behind = u32::from(u16::from_be_bytes([fixed[18], fixed[19]])).saturating_sub(1);
    let tcp = Tcp {
        sequence,
        syn: flags & 0x02 != 0,
        fin: flags & 0x01 != 0,
        rst: flags & 0x04 != 0,
        urgent: (flags & 0x20 != 0).then(|| sequence.wrapping_add(behind)),
        bytes: bytes.get(offset..).ok_or(PacketError::Short("TCP"))?,
    };
    Ok(((u16::from_be_bytes([fixed[0], fixed[1]]), u16::from_be_bytes([fixed[2], fixed[3]])), Payload::Tcp(tcp)))
}

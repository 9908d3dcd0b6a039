//! Tunnels inside of IP: the packet that matters is the innermost one. On a live host each packet of a
//! tunnel passes the probes by itself; a capture beside the host has only the outer one.

use super::ether::{self, array, be16, ip};
use super::frame::Frame;

/// Tunnels in tunnels. Real networks have two or three.
const DEPTH: usize = 8;
/// Extension headers of IPv6 in front of a tunnel.
const EXTENSIONS: usize = 8;

const VXLAN: u16 = 4789;
/// Linux's number before VXLAN had one of its own.
const OLD_VXLAN: u16 = 8472;
const GENEVE: u16 = 6081;
const GTP_USER: u16 = 2152;
const TEREDO: u16 = 3544;

/// The place of the innermost IP header, for a packet whose IP header stands at `start`. A packet that is no
/// tunnel, or no tunnel that can be read, is its own innermost; a tunnel that carries no IP is [`Frame::Other`].
pub(super) fn innermost(frame: &[u8], start: usize) -> Frame {
    let mut start = start;
    for _ in 0..DEPTH {
        match inside(frame, start) {
            Some(Frame::Ip(inner)) if is_ip(frame, inner) => start = inner,
            Some(Frame::Other) => return Frame::Other,
            // No tunnel; or bytes on a tunnel's port without a packet behind its header: the outer packet stands
            // for itself.
            None | Some(Frame::Ip(_) | Frame::Short | Frame::Unread) => return Frame::Ip(start),
        }
    }
    Frame::Unread
}

/// Whether an IP header begins here.
fn is_ip(frame: &[u8], start: usize) -> bool {
    matches!(frame.get(start), Some(0x45..=0x4f | 0x60..=0x6f))
}

/// `None`: the packet is no tunnel.
fn inside(frame: &[u8], start: usize) -> Option<Frame> {
    let (protocol, payload) = upper(frame, start)?;
    match protocol {
        // IPv4 and IPv6 in IP (RFC 2003, RFC 4213).
        4 | 41 => Some(ip(frame, payload)),
        47 => Some(gre(frame, payload)),
        // EtherIP (RFC 3378): version 3, then Ethernet.
        97 => Some(ether::by_type(frame, payload + 2 + 12)),
        // MPLS in IP (RFC 4023) is read like the label stack that it is.
        137 => Some(ether::labels(frame, payload)),
        17 => udp(frame, payload),
        _ => None,
    }
}

/// Protocol and place of what an IP header carries; `None` for a fragment, which holds no whole packet.
fn upper(frame: &[u8], start: usize) -> Option<(u8, usize)> {
    let first = *frame.get(start)?;
    if first >> 4 == 4 {
        let fragment = be16(frame, start + 6)? & 0x3fff;
        return (fragment == 0).then_some((*frame.get(start + 9)?, start + usize::from(first & 0x0f) * 4));
    }
    let mut next = *frame.get(start + 6)?;
    let mut place = start + 40;
    for _ in 0..EXTENSIONS {
        match next {
            // Hop-by-hop, routing and destination options (RFC 8200 4).
            0 | 43 | 60 => {
                let [following, length] = array::<2>(frame, place)?;
                (next, place) = (following, place + (usize::from(length) + 1) * 8);
            }
            44 => return None,
            _ => return Some((next, place)),
        }
    }
    None
}

/// GRE (RFC 2784 and RFC 2890), with the headers that ERSPAN and PPTP put behind its own.
fn gre(frame: &[u8], place: usize) -> Frame {
    let (Some(flags), Some(kind)) = (be16(frame, place), be16(frame, place + 2)) else { return Frame::Short };
    let field = |bit: u16| if flags & bit == 0 { 0 } else { 4 };
    let header = place + 4 + field(0x8000) + field(0x2000) + field(0x1000);
    match kind {
        // ERSPAN II, and without a sequence number I, which has no header of its own.
        0x88be => ether::by_type(frame, header + if flags & 0x1000 == 0 { 0 } else { 8 } + 12),
        0x22eb => erspan3(frame, header),
        // PPTP (RFC 2637) has version 1, and its acknowledgement's bit is 0x0080.
        0x880b if flags & 0x0007 == 1 => ether::ppp(frame, header + field(0x0080)),
        _ => ether::by_type_at(frame, place + 2, header),
    }
}

/// ERSPAN III: 12 bytes, and 8 more where the last bit of these says so.
fn erspan3(frame: &[u8], header: usize) -> Frame {
    match frame.get(header + 11) {
        None => Frame::Short,
        Some(last) => ether::by_type(frame, header + 12 + if last & 1 == 0 { 0 } else { 8 } + 12),
    }
}

/// Tunnels in UDP, by the port that they go to. Any program may use these ports, so that each header must be
/// one as well.
fn udp(frame: &[u8], place: usize) -> Option<Frame> {
    let header = place + 8;
    match be16(frame, place + 2)? {
        // RFC 7348 5: the flag of a valid network number, all other bits of the first four bytes zero.
        VXLAN | OLD_VXLAN => (array(frame, header)? == [0x08, 0, 0, 0]).then(|| ether::by_type(frame, header + 8 + 12)),
        GENEVE => geneve(frame, header),
        GTP_USER => gtp(frame, header),
        TEREDO => is_ip(frame, header).then(|| ip(frame, header)),
        _ => None,
    }
}

/// Geneve (RFC 8926 3.4): version 0, options in words of four bytes, and an EtherType.
fn geneve(frame: &[u8], header: usize) -> Option<Frame> {
    let [first, flags] = array(frame, header)?;
    if first & 0xc0 != 0 || flags & 0x3f != 0 {
        return None;
    }
    Some(ether::by_type_at(frame, header + 2, header + 8 + usize::from(first & 0x3f) * 4))
}

/// GTP (3GPP TS 29.281 5.1): version 1, a packet of a user (255), and optional parts.
fn gtp(frame: &[u8], header: usize) -> Option<Frame> {
    let [flags, kind] = array(frame, header)?;
    if flags & 0xf0 != 0x30 || kind != 255 {
        return None;
    }
    let mut place = header + 8;
    if flags & 0x07 != 0 {
        let mut next = *frame.get(place + 3)?;
        place += 4;
        // Extension headers, each of so many words of four bytes, the type of the next in the last byte.
        while flags & 0x04 != 0 && next != 0 {
            let length = usize::from(*frame.get(place)?) * 4;
            if length == 0 {
                return None;
            }
            next = *frame.get(place + length - 1)?;
            place += length;
        }
    }
    Some(ip(frame, place))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ipv4(protocol: u8, payload: &[u8]) -> Vec<u8> {
        let mut packet = vec![0x45, 0, 0, 0, 0, 0, 0, 0, 64, protocol];
        packet.resize(20, 0);
        packet.extend(payload);
        packet
    }

    fn ipv6(next: u8, payload: &[u8]) -> Vec<u8> {
        let mut packet = vec![0x60, 0, 0, 0, 0, 0, next, 64];
        packet.resize(40, 0);
        packet.extend(payload);
        packet
    }

    fn udp(port: u16, payload: &[u8]) -> Vec<u8> {
        let [high, low] = port.to_be_bytes();
        [&[0x30, 0x39, high, low, 0, 0, 0, 0], payload].concat()
    }

    const ETHERNET: [u8; 14] = [1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2, 8, 0];

    /// Headers of tunnels between two IP headers.
    fn tunnels() -> Vec<(&'static str, u8, Vec<u8>)> {
        let gre = |header: &[u8]| (47, header.to_vec());
        let in_udp = |port, header: &[u8]| (17, udp(port, header));
        [
            ("IP in IP", (4, vec![])),
            ("6in4", (41, vec![])),
            ("GRE", gre(&[0, 0, 8, 0])),
            ("GRE with checksum, key and sequence", gre(&[0xb0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 1])),
            ("GRE with Ethernet", gre(&[&[0, 0, 0x65, 0x58][..], &ETHERNET].concat())),
            ("ERSPAN I", gre(&[&[0, 0, 0x88, 0xbe][..], &ETHERNET].concat())),
            (
                "ERSPAN II",
                gre(&[&[0x10, 0, 0x88, 0xbe, 0, 0, 0, 1][..], &[0x10, 0, 0, 0, 0, 0, 0, 0], &ETHERNET].concat()),
            ),
            ("ERSPAN III", gre(&[&[0x10, 0, 0x22, 0xeb, 0, 0, 0, 1][..], &[0x20; 11], &[0], &ETHERNET].concat())),
            ("PPTP", gre(&[0x30, 0x81, 0x88, 0x0b, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 0xff, 3, 0, 0x21])),
            ("EtherIP", (97, [&[0x30, 0][..], &ETHERNET].concat())),
            ("MPLS in IP", (137, vec![0, 1, 1, 64])),
            ("VXLAN", in_udp(4789, &[&[8, 0, 0, 0, 0, 0, 7, 0][..], &ETHERNET].concat())),
            ("VXLAN on Linux's port", in_udp(8472, &[&[8, 0, 0, 0, 0, 0, 7, 0][..], &ETHERNET].concat())),
            ("Geneve", in_udp(6081, &[&[1, 0, 0x65, 0x58, 0, 0, 7, 0, 1, 2, 3, 4][..], &ETHERNET].concat())),
            ("Geneve without Ethernet", in_udp(6081, &[0, 0, 8, 0, 0, 0, 7, 0])),
            ("GTP", in_udp(2152, &[0x30, 255, 0, 20, 0, 0, 0, 1])),
            ("GTP with a sequence", in_udp(2152, &[0x32, 255, 0, 24, 0, 0, 0, 1, 0, 1, 0, 0])),
            ("GTP of 5G", in_udp(2152, &[0x34, 255, 0, 28, 0, 0, 0, 1, 0, 0, 0, 0x85, 1, 0x10, 9, 0])),
            ("Teredo", in_udp(3544, &[])),
        ]
        .map(|(name, (protocol, header))| (name, protocol, header))
        .into()
    }

    #[test]
    fn the_packet_inside_of_each_tunnel() {
        for (name, protocol, header) in tunnels() {
            let inner = ipv4(17, &udp(53, b"a question"));
            let carried = [&header[..], &inner].concat();
            for outer in [
                ipv4(protocol, &carried),
                ipv6(protocol, &carried),
                ipv6(0, &[&[protocol, 0, 0, 0, 0, 0, 0, 0], &carried[..]].concat()),
            ] {
                let frame = [&[0; 3][..], &outer].concat();
                assert_eq!(innermost(&frame, 3), Frame::Ip(frame.len() - inner.len()), "{name}");
                // Cut anywhere: the outer packet stands for itself, or the inner one, cut.
                for length in 4..frame.len() {
                    assert!(
                        matches!(innermost(&frame[..length], 3), Frame::Ip(start) if start < length),
                        "{name} {length}"
                    );
                }
            }
        }
    }

    #[test]
    fn tunnels_in_tunnels_end() {
        let mut packet = ipv4(17, &udp(53, b""));
        for _ in 0..3 {
            packet = ipv4(4, &packet);
        }
        assert_eq!(innermost(&packet, 0), Frame::Ip(60));
        for _ in 0..10 {
            packet = ipv4(4, &packet);
        }
        assert_eq!(innermost(&packet, 0), Frame::Unread);
    }

    #[test]
    fn what_only_looks_like_a_tunnel_stands_for_itself() {
        for packet in [
            ipv4(17, &udp(4789, b"some other program's bytes on this port")),
            ipv4(17, &udp(2152, &[0x30, 1, 0, 0, 0, 0, 0, 0, 0x45, 0])),
            ipv4(17, &udp(3544, b"x")),
            ipv4(17, &udp(53, b"")),
            ipv4(6, b""),
            ipv4(4, &[]),
            ipv4(4, &[0x10; 20]),
        ] {
            assert_eq!(innermost(&packet, 0), Frame::Ip(0), "{packet:x?}");
        }
        let mut fragment = ipv4(47, &[0, 0, 8, 0, 0x45]);
        fragment[6] = 0x20;
        assert_eq!(innermost(&fragment, 0), Frame::Ip(0), "the first piece of a tunnel's packet");
        let arp = [&[8, 0, 0, 0, 0, 0, 7, 0][..], &[0; 12], &[8, 6, 0, 1]].concat();
        assert_eq!(innermost(&ipv4(17, &udp(4789, &arp)), 0), Frame::Other, "ARP in VXLAN");
    }
}

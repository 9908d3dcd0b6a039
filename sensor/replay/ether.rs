//! Protocols named by an EtherType, and the ways to IP that these open: VLAN tags, MPLS, PPPoE, provider
//! backbones, LLC.

use super::frame::Frame;

/// The type stands at `place`, and what it describes right behind it.
pub(super) fn by_type(frame: &[u8], place: usize) -> Frame {
    by_type_at(frame, place, place + 2)
}

/// The type stands at `place`, what it describes at `next`. Each turn goes forward in the frame, so that its
/// length bounds the work.
pub(super) fn by_type_at(frame: &[u8], mut place: usize, mut next: usize) -> Frame {
    loop {
        let Some(kind) = be16(frame, place) else { return Frame::Short };
        match kind {
            0x0800 | 0x86dd => return ip(frame, next),
            // VLAN tags: IEEE 802.1Q, 802.1ad, and the numbers in use before the latter.
            0x8100 | 0x88a8 | 0x9100 | 0x9200 | 0x9300 => (place, next) = (next + 2, next + 4),
            // HSR (IEC 62439-3): path, size and sequence.
            0x892f => (place, next) = (next + 4, next + 6),
            // IEEE 802.1ah: a tag, then the customer's whole frame.
            0x88e7 => (place, next) = (next + 16, next + 18),
            // Transparent Ethernet bridging (RFC 1701).
            0x6558 => (place, next) = (next + 12, next + 14),
            0x8847 | 0x8848 => return labels(frame, next),
            // A session of PPPoE (RFC 2516): six bytes, then PPP.
            0x8864 => return ppp_protocol(frame, next + 6),
            0..=1535 => return llc(frame, next),
            kind if carries_no_ip(kind) => return Frame::Other,
            _ => return Frame::Unread,
        }
    }
}

/// Protocols between neighbours, which carry no packets of other protocols.
fn carries_no_ip(kind: u16) -> bool {
    // ARP, RARP, wake-on-LAN, AppleTalk, IPX, EtherCAT, pause, slow protocols, PPPoE discovery, EAPOL, profinet,
    // AoE, LLDP, PTP, connectivity faults, FCoE initialisation, loopback tests.
    matches!(
        kind,
        0x0806
            | 0x8035
            | 0x0842
            | 0x809b
            | 0x80f3
            | 0x8137
            | 0x88a4
            | 0x8808
            | 0x8809
            | 0x8863
            | 0x888e
            | 0x8892
            | 0x88a2
            | 0x88cc
            | 0x88f7
            | 0x8902
            | 0x8914
            | 0x9000
    )
}

/// MPLS (RFC 3032): labels of four bytes up to the one with the bit of the bottom. No type stands behind them.
pub(super) fn labels(frame: &[u8], mut place: usize) -> Frame {
    loop {
        let Some([.., bottom, _]) = array::<4>(frame, place) else { return Frame::Short };
        place += 4;
        if bottom & 1 != 0 {
            break;
        }
    }
    match frame.get(place).map(|first| first >> 4) {
        None => Frame::Short,
        Some(4 | 6) => ip(frame, place),
        // A pseudowire with its control word (RFC 4448): Ethernet behind four bytes.
        Some(0) => by_type(frame, place + 4 + 12),
        Some(_) => Frame::Unread,
    }
}

/// PPP with or without the address and control bytes of its HDLC frame (RFC 1662).
pub(super) fn ppp(frame: &[u8], place: usize) -> Frame {
    let framed = array::<2>(frame, place) == Some([0xff, 0x03]);
    ppp_protocol(frame, if framed { place + 2 } else { place })
}

/// The protocol's number is one byte where that is odd (RFC 1661 2).
fn ppp_protocol(frame: &[u8], place: usize) -> Frame {
    let Some(&first) = frame.get(place) else { return Frame::Short };
    let (number, next) = if first & 1 == 1 {
        (u16::from(first), place + 1)
    } else {
        match be16(frame, place) {
            Some(number) => (number, place + 2),
            None => return Frame::Short,
        }
    };
    match number {
        0x0021 | 0x0057 => ip(frame, next),
        0x0281 | 0x0283 => labels(frame, next),
        // Negotiation (RFC 1661 2: link and network control, below 0x4000 data).
        0x8000.. => Frame::Other,
        _ => Frame::Unread,
    }
}

/// IEEE 802.2, and SNAP behind it (RFC 1042). Spanning tree and the like come without SNAP.
pub(super) fn llc(frame: &[u8], place: usize) -> Frame {
    match array::<3>(frame, place) {
        None => Frame::Short,
        Some([0xaa, 0xaa, 0x03]) => match array::<3>(frame, place + 3) {
            None => Frame::Short,
            // Ethernet's types, and those behind a bridge (IEEE 802.1H).
            Some([0, 0, 0 | 0xf8]) => by_type(frame, place + 6),
            Some(_) => Frame::Other,
        },
        // IP by its own number.
        Some([0x06, 0x06, 0x03]) => ip(frame, place + 3),
        Some(_) => Frame::Other,
    }
}

pub(super) fn ip(frame: &[u8], start: usize) -> Frame {
    if frame.len() > start { Frame::Ip(start) } else { Frame::Short }
}

pub(super) fn be16(bytes: &[u8], place: usize) -> Option<u16> {
    array(bytes, place).map(u16::from_be_bytes)
}

pub(super) fn array<const N: usize>(bytes: &[u8], place: usize) -> Option<[u8; N]> {
    bytes.get(place..)?.first_chunk().copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes in front of an IP header, behind the two addresses of an Ethernet frame.
    #[test]
    fn ways_to_ip_behind_an_ethertype() {
        for header in [
            &[0x88, 0x64, 0x11, 0, 0, 7, 0, 22, 0, 0x21][..],
            &[0x88, 0x64, 0x11, 0, 0, 7, 0, 22, 0, 0x57],
            &[0x88, 0x47, 0, 1, 0x01, 64],
            &[0x88, 0x47, 0, 1, 0x00, 64, 0, 2, 0x00, 64, 0, 3, 0x01, 64],
            &[0x81, 0, 0, 7, 0x88, 0x64, 0x11, 0, 0, 7, 0, 22, 0, 0x21],
            &[0x89, 0x2f, 0, 0, 0, 0, 0x08, 0],
            &[0x88, 0xe7, 0, 0, 0, 7, 1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2, 0x08, 0],
            &[0x88, 0x47, 0, 1, 0x01, 64, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2, 0x08, 0],
            &[0, 50, 0xaa, 0xaa, 3, 0, 0, 0, 0x86, 0xdd],
            &[0, 50, 6, 6, 3],
        ] {
            let frame = [&[0; 12], header, &[0x45]].concat();
            assert_eq!(by_type(&frame, 12), Frame::Ip(12 + header.len()), "{header:x?}");
            for length in 12..frame.len() - 1 {
                assert_eq!(by_type(&frame[..length], 12), Frame::Short, "{length} of {header:x?}");
            }
        }
    }

    #[test]
    fn frames_without_ip_are_known_from_frames_that_are_not_read() {
        let of = |header: &[u8]| by_type(&[&[0; 12], header, &[0; 8]].concat(), 12);
        assert_eq!(of(&[0x88, 0xcc]), Frame::Other, "LLDP");
        assert_eq!(of(&[0, 38, 0x42, 0x42, 3]), Frame::Other, "spanning tree");
        assert_eq!(of(&[0x88, 0x64, 0x11, 0, 0, 7, 0, 22, 0xc0, 0x21]), Frame::Other, "link control of PPP");
        assert_eq!(of(&[0x88, 0xe5]), Frame::Unread, "MACsec");
        assert_eq!(of(&[0x88, 0x64, 0x11, 0, 0, 7, 0, 22, 0, 0xfd]), Frame::Unread, "compressed PPP");
        assert_eq!(of(&[0x88, 0x47, 0, 1, 1, 64, 0x90]), Frame::Unread, "no IP behind labels");
    }
}

//! The bytes before the IP header in a captured frame, by link type
//! (<https://www.tcpdump.org/linktypes.html>). Tunnels inside of IP are left to `tunnel`.

use super::ether::{self, array, ip, llc, ppp};
use super::frame::Frame;
use super::wireless;

/// How frames of an interface begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Link {
    Ethernet,
    /// Token Ring, IEEE 802.5.
    TokenRing,
    /// The Point-to-Point Protocol (RFC 1661), with or without the bytes of its HDLC frame.
    Ppp,
    /// PPP behind a byte that says which end has sent the frame.
    PppWithDirection,
    Fddi,
    /// A header of so many bytes, then LLC (IEEE 802.2).
    Llc(usize),
    /// Cisco HDLC.
    Hdlc,
    /// Frame Relay with the two bytes of Q.922.
    FrameRelay,
    /// The Linux "any" interface, first form.
    Cooked,
    /// The Linux "any" interface, second form.
    Cooked2,
    /// A header of so many bytes, then the IP header.
    Raw(usize),
    /// BSD loopback: the address family in the byte order of the host that captured, in a header of so many
    /// bytes.
    Null(usize),
    /// IEEE 802.11, behind a header of radio measurements or without one.
    Wireless(wireless::Radio),
    /// A netfilter log: the packet is one of its attributes.
    NetfilterLog,
    /// Apple's capture header, which names the link type of the frame behind it.
    Pktap,
    /// InfiniBand, its IP payload only.
    Infiniband,
    /// No link type of this list.
    Unknown(u32),
}

impl Link {
    /// From a `LINKTYPE_` number. Old files have the `DLT_` numbers for raw IP.
    pub(super) fn new(number: u32) -> Self {
        match number {
            0 | 108 => Self::Null(4),
            1 => Self::Ethernet,
            6 => Self::TokenRing,
            // PPP, with HDLC, as pppd has it.
            9 | 50 | 166 => Self::Ppp,
            204 => Self::PppWithDirection,
            10 => Self::Fddi,
            12 | 14 | 101 | 228 | 229 => Self::Raw(0),
            // ATM by RFC 1483, on SunATM, and IP over Fibre Channel (RFC 2625).
            100 => Self::Llc(0),
            123 => Self::Llc(4),
            122 => Self::Llc(16),
            104 => Self::Hdlc,
            105 => Self::Wireless(wireless::Radio::None),
            119 => Self::Wireless(wireless::Radio::Prism),
            127 => Self::Wireless(wireless::Radio::Radiotap),
            163 => Self::Wireless(wireless::Radio::Avs),
            107 => Self::FrameRelay,
            // OpenBSD's IPsec interface.
            109 => Self::Null(12),
            113 => Self::Cooked,
            // Solaris' IP observability.
            226 => Self::Raw(24),
            239 => Self::NetfilterLog,
            242 => Self::Infiniband,
            258 => Self::Pktap,
            276 => Self::Cooked2,
            other => Self::Unknown(other),
        }
    }

    /// Finds the IP header.
    pub(super) fn strip(self, frame: &[u8]) -> Frame {
        match self {
            Self::Ethernet => ether::by_type(frame, 12),
            Self::TokenRing => token_ring(frame),
            Self::Ppp => ppp(frame, 0),
            Self::PppWithDirection => ppp(frame, 1),
            // Frame control and two addresses.
            Self::Fddi => llc(frame, 13),
            Self::Llc(header) => llc(frame, header),
            Self::Hdlc => ether::by_type(frame, 2),
            Self::FrameRelay => frame_relay(frame),
            Self::Cooked => ether::by_type(frame, 14),
            Self::Cooked2 => ether::by_type_at(frame, 0, 20),
            Self::Raw(header) => ip(frame, header),
            Self::Null(header) => null(frame, header),
            Self::Wireless(radio) => wireless::strip(radio, frame),
            Self::NetfilterLog => netfilter_log(frame),
            Self::Pktap => pktap(frame),
            Self::Infiniband => ether::by_type_at(frame, 40, 44),
            Self::Unknown(_) => Frame::Unread,
        }
    }
}

fn null(frame: &[u8], header: usize) -> Frame {
    let Some(family) = array::<4>(frame, 0) else { return Frame::Short };
    let [little, big] = [u32::from_le_bytes(family), u32::from_be_bytes(family)];
    // AF_INET is 2 everywhere; AF_INET6 is 10, 24, 28 or 30 by system.
    match little.min(big) {
        2 | 10 | 24 | 28 | 30 => ip(frame, header),
        _ => Frame::Other,
    }
}

/// Access and frame control, two addresses, and a route of up to 30 bytes where the source address says so.
fn token_ring(frame: &[u8]) -> Frame {
    let (Some(source), Some(control)) = (frame.get(8), frame.get(1)) else { return Frame::Short };
    // Frames of the ring itself carry no LLC.
    if control & 0xc0 != 0x40 {
        return Frame::Other;
    }
    let route = if source & 0x80 == 0 { Some(0) } else { frame.get(14).map(|first| usize::from(first & 0x1f)) };
    route.map_or(Frame::Short, |route| llc(frame, 14 + route))
}

/// Frame Relay (RFC 2427): a control byte and the protocol's NLPID behind the two bytes of the address.
fn frame_relay(frame: &[u8]) -> Frame {
    match array::<2>(frame, 2) {
        None => Frame::Short,
        Some([0x03, 0xcc | 0x8e]) => ip(frame, 4),
        // SNAP, behind a byte of padding.
        Some([0x03, 0x00]) if frame.get(4) == Some(&0x80) => match array::<3>(frame, 5) {
            Some([0, 0, 0]) => ether::by_type(frame, 8),
            _ => Frame::Unread,
        },
        // Cisco's own encapsulation has an EtherType there.
        Some(_) => ether::by_type(frame, 2),
    }
}

/// Attributes behind four bytes, each with its length and type in the byte order of the host that captured.
fn netfilter_log(frame: &[u8]) -> Frame {
    const PAYLOAD: u16 = 9;
    let mut place = 4;
    while let (Some(length), Some(kind)) = (array::<2>(frame, place), array::<2>(frame, place + 2)) {
        // A length of a log is far below 64 KiB; one of the two orders gives a type that is known.
        let is_big = kind[0] == 0 && kind[1] != 0;
        let read = |bytes| if is_big { u16::from_be_bytes(bytes) } else { u16::from_le_bytes(bytes) };
        let length = usize::from(read(length));
        if read(kind) == PAYLOAD {
            return ip(frame, place + 4);
        }
        if length < 4 {
            return Frame::Unread;
        }
        place += length.next_multiple_of(4);
    }
    Frame::Short
}

/// <https://www.tcpdump.org/linktypes/LINKTYPE_PKTAP.html>: length of the header, type of the record, and the
/// link type of the frame, in little-endian order.
fn pktap(frame: &[u8]) -> Frame {
    let [length, link] = match [array::<4>(frame, 0), array::<4>(frame, 8)] {
        [Some(length), Some(link)] => [length, link].map(u32::from_le_bytes),
        _ => return Frame::Short,
    };
    let Some(inner) = usize::try_from(length).ok().and_then(|length| frame.get(length..)) else { return Frame::Short };
    let header = frame.len() - inner.len();
    match Link::new(link) {
        Link::Pktap => Frame::Unread,
        link => match link.strip(inner) {
            Frame::Ip(start) => Frame::Ip(header + start),
            other => other,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ethernet(tags: &[u16], ethertype: u16) -> Vec<u8> {
        let mut frame = vec![0; 12];
        for tag in tags {
            frame.extend(tag.to_be_bytes());
            frame.extend([0x20, 0x07]);
        }
        frame.extend(ethertype.to_be_bytes());
        frame.push(0x45);
        frame
    }

    #[test]
    fn ethernet_with_any_mix_and_number_of_tags() {
        for (tags, start) in [
            (&[][..], 14),
            (&[0x8100], 18),
            (&[0x88a8, 0x8100], 22),
            (&[0x9100, 0x8100], 22),
            (&[0x8100, 0x8100, 0x88a8], 26),
            (&[0x8100; 9], 50),
            (&[0x8100; 300], 14 + 1200),
        ] {
            assert_eq!(Link::Ethernet.strip(&ethernet(tags, 0x0800)), Frame::Ip(start), "{tags:x?}");
            assert_eq!(Link::Ethernet.strip(&ethernet(tags, 0x86dd)), Frame::Ip(start));
            assert_eq!(Link::Ethernet.strip(&ethernet(tags, 0x0806)), Frame::Other);
            assert_eq!(Link::Ethernet.strip(&ethernet(tags, 0x22f0)), Frame::Unread);
        }
    }

    /// Bytes in front of an IPv4 header, by link type.
    #[test]
    fn headers_of_each_link_type() {
        let snap = |header: usize| [&vec![0; header][..], &[0xaa, 0xaa, 3, 0, 0, 0, 8, 0]].concat();
        let mut ring = snap(14);
        ring[1] = 0x40;
        let mut routed = snap(18);
        (routed[1], routed[8], routed[14]) = (0x40, 0x80, 4);
        let mut pktap = vec![0; 108];
        (pktap[0], pktap[8]) = (108, 1);
        pktap.extend(ethernet(&[], 0x0800));
        pktap.pop();
        let log = [&[2, 0, 0, 0][..], &[5, 0, 10, 0, b'a', 0, 0, 0], &[24, 0, 9, 0]].concat();
        let log_of_a_big_endian_host = [&[2, 0, 0, 0][..], &[0, 5, 0, 10, b'a', 0, 0, 0], &[0, 24, 0, 9]].concat();
        for (link, header) in [
            (6, ring),
            (6, routed),
            (9, vec![0xff, 3, 0, 0x21]),
            (9, vec![0, 0x21]),
            (9, vec![0x21]),
            (50, vec![0xff, 3, 0, 0x21]),
            (166, vec![0, 0x21]),
            (204, vec![1, 0xff, 3, 0, 0x21]),
            (10, snap(13)),
            (100, snap(0)),
            (123, snap(4)),
            (122, snap(16)),
            (104, vec![0x0f, 0, 8, 0]),
            (107, vec![0x18, 0x41, 3, 0xcc]),
            (107, vec![0x18, 0x41, 3, 0, 0x80, 0, 0, 0, 8, 0]),
            (107, vec![0x18, 0x41, 8, 0]),
            (109, [&[2][..], &[0; 11]].concat()),
            (226, vec![0; 24]),
            (239, log),
            (239, log_of_a_big_endian_host),
            (242, [&[0; 40][..], &[8, 0, 0, 0]].concat()),
            (258, pktap),
        ] {
            let frame = [&header[..], &[0x45]].concat();
            assert_eq!(Link::new(link).strip(&frame), Frame::Ip(header.len()), "{link}: {header:x?}");
            for length in 0..header.len() {
                let cut = Link::new(link).strip(&frame[..length]);
                assert!(!matches!(cut, Frame::Ip(_)), "{link}: {length} of {header:x?}: {cut:?}");
            }
        }
    }

    #[test]
    fn cooked_with_and_without_a_tag() {
        let mut first = vec![0; 14];
        first.extend([0x08, 0x00, 0x45]);
        assert_eq!(Link::new(113).strip(&first), Frame::Ip(16));
        let mut tagged = vec![0; 14];
        tagged.extend([0x81, 0x00, 0x00, 0x05, 0x86, 0xdd, 0x60]);
        assert_eq!(Link::new(113).strip(&tagged), Frame::Ip(20));
        let mut second = vec![0x86, 0xdd];
        second.resize(20, 0);
        assert_eq!(Link::new(276).strip(&second), Frame::Short);
        second.push(0x60);
        assert_eq!(Link::new(276).strip(&second), Frame::Ip(20));
    }

    #[test]
    fn loopback_families_in_both_byte_orders() {
        for family in [2u32, 10, 24, 28, 30] {
            for mut frame in [family.to_be_bytes().to_vec(), family.to_le_bytes().to_vec()] {
                assert_eq!(Link::new(0).strip(&frame), Frame::Short);
                frame.push(0x45);
                assert_eq!(Link::new(0).strip(&frame), Frame::Ip(4));
                assert_eq!(Link::new(108).strip(&frame), Frame::Ip(4));
            }
        }
        assert_eq!(Link::new(0).strip(&[0, 0, 0, 7, 0x45]), Frame::Other);
    }

    #[test]
    fn raw_numbers_of_every_system() {
        for number in [12, 14, 101, 228, 229] {
            assert_eq!(Link::new(number).strip(&[0x45]), Frame::Ip(0));
            assert_eq!(Link::new(number).strip(&[]), Frame::Short);
        }
        assert_eq!(Link::new(7), Link::Unknown(7));
        assert_eq!(Link::new(7).strip(&[0x45]), Frame::Unread);
    }

    #[test]
    fn frames_cut_anywhere_are_short_or_other() {
        let whole = ethernet(&[0x88a8, 0x8100], 0x0800);
        for length in 0..whole.len() {
            assert_eq!(Link::Ethernet.strip(&whole[..length]), Frame::Short, "{length}");
        }
    }

    #[test]
    fn a_capture_header_that_names_itself_ends() {
        let mut frame = vec![0; 12];
        frame[8..].copy_from_slice(&258u32.to_le_bytes());
        assert_eq!(Link::new(258).strip(&frame), Frame::Unread);
    }
}

//! What stands before the IP header in a captured frame, by link type
//! (<https://www.tcpdump.org/linktypes.html>).

/// VLAN tags in a row; two are usual (`QinQ`, IEEE 802.1ad), none needs more than a few.
const TAGS: usize = 8;

const ETHERTYPE_IPV4: u16 = 0x0800;
const ETHERTYPE_IPV6: u16 = 0x86dd;

/// How frames of an interface begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Link {
    Ethernet,
    /// Linux "any" interface, first form.
    Cooked,
    /// Linux "any" interface, second form.
    Cooked2,
    /// The IP header comes at once.
    Raw,
    /// BSD loopback: the address family in the byte order of the host that captured.
    Null,
    /// Not one of these.
    Unknown(u32),
}

/// What a frame holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Frame {
    /// Bytes before the IP header.
    Ip(usize),
    /// ARP, spanning tree and the like.
    Other,
    /// The frame ends in its link-layer header.
    Short,
}

impl Link {
    /// From a `LINKTYPE_` number; of raw IP also the `DLT_` numbers that old files have.
    pub(super) fn new(number: u32) -> Self {
        match number {
            0 | 108 => Self::Null,
            1 => Self::Ethernet,
            12 | 14 | 101 | 228 | 229 => Self::Raw,
            113 => Self::Cooked,
            276 => Self::Cooked2,
            other => Self::Unknown(other),
        }
    }

    /// Finds the IP header.
    pub(super) fn strip(self, frame: &[u8]) -> Frame {
        match self {
            Self::Ethernet => by_ethertype(frame, 12, 14),
            Self::Cooked => by_ethertype(frame, 14, 16),
            Self::Cooked2 => by_ethertype(frame, 0, 20),
            Self::Raw => ip(frame, 0),
            Self::Null => null(frame),
            Self::Unknown(_) => Frame::Other,
        }
    }
}

/// The type stands at `place`, what it describes at `next`.
fn by_ethertype(frame: &[u8], mut place: usize, mut next: usize) -> Frame {
    for _ in 0..=TAGS {
        let Some(&[high, low]) = frame.get(place..).and_then(|bytes| bytes.first_chunk::<2>()) else {
            return Frame::Short;
        };
        match u16::from_be_bytes([high, low]) {
            ETHERTYPE_IPV4 | ETHERTYPE_IPV6 => return ip(frame, next),
            // IEEE 802.1Q, 802.1ad, and what was used before the latter.
            0x8100 | 0x88a8 | 0x9100 => (place, next) = (next + 2, next + 4),
            _ => return Frame::Other,
        }
    }
    Frame::Other
}

fn null(frame: &[u8]) -> Frame {
    let Some(family) = frame.first_chunk::<4>() else {
        return Frame::Short;
    };
    let [little, big] = [u32::from_le_bytes(*family), u32::from_be_bytes(*family)];
    // AF_INET is 2 everywhere; AF_INET6 is 10, 24, 28 or 30 by system.
    match little.min(big) {
        2 | 10 | 24 | 28 | 30 => ip(frame, 4),
        _ => Frame::Other,
    }
}

fn ip(frame: &[u8], start: usize) -> Frame {
    if frame.len() > start { Frame::Ip(start) } else { Frame::Short }
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
    fn ethernet_with_any_mix_of_tags() {
        for (tags, start) in [
            (&[][..], 14),
            (&[0x8100], 18),
            (&[0x88a8, 0x8100], 22),
            (&[0x9100, 0x8100], 22),
            (&[0x8100, 0x8100, 0x88a8], 26),
            (&[0x8100; 8], 46),
        ] {
            assert_eq!(Link::Ethernet.strip(&ethernet(tags, 0x0800)), Frame::Ip(start), "{tags:x?}");
            assert_eq!(Link::Ethernet.strip(&ethernet(tags, 0x86dd)), Frame::Ip(start));
            assert_eq!(Link::Ethernet.strip(&ethernet(tags, 0x0806)), Frame::Other);
        }
        assert_eq!(Link::Ethernet.strip(&ethernet(&[0x8100; 9], 0x0800)), Frame::Other);
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
        assert_eq!(Link::new(105), Link::Unknown(105));
    }

    #[test]
    fn frames_cut_anywhere_are_short_or_other() {
        let whole = ethernet(&[0x88a8, 0x8100], 0x0800);
        for length in 0..whole.len() {
            assert_eq!(Link::Ethernet.strip(&whole[..length]), Frame::Short, "{length}");
        }
    }
}

//! IEEE 802.11 data frames, down to LLC. Encrypted frames, and several packets in one frame, are not read.

use super::ether::{array, llc};
use super::frame::Frame;

/// The header of radio measurements in front of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Radio {
    None,
    Radiotap,
    /// A header of 144 bytes, unless an AVS header stands in its place.
    Prism,
    Avs,
}

const PRISM: usize = 144;

pub(super) fn strip(radio: Radio, frame: &[u8]) -> Frame {
    let length = match radio {
        Radio::None => Some(0),
        // Version, padding, and the length in little-endian order.
        Radio::Radiotap => array(frame, 2).map(|length| usize::from(u16::from_le_bytes(length))),
        Radio::Prism => match array::<4>(frame, 0) {
            Some([0x80, 0x21, 0x10, _]) => avs(frame),
            Some(_) => Some(PRISM),
            None => None,
        },
        Radio::Avs => avs(frame),
    };
    length.map_or(Frame::Short, |length| data(frame, length))
}

/// Version, and the length in big-endian order.
fn avs(frame: &[u8]) -> Option<usize> {
    usize::try_from(u32::from_be_bytes(array(frame, 4)?)).ok()
}

/// A frame of IEEE 802.11-2020 9.2.3.
fn data(frame: &[u8], start: usize) -> Frame {
    let Some([kind, flags]) = array::<2>(frame, start) else { return Frame::Short };
    // Version 0, type 2: data. Beacons and acknowledgements carry no packets.
    if kind & 0x0f != 0x08 {
        return Frame::Other;
    }
    // Data that is none: the sender says that it sleeps, or waits.
    if kind & 0x40 != 0 {
        return Frame::Other;
    }
    if flags & 0x40 != 0 {
        return Frame::Unread;
    }
    let mut header = 24;
    // From one access point to another: a fourth address.
    if flags & 0x03 == 0x03 {
        header += 6;
    }
    if kind & 0x80 != 0 {
        match frame.get(start + header) {
            None => return Frame::Short,
            // Several packets in one frame (A-MSDU).
            Some(quality) if quality & 0x80 != 0 => return Frame::Unread,
            Some(_) => header += 2,
        }
        // HT control.
        if flags & 0x80 != 0 {
            header += 4;
        }
    }
    llc(frame, start.saturating_add(header))
}

#[cfg(test)]
mod tests {
    use super::super::link::Link;
    use super::*;

    fn frame(radio: &[u8], kind: u8, flags: u8, header: usize) -> Vec<u8> {
        let mut frame = radio.to_vec();
        frame.extend([kind, flags]);
        frame.resize(radio.len() + header, 0);
        frame.extend([0xaa, 0xaa, 3, 0, 0, 0, 8, 0, 0x45]);
        frame
    }

    #[test]
    fn data_frames_with_each_header() {
        let mut avs = [0; 64];
        (avs[0], avs[1], avs[2], avs[7]) = (0x80, 0x21, 0x10, 64);
        for (link, radio, kind, flags, header) in [
            (105, &[][..], 0x08, 0x01, 24),
            (105, &[], 0x08, 0x03, 30),
            (105, &[], 0x88, 0x02, 26),
            (105, &[], 0x88, 0x83, 36),
            (127, &[0, 0, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0], 0x08, 0x01, 24),
            (119, &[0x44; 144], 0x08, 0x01, 24),
            (119, &avs, 0x08, 0x01, 24),
            (163, &avs, 0x08, 0x01, 24),
        ] {
            let whole = frame(radio, kind, flags, header);
            assert_eq!(Link::new(link).strip(&whole), Frame::Ip(whole.len() - 1), "{link} {kind:x} {flags:x}");
            for length in 0..whole.len() {
                assert_eq!(Link::new(link).strip(&whole[..length]), Frame::Short, "{link} {length}");
            }
        }
    }

    #[test]
    fn frames_that_hold_no_packet_and_those_that_hide_it() {
        let of = |kind, flags| Link::new(105).strip(&frame(&[], kind, flags, 26));
        assert_eq!(of(0x80, 0), Frame::Other, "a beacon");
        assert_eq!(of(0xd4, 0), Frame::Other, "an acknowledgement");
        assert_eq!(of(0x48, 0x11), Frame::Other, "no data");
        assert_eq!(of(0x08, 0x41), Frame::Unread, "encrypted");
        let mut several = frame(&[], 0x88, 0x01, 26);
        several[24] = 0x80;
        assert_eq!(Link::new(105).strip(&several), Frame::Unread, "several packets");
    }
}

//! Datagrams in fragments: every order, overlaps, copies, holes, and the bounds.

use dnstrail::net::PacketError;
use proptest::prelude::*;

use super::*;

/// One fragment of either version.
fn fragment(six: bool, id: u16, piece: &[u8], offset: usize, more: bool) -> Vec<u8> {
    if six {
        bytes::fragment6(UDP, piece, u32::from(id), offset, more)
    } else {
        bytes::fragment4(UDP, &[], piece, id, offset, more)
    }
}

/// A datagram in fragments of `size` bytes, of either version.
pub fn fragments(six: bool, id: u16, datagram: &[u8], size: usize) -> Vec<Vec<u8>> {
    let count = datagram.len().div_ceil(size);
    let pieces = datagram.chunks(size).enumerate();
    pieces.map(|(index, piece)| fragment(six, id, piece, index * size, index + 1 < count)).collect()
}

#[test]
fn fragments_in_every_order() {
    for six in [false, true] {
        let message = bytes::answer(9, 100);
        let pieces = fragments(six, 1, &bytes::udp(&message), 32);
        assert_eq!(pieces.len(), 4);
        for order in 0..24usize {
            let mut left: Vec<_> = pieces.iter().collect();
            let mut reader = Reader::new();
            let mut choice = order;
            while !left.is_empty() {
                let piece = left.remove(choice % left.len());
                choice /= left.len() + 1;
                let got = reader.read(0, piece).unwrap();
                assert_eq!(got.is_some(), left.is_empty());
                if let Some(got) = got {
                    assert_eq!(got.bytes, message);
                    assert_eq!(got.source.port(), CLIENT_PORT);
                }
            }
            reader.packets.finish();
            assert_eq!(reader.expired(), 0);
        }
    }
}

#[test]
fn extension_headers_behind_the_fragment_header() {
    let mut datagram = extension(UDP, 16);
    datagram.extend(bytes::udp(b"a longer message"));
    let mut reader = Reader::new();
    assert_eq!(reader.read(0, &bytes::fragment6(60, &datagram[..24], 5, 0, true)), Ok(None));
    let got = reader.read(0, &bytes::fragment6(60, &datagram[24..], 5, 24, false)).unwrap().unwrap();
    assert_eq!(got.bytes, b"a longer message");
}

#[test]
fn a_fragment_that_is_the_whole_datagram() {
    assert_eq!(payload(&bytes::fragment6(UDP, &bytes::udp(b"dns"), 5, 0, false)), b"dns");
    // Such a fragment has nothing to do with others of its identification (RFC 6946 4).
    let message = bytes::answer(9, 100);
    let pieces = fragments(true, 5, &bytes::udp(&message), 64);
    let mut reader = Reader::new();
    assert_eq!(reader.read(0, &pieces[0]), Ok(None));
    let whole = reader.read(0, &bytes::fragment6(UDP, &bytes::udp(b"dns"), 5, 0, false)).unwrap().unwrap();
    assert_eq!(whole.bytes, b"dns");
    assert_eq!(reader.read(0, &pieces[1]).unwrap().unwrap().bytes, message);
}

#[test]
fn a_fragment_header_inside_a_datagram_of_fragments() {
    let mut inner = vec![UDP, 0, 0, 1, 0, 0, 0, 9];
    inner.extend(bytes::udp(&[0; 24]));
    let mut reader = Reader::new();
    assert_eq!(reader.read(0, &bytes::fragment6(44, &inner[..16], 5, 0, true)), Ok(None));
    assert_eq!(reader.read(0, &bytes::fragment6(44, &inner[16..], 5, 16, false)), Err(PacketError::Fragment));
}

#[test]
fn fragments_that_overlap_end_their_datagram() {
    for six in [false, true] {
        let datagram = bytes::udp(&bytes::answer(9, 100));
        let pieces = fragments(six, 1, &datagram, 32);
        let mut other = fragments(six, 1, &[&datagram[..40], &[0xff; 68]].concat(), 32);
        // The same place with other bytes; in part, from either side; behind the end; an end before the end.
        let left = fragment(six, 1, &datagram[48..80], 48, true);
        let right = fragment(six, 1, &datagram[16..48], 16, true);
        let behind = fragment(six, 1, &[0; 8], 128, true);
        let early = fragment(six, 1, &datagram[64..72], 64, false);
        for bad in [other.remove(1), left, right, behind, early] {
            let mut reader = Reader::new();
            assert_eq!(reader.read(0, &pieces[1]), Ok(None));
            assert_eq!(reader.read(0, &pieces[3]), Ok(None));
            assert_eq!(reader.read(0, &bad), Ok(None));
            assert_eq!(reader.expired(), 1);
            for piece in &pieces {
                assert_eq!(reader.read(0, piece), Ok(None), "RFC 5722: later fragments go too");
            }
            reader.packets.finish();
            assert_eq!(reader.expired(), 1, "counted once");
        }
    }
}

#[test]
fn a_last_fragment_before_one_that_is_there() {
    for six in [false, true] {
        let mut reader = Reader::new();
        assert_eq!(reader.read(0, &fragment(six, 1, &[0; 64], 64, true)), Ok(None));
        assert_eq!(reader.read(0, &fragment(six, 1, &[0; 16], 16, false)), Ok(None));
        assert_eq!(reader.expired(), 1);
    }
}

#[test]
fn copies_of_fragments_change_nothing() {
    for six in [false, true] {
        let message = bytes::answer(9, 300);
        let mut reader = Reader::new();
        let mut whole = 0;
        for piece in fragments(six, 1, &bytes::udp(&message), 32) {
            for _ in 0..3 {
                whole += reader.read(0, &piece).unwrap().map_or(0, |got| usize::from(got.bytes == message));
            }
        }
        assert_eq!(whole, 1);
        reader.packets.finish();
        assert_eq!(reader.expired(), 0);
    }
}

#[test]
fn identification_addresses_and_protocol_keep_datagrams_apart() {
    let (one, two) = (bytes::answer(1, 100), bytes::answer(2, 100));
    let mut reader = Reader::new();
    let pieces = |six, id, message: &[u8]| fragments(six, id, &bytes::udp(message), 64);
    let all = [pieces(false, 1, &one), pieces(false, 2, &two), pieces(true, 1, &two), pieces(true, 2, &one)];
    for set in &all {
        assert_eq!(reader.read(0, &set[0]), Ok(None));
    }
    let tcp = bytes::fragment4(TCP, &[], &[0; 64], 1, 0, true);
    assert_eq!(reader.read(0, &tcp), Ok(None));
    let got: Vec<_> = all.iter().map(|set| reader.read(0, &set[1]).unwrap().unwrap().bytes).collect();
    assert_eq!(got, [one.clone(), two.clone(), two, one]);
    reader.packets.finish();
    assert_eq!(reader.expired(), 1);
}

#[test]
fn incomplete_datagrams_are_given_up_by_age_and_by_number() {
    let datagram = bytes::udp(&bytes::answer(9, 100));
    let mut reader = Reader::new();
    let pieces = fragments(false, 1, &datagram, 64);
    assert_eq!(reader.read(0, &pieces[0]), Ok(None));
    assert!(reader.read(30 * SECOND, &pieces[1]).unwrap().is_some(), "30 s are not too long");
    assert_eq!(reader.read(100 * SECOND, &pieces[0]), Ok(None));
    assert_eq!(reader.read(90 * SECOND, &fragments(false, 2, &datagram, 64)[0]), Ok(None), "time may go back");
    assert_eq!(reader.read(131 * SECOND, &pieces[1]), Ok(None));
    assert_eq!(reader.expired(), 2);

    let mut reader = Reader::new();
    for id in 0..1000 {
        assert_eq!(reader.read(0, &fragments(true, id, &datagram, 64)[0]), Ok(None));
    }
    assert_eq!(reader.expired(), 1000 - 256);
    assert!(reader.read(0, &fragments(true, 999, &datagram, 64)[1]).unwrap().is_some());

    // Each claims 64 KiB; 4 MiB are there.
    let mut reader = Reader::new();
    for id in 0..200 {
        assert_eq!(reader.read(0, &bytes::fragment4(UDP, &[], &[0; 15], id, 65_520, false)), Ok(None));
    }
    assert_eq!(reader.expired(), 200 - 64);
    reader.packets.finish();
    assert_eq!(reader.expired(), 200);
}

#[test]
fn too_many_holes() {
    let mut reader = Reader::new();
    for index in 0..100 {
        assert_eq!(reader.read(0, &bytes::fragment4(UDP, &[], &[0; 8], 1, index * 16, true)), Ok(None));
        assert_eq!(reader.expired(), u64::from(index >= 64));
    }
}

#[test]
fn fragments_that_no_datagram_can_have() {
    let mut reader = Reader::new();
    let mut cut = bytes::fragment4(UDP, &[], &[0; 64], 1, 0, true);
    cut.truncate(60);
    let mut cut6 = bytes::fragment6(UDP, &[0; 64], 1, 0, true);
    cut6.truncate(80);
    for bad in [
        bytes::fragment4(UDP, &[], &[0; 9], 1, 0, true),
        bytes::fragment4(UDP, &[], &[0; 64], 1, 65_480, false),
        bytes::fragment4(UDP, &[], &[], 1, 64, false),
        bytes::fragment6(UDP, &[0; 9], 1, 0, true),
        bytes::fragment6(UDP, &[0; 64], 1, 65_528, false),
        cut,
        cut6,
    ] {
        assert_eq!(reader.read(0, &bad), Err(PacketError::Fragment));
    }
    reader.packets.finish();
    assert_eq!(reader.expired(), 0, "nothing was kept");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Any split of several datagrams, in any order, with copies: each comes out once, whole.
    #[test]
    fn datagrams_survive_any_order(
        lengths in prop::collection::vec(64usize..400, 1..6),
        six in any::<bool>(),
        size in 1usize..8,
        shuffle in any::<u64>(),
        copies in prop::collection::vec(any::<prop::sample::Index>(), 0..4),
    ) {
        let messages: Vec<_> = (1u16..).zip(&lengths).map(|(id, length)| bytes::answer(id, *length)).collect();
        let mut pieces: Vec<Vec<u8>> = (1u16..)
            .zip(&messages)
            .flat_map(|(id, message)| fragments(six, id, &bytes::udp(message), size * 8))
            .collect();
        let mut state = shuffle;
        for index in (1..pieces.len()).rev() {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            pieces.swap(index, usize::try_from(state >> 33).unwrap() % (index + 1));
        }
        // Copies come at once: later they would begin a datagram of their own.
        for copy in &copies {
            let index = copy.index(pieces.len());
            pieces.insert(index, pieces[index].clone());
        }
        let mut reader = Reader::new();
        let mut got = Vec::new();
        for piece in &pieces {
            got.extend(reader.read(0, piece).unwrap().map(|got| got.bytes));
        }
        got.sort();
        let mut expected = messages;
        expected.sort();
        prop_assert_eq!(&got, &expected);
    }
}

//! Streams in pieces of any length and order, with copies, overlaps, losses and noise.

use proptest::prelude::*;

use super::*;

/// A stream in pieces, shuffled, with copies and overlaps.
fn pieces() -> impl Strategy<Value = (Vec<Vec<u8>>, Vec<(usize, usize)>, u32)> {
    let message = prop_oneof![
        (any::<u16>(), "[a-z]{1,20}").prop_map(|(id, name)| query(id, &name)),
        (any::<u16>(), 23usize..3000).prop_map(|(id, length)| answer(id, length)),
        prop::collection::vec(any::<u8>(), 0..40),
    ];
    (prop::collection::vec(message, 1..8), any::<u32>()).prop_flat_map(|(messages, start)| {
        let length = stream(&messages).len();
        let cuts = prop::collection::vec(0..=length, 0..40);
        let extra = prop::collection::vec((0..length, 1usize..300), 0..10);
        (cuts, extra).prop_flat_map(move |(mut cuts, extra)| {
            cuts.extend([0, length]);
            cuts.sort_unstable();
            let mut parts: Vec<_> = cuts.windows(2).map(|pair| (pair[0], pair[1])).filter(|(a, b)| a < b).collect();
            parts.extend(extra.iter().map(|(from, count)| (*from, (from + count).min(length))));
            (Just(messages.clone()), Just(parts).prop_shuffle(), Just(start))
        })
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn any_split_order_and_repetition_gives_exactly_the_messages((messages, parts, start) in pieces()) {
        let bytes = stream(&messages);
        let mut reader = Reader::midway();
        reader.syn(start.wrapping_sub(1));
        for (from, to) in parts {
            reader.data(start.wrapping_add(u32::try_from(from).unwrap()), &bytes[from..to]);
        }
        prop_assert_eq!(reader.take(), messages);
        prop_assert_eq!(reader.lost(), 0);
    }

    /// Segments are missing: the bytes that come out and the bytes that are counted are together all that was sent.
    #[test]
    fn what_is_missing_is_counted((messages, parts, start) in pieces(), missing in any::<prop::sample::Index>()) {
        let bytes = stream(&messages);
        let mut reader = Reader::midway();
        reader.syn(start.wrapping_sub(1));
        let missing = missing.index(parts.len());
        let mut end = 0;
        for (index, (from, to)) in parts.into_iter().enumerate() {
            if index != missing {
                reader.data(start.wrapping_add(u32::try_from(from).unwrap()), &bytes[from..to]);
                end = end.max(to);
            }
        }
        reader.finish();
        let handed_out: usize = reader.got.iter().map(|message| message.len() + 2).sum();
        prop_assert_eq!(handed_out as u64 + reader.lost(), end as u64);
    }

    /// No start was seen: the bytes that come out and the bytes that are counted are together all that was sent.
    #[test]
    fn what_is_passed_over_is_counted(
        (messages, mut parts, start) in pieces(),
        joined in any::<prop::sample::Index>(),
        in_order in any::<bool>(),
    ) {
        let bytes = stream(&messages);
        let joined = joined.index(bytes.len());
        parts.retain(|(from, _)| *from >= joined);
        if in_order {
            parts.sort_unstable();
        }
        let mut reader = Reader::midway();
        let mut seen = vec![false; bytes.len()];
        let mut end = 0;
        for (from, to) in parts {
            reader.data(start.wrapping_add(u32::try_from(from).unwrap()), &bytes[from..to]);
            seen[from..to].fill(true);
            end = end.max(to);
        }
        reader.finish();
        let begin = seen.iter().position(|seen| *seen).unwrap_or(end);
        let handed_out: usize = reader.got.iter().map(|message| message.len() + 2).sum();
        if in_order {
            prop_assert_eq!(handed_out as u64 + reader.lost(), (end - begin) as u64);
        } else {
            let seen = seen.iter().filter(|seen| **seen).count();
            prop_assert!(handed_out as u64 + reader.lost() >= seen as u64, "nothing is lost in silence");
        }
    }

    #[test]
    fn noise_never_panics(segments in prop::collection::vec((any::<u32>(), 0u8..8, prop::collection::vec(any::<u8>(), 0..60)), 0..60), near in any::<bool>()) {
        let mut reader = Reader::midway();
        for (sequence, flags, bytes) in &segments {
            let sequence = if near { sequence % 4096 } else { *sequence };
            let (syn, fin, rst) = (flags & 1 != 0, flags & 2 != 0, flags & 4 != 0);
            reader.time = reader.time.wrapping_add(u64::from(*flags) * SECOND);
            reader.segment(&Tcp { sequence, syn, fin, rst, bytes, ..Tcp::default() });
        }
        reader.finish();
    }
}

/// Nothing but the bytes of packets decides: the whole way from the wire, with bytes flipped.
#[test]
fn flipped_segments_never_panic_and_add_up() {
    let bytes = stream(&messages());
    for place in 0..120 {
        for value in [1, 0x80, 0xff] {
            let mut reader = Reader::connected();
            let mut sent = bytes.clone();
            sent[place] ^= value;
            let mut packets = dnstrail::net::Reassembler::new(Arc::clone(&reader.metrics));
            for (index, piece) in sent.chunks(60).enumerate() {
                let packet = bytes::ipv4(bytes::TCP, &[], &bytes::tcp(&data(at(index * 60), piece), &[]));
                let segment = packets.parse(0, &packet).unwrap().unwrap();
                let dnstrail::net::Payload::Tcp(tcp) = segment.payload else { panic!("not TCP") };
                reader.segment(&tcp);
            }
            reader.finish();
            let handed_out: usize = reader.got.iter().map(|message| message.len() + 2).sum();
            assert_eq!(handed_out as u64 + reader.lost(), bytes.len() as u64);
        }
    }
}

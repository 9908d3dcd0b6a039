//! Streams of which something was not seen: the start, or bytes in between.

use super::*;

#[test]
fn a_flow_joined_midway() {
    let whole = framed(&query(1, "a.example"));
    // The first packet starts a message, or is the rest of one.
    for (first, lost) in [(&whole[..], 0), (&whole[9..], whole.len() - 9), (&[0; 1448], 1448)] {
        let mut reader = Reader::midway();
        reader.data(at(0), first);
        let before = reader.take().len();
        assert_eq!(before, usize::from(lost == 0));
        reader.data(at(first.len()), &whole);
        assert_eq!(reader.take(), [query(1, "a.example")]);
        assert_eq!(reader.lost(), lost as u64);
    }
}

#[test]
fn a_flow_joined_midway_whose_segments_are_short() {
    // Length and message in separate segments, joined between the two.
    let bytes = framed(&query(1, "a.example"));
    let mut reader = Reader::midway();
    reader.data(at(0), &bytes[2..]);
    let mut place = bytes.len() - 2;
    for _ in 0..3 {
        for part in [&bytes[..2], &bytes[2..]] {
            reader.data(at(place), part);
            place += part.len();
        }
    }
    assert_eq!(reader.take(), vec![query(1, "a.example"); 3]);
    assert_eq!(reader.lost(), bytes.len() as u64 - 2);

    // An answer of a header alone, byte by byte.
    let mut refused = query(1, "")[..12].to_vec();
    (refused[2], refused[3], refused[5]) = (0x80, 1, 0);
    let bytes = framed(&refused);
    let mut reader = Reader::midway();
    for (index, byte) in bytes.iter().enumerate() {
        reader.data(at(index), &[*byte]);
    }
    assert_eq!(reader.take(), [refused]);
}

#[test]
fn short_segments_passed_over_in_search_are_counted() {
    let bytes = framed(&query(1, "a.example"));
    let mut reader = Reader::midway();
    reader.data(at(0), &[1, 2]);
    reader.data(at(2), &bytes);
    assert_eq!((reader.take().len(), reader.lost()), (1, 2));
}

#[test]
fn a_flow_joined_midway_out_of_order() {
    let bytes = framed(&query(1, "a.example"));
    let mut reader = Reader::midway();
    reader.data(at(bytes.len()), &bytes);
    reader.data(at(0), &bytes);
    assert_eq!(reader.take(), vec![query(1, "a.example"); 2]);
    reader.data(at(0), &bytes);
    assert_eq!((reader.take().len(), reader.lost()), (0, 0));
}

#[test]
fn a_gap_between_messages() {
    let bytes = framed(&query(1, "a.example"));
    let mut reader = Reader::connected();
    reader.data(at(0), &bytes);
    reader.data(at(bytes.len() + 500), &bytes);
    assert_eq!(reader.take().len(), 1);
    reader.time = 4 * SECOND;
    reader.data(at(2 * bytes.len() + 500), &bytes);
    assert_eq!(reader.take().len(), 2);
    assert_eq!(reader.lost(), 500);
}

#[test]
fn a_gap_inside_a_message_leaves_the_frame_known() {
    // No packet behind the gap starts with a message, and the second message is odd on purpose.
    let messages = [answer(1, 5000), vec![0xff; 300], query(3, "a.example")];
    let bytes = stream(&messages);
    let mut reader = Reader::connected();
    for start in (0..bytes.len()).step_by(1000).filter(|start| *start != 2000) {
        reader.data(at(start), &bytes[start..(start + 1000).min(bytes.len())]);
    }
    assert!(reader.got.is_empty());
    let (streams, got) = (&mut reader.streams, &mut reader.got);
    streams.expire(2 * SECOND, |_, message| got.push(message.to_vec()));
    assert!(got.is_empty(), "the gap may still be filled");
    streams.expire(4 * SECOND, |of, message| {
        assert_eq!(*of, key(CLIENT_PORT));
        got.push(message.to_vec());
    });
    assert_eq!(reader.take(), messages[1..]);
    assert_eq!(reader.lost(), 5002);
}

#[test]
fn two_gaps_inside_one_message() {
    let messages = [answer(1, 5000), vec![0xff; 300]];
    let bytes = stream(&messages);
    let mut reader = Reader::connected();
    for start in (0..bytes.len()).step_by(500).filter(|start| ![1000, 3000, 3500].contains(start)) {
        reader.data(at(start), &bytes[start..(start + 500).min(bytes.len())]);
    }
    reader.finish();
    assert_eq!(reader.take(), messages[1..]);
    assert_eq!(reader.lost(), 5002);
}

#[test]
fn a_gap_that_reaches_into_the_next_message() {
    let messages = [answer(1, 1000), query(2, "a.example"), query(3, "b.example")];
    let bytes = stream(&messages);
    let mut reader = Reader::connected();
    reader.data(at(0), &bytes[..500]);
    reader.data(at(1010), &bytes[1010..1031]);
    reader.data(at(1031), &bytes[1031..]);
    reader.finish();
    assert_eq!(reader.take(), messages[2..]);
    assert_eq!(reader.lost(), 1031);
}

#[test]
fn copies_of_a_waiting_segment_take_no_space() {
    let bytes = framed(&query(1, "a.example"));
    let mut reader = Reader::connected();
    for _ in 0..5000 {
        reader.data(at(100), &bytes);
    }
    assert!(reader.got.is_empty(), "the gap may still be filled");
    reader.data(at(0), &framed(&[0xff; 98]));
    assert_eq!(reader.take().len(), 2);
}

#[test]
fn a_gap_that_is_filled_late_costs_nothing() {
    let (messages, bytes) = (messages(), stream(&messages()));
    let mut reader = Reader::connected();
    reader.data(at(50), &bytes[50..]);
    reader.time = 2 * SECOND;
    reader.data(at(0), &bytes[..50]);
    assert_eq!(reader.take(), messages);
    assert_eq!(reader.lost(), 0);
}

#[test]
fn bytes_and_segments_behind_a_gap_are_bounded() {
    let bytes = framed(&answer(1, 60_000));
    let mut reader = Reader::connected();
    let mut count = 0;
    while reader.got.is_empty() {
        reader.data(at(10 + count * bytes.len()), &bytes);
        count += 1;
        assert!(count < 10);
    }
    assert_eq!((reader.take().len(), reader.lost()), (count, 10));

    let bytes = framed(&query(1, "a.example"));
    let mut reader = Reader::connected();
    for index in 0..1025 {
        reader.data(at(10 + index * bytes.len()), &bytes);
    }
    assert_eq!((reader.take().len(), reader.lost()), (1025, 10));
}

//! Bytes sent as urgent, which receivers take out of their stream, or do not (K7).

use super::*;

/// A stream in which urgent bytes stand at these places, in segments that end behind each of them.
fn segments<'a>(bytes: &'a [u8], urgent: &[usize]) -> Vec<Tcp<'a>> {
    let mut cuts: Vec<usize> = urgent.iter().map(|place| place + 1).collect();
    cuts.extend([0, bytes.len()]);
    cuts.sort_unstable();
    cuts.dedup();
    let segment = |pair: &[usize]| {
        let last = pair[1] - 1;
        let urgent = urgent.contains(&last).then(|| at(last));
        Tcp { sequence: at(pair[0]), urgent, bytes: &bytes[pair[0]..pair[1]], ..Tcp::default() }
    };
    cuts.windows(2).map(segment).collect()
}

fn read(segments: &[Tcp<'_>]) -> Reader {
    let mut reader = Reader::connected();
    for segment in segments {
        reader.segment(segment);
    }
    reader
}

#[test]
fn an_urgent_byte_anywhere_is_taken_out() {
    let (messages, stream) = (messages(), stream(&messages()));
    for place in 0..stream.len() {
        for byte in [0, 1, 0xff, b'x'] {
            let mut bytes = stream.clone();
            bytes.insert(place, byte);
            let mut reader = read(&segments(&bytes, &[place]));
            let got = reader.take();
            assert!(messages.iter().all(|message| got.contains(message)), "{place} {byte}");
            assert_eq!(reader.lost(), 0, "{place} {byte}");
        }
    }
}

/// The receiver reads inline, or a second urgent byte came before it read the first.
#[test]
fn an_urgent_byte_that_stays_in_the_stream() {
    let (messages, stream) = (messages(), stream(&messages()));
    for place in 0..stream.len() {
        let got = read(&segments(&stream, &[place])).take();
        assert!(messages.iter().all(|message| got.contains(message)), "inline, {place}");
    }
    // The first stays, as a part of the stream; the second goes.
    for (first, second) in [(0, 1), (0, 30), (1, 90), (5, 7), (29, 800)] {
        let mut bytes = stream.clone();
        bytes.insert(second, 0x5a);
        let got = read(&segments(&bytes, &[first, second])).take();
        assert!(messages.iter().all(|message| got.contains(message)), "{first} {second}");
    }
}

/// A query that counts no question looks wrong, and what stands one byte before it may look right.
#[test]
fn odd_messages_do_not_choose_the_reading() {
    let mut uncounted = query(0x71ee, "odd.example");
    uncounted[5] = 0;
    let mut first = query(1, "a.example");
    // Read one byte early, the next message has the length 0x0800 and the flags of an answer.
    first.extend([0, 0, 8]);
    let messages = [first, uncounted, query(3, "evil.example")];
    let mut bytes = stream(&messages);
    bytes.insert(30, 0xe1);
    let got = read(&segments(&bytes, &[30])).take();
    assert!(messages.iter().all(|message| got.contains(message)));
}

#[test]
fn an_announcement_before_the_byte_and_a_copy_of_it() {
    let message = query(1, "a.example");
    let mut bytes = framed(&message);
    bytes.insert(20, 0xee);
    let urgent = Some(at(20));
    let mut reader = Reader::connected();
    reader.segment(&Tcp { sequence: at(0), urgent, bytes: &bytes[..5], ..Tcp::default() });
    reader.segment(&Tcp { sequence: at(30 - 9), urgent, bytes: &bytes[21..], ..Tcp::default() });
    reader.segment(&Tcp { sequence: at(0), urgent, bytes: &bytes[..9], ..Tcp::default() });
    reader.segment(&Tcp { sequence: at(5), urgent, bytes: &bytes[5..21], ..Tcp::default() });
    assert!(reader.take().contains(&message));
    // A pointer to what was read before changes nothing.
    reader.segment(&Tcp { sequence: at(bytes.len()), urgent, bytes: &framed(&message), ..Tcp::default() });
    assert!(reader.take().contains(&message));
}

#[test]
fn urgent_bytes_without_end_are_bounded() {
    let message = query(1, "a.example");
    let mut reader = Reader::connected();
    let mut place = 0;
    for _ in 0..20_000 {
        reader.segment(&Tcp { sequence: at(place), urgent: Some(at(place)), bytes: b"\x07", ..Tcp::default() });
        place += 1;
    }
    let bytes = framed(&message);
    reader.segment(&data(at(place), &bytes));
    assert!(reader.take().contains(&message));
    assert!(reader.streams.held() < 100_000, "{}", reader.streams.held());
}

#[test]
fn the_pointer_of_the_header() {
    let sent = Tcp { sequence: u32::MAX - 1, urgent: Some(3), bytes: b"abcdef", ..Tcp::default() };
    let packet = bytes::ipv4(bytes::TCP, &[], &bytes::tcp(&sent, &[]));
    let mut packets = dnstrail::net::Reassembler::new(Arc::default());
    let read = packets.parse(0, &packet).unwrap().unwrap();
    assert_eq!(read.payload, dnstrail::net::Payload::Tcp(sent));
}

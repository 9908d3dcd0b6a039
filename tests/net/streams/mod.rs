//! TCP segments of every shape into DNS messages; `gaps` has what was not seen, `any_order` what
//! chance makes of it.

mod any_order;
mod gaps;
mod urgent;

use std::net::SocketAddr;
use std::sync::Arc;

use dnstrail::metrics::Metrics;
use dnstrail::net::{FlowKey, Streams, Tcp, Verdict};
use dnstrail::sighting::dns::LengthPrefix;

use crate::support::bytes::{self, CLIENT_PORT, CLIENT4, SERVER4, answer, data, framed, query};

const SECOND: u64 = 1_000_000_000;
const FIRST: u32 = 1000;

struct Reader {
    streams: Streams<LengthPrefix>,
    metrics: Arc<Metrics>,
    time: u64,
    got: Vec<Vec<u8>>,
    foreign: u32,
}

fn key(port: u16) -> FlowKey {
    FlowKey {
        source: SocketAddr::from((CLIENT4, port)),
        destination: SocketAddr::from((SERVER4, 53)),
        network_namespace: 0,
        ingress: false,
    }
}

impl Reader {
    /// No connection was seen to begin.
    fn midway() -> Self {
        let metrics = Arc::new(Metrics::default());
        Self { streams: Streams::new(Arc::clone(&metrics)), metrics, time: 0, got: Vec::new(), foreign: 0 }
    }

    /// A connection whose next byte is at [`FIRST`].
    fn connected() -> Self {
        let mut reader = Self::midway();
        reader.syn(FIRST - 1);
        reader
    }

    fn segment(&mut self, segment: &Tcp<'_>) {
        self.segment_of(&key(CLIENT_PORT), segment);
    }

    fn segment_of(&mut self, key: &FlowKey, segment: &Tcp<'_>) {
        let got = &mut self.got;
        let verdict = self.streams.push(key, self.time, (segment, ()), |message, ()| got.push(message.to_vec()));
        self.foreign += u32::from(verdict == Verdict::Foreign);
    }

    fn syn(&mut self, sequence: u32) {
        self.segment(&Tcp { sequence, syn: true, bytes: &[], ..Tcp::default() });
    }

    fn data(&mut self, sequence: u32, bytes: &[u8]) {
        self.segment(&data(sequence, bytes));
    }

    fn finish(&mut self) {
        let got = &mut self.got;
        self.streams.finish(|_, message| got.push(message.to_vec()));
    }

    fn take(&mut self) -> Vec<Vec<u8>> {
        std::mem::take(&mut self.got)
    }

    fn lost(&self) -> u64 {
        self.metrics.losses.stream_bytes.get()
    }

    fn evicted(&self) -> u64 {
        self.metrics.losses.stream_evicted.get()
    }
}

fn messages() -> Vec<Vec<u8>> {
    vec![query(1, "one.example"), answer(2, 700), query(3, "three.example.org"), answer(4, 12 + 11), query(5, "e")]
}

fn stream(messages: &[Vec<u8>]) -> Vec<u8> {
    messages.iter().flat_map(|message| framed(message)).collect()
}

fn at(offset: usize) -> u32 {
    FIRST.wrapping_add(u32::try_from(offset).unwrap())
}

#[test]
fn every_segment_size() {
    let (messages, bytes) = (messages(), stream(&messages()));
    for size in (1..20).chain([100, 701, bytes.len()]) {
        let mut reader = Reader::connected();
        for (index, piece) in bytes.chunks(size).enumerate() {
            reader.data(at(index * size), piece);
        }
        assert_eq!(reader.take(), messages, "{size}");
        assert_eq!((reader.lost(), reader.foreign), (0, 0));
    }
}

#[test]
fn every_split_in_two() {
    let message = query(1, "www.example.com");
    let bytes = framed(&message);
    for cut in 1..bytes.len() {
        let mut reader = Reader::connected();
        reader.data(at(0), &bytes[..cut]);
        assert!(reader.got.is_empty());
        reader.data(at(cut), &bytes[cut..]);
        assert_eq!(reader.take(), std::slice::from_ref(&message));
    }
}

#[test]
fn whole_messages_are_lent_from_the_segment() {
    let bytes = stream(&messages());
    let range = bytes.as_ptr_range();
    let mut reader = Reader::connected();
    let mut count = 0;
    let verdict = reader.streams.push(&key(CLIENT_PORT), 0, (&data(FIRST, &bytes), ()), |message, ()| {
        assert!(range.contains(&message.as_ptr()));
        count += 1;
    });
    assert_eq!((count, verdict), (5, Verdict::Expected));
}

#[test]
fn the_largest_message() {
    let message = answer(1, 65_535);
    let bytes = framed(&message);
    let mut reader = Reader::connected();
    for (index, piece) in bytes.chunks(1448).enumerate().collect::<Vec<_>>().into_iter().rev() {
        reader.data(at(index * 1448), piece);
    }
    assert_eq!(reader.take(), [message]);
}

#[test]
fn sequence_numbers_wrap_around() {
    let (messages, bytes) = (messages(), stream(&messages()));
    for start in (u32::MAX - 800..=u32::MAX).step_by(7) {
        let mut reader = Reader::midway();
        reader.syn(start.wrapping_sub(1));
        let pieces: Vec<_> = bytes.chunks(50).enumerate().collect();
        // Each pair the wrong way round.
        for pair in pieces.chunks(2) {
            for (index, piece) in pair.iter().rev() {
                reader.data(start.wrapping_add(u32::try_from(index * 50).unwrap()), piece);
            }
        }
        assert_eq!(reader.take(), messages);
        assert_eq!(reader.lost(), 0);
    }
}

#[test]
fn retransmissions_and_overlaps_are_not_read_twice() {
    let (messages, bytes) = (messages(), stream(&messages()));
    let mut reader = Reader::connected();
    for start in (0..bytes.len()).step_by(10) {
        // 35 bytes every 10: all but the last stood in the segments before.
        let end = (start + 35).min(bytes.len());
        reader.data(at(start), &bytes[start..end]);
        reader.data(at(0), &bytes[..end]);
    }
    assert_eq!(reader.take(), messages);
    assert_eq!(reader.lost(), 0);
}

#[test]
fn the_first_of_two_contents_counts() {
    let bytes = framed(&query(1, "www.example.com"));
    let other = vec![0xff; bytes.len()];
    let mut reader = Reader::connected();
    reader.data(at(0), &bytes[..20]);
    reader.data(at(0), &other[..30]);
    reader.data(at(30), &bytes[30..]);
    let mut expected = bytes[..20].to_vec();
    expected.extend(&other[20..30]);
    expected.extend(&bytes[30..]);
    assert_eq!(reader.take(), [expected[2..].to_vec()]);
}

#[test]
fn keep_alives_and_pure_acknowledgements() {
    let mut reader = Reader::connected();
    let bytes = framed(&query(1, "a.example"));
    reader.data(at(0).wrapping_sub(1), &[0]);
    reader.data(at(0), &bytes);
    reader.data(at(bytes.len()) - 1, &[0]);
    reader.data(at(bytes.len()), &[]);
    reader.data(at(bytes.len()), &bytes);
    assert_eq!(reader.take().len(), 2);
    assert_eq!(reader.lost(), 0);
}

#[test]
fn the_directions_sides_and_namespaces_are_flows_of_their_own() {
    let bytes = framed(&query(1, "a.example"));
    let one = key(CLIENT_PORT);
    let keys = [
        one,
        FlowKey { ingress: true, ..one },
        FlowKey { network_namespace: 7, ..one },
        FlowKey { source: one.destination, destination: one.source, ..one },
    ];
    let mut reader = Reader::midway();
    let syn = Tcp { sequence: FIRST - 1, syn: true, bytes: &[], ..Tcp::default() };
    for key in &keys {
        reader.segment_of(key, &syn);
    }
    for key in &keys {
        reader.segment_of(key, &data(FIRST, &bytes[..9]));
    }
    for key in &keys {
        reader.segment_of(key, &data(at(9), &bytes[9..]));
    }
    assert_eq!(reader.take(), vec![query(1, "a.example"); 4]);
}

#[test]
fn data_in_the_syn() {
    let bytes = framed(&query(1, "a.example"));
    let mut reader = Reader::midway();
    reader.segment(&Tcp { sequence: 77, syn: true, bytes: &bytes[..9], ..Tcp::default() });
    reader.segment(&Tcp { sequence: 77, syn: true, bytes: &bytes[..9], ..Tcp::default() });
    reader.data(78 + 9, &bytes[9..]);
    assert_eq!(reader.take(), [query(1, "a.example")]);
}

#[test]
fn a_new_connection_on_the_same_ports() {
    let bytes = framed(&query(1, "a.example"));
    let mut reader = Reader::connected();
    reader.data(at(0), &bytes[..10]);
    // Nearby on purpose: to the numbers alone this would be a gap.
    reader.syn(FIRST + 5000);
    assert_eq!(reader.lost(), 10, "the unfinished message of the old one");
    reader.data(FIRST + 5001, &bytes);
    assert_eq!(reader.take(), [query(1, "a.example")]);
    // A late copy of its SYN changes nothing.
    reader.syn(FIRST + 5000);
    reader.data(FIRST + 5001 + u32::try_from(bytes.len()).unwrap(), &bytes);
    assert_eq!(reader.take(), [query(1, "a.example")]);
    // Far away, without a SYN.
    reader.data(FIRST.wrapping_add(1 << 31), &bytes);
    assert_eq!(reader.take(), [query(1, "a.example")]);
    assert_eq!(reader.lost(), 10);
}

#[test]
fn fin_and_rst_end_a_flow() {
    let bytes = framed(&query(1, "a.example"));
    let end = at(bytes.len());
    for rst in [false, true] {
        let mut reader = Reader::connected();
        reader.segment(&Tcp { sequence: FIRST, fin: !rst, rst, bytes: &bytes, ..Tcp::default() });
        assert_eq!(reader.take().len(), 1);
        // A retransmission of the last segment is still known.
        reader.segment(&Tcp { sequence: FIRST, fin: !rst, rst, bytes: &bytes, ..Tcp::default() });
        assert_eq!(reader.take().len(), 0);

        let mut reader = Reader::connected();
        reader.data(FIRST, &bytes[..10]);
        reader.segment(&Tcp { sequence: at(10), fin: !rst, rst, bytes: &[], ..Tcp::default() });
        assert_eq!(reader.lost(), 10, "an unfinished message");
    }
    // Forged numbers hide nothing that follows, the middle of a message included.
    let mut reader = Reader::connected();
    let forged = |reader: &mut Reader| {
        for (sequence, fin) in [(0x8000_0000, false), (FIRST - 1, false), (FIRST - 1, true), (0, true)] {
            reader.segment(&Tcp { sequence, fin, rst: !fin, bytes: &[], ..Tcp::default() });
        }
    };
    for place in [0, bytes.len()] {
        forged(&mut reader);
        reader.data(at(place), &bytes[..10]);
        forged(&mut reader);
        reader.data(at(place + 10), &bytes[10..]);
    }
    assert_eq!((reader.take().len(), reader.lost()), (2, 0));
    // A forged SYN cannot make bytes look old without their being counted.
    reader.syn(end + 5000);
    reader.data(end, &bytes);
    assert_eq!((reader.take().len(), reader.lost()), (0, bytes.len() as u64));
    // A FIN that overtakes the data.
    let mut reader = Reader::connected();
    reader.segment(&Tcp { sequence: end, fin: true, bytes: &[], ..Tcp::default() });
    reader.data(at(0), &bytes);
    assert_eq!(reader.take().len(), 1);
    assert_eq!(reader.lost(), 0);
}

#[test]
fn an_rst_hands_out_what_waits() {
    let bytes = framed(&query(1, "a.example"));
    let mut reader = Reader::connected();
    reader.data(at(100), &bytes);
    assert!(reader.got.is_empty());
    reader.segment(&Tcp { sequence: at(100 + bytes.len()), rst: true, bytes: &[], ..Tcp::default() });
    assert_eq!(reader.take(), [query(1, "a.example")]);
    assert_eq!(reader.lost(), 100);
}

#[test]
fn a_flow_that_goes_on_after_its_end_stays_known() {
    let odd = framed(&[0xff; 40]);
    let mut reader = Reader::connected();
    reader.segment(&Tcp { sequence: FIRST, rst: true, bytes: &[], ..Tcp::default() });
    reader.data(at(0), &odd);
    reader.time = 20 * SECOND;
    reader.segment_of(&key(1), &Tcp { sequence: 0, syn: true, bytes: &[], ..Tcp::default() });
    reader.data(at(odd.len()), &odd);
    assert_eq!((reader.take().len(), reader.lost()), (2, 0));
}

#[test]
fn the_end_counts_what_is_left() {
    let bytes = framed(&query(1, "a.example"));
    let mut reader = Reader::connected();
    reader.data(at(0), &bytes[..20]);
    reader.data(at(100), &bytes);
    reader.finish();
    assert_eq!(reader.take(), [query(1, "a.example")]);
    assert_eq!(reader.lost(), 100);
    reader.finish();
    assert_eq!(reader.lost(), 100);
}

#[test]
fn flows_are_bounded_in_number() {
    let bytes = framed(&query(1, "a.example"));
    let mut reader = Reader::midway();
    let flow = |index: u32| FlowKey { network_namespace: index, ..key(CLIENT_PORT) };
    for index in 0..16_384 + 100 {
        reader.segment_of(&flow(index), &Tcp { sequence: 0, syn: true, bytes: &bytes[..10], ..Tcp::default() });
        // Flow 0 is kept in use.
        reader.segment_of(&flow(0), &Tcp { sequence: 0, syn: true, bytes: &[], ..Tcp::default() });
    }
    assert_eq!((reader.evicted(), reader.lost()), (100, 1000));
    for index in [0, 101, 16_483] {
        reader.segment_of(&flow(index), &data(11, &bytes[10..]));
        assert_eq!(reader.take().len(), 1, "{index}");
    }
    reader.segment_of(&flow(1), &data(11, &bytes[10..]));
    assert_eq!(reader.take().len(), 0);
    // Idle flows that hold nothing are forgotten and not counted.
    let mut reader = Reader::midway();
    for index in 0..40_000 {
        reader.time += SECOND / 10;
        reader.segment_of(&flow(index), &Tcp { sequence: 0, syn: true, bytes: &bytes, ..Tcp::default() });
    }
    assert_eq!((reader.take().len(), reader.evicted(), reader.lost()), (40_000, 0, 0));
}

#[test]
fn flows_are_bounded_in_bytes() {
    let bytes = framed(&answer(1, 65_000));
    let mut reader = Reader::midway();
    for index in 0..2000 {
        let flow = FlowKey { network_namespace: index, ..key(CLIENT_PORT) };
        reader.segment_of(&flow, &Tcp { sequence: 0, syn: true, bytes: &bytes[..60_000], ..Tcp::default() });
    }
    let kept = 2000 - reader.evicted();
    assert!((300..=32 * 1024 * 1024 / 60_000).contains(&kept), "{kept}");
    assert_eq!(reader.lost(), reader.evicted() * 60_000);
}

#[test]
fn a_foreign_stream_joined_midway_is_reported_once() {
    let mut reader = Reader::midway();
    for index in 0..200 {
        reader.data(at(index * 100), &[0xaa; 100]);
        assert_eq!(reader.foreign, u32::from(index >= 63));
    }
    assert_eq!((reader.lost(), reader.got.len()), (20_000, 0));
    // A new connection on the same ports is judged anew.
    reader.data(FIRST.wrapping_add(1 << 31), &framed(&query(1, "a.example")));
    assert_eq!(reader.take().len(), 1);
    for index in 0..200 {
        reader.data(FIRST.wrapping_add(1 << 31) + 27 + index * 100, &[0xaa; 100]);
    }
    assert_eq!(reader.foreign, 1, "it has carried a message");
}

/// The writer of a stream could mute it with a few odd messages, and hide the rest (K3).
#[test]
fn a_stream_framed_from_its_syn_is_never_foreign() {
    let mut reader = Reader::connected();
    // TLS records, framed as if they were messages.
    let noise: Vec<u8> =
        std::iter::repeat_n([0, 20, 0x16, 0x03, 0x03, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], 200).flatten().collect();
    for (index, piece) in noise.chunks(100).enumerate() {
        reader.data(at(index * 100), piece);
    }
    assert_eq!(reader.foreign, 0);
}

/// unbound, dnsmasq and BIND answer each of these (K3).
#[test]
fn odd_queries_are_found_in_a_stream_joined_midway() {
    let odd = |at: usize, bits: u8| {
        let mut message = query(1, "a.example");
        message[at] |= bits;
        message
    };
    let (z, opcode3, opcode15, rcode, ad_cd) = (odd(3, 0x40), odd(2, 0x18), odd(2, 0x78), odd(3, 5), odd(3, 0x30));
    for message in [z, opcode3, opcode15, rcode, ad_cd] {
        let mut reader = Reader::midway();
        for index in 0..100 {
            reader.data(at(index * (message.len() + 2)), &framed(&message));
        }
        assert_eq!((reader.take().len(), reader.lost(), reader.foreign), (100, 0, 0), "{message:?}");
    }
}

#[test]
fn odd_messages_of_an_exact_flow_are_handed_out() {
    let messages = [vec![], vec![1], vec![0; 11], vec![0xff; 40], query(1, "a.example")];
    for size in [1, 5, 1000] {
        let bytes = stream(&messages);
        let mut reader = Reader::connected();
        for (index, piece) in bytes.chunks(size).enumerate() {
            reader.data(at(index * size), piece);
        }
        assert_eq!(reader.take(), messages);
    }
}

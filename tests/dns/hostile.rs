//! Messages that mean harm: nothing stalls, nothing panics, and what was readable is given.

use std::time::{Duration, Instant};

use dnstrail::dns::{Kind, Message};
use dnstrail::name::Suffix;
use proptest::prelude::*;

use super::{ANSWER, Builder, QUERY, answer, decode, name, query};

/// The promise for a release build. A debug build is some twenty times slower.
const BOUND: Duration = if cfg!(debug_assertions) { Duration::from_millis(25) } else { Duration::from_millis(1) };

fn valid() -> Vec<Vec<u8>> {
    let soa = [&b"\x02ns\xc0\x0c\x04host\xc0\x0c"[..], &[0; 20]].concat();
    let rrsig = [&b"\0\x01\x08\x02"[..], &[0x33; 14], &name("example.com"), &[0xaa; 24]].concat();
    vec![
        query("www.example.com").opt(1232, 0x8000, b"\0\x0a\0\x08abcdefgh").0,
        answer("www.example.com")
            .answer(5, b"\x03cdn\xc0\x10")
            .record(1, b"\xc0\x2d", 1, 1, 60, &[192, 0, 2, 1])
            .record(1, b"\xc0\x2d", 1, 1, 60, &[192, 0, 2, 2])
            .opt(1232, 0, b"\0\x0f\0\x06\0\x0fnope")
            .0,
        answer("missing.example").record(2, b"\xc0\x14", 6, 1, 60, &soa).0,
        answer("example.com")
            .answer(65, b"\0\x01\0\0\x01\0\x03\x02h2\0\x04\0\x04\xc0\0\x02\x01")
            .answer(16, b"\x05v=spf\x02ok")
            .answer(46, &rrsig)
            .answer(47, b"\x01b\xc0\x0c\0\x01\x40")
            .answer(50, b"\x01\0\0\x01\x02\xab\xcd\x02\xde\xad\0\x01\x40")
            .answer(257, b"\0\x05issueca.example")
            .0,
        Builder::new(0, 0x8400)
            .question(&name("a.local"), 255, 0x8001)
            .record(1, b"\xc0\x0c", 33, 0x8001, 120, b"\0\0\0\0\x00\x50\x01h\xc0\x0e")
            .0,
    ]
}

/// Reads everything that a message gives, and checks what holds for any bytes.
fn read_all(message: &Message) -> usize {
    let printable = |text: &str| text.bytes().all(|byte| (0x20..0x7f).contains(&byte));
    let mut length = 0;
    for question in message.questions() {
        assert!(printable(question.name) && !question.name.is_empty());
        let suffix = Suffix::of(question.name);
        length += question.name.len() + suffix.registered_domain.unwrap_or_default().len();
    }
    for record in message.records() {
        assert!(printable(record.name) && !record.name.is_empty());
        assert!(printable(record.data));
        if let Some(target) = record.target {
            assert!(record.data.contains(target) && !target.is_empty());
        }
        length += record.data.len() + record.hints.len();
    }
    for error in message.extended_errors() {
        assert!(printable(error.text));
    }
    length + message.addresses().count() + message.header_flags().count()
}

#[test]
fn every_bit_flipped_and_every_byte_replaced() {
    let mut message = Message::default();
    for whole in valid() {
        for at in 0..whole.len() {
            let changes = (0..8).map(|bit| whole[at] ^ 1 << bit).chain([0, 0x3f, 0x40, 0x80, 0xc0, 0xff]);
            for change in changes {
                let mut bytes = whole.clone();
                bytes[at] = change;
                for kind in [Kind::Dns, Kind::Mdns] {
                    message.decode(&bytes, kind).unwrap();
                    read_all(&message);
                }
            }
        }
    }
}

#[test]
fn cut_at_each_length_gives_what_was_readable() {
    for bytes in valid() {
        let whole = decode(&bytes);
        assert_eq!(whole.malformed, None);
        let mut before = 0;
        for length in 12..bytes.len() {
            let part = decode(&bytes[..length]);
            assert!(part.malformed.is_some(), "{length}");
            assert!(part.questions().eq(whole.questions().take(part.questions().len())));
            assert!(part.records().eq(whole.records().take(part.records().len())));
            // More bytes never give less.
            let parts = part.questions().len() + part.records().len();
            assert!(parts >= before);
            before = parts;
        }
    }
}

/// The quickest of several, so that another program on this machine does not fail the test.
fn quickest(bytes: &[u8]) -> (Duration, Message) {
    let mut message = Message::default();
    let quickest = (0..9).map(|_| {
        let start = Instant::now();
        message.decode(bytes, Kind::Dns).unwrap();
        start.elapsed()
    });
    (quickest.min().unwrap(), message)
}

/// Fills a message almost up to its greatest length.
fn fill(mut builder: Builder, mut one: impl FnMut(Builder) -> Builder) -> Vec<u8> {
    while builder.0.len() < 65_000 {
        builder = one(builder);
    }
    builder.0
}

/// Bytes of pointers, each to the one before it, as the data of one record.
fn chain(pointers: u16) -> Builder {
    let start = Builder::new(1, ANSWER).0.len() + 11;
    let mut data = vec![0];
    let mut at = u16::try_from(start).unwrap();
    for index in 0..pointers {
        data.extend((0xc000 | at).to_be_bytes());
        at = u16::try_from(start + 1 + 2 * usize::from(index)).unwrap();
    }
    Builder::new(1, ANSWER).record(1, &[0], 65_280, 1, 1, &data)
}

fn bombs() -> Vec<(&'static str, Vec<u8>)> {
    let last = |builder: &Builder| 0xc000 | (u16::try_from(builder.0.len()).unwrap() - 2);
    let long = ["a"; 127].join(".");
    let labels = |step: usize, index: usize| (0xc000 | u16::try_from(12 + index * step % 250).unwrap()).to_be_bytes();
    let deep = chain(250);
    let top = last(&deep);
    let endless = chain(8000);
    let bottom = last(&endless);
    let mut index = 0;
    vec![
        ("forward pointers, each to the next", {
            let chain: Vec<u8> =
                (0..16_000_u16).flat_map(|step| (0xc000 | (14 + 2 * step) & 0x3fff).to_be_bytes()).collect();
            [&Builder::new(1, QUERY).0[..], &chain].concat()
        }),
        ("forward pointers to one long name", {
            let mut bytes = Builder::new(1, ANSWER).0;
            for _ in 0..4096 {
                bytes.extend(b"\xff\xff\0\x01\0\x01\0\0\0\0\0\0");
            }
            let place = 0xc000 | u16::try_from(12 + 1300 * 12).unwrap();
            for at in (12..12 + 1300 * 12).step_by(12) {
                bytes[at..at + 2].copy_from_slice(&place.to_be_bytes());
            }
            bytes[usize::from(place & 0x3fff)..][..1025].copy_from_slice(&b"\x01a".repeat(513)[..1025]);
            bytes[6..8].copy_from_slice(&1300_u16.to_be_bytes());
            bytes
        }),
        (
            "owners at the end of a chain",
            fill(deep.clone(), |next| next.record(1, &top.to_be_bytes(), 2, 1, 1, &top.to_be_bytes())),
        ),
        ("a label before a chain", {
            let owner = [&b"\x01a"[..], &top.to_be_bytes()].concat();
            fill(deep.clone(), move |next| next.record(1, &owner, 2, 1, 1, &owner))
        }),
        (
            "different places in a chain",
            fill(deep, |next| {
                index += 1;
                let owner = (top - 2 * (index % 100)).to_be_bytes();
                next.record(1, &owner, 2, 1, 1, &owner)
            }),
        ),
        ("chains too long", fill(endless.clone(), |next| next.record(1, &[0], 2, 1, 1, &bottom.to_be_bytes()))),
        ("names of 127 labels", {
            let mut index = 0;
            fill(answer(&long), move |next| {
                index += 1;
                next.record(1, &labels(2, index), 2, 1, 1, &labels(2, index * 7))
            })
        }),
        ("names of 127 labels, twice in each SOA", {
            let mut index = 0;
            fill(answer(&long), move |next| {
                index += 1;
                let data = [&labels(2, index)[..], &labels(2, index * 7), &[0; 20]].concat();
                next.record(1, &[0], 6, 1, 1, &data)
            })
        }),
        (
            "a pointer to itself",
            fill(answer("a"), |next| {
                let at = u16::try_from(next.0.len() + 11).unwrap() & 0x3fff;
                next.record(1, &[0], 5, 1, 1, &(0xc000 | at).to_be_bytes())
            }),
        ),
        (
            "two pointers to each other",
            fill(answer("a"), |next| {
                let at = u16::try_from(next.0.len() + 11).unwrap() & 0x3fff;
                next.record(1, &[0], 14, 1, 1, &[0xc000 | (at + 2), 0xc000 | at].map(u16::to_be_bytes).concat())
            }),
        ),
        ("nothing but pointers", vec![0xc0; 65_535]),
        ("nothing but ones", vec![1; 65_535]),
        ("unprintable text", answer("a").answer(16, &[&[255][..], &[200; 255]].concat().repeat(255)).0),
        ("records of nothing", fill(answer("a"), |next| next.record(1, &[0], 10, 1, 1, &[]))),
        ("SVCB keys", answer("a").answer(65, &[&b"\0\x01\0"[..], &b"\xff\xfe\0\0".repeat(16_000)].concat()).0),
        ("hints", answer("a").answer(65, &[&b"\0\x01\0\0\x04\xfa\0"[..], &[7; 64_000]].concat()).0),
        (
            "types",
            answer("a")
                .answer(
                    47,
                    &[
                        &[0][..],
                        &(0..255).flat_map(|block| [&[block, 32][..], &[255; 32]].concat()).collect::<Vec<_>>(),
                    ]
                    .concat(),
                )
                .0,
        ),
        ("a signature", answer("a").answer(48, &[7; 65_000]).0),
        ("extended errors", answer("a").opt(512, 0, &b"\0\x0f\0\x02\0\x01".repeat(10_000)).0),
    ]
}

#[test]
fn bombs_cost_less_than_their_bound() {
    for (bomb, bytes) in bombs() {
        let (duration, message) = quickest(&bytes);
        let length = read_all(&message);
        println!("{bomb:40} {:6} bytes {duration:10.1?} {length:7} {:?}", bytes.len(), message.malformed);
        assert!(duration < BOUND, "{bomb}: {duration:?}");
    }
}

proptest! {
    #![proptest_config(super::property())]

    #[test]
    fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..600), kind in 0_usize..3) {
        let kind = [Kind::Dns, Kind::Mdns, Kind::Llmnr][kind];
        let mut message = Message::default();
        if message.decode(&bytes, kind).is_ok() {
            read_all(&message);
        }
    }

    /// Reasonable headers, so that more of it is read; every type comes to its turn.
    #[test]
    fn any_data(rtype in prop_oneof![0_u16..300, any::<u16>()], data in prop::collection::vec(prop_oneof![any::<u8>(), 0_u8..4, Just(0xc0), Just(0x0c)], 0..80)) {
        let bytes = answer("example.com").answer(rtype, &data).answer(1, &[192, 0, 2, 1]).0;
        let message = decode(&bytes);
        read_all(&message);
        prop_assert_eq!(message.records().len(), 2);
        prop_assert_eq!(message.records().last().unwrap().data, "192.0.2.1");
    }

    #[test]
    fn a_message_read_after_another_is_the_same(first in prop::collection::vec(any::<u8>(), 12..200), which in 0_usize..5) {
        let bytes = &valid()[which];
        let mut used = Message::default();
        used.decode(&first, Kind::Dns).unwrap();
        used.decode(bytes, Kind::Dns).unwrap();
        let fresh = decode(bytes);
        prop_assert!(used.records().eq(fresh.records()) && used.questions().eq(fresh.questions()));
        prop_assert_eq!((used.malformed, used.edns, used.rcode), (fresh.malformed, fresh.edns, fresh.rcode));
    }
}

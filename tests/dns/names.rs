//! The spelling of names, for any bytes.

use dnstrail::dns::Message;
use proptest::prelude::*;

use super::{Builder, QUERY, answer, decode, name, query};

/// The labels that a presented name stands for: the way back.
fn labels(text: &str) -> Vec<Vec<u8>> {
    let mut labels = vec![Vec::new()];
    if text == "." {
        return Vec::new();
    }
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'.' => labels.push(Vec::new()),
            b'\\' => {
                let next = bytes.next().unwrap();
                let meant = if next.is_ascii_digit() {
                    let digits = [next, bytes.next().unwrap(), bytes.next().unwrap()];
                    str::from_utf8(&digits).unwrap().parse().unwrap()
                } else {
                    next
                };
                labels.last_mut().unwrap().push(meant);
            }
            byte => labels.last_mut().unwrap().push(byte),
        }
    }
    labels
}

fn wire(labels: &[Vec<u8>]) -> Vec<u8> {
    let mut wire = Vec::new();
    for label in labels {
        wire.push(u8::try_from(label.len()).unwrap());
        wire.extend(label);
    }
    wire.push(0);
    wire
}

fn read(wire: &[u8]) -> Message {
    decode(&Builder::new(1, QUERY).question(wire, 1, 1).0)
}

fn spelt(wire: &[u8]) -> String {
    let message = read(wire);
    assert_eq!(message.malformed, None);
    message.questions().next().unwrap().name.to_owned()
}

#[test]
fn spelling() {
    assert_eq!(spelt(b"\0"), ".");
    assert_eq!(spelt(&name("wWw.ExAmPlE.cOm")), "www.example.com");
    assert_eq!(spelt(&name("XN--Bcher-KVA.example")), "xn--bcher-kva.example");
    assert_eq!(spelt(b"\x03a.b\x03com\0"), r"a\.b.com");
    assert_eq!(spelt(b"\x01.\0"), r"\.");
    assert_eq!(spelt(b"\x05a\"b\\c\0"), r#"a\"b\\c"#);
    assert_eq!(spelt(b"\x04\\065\0"), r"\\065");
    assert_eq!(spelt(b"\x06a\n\r\t\0b\0"), r"a\010\013\009\000b");
    assert_eq!(spelt(b"\x07b\xc3\xbccher\0"), r"b\195\188cher");
    assert_eq!(spelt(b"\x04\x7f\x80\xff \0"), r"\127\128\255 ");
    assert_eq!(spelt(b"\x05_dmar\x01-\x01*\0"), "_dmar.-.*");
}

#[test]
fn the_longest_labels_and_names() {
    let label = "x".repeat(63);
    assert_eq!(spelt(&name(&label)), label);
    // 255 bytes on the wire: 3 × 64, 62 and the root.
    let longest = [label.as_str(), &label, &label, &"y".repeat(61)].join(".");
    assert_eq!(name(&longest).len(), 255);
    assert_eq!(spelt(&name(&longest)), longest);
    let many = ["a"; 127].join(".");
    assert_eq!(name(&many).len(), 255);
    assert_eq!(spelt(&name(&many)), many);
    let escaped = [&[255_u8; 63][..], &[255; 63], &[255; 63], &[255; 61]].map(<[u8]>::to_vec);
    assert_eq!(labels(&spelt(&wire(&escaped))), escaped);
}

#[test]
fn a_name_too_long_is_not_valid() {
    let label = "x".repeat(63);
    // dnsmasq reads names of up to 1,025 bytes: sixteen labels, and the root.
    let longest = [label.as_str(); 16].join(".");
    assert_eq!(spelt(&name(&longest)), longest);
    let message = read(&name(&format!("a.{longest}")));
    assert_eq!((message.malformed, message.questions().len()), (Some("a name is not valid"), 0));
    // The same by a pointer: 1,019 bytes are fine, 7 more before them are not.
    let base = [[label.as_str(); 15].join("."), "y".repeat(58)].join(".");
    let read = decode(&answer(&base).answer(5, b"\x04cdef\xc0\x0c").0);
    assert_eq!(read.records().next().unwrap().data, format!("cdef.{base}"));
    let read = decode(&answer(&base).answer(5, b"\x06cdefgh\xc0\x0c").0);
    assert_eq!(read.malformed, Some("the data of a record is not what its type says"));
}

#[test]
fn compression() {
    let message = decode(
        &query("www.example.com")
            .record(1, b"\xc0\x0c", 5, 1, 1, b"\x01A\xc0\x10")
            // Pointers to the CNAME's target, to a pointer that leads to it, to the tail of a name.
            .record(1, b"\xc0\x2d", 5, 1, 1, b"\xc0\x2d")
            .record(1, b"\x01b\xc0\x3d", 1, 1, 1, &[192, 0, 2, 1])
            .record(2, b"\xc0\x10", 2, 1, 1, b"\xc0\x18")
            .0,
    );
    assert_eq!(message.malformed, None);
    let found: Vec<_> = message.records().map(|record| (record.name, record.data)).collect();
    let expected =
        [("www.example.com", "a.example.com"), ("a.example.com", "a.example.com"), ("b.a.example.com", "192.0.2.1")];
    assert_eq!(found[..3], expected);
}

/// dnsmasq and large public resolvers follow a pointer in either direction (U10).
#[test]
fn pointers_that_lead_forward() {
    // The question's last labels stand behind it.
    let bytes = [&Builder::new(1, QUERY).question(b"\x01a\xc0\x14", 1, 1).0[..], b"\x07example\x00"].concat();
    let message = decode(&bytes);
    assert_eq!(message.questions().next().unwrap().name, "a.example");
    assert!(message.is_dns);
    // Into the header, where zeros are the root.
    assert_eq!(spelt(b"\x01a\xc0\x0a"), "a");
    // One after the other, and back.
    let bytes = [&Builder::new(1, QUERY).question(b"\xc0\x12", 1, 1).0[..], b"\x01b\xc0\x16\x04test\x00"].concat();
    assert_eq!(decode(&bytes).questions().next().unwrap().name, "b.test");
    // A circle holds no name.
    for circle in [&b"\xc0\x0c"[..], b"\x01a\xc0\x0c", b"\xc0\x0e\xc0\x0c"] {
        assert_eq!(read(circle).questions().len(), 0, "{circle:?}");
    }
}

fn label() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![any::<u8>(), Just(b'.'), Just(b'\\'), Just(b'"'), b'a'..=b'z', b'A'..=b'Z', b'0'..=b'9'];
    prop::collection::vec(byte, 1..=63)
}

proptest! {
    #![proptest_config(super::property())]

    #[test]
    fn names_round_trip(name in prop::collection::vec(label(), 0..=3)) {
        let text = spelt(&wire(&name));
        let lower: Vec<_> = name.iter().map(|label| label.to_ascii_lowercase()).collect();
        prop_assert_eq!(labels(&text), lower);
        prop_assert!(text.bytes().all(|byte| (0x20..0x7f).contains(&byte)));
    }

    /// Two names that differ do not share a spelling, unless by case.
    #[test]
    fn names_do_not_forge_each_other(one in prop::collection::vec(label(), 0..=2), two in prop::collection::vec(label(), 0..=2)) {
        let same = one.iter().flatten().map(u8::to_ascii_lowercase).eq(two.iter().flatten().map(u8::to_ascii_lowercase))
            && one.iter().map(Vec::len).eq(two.iter().map(Vec::len));
        prop_assert_eq!(spelt(&wire(&one)) == spelt(&wire(&two)), same);
    }
}

//! The cost of reading a message, text of all its names and data included.

use std::hint::black_box;

use dnstrail::dns::{Kind, Message};
use dnstrail::name::Suffix;

use super::Bench;

pub fn bench(bench: &mut Bench) {
    let messages: [(&str, Vec<u8>); 10] = [
        ("dns/query", query()),
        ("dns/query+OPT", record(query(), 3, &[0], 41, &[])),
        ("dns/CNAME+4A+OPT", answer()),
        ("dns/4AAAA", addresses(4, 28, &[0x20; 16])),
        ("dns/NXDOMAIN+SOA", negative()),
        ("dns/HTTPS", service()),
        ("dns/TXT of 4 KB", record(query(), 1, b"\xc0\x0c", 16, &text())),
        ("dns/4094 A of 64 KB", addresses(4094, 1, &[192, 0, 2, 1])),
        ("dns/pointer bomb of 64 KB", bomb()),
        ("dns/forward pointers of 32 KB", forward()),
    ];
    for (name, bytes) in &messages {
        let mut message = Message::default();
        bench.measure(name, || {
            let read = message.decode(black_box(bytes), Kind::Dns);
            debug_assert!(read.is_ok());
            message.records().len()
        });
    }
    bench.measure("dns/suffix of www.example.co.uk", || Suffix::of(black_box("www.example.co.uk")));
    bench.measure("dns/suffix of a.b.c.someone.github.io", || Suffix::of(black_box("a.b.c.someone.github.io")));
}

/// A question whose name is a chain of pointers, each to the next.
fn forward() -> Vec<u8> {
    let mut message = query();
    message.truncate(12);
    message.extend((0..16_000_u16).flat_map(|step| (0xc000 | (14 + 2 * step) & 0x3fff).to_be_bytes()));
    message
}

fn query() -> Vec<u8> {
    b"\x12\x34\x01\0\0\x01\0\0\0\0\0\0\x03www\x07example\x03com\0\0\x01\0\x01".to_vec()
}

/// `section`: 1 answer, 2 authority, 3 additional.
fn record(mut message: Vec<u8>, section: usize, name: &[u8], rtype: u16, data: &[u8]) -> Vec<u8> {
    let at = 4 + 2 * section;
    let count = u16::from_be_bytes([message[at], message[at + 1]]) + 1;
    message[at..at + 2].copy_from_slice(&count.to_be_bytes());
    message.extend(name);
    message.extend(rtype.to_be_bytes());
    message.extend(b"\0\x01\0\0\x01\x2c");
    message.extend(u16::try_from(data.len()).expect("data of a record").to_be_bytes());
    message.extend(data);
    message
}

fn answer() -> Vec<u8> {
    let mut message = record(query(), 1, b"\xc0\x0c", 5, b"\x03www\x03cdn\xc0\x10");
    for last in 1..=4 {
        message = record(message, 1, b"\xc0\x2d", 1, &[192, 0, 2, last]);
    }
    record(message, 3, &[0], 41, &[])
}

fn addresses(count: usize, rtype: u16, address: &[u8]) -> Vec<u8> {
    (0..count).fold(query(), |message, _| record(message, 1, b"\xc0\x0c", rtype, address))
}

fn negative() -> Vec<u8> {
    let soa = [&b"\x02ns\xc0\x10\x0ahostmaster\xc0\x10"[..], &1_700_000_000_u32.to_be_bytes().repeat(5)].concat();
    record(query(), 2, b"\xc0\x10", 6, &soa)
}

fn service() -> Vec<u8> {
    let data = b"\0\x01\0\0\x01\0\x06\x02h3\x02h2\0\x04\0\x08\xc0\0\x02\x01\xc0\0\x02\x02";
    record(query(), 1, b"\xc0\x0c", 65, data)
}

fn text() -> Vec<u8> {
    let string = [&[255_u8][..], &[b'x'; 255]].concat();
    string.repeat(16)
}

/// Records under names of up to 127 labels, each at another place, as pointers allow it.
fn bomb() -> Vec<u8> {
    let mut message = b"\x12\x34\x81\x80\0\x01\0\0\0\0\0\0".to_vec();
    message.extend(b"\x01a".repeat(127));
    message.extend(b"\0\0\x01\0\x01");
    for place in (0_u16..).step_by(2).take_while(|place| *place < 9200) {
        let name = (0xc000 | (12 + place % 250)).to_be_bytes();
        let data = (0xc000 | (12 + place * 7 % 250)).to_be_bytes();
        message = record(message, 1, &name, 2, &data);
    }
    message
}

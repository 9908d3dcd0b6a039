//! DNS queries of every shape that a program may send, and that a server may answer all the same.

use super::random::Random;

/// A query as it goes over the wire, and what its first question asks for.
pub struct Query {
    pub bytes: Vec<u8>,
    /// The label that no other query has.
    pub token: String,
}

const TYPES: [u16; 16] = [1, 28, 16, 15, 2, 6, 12, 33, 35, 64, 65, 255, 252, 0, 41, 65_535];
const CLASSES: [u16; 6] = [1, 1, 1, 3, 255, 2];

/// The largest padding: the datagram is then sent in fragments.
const PADDING: usize = 4000;

impl Query {
    pub fn random(random: &mut Random, token: String) -> Self {
        let mut bytes = header(random);
        let questions = match random.below(24) {
            0 => 0,
            1 => 2,
            2 => 3,
            _ => 1,
        };
        bytes[5] = questions;
        let mut tail = Vec::new();
        for _ in 0..questions.max(1) {
            question(random, &token, &mut bytes, &mut tail);
        }
        if random.one_in(24) {
            // An answer or an authority record in a query: its name is the first question's.
            bytes[random.pick(&[7, 9])] = 1;
            bytes.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 1]);
        }
        options(random, &mut bytes);
        if random.one_in(48) {
            // The header counts what is not there.
            bytes[random.pick(&[5, 7, 9, 11])] += 1;
        }
        if !tail.is_empty() {
            // Names whose last labels stand behind everything else.
            let place = u16::try_from(bytes.len()).expect("a short message") | 0xc000;
            for at in tail {
                bytes[at..at + 2].copy_from_slice(&place.to_be_bytes());
            }
            bytes.extend(b"\x04test\x00");
        }
        if random.one_in(24) {
            let length = random.below(40);
            bytes.extend(std::iter::repeat_n(0xaa, length));
        }
        Self { bytes, token }
    }

    /// An ordinary query of exactly `length` bytes.
    pub fn padded(random: &mut Random, token: String, length: usize) -> Self {
        let mut bytes = header(random);
        bytes[2] &= 1;
        bytes[3] = 0;
        bytes[5] = 1;
        bytes[11] = 1;
        name(&mut bytes, &[token.as_bytes(), b"test"]);
        bytes.extend([0, 1, 0, 1]);
        // EDNS with the padding option (RFC 7830).
        let padding = u16::try_from(length - bytes.len() - 15).expect("room for the padding");
        bytes.extend([0, 0, 41, 16, 0, 0, 0, 0, 0]);
        bytes.extend((padding + 4).to_be_bytes());
        bytes.extend([0, 12]);
        bytes.extend(padding.to_be_bytes());
        bytes.resize(length, 0);
        Self { bytes, token }
    }
}

fn header(random: &mut Random) -> Vec<u8> {
    let mut bytes = vec![0; 12];
    bytes[0] = random.byte();
    bytes[1] = random.byte();
    // RD, or a few other bits of that byte: AA, TC, an opcode, now and then QR.
    bytes[2] = match random.below(16) {
        0 => 0x05,
        1 => 0x03,
        2 => u8::try_from(random.below(16)).expect("four bits") << 3,
        3 if random.one_in(4) => 0x81,
        4 => 0,
        _ => 1,
    };
    // RA, Z, AD, CD and a response code.
    bytes[3] = match random.below(16) {
        0 => 0x40,
        1 => 0x80,
        2 => 0x20,
        3 => 0x10,
        4 => u8::try_from(random.below(16)).expect("four bits"),
        5 => random.byte(),
        _ => 0,
    };
    bytes
}

fn question(random: &mut Random, token: &str, bytes: &mut Vec<u8>, tail: &mut Vec<usize>) {
    let token = mixed(random, token);
    let mut labels = vec![token];
    match random.below(16) {
        0 => labels.push(vec![b'a' + random.byte() % 26; 63]),
        1 => labels.extend((0..random.below(90)).map(|_| vec![b'a' + random.byte() % 26])),
        2 => labels.push((0..=random.below(20)).map(|_| random.byte()).collect()),
        3 => labels.push(b"dots.in a\\label\"".to_vec()),
        4 => labels.push(b"_\x00*".to_vec()),
        _ => {}
    }
    let labels: Vec<&[u8]> = labels.iter().map(Vec::as_slice).collect();
    match random.below(24) {
        0 => {
            // The rest of the name is a pointer to what comes behind everything.
            labels_only(bytes, &labels);
            tail.push(bytes.len());
            bytes.extend([0xc0, 0]);
        }
        1 => {
            // The root is a pointer to a zero byte of the header.
            labels_only(bytes, &labels);
            labels_only(bytes, &[b"test"]);
            bytes.extend([0xc0, 4]);
        }
        _ => name(bytes, &[&labels[..], &[b"test"]].concat()),
    }
    let qtype = if random.one_in(3) { random.pick(&TYPES) } else { 1 };
    let class = if random.one_in(8) { random.pick(&CLASSES) } else { 1 };
    bytes.extend(qtype.to_be_bytes());
    bytes.extend(class.to_be_bytes());
}

/// No OPT record, one, or two; with options, padding, a version that does not exist, a wrong length.
fn options(random: &mut Random, bytes: &mut Vec<u8>) {
    let count = match random.below(16) {
        0..=7 => 0,
        8 => 2,
        _ => 1,
    };
    bytes[11] += count;
    for _ in 0..count {
        let version = u8::from(random.one_in(16));
        let dnssec = if random.one_in(2) { 0x80 } else { 0 };
        bytes.extend([0, 0, 41, 16, 0, 0, version, dnssec, 0]);
        let mut data = Vec::new();
        if random.one_in(4) {
            data.extend([0, 10, 0, 8, 1, 2, 3, 4, 5, 6, 7, 8]);
        }
        if random.one_in(6) {
            data.extend([0, 8, 0, 7, 0, 1, 24, 0, 192, 0, 2]);
        }
        if random.one_in(3) {
            let most = if random.one_in(4) { PADDING } else { 100 };
            let length = random.below(most);
            data.extend([0, 12]);
            data.extend(u16::try_from(length).expect("below the longest message").to_be_bytes());
            data.resize(data.len() + length, 0);
        }
        let length = data.len() - usize::from(!data.is_empty() && random.one_in(40));
        bytes.extend(u16::try_from(length).expect("below the longest message").to_be_bytes());
        bytes.extend(data);
    }
}

/// Each letter in either case.
fn mixed(random: &mut Random, token: &str) -> Vec<u8> {
    let mixes = random.one_in(4);
    token.bytes().map(|byte| if mixes && random.one_in(2) { byte.to_ascii_uppercase() } else { byte }).collect()
}

fn name(bytes: &mut Vec<u8>, labels: &[&[u8]]) {
    labels_only(bytes, labels);
    bytes.push(0);
}

fn labels_only(bytes: &mut Vec<u8>, labels: &[&[u8]]) {
    for label in labels {
        bytes.push(u8::try_from(label.len()).expect("at most 63 bytes"));
        bytes.extend(*label);
    }
}

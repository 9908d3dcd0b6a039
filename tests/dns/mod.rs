//! Messages made byte by byte, and what is read from them.

mod hostile;
mod messages;
mod names;
mod records;

use dnstrail::dns::{Kind, Message};

/// A name of plain labels, uncompressed.
pub fn name(text: &str) -> Vec<u8> {
    let mut wire = Vec::new();
    for label in text.split('.').filter(|label| !label.is_empty()) {
        wire.push(u8::try_from(label.len()).unwrap());
        wire.extend(label.bytes());
    }
    wire.push(0);
    wire
}

/// A message under construction. Each part counts itself.
#[derive(Clone)]
pub struct Builder(pub Vec<u8>);

impl Builder {
    pub fn new(id: u16, flags: u16) -> Self {
        let mut bytes = [id.to_be_bytes(), flags.to_be_bytes()].concat();
        bytes.resize(12, 0);
        Self(bytes)
    }

    pub fn count(&mut self, section: usize, more: u16) {
        let at = 4 + 2 * section;
        let count = u16::from_be_bytes([self.0[at], self.0[at + 1]]) + more;
        self.0[at..at + 2].copy_from_slice(&count.to_be_bytes());
    }

    pub fn question(mut self, name: &[u8], qtype: u16, class: u16) -> Self {
        self.count(0, 1);
        self.0.extend(name);
        self.0.extend([qtype, class].map(u16::to_be_bytes).concat());
        self
    }

    /// `section`: 1 answer, 2 authority, 3 additional.
    pub fn record(mut self, section: usize, name: &[u8], rtype: u16, class: u16, ttl: u32, data: &[u8]) -> Self {
        self.count(section, 1);
        self.0.extend(name);
        self.0.extend([rtype, class].map(u16::to_be_bytes).concat());
        self.0.extend(ttl.to_be_bytes());
        self.0.extend(u16::try_from(data.len()).unwrap().to_be_bytes());
        self.0.extend(data);
        self
    }

    pub fn answer(self, rtype: u16, data: &[u8]) -> Self {
        self.record(1, b"\xc0\x0c", rtype, 1, 300, data)
    }

    pub fn opt(self, udp_size: u16, ttl: u32, options: &[u8]) -> Self {
        self.record(3, &[0], 41, udp_size, ttl, options)
    }
}

pub const QUERY: u16 = 0x0100;
pub const ANSWER: u16 = 0x8180;

pub fn query(text: &str) -> Builder {
    Builder::new(0x1234, QUERY).question(&name(text), 1, 1)
}

pub fn answer(text: &str) -> Builder {
    Builder::new(0x1234, ANSWER).question(&name(text), 1, 1)
}

/// The settings of a property test. No file of failures is kept: a failure becomes a test.
pub fn property() -> proptest::test_runner::Config {
    proptest::test_runner::Config { failure_persistence: None, ..Default::default() }
}

pub fn decode(bytes: &[u8]) -> Message {
    let mut message = Message::default();
    message.decode(bytes, Kind::Dns).unwrap();
    message
}

//! Writes wire data as ASCII text into one reused buffer: names, strings, numbers, addresses.
//! Everything that is not printable ASCII leaves here as `\DDD`, so any content of a message stays inside its field
//! and its line. `data` knows the meaning of the data.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Datelike, Timelike};

use crate::invariant::Invariant;

/// A part of the text of a message.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Span {
    start: u32,
    end: u32,
}

impl Span {
    pub(super) fn of(self, text: &str) -> &str {
        text.get(self.start as usize..self.end as usize).holds()
    }
}

/// Only ASCII is ever written, so that the whole is valid UTF-8 and is checked once, at the end.
#[derive(Debug, Default)]
pub(super) struct Text(Vec<u8>);

/// Bytes that stand for themselves in a label, once in lower case. The others are escaped: a dot,
/// a quote and a backslash by a backslash, what is not printable as `\DDD`.
const PLAIN: [bool; 256] = {
    let mut plain = [false; 256];
    let mut byte = 0x20;
    while byte < 0x7f {
        plain[byte as usize] = !matches!(byte, b'.' | b'"' | b'\\');
        byte += 1;
    }
    plain
};

impl Text {
    /// Takes over the memory of an earlier text, not its content.
    pub(super) fn reuse(text: &mut String) -> Self {
        let mut bytes = std::mem::take(text).into_bytes();
        bytes.clear();
        Self(bytes)
    }

    pub(super) fn finish(self) -> String {
        String::from_utf8(self.0).ok().holds()
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Takes back everything from `start` on.
    pub(super) fn truncate(&mut self, start: usize) {
        self.0.truncate(start);
    }

    /// The text that was written from `start` on.
    pub(super) fn since(&self, start: usize) -> Span {
        // The buffer's bounds (see `decode`) keep it far below 4 GB.
        let offset = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
        Span { start: offset(start), end: offset(self.0.len()) }
    }

    pub(super) fn holds(&self, span: Span) -> bool {
        span.end as usize <= self.0.len()
    }

    /// Writes again what was written before.
    pub(super) fn copy(&mut self, span: Span) -> Span {
        let start = self.0.len();
        if self.holds(span) {
            self.0.extend_from_within(span.start as usize..span.end as usize);
        }
        self.since(start)
    }

    pub(super) fn byte(&mut self, ascii: u8) {
        self.0.push(ascii);
    }

    pub(super) fn plain(&mut self, ascii: &str) {
        self.0.extend_from_slice(ascii.as_bytes());
    }

    /// One label of a name, in lower case.
    pub(super) fn label(&mut self, label: &[u8]) {
        if label.iter().all(|byte| PLAIN[usize::from(*byte)]) {
            self.0.extend(label.iter().map(u8::to_ascii_lowercase));
        } else {
            for byte in label {
                match byte {
                    b'.' => self.0.extend_from_slice(b"\\."),
                    byte => self.escaped(byte.to_ascii_lowercase()),
                }
            }
        }
    }

    fn escaped(&mut self, byte: u8) {
        match byte {
            b'"' | b'\\' => self.0.extend_from_slice(&[b'\\', byte]),
            0x20..=0x7e => self.0.push(byte),
            _ => {
                let digit = |value: u8| b'0' + value % 10;
                self.0.extend_from_slice(&[b'\\', digit(byte / 100), digit(byte / 10), digit(byte)]);
            }
        }
    }

    /// Bytes as text, escaped, without quotes around it.
    pub(super) fn escape(&mut self, bytes: &[u8]) {
        if bytes.iter().all(|byte| PLAIN[usize::from(*byte)] || *byte == b'.') {
            self.0.extend_from_slice(bytes);
        } else {
            for byte in bytes {
                self.escaped(*byte);
            }
        }
    }

    /// A character-string of RFC 1035 5.1.
    pub(super) fn quoted(&mut self, bytes: &[u8]) {
        self.0.push(b'"');
        self.escape(bytes);
        self.0.push(b'"');
    }

    /// One identifier of a list inside a quoted string, where a comma and a backslash are
    /// escaped once for the list and once for the string (RFC 9460 A.1).
    pub(super) fn list_item(&mut self, bytes: &[u8]) {
        for byte in bytes {
            match byte {
                b',' => self.0.extend_from_slice(b"\\\\,"),
                b'\\' => self.0.extend_from_slice(b"\\\\\\\\"),
                byte => self.escaped(*byte),
            }
        }
    }

    pub(super) fn number(&mut self, value: impl Into<u64>) {
        self.plain(itoa::Buffer::new().format(value.into()));
    }

    pub(super) fn hex(&mut self, bytes: &[u8]) {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        self.0.extend(bytes.iter().flat_map(|byte| [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]));
    }

    /// Writes base64 with padding (RFC 4648 4).
    pub(super) fn base64(&mut self, bytes: &[u8]) {
        let start = self.0.len();
        self.0.resize(start + base64::encoded_len(bytes.len(), true).holds(), 0);
        STANDARD.encode_slice(bytes, self.0.get_mut(start..).holds()).ok().holds();
    }

    /// Data of a type that is not known, or that is not what its type says (RFC 3597 5).
    pub(super) fn unknown(&mut self, data: &[u8]) {
        self.plain("\\# ");
        self.number(data.len() as u64);
        if !data.is_empty() {
            self.byte(b' ');
            self.hex(data);
        }
    }

    pub(super) fn ipv4(&mut self, address: Ipv4Addr) {
        for (index, octet) in address.octets().into_iter().enumerate() {
            if index > 0 {
                self.0.push(b'.');
            }
            self.number(octet);
        }
    }

    /// RFC 5952.
    pub(super) fn ipv6(&mut self, address: Ipv6Addr) {
        if let Some(mapped) = address.to_ipv4_mapped() {
            self.plain("::ffff:");
            return self.ipv4(mapped);
        }
        let groups = address.segments();
        let (gap, gap_end) = longest_zeros(groups);
        for (index, group) in groups.into_iter().enumerate() {
            if (gap..gap_end).contains(&index) {
                if index == gap {
                    self.plain("::");
                }
                continue;
            }
            if index > 0 && index != gap_end {
                self.0.push(b':');
            }
            let high = group.to_be_bytes()[0];
            let low = group.to_be_bytes()[1];
            let start = self.0.len();
            for nibble in [high >> 4, high & 15, low >> 4, low & 15] {
                if nibble != 0 || self.0.len() > start {
                    self.0.push(if nibble < 10 { b'0' + nibble } else { b'a' + nibble - 10 });
                }
            }
            if self.0.len() == start {
                self.0.push(b'0');
            }
        }
    }

    /// `YYYYMMDDHHmmSS` in UTC (RFC 4034 3.2).
    pub(super) fn time(&mut self, seconds: u32) {
        let time = DateTime::from_timestamp_secs(seconds.into()).holds();
        let (year, month, day) = (time.year().cast_unsigned(), time.month(), time.day());
        let fields = [(year, 4), (month, 2), (day, 2), (time.hour(), 2), (time.minute(), 2), (time.second(), 2)];
        for (value, width) in fields {
            // Writing to memory does not fail.
            let _ = fmt::Write::write_fmt(self, format_args!("{value:0width$}"));
        }
    }
}

/// The displays of `domain` write by this. They are ASCII; anything else would be escaped.
impl fmt::Write for Text {
    fn write_str(&mut self, part: &str) -> fmt::Result {
        if part.is_ascii() {
            self.plain(part);
        } else {
            self.escape(part.as_bytes());
        }
        Ok(())
    }
}

/// The first longest run of at least two zero groups, or an empty one beyond the address.
fn longest_zeros(groups: [u16; 8]) -> (usize, usize) {
    let mut longest = (8, 8);
    let mut length = 1;
    let mut start = 0;
    for (index, group) in groups.into_iter().enumerate() {
        if group != 0 {
            start = index + 1;
        } else if index + 1 - start > length {
            length = index + 1 - start;
            longest = (start, index + 1);
        }
    }
    longest
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn written(write: impl FnOnce(&mut Text)) -> String {
        let mut text = Text::default();
        write(&mut text);
        text.finish()
    }

    #[test]
    fn times() {
        let time = |seconds| written(|text| text.time(seconds));
        assert_eq!(time(0), "19700101000000");
        assert_eq!(time(951_782_399), "20000228235959");
        assert_eq!(time(951_782_400), "20000229000000");
        assert_eq!(time(951_868_800), "20000301000000");
        assert_eq!(time(1_767_225_599), "20251231235959");
        assert_eq!(time(4_107_542_399), "21000228235959");
        assert_eq!(time(4_107_542_400), "21000301000000");
        assert_eq!(time(u32::MAX), "21060207062815");
    }

    #[test]
    fn base64_of_every_remainder() {
        // RFC 4648 10.
        for (bytes, digits) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")] {
            assert_eq!(written(|text| text.base64(bytes.as_bytes())), digits);
        }
        assert_eq!(written(|text| text.base64(&[0xff, 0xef, 0xbe])), "/+++");
    }

    #[test]
    fn numbers() {
        for value in [0, 1, 9, 10, 99, 100, 65_535, u64::MAX] {
            assert_eq!(written(|text| text.number(value)), value.to_string());
        }
    }

    #[test]
    fn list_items_are_escaped_for_the_list_and_for_the_string() {
        assert_eq!(written(|text| text.list_item(b"f\\oo,bar")), r"f\\\\oo\\,bar");
    }

    proptest! {
        #[test]
        fn ipv4_as_the_standard_library(address: Ipv4Addr) {
            prop_assert_eq!(written(|text| text.ipv4(address)), address.to_string());
        }

        #[test]
        fn ipv6_as_the_standard_library(groups in prop::array::uniform8(prop_oneof![Just(0_u16), Just(0xffff), any::<u16>()])) {
            let address = Ipv6Addr::from(groups);
            prop_assert_eq!(written(|text| text.ipv6(address)), address.to_string());
        }

        #[test]
        fn only_printable_ascii(bytes: Vec<u8>) {
            let text = written(|text| text.quoted(&bytes));
            prop_assert!(text.bytes().all(|byte| (0x20..0x7f).contains(&byte)));
        }
    }
}

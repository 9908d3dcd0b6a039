//! Text as JSON holds it: how long it becomes, where it can be cut, and the texts that are made
//! on the way to the line without a heap allocation.

use std::fmt::{self, Display, Write};
use std::net::IpAddr;

use serde::{Serialize, Serializer};

use super::json::Piece;
use crate::dns::{Class, Opcode, Rcode, Type};

/// Bytes that JSON adds to one byte of a string as `serde_json` writes it (RFC 8259 7): quotes,
/// backslashes and five controls take one more, the other controls five. Bytes of characters
/// beyond ASCII stay as they are.
fn added(byte: u8) -> usize {
    match byte {
        b'"' | b'\\' | b'\n' | b'\r' | b'\t' | 0x08 | 0x0c => 1,
        0..=0x1f => 5,
        _ => 0,
    }
}

fn escaped(bytes: &[u8]) -> usize {
    bytes.len() + bytes.iter().map(|byte| added(*byte)).sum::<usize>()
}

/// No byte takes more than six.
const LONGEST: usize = 6;

/// The longest beginning of `text` that takes no more than `limit` bytes inside a JSON string.
pub(super) fn beginning(text: &str, limit: usize) -> &str {
    if text.len() <= limit / LONGEST {
        return text;
    }
    let mut left = limit;
    for (at, character) in text.char_indices() {
        let bytes = text.as_bytes().get(at..at + character.len_utf8()).unwrap_or_default();
        match left.checked_sub(escaped(bytes)) {
            Some(rest) => left = rest,
            None => return text.get(..at).unwrap_or_default(),
        }
    }
    text
}

/// Bytes that `text` takes inside a JSON string, or `None` when they are more than `limit`.
pub(super) fn escaped_length(text: &str, limit: usize) -> Option<usize> {
    if text.len() > limit {
        return None;
    }
    let length = escaped(text.as_bytes());
    (length <= limit).then_some(length)
}

/// An address, written once for the several fields that hold it, with its quotes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Address {
    json: [u8; LONGEST_ADDRESS],
    length: usize,
}

/// `"ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255"`
const LONGEST_ADDRESS: usize = 47;

/// Each octet with a dot behind it, and how many of these bytes are used.
static OCTETS: [([u8; 4], usize); 256] = octets();

const fn octets() -> [([u8; 4], usize); 256] {
    let mut all = [([b'.'; 4], 0); 256];
    let mut octet = 0;
    while octet < all.len() {
        let digits = [octet / 100, octet / 10 % 10, octet % 10];
        let unused = if octet >= 100 {
            0
        } else if octet >= 10 {
            1
        } else {
            2
        };
        let mut position = unused;
        while position < digits.len() {
            all[octet].0[position - unused] = b"0123456789"[digits[position]];
            position += 1;
        }
        all[octet].1 = digits.len() - unused + 1;
        octet += 1;
    }
    all
}

impl Address {
    pub(super) fn new(address: IpAddr) -> Self {
        let mut text = Self { json: [b'"'; LONGEST_ADDRESS], length: 1 };
        match address {
            // The formatter of the standard library costs more than the rest of the field.
            IpAddr::V4(address) => {
                for octet in address.octets() {
                    let (digits, used) = OCTETS.get(usize::from(octet)).copied().unwrap_or_default();
                    text.push(&digits);
                    text.length -= digits.len() - used;
                }
                // The last one has no dot behind it.
                text.length -= 1;
            }
            // It cannot fail: the longest address has room.
            IpAddr::V6(address) => drop(write!(text, "{address}")),
        }
        text.push(b"\"");
        text
    }

    fn push(&mut self, bytes: &[u8]) -> Option<()> {
        self.json.get_mut(self.length..self.length + bytes.len())?.copy_from_slice(bytes);
        self.length += bytes.len();
        Some(())
    }
}

impl Write for Address {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.push(text.as_bytes()).ok_or(fmt::Error)
    }
}

impl Serialize for Address {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Piece(self.json.get(..self.length).unwrap_or_default()).serialize(serializer)
    }
}

/// What is not text and yet a keyword in ECS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Keyword<T>(pub T);

impl<T: Display> Serialize for Keyword<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

/// A number that is a keyword in ECS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Id(pub u32);

impl Serialize for Id {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut json = *b"\"0000000000\"";
        let mut first = json.len() - 1;
        let mut number = self.0;
        while let Some(digit) = first.checked_sub(1).and_then(|before| json.get_mut(before)) {
            *digit = b'0' + u8::try_from(number % 10).unwrap_or(0);
            number /= 10;
            first -= 1;
            if number == 0 {
                break;
            }
        }
        first -= 1;
        if let Some(quote) = json.get_mut(first) {
            *quote = b'"';
        }
        Piece(json.get(first..).unwrap_or_default()).serialize(serializer)
    }
}

/// A number that has a mnemonic, mostly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Mnemonic<T>(pub T);

macro_rules! mnemonic {
    ($($number:ty),+) => {
        $(impl Serialize for Mnemonic<$number> {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                match self.0.mnemonic() {
                    // Nothing in it is escaped.
                    Some(mnemonic) => serializer.serialize_unit_variant("Mnemonic", 0, mnemonic),
                    None => serializer.collect_str(&self.0),
                }
            }
        })+
    };
}

mnemonic!(Type, Class, Opcode, Rcode);

/// A name as the kernel keeps it: NUL-padded, any bytes; those that are not UTF-8 are replaced.
#[derive(Debug, Clone, Copy)]
pub(super) struct KernelName<'a>(pub &'a [u8]);

impl Serialize for KernelName<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match str::from_utf8(self.bytes()) {
            Ok(name) => serializer.serialize_str(name),
            Err(_) => serializer.collect_str(self),
        }
    }
}

impl KernelName<'_> {
    fn bytes(&self) -> &[u8] {
        self.0.split(|byte| *byte == 0).next().unwrap_or_default()
    }
}

impl Display for KernelName<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for chunk in self.bytes().utf8_chunks() {
            formatter.write_str(chunk.valid())?;
            if !chunk.invalid().is_empty() {
                formatter.write_char(char::REPLACEMENT_CHARACTER)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::ecs::json::in_line;

    fn in_json(text: &str) -> usize {
        serde_json::to_string(text).unwrap().len() - 2
    }

    proptest! {
        #[test]
        fn lengths_are_those_of_json(text in "(\\PC|[\\x00-\\x7f]){0,40}", limit in 0_usize..200) {
            let length = in_json(&text);
            prop_assert_eq!(escaped_length(&text, limit), (length <= limit).then_some(length));
            let cut = beginning(&text, limit);
            prop_assert!(text.starts_with(cut) && in_json(cut) <= limit);
            let next = text[cut.len()..].chars().next();
            prop_assert!(next.is_none_or(|next| in_json(cut) + in_json(&next.to_string()) > limit));
        }

        #[test]
        fn addresses_are_written_as_the_library_does(four: [u8; 4], six: [u8; 16]) {
            for address in [IpAddr::from(four), IpAddr::from(six)] {
                prop_assert_eq!(in_line(&Address::new(address)), format!("\"{address}\""));
            }
        }
    }

    #[test]
    fn numbers_as_keywords() {
        let number = |id| in_line(&Id(id));
        assert_eq!([0, 7, 65_535, u32::MAX].map(number), [r#""0""#, r#""7""#, r#""65535""#, r#""4294967295""#]);
        assert_eq!(in_line(&(Mnemonic(Type(28)), Mnemonic(Type(65_280)))), r#"["AAAA","TYPE65280"]"#);
    }

    #[test]
    fn names_of_the_kernel() {
        assert_eq!(KernelName(b"kworker/0:1\0\0\0\0\0").to_string(), "kworker/0:1");
        assert_eq!(KernelName(b"caf\xc3\xa9\xff\xfe!\0xxxxxxx").to_string(), "café\u{fffd}\u{fffd}!");
        assert_eq!(KernelName(b"sixteen bytes ok").to_string(), "sixteen bytes ok");
        assert_eq!(KernelName(&[0; 16]).to_string(), "");
    }
}

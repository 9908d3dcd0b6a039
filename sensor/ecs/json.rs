//! Serde's data model as JSON (RFC 8259) at the end of a byte buffer. With `serde_json` a document
//! takes about twice as long: it looks for what to escape in the names of fields too, and writes
//! each comma and quote alone. What documents do not hold, such as enums with data, is left out.

mod compound;

use std::fmt::{self, Display, Write};

use serde::Serialize;
use serde::ser::{self, Impossible, Serializer};

use compound::{Compound, Parts};

/// The buffer that a value is written to.
#[derive(Debug)]
pub(super) struct Json<'a>(pub &'a mut Vec<u8>);

/// JSON that is written already: a text with its quotes, in which nothing is escaped, or an object.
#[derive(Debug)]
pub(super) struct Piece<'a>(pub &'a [u8]);

impl Serialize for Piece<'_> {
    #[inline]
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.0)
    }
}

/// A type that documents do not hold; never what a packet or a process says.
#[derive(Debug, thiserror::Error)]
#[error("{0} has no place in a document")]
pub(super) struct Unsupported(&'static str);

impl ser::Error for Unsupported {
    fn custom<T: Display>(_: T) -> Self {
        Self("an invalid value")
    }
}

/// Of JSON what each byte becomes in a text, if not itself.
fn escape(byte: u8) -> Option<u8> {
    match byte {
        b'"' | b'\\' => Some(byte),
        b'\n' => Some(b'n'),
        b'\r' => Some(b'r'),
        b'\t' => Some(b't'),
        0x08 => Some(b'b'),
        0x0c => Some(b'f'),
        0..=0x1f => Some(b'u'),
        _ => None,
    }
}

/// Nothing in it is escaped. Eight bytes are looked at together, as most texts are short.
#[inline]
fn is_plain(bytes: &[u8]) -> bool {
    const WORD: usize = size_of::<u64>();
    match bytes.last_chunk::<WORD>() {
        Some(last) => {
            let (words, _) = bytes.as_chunks::<WORD>();
            words.iter().fold(0, |found, word| found | escapes(*word)) | escapes(*last) == 0
        }
        None => bytes.iter().all(|byte| escape(*byte).is_none()),
    }
}

/// Not zero where one of eight bytes is escaped. A byte below `n` sets its top bit in `x - n`,
/// and had not set it in `x`.
fn escapes(bytes: [u8; 8]) -> u64 {
    const EACH: u64 = 0x0101_0101_0101_0101;
    let x = u64::from_le_bytes(bytes);
    let below = |x: u64, n: u64| x.wrapping_sub(EACH * n) & !x;
    let is = |byte: u8| below(x ^ (EACH * u64::from(byte)), 1);
    (below(x, 0x20) | is(b'"') | is(b'\\')) & (EACH << 7)
}

impl Json<'_> {
    fn text(&mut self, text: &str) {
        self.0.reserve(text.len() + 2);
        self.0.push(b'"');
        self.inside(text);
        self.0.push(b'"');
    }

    /// A part of a text.
    #[inline]
    fn inside(&mut self, text: &str) {
        if is_plain(text.as_bytes()) {
            self.0.extend_from_slice(text.as_bytes());
        } else {
            self.escaped(text);
        }
    }

    #[cold]
    fn escaped(&mut self, text: &str) {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        for byte in text.bytes() {
            match escape(byte) {
                None => self.0.push(byte),
                Some(b'u') => {
                    let [high, low] =
                        [byte >> 4, byte & 0xf].map(|digit| DIGITS.get(usize::from(digit)).copied().unwrap_or(b'0'));
                    self.0.extend_from_slice(&[b'\\', b'u', b'0', b'0', high, low]);
                }
                Some(letter) => self.0.extend_from_slice(&[b'\\', letter]),
            }
        }
    }

    /// A text that needs no escapes: it stands in this program.
    #[inline]
    fn literal(&mut self, text: &'static str) {
        self.0.reserve(text.len() + 2);
        self.0.push(b'"');
        self.0.extend_from_slice(text.as_bytes());
        self.0.push(b'"');
    }

    fn number(&mut self, mut number: u64) {
        let mut digits = [0; 20];
        let mut first = digits.len();
        for (position, digit) in digits.iter_mut().enumerate().rev() {
            *digit = b'0' + u8::try_from(number % 10).unwrap_or(0);
            number /= 10;
            first = position;
            if number == 0 {
                break;
            }
        }
        self.0.extend_from_slice(digits.get(first..).unwrap_or_default());
    }
}

impl Write for Json<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.inside(text);
        Ok(())
    }
}

macro_rules! unsupported {
    ($($method:ident($($argument:ident: $type:ty),*) -> $result:ty;)+) => {
        $(fn $method(self, $($argument: $type),*) -> Result<$result, Unsupported> {
            $(let _ = $argument;)*
            Err(Unsupported(stringify!($method)))
        })+
    };
}

macro_rules! numbers {
    ($($method:ident($type:ty);)+) => {
        $(#[inline]
        fn $method(self, number: $type) -> Result<(), Unsupported> {
            self.number(number.into());
            Ok(())
        })+
    };
}

impl<'a, 'b> Serializer for &'b mut Json<'a> {
    type Ok = ();
    type Error = Unsupported;
    type SerializeSeq = Compound<'a, 'b>;
    type SerializeTuple = Compound<'a, 'b>;
    type SerializeTupleStruct = Parts<'a, 'b>;
    type SerializeTupleVariant = Impossible<(), Unsupported>;
    type SerializeMap = Compound<'a, 'b>;
    type SerializeStruct = Compound<'a, 'b>;
    type SerializeStructVariant = Impossible<(), Unsupported>;

    numbers! { serialize_u8(u8); serialize_u16(u16); serialize_u32(u32); serialize_u64(u64); }

    unsupported! {
        serialize_i8(value: i8) -> ();
        serialize_i16(value: i16) -> ();
        serialize_i32(value: i32) -> ();
        serialize_i64(value: i64) -> ();
        serialize_f32(value: f32) -> ();
        serialize_char(value: char) -> ();
        serialize_none() -> ();
        serialize_unit() -> ();
        serialize_unit_struct(name: &'static str) -> ();
    }

    /// No document holds bytes: see [`Piece`].
    #[inline]
    fn serialize_bytes(self, json: &[u8]) -> Result<(), Unsupported> {
        self.0.extend_from_slice(json);
        Ok(())
    }

    /// Its fields are objects, whose fields become those of one: see [`Parts`].
    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Parts<'a, 'b>, Unsupported> {
        Ok(Parts::new(self))
    }

    /// A finite number, without an exponent.
    fn serialize_f64(self, number: f64) -> Result<(), Unsupported> {
        if !number.is_finite() {
            return Err(Unsupported("no number"));
        }
        write!(self, "{number}").map_err(|_| Unsupported("a failing number"))
    }

    fn serialize_bool(self, value: bool) -> Result<(), Unsupported> {
        self.0.extend_from_slice(if value { b"true" } else { b"false" });
        Ok(())
    }

    #[inline]
    fn serialize_str(self, text: &str) -> Result<(), Unsupported> {
        self.text(text);
        Ok(())
    }

    fn collect_str<T: Display + ?Sized>(self, value: &T) -> Result<(), Unsupported> {
        self.0.push(b'"');
        write!(self, "{value}").map_err(|_| Unsupported("a failing text"))?;
        self.0.push(b'"');
        Ok(())
    }

    #[inline]
    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Unsupported> {
        value.serialize(self)
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, variant: &'static str) -> Result<(), Unsupported> {
        self.literal(variant);
        Ok(())
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, value: &T) -> Result<(), Unsupported> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: &T,
    ) -> Result<(), Unsupported> {
        Err(Unsupported("a variant with data"))
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Compound<'a, 'b>, Unsupported> {
        Ok(Compound::array(self))
    }

    fn serialize_tuple(self, _: usize) -> Result<Compound<'a, 'b>, Unsupported> {
        Ok(Compound::array(self))
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Compound<'a, 'b>, Unsupported> {
        Ok(Compound::object(self))
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Compound<'a, 'b>, Unsupported> {
        Ok(Compound::object(self))
    }

    unsupported! {
        serialize_tuple_variant(name: &'static str, index: u32, variant: &'static str, length: usize)
            -> Self::SerializeTupleVariant;
        serialize_struct_variant(name: &'static str, index: u32, variant: &'static str, length: usize)
            -> Self::SerializeStructVariant;
    }
}

/// A value as it stands in a line.
#[cfg(test)]
pub(super) fn in_line<T: Serialize>(value: &T) -> String {
    let mut line = Vec::new();
    value.serialize(&mut Json(&mut line)).unwrap();
    String::from_utf8(line).unwrap()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    #[derive(Debug, Serialize)]
    struct Everything {
        flag: bool,
        numbers: (u8, u16, u32, u64),
        text: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        some: Option<Box<Everything>>,
        list: Vec<Kind>,
        map: BTreeMap<String, u64>,
        shown: Shown,
    }

    #[derive(Debug, Clone, Copy, Serialize)]
    #[serde(rename_all = "snake_case")]
    enum Kind {
        OneWord,
        Other,
    }

    /// Displayed in two pieces.
    #[derive(Debug)]
    struct Shown(String);

    impl Serialize for Shown {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.collect_str(&format_args!("{}\n{}", self.0, self.0))
        }
    }

    fn text() -> impl Strategy<Value = String> {
        "(\\PC|[\\x00-\\x7f]|\\u{2028}|🦀){0,40}"
    }

    fn everything() -> impl Strategy<Value = Everything> {
        let leaf = (any::<bool>(), any::<(u8, u16, u32, u64)>(), text(), text(), any::<[bool; 2]>()).prop_map(
            |(flag, numbers, text, key, lists)| Everything {
                flag,
                numbers,
                some: None,
                list: if lists[0] { vec![Kind::OneWord, Kind::Other] } else { vec![] },
                map: if lists[1] { BTreeMap::from([(key, numbers.3), (String::new(), 0)]) } else { BTreeMap::new() },
                shown: Shown(text.clone()),
                text,
            },
        );
        (leaf.boxed(), proptest::option::of(text())).prop_map(|(leaf, inner)| {
            let inner = inner.map(|text| {
                let shown = Shown(String::new());
                let (list, map) = (vec![], BTreeMap::new());
                Box::new(Everything { flag: true, numbers: (0, 1, 2, 3), text, some: None, list, map, shown })
            });
            Everything { some: inner, ..leaf }
        })
    }

    proptest! {
        #[test]
        fn as_serde_json_writes_it(value in everything()) {
            let mut line = b"before".to_vec();
            value.serialize(&mut Json(&mut line)).unwrap();
            prop_assert_eq!(&line[6..], serde_json::to_vec(&value).unwrap());
        }
    }

    #[test]
    fn every_byte_at_every_place() {
        for length in 1..20 {
            for place in 0..length {
                for byte in 0..=u8::MAX {
                    for other in [b'a', 0x80, 0xff] {
                        let mut bytes = vec![other; length];
                        bytes[place] = byte;
                        assert_eq!(is_plain(&bytes), escape(byte).is_none(), "{bytes:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn parts_become_one_object() {
        #[derive(Serialize)]
        struct One {
            #[serde(skip_serializing_if = "Option::is_none")]
            one: Option<u8>,
        }
        #[derive(Serialize)]
        struct Both(One, One, Other, One);
        #[derive(Serialize)]
        struct Other {
            other: [u8; 2],
        }
        let both = Both(One { one: Some(1) }, One { one: None }, Other { other: [2, 3] }, One { one: None });
        assert_eq!(in_line(&both), r#"{"one":1,"other":[2,3]}"#);
    }

    #[test]
    fn what_has_no_place_is_refused() {
        let mut line = Vec::new();
        assert!(f64::NAN.serialize(&mut Json(&mut line)).is_err(), "JSON has no such number");
        assert!(().serialize(&mut Json(&mut line)).is_err());
        assert!(Err::<(), _>("data").serialize(&mut Json(&mut line)).is_err());
        assert!(line.is_empty());
    }
}

//! Writes JSON (RFC 8259) at the end of a byte buffer, one field after the other, in one pass. The writer sets
//! commas, and removes an object or a list that got no field. A text that shows less than was there is marked in
//! [`Cuts`]. Which fields there are is left to `schema`.
//!
//! Each field ends in a comma, which the end of its object takes back: no state says whether a field is the
//! first one.

mod cuts;
mod digits;
mod escape;
mod key;
mod list;
mod repeated;
mod value;

use std::fmt::{self, Display, Write};
use std::ops::Range;

pub use cuts::Cuts;
pub use escape::{beginning, escaped_length, longest_escaped};
pub(crate) use key::key;
pub use key::{Key, Name};
pub use list::List;
pub use value::{Address, End};

use repeated::Repeated;
use value::Second;

use crate::invariant::Invariant;

/// The buffers that a writer keeps from one line to the next, so that a line needs no allocation.
#[derive(Debug, Default, Clone)]
pub struct Memory {
    pub cuts: Cuts,
    second: Second,
    repeated: Repeated,
}

/// An object that is being written.
#[derive(Debug)]
pub struct Json<'a> {
    bytes: &'a mut Vec<u8>,
    memory: &'a mut Memory,
}

/// The place in the line where an object within another one began.
#[derive(Debug)]
pub struct Begun {
    start: usize,
    open: usize,
}

impl<'a> Json<'a> {
    /// Begins an object at the end of `bytes`; see [`Self::close`].
    pub fn open(bytes: &'a mut Vec<u8>, memory: &'a mut Memory) -> Self {
        bytes.push(b'{');
        Self { bytes, memory }
    }

    /// Ends the object that [`Self::open`] began.
    pub fn close(self) {
        let _ = self.bytes.pop_if(|last| *last == b',');
        self.bytes.push(b'}');
    }

    pub fn cuts(&mut self) -> &mut Cuts {
        &mut self.memory.cuts
    }

    /// The number of bytes that the line has now.
    #[must_use]
    pub fn position(&self) -> usize {
        self.bytes.len()
    }

    /// The bytes between two positions: whole fields, each with its comma.
    #[must_use]
    pub fn range(&self, range: Range<usize>) -> &[u8] {
        self.bytes.get(range).holds()
    }

    /// Writes again what [`Self::range`] gave before.
    #[inline]
    pub fn fields(&mut self, fields: &[u8]) {
        self.bytes.extend_from_slice(fields);
    }

    /// Writes again the fields between two positions of this line.
    #[inline]
    pub fn again(&mut self, fields: Range<usize>) {
        debug_assert!(fields.end <= self.bytes.len(), "the line has {} bytes", self.bytes.len());
        if fields.end <= self.bytes.len() {
            self.bytes.extend_from_within(fields);
        }
    }

    /// Fields that depend on nothing but `key`: they are copied from the line that had them last. No other call
    /// may give the same key for other fields.
    #[inline]
    pub fn repeated(&mut self, key: [u64; 4], fields: impl FnOnce(&mut Self)) {
        if let Some(known) = self.memory.repeated.get(key) {
            self.bytes.extend_from_slice(known);
            return;
        }
        let start = self.bytes.len();
        fields(self);
        self.memory.repeated.keep(key, self.bytes.get(start..).unwrap_or_default());
    }

    /// The rest of a text whose quote was opened, and its comma.
    #[inline]
    fn string(&mut self, text: &str) {
        escape::push(self.bytes, text);
        self.bytes.extend_from_slice(b"\",");
    }

    fn display(&mut self, value: impl Display) {
        // Only a `Display` that fails by itself fails here, and none of ours does.
        let _ = write!(Escaping(self.bytes), "{value}");
        self.bytes.extend_from_slice(b"\",");
    }

    #[inline]
    fn digits(&mut self, number: u64) {
        digits::push(self.bytes, number);
    }

    /// A text, escaped; `None` leaves nothing behind.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "the name is a constant then, and so is all that stands before the value")]
    pub fn text<'t>(&mut self, name: impl Name, text: impl Into<Option<&'t str>>) {
        if let Some(text) = text.into() {
            name.push_text(self.bytes);
            self.string(text);
        }
    }

    /// The beginning of a text that takes at most `limit` bytes; when it is not the whole, `field` is marked
    /// as cut.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "the name is a constant then, and so is all that stands before the value")]
    pub fn cut<'t>(&mut self, name: impl Name, text: impl Into<Option<&'t str>>, limit: usize, field: &'static str) {
        if let Some(text) = text.into() {
            let shown = self.memory.cuts.text(text, limit, field);
            self.text(name, shown);
        }
    }

    /// A text of this program, in which nothing is escaped.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "the name is a constant then, and so is all that stands before the value")]
    pub fn literal(&mut self, name: impl Name, text: &'static str) {
        name.push_text(self.bytes);
        self.bytes.extend_from_slice(text.as_bytes());
        self.bytes.extend_from_slice(b"\",");
    }

    /// A text of this program if there is one, else a value as its `Display` shows it.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "the name is a constant then, and so is all that stands before the value")]
    pub fn literal_or(&mut self, name: impl Name, text: Option<&'static str>, value: impl Display) {
        match text {
            Some(text) => self.literal(name, text),
            None => self.shown(name, value),
        }
    }

    /// A value as its `Display` shows it, escaped.
    pub fn shown(&mut self, name: impl Name, value: impl Display) {
        name.push_text(self.bytes);
        self.display(value);
    }

    #[inline(always)]
    #[expect(clippy::inline_always, reason = "the name is a constant then, and so is all that stands before the value")]
    pub fn number(&mut self, name: impl Name, number: impl Into<u64>) {
        name.push(self.bytes);
        self.digits(number.into());
        self.bytes.push(b',');
    }

    /// A number of elements or bytes in memory.
    pub fn count(&mut self, name: impl Name, count: usize) {
        self.number(name, count as u64);
    }

    /// A number whose field is a text.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "the name is a constant then, and so is all that stands before the value")]
    pub fn keyword(&mut self, name: impl Name, number: u32) {
        name.push_text(self.bytes);
        self.digits(number.into());
        self.bytes.extend_from_slice(b"\",");
    }

    /// A fraction, without an exponent; a number that is not finite leaves nothing behind.
    pub fn fraction(&mut self, name: impl Name, number: f64) {
        if number.is_finite() {
            name.push(self.bytes);
            let _ = write!(Escaping(self.bytes), "{number}");
            self.bytes.push(b',');
        }
    }

    pub fn flag(&mut self, name: impl Name, flag: bool) {
        name.push(self.bytes);
        self.bytes.extend_from_slice(if flag { b"true," } else { b"false," });
    }

    /// RFC 3339 with nanoseconds, of nanoseconds since the Unix epoch.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "the name is a constant then, and so is all that stands before the value")]
    pub fn instant(&mut self, name: impl Name, time: u64) {
        name.push(self.bytes);
        let text = self.memory.second.instant(time);
        self.bytes.extend_from_slice(&text);
    }

    #[inline(always)]
    #[expect(clippy::inline_always, reason = "the name is a constant then, and so is all that stands before the value")]
    pub fn address(&mut self, name: impl Name, address: &Address) {
        name.push(self.bytes);
        address.push_to(self.bytes);
    }

    /// `ip` and `port`, two fields of this object.
    #[inline]
    pub fn ip_and_port(&mut self, end: &End) {
        end.push_to(self.bytes);
    }

    /// Any bytes as text; those that are not UTF-8 are replaced.
    pub fn lossy(&mut self, name: impl Name, bytes: &[u8]) {
        name.push_text(self.bytes);
        if escape::is_plain(bytes) {
            self.bytes.extend_from_slice(bytes);
            self.bytes.extend_from_slice(b"\",");
            return;
        }
        for chunk in bytes.utf8_chunks() {
            escape::push(self.bytes, chunk.valid());
            if !chunk.invalid().is_empty() {
                escape::push(self.bytes, "\u{fffd}");
            }
        }
        self.bytes.extend_from_slice(b"\",");
    }

    /// A value that is JSON already.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "the name is a constant then, and so is all that stands before the value")]
    pub fn written(&mut self, name: impl Name, json: &[u8]) {
        name.push(self.bytes);
        self.bytes.extend_from_slice(json);
        self.bytes.push(b',');
    }

    /// An object within this one, written by `fields`.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "the name is a constant then, and so is all that stands before the value")]
    pub fn object(&mut self, name: impl Name, fields: impl FnOnce(&mut Self)) {
        let start = self.begin(name);
        fields(self);
        self.end(start);
    }

    /// Begins an object within this one; see [`Self::end`].
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "the name is a constant then, and so is all that stands before the value")]
    #[must_use]
    pub fn begin(&mut self, name: impl Name) -> Begun {
        let start = self.bytes.len();
        name.push_object(self.bytes);
        Begun { start, open: self.bytes.len() }
    }

    /// Ends the object that [`Self::begin`] began.
    #[inline]
    pub fn end(&mut self, Begun { start, open }: Begun) {
        self.end_of(start, open, b'}');
    }

    /// A list, written by `elements`.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "the name is a constant then, and so is all that stands before the value")]
    pub fn list(&mut self, name: impl Name, elements: impl FnOnce(&mut List<'_, 'a>)) {
        let start = self.bytes.len();
        name.push_list(self.bytes);
        let open = self.bytes.len();
        elements(&mut List(self));
        self.end_of(start, open, b']');
    }

    /// Turns the last comma into the end, or takes everything from `start` back where nothing follows `open`.
    #[inline]
    fn end_of(&mut self, start: usize, open: usize, bracket: u8) {
        if self.bytes.len() == open {
            self.bytes.truncate(start);
            return;
        }
        if let Some(comma) = self.bytes.last_mut() {
            *comma = bracket;
        }
        self.bytes.push(b',');
    }
}

/// Escapes what is formatted.
struct Escaping<'a>(&'a mut Vec<u8>);

impl Write for Escaping<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        escape::push(self.0, text);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(fields: impl FnOnce(&mut Json)) -> String {
        let (mut bytes, mut memory) = (b"before ".to_vec(), Memory::default());
        let mut json = Json::open(&mut bytes, &mut memory);
        fields(&mut json);
        json.close();
        String::from_utf8(bytes).unwrap().strip_prefix("before ").unwrap().to_owned()
    }

    #[test]
    fn every_kind_of_field() {
        let json = written(|json| {
            json.text("text", "a \"quote\"\n");
            json.text("none", None);
            json.literal("literal", "as-it-is");
            json.literal(key!("key"), "");
            json.lossy("lossy", b"caf\xc3\xa9\xff\xfe!\x1b");
            json.written("written", b"[1]");
            json.shown("shown", format_args!("{}\t{}", 1, "\u{9b}"));
            json.number("number", u64::MAX);
            json.number("zero", 0_u8);
            json.count("count", 10);
            json.keyword("keyword", u32::MAX);
            json.fraction("fraction", 0.001_234_567);
            json.fraction("whole", 5.0);
            json.fraction("none", f64::NAN);
            json.flag("yes", true);
            json.flag("no", false);
            json.instant("instant", 1);
            json.address("address", &Address::new([192, 0, 2, 1].into()));
            json.object("end", |json| json.ip_and_port(&End::new("[2001:db8::1]:53".parse().unwrap())));
            json.list("list", |list| {
                list.text("\\");
                list.literal("b");
                list.number(3_u16);
                list.ip([198, 51, 100, 255].into());
                list.object(|json| json.flag("inside", true));
            });
        });
        let expected = serde_json::json!({
            "lossy": "caf\u{e9}\u{fffd}\u{fffd}!\x1b", "written": [1],
            "text": "a \"quote\"\n", "literal": "as-it-is", "key": "",
            "shown": "1\t\u{9b}", "number": u64::MAX, "zero": 0, "count": 10, "keyword": "4294967295",
            "fraction": 0.001_234_567, "whole": 5, "yes": true, "no": false,
            "instant": "1970-01-01T00:00:00.000000001Z", "address": "192.0.2.1",
            "end": { "ip": "2001:db8::1", "port": 53 },
            "list": ["\\", "b", 3, "198.51.100.255", { "inside": true }],
        });
        assert_eq!(serde_json::from_str::<serde_json::Value>(&json).unwrap(), expected, "{json}");
        assert!(json.starts_with(r#"{"text":"a \"quote\"\n","literal""#), "{json}");
        assert!(json.contains(r#""shown":"1\t\u009b","number":18446744073709551615,"zero":0,"#), "{json}");
    }

    #[test]
    fn what_got_nothing_leaves_nothing_behind() {
        assert_eq!(written(|_| ()), "{}");
        let json = written(|json| {
            json.object("empty", |json| json.object("within", |json| json.list("list", |_| ())));
            json.number("one", 1_u8);
            json.list("none", |list| list.object(|_| ()));
            json.object("object", |json| {
                json.text("none", None);
                json.list("list", |list| list.text(""));
                json.object("empty", |_| ());
            });
        });
        assert_eq!(json, r#"{"one":1,"object":{"list":[""]}}"#);
    }

    #[test]
    fn fields_are_written_again() {
        let json = written(|json| {
            let start = json.position();
            json.number("one", 1_u8);
            let fields = json.range(start..json.position()).to_vec();
            json.object("again", |json| json.fields(&fields));
        });
        assert_eq!(json, r#"{"one":1,"again":{"one":1}}"#);
    }
}

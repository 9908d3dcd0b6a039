//! The names of one message, read within a budget and written once each. How a label is spelt is left
//! to `text`.
//!
//! Names are read here and not by `domain`, because its `ParsedName` refuses what resolvers read: a
//! compression pointer that leads forward (dnsmasq and large public resolvers follow it), and a name
//! beyond 255 bytes (dnsmasq).

use std::fmt;

use domain::base::wire::ParseError;
use domain::dep::octseq::Parser;
use domain::dep::octseq::parse::ShortInput;

use super::text::{Span, Text};

/// Labels and compression pointers walked for one message. A pointer costs two bytes, and stands
/// for a whole name and more pointers: without a bound, 64 KB can ask for milliseconds. A message full
/// of honest records (4,096 with two names each) stays below.
const MAX_STEPS: usize = 32_768;

/// Compression pointers of one name: as many as dnsmasq follows, more than a name has labels.
const MAX_POINTERS: usize = 255;

/// Bytes of one name: as many as dnsmasq reads (its `MAXDNAME`). RFC 1035 3.1 allows 255.
const MAX_NAME: usize = 1025;

/// Names remembered: the question's, the last targets of a CNAME chain, and a few name servers.
const REMEMBERED: usize = 8;

/// Why a name, or the data of a record, could not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unreadable {
    /// The bytes ended.
    Cut,
    /// The bytes are not what they should be.
    Invalid,
    /// The budget of the message is spent.
    Exhausted,
}

impl From<ShortInput> for Unreadable {
    fn from(_: ShortInput) -> Self {
        Self::Cut
    }
}

impl From<ParseError> for Unreadable {
    fn from(error: ParseError) -> Self {
        match error {
            ParseError::ShortInput => Self::Cut,
            ParseError::Form(_) => Self::Invalid,
        }
    }
}

/// Writing to memory does not fail.
impl From<fmt::Error> for Unreadable {
    fn from(_: fmt::Error) -> Self {
        Self::Invalid
    }
}

#[derive(Debug)]
pub(super) struct Names {
    /// The place of a name in the message, and its text. Servers repeat names as mere pointers.
    remembered: [(usize, Span); REMEMBERED],
    next: usize,
    steps: usize,
}

impl Default for Names {
    fn default() -> Self {
        // No name starts there.
        Self { remembered: [(usize::MAX, Span::default()); REMEMBERED], next: 0, steps: 0 }
    }
}

impl Names {
    /// Reads a name; its text may stand anywhere, written earlier.
    pub(super) fn read(&mut self, parser: &mut Parser<'_, [u8]>, text: &mut Text) -> Result<Span, Unreadable> {
        let bytes = parser.octets_ref();
        let start = pointer(bytes, parser.pos()).unwrap_or(parser.pos());
        if start != parser.pos()
            && let Some((_, span)) = self.remembered.iter().find(|(known, _)| *known == start)
        {
            parser.advance(2)?;
            return Ok(*span);
        }
        let here = text.len();
        let end = self.walk(bytes, parser.pos(), text).inspect_err(|_| text.truncate(here))?;
        parser.advance(end - parser.pos()).inspect_err(|_| text.truncate(here))?;
        if text.len() == here {
            text.byte(b'.');
        }
        let span = text.since(here);
        if let Some(slot) = self.remembered.get_mut(self.next) {
            *slot = (start, span);
            self.next = (self.next + 1) % REMEMBERED;
        }
        Ok(span)
    }

    /// Reads a name and writes it here, even if it was written before.
    pub(super) fn write(&mut self, parser: &mut Parser<'_, [u8]>, text: &mut Text) -> Result<Span, Unreadable> {
        let here = text.len();
        let span = self.read(parser, text)?;
        if text.len() == here {
            return Ok(text.copy(span));
        }
        Ok(span)
    }

    /// Takes back the text from `start` on, and what was remembered of it.
    pub(super) fn take_back(&mut self, text: &mut Text, start: usize) {
        text.truncate(start);
        for slot in &mut self.remembered {
            if !text.holds(slot.1) {
                slot.0 = usize::MAX;
            }
        }
    }

    /// Writes the labels of the name at `at`, and returns where the bytes after the name begin.
    fn walk(&mut self, bytes: &[u8], mut at: usize, text: &mut Text) -> Result<usize, Unreadable> {
        let (here, mut length, mut pointers) = (text.len(), 0, 0);
        let mut end = None;
        loop {
            self.steps += 1;
            if self.steps > MAX_STEPS {
                return Err(Unreadable::Exhausted);
            }
            match bytes.get(at) {
                Some(0) => return Ok(end.unwrap_or(at + 1)),
                Some(size @ 1..=63) => {
                    let next = at + 1 + usize::from(*size);
                    let label = bytes.get(at + 1..next).ok_or(beyond(end))?;
                    length += next - at;
                    if length > MAX_NAME {
                        return Err(Unreadable::Invalid);
                    }
                    if text.len() > here {
                        text.byte(b'.');
                    }
                    text.label(label);
                    at = next;
                }
                Some(192..) => {
                    let target = pointer(bytes, at).ok_or(beyond(end))?;
                    pointers += 1;
                    if pointers > MAX_POINTERS {
                        return Err(Unreadable::Invalid);
                    }
                    end = end.or(Some(at + 2));
                    at = target;
                }
                // The other two upper bits mean other kinds of labels, which no server knows (RFC 6891 5).
                Some(_) => return Err(Unreadable::Invalid),
                None => return Err(beyond(end)),
            }
        }
    }
}

/// Why the bytes of a name are not there: behind a pointer (its name ends at `end`) they never were.
fn beyond(end: Option<usize>) -> Unreadable {
    if end.is_some() { Unreadable::Invalid } else { Unreadable::Cut }
}

/// The place that the compression pointer at `at` leads to, if there is one (RFC 1035 4.1.4).
fn pointer(bytes: &[u8], at: usize) -> Option<usize> {
    let high = *bytes.get(at)?;
    let low = *bytes.get(at + 1)?;
    (high >= 0xc0).then(|| usize::from(high & 0x3f) << 8 | usize::from(low))
}

//! The names of one message: read by `domain`'s `ParsedName`, which is safe against loops, within
//! a budget, and written once each. How a name is spelt is left to `text`.

use std::fmt;

use domain::base::ParsedName;
use domain::base::wire::ParseError;
use domain::dep::octseq::Parser;
use domain::dep::octseq::parse::ShortInput;

use super::text::{Span, Text};

/// Labels and compression pointers walked for one message. A pointer costs two bytes, and stands
/// for up to 254 bytes and 254 more pointers: without a bound, 64 KB can ask for milliseconds.
/// A message full of honest records (4,096 with two names each) stays below.
const MAX_STEPS: usize = 32_768;

/// Beyond `ParsedName`'s 255 pointers and the 127 labels of the longest name: there it is refused.
const MAX_STEPS_OF_NAME: usize = 255 + 127;

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
    /// Where a name starts in the message, and its text. Servers repeat names as mere pointers.
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
        self.charge(bytes, parser.pos())?;
        let name = ParsedName::parse_ref(parser)?.deref_octets();
        let span = text.name(&name);
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

    fn charge(&mut self, bytes: &[u8], mut at: usize) -> Result<(), Unreadable> {
        for _ in 0..MAX_STEPS_OF_NAME {
            self.steps += 1;
            at = match bytes.get(at) {
                Some(length @ 1..=63) => at + 1 + usize::from(*length),
                Some(192..) => match pointer(bytes, at) {
                    Some(target) => target,
                    None => break,
                },
                _ => break,
            };
        }
        if self.steps > MAX_STEPS { Err(Unreadable::Exhausted) } else { Ok(()) }
    }
}

/// Where the compression pointer at `at` leads, if there is one (RFC 1035 4.1.4).
fn pointer(bytes: &[u8], at: usize) -> Option<usize> {
    let high = *bytes.get(at)?;
    let low = *bytes.get(at + 1)?;
    (high >= 0xc0).then(|| usize::from(high & 0x3f) << 8 | usize::from(low))
}

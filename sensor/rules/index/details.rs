//! The remarks of lists about single entries, packed. A list without remarks takes no space here.

use std::collections::HashMap;

use super::super::list::Metadata;
use super::names::Class;
use crate::invariant::Invariant;

/// A longer text is cut: a remark goes into every alert that its entry raises.
const LONGEST_TEXT: usize = 512;

/// Details are written once, and read when an entry matches.
#[derive(Default)]
pub(in crate::rules) struct Details {
    /// For each entry the line, severity + 1 or 0, then three texts by number + 1 or 0.
    records: Vec<u8>,
    /// Length and bytes of each text.
    texts: Vec<u8>,
}

/// Used only while a set is made. Sources and remarks repeat, so each text is kept once.
#[derive(Default)]
pub(in crate::rules) struct DetailsWriter {
    details: Details,
    known: HashMap<Box<str>, u32>,
}

/// How far [`DetailsWriter::take_back`] goes.
#[derive(Clone, Copy, Default)]
pub(in crate::rules) struct Mark {
    records: usize,
    texts: usize,
}

/// Bytes that the table of known texts needs for one, besides the text: its slot, a number and a header.
const KNOWN_TEXT: usize = 64;

impl DetailsWriter {
    /// Adds the details of an entry and returns where they stand. `None` when there are none, or no space is left.
    pub(in crate::rules) fn add(&mut self, line: u32, metadata: &Metadata) -> Option<u32> {
        if *metadata == Metadata::default() {
            return None;
        }
        let offset = u32::try_from(self.details.records.len()).ok()?;
        let texts = [&metadata.uuid, &metadata.source, &metadata.description]
            .map(|text| text.as_ref().map_or(0, |text| self.text(text)));
        write_number(line, &mut self.details.records);
        write_number(metadata.severity.map_or(0, |severity| u32::from(severity) + 1), &mut self.details.records);
        for text in texts {
            write_number(text, &mut self.details.records);
        }
        Some(offset)
    }

    pub(in crate::rules) fn mark(&self) -> Mark {
        Mark { records: self.details.records.len(), texts: self.details.texts.len() }
    }

    /// Forgets what was added since.
    pub(in crate::rules) fn take_back(&mut self, mark: Mark) {
        self.details.records.truncate(mark.records);
        self.details.texts.truncate(mark.texts);
        self.known.retain(|_, number| *number as usize <= mark.texts);
    }

    /// The memory that all of this takes.
    pub(in crate::rules) fn bytes(&self) -> usize {
        // Each text is kept a second time, to be known again.
        self.details.records.len() + 2 * self.details.texts.len() + self.known.len() * KNOWN_TEXT
    }

    pub(in crate::rules) fn finish(self) -> Details {
        self.details
    }

    /// Adds a text and returns its offset + 1; 0 where there is no space.
    fn text(&mut self, text: &str) -> u32 {
        let mut text = text;
        if text.len() > LONGEST_TEXT {
            let end = (0..=LONGEST_TEXT).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
            text = text.get(..end).holds();
        }
        if let Some(known) = self.known.get(text) {
            return *known;
        }
        let Ok(number) = u32::try_from(self.details.texts.len() + 1) else { return 0 };
        write_number(u32::try_from(text.len()).unwrap_or(0), &mut self.details.texts);
        self.details.texts.extend_from_slice(text.as_bytes());
        self.known.insert(text.into(), number);
        number
    }
}

impl Details {
    /// The line of an entry of this class, and what is said about it.
    pub(in crate::rules) fn of(&self, class: Class, at: u32) -> Option<(u32, Option<Metadata>)> {
        if !class.details {
            return Some((at, None));
        }
        self.get(at).map(|(line, metadata)| (line, Some(metadata)))
    }

    fn get(&self, offset: u32) -> Option<(u32, Metadata)> {
        let mut record = self.records.get(offset as usize..)?;
        let line = read_number(&mut record)?;
        let severity = read_number(&mut record)?;
        let mut text = || self.text(read_number(&mut record)?);
        let (uuid, source, description) = (text(), text(), text());
        let severity = u8::try_from(severity.checked_sub(1).unwrap_or(256)).ok();
        Some((line, Metadata { uuid, source, description, severity }))
    }

    fn text(&self, number: u32) -> Option<String> {
        let mut bytes = self.texts.get(number.checked_sub(1)? as usize..)?;
        let length = read_number(&mut bytes)? as usize;
        Some(String::from_utf8_lossy(bytes.get(..length)?).into_owned())
    }
}

/// Seven bits a byte, the lowest first; the last has its top bit clear.
fn write_number(mut number: u32, bytes: &mut Vec<u8>) {
    while let low @ 0x80.. = number {
        bytes.push(low.to_le_bytes()[0] | 0x80);
        number >>= 7;
    }
    bytes.push(number.to_le_bytes()[0]);
}

fn read_number(bytes: &mut &[u8]) -> Option<u32> {
    let mut number = 0;
    for shift in (0..32).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u32::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_survive() {
        for number in [0, 1, 127, 128, 16_383, 16_384, 2_200_000, u32::MAX] {
            let mut bytes = Vec::new();
            write_number(number, &mut bytes);
            let mut rest = bytes.as_slice();
            assert_eq!(read_number(&mut rest), Some(number));
            assert!(rest.is_empty());
            assert_eq!(read_number(&mut &bytes[..bytes.len() - 1]), None);
        }
    }

    #[test]
    fn what_was_said_is_found_again() {
        let mut writer = DetailsWriter::default();
        let full = Metadata {
            uuid: Some("d9b5…".into()),
            source: Some("feed".into()),
            description: Some("é".repeat(600)),
            severity: Some(0),
        };
        let part = Metadata { source: Some("feed".into()), ..Metadata::default() };
        let (first, second) = (writer.add(7, &full), writer.add(2_200_000, &part));
        assert_eq!(writer.add(1, &Metadata::default()), None);
        let (mark, bytes) = (writer.mark(), writer.bytes());
        let other = Metadata { source: Some("another feed".into()), ..full.clone() };
        writer.add(9, &other);
        assert!(writer.bytes() > bytes + 2 * "another feed".len());
        writer.take_back(mark);
        assert_eq!(writer.bytes(), bytes);
        writer.add(9, &other);
        let details = writer.finish();
        let (line, found) = details.get(first.unwrap()).unwrap();
        assert_eq!(line, 7);
        assert_eq!((found.uuid, found.source, found.severity), (full.uuid, full.source, full.severity));
        assert!(found.description.unwrap().len() <= LONGEST_TEXT);
        assert_eq!(details.get(second.unwrap()), Some((2_200_000, part)));
        assert_eq!(details.get(1_000_000), None);
    }
}

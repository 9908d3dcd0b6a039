//! A list file as lines: opened, unpacked, bounded, its format recognised. The meaning of a line is left
//! to the formats. Nothing here holds more of a file than its beginning and one line.

use std::io::{self, BufRead, BufReader, Cursor, Read};
use std::path::Path;

use memchr::memchr;
use sha1::{Digest, Sha1};

use super::super::index::compile::LARGEST_SET;
use super::super::lists::{Flaw, Format, Intake, Reader};
use super::refusal::Refusal;
use crate::input::{self, PatientFile, Unpacked};

/// Longer lines are skipped: ten times what the longest real line (a hosts line of many names) has.
const LONGEST_LINE: usize = 1 << 16;
/// A line that has not ended after so much is no line: the file is no list.
const RUNAWAY_LINE: usize = 16 << 20;
/// The largest published lists have 130 MB unpacked; more than this takes minutes to read.
const LARGEST_LIST: u64 = 2 << 30;
/// Lists shrink to a tenth when they are packed; what shrinks to less than a hundredth repeats itself.
const MOST_PACKED: u64 = 100;
/// Unpacked bytes up to which a list may repeat itself as it likes.
const SMALL: u64 = 16 << 20;
/// The beginning that the format is recognised by.
const SAMPLE: u64 = 1 << 16;
const BUFFER: usize = 1 << 18;
/// A file in which a hundred lines and nine of ten are not understood is something else (an error
/// page, a packed file), though some of its words look like names.
const MANY: u64 = 100;
const PER_ENTRY: u64 = 9;

/// A list that was read to its end. Its entries are in the index.
pub(super) struct Outcome {
    /// `None`: the list is empty, and may be.
    pub format: Option<Format>,
    /// The first 16 digits of the SHA-1 of the unpacked bytes.
    pub version: String,
}

/// Reads a list to its end.
pub(super) fn read(
    path: &Path,
    format: Option<Format>,
    allow_empty: bool,
    intake: &mut Intake<'_>,
) -> Result<Outcome, Refusal> {
    let file = input::regular(path)?;
    // The opening has brought its size along: no file system is asked again.
    let size = file.metadata()?.len();
    let mut bytes = Unpacked::new(BufReader::with_capacity(BUFFER, PatientFile::new(path, file)?))?;
    let largest = if bytes.is_gzip() { LARGEST_LIST.min(SMALL.max(MOST_PACKED * size)) } else { LARGEST_LIST };
    let mut sample = Vec::new();
    bytes.by_ref().take(SAMPLE).read_to_end(&mut sample)?;
    let text = text_of(&sample)?;
    let Some(recognised) = format.or_else(|| recognise(text, intake.options.column.as_deref())) else {
        let only_remarks = whole_lines(text).iter().all(|line| is_remark(line));
        return match (only_remarks && (sample.len() as u64) < SAMPLE, allow_empty) {
            (true, true) => Ok(Outcome { format: None, version: version(Sha1::digest(&sample)) }),
            (true, false) => Err(Refusal::Empty),
            (false, _) => Err(Refusal::Unrecognised(Format::ALL.map(|format| format.to_string()).join(", "))),
        };
    };
    let mut digest = Sha1::new();
    let mark = sample.len() - text.len();
    digest.update(sample.get(..mark).unwrap_or_default());
    let bound = Bound { largest, size };
    read_lines(Cursor::new(text).chain(bytes), bound, recognised, &mut digest, intake)?;
    judge(recognised, format.is_some(), allow_empty, intake)?;
    Ok(Outcome { format: Some(recognised), version: version(digest.finalize()) })
}

/// The beginning of a file as text, without a byte order mark.
fn text_of(sample: &[u8]) -> Result<&[u8], Refusal> {
    if sample.starts_with(&[0xff, 0xfe]) || sample.starts_with(&[0xfe, 0xff]) {
        return Err(Refusal::Utf16);
    }
    if sample.contains(&0) {
        return Err(Refusal::Binary);
    }
    Ok(sample.strip_prefix(b"\xef\xbb\xbf").unwrap_or(sample))
}

/// Whether what was read is a list. `is_forced`: the configuration names the format, and knows that most
/// of the list is about other things.
fn judge(format: Format, is_forced: bool, allow_empty: bool, intake: &Intake<'_>) -> Result<(), Refusal> {
    let counts = intake.counts();
    let (entries, skipped, not_applicable) = (counts.names + counts.addresses, counts.skipped, counts.not_applicable);
    if entries == 0 && skipped > 0 {
        return Err(Refusal::NothingRead { format, skipped });
    }
    if skipped > MANY && skipped / PER_ENTRY > entries {
        return Err(Refusal::MostlySkipped { format, skipped, entries });
    }
    if !is_forced && not_applicable > MANY && not_applicable / PER_ENTRY > entries {
        return Err(Refusal::MostlyNotApplicable { format, not_applicable, entries });
    }
    if entries == 0 && !allow_empty { Err(Refusal::Empty) } else { Ok(()) }
}

/// How much of a file is read.
#[derive(Clone, Copy)]
struct Bound {
    /// Unpacked bytes.
    largest: u64,
    /// Bytes of the file as it is.
    size: u64,
}

impl Bound {
    fn check(self, total: u64) -> Result<(), Refusal> {
        match self {
            Self { largest, .. } if total <= largest => Ok(()),
            Self { largest: LARGEST_LIST, .. } => Err(Refusal::TooLarge(LARGEST_LIST)),
            Self { largest, size } => Err(Refusal::Bomb { size, times: largest / size.max(1), bound: largest }),
        }
    }
}

/// Gives every line to the format's reader, and every byte to the digest.
fn read_lines(
    mut bytes: impl BufRead,
    bound: Bound,
    format: Format,
    digest: &mut Sha1,
    intake: &mut Intake<'_>,
) -> Result<(), Refusal> {
    let mut lines = Lines { reader: Reader::new(format), begun: Vec::new(), length: 0 };
    let mut total = 0;
    loop {
        let buffer = match bytes.fill_buf() {
            Ok(buffer) => buffer,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error.into()),
        };
        if buffer.is_empty() {
            lines.finish(intake);
            return if intake.is_full() { Err(Refusal::Full { size: total, bound: LARGEST_SET }) } else { Ok(()) };
        }
        digest.update(buffer);
        lines.push(buffer, intake)?;
        let read = buffer.len();
        bytes.consume(read);
        total += read as u64;
        bound.check(total)?;
        if intake.is_full() {
            return Err(Refusal::Full { size: bound.size, bound: LARGEST_SET });
        }
    }
}

/// Cuts buffers into lines.
struct Lines {
    reader: Reader,
    /// The beginning of the line that the end of a buffer has cut, and its length so far.
    begun: Vec<u8>,
    length: usize,
}

impl Lines {
    fn push(&mut self, buffer: &[u8], intake: &mut Intake<'_>) -> Result<(), Refusal> {
        let mut rest = buffer;
        while let Some(end) = memchr(b'\n', rest) {
            let (line, after) = rest.split_at(end);
            if self.length == 0 {
                take(&mut self.reader, line, intake);
            } else {
                self.hold(line);
                self.finish(intake);
            }
            rest = after.get(1..).unwrap_or_default();
        }
        self.hold(rest);
        if self.length > RUNAWAY_LINE {
            return Err(Refusal::RunawayLine(intake.line().saturating_add(1)));
        }
        Ok(())
    }

    /// Takes the line that was begun as a whole one.
    fn finish(&mut self, intake: &mut Intake<'_>) {
        if self.length > 0 {
            take(&mut self.reader, &self.begun, intake);
            self.begun.clear();
            self.length = 0;
        }
    }

    /// Adds to the beginning of a line as much as it takes to see that it is too long.
    fn hold(&mut self, bytes: &[u8]) {
        let room = (LONGEST_LINE + 2).saturating_sub(self.begun.len());
        self.begun.extend_from_slice(bytes.get(..room.min(bytes.len())).unwrap_or_default());
        self.length += bytes.len();
    }
}

fn take(reader: &mut Reader, line: &[u8], intake: &mut Intake<'_>) {
    intake.next_line();
    let line = line.get(..LONGEST_LINE + 2).unwrap_or(line);
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    if line.len() > LONGEST_LINE {
        intake.skip(Flaw::LongLine, line);
    } else if !line.trim_ascii().is_empty() {
        reader.line(line, intake);
    }
}

fn recognise(sample: &[u8], column: Option<&str>) -> Option<Format> {
    let lines = whole_lines(sample);
    Format::recognise(lines.iter().copied(), column)
}

/// The lines of the beginning of a file; the last one only if the file ends there.
fn whole_lines(sample: &[u8]) -> Vec<&[u8]> {
    let mut lines: Vec<&[u8]> = sample.split(|byte| *byte == b'\n').collect();
    if sample.len() as u64 >= SAMPLE - 3 {
        lines.pop();
    }
    lines
}

fn is_remark(line: &[u8]) -> bool {
    let line = line.trim_ascii();
    line.is_empty() || matches!(line.first(), Some(b'#' | b'!' | b';' | b'[')) || line.starts_with(b"//")
}

/// The first 16 hexadecimal digits of a digest.
fn version(digest: impl AsRef<[u8]>) -> String {
    use std::fmt::Write;
    digest.as_ref().iter().take(8).fold(String::with_capacity(16), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

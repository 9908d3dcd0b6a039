//! A list file as lines: opened, unpacked, bounded, its format recognised. What a line says is left to
//! the formats. Nothing here holds more of a file than its beginning and one line.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Cursor, Read};
use std::path::Path;

use flate2::bufread::MultiGzDecoder;
use memchr::memchr;

use super::super::index::hash::Digest;
use super::super::lists::{Flaw, Format, Intake, Reader};

/// Longer lines are skipped: ten times what the longest real line (a hosts line of many names) has.
const LONGEST_LINE: usize = 1 << 16;
/// A line that has not ended after so much is no line: the file is no list.
const RUNAWAY_LINE: usize = 16 << 20;
/// Unpacked. The largest published lists have 130 MB; a small gzip file can unpack to anything.
const LARGEST_LIST: u64 = 2 << 30;
/// The beginning that the format is recognised by.
const SAMPLE: u64 = 1 << 16;
const BUFFER: usize = 1 << 18;
/// A file in which a hundred lines and nine of ten are not understood is something else (an error
/// page, a packed file), though some of its words look like names.
const MANY_SKIPPED: u64 = 100;
const SKIPPED_PER_ENTRY: u64 = 9;

/// Why a list cannot be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unusable {
    #[error("cannot be read: {0}; correct the path, or let the sensor's user read it")]
    Read(#[from] io::Error),
    #[error("is no regular file; name a list file, a directory of lists or a rules.toml")]
    NotAFile,
    #[error("is empty; fetch it again, or set allow_empty = true for it in a rules.toml")]
    Empty,
    #[error("holds binary data; fetch it again")]
    Binary,
    #[error("is in UTF-16; convert it: iconv -f utf-16 -t utf-8")]
    Utf16,
    #[error("is in no known format; set its format in a rules.toml ({0})")]
    Unrecognised(String),
    #[error("has a line of more than 16 MiB (line {0}): it is no list; fetch it again")]
    RunawayLine(u32),
    #[error("has more than 2 GiB; split it")]
    TooLarge,
    #[error("holds nothing that could be read as {format} ({skipped} lines not understood); check its format")]
    NothingRead { format: Format, skipped: u64 },
    #[error("is no list: {skipped} of its lines are not understood as {format}, and only {entries} are")]
    MostlySkipped { format: Format, skipped: u64, entries: u64 },
    #[error("does not fit: the rule set holds as many entries as it can")]
    Full,
}

/// What reading told, besides the entries.
pub(super) struct Outcome {
    pub format: Option<Format>,
    pub version: String,
}

/// Reads a list to its end.
pub(super) fn read(
    path: &Path,
    format: Option<Format>,
    allow_empty: bool,
    intake: &mut Intake<'_>,
) -> Result<Outcome, Unusable> {
    let file = File::open(path)?;
    if !file.metadata()?.is_file() {
        return Err(Unusable::NotAFile);
    }
    let mut packed = BufReader::with_capacity(BUFFER, file);
    // RFC 1952 2.3.1
    let mut bytes: Box<dyn BufRead> = if packed.fill_buf()?.starts_with(&[0x1f, 0x8b]) {
        Box::new(BufReader::with_capacity(BUFFER, MultiGzDecoder::new(packed)))
    } else {
        Box::new(packed)
    };
    let mut sample = Vec::new();
    bytes.by_ref().take(SAMPLE).read_to_end(&mut sample)?;
    if sample.starts_with(&[0xff, 0xfe]) || sample.starts_with(&[0xfe, 0xff]) {
        return Err(Unusable::Utf16);
    }
    if sample.contains(&0) {
        return Err(Unusable::Binary);
    }
    if sample.starts_with(b"\xef\xbb\xbf") {
        sample.drain(..3);
    }
    let Some(format) = format.or_else(|| recognise(&sample, intake.options.column.as_deref())) else {
        let only_remarks = whole_lines(&sample).iter().all(|line| is_remark(line));
        return match (only_remarks && (sample.len() as u64) < SAMPLE - 3, allow_empty) {
            (true, true) => Ok(Outcome { format: None, version: digest(&sample) }),
            (true, false) => Err(Unusable::Empty),
            (false, _) => Err(Unusable::Unrecognised(Format::ALL.map(|format| format.to_string()).join(", "))),
        };
    };
    let version = read_lines(Cursor::new(sample).chain(bytes), format, intake)?;
    let counts = intake.counts();
    let (entries, skipped) = (counts.names + counts.addresses, counts.skipped);
    if intake.is_full() {
        return Err(Unusable::Full);
    }
    if entries == 0 && skipped > 0 {
        return Err(Unusable::NothingRead { format, skipped });
    }
    if entries == 0 && !allow_empty {
        return Err(Unusable::Empty);
    }
    if skipped > MANY_SKIPPED && skipped / SKIPPED_PER_ENTRY > entries {
        return Err(Unusable::MostlySkipped { format, skipped, entries });
    }
    Ok(Outcome { format: Some(format), version })
}

/// Reads every line; returns the digest of them all.
fn read_lines(mut bytes: impl BufRead, format: Format, intake: &mut Intake<'_>) -> Result<String, Unusable> {
    let mut reader = Reader::new(format);
    let mut digest = Digest::new();
    let mut take = |line: &[u8], intake: &mut Intake<'_>| {
        intake.next_line();
        let line = line.get(..LONGEST_LINE + 2).unwrap_or(line);
        digest.line(line);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.len() > LONGEST_LINE {
            intake.skip(Flaw::LongLine, line);
        } else if !line.trim_ascii().is_empty() {
            reader.line(line, intake);
        }
    };
    // The line that the buffer's end has cut: its beginning, and its length so far.
    let (mut begun, mut length) = (Vec::new(), 0);
    let mut total = 0;
    loop {
        let buffer = match bytes.fill_buf() {
            Ok(buffer) => buffer,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error.into()),
        };
        if buffer.is_empty() {
            if length > 0 {
                take(&begun, intake);
            }
            return Ok(digest.finish());
        }
        let mut rest = buffer;
        while let Some(end) = memchr(b'\n', rest) {
            let (line, after) = rest.split_at(end);
            if length == 0 {
                take(line, intake);
            } else {
                hold(line, &mut begun);
                take(&begun, intake);
                begun.clear();
                length = 0;
            }
            rest = after.get(1..).unwrap_or_default();
        }
        hold(rest, &mut begun);
        length += rest.len();
        if length > RUNAWAY_LINE {
            return Err(Unusable::RunawayLine(intake.line().saturating_add(1)));
        }
        let read = buffer.len();
        bytes.consume(read);
        total += read as u64;
        if total > LARGEST_LIST {
            return Err(Unusable::TooLarge);
        }
    }
}

/// Adds to the beginning of a line as much as it takes to see that it is too long.
fn hold(bytes: &[u8], begun: &mut Vec<u8>) {
    let room = (LONGEST_LINE + 2).saturating_sub(begun.len());
    begun.extend_from_slice(bytes.get(..room.min(bytes.len())).unwrap_or_default());
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

fn digest(bytes: &[u8]) -> String {
    let mut digest = Digest::new();
    bytes.split(|byte| *byte == b'\n').for_each(|line| digest.line(line));
    digest.finish()
}

//! Lines of files that dnstrail wrote, plain or gzip, one at a time. A line that is longer than any document
//! is passed over and counted: a small gzip file can unpack to a line of any length.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use crate::input::Unpacked;

/// Bytes of a line. Documents have at most 8 KiB, unless the sensor is built for more, and a shipper may
/// have added fields of its own.
pub const LONGEST_LINE: usize = 64 << 10;

/// A file of documents that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ViewError {
    #[error("{name}: cannot be opened")]
    Open { name: String, source: io::Error },
    #[error("{name}: cannot be read after line {line}")]
    Read { name: String, line: u64, source: io::Error },
    #[error("{name}: line {line} is in the format {format}, which is not read; give files of format=ecs")]
    Format { name: String, line: u64, format: &'static str },
}

/// The lines of one file.
pub struct Lines {
    name: String,
    input: Box<dyn BufRead>,
    line: Vec<u8>,
    number: u64,
}

/// The content of one line's place in a file.
#[derive(Debug, PartialEq, Eq)]
pub enum Entry<'a> {
    Line(&'a [u8]),
    TooLong,
}

impl Lines {
    /// Opens a file; `-` is the standard input.
    ///
    /// # Errors
    /// [`ViewError::Open`].
    pub fn open(path: &Path) -> Result<Self, ViewError> {
        let is_standard = path.as_os_str() == "-";
        let name = if is_standard { "standard input".to_owned() } else { path.display().to_string() };
        let open = || -> io::Result<Box<dyn BufRead>> {
            let raw: Box<dyn Read> = if is_standard { Box::new(io::stdin()) } else { Box::new(File::open(path)?) };
            Ok(Box::new(Unpacked::new(BufReader::with_capacity(1 << 20, raw))?))
        };
        match open() {
            Ok(input) => Ok(Self { name, input, line: Vec::new(), number: 0 }),
            Err(source) => Err(ViewError::Open { name, source }),
        }
    }

    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The number of the line that was read last, from 1.
    #[must_use]
    pub fn number(&self) -> u64 {
        self.number
    }

    /// The next line, without its end; `None` at the end of the file.
    ///
    /// # Errors
    /// [`ViewError::Read`].
    pub fn read(&mut self) -> Result<Option<Entry<'_>>, ViewError> {
        self.line.clear();
        let mut is_too_long = false;
        let mut is_empty = true;
        loop {
            let window = match self.input.fill_buf() {
                Ok(window) => window,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(source) => return Err(ViewError::Read { name: self.name.clone(), line: self.number, source }),
            };
            if window.is_empty() && is_empty {
                return Ok(None);
            }
            is_empty = false;
            let end = memchr::memchr(b'\n', window);
            let piece = window.get(..end.unwrap_or(window.len())).unwrap_or_default();
            is_too_long |= self.line.len() + piece.len() > LONGEST_LINE;
            if !is_too_long {
                self.line.extend_from_slice(piece);
            }
            let taken = piece.len() + usize::from(end.is_some());
            self.input.consume(taken);
            if end.is_some() || taken == 0 {
                self.number += 1;
                return Ok(Some(if is_too_long { Entry::TooLong } else { Entry::Line(&self.line) }));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn lengths(bytes: &[u8]) -> Vec<Option<usize>> {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(bytes).unwrap();
        let mut lines = Lines::open(file.path()).unwrap();
        let mut lengths = Vec::new();
        while let Some(line) = lines.read().unwrap() {
            lengths.push(match line {
                Entry::Line(line) => Some(line.len()),
                Entry::TooLong => None,
            });
        }
        assert_eq!(lines.number(), lengths.len() as u64);
        assert!(lines.line.capacity() <= 2 * LONGEST_LINE);
        lengths
    }

    #[test]
    fn a_line_of_any_length_takes_no_more_than_its_bound() {
        assert_eq!(lengths(b""), []);
        assert_eq!(lengths(b"a\n\nbcd"), [Some(1), Some(0), Some(3)]);
        let mut text = vec![b'x'; LONGEST_LINE];
        text.push(b'\n');
        text.extend(vec![b'x'; 40 << 20]);
        text.extend(b"\nafter\n");
        let expected = [Some(LONGEST_LINE), None, Some(5)];
        assert_eq!(lengths(&text), expected);
        let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
        gzip.write_all(&text).unwrap();
        assert_eq!(lengths(&gzip.finish().unwrap()), expected);
    }

    #[test]
    fn a_cut_gzip_file_is_an_error_with_its_place() {
        let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
        gzip.write_all(b"one\ntwo\n").unwrap();
        let whole = gzip.finish().unwrap();
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(&whole[..whole.len() - 4]).unwrap();
        let mut lines = Lines::open(file.path()).unwrap();
        let error = loop {
            match lines.read() {
                Ok(Some(_)) => {}
                Ok(None) => panic!("the end was not noticed"),
                Err(error) => break error,
            }
        };
        assert!(error.to_string().contains(": cannot be read after line "), "{error}");
    }
}

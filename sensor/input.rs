//! Files that a person named, opened so that none of them can hang the sensor or fill its memory: only
//! regular files are read, no open waits for another process, and a text has a bound. Gzip is
//! unpacked on the way. No call waits long for a file system that does not answer.

mod patience;

use std::fs::{self, File, FileType, Metadata, OpenOptions};
use std::io::{self, BufRead, BufReader, Chain, Cursor, Read};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::Path;

use flate2::bufread::MultiGzDecoder;
use nix::fcntl::OFlag;
pub use patience::{PatientFile, answered};

/// The first bytes of a gzip file (RFC 1952 2.3.1).
const GZIP: [u8; 2] = [0x1f, 0x8b];
/// Unpacked bytes that are held for the reader.
const BUFFER: usize = 1 << 18;

/// Why a file is not read.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    #[error("cannot be read: {0}")]
    Unreadable(#[source] io::Error),
    #[error("is {0}, not a file")]
    NotAFile(&'static str),
    #[error("has more than {0} bytes")]
    TooLarge(u64),
    #[error("does not answer in time; look at its file system")]
    Silent,
}

impl From<io::Error> for Refusal {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::TimedOut { Self::Silent } else { Self::Unreadable(error) }
    }
}

/// Opens a regular file, and nothing else: a pipe would wait for its writer, and a device may act when it
/// is opened.
///
/// # Errors
/// The path leads to something else, or to nothing that may be read.
pub fn regular(path: &Path) -> Result<File, Refusal> {
    let of_thread = path.to_owned();
    answered(path, move || Ok(regular_now(&of_thread)))?
}

fn regular_now(path: &Path) -> Result<File, Refusal> {
    is_regular(fs::metadata(path)?.file_type())?;
    // Between the look and the opening another program may have put a pipe there.
    let flags = (OFlag::O_NONBLOCK | OFlag::O_NOCTTY).bits();
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    is_regular(file.metadata()?.file_type())?;
    Ok(file)
}

/// Looks at the file that a path leads to.
///
/// # Errors
/// Nothing that may be looked at, or a file system that does not answer (`TimedOut`).
pub fn metadata(path: &Path) -> io::Result<Metadata> {
    let of_thread = path.to_owned();
    answered(path, move || fs::metadata(of_thread))
}

/// Reads a text file of at most `bound` bytes.
///
/// # Errors
/// As of [`regular`]; the file is larger, or not UTF-8.
pub fn text(path: &Path, bound: u64) -> Result<String, Refusal> {
    let of_thread = path.to_owned();
    answered(path, move || Ok(text_now(&of_thread, bound)))?
}

fn text_now(path: &Path, bound: u64) -> Result<String, Refusal> {
    let mut text = String::new();
    // One byte more is read: a file may be larger than it says (`/proc`), or grow.
    regular_now(path)?.take(bound + 1).read_to_string(&mut text)?;
    if text.len() as u64 > bound { Err(Refusal::TooLarge(bound)) } else { Ok(text) }
}

fn is_regular(kind: FileType) -> Result<(), Refusal> {
    Err(Refusal::NotAFile(match kind {
        kind if kind.is_file() => return Ok(()),
        kind if kind.is_dir() => "a directory",
        kind if kind.is_fifo() => "a pipe",
        kind if kind.is_socket() => "a socket",
        _ => "a device",
    }))
}

/// The bytes of a reader: as they are, or unpacked where they begin like a gzip file.
pub enum Unpacked<R: BufRead> {
    Plain(Whole<R>),
    Gzip(BufReader<MultiGzDecoder<Whole<R>>>),
}

/// The bytes that were looked at, and the rest.
type Whole<R> = Chain<Cursor<Vec<u8>>, R>;

impl<R: BufRead> Unpacked<R> {
    /// Looks at the first two bytes.
    ///
    /// # Errors
    /// They cannot be read.
    pub fn new(mut packed: R) -> io::Result<Self> {
        let mut first = Vec::with_capacity(GZIP.len());
        packed.by_ref().take(GZIP.len() as u64).read_to_end(&mut first)?;
        let is_gzip = first == GZIP;
        let whole = Cursor::new(first).chain(packed);
        Ok(if is_gzip {
            Self::Gzip(BufReader::with_capacity(BUFFER, MultiGzDecoder::new(whole)))
        } else {
            Self::Plain(whole)
        })
    }

    #[must_use]
    pub fn is_gzip(&self) -> bool {
        matches!(self, Self::Gzip(_))
    }
}

impl<R: BufRead> Read for Unpacked<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(bytes) => bytes.read(buffer),
            Self::Gzip(bytes) => bytes.read(buffer),
        }
    }
}

impl<R: BufRead> BufRead for Unpacked<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        match self {
            Self::Plain(bytes) => bytes.fill_buf(),
            Self::Gzip(bytes) => bytes.fill_buf(),
        }
    }

    fn consume(&mut self, amount: usize) {
        match self {
            Self::Plain(bytes) => bytes.consume(amount),
            Self::Gzip(bytes) => bytes.consume(amount),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::unix::net::UnixListener;

    use flate2::Compression;
    use flate2::write::GzEncoder;
    use nix::sys::stat::Mode;

    use super::*;

    #[test]
    fn only_regular_files_are_opened_and_none_is_waited_for() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        nix::unistd::mkfifo(&at("pipe"), Mode::S_IRWXU).unwrap();
        let _socket = UnixListener::bind(at("socket")).unwrap();
        for (path, kind) in [
            (at("pipe"), "is a pipe, not a file"),
            (at("socket"), "is a socket, not a file"),
            (directory.path().to_owned(), "is a directory, not a file"),
            ("/dev/zero".into(), "is a device, not a file"),
            (at("missing"), "cannot be read: No such file or directory (os error 2)"),
        ] {
            assert_eq!(regular(&path).unwrap_err().to_string(), kind);
        }
    }

    #[test]
    fn a_text_has_a_bound() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("text");
        fs::write(&path, "four").unwrap();
        assert_eq!(text(&path, 4).unwrap(), "four");
        assert!(matches!(text(&path, 3), Err(Refusal::TooLarge(3))));
        // A file that says that it is empty.
        assert!(matches!(text(Path::new("/proc/self/status"), 16), Err(Refusal::TooLarge(16))));
    }

    #[test]
    fn gzip_is_unpacked_and_all_else_is_left() {
        let read = |bytes: &[u8], buffer| {
            let mut text = Vec::new();
            let mut unpacked = Unpacked::new(BufReader::with_capacity(buffer, bytes)).unwrap();
            unpacked.read_to_end(&mut text).unwrap();
            (unpacked.is_gzip(), text)
        };
        let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
        gzip.write_all(b"packed").unwrap();
        let mut packed = gzip.finish().unwrap();
        packed.extend(packed.clone());
        // Also where a read gives one byte at a time.
        for buffer in [1, 4096] {
            assert_eq!(read(&packed, buffer), (true, b"packedpacked".to_vec()));
            assert_eq!(read(b"\x1fplain", buffer), (false, b"\x1fplain".to_vec()));
            assert_eq!(read(b"\x1f", buffer), (false, b"\x1f".to_vec()));
            assert_eq!(read(b"", buffer), (false, Vec::new()));
        }
    }
}

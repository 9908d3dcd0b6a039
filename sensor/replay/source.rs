//! The bytes of a capture: a file or standard input, plain or gzip, through one large buffer.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::input::Unpacked;

/// Bytes of the buffer, which must hold one record. The largest frames that capture programs write have 256 KiB;
/// the rest makes reads rare.
pub(super) const BUFFER: usize = 1 << 20;

/// A window over the bytes, from the first that was not consumed.
pub(super) struct Source {
    reader: Box<dyn Read>,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    /// The place of `start` in the (uncompressed) capture.
    offset: u64,
    read: Arc<AtomicU64>,
    total: Option<u64>,
}

/// A reader that counts the bytes of the file itself, compressed as it is.
struct Counted<R> {
    inner: R,
    read: Arc<AtomicU64>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.read.fetch_add(count as u64, Relaxed);
        Ok(count)
    }
}

impl Source {
    /// Opens a capture; `-` is standard input.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        if path.as_os_str() == "-" {
            return Self::new(io::stdin(), None);
        }
        let file = File::open(path)?;
        let metadata = file.metadata()?;
        if metadata.is_dir() {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        Self::new(file, metadata.is_file().then_some(metadata.len()))
    }

    fn new(input: impl Read + 'static, total: Option<u64>) -> io::Result<Self> {
        let read = Arc::new(AtomicU64::new(0));
        let input = Counted { inner: input, read: Arc::clone(&read) };
        let reader = Box::new(Unpacked::new(BufReader::with_capacity(BUFFER / 4, input))?);
        Ok(Self { reader, buffer: vec![0; BUFFER], start: 0, end: 0, offset: 0, read, total })
    }

    /// Bytes from the current place on, at least `count` of them unless the capture ends before
    /// or `count` is above [`BUFFER`].
    pub(super) fn peek(&mut self, count: usize) -> io::Result<&[u8]> {
        if self.end - self.start < count {
            self.fill(count)?;
        }
        Ok(self.window())
    }

    /// The bytes that [`Self::peek`] gave last.
    pub(super) fn window(&self) -> &[u8] {
        self.buffer.get(self.start..self.end).unwrap_or_default()
    }

    /// Goes on by `count` bytes, beyond the window too. `false`: the capture ends before.
    pub(super) fn skip(&mut self, count: u64) -> io::Result<bool> {
        let mut left = count;
        loop {
            let here = (self.end - self.start) as u64;
            let step = left.min(here);
            self.start += usize::try_from(step).unwrap_or_default();
            self.offset += step;
            left -= step;
            if left == 0 {
                return Ok(true);
            }
            self.fill(1)?;
            if self.start == self.end {
                return Ok(false);
            }
        }
    }

    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    /// Bytes read so far of the file as it is, and how many it has.
    pub(super) fn progress(&self) -> (u64, Option<u64>) {
        (self.read.load(Relaxed), self.total)
    }

    #[cold]
    fn fill(&mut self, count: usize) -> io::Result<()> {
        self.buffer.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        while self.end < count.min(self.buffer.len()) {
            let room = self.buffer.get_mut(self.end..).unwrap_or_default();
            match self.reader.read(room) {
                Ok(0) => break,
                Ok(read) => self.end += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

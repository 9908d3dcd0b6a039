//! A file of whole lines that can be followed while it grows: it is only ever appended to, renamed away
//! and opened anew, never truncated, and nothing that is not its own is overwritten.
//!
//! What happens at the edges. A disk that is full in the middle of a line: the rest of that line is
//! written first when there is room again. A file that ends inside a line because an earlier run was
//! killed: a newline closes that fragment off, so that only it fails to parse. A file that was renamed or
//! deleted behind our back: noticed within a second, and opened anew. One program writes one file.
//!
//! A reader may tell files apart by their first kilobyte (filebeat does): each begins with a whole line,
//! whose time and sequence stand at its front and never come twice, so no mark of our own is needed.

mod rotation;

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, FileExt, FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use crate::sink::health::Health;
use crate::sink::pending::{BATCH, Pending};
use crate::sink::target::Rotate;
use crate::sink::{Line, Sink};
use rotation::{Housekeeper, Names, rename_away};

/// Who resolved what is for the administrators of a host only.
const FILE_MODE: u32 = 0o640;
const DIRECTORY_MODE: u32 = 0o750;
/// A rotation that failed is tried again after that.
const ROTATE_AGAIN: Duration = Duration::from_secs(30);
/// `/dev/null` (Documentation/admin-guide/devices.txt): major 1, minor 3.
const NULL_DEVICE: u64 = 0x103;

/// What stands at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FileKind {
    /// Takes bytes without waiting for a reader; or nothing is there yet.
    Regular,
    /// A FIFO or a device.
    Waiting,
}

/// # Errors
/// One sentence about what cannot be written at all.
pub(crate) fn kind(path: &Path) -> Result<FileKind, String> {
    let metadata = match fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(FileKind::Regular),
        Err(error) => return Err(format!("{error}; give a path that this user can write")),
    };
    let kind = metadata.file_type();
    if kind.is_dir() {
        Err("is a directory; name a file in it".into())
    } else if kind.is_socket() {
        Err(format!("is a socket; write syslog:unix:{}", path.display()))
    } else if kind.is_file() || metadata.rdev() == NULL_DEVICE {
        Ok(FileKind::Regular)
    } else {
        Ok(FileKind::Waiting)
    }
}

pub(crate) struct LogFile {
    path: PathBuf,
    open: Option<Open>,
    pending: Pending,
    /// Bytes kept while nothing can be written.
    buffer: usize,
    rotate: Option<Rotate>,
    names: Names,
    housekeeper: Option<Housekeeper>,
    rotate_again: Option<Instant>,
    health: Health,
    /// The last write failed.
    blocked: bool,
    /// The path cannot be opened: what is open, if anything, has another name by now.
    astray: bool,
}

struct Open {
    file: File,
    device: u64,
    inode: u64,
    size: u64,
    born: SystemTime,
    /// Written since the path was last seen to lead here.
    lines_unseen: u64,
}

impl LogFile {
    pub fn open(path: PathBuf, rotate: Option<Rotate>, buffer: usize) -> io::Result<Self> {
        let names = Names::of(&path);
        let housekeeper =
            rotate.as_ref().map(|rotate| Housekeeper::start(names.clone(), rotate.clone())).transpose()?;
        let open = Some(Open::new(&path).map_err(|error| remedy(&path, &error))?);
        Ok(LogFile {
            path,
            open,
            pending: Pending::default(),
            buffer,
            rotate,
            names,
            housekeeper,
            rotate_again: None,
            health: Health::default(),
            blocked: false,
            astray: false,
        })
    }

    fn drain(&mut self) {
        let Some(open) = &mut self.open else { return };
        let Open { file, size, lines_unseen, .. } = open;
        let (lines, outcome) = self.pending.drain(|bytes| {
            let written = file.write(bytes)?;
            *size += written as u64;
            Ok(written)
        });
        *lines_unseen += lines;
        match outcome {
            Ok(()) if self.blocked => {
                self.blocked = false;
                self.recover();
            }
            Ok(()) => {}
            Err(error) => {
                self.blocked = true;
                self.health.fail(format!(
                    "cannot be written: {error}; lines are kept while there is room, and it is tried every second"
                ));
            }
        }
    }

    /// Opens what the path leads to, if that is not what is open.
    fn follow_path(&mut self) {
        let seen = fs::metadata(&self.path);
        if let (Ok(seen), Some(open)) = (&seen, &mut self.open)
            && (seen.dev(), seen.ino()) == (open.device, open.inode)
        {
            // A tool may have shortened it (copytruncate).
            open.size = seen.len();
            open.lines_unseen = 0;
            self.astray = false;
            self.recover();
            return;
        }
        if let Some(open) = self.open.take_if(|open| open.file.metadata().is_ok_and(|file| file.nlink() == 0)) {
            let lost = open.lines_unseen;
            self.health.tally.dropped += lost;
            self.health.fail(format!("was deleted, and with it up to {lost} lines written since the last look"));
            self.blocked = true;
        }
        self.open_anew();
    }

    /// If it cannot be opened, the file that was renamed away is written on.
    fn open_anew(&mut self) {
        match Open::or_directory(&self.path) {
            Ok(open) => {
                self.open = Some(open);
                self.astray = false;
                self.pending.restart_line();
                self.drain();
                self.recover();
            }
            Err(error) => {
                self.blocked |= self.open.is_none();
                self.astray = true;
                self.health.fail(format!("cannot be opened: {}", remedy(&self.path, &error)));
            }
        }
    }

    fn recover(&mut self) {
        if self.health.is_failing() && !self.blocked && !self.astray && self.rotate_again.is_none() {
            let dropped = self.health.tally.dropped;
            self.health.recover(format!("works again; {dropped} lines were dropped so far"));
        }
    }

    /// Would a line more make the file too long?
    fn is_full(&self, more: usize) -> bool {
        let most = self.rotate.as_ref().and_then(|rotate| rotate.size);
        most.is_some_and(|most| self.length() > 0 && self.length() + more as u64 > most)
    }

    fn is_old(&self, now: SystemTime) -> bool {
        let most = self.rotate.as_ref().and_then(|rotate| rotate.age);
        let age = self.open.as_ref().and_then(|open| now.duration_since(open.born).ok());
        self.length() > 0 && most.zip(age).is_some_and(|(most, age)| age >= most)
    }

    fn length(&self) -> u64 {
        self.open.as_ref().map_or(0, |open| open.size) + self.pending.len() as u64
    }

    fn rotate(&mut self) {
        if self.astray || self.rotate_again.is_some_and(|at| Instant::now() < at) {
            return;
        }
        self.drain();
        if self.blocked || self.pending.inside_line() {
            return;
        }
        self.follow_path();
        if self.astray || self.open.as_ref().is_none_or(|open| open.size == 0) {
            return;
        }
        match rename_away(&self.path, &self.names) {
            Ok(()) => {
                self.rotate_again = None;
                self.open_anew();
                if let Some(housekeeper) = &self.housekeeper {
                    housekeeper.wake();
                }
            }
            Err(error) => {
                self.rotate_again = Some(Instant::now() + ROTATE_AGAIN);
                self.health.fail(format!("cannot be rotated: {error}; it grows until its directory can be written"));
            }
        }
    }
}

impl Open {
    fn new(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().append(true).create(true).mode(FILE_MODE).open(path)?;
        let metadata = file.metadata()?;
        let mut open = Open {
            file,
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.len(),
            born: if metadata.len() == 0 { SystemTime::now() } else { metadata.created().unwrap_or(SystemTime::now()) },
            lines_unseen: 0,
        };
        if metadata.is_file() && ends_inside_line(path, open.size) {
            open.file.write_all(b"\n")?;
            open.size += 1;
        }
        Ok(open)
    }

    /// The directory that was there at the start is made again; what is above it is not ours.
    fn or_directory(path: &Path) -> io::Result<Self> {
        match Open::new(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let directory = path.parent().ok_or(error)?;
                DirBuilder::new().mode(DIRECTORY_MODE).create(directory)?;
                Open::new(path)
            }
            other => other,
        }
    }
}

/// A file that cannot be read is taken to be whole.
fn ends_inside_line(path: &Path, size: u64) -> bool {
    let mut last = [b'\n'];
    let Some(at) = size.checked_sub(1) else { return false };
    File::open(path).and_then(|file| file.read_exact_at(&mut last, at)).is_ok() && last != *b"\n"
}

fn remedy(path: &Path, error: &io::Error) -> io::Error {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let advice = match error.kind() {
        io::ErrorKind::NotFound => format!("make the directory {}", directory.display()),
        io::ErrorKind::PermissionDenied => format!("let this user write in {}", directory.display()),
        _ => "give another path or mend the file system".into(),
    };
    io::Error::new(error.kind(), format!("{error}; {advice}"))
}

impl Sink for LogFile {
    fn write(&mut self, line: &Line<'_>) {
        self.health.tally.lines += 1;
        if self.blocked {
            if self.pending.len() + line.bytes.len() > self.buffer {
                self.health.tally.dropped += 1;
            } else {
                self.pending.push(line.bytes);
            }
            return;
        }
        if self.is_full(line.bytes.len()) {
            self.rotate();
        }
        self.pending.push(line.bytes);
        if self.pending.len() >= BATCH && !self.blocked {
            self.drain();
        }
    }

    fn flush(&mut self) {
        if !self.blocked {
            self.drain();
        }
    }

    fn reopen(&mut self) {
        self.drain();
        self.follow_path();
    }

    fn tick(&mut self, _now: Instant) {
        self.drain();
        self.follow_path();
        if self.is_full(0) || self.is_old(SystemTime::now()) {
            self.rotate();
        }
    }

    fn start_close(&mut self, _deadline: Instant) {
        self.drain();
        self.follow_path();
    }

    fn finish(&mut self, deadline: Instant) {
        self.health.tally.dropped += self.pending.discard();
        if let Some(housekeeper) = self.housekeeper.take() {
            housekeeper.stop(deadline);
        }
    }

    fn health(&mut self) -> &mut Health {
        &mut self.health
    }
}

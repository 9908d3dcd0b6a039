//! A file of whole lines that can be followed while it grows: it is only appended to, renamed away and
//! opened anew, never truncated, and no file of others is overwritten.
//!
//! A disk that is full in the middle of a line gets the rest of that line first when there is space again.
//! A file that ends inside a line, because an earlier run was killed, gets a newline, so that only that
//! fragment fails to parse. A file that was renamed or deleted by others is noticed within a second and
//! opened anew. A lock on the file keeps a second sensor from writing it.
//!
//! A reader may know files by their first kilobyte (filebeat does): each file begins with a whole line,
//! and the time and sequence at the front of a line never come twice.

use std::collections::VecDeque;
use std::fs::{self, DirBuilder, File, Metadata, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use super::super::delivery::{Opened, Orders, Progress, Queue};
use super::super::error::{FileError, Trouble};
use super::super::line::Line;
use super::super::open;
use super::super::target::Rotate;
use super::housekeeping::Housekeeper;
use super::kind::FileKind;
use super::rotation::{Names, rename_away};

const DIRECTORY_MODE: u32 = 0o750;
/// A rotation that failed is tried again after this.
const ROTATE_AGAIN: Duration = Duration::from_secs(30);
/// The path is looked at, and a write that failed is tried again, this often.
const LOOK: Duration = Duration::from_secs(1);
/// Lines that come within this time after a write are written together.
const GATHER: Duration = Duration::from_millis(2);
/// A chunk this long is written without waiting for more.
const FULL: usize = 32 << 10;

pub(in crate::sink) struct LogFile {
    path: PathBuf,
    open: Option<Open>,
    rotate: Option<Rotate>,
    names: Names,
    housekeeper: Option<Housekeeper>,
    rotate_again: Option<Instant>,
    /// Whole lines, of which the first `written` bytes of the first chunk are in the file.
    chunks: VecDeque<Vec<u8>>,
    written: usize,
    progress: Progress,
    /// The last write failed.
    blocked: bool,
    /// The path cannot be opened: the open file, if there is one, has another name by now.
    astray: bool,
}

struct Open {
    file: File,
    device: u64,
    inode: u64,
    size: u64,
    born: SystemTime,
    /// Lines written since the path was last seen to lead here.
    lines_unseen: u64,
}

impl LogFile {
    pub fn open(path: PathBuf, rotate: Option<Rotate>) -> Result<Self, FileError> {
        let open = Some(Open::new(&path)?);
        let names = Names::of(&path);
        let housekeeper = match &rotate {
            Some(rotate) => Some(Housekeeper::start(names.clone(), rotate.clone()).map_err(FileError::Thread)?),
            None => None,
        };
        Ok(LogFile {
            path,
            open,
            rotate,
            names,
            housekeeper,
            rotate_again: None,
            chunks: VecDeque::new(),
            written: 0,
            progress: Progress::default(),
            blocked: false,
            astray: false,
        })
    }

    pub fn opened(self) -> Opened {
        let append = |chunk: &mut Vec<u8>, line: &Line<'_>| chunk.extend_from_slice(line.bytes);
        Opened { append, run: Box::new(move |queue| self.run(queue)) }
    }

    /// Writes until the end is ordered and every line is written, or cannot be.
    fn run(mut self, queue: &Queue) {
        let mut looked = Instant::now();
        loop {
            let mut taken = 0;
            let orders = queue.exchange(&mut self.progress, |chunk| {
                taken += chunk.len();
                self.chunks.push_back(chunk);
            });
            let is_due = looked.elapsed() >= LOOK || orders.reopen;
            if is_due {
                looked = Instant::now();
            }
            self.turn(queue, is_due, orders);
            if self.blocked && orders.is_last_call() || self.chunks.is_empty() && orders.close.is_some() {
                break;
            }
            if self.progress.lines > 0 && taken < FULL && !orders.is_last_call() {
                std::thread::sleep(GATHER);
            } else if self.progress.lines == 0 {
                queue.rest(LOOK.saturating_sub(looked.elapsed()));
            }
        }
        queue.exchange(&mut self.progress, drop);
        if let Some(housekeeper) = self.housekeeper.take() {
            housekeeper.stop();
        }
    }

    /// One round: lines are written, and if a look is due, the path and the age are looked at.
    fn turn(&mut self, queue: &Queue, is_due: bool, orders: Orders) {
        if !self.blocked || is_due || orders.is_last_call() {
            self.write_out(queue);
        }
        if is_due || orders.close.is_some() {
            self.follow_path(queue);
            if self.is_full() || self.is_old(SystemTime::now()) {
                self.rotate(queue);
            }
        }
    }

    /// Writes all chunks, and rotates where a line more would make the file too long.
    fn write_out(&mut self, queue: &Queue) {
        while let Some(rest) = self.chunks.front().and_then(|chunk| chunk.get(self.written..)) {
            let part = self.fitting(rest);
            if part == 0 && !rest.is_empty() {
                self.rotate(queue);
                continue;
            }
            let Some(Open { file, size, lines_unseen, .. }) = &mut self.open else { return };
            match rest.get(..part).map_or(Ok(0), |part| file.write(part)) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return self.block(queue, &Trouble::Write(error)),
                Ok(0) if part > 0 => return self.block(queue, &Trouble::Write(io::ErrorKind::WriteZero.into())),
                Ok(length) => {
                    let lines = rest.iter().take(length).filter(|byte| **byte == b'\n').count() as u64;
                    *size += length as u64;
                    *lines_unseen += lines;
                    self.progress.lines += lines;
                    self.advance(length);
                }
            }
        }
        if self.open.is_some() && std::mem::take(&mut self.blocked) {
            self.recover(queue);
        }
    }

    fn advance(&mut self, length: usize) {
        self.written += length;
        if self.chunks.front().is_some_and(|chunk| self.written >= chunk.len()) {
            self.progress.emptied.extend(self.chunks.pop_front());
            self.written = 0;
        }
    }

    /// The number of bytes of `rest` that the file may take; 0 where a rotation comes first.
    fn fitting(&self, rest: &[u8]) -> usize {
        let most = self.rotate.as_ref().and_then(|rotate| rotate.size);
        let (Some(most), Some(open)) = (most, &self.open) else { return rest.len() };
        let room = usize::try_from(most.saturating_sub(open.size)).unwrap_or(usize::MAX);
        if rest.len() <= room || !self.may_rotate() {
            return rest.len();
        }
        let first = rest.iter().position(|byte| *byte == b'\n').map_or(rest.len(), |end| end + 1);
        if self.is_inside_line() {
            return first;
        }
        match rest.get(..room).and_then(|fitting| fitting.iter().rposition(|byte| *byte == b'\n')) {
            Some(end) => end + 1,
            None if open.size == 0 => first,
            None => 0,
        }
    }

    fn block(&mut self, queue: &Queue, trouble: &Trouble) {
        self.blocked = true;
        queue.set_away();
        queue.report(|health| health.fail(trouble));
    }

    /// Opens the file that the path leads to, if another one is open.
    fn follow_path(&mut self, queue: &Queue) {
        let seen = fs::metadata(&self.path);
        if let (Ok(seen), Some(open)) = (&seen, &mut self.open)
            && (seen.dev(), seen.ino()) == (open.device, open.inode)
        {
            // A tool may have shortened it (copytruncate).
            open.size = seen.len();
            open.lines_unseen = 0;
            self.astray = false;
            self.recover(queue);
            return;
        }
        if let Some(open) = self.open.take_if(|open| open.file.metadata().is_ok_and(|file| file.nlink() == 0)) {
            queue.report(|health| health.tally.dropped += open.lines_unseen);
            self.block(queue, &Trouble::Deleted);
        }
        self.open_anew(queue);
    }

    /// Opens the path; where that fails, the file that was renamed away is written on.
    fn open_anew(&mut self, queue: &Queue) {
        match Open::or_directory(&self.path) {
            Ok(open) => {
                self.open = Some(open);
                self.astray = false;
                self.blocked = false;
                self.restart_line();
                self.recover(queue);
            }
            Err(error) => {
                self.astray = true;
                if self.open.is_none() {
                    self.blocked = true;
                    queue.set_away();
                }
                queue.report(|health| health.fail(&Trouble::Reopen(error)));
            }
        }
    }

    fn recover(&mut self, queue: &Queue) {
        if !self.blocked && !self.astray && self.rotate_again.is_none() {
            queue.set_present();
            queue.report(|health| health.recover("works again"));
        }
    }

    fn is_full(&self) -> bool {
        let most = self.rotate.as_ref().and_then(|rotate| rotate.size);
        most.zip(self.open.as_ref()).is_some_and(|(most, open)| open.size > most)
    }

    fn is_old(&self, now: SystemTime) -> bool {
        let most = self.rotate.as_ref().and_then(|rotate| rotate.age);
        let written = self.open.as_ref().filter(|open| open.size > 0);
        let age = written.and_then(|open| now.duration_since(open.born).ok());
        most.zip(age).is_some_and(|(most, age)| age >= most)
    }

    fn is_inside_line(&self) -> bool {
        let before = self.written.checked_sub(1).and_then(|last| self.chunks.front()?.get(last));
        before.is_some_and(|byte| *byte != b'\n')
    }

    /// The file is another one: a line that was begun is written there from its start.
    fn restart_line(&mut self) {
        let written = self.chunks.front().and_then(|chunk| chunk.get(..self.written));
        self.written = written.and_then(|bytes| bytes.iter().rposition(|byte| *byte == b'\n')).map_or(0, |end| end + 1);
    }

    fn may_rotate(&self) -> bool {
        !self.astray && !self.blocked && self.rotate_again.is_none_or(|at| Instant::now() >= at)
    }

    fn rotate(&mut self, queue: &Queue) {
        if !self.may_rotate() || self.is_inside_line() {
            return;
        }
        self.rotate_again = None;
        self.follow_path(queue);
        if self.astray || self.open.as_ref().is_none_or(|open| open.size == 0) {
            return;
        }
        match rename_away(&self.path, &self.names) {
            Ok(()) => {
                self.open_anew(queue);
                if let Some(housekeeper) = &self.housekeeper {
                    housekeeper.wake();
                }
            }
            Err(error) => {
                self.rotate_again = Some(Instant::now() + ROTATE_AGAIN);
                queue.report(|health| health.fail(&Trouble::Rotate(error)));
            }
        }
    }
}

impl Open {
    fn new(path: &Path) -> Result<Self, FileError> {
        let failed = |error| FileError::Open { path: path.to_owned(), error };
        let mut file = open::append(path).map_err(failed)?;
        let metadata = file.metadata().map_err(failed)?;
        if FileKind::of_metadata(path, &metadata)? == FileKind::Waiting {
            return Err(FileError::Replaced);
        }
        if metadata.is_file() {
            lock(&file, &metadata)?;
        }
        let mut size = metadata.len();
        if metadata.is_file() && open::last_byte(path, &file, size).is_some_and(|byte| byte != b'\n') {
            file.write_all(b"\n").map_err(failed)?;
            size += 1;
        }
        let now = SystemTime::now();
        Ok(Open {
            file,
            device: metadata.dev(),
            inode: metadata.ino(),
            size,
            born: if size == 0 { now } else { metadata.created().unwrap_or(now) },
            lines_unseen: 0,
        })
    }

    /// The directory that was there at the start is made again; the ones above it are left to others.
    fn or_directory(path: &Path) -> Result<Self, FileError> {
        match Open::new(path) {
            Err(FileError::Open { error, .. }) if error.kind() == io::ErrorKind::NotFound => {
                if let Some(directory) = path.parent() {
                    let made = DirBuilder::new().mode(DIRECTORY_MODE).create(directory);
                    made.map_err(|error| FileError::Open { path: path.to_owned(), error })?;
                }
                Open::new(path)
            }
            other => other,
        }
    }
}

/// Keeps other sensors from this file for as long as it is open.
fn lock(file: &File, metadata: &Metadata) -> Result<(), FileError> {
    match file.try_lock() {
        Err(TryLockError::WouldBlock) => {
            let locks = fs::read_to_string("/proc/locks").unwrap_or_default();
            Err(FileError::Locked { pid: holder(&locks, metadata.ino()) })
        }
        // A file system without locks is no reason to write nothing.
        Ok(()) | Err(TryLockError::Error(_)) => Ok(()),
    }
}

/// The process that holds a lock by flock(2), as proc_locks(5) shows it. The device is not compared: a
/// file system in several volumes shows another one there than stat(2) does.
fn holder(locks: &str, inode: u64) -> Option<u32> {
    let inode = format!(":{inode}");
    let mut fields = locks.lines().map(|line| line.split_ascii_whitespace().skip(1));
    fields.find_map(|mut fields| {
        let is_flock = fields.next() == Some("FLOCK");
        let (pid, file) = (fields.nth(2)?, fields.next()?);
        (is_flock && file.ends_with(&inode)).then(|| pid.parse().ok().filter(|pid| *pid != 0))?
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_holder_of_a_lock_is_found_by_its_inode() {
        let locks = "1: POSIX  ADVISORY  WRITE 11 fd:00:4711 0 EOF\n\
                     2: FLOCK  ADVISORY  WRITE 12 fd:00:14711 0 EOF\n\
                     2: -> FLOCK  ADVISORY  WRITE 13 fd:00:4711 0 EOF\n\
                     3: FLOCK  ADVISORY  WRITE 14 fd:00:4711 0 EOF\n\
                     4: FLOCK  ADVISORY  WRITE 0 fd:00:4712 0 EOF\n\
                     5: FLOCK\n";
        assert_eq!(holder(locks, 4711), Some(14));
        assert_eq!(holder(locks, 14711), Some(12));
        assert_eq!(holder(locks, 4712), None);
        assert_eq!(holder(locks, 1), None);
    }
}

//! File systems that do not answer (NFS, FUSE): each call that may wait for one is made on a thread of its own, and
//! its asker waits no longer than a few seconds. A thread that is stuck stays until its file system answers; how
//! many there may be is bounded.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

/// A file system that answers takes milliseconds, or a second where a disk has to wake up.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long a path is waited for where another one is silent already: most likely they share the file system.
const SHORT_PATIENCE: Duration = Duration::from_secs(1);
/// Threads that are stuck at a time. Past it no file is looked at until one comes back.
const STUCK: usize = 16;
/// Bytes that a reader takes at once, and chunks that wait for their asker.
const CHUNK: usize = 1 << 18;
const CHUNKS: usize = 2;
/// Bytes of stack of a thread, which holds paths and no buffer.
const STACK: usize = 256 << 10;

/// The paths whose threads are stuck.
static SILENT: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

/// Does `work`, which looks at `path`, and waits for its result.
///
/// # Errors
/// As of `work`; `TimedOut` where the path's file system does not answer.
pub fn answered<T: Send + 'static>(
    path: &Path,
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    let patience = admit(path)?;
    let (report, result) = sync_channel(1);
    let of_thread = path.to_owned();
    let body = move || report_to(&of_thread, &report, work());
    let thread = thread::Builder::new().name("files".into()).stack_size(STACK).spawn(body)?;
    let result = wait(path, patience, &result)?;
    // Its end is near: a program that forks later has no other thread then.
    let _ = thread.join();
    result
}

/// Bytes of a file, read by a thread of its own.
#[derive(Debug)]
pub struct PatientFile {
    path: PathBuf,
    chunks: Receiver<io::Result<Vec<u8>>>,
    chunk: Vec<u8>,
    /// Bytes of the chunk that were read.
    next: usize,
    is_over: bool,
}

impl PatientFile {
    /// # Errors
    /// No thread can be started.
    pub fn new(path: &Path, file: File) -> io::Result<Self> {
        let (report, chunks) = sync_channel(CHUNKS);
        let of_thread = path.to_owned();
        let body = move || read_all(file, &of_thread, &report);
        thread::Builder::new().name("files".into()).stack_size(STACK).spawn(body)?;
        Ok(Self { path: path.to_owned(), chunks, chunk: Vec::new(), next: 0, is_over: false })
    }
}

impl Read for PatientFile {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.next == self.chunk.len() && !self.is_over {
            // An empty chunk is the end of the file, or comes behind an error.
            self.chunk = wait(&self.path, PATIENCE, &self.chunks)
                .and_then(|chunk| chunk)
                .inspect_err(|_| self.is_over = true)?;
            self.next = 0;
            self.is_over = self.chunk.is_empty();
        }
        let rest = self.chunk.get(self.next..).unwrap_or_default();
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        self.next += count;
        Ok(count)
    }
}

fn read_all(mut file: File, path: &Path, report: &SyncSender<io::Result<Vec<u8>>>) {
    loop {
        let mut chunk = Vec::with_capacity(CHUNK);
        let outcome = file.by_ref().take(CHUNK as u64).read_to_end(&mut chunk).map(|_| chunk);
        let is_last = outcome.as_ref().map_or(true, Vec::is_empty);
        if !report_to(path, report, outcome) || is_last {
            return;
        }
    }
}

/// How long the asker may wait for this path.
fn admit(path: &Path) -> io::Result<Duration> {
    let silent = lock();
    if silent.len() >= STUCK || silent.iter().any(|known| known == path) {
        return Err(io::ErrorKind::TimedOut.into());
    }
    Ok(if silent.is_empty() { PATIENCE } else { SHORT_PATIENCE })
}

/// The next result of a thread. Where it does not come in time, the path is silent until it does.
fn wait<T>(path: &Path, patience: Duration, result: &Receiver<T>) -> io::Result<T> {
    match result.recv_timeout(patience) {
        Ok(result) => Ok(result),
        Err(RecvTimeoutError::Disconnected) => Err(io::ErrorKind::BrokenPipe.into()),
        Err(RecvTimeoutError::Timeout) => {
            let mut silent = lock();
            // The thread reports under the lock, so that none is silent that has just reported.
            result.try_recv().map_err(|_| {
                silent.push(path.to_owned());
                io::ErrorKind::TimedOut.into()
            })
        }
    }
}

/// Reports a result. `false`: its asker is gone.
fn report_to<T>(path: &Path, report: &SyncSender<T>, result: T) -> bool {
    use std::sync::mpsc::TrySendError;
    let mut silent = lock();
    if let Some(place) = silent.iter().position(|known| known == path) {
        silent.swap_remove(place);
    }
    let sent = report.try_send(result);
    drop(silent);
    match sent {
        Ok(()) => true,
        // The asker is busy with the chunks before.
        Err(TrySendError::Full(result)) => report.send(result).is_ok(),
        Err(TrySendError::Disconnected(_)) => false,
    }
}

fn lock() -> MutexGuard<'static, Vec<PathBuf>> {
    SILENT.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::sync::mpsc::channel;
    use std::time::Instant;

    use super::*;

    #[test]
    fn work_that_does_not_end_is_left_behind_and_taken_up_again() {
        let path = Path::new("/nonexistent/that-hangs");
        let (end, is_over) = channel::<()>();
        let begin = Instant::now();
        let hung = answered(path, move || {
            let _ = is_over.recv();
            Ok(1)
        });
        assert_eq!(hung.unwrap_err().kind(), io::ErrorKind::TimedOut);
        assert!(begin.elapsed() >= PATIENCE && begin.elapsed() < PATIENCE * 2);
        // The same path is not waited for again, and others are looked at.
        let begin = Instant::now();
        assert_eq!(answered(path, || Ok(2)).unwrap_err().kind(), io::ErrorKind::TimedOut);
        assert_eq!(answered(Path::new("/"), || Ok(3)).unwrap(), 3);
        assert!(begin.elapsed() < SHORT_PATIENCE);
        drop(end);
        while answered(path, || Ok(4)).is_err() {
            thread::sleep(Duration::from_millis(1));
        }
    }

    #[test]
    fn a_file_is_read_to_its_end_and_an_error_is_reported_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let bytes: Vec<u8> = (0..3 * CHUNK + 7).map(|number| u8::try_from(number % 251).unwrap()).collect();
        fs::write(&path, &bytes).unwrap();
        let mut read = Vec::new();
        PatientFile::new(&path, File::open(&path).unwrap()).unwrap().read_to_end(&mut read).unwrap();
        assert!(read == bytes);
        let mut directory = PatientFile::new(folder.path(), File::open(folder.path()).unwrap()).unwrap();
        assert_eq!(directory.read(&mut [0; 8]).unwrap_err().kind(), io::ErrorKind::IsADirectory);
        assert_eq!(directory.read(&mut [0; 8]).unwrap(), 0);
        // A reader that is dropped early takes its thread along.
        let mut early = PatientFile::new(&path, File::open(&path).unwrap()).unwrap();
        early.read_exact(&mut [0; 8]).unwrap();
    }
}

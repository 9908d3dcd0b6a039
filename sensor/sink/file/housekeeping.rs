//! Old rotated files: the oldest are deleted and the others compressed, on a thread of their own. The
//! newest rotated file stays uncompressed for a reader that lags behind.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use flate2::Compression;
use flate2::write::GzEncoder;

use super::super::target::Rotate;
use super::rotation::{COMPRESSED, Names, PARTIAL, rename_to_free, with_suffix};

/// Bytes read and compressed at once; the end of the program is looked for in between.
const BLOCK: usize = 64 << 10;
/// The end of the program waits this long for a block to be done.
const STOP: Duration = Duration::from_millis(500);
const LOOK: Duration = Duration::from_millis(10);

/// Deletes and compresses after each rotation.
pub(super) struct Housekeeper {
    /// Starts a round, which looks after all files there are: one call is enough.
    calls: SyncSender<()>,
    stop: Arc<AtomicBool>,
    thread: std::thread::JoinHandle<()>,
}

impl Housekeeper {
    /// Starts the thread, whose first round looks after the files of an earlier run.
    pub fn start(names: Names, rotate: Rotate) -> io::Result<Self> {
        let (calls, called) = sync_channel(1);
        let stop = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&stop);
        let thread = std::thread::Builder::new()
            .name("rotation".into())
            .spawn(move || keep_house(&names, &rotate, &called, &seen))?;
        let housekeeper = Housekeeper { calls, stop, thread };
        housekeeper.wake();
        Ok(housekeeper)
    }

    pub fn wake(&self) {
        // A full channel means that a round is due anyway.
        let _ = self.calls.try_send(());
    }

    /// Gives up a compression under way; the next run does it again.
    pub fn stop(self) {
        let Housekeeper { calls, stop, thread } = self;
        stop.store(true, Relaxed);
        drop(calls);
        let deadline = Instant::now() + STOP;
        while !thread.is_finished() && Instant::now() < deadline {
            std::thread::sleep(LOOK);
        }
    }
}

fn keep_house(names: &Names, rotate: &Rotate, called: &Receiver<()>, stop: &AtomicBool) {
    while called.recv().is_ok() && !stop.load(Relaxed) {
        // A round that fails (a directory that is gone) is repeated after the next rotation.
        let _ = prune(names, rotate.keep);
        if rotate.gzip {
            let _ = compress_all(names, stop);
        }
    }
}

/// Deletes the oldest files beyond `keep`, and compressions that did not come to their end.
fn prune(names: &Names, keep: usize) -> io::Result<()> {
    for partial in names.list(|suffix| suffix == PARTIAL)? {
        fs::remove_file(partial)?;
    }
    let files = names.list(|suffix| suffix.is_empty() || suffix == COMPRESSED)?;
    for old in files.iter().rev().skip(keep) {
        fs::remove_file(old)?;
    }
    Ok(())
}

fn compress_all(names: &Names, stop: &AtomicBool) -> io::Result<()> {
    let plain = names.list(str::is_empty)?;
    let Some((_newest, older)) = plain.split_last() else { return Ok(()) };
    for file in older {
        if !compress(file, stop)? {
            break;
        }
    }
    Ok(())
}

/// False means that the program ends and the compression was given up.
fn compress(file: &Path, stop: &AtomicBool) -> io::Result<bool> {
    let partial = with_suffix(file, PARTIAL);
    let mut plain = File::open(file)?;
    let mode = plain.metadata()?.mode() & 0o777;
    let out = OpenOptions::new().write(true).create_new(true).mode(mode).open(&partial)?;
    let mut encoder = GzEncoder::new(out, Compression::default());
    let mut block = vec![0; BLOCK];
    loop {
        if stop.load(Relaxed) {
            return Ok(false);
        }
        let length = plain.read(&mut block)?;
        let Some(bytes) = block.get(..length).filter(|bytes| !bytes.is_empty()) else { break };
        encoder.write_all(bytes)?;
    }
    encoder.finish()?.sync_all()?;
    rename_to_free(&partial, &with_suffix(file, COMPRESSED))?;
    fs::remove_file(file)?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;

    #[test]
    fn the_oldest_go_and_foreign_files_stay() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("eve.json");
        let names = Names::of(&path);
        for (index, suffix) in ["", "", ".gz", "", ".gz.partial"].iter().enumerate() {
            let name = names.at(DateTime::from_timestamp_millis(i64::try_from(index).unwrap()).unwrap());
            fs::write(with_suffix(&name, suffix), "line\n").unwrap();
        }
        for foreign in ["eve.json", "eve.json.1", "eve.json.20251103T061112.345Z.bak"] {
            fs::write(directory.path().join(foreign), "foreign").unwrap();
        }
        prune(&names, 2).unwrap();
        let left: Vec<_> = names.list(|suffix| suffix.is_empty() || suffix == COMPRESSED).unwrap();
        assert_eq!(left.len(), 2);
        assert!(left[0].extension().is_some_and(|end| end == "gz"), "{left:?}");
        assert_eq!(names.list(|suffix| suffix == PARTIAL).unwrap().len(), 0);
        assert_eq!(fs::read_dir(&directory).unwrap().count(), 5);
    }

    #[test]
    fn all_but_the_newest_are_compressed() {
        let directory = tempfile::tempdir().unwrap();
        let names = Names::of(&directory.path().join("eve.json"));
        let line = "a line\n".repeat(100_000);
        let at = |milliseconds| names.at(DateTime::from_timestamp_millis(milliseconds).unwrap());
        for index in 0..3 {
            fs::write(at(index), &line).unwrap();
        }
        compress_all(&names, &AtomicBool::new(false)).unwrap();
        assert_eq!(names.list(str::is_empty).unwrap(), [at(2)]);
        let compressed = names.list(|suffix| suffix == COMPRESSED).unwrap();
        assert_eq!(compressed.len(), 2);
        let mut text = String::new();
        flate2::read::GzDecoder::new(File::open(&compressed[0]).unwrap()).read_to_string(&mut text).unwrap();
        assert_eq!(text, line);
    }
}

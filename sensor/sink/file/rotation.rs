//! Files that were renamed away: their names, how many are kept, and their compression, which runs on a
//! thread of its own.
//!
//! `eve.json` becomes `eve.20261120T101112.345Z.json`, and `….json.gz` once compressed. A name with a time
//! is given once and never changes: a reader that follows files by name or inode is not led astray, there
//! is no chain of renames to be interrupted, and the suffix keeps fitting a pattern such as `eve*.json`.
//! The newest rotated file stays uncompressed for a reader that lags behind.

use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use flate2::Compression;
use flate2::write::GzEncoder;
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, RenameFlags, renameat2};

use crate::sink::calendar;
use crate::sink::target::Rotate;

/// The form of the stamp in a name; `0` stands for a digit.
const STAMP: &str = "00000000T000000.000Z";
const COMPRESSED: &str = ".gz";
/// A compression that did not come to its end.
const PARTIAL: &str = ".gz.partial";
/// Two rotations in the same millisecond, or a clock set back, take the next free stamps.
const NAME_ATTEMPTS: u64 = 1000;
/// Read and compressed at once; the end of the program is looked for in between.
const BLOCK: usize = 64 << 10;
/// The end of the program waits so long for a block to be done.
const STOP: Duration = Duration::from_millis(500);
const LOOK: Duration = Duration::from_millis(10);

/// The names that belong to one path.
#[derive(Debug, Clone)]
pub(crate) struct Names {
    directory: PathBuf,
    stem: String,
    /// With its dot, or empty.
    extension: String,
}

impl Names {
    pub fn of(path: &Path) -> Self {
        let text = |part: Option<&OsStr>| part.unwrap_or_default().to_string_lossy().into_owned();
        let directory = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
            _ => PathBuf::from("."),
        };
        let extension = path.extension().map_or(String::new(), |extension| format!(".{}", extension.to_string_lossy()));
        Names { directory, stem: text(path.file_stem()), extension }
    }

    fn at(&self, milliseconds: u64) -> PathBuf {
        let stamp = calendar::file_stamp(milliseconds.saturating_mul(1_000_000));
        self.directory.join(format!("{}.{stamp}{}", self.stem, self.extension))
    }

    /// Does a name have our form, and what stands behind it?
    fn suffix<'a>(&self, name: &'a str) -> Option<&'a str> {
        let rest = name.strip_prefix(self.stem.as_str())?.strip_prefix('.')?;
        let stamp = rest.as_bytes().get(..STAMP.len())?;
        let fits = |(&byte, form): (&u8, u8)| if form == b'0' { byte.is_ascii_digit() } else { byte == form };
        stamp
            .iter()
            .zip(STAMP.bytes())
            .all(fits)
            .then(|| rest.get(STAMP.len()..)?.strip_prefix(self.extension.as_str()))?
    }

    /// Rotated files, oldest first: the stamp sorts by time, and a compressed file keeps its place.
    fn list(&self, wanted: impl Fn(&str) -> bool) -> io::Result<Vec<PathBuf>> {
        let mut found: Vec<PathBuf> = Vec::new();
        for entry in fs::read_dir(&self.directory)? {
            let entry = entry?;
            let name = entry.file_name();
            if name.to_str().and_then(|name| self.suffix(name)).is_some_and(&wanted) && entry.file_type()?.is_file() {
                found.push(entry.path());
            }
        }
        found.sort_unstable();
        Ok(found)
    }
}

/// Gives the file at `path` its rotated name, without ever replacing another file.
pub(crate) fn rename_away(path: &Path, names: &Names) -> io::Result<()> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let now = u64::try_from(now.as_millis()).unwrap_or_default();
    let mut outcome = Err(io::ErrorKind::AlreadyExists.into());
    for attempt in 0..NAME_ATTEMPTS {
        let name = names.at(now + attempt);
        let mut compressed = name.clone().into_os_string();
        compressed.push(COMPRESSED);
        if Path::new(&compressed).exists() {
            continue;
        }
        outcome = rename_to_free(path, &name);
        if !outcome.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::AlreadyExists) {
            break;
        }
    }
    outcome
}

/// A plain rename overwrites; where the file system knows no other (old NFS), a link does not.
fn rename_to_free(path: &Path, name: &Path) -> io::Result<()> {
    match renameat2(AT_FDCWD, path, AT_FDCWD, name, RenameFlags::RENAME_NOREPLACE) {
        Ok(()) => Ok(()),
        Err(Errno::EINVAL | Errno::ENOSYS) => fs::hard_link(path, name).and_then(|()| fs::remove_file(path)),
        Err(error) => Err(error.into()),
    }
}

/// Deletes and compresses on its own thread.
pub(crate) struct Housekeeper {
    /// Room for one call: one round looks after all files there are.
    calls: SyncSender<()>,
    stop: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Housekeeper {
    /// Also looks after what an earlier run left.
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
        // Full: a round is due anyway.
        let _ = self.calls.try_send(());
    }

    /// A compression under way is given up; the next run does it again.
    pub fn stop(self, deadline: Instant) {
        let Housekeeper { calls, stop, thread } = self;
        stop.store(true, Relaxed);
        drop(calls);
        let deadline = deadline.min(Instant::now() + STOP);
        while !thread.is_finished() && Instant::now() < deadline {
            std::thread::sleep(LOOK);
        }
    }
}

fn keep_house(names: &Names, rotate: &Rotate, called: &Receiver<()>, stop: &AtomicBool) {
    while called.recv().is_ok() && !stop.load(Relaxed) {
        // What fails (a directory that is gone) is tried again after the next rotation.
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
    let newest = plain.len().saturating_sub(1);
    for file in plain.get(..newest).unwrap_or_default() {
        if !compress(file, stop)? {
            break;
        }
    }
    Ok(())
}

/// `false`: given up, because the program ends.
fn compress(file: &Path, stop: &AtomicBool) -> io::Result<bool> {
    let with = |suffix: &str| {
        let mut name = file.as_os_str().to_owned();
        name.push(suffix);
        PathBuf::from(name)
    };
    let (partial, compressed) = (with(PARTIAL), with(COMPRESSED));
    let mut plain = File::open(file)?;
    let mode = std::os::unix::fs::MetadataExt::mode(&plain.metadata()?) & 0o777;
    let out = OpenOptions::new().write(true).create_new(true).mode(mode).open(&partial)?;
    let mut encoder = GzEncoder::new(out, Compression::default());
    let mut block = vec![0; BLOCK];
    loop {
        if stop.load(Relaxed) {
            return Ok(false);
        }
        match plain.read(&mut block)? {
            0 => break,
            length => encoder.write_all(block.get(..length).unwrap_or_default())?,
        }
    }
    encoder.finish()?.sync_all()?;
    rename_to_free(&partial, &compressed)?;
    fs::remove_file(file)?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_keep_stem_and_suffix() {
        let time = 1_762_150_272_345;
        for (path, rotated) in [
            ("/var/log/eve.json", "/var/log/eve.20251103T061112.345Z.json"),
            ("eve", "./eve.20251103T061112.345Z"),
            ("/x/a.b.json", "/x/a.b.20251103T061112.345Z.json"),
        ] {
            let names = Names::of(Path::new(path));
            assert_eq!(names.at(time), Path::new(rotated));
            let name = Path::new(rotated).file_name().unwrap().to_str().unwrap().to_owned();
            assert_eq!(names.suffix(&name), Some(""));
            assert_eq!(names.suffix(&format!("{name}.gz")), Some(".gz"));
        }
    }

    #[test]
    fn only_our_own_names_are_ours() {
        let names = Names::of(Path::new("/var/log/eve.json"));
        for foreign in [
            "eve.json",
            "eve.json.1",
            "eve.20251103.json",
            "eve.20251103T061112.345Z.log",
            "eve.20251103T06111x.345Z.json",
            "other.20251103T061112.345Z.json",
            "eve.20251103T061112.345é.json",
        ] {
            assert_eq!(names.suffix(foreign), None, "{foreign}");
        }
        assert_eq!(names.suffix("eve.20251103T061112.345Z.json.bak"), Some(".bak"));
    }

    #[test]
    fn the_oldest_go_and_foreign_files_stay() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("eve.json");
        let names = Names::of(&path);
        for (index, suffix) in ["", "", ".gz", "", ".gz.partial"].iter().enumerate() {
            let mut name = names.at(index as u64).into_os_string();
            name.push(suffix);
            fs::write(name, "line\n").unwrap();
        }
        for foreign in ["eve.json", "eve.json.1", "eve.20251103T061112.345Z.json.bak"] {
            fs::write(directory.path().join(foreign), "foreign").unwrap();
        }
        prune(&names, 2).unwrap();
        let left: Vec<_> = names.list(|suffix| suffix.is_empty() || suffix == COMPRESSED).unwrap();
        assert_eq!(left.len(), 2);
        assert_eq!(left[0].extension(), Some(OsStr::new("gz")));
        assert_eq!(names.list(|suffix| suffix == PARTIAL).unwrap().len(), 0);
        assert_eq!(fs::read_dir(&directory).unwrap().count(), 5);
    }

    #[test]
    fn a_taken_name_is_not_overwritten() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("eve.json");
        let names = Names::of(&path);
        for round in 0..20 {
            fs::write(&path, format!("{round}")).unwrap();
            rename_away(&path, &names).unwrap();
        }
        let files = names.list(str::is_empty).unwrap();
        let texts: std::collections::HashSet<_> = files.iter().map(|file| fs::read_to_string(file).unwrap()).collect();
        assert_eq!((files.len(), texts.len()), (20, 20));
    }

    #[test]
    fn all_but_the_newest_are_compressed() {
        let directory = tempfile::tempdir().unwrap();
        let names = Names::of(&directory.path().join("eve.json"));
        let line = "a line\n".repeat(100_000);
        for index in 0..3 {
            fs::write(names.at(index), &line).unwrap();
        }
        compress_all(&names, &AtomicBool::new(false)).unwrap();
        assert_eq!(names.list(str::is_empty).unwrap(), [names.at(2)]);
        let compressed = names.list(|suffix| suffix == COMPRESSED).unwrap();
        assert_eq!(compressed.len(), 2);
        let mut text = String::new();
        flate2::read::GzDecoder::new(File::open(&compressed[0]).unwrap()).read_to_string(&mut text).unwrap();
        assert_eq!(text, line);
    }
}

//! What `/proc` still tells of a process that was there before the sensor, and only when it is that
//! very process. Processes that start later are told by the kernel's records.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::event::TaskKey;

/// Bytes of arguments that are kept of a process that was there before; as much as a page, which
/// holds all but generated command lines.
const ARGUMENTS_SIZE: u64 = 4096;

/// Bytes of `stat` that are read: 52 numbers and a name of 15 bytes (64 for kernel threads).
const STAT_SIZE: u64 = 2048;

/// Nanoseconds in the clock tick of `/proc/PID/stat` (`USER_HZ` is 100 on every architecture but Alpha and IA-64).
const TICK: u64 = 10_000_000;

/// A mounted proc(5), or a recorded one.
#[derive(Debug)]
pub(crate) struct ProcFs {
    root: PathBuf,
}

/// What could be read; each part may lack by itself.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Facts {
    /// Path, and whether it has no name any more.
    pub(crate) executable: Option<(String, bool)>,
    /// Each ended by NUL.
    pub(crate) arguments: Option<Vec<u8>>,
    pub(crate) arguments_total: u32,
    pub(crate) working_directory: Option<String>,
}

impl ProcFs {
    pub(crate) fn new(root: &Path) -> Self {
        Self { root: root.to_owned() }
    }

    /// What it shows of a process, whichever has the pid now.
    pub(crate) fn directory(&self, pid: u32) -> PathBuf {
        self.root.join(pid.to_string())
    }

    /// `None` where the pid is free, or another process's, before or after the reading.
    pub(crate) fn read(&self, process: &TaskKey) -> Option<Facts> {
        let directory = self.directory(process.pid);
        if start_ticks(&directory)? != process.start / TICK {
            return None;
        }
        let mut facts = Facts {
            executable: executable(&directory),
            working_directory: link(&directory.join("cwd"))
                .map(|path| path.strip_suffix(DELETED).map(str::to_owned).unwrap_or(path)),
            ..Facts::default()
        };
        if let Ok((bytes, total)) = arguments(&directory)
            && total > 0
        {
            facts.arguments = Some(bytes);
            facts.arguments_total = total;
        }
        (start_ticks(&directory)? == process.start / TICK).then_some(facts)
    }
}

/// What the kernel's `d_path` (`fs/d_path.c`) adds to a name that was unlinked.
const DELETED: &str = " (deleted)";

fn link(path: &Path) -> Option<String> {
    Some(fs::read_link(path).ok()?.to_string_lossy().into_owned())
}

fn executable(directory: &Path) -> Option<(String, bool)> {
    let link_path = directory.join("exe");
    let path = link(&link_path)?;
    // A file may bear that suffix as its name: what the link leads to has no names left, or it does.
    let unlinked = || fs::metadata(&link_path).map_or(true, |file| file.nlink() == 0);
    match path.strip_suffix(DELETED) {
        Some(before) if unlinked() => Some((before.to_owned(), true)),
        _ => Some((path, false)),
    }
}

fn arguments(directory: &Path) -> io::Result<(Vec<u8>, u32)> {
    let mut file = File::open(directory.join("cmdline"))?;
    let mut bytes = Vec::new();
    file.by_ref().take(ARGUMENTS_SIZE).read_to_end(&mut bytes)?;
    let rest = io::copy(&mut file, &mut io::sink())?;
    let total = bytes.len() as u64 + rest;
    Ok((bytes, u32::try_from(total).unwrap_or(u32::MAX)))
}

/// Field 22 of `proc_pid_stat(5)`. The name (field 2) may hold blanks and brackets, so count from its end.
fn start_ticks(directory: &Path) -> Option<u64> {
    let mut text = Vec::new();
    File::open(directory.join("stat")).ok()?.take(STAT_SIZE).read_to_end(&mut text).ok()?;
    let end = text.iter().rposition(|byte| *byte == b')')?;
    let after = str::from_utf8(text.get(end + 1..)?).ok()?;
    after.split_ascii_whitespace().nth(22 - 3)?.parse().ok()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    /// Records a process as `/proc` of kernel 6.1 shows it.
    pub(crate) fn record(root: &Path, pid: u32, start_ticks: u64, executable: &str, arguments: &[u8]) {
        let directory = root.join(pid.to_string());
        fs::create_dir_all(&directory).unwrap();
        let stat = format!(
            "{pid} (a) (b ) S 1 {pid} {pid} 0 -1 4194560 2061 0 0 0 1 0 0 0 20 0 3 0 {start_ticks} 18530304 1432 \
             18446744073709551615 94 95 140 0 0 0 0 4096 17 0 0 0 17 1 0 0 0 0 0 96 97 98 140 141 142 143 0\n"
        );
        fs::write(directory.join("stat"), stat).unwrap();
        fs::write(directory.join("cmdline"), arguments).unwrap();
        symlink(executable, directory.join("exe")).unwrap();
        symlink("/var/lib/resolver", directory.join("cwd")).unwrap();
    }

    fn key(pid: u32, ticks: u64) -> TaskKey {
        TaskKey { pid, exec_id: 4, start: ticks * TICK + 1_234_567 }
    }

    #[test]
    fn the_very_process_only() {
        let root = tempfile::tempdir().unwrap();
        record(root.path(), 812, 4711, "/usr/sbin/resolver", b"resolver\0-d\0");
        let proc = ProcFs::new(root.path());
        let facts = proc.read(&key(812, 4711)).unwrap();
        assert_eq!(facts.executable, Some(("/usr/sbin/resolver".to_owned(), false)));
        assert_eq!(facts.arguments.as_deref(), Some(&b"resolver\0-d\0"[..]));
        assert_eq!((facts.arguments_total, facts.working_directory.as_deref()), (12, Some("/var/lib/resolver")));
        assert_eq!(proc.read(&key(812, 4712)), None, "the pid was used again");
        assert_eq!(proc.read(&key(813, 4711)), None);
    }

    #[test]
    fn long_arguments_and_no_name() {
        let root = tempfile::tempdir().unwrap();
        record(root.path(), 5, 1, "/memfd:payload (deleted)", &vec![b'x'; 10_000]);
        record(root.path(), 6, 1, "/usr/bin/gone (deleted)", b"");
        let named = root.path().join("named (deleted)");
        fs::write(&named, "").unwrap();
        record(root.path(), 7, 1, named.to_str().unwrap(), b"");
        let proc = ProcFs::new(root.path());
        let facts = proc.read(&key(5, 1)).unwrap();
        assert_eq!(facts.executable, Some(("/memfd:payload".to_owned(), true)));
        assert_eq!(facts.arguments.map(|bytes| bytes.len() as u64), Some(ARGUMENTS_SIZE));
        assert_eq!(facts.arguments_total, 10_000);
        let gone = proc.read(&key(6, 1)).unwrap();
        assert_eq!(gone.executable, Some(("/usr/bin/gone".to_owned(), true)));
        assert_eq!(gone.arguments, None, "a zombie's are not known");
        assert_eq!(proc.read(&key(7, 1)).unwrap().executable, Some((named.to_str().unwrap().to_owned(), false)));
    }
}

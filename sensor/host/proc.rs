//! Facts from `/proc` about one process, and only when the pid is still that very process. Links are read and
//! never followed, and no path is looked up below another process's root: such a walk enters a file system
//! that the process itself may have mounted, and can keep from answering.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::mountinfo::Mounts;
use super::namespace;
use crate::event::TaskKey;

/// Bytes of arguments that are kept: as much as a page, which holds all but generated command lines.
const ARGUMENTS_SIZE: u64 = 4096;

/// Bytes of `stat` that are read: 52 numbers and a name of 15 bytes (64 for kernel threads).
const STAT_SIZE: u64 = 2048;

/// Bytes of `mountinfo` that are read: thousands of mounts. A longer table counts as unread.
const MOUNTS_SIZE: u64 = 4 << 20;

/// Nanoseconds in the clock tick of `/proc/PID/stat` (`USER_HZ` is 100 on every architecture but Alpha and IA-64).
const TICK: u64 = 10_000_000;

/// The suffix that the kernel's `d_path` (`fs/d_path.c`) adds to a name that was unlinked. A file may bear it as
/// its name.
pub(crate) const DELETED: &str = " (deleted)";

/// A mounted proc(5), or a recorded one.
#[derive(Debug, Clone)]
pub(super) struct ProcFs {
    pub(super) root: PathBuf,
}

/// Facts about a process; each part may be missing by itself.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Facts {
    /// The executable's path as the link has it, with [`DELETED`] behind a name that was unlinked.
    pub(crate) executable: Option<String>,
    /// The arguments, each ended by NUL.
    pub(crate) arguments: Option<Vec<u8>>,
    pub(crate) arguments_total: u32,
    pub(crate) working_directory: Option<String>,
}

impl ProcFs {
    pub(super) fn new(root: &Path) -> Self {
        Self { root: root.to_owned() }
    }

    /// The facts about a process. `None` where its pid is free, or is that of another process, before or after the
    /// reading.
    pub(super) fn facts(&self, process: &TaskKey) -> Option<Facts> {
        let directory = self.directory(process.pid);
        if !is_process(&directory, process) {
            return None;
        }
        let mut facts = Facts {
            executable: link(&directory.join("exe")),
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
        is_process(&directory, process).then_some(facts)
    }

    /// Whether a process in another mount namespace sees each of the sensor's own `files` at the same path. `None`
    /// where the process is gone, or in yet another namespace.
    pub(super) fn sees<const COUNT: usize>(
        &self,
        process: &TaskKey,
        mount_namespace: u32,
        files: &[PathBuf; COUNT],
    ) -> Option<[bool; COUNT]> {
        let directory = self.directory(process.pid);
        let (own, there) = (mounts(&self.root.join("self"))?, mounts(&directory)?);
        let seen = files.each_ref().map(|file| {
            let Ok(file) = file.canonicalize() else { return false };
            let place = file.to_str().and_then(|path| Some((own.place(path)?, there.place(path)?)));
            place.is_some_and(|(own, there)| own == there)
        });
        // Looked at last: had the pid gone to another process by now, this would show.
        let is_there = is_process(&directory, process) && namespace(&directory.join("ns/mnt")) == Some(mount_namespace);
        is_there.then_some(seen)
    }

    fn directory(&self, pid: u32) -> PathBuf {
        self.root.join(pid.to_string())
    }
}

fn link(path: &Path) -> Option<String> {
    Some(fs::read_link(path).ok()?.to_string_lossy().into_owned())
}

fn mounts(directory: &Path) -> Option<Mounts> {
    let mut bytes = Vec::new();
    File::open(directory.join("mountinfo")).ok()?.take(MOUNTS_SIZE).read_to_end(&mut bytes).ok()?;
    let whole = (bytes.len() as u64) < MOUNTS_SIZE;
    whole.then(|| Mounts::parse(&String::from_utf8_lossy(&bytes)))
}

fn arguments(directory: &Path) -> io::Result<(Vec<u8>, u32)> {
    let mut file = File::open(directory.join("cmdline"))?;
    let mut bytes = Vec::new();
    file.by_ref().take(ARGUMENTS_SIZE).read_to_end(&mut bytes)?;
    let rest = io::copy(&mut file, &mut io::sink())?;
    let total = bytes.len() as u64 + rest;
    Ok((bytes, u32::try_from(total).unwrap_or(u32::MAX)))
}

fn is_process(directory: &Path, process: &TaskKey) -> bool {
    start_ticks(directory) == Some(process.start / TICK)
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

    /// Records the mounts of a process that was recorded before, and the number of its mount namespace.
    pub(crate) fn record_mounts(root: &Path, pid: &str, namespace: u32, mounts: &str) {
        let directory = root.join(pid);
        fs::create_dir_all(directory.join("ns")).unwrap();
        fs::write(directory.join("mountinfo"), mounts).unwrap();
        let _ = fs::remove_file(directory.join("ns/mnt"));
        symlink(format!("mnt:[{namespace}]"), directory.join("ns/mnt")).unwrap();
    }

    /// Records a process whose arguments do not come until something is written into the file.
    pub(crate) fn record_stuck(root: &Path, pid: u32) -> PathBuf {
        record(root, pid, 3, "/usr/bin/curl", b"");
        let file = root.join(format!("{pid}/cmdline"));
        fs::remove_file(&file).unwrap();
        nix::unistd::mkfifo(&file, nix::sys::stat::Mode::S_IRWXU).unwrap();
        file
    }

    fn key(pid: u32, ticks: u64) -> TaskKey {
        TaskKey { pid, exec_id: 4, start: ticks * TICK + 1_234_567 }
    }

    #[test]
    fn the_very_process_only() {
        let root = tempfile::tempdir().unwrap();
        record(root.path(), 812, 4711, "/usr/sbin/resolver", b"resolver\0-d\0");
        let proc = ProcFs::new(root.path());
        let facts = proc.facts(&key(812, 4711)).unwrap();
        assert_eq!(facts.executable.as_deref(), Some("/usr/sbin/resolver"));
        assert_eq!(facts.arguments.as_deref(), Some(&b"resolver\0-d\0"[..]));
        assert_eq!((facts.arguments_total, facts.working_directory.as_deref()), (12, Some("/var/lib/resolver")));
        assert_eq!(proc.facts(&key(812, 4712)), None, "the pid was used again");
        assert_eq!(proc.facts(&key(813, 4711)), None);
    }

    #[test]
    fn long_arguments_and_none() {
        let root = tempfile::tempdir().unwrap();
        record(root.path(), 5, 1, "/memfd:payload (deleted)", &vec![b'x'; 10_000]);
        record(root.path(), 6, 1, "/usr/bin/gone (deleted)", b"");
        let proc = ProcFs::new(root.path());
        let facts = proc.facts(&key(5, 1)).unwrap();
        assert_eq!(facts.executable.as_deref(), Some("/memfd:payload (deleted)"));
        assert_eq!(facts.arguments.map(|bytes| bytes.len() as u64), Some(ARGUMENTS_SIZE));
        assert_eq!(facts.arguments_total, 10_000);
        assert_eq!(proc.facts(&key(6, 1)).unwrap().arguments, None, "a zombie's are not known");
    }
}

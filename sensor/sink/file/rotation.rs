//! The names of rotated files, and the rename that gives them.
//!
//! `eve.json` becomes `eve.json.20261120T101112.345Z`, and `….gz` once compressed: the pattern `eve.json*`
//! finds all of them, and `*.json`, which tools such as logrotate use, finds none. A name with a time is
//! given once and never changes: a reader that follows files by name or inode is not led astray, and no
//! chain of renames can be interrupted.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use chrono::{DateTime, TimeDelta, Utc};
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, RenameFlags, renameat2};

/// The form of the stamp in a name; `0` stands for a digit.
const STAMP: &str = "00000000T000000.000Z";
/// The stamp's format for chrono: stamps sort by time, and are safe in a file name everywhere.
const STAMP_FORMAT: &str = "%Y%m%dT%H%M%S%.3fZ";
pub(super) const COMPRESSED: &str = ".gz";
/// The suffix of a compression that did not come to its end.
pub(super) const PARTIAL: &str = ".gz.partial";
/// Two rotations in one millisecond, or a clock that was set back, take the next free stamps.
const NAME_ATTEMPTS: i64 = 1000;

/// The names that belong to one path.
#[derive(Debug, Clone)]
pub(super) struct Names {
    directory: PathBuf,
    name: String,
}

impl Names {
    pub fn of(path: &Path) -> Self {
        let directory = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
            _ => PathBuf::from("."),
        };
        let name = path.file_name().map_or(String::new(), |name| name.to_string_lossy().into_owned());
        Names { directory, name }
    }

    pub(super) fn at(&self, moment: DateTime<Utc>) -> PathBuf {
        self.directory.join(format!("{}.{}", self.name, moment.format(STAMP_FORMAT)))
    }

    /// The text behind the stamp, where a name has our form.
    fn suffix<'a>(&self, name: &'a str) -> Option<&'a str> {
        let rest = name.strip_prefix(self.name.as_str())?.strip_prefix('.')?;
        let stamp = rest.as_bytes().get(..STAMP.len())?;
        let fits = |(&byte, form): (&u8, u8)| if form == b'0' { byte.is_ascii_digit() } else { byte == form };
        if stamp.iter().zip(STAMP.bytes()).all(fits) { rest.get(STAMP.len()..) } else { None }
    }

    /// Rotated files, oldest first: the stamp sorts by time, and a compressed file keeps its place.
    pub fn list(&self, wanted: impl Fn(&str) -> bool) -> io::Result<Vec<PathBuf>> {
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

/// Gives the file at `path` its rotated name, and never replaces another file.
pub(super) fn rename_away(path: &Path, names: &Names) -> io::Result<()> {
    let now = DateTime::<Utc>::from(SystemTime::now());
    for attempt in 0..NAME_ATTEMPTS {
        let name = names.at(now + TimeDelta::milliseconds(attempt));
        if with_suffix(&name, COMPRESSED).exists() {
            continue;
        }
        match rename_to_free(path, &name) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            other => return other,
        }
    }
    Err(io::ErrorKind::AlreadyExists.into())
}

pub(super) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// A plain rename overwrites; a link does not, where the file system knows nothing better (old NFS).
pub(super) fn rename_to_free(path: &Path, name: &Path) -> io::Result<()> {
    match renameat2(AT_FDCWD, path, AT_FDCWD, name, RenameFlags::RENAME_NOREPLACE) {
        Ok(()) => Ok(()),
        Err(Errno::EINVAL | Errno::ENOSYS) => fs::hard_link(path, name).and_then(|()| fs::remove_file(path)),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moment(milliseconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp_millis(milliseconds).unwrap()
    }

    #[test]
    fn a_rotated_name_begins_with_the_whole_name() {
        for (path, rotated) in [
            ("/var/log/eve.json", "/var/log/eve.json.20251103T061112.345Z"),
            ("eve", "./eve.20251103T061112.345Z"),
            ("/x/a.b.json", "/x/a.b.json.20251103T061112.345Z"),
        ] {
            let names = Names::of(Path::new(path));
            assert_eq!(names.at(moment(1_762_150_272_345)), Path::new(rotated));
            let name = Path::new(rotated).file_name().unwrap().to_str().unwrap().to_owned();
            assert_eq!(names.suffix(&name), Some(""));
            assert_eq!(names.suffix(&format!("{name}.gz")), Some(".gz"));
        }
    }

    #[test]
    fn names_of_others_are_not_ours() {
        let names = Names::of(Path::new("/var/log/eve.json"));
        for foreign in [
            "eve.json",
            "eve.json.1",
            "eve.json-20251103",
            "eve.20251103T061112.345Z.json",
            "eve.json.20251103T06111x.345Z",
            "other.json.20251103T061112.345Z",
            "eve.json.20251103T061112.345é",
        ] {
            assert_eq!(names.suffix(foreign), None, "{foreign}");
        }
        assert_eq!(names.suffix("eve.json.20251103T061112.345Z.bak"), Some(".bak"));
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
}

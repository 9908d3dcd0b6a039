//! Stamps of files and directories. A path with another stamp has another content; no content is read for it.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::directory::Directory;
use crate::input;

/// A file or directory whose change means a reload, as it was before it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Watched {
    pub path: PathBuf,
    stamp: Stamp,
}

impl Watched {
    /// Takes the stamp of a path. The caller reads the path after that, not before.
    #[must_use]
    pub fn new(path: PathBuf) -> Self {
        let stamp = Stamp::of(&path);
        Self { path, stamp }
    }

    /// Whether the path has another content now.
    pub(super) fn has_changed(&self) -> bool {
        let now = Stamp::of(&self.path);
        now != Stamp::Silent && now != self.stamp
    }

    pub(super) fn is_directory(&self) -> bool {
        matches!(self.stamp, Stamp::Directory(_))
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Stamp {
    Absent,
    /// The file system does not answer. The content may be another one, or not.
    Silent,
    /// Device, inode, size, and the times of change in nanoseconds.
    File([i128; 5]),
    /// The list files in a directory; each is watched on its own.
    Directory(Vec<PathBuf>),
}

impl Stamp {
    fn of(path: &Path) -> Self {
        let metadata = match input::metadata(path) {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == io::ErrorKind::TimedOut => return Self::Silent,
            Err(_) => return Self::Absent,
        };
        if metadata.is_dir() {
            return Self::Directory(Directory::read(path).unwrap_or_default().lists);
        }
        let nanoseconds = |seconds: i64, rest: i64| i128::from(seconds) * 1_000_000_000 + i128::from(rest);
        Self::File([
            metadata.dev().into(),
            metadata.ino().into(),
            metadata.len().into(),
            nanoseconds(metadata.mtime(), metadata.mtime_nsec()),
            nanoseconds(metadata.ctime(), metadata.ctime_nsec()),
        ])
    }
}

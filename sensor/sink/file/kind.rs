//! The kind of file at a path, which decides how it is written.

use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use super::super::error::FileError;

/// `/dev/null` (Documentation/admin-guide/devices.txt): major 1, minor 3.
const NULL_DEVICE: u64 = 0x103;

/// How a path can be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::sink) enum FileKind {
    /// A regular file, or a path where nothing is yet.
    Regular,
    /// `/dev/null`: it takes everything and keeps nothing.
    Endless,
    /// A FIFO or a device, which may keep a writer waiting.
    Waiting,
}

impl FileKind {
    pub fn of(path: &Path) -> Result<Self, FileError> {
        let metadata = match fs::metadata(path) {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(FileKind::Regular),
            Err(error) => return Err(FileError::Open { path: path.to_owned(), error }),
        };
        Self::of_metadata(path, &metadata)
    }

    pub fn of_metadata(path: &Path, metadata: &fs::Metadata) -> Result<Self, FileError> {
        let kind = metadata.file_type();
        if kind.is_dir() {
            Err(FileError::Directory)
        } else if kind.is_socket() {
            Err(FileError::Socket(path.to_owned()))
        } else if kind.is_block_device() {
            Err(FileError::BlockDevice)
        } else if kind.is_file() {
            Ok(FileKind::Regular)
        } else if kind.is_char_device() && metadata.rdev() == NULL_DEVICE {
            Ok(FileKind::Endless)
        } else {
            Ok(FileKind::Waiting)
        }
    }
}

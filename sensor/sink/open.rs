//! Every path that an output is given is opened here, in one way: a FIFO without a reader, a FIFO without a
//! writer and a device never keep the opener waiting. A file system that hangs keeps only the thread of
//! its output waiting, for that thread is the caller.
//!
//! A FUSE daemon that has taken a request and never answers keeps that thread in the kernel, where no
//! signal reaches it (`request_wait_answer` in fs/fuse/dev.c). The sensor still ends in time, but its
//! parent cannot reap it until the mount goes; only a process of its own for these calls would change that.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

use nix::libc::{O_NOCTTY, O_NONBLOCK};

/// The mode of a new file: records of lookups are for the administrators of the host only.
const FILE_MODE: u32 = 0o640;
/// Bytes of a small file that are read: certificates and keys are far smaller.
const SMALL: u64 = 1 << 20;

/// A file that lines are appended to; a missing one is made.
pub(super) fn append(path: &Path) -> io::Result<File> {
    let flags = O_NONBLOCK | O_NOCTTY;
    OpenOptions::new().append(true).create(true).mode(FILE_MODE).custom_flags(flags).open(path)
}

/// A FIFO, a terminal or another device that is there already.
pub(super) fn stream(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).custom_flags(O_NONBLOCK | O_NOCTTY).open(path)
}

/// The byte before `end` of the very file that `file` is; `None` where it cannot be read.
pub(super) fn last_byte(path: &Path, file: &File, end: u64) -> Option<u8> {
    let at = end.checked_sub(1)?;
    let readable = OpenOptions::new().read(true).custom_flags(O_NONBLOCK | O_NOCTTY).open(path).ok()?;
    let (one, other) = (readable.metadata().ok()?, file.metadata().ok()?);
    let mut byte = [0];
    let is_same = (one.dev(), one.ino()) == (other.dev(), other.ino());
    (is_same && readable.read_exact_at(&mut byte, at).is_ok()).then_some(byte[0])
}

/// The bytes of a small regular file.
pub(super) fn small(path: &Path) -> io::Result<Vec<u8>> {
    let file = OpenOptions::new().read(true).custom_flags(O_NONBLOCK | O_NOCTTY).open(path)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(io::Error::other("it is no regular file"));
    }
    let mut bytes = Vec::new();
    file.take(SMALL + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > SMALL {
        return Err(io::Error::other("it is larger than 1 MiB"));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_kind_of_file_keeps_the_opener_waiting() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("fifo");
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::from_bits_truncate(0o600)).unwrap();
        assert_eq!(append(&path).unwrap_err().raw_os_error(), Some(nix::libc::ENXIO));
        assert_eq!(stream(&path).unwrap_err().raw_os_error(), Some(nix::libc::ENXIO));
        assert_eq!(small(&path).unwrap_err().to_string(), "it is no regular file");
        assert_eq!(small(Path::new("/dev/zero")).unwrap_err().to_string(), "it is no regular file");
        let large = folder.path().join("large");
        File::create(&large).unwrap().set_len(SMALL + 1).unwrap();
        assert_eq!(small(&large).unwrap_err().to_string(), "it is larger than 1 MiB");
    }
}

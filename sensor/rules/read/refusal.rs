//! Why a list, or a path that names lists, cannot be used: the file, the reason, and the remedy.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::super::lists::Format;
use crate::input;
use crate::shown::Shown;

/// Class numbers are 16 bits wide, and a list has a few classes.
pub(super) const MOST_LISTS: usize = 4096;

/// A path, a line of it where one is to blame, and what is wrong there.
#[derive(Debug, Clone, thiserror::Error)]
pub struct ListError {
    path: PathBuf,
    line: Option<usize>,
    refusal: Arc<Refusal>,
}

impl ListError {
    pub(super) fn new(path: &Path, refusal: impl Into<Refusal>) -> Self {
        Self { path: path.to_owned(), line: None, refusal: Arc::new(refusal.into()) }
    }

    pub(super) fn at(path: &Path, line: usize, refusal: impl Into<Refusal>) -> Self {
        Self { line: Some(line), ..Self::new(path, refusal) }
    }

    pub(super) fn is_without_lists(&self) -> bool {
        matches!(*self.refusal, Refusal::NoLists)
    }
}

impl fmt::Display for ListError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}", Shown(self.path.display()))?;
        if let Some(line) = self.line {
            write!(out, ":{line}")?;
        }
        write!(out, ": {}", Shown(&self.refusal))
    }
}

impl serde::Serialize for ListError {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A reason not to use a list, or a path that names lists, and the remedy.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refusal {
    #[error("cannot be read: {0}; correct the path, or let the sensor's user read it")]
    Unreadable(io::Error),
    #[error("is {0}, not a file; name a list file, a directory of lists or a rules.toml")]
    NotAFile(&'static str),
    #[error("does not answer in time; look at its file system")]
    Silent,
    #[error("has more than {0} bytes; make it smaller")]
    TooLarge(u64),
    #[error("holds no list file; put lists there, or a rules.toml that names them")]
    NoLists,
    #[error("holds more than {MOST_LISTS} list files; join some")]
    TooManyFiles,
    #[error("more than {MOST_LISTS} lists; join some")]
    TooManyLists,
    #[error("{0}")]
    Toml(String),
    #[error("the id {0:?} is empty, or that of another list; each list needs its own")]
    Id(String),
    #[error("severity goes from 0 to 100")]
    Severity,
    #[error("is empty; fetch it again, or set allow_empty = true for it in a rules.toml")]
    Empty,
    #[error("holds binary data; fetch it again")]
    Binary,
    #[error("is in UTF-16; convert it: iconv -f utf-16 -t utf-8")]
    Utf16,
    #[error("is in no known format; set its format in a rules.toml ({0})")]
    Unrecognised(String),
    #[error("has a line of more than 16 MiB (line {0}): it is no list; fetch it again")]
    RunawayLine(u32),
    #[error("unpacks to more than {bound} bytes, {times} times its {size} bytes: it is no list; fetch it again")]
    Bomb { size: u64, times: u64, bound: u64 },
    #[error("holds nothing that could be read as {format} ({skipped} lines not understood); check its format")]
    NothingRead { format: Format, skipped: u64 },
    #[error("is no list: {skipped} of its lines are not understood as {format}, and only {entries} are")]
    MostlySkipped { format: Format, skipped: u64, entries: u64 },
    #[error(
        "is mostly not applicable as {format}: {not_applicable} lines, beside {entries} entries; \
         check it, and if that is its format, set format = \"{format}\" for it in a rules.toml"
    )]
    MostlyNotApplicable { format: Format, not_applicable: u64, entries: u64 },
    #[error(
        "does not fit: it has {size} bytes, and all lists together may take {bound} bytes of memory; leave lists out"
    )]
    Full { size: u64, bound: usize },
}

impl From<input::Refusal> for Refusal {
    fn from(refusal: input::Refusal) -> Self {
        match refusal {
            input::Refusal::Unreadable(error) => Self::Unreadable(error),
            input::Refusal::NotAFile(kind) => Self::NotAFile(kind),
            input::Refusal::TooLarge(bound) => Self::TooLarge(bound),
            input::Refusal::Silent => Self::Silent,
        }
    }
}

impl From<io::Error> for Refusal {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::TimedOut { Self::Silent } else { Self::Unreadable(error) }
    }
}

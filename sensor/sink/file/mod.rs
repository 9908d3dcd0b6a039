//! Regular files: lines are appended, files are renamed away and opened anew, old ones are compressed and
//! deleted.

mod housekeeping;
mod kind;
mod log;
mod rotation;

pub(super) use kind::FileKind;
pub(super) use log::LogFile;

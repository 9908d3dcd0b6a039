//! The walls around a process: no capabilities but those that it names, no way to new privileges, a list of
//! system calls (seccomp), and the files that it may open (Landlock). Each part of the sensor raises its own
//! before it reads anything foreign; which parts there are is left to those above.

mod calls;
mod files;

use std::path::PathBuf;

use caps::{CapSet, Capability, CapsHashSet};
use nix::sys::prctl;

pub use calls::Calls;
pub use caps::Capability as Privilege;

/// The walls that one process wants.
#[derive(Debug, Clone)]
pub struct Walls {
    pub calls: Calls,
    /// Capabilities that are kept where the process has them.
    pub keep: Vec<Privilege>,
    /// Files and folders that may be read, with all below them.
    pub reads: Vec<PathBuf>,
    /// Folders in which files may be written, made, renamed and removed.
    pub writes: Vec<PathBuf>,
    /// The process makes connections of its own.
    pub connects: bool,
}

/// The walls that stand.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Standing {
    pub privileges: bool,
    pub calls: bool,
    pub files: bool,
}

#[derive(Debug, thiserror::Error)]
pub enum WallError {
    #[error("capabilities cannot be given up: {0}")]
    Capabilities(#[from] caps::errors::CapsError),
    #[error("new privileges cannot be ruled out: {0}")]
    NoNewPrivileges(#[from] nix::errno::Errno),
}

impl Standing {
    /// Name of each wall, and whether it stands.
    #[must_use]
    pub fn each(self) -> [(&'static str, bool); 3] {
        [("no privileges", self.privileges), ("listed system calls", self.calls), ("named files", self.files)]
    }
}

impl Walls {
    /// Raises the walls around this thread and those that it starts from now on. A wall that this kernel does not
    /// have is missing in what comes back.
    ///
    /// # Errors
    /// A privilege could not be given up, which every kernel can.
    pub fn raise(&self) -> Result<Standing, WallError> {
        keep_only(&self.keep)?;
        prctl::set_no_new_privs()?;
        let files = files::raise(self);
        let calls = calls::raise(self.calls);
        Ok(Standing { privileges: true, calls, files })
    }
}

/// Gives up every capability but these, for good.
///
/// # Errors
/// The kernel refuses, which it has no reason for.
pub fn keep_only(keep: &[Capability]) -> Result<(), WallError> {
    let held = caps::read(None, CapSet::Permitted)?;
    let kept: CapsHashSet = keep.iter().copied().filter(|capability| held.contains(capability)).collect();
    // Nothing comes back by executing a program. Without CAP_SETPCAP the bound stays, and `no_new_privs` holds.
    for capability in caps::runtime::thread_all_supported().difference(&kept) {
        let _ = caps::drop(None, CapSet::Bounding, *capability);
    }
    let _ = caps::clear(None, CapSet::Ambient);
    caps::clear(None, CapSet::Inheritable)?;
    caps::set(None, CapSet::Effective, &kept)?;
    caps::set(None, CapSet::Permitted, &kept)?;
    Ok(())
}

/// Whether this process has the capability.
#[must_use]
pub fn holds(privilege: Privilege) -> bool {
    caps::has_cap(None, CapSet::Permitted, privilege).unwrap_or(false)
}

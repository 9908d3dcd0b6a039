//! Landlock (since Linux 5.13): the files that a process may open, and since later kernels whether it may connect
//! by TCP, and reach abstract sockets and processes outside.

use std::path::{Path, PathBuf};

use landlock::{
    ABI, Access, AccessFs, AccessNet, Compatible, Ruleset, RulesetAttr, RulesetCreatedAttr, RulesetError,
    RulesetStatus, Scope, path_beneath_rules,
};

use super::Walls;
use crate::input;

/// The newest rights that are asked for; an older kernel holds those that it knows.
const ABI_WANTED: ABI = ABI::V6;

/// Whether the wall stands, at least for files.
pub(super) fn raise(walls: &Walls) -> bool {
    restrict(walls).is_ok_and(|status| status != RulesetStatus::NotEnforced)
}

fn restrict(walls: &Walls) -> Result<RulesetStatus, RulesetError> {
    let mut ruleset = Ruleset::default()
        .set_compatibility(landlock::CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(ABI_WANTED))?;
    if !walls.connects {
        ruleset = ruleset
            .handle_access(AccessNet::BindTcp | AccessNet::ConnectTcp)?
            .scope(Scope::AbstractUnixSocket | Scope::Signal)?;
    }
    let read = AccessFs::ReadFile | AccessFs::ReadDir;
    let write = read
        | AccessFs::WriteFile
        | AccessFs::Truncate
        | AccessFs::MakeReg
        | AccessFs::MakeDir
        | AccessFs::RemoveFile
        | AccessFs::Refer
        | AccessFs::IoctlDev;
    let status = ruleset
        .create()?
        .add_rules(path_beneath_rules(there(&walls.reads), read))?
        .add_rules(path_beneath_rules(there(&walls.writes), write))?
        .restrict_self()?;
    Ok(status.ruleset)
}

/// A path that is not there needs no rule, nor does one whose file system does not answer.
fn there(paths: &[PathBuf]) -> impl Iterator<Item = &Path> {
    paths.iter().map(PathBuf::as_path).filter(|path| input::metadata(path).is_ok())
}

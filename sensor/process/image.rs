//! Makes an image from the kernel's record, and completes it from `/proc`.

use std::fmt::Write as _;
use std::rc::Rc;

use super::lineage::Lineage;
use super::{Arguments, Container, File, Process, Unit};
use crate::event::{self, ProcessRecord, TaskKey};
use crate::host::{DELETED, Facts, Host};

/// Bytes of arguments that an image keeps while images take more than half of their memory: then no flood
/// of long command lines can push the others out.
const SHORT_ARGUMENTS: usize = 1_024;

/// The facts about an image that its record does not hold.
pub(super) struct Known<'a> {
    pub host: &'a Host,
    pub host_hash: u64,
    pub lineage: Option<Lineage>,
    /// The answer of `/proc`, where the record leaves something out.
    pub facts: Option<Facts>,
    /// Names of the user and the group.
    pub names: (Option<Rc<str>>, Option<Rc<str>>),
    /// Images take more than half of their memory.
    pub short_of_memory: bool,
}

/// Whether the arguments of the record are longer than an image keeps while memory is short.
pub(super) fn is_long(record: &ProcessRecord<'_>) -> bool {
    record.arguments.len() > SHORT_ARGUMENTS
}

/// The image that a record describes.
pub(super) fn of_record(record: &ProcessRecord<'_>, known: Known<'_>) -> Process {
    let mut parts = Parts::of_record(record, known.short_of_memory);
    if let Some(facts) = known.facts {
        parts.complete(facts, record.path_cut);
    }
    let Parts { executable, executable_deleted, working_directory, arguments } = parts;
    let cgroup = event::path(record.cgroup);
    let unit = Unit::of_cgroup(&cgroup);
    let Lineage { parent, ancestors, adopted } = known.lineage.unwrap_or_default();
    let name = executable.as_deref().and_then(|path| path.rsplit('/').next()).filter(|name| !name.is_empty());
    let (user_name, group_name) = known.names;
    Process {
        key: record.process,
        entity_id: entity_id(known.host_hash, &record.process),
        clock: known.host.clock.clone(),
        name: name.map_or_else(|| task_name(&record.name), Rc::from),
        executable: executable.map(Rc::from),
        executable_file: (record.executable_inode != 0)
            .then_some(File { device: record.executable_device, inode: record.executable_inode }),
        executable_deleted,
        path_cut: record.path_cut,
        arguments: arguments.map(Rc::new),
        working_directory: working_directory.map(Rc::from),
        uid: record.uid,
        gid: record.gid,
        user_name,
        group_name,
        namespace_pid: namespace_pid(record.namespace_pid, record.process.pid),
        network_namespace: record.network_namespace,
        mount_namespace: record.mount_namespace,
        foreign_mounts: record.mount_namespace != 0
            && known.host.first_mount_namespace != 0
            && record.mount_namespace != known.host.first_mount_namespace,
        container: Container::of_cgroup(&cgroup),
        unit: unit.map(|unit| shared(unit, parent.as_deref())),
        parent,
        ancestors,
        adopted,
        parent_key: record.parent,
        parent_name: Some(task_name(&record.parent_name)).filter(|name| !name.is_empty()),
    }
}

/// The image with what `/proc` answered late.
pub(super) fn completed(image: &Process, facts: Facts) -> Process {
    let mut parts = Parts {
        executable: image.executable.as_deref().map(str::to_owned),
        executable_deleted: image.executable_deleted,
        working_directory: image.working_directory.as_deref().map(str::to_owned),
        arguments: None,
    };
    parts.complete(facts, image.path_cut);
    Process {
        executable: parts.executable.map(Rc::from),
        executable_deleted: parts.executable_deleted,
        working_directory: parts.working_directory.map(Rc::from),
        arguments: parts.arguments.map(Rc::new),
        ..image.clone()
    }
}

/// Processes of one unit share it where a parent and its child are both in it.
fn shared(unit: Unit, parent: Option<&Process>) -> Rc<Unit> {
    let there = parent.and_then(|parent| parent.unit.as_ref()).filter(|there| ***there == unit);
    there.map_or_else(|| Rc::new(unit), Rc::clone)
}

/// The facts of an image that `/proc` may complete.
struct Parts {
    executable: Option<String>,
    executable_deleted: bool,
    working_directory: Option<String>,
    arguments: Option<Arguments>,
}

impl Parts {
    fn of_record(record: &ProcessRecord<'_>, short: bool) -> Self {
        let path = |components| Some(event::path(components)).filter(|path| !path.is_empty());
        let kept = if short { SHORT_ARGUMENTS } else { usize::MAX };
        let bytes = record.arguments.get(..kept).unwrap_or(record.arguments);
        let read = if record.at_exec { Arguments::new } else { Arguments::with_title };
        Self {
            executable: path(record.executable),
            executable_deleted: record.deleted,
            working_directory: path(record.working_directory),
            arguments: record.has_arguments.then(|| read(bytes, record.arguments_total)),
        }
    }

    /// Takes what is missing from `/proc`, unless the process runs another program by now: then that one's
    /// record is on its way.
    fn complete(&mut self, facts: Facts, path_cut: bool) {
        let there = facts.executable.as_deref();
        let there_undeleted = there.and_then(|path| path.strip_suffix(DELETED));
        let same_program = match (self.executable.as_deref(), there) {
            (Some(known), Some(there)) => path_cut || there == known || there_undeleted == Some(known),
            _ => true,
        };
        if !same_program {
            return;
        }
        if self.executable.is_none()
            && let Some(path) = there
        {
            self.executable = Some(there_undeleted.unwrap_or(path).to_owned());
            self.executable_deleted = there_undeleted.is_some();
        }
        self.arguments = facts.arguments.map(|bytes| Arguments::with_title(&bytes, facts.arguments_total));
        self.working_directory = self.working_directory.take().or(facts.working_directory);
    }
}

fn task_name(name: &[u8; 16]) -> Rc<str> {
    let length = name.iter().position(|byte| *byte == 0).unwrap_or(name.len());
    String::from_utf8_lossy(&name[..length]).into()
}

pub(super) fn namespace_pid(namespace_pid: u32, pid: u32) -> Option<u32> {
    (namespace_pid != 0 && namespace_pid != pid).then_some(namespace_pid)
}

/// FNV-1a, 64 bits: stable across versions of the sensor, and does not give the machine id away
/// (machine-id(5) asks for that).
pub(super) fn host_hash(machine_id: &str, boot_id: &str) -> u64 {
    let bytes = machine_id.bytes().chain([0]).chain(boot_id.bytes());
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

/// Within one boot of one host the key is unique by itself, so it is written out and cannot collide.
pub(super) fn entity_id(host_hash: u64, key: &TaskKey) -> Rc<str> {
    let mut text = String::with_capacity(52);
    // Writing to a String does not fail.
    let _ = write!(text, "{host_hash:016x}-{:x}-{:x}-{:x}", key.pid, key.start, key.exec_id);
    text.into()
}

//! One image made of what the kernel's record says, and of what `/proc` adds to it.

use std::fmt::Write as _;
use std::rc::Rc;

use super::{Container, Process, Processes, Written};
use crate::event::{self, ProcessRecord, TaskKey};

impl Processes {
    pub(super) fn image_of_record(&mut self, record: &ProcessRecord<'_>, parent: Option<Rc<Process>>) -> Process {
        let mut executable = Some(event::path(record.executable)).filter(|path| !path.is_empty());
        let mut executable_deleted = record.deleted;
        let mut working_directory = Some(event::path(record.working_directory)).filter(|path| !path.is_empty());
        let mut arguments = record.has_arguments.then(|| Arguments::new(record.arguments, record.arguments_total));
        if !record.has_arguments
            && !record.kernel_thread
            && let Some(facts) = self.proc.read(&record.process)
        {
            // Another program by now: its record is on its way, and its arguments are not this one's.
            let same_program = match (&executable, &facts.executable) {
                (Some(told), Some((read, _))) => told == read || record.path_cut,
                _ => true,
            };
            if same_program {
                if executable.is_none()
                    && let Some((path, deleted)) = facts.executable
                {
                    (executable, executable_deleted) = (Some(path), deleted);
                }
                arguments = facts.arguments.map(|bytes| Arguments::new(&bytes, facts.arguments_total));
                working_directory = working_directory.or(facts.working_directory);
            }
        }
        if !record.at_exec
            && let Some(arguments) = &mut arguments
        {
            arguments.trim_title();
        }
        let name = executable.as_deref().and_then(|path| path.rsplit('/').next()).filter(|name| !name.is_empty());
        let (user_name, group_name) = self.names(record.process.pid, record.mount_namespace, (record.uid, record.gid));
        Process {
            key: record.process,
            entity_id: entity_id(self.host_hash, &record.process),
            start: record.process.start.saturating_add(self.host.boot_time),
            name: name.map_or_else(|| task_name(&record.name), Rc::from),
            executable: executable.map(Rc::from),
            executable_deleted,
            command_line: arguments.as_ref().map(|arguments| arguments.list.join(" ").into()),
            args_cut: arguments.as_ref().map_or(0, |arguments| arguments.cut),
            args: arguments.map(|arguments| arguments.list).unwrap_or_default().into(),
            working_directory: working_directory.map(Rc::from),
            uid: record.uid,
            gid: record.gid,
            user_name,
            group_name,
            namespace_pid: namespace_pid(record.namespace_pid, record.process.pid),
            network_namespace: record.network_namespace,
            container: Container::of_cgroup(&event::path(record.cgroup)),
            parent,
            parent_key: record.parent,
            parent_name: Some(task_name(&record.parent_name)).filter(|name| !name.is_empty()),
            written: Written::default(),
        }
    }
}

struct Arguments {
    list: Vec<String>,
    cut: u32,
}

impl Arguments {
    fn new(bytes: &[u8], total: u32) -> Self {
        let cut = total.saturating_sub(u32::try_from(bytes.len()).unwrap_or(u32::MAX));
        let whole = bytes.strip_suffix(b"\0").unwrap_or(bytes);
        let list = if bytes.is_empty() {
            Vec::new()
        } else {
            whole.split(|byte| *byte == 0).map(|argument| String::from_utf8_lossy(argument).into_owned()).collect()
        };
        Self { list, cut }
    }

    /// A process that writes its title over its arguments leaves NULs behind, which are no arguments.
    fn trim_title(&mut self) {
        while self.list.len() > 1 && self.list.last().is_some_and(String::is_empty) {
            self.list.pop();
        }
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

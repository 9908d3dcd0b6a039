//! What the kernel, or a capture, says happened: the records of `probes/event.h` decoded by
//! checked copies. Attaching, reading the ring and reading captures are left to `probe` and
//! `replay`; what an event means is left to `pipeline`.

/// Something that happened on this host, in the order of the ring.
#[derive(Debug, Clone, Copy)]
pub enum Event<'a> {
    /// An IP packet that left or reached a socket, or stood in a capture.
    Packet(Packet<'a>),
    /// A program image: at exec, or when a process that was not known before is first seen.
    Process(ProcessRecord<'a>),
    /// A new process (not a thread) that runs its parent's program.
    Fork(Fork),
    /// The last thread of a process is gone.
    Exit(Exit),
}

/// One program image in one process: exec changes `exec_id`, pid reuse changes `start`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TaskKey {
    /// Thread group id in the initial pid namespace.
    pub pid: u32,
    /// `task_struct.self_exec_id`, low 32 bits.
    pub exec_id: u32,
    /// Start of the thread group leader, nanoseconds since boot (CLOCK_BOOTTIME).
    pub start: u64,
}

/// The task that sent a packet, or that owns the socket which got it.
#[derive(Debug, Clone, Copy)]
pub struct Task {
    pub process: TaskKey,
    pub tid: u32,
    /// Effective, in the initial user namespace.
    pub uid: u32,
    pub gid: u32,
    /// The thread's name, NUL-padded.
    pub name: [u8; 16],
}

/// Seen from this host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    Ingress,
    Egress,
}

/// An IP packet: whole datagrams and whole offloaded TCP super-segments when live, possibly
/// fragments when read from a capture.
#[derive(Debug, Clone, Copy)]
pub struct Packet<'a> {
    /// Nanoseconds since the Unix epoch.
    pub time: u64,
    /// `None` in a capture.
    pub direction: Option<Direction>,
    /// `None` where it cannot be known.
    pub task: Option<Task>,
    /// Socket cookie; 0 when there is none.
    pub socket: u64,
    /// Inode number of the network namespace; 0 when not known.
    pub network_namespace: u32,
    /// Bytes of the packet on the wire, from its IP header on; more than `bytes` when cut.
    pub length: u32,
    /// From the IP header on.
    pub bytes: &'a [u8],
}

/// Who a process is, as the kernel told it.
#[derive(Debug, Clone, Copy)]
pub struct ProcessRecord<'a> {
    /// Nanoseconds since the Unix epoch.
    pub time: u64,
    pub process: TaskKey,
    /// `None` where there is no parent.
    pub parent: Option<TaskKey>,
    /// Taken at exec; else introduced later (already running, or its exec record was lost).
    pub at_exec: bool,
    /// The executable has no name any more: deleted, or a memfd.
    pub deleted: bool,
    /// A path has more components than the kernel side walks.
    pub path_cut: bool,
    /// The record was taken by the process itself, so `arguments` are its own.
    pub has_arguments: bool,
    pub kernel_thread: bool,
    pub uid: u32,
    pub gid: u32,
    /// pid in the process's own pid namespace.
    pub namespace_pid: u32,
    /// Inode numbers.
    pub pid_namespace: u32,
    pub mount_namespace: u32,
    pub network_namespace: u32,
    /// Name of the thread group leader, NUL-padded.
    pub name: [u8; 16],
    pub parent_name: [u8; 16],
    /// Path components from the leaf to the root, each ended by NUL; see [`path`].
    pub executable: &'a [u8],
    pub working_directory: &'a [u8],
    pub cgroup: &'a [u8],
    /// As the kernel keeps them, each ended by NUL; cut when shorter than `arguments_total`.
    pub arguments: &'a [u8],
    pub arguments_total: u32,
}

/// See [`Event::Fork`].
#[derive(Debug, Clone, Copy)]
pub struct Fork {
    pub time: u64,
    pub child: TaskKey,
    pub parent: TaskKey,
    pub namespace_pid: u32,
}

/// See [`Event::Exit`].
#[derive(Debug, Clone, Copy)]
pub struct Exit {
    pub time: u64,
    pub process: TaskKey,
    /// As wait(2) gives it.
    pub code: u32,
}

/// Joins leaf-to-root components (`curl\0bin\0usr\0`) to a path (`/usr/bin/curl`). Bytes that are
/// not UTF-8 are replaced; no component gives an empty text.
#[must_use]
pub fn path(components: &[u8]) -> String {
    let mut text = String::with_capacity(components.len() + 1);
    for component in components.split(|byte| *byte == 0).rev().filter(|part| !part.is_empty()) {
        text.push('/');
        text.push_str(&String::from_utf8_lossy(component));
    }
    text
}

//! Events of the kernel, or of a capture: the records of `probes/event.h` decoded by checked copies. `probe` and
//! `replay` attach, read the ring and read captures; `pipeline` gives an event its meaning.

mod command;
pub mod program;
#[allow(unsafe_code, reason = "records are copied out of bytes")]
mod record;

use std::mem::size_of;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

pub use command::{Command, MuteReason};
use record::split;

use crate::skeleton::types::{
    connection_record, connection_stage, ends_record, exit_record, fork_record, packet_record, process_record,
    record_flag, record_header, record_kind, task_key, task_record,
};

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
    /// A TCP connection that this host opened, or failed to open, or that is closed.
    Connection(Connection),
}

/// One program image in one process: exec changes `exec_id`, pid reuse changes `start`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
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
#[derive(Debug, Clone, Copy, Default)]
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
    /// Bytes of payload in each datagram where the packet is several of them at once (UDP_SEGMENT, UDP_GRO);
    /// the last may be shorter. 0: one datagram, or a piece of a TCP stream.
    pub segment_size: u32,
    /// The end of the conversation that this host's socket is: the one that opened it asks. `None` in a capture,
    /// and where the kernel side cannot know; then the ports and the message must say it.
    pub end: Option<End>,
    /// The program left the source address to the kernel, so that NAT may have changed it without a trace in
    /// `before_nat`. An answer then goes to another address than the query seems to come from.
    pub is_unbound: bool,
    /// Several processes wrote these bytes of a TCP stream. `task` is the one that wrote the first of them.
    pub several_writers: bool,
    /// The bytes lay in pages of the sender's memory (MSG_ZEROCOPY), which may have changed them before they
    /// left.
    pub is_zero_copy: bool,
    /// The ends as the program sees them, where NAT shows others in `bytes`. A packet that arrives is seen behind
    /// NAT, and needs none.
    pub before_nat: Option<Ends>,
    /// From the IP header on.
    pub bytes: &'a [u8],
}

/// One end of a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// Asks.
    Client,
    /// Answers.
    Server,
}

/// Where a packet comes from and goes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ends {
    pub source: SocketAddr,
    pub destination: SocketAddr,
}

/// A process as the kernel describes it.
#[derive(Debug, Clone, Copy, Default)]
#[allow(clippy::struct_excessive_bools, reason = "the flags of the kernel's record, each by name")]
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
    /// A path has more components or bytes than the kernel side takes: its beginning is missing.
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
    /// Inode of the executable on its file system, and that file system's device number (major and minor); 0
    /// where there is no executable.
    pub executable_inode: u64,
    pub executable_device: (u32, u32),
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

/// See [`Event::Connection`].
#[derive(Debug, Clone, Copy)]
pub struct Connection {
    /// Nanoseconds since the Unix epoch.
    pub time: u64,
    pub id: ConnectionId,
    pub stage: Stage,
    /// The task that connected. `None` where it cannot be known.
    pub task: Option<Task>,
    /// The time of the connect: nanoseconds since the Unix epoch.
    pub start: u64,
    pub source: SocketAddr,
    pub destination: SocketAddr,
    pub network_namespace: u32,
    /// Bytes of payload, without retransmissions.
    pub sent: u64,
    pub received: u64,
    /// errno(3) of what ended it; 0 when nothing did.
    pub error: u32,
}

/// Names one connection from its begin to its end; ordered by age.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ConnectionId {
    /// The time of the connect, nanoseconds (CLOCK_MONOTONIC).
    pub begin: u64,
    /// The kernel's own address of the socket, which a later socket may get.
    pub socket: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// The other end has accepted the connection.
    Opened,
    /// The connection was never open.
    Failed,
    /// The connection was open, and is no more.
    Closed,
}

/// Turns the kernel's time (CLOCK_MONOTONIC) into time of day.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    /// Nanoseconds since the Unix epoch at monotonic zero.
    pub epoch: u64,
}

impl Clock {
    fn at(self, monotonic: u64) -> u64 {
        self.epoch.wrapping_add(monotonic)
    }
}

/// A record that does not have the form of `event.h`.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum DecodeError {
    #[error("a record of {0} bytes is shorter than its kind demands")]
    Short(usize),
    #[error("{0} is no kind of record")]
    Kind(u32),
    #[error("{0} is no stage of a connection")]
    Stage(u32),
}

/// Decodes one record as the kernel wrote it.
///
/// # Errors
/// A record that is too short for what it claims, or of a kind that this sensor does not know.
pub fn decode(record: &[u8], clock: Clock) -> Result<Event<'_>, DecodeError> {
    let (header, _) = split::<record_header>(record)?;
    match record_kind(header.kind) {
        record_kind::RECORD_PACKET => packet(record, clock).map(Event::Packet),
        record_kind::RECORD_PROCESS => process(record, clock).map(Event::Process),
        record_kind::RECORD_FORK => {
            let (record, _) = split::<fork_record>(record)?;
            Ok(Event::Fork(Fork {
                time: clock.at(record.header.time),
                child: record.child.into(),
                parent: record.parent.into(),
                namespace_pid: record.namespace_pid,
            }))
        }
        record_kind::RECORD_EXIT => {
            let (record, _) = split::<exit_record>(record)?;
            Ok(Event::Exit(Exit {
                time: clock.at(record.header.time),
                process: record.process.into(),
                code: record.code,
            }))
        }
        record_kind::RECORD_CONNECTION => connection(record, clock).map(Event::Connection),
        record_kind(other) => Err(DecodeError::Kind(other)),
    }
}

fn packet(bytes: &[u8], clock: Clock) -> Result<Packet<'_>, DecodeError> {
    let (record, mut rest) = split::<packet_record>(bytes)?;
    let header = record.header;
    let mut before_nat = None;
    if has(header, record_flag::PACKET_TRANSLATED) {
        let (ends, behind) = split::<ends_record>(rest)?;
        rest = behind;
        before_nat = Some(Ends {
            source: socket_address(ends.source, ends.source_port),
            destination: socket_address(ends.destination, ends.destination_port),
        });
    }
    let is_egress = has(header, record_flag::PACKET_EGRESS);
    Ok(Packet {
        time: clock.at(header.time),
        direction: Some(if is_egress { Direction::Egress } else { Direction::Ingress }),
        task: task(&record.task),
        socket: record.socket,
        network_namespace: record.network_namespace,
        length: record.length,
        segment_size: record.segment_size,
        end: match (has(header, record_flag::PACKET_CLIENT), has(header, record_flag::PACKET_SERVER)) {
            (true, _) => Some(End::Client),
            (false, true) => Some(End::Server),
            (false, false) => None,
        },
        is_unbound: has(header, record_flag::PACKET_UNBOUND),
        several_writers: has(header, record_flag::PACKET_SEVERAL),
        is_zero_copy: has(header, record_flag::PACKET_ZEROCOPY),
        before_nat,
        bytes: rest.get(..record.captured as usize).ok_or(DecodeError::Short(bytes.len()))?,
    })
}

fn process(bytes: &[u8], clock: Clock) -> Result<ProcessRecord<'_>, DecodeError> {
    let (record, mut rest) = split::<process_record>(bytes)?;
    let mut part = |length: u32| {
        let (part, tail) = rest.split_at_checked(length as usize).ok_or(DecodeError::Short(bytes.len()))?;
        rest = tail;
        Ok(part)
    };
    let header = record.header;
    Ok(ProcessRecord {
        time: clock.at(header.time),
        process: record.process.into(),
        parent: known(record.parent),
        at_exec: has(header, record_flag::PROCESS_EXEC),
        deleted: has(header, record_flag::PROCESS_DELETED),
        path_cut: has(header, record_flag::PROCESS_PATH_CUT),
        has_arguments: has(header, record_flag::PROCESS_CURRENT),
        kernel_thread: has(header, record_flag::PROCESS_KERNEL),
        uid: record.uid,
        gid: record.gid,
        namespace_pid: record.namespace_pid,
        pid_namespace: record.pid_namespace,
        mount_namespace: record.mount_namespace,
        network_namespace: record.network_namespace,
        name: record.name.map(i8::cast_unsigned),
        parent_name: record.parent_name.map(i8::cast_unsigned),
        executable: part(record.executable_length)?,
        working_directory: part(record.directory_length)?,
        cgroup: part(record.cgroup_length)?,
        arguments: part(record.arguments_length)?,
        arguments_total: record.arguments_total,
        executable_inode: record.executable_inode,
        // include/linux/kdev_t.h
        executable_device: (record.executable_device >> 20, record.executable_device & 0xf_ffff),
    })
}

/// The kernel side writes an IPv4 address as a mapped one.
fn socket_address(address: [u8; 16], port: u16) -> SocketAddr {
    SocketAddr::new(IpAddr::V6(Ipv6Addr::from(address)).to_canonical(), port)
}

fn connection(bytes: &[u8], clock: Clock) -> Result<Connection, DecodeError> {
    let (record, _) = split::<connection_record>(bytes)?;
    Ok(Connection {
        time: clock.at(record.header.time),
        id: ConnectionId { begin: record.start, socket: record.socket },
        stage: match connection_stage(record.stage) {
            connection_stage::CONNECTION_OPENED => Stage::Opened,
            connection_stage::CONNECTION_FAILED => Stage::Failed,
            connection_stage::CONNECTION_CLOSED => Stage::Closed,
            connection_stage(other) => return Err(DecodeError::Stage(other)),
        },
        task: task(&record.task),
        start: clock.at(record.start),
        source: socket_address(record.source, record.source_port),
        destination: socket_address(record.destination, record.destination_port),
        network_namespace: record.network_namespace,
        sent: record.sent,
        received: record.received,
        error: record.error,
    })
}

/// The length of the process record at the start of `bytes`, when it is there as a whole.
#[must_use]
pub fn process_record_length(bytes: &[u8]) -> Option<usize> {
    let (record, _) = split::<process_record>(bytes).ok()?;
    size_of::<process_record>().checked_add(record.length as usize)
}

fn has(header: record_header, flag: record_flag) -> bool {
    header.flags & flag.0 != 0
}

fn known(key: task_key) -> Option<TaskKey> {
    (key.pid != 0).then(|| key.into())
}

fn task(record: &task_record) -> Option<Task> {
    Some(Task {
        process: known(record.process)?,
        tid: record.tid,
        uid: record.uid,
        gid: record.gid,
        name: record.name.map(i8::cast_unsigned),
    })
}

impl From<task_key> for TaskKey {
    fn from(key: task_key) -> Self {
        Self { pid: key.pid, exec_id: key.exec_id, start: key.start }
    }
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

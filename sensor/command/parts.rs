//! The parts of a run, and the walls around the process that reads foreign bytes. Parts are started first, while there
//! is one thread; then that process gives up what the parts have.

use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result};

use crate::host::{self, Host};
use crate::part::{Channel, Part};
use crate::probe;
use crate::rules;
use crate::sink::{Reach, Target};
use crate::walls::{Calls, Standing, Walls};

/// Files that every run reads while it goes on: a random number, the state of this process, the queue of local
/// sockets, and the rules of local time.
const ALWAYS: [&str; 6] = [
    "/proc/sys/kernel/random/uuid",
    "/proc/sys/net/unix/max_dgram_qlen",
    "/proc/self",
    "/proc/locks",
    "/etc/localtime",
    "/usr/share/zoneinfo",
];

/// Files by which this host looks names up and trusts certificates, and the libraries that do so.
const RECEIVERS: [&str; 12] = [
    "/etc/resolv.conf",
    "/etc/hosts",
    "/etc/nsswitch.conf",
    "/etc/host.conf",
    "/etc/gai.conf",
    "/etc/ssl",
    "/etc/pki",
    "/etc/ld.so.cache",
    "/lib",
    "/usr/lib",
    "/lib64",
    "/usr/share/ca-certificates",
];

/// The parts that run.
pub struct Parts {
    kernel: Part,
    proc: Part,
}

impl Parts {
    /// Starts them. The host knows from then on whom to ask.
    ///
    /// # Errors
    /// The system gives no process.
    pub fn start(settings: &probe::Settings, host: &mut Host) -> Result<Self> {
        let source = host.source();
        let proc = Part::start("proc", |channel| host::serve(channel, &source)).context(NO_PROCESS)?;
        let kernel = Part::start("kernel", |channel| probe::serve(channel, settings)).context(NO_PROCESS)?;
        host.part = Some(proc.channel());
        Ok(Self { kernel, proc })
    }

    /// The part that holds the kernel side.
    pub fn kernel(&self) -> Arc<Channel> {
        self.kernel.channel()
    }

    /// The first part that has ended; none of them should.
    pub fn ended(&self) -> Option<&'static str> {
        [&self.kernel, &self.proc].into_iter().find(|part| part.has_ended()).map(|part| part.name)
    }

    /// Descriptors that are readable once a part has ended.
    pub fn descriptors(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        [self.kernel.as_fd(), self.proc.as_fd()].into_iter()
    }
}

const NO_PROCESS: &str = "a part of the sensor cannot be started (allow more processes: TasksMax=, ulimit -u)";

/// The needs of a command besides its parts: everything that its walls leave open.
#[derive(Debug, Default)]
pub struct Needs<'a> {
    pub outputs: &'a [Target],
    pub rules: &'a [PathBuf],
    /// Files that are read, such as captures.
    pub files: &'a [PathBuf],
    pub ready_file: Option<&'a Path>,
}

/// Raises the walls around this process, before it reads anything foreign and before its first thread.
///
/// # Errors
/// A privilege could not be given up, which every kernel can.
pub fn confine(needs: &Needs<'_>) -> Result<Standing> {
    let mut reach = Reach::default();
    for target in needs.outputs {
        target.reach(&mut reach);
    }
    let mut reads: Vec<PathBuf> = ALWAYS.iter().map(PathBuf::from).collect();
    reads.extend(rules::places(needs.rules));
    reads.extend(needs.files.iter().cloned());
    reads.extend(reach.reads);
    let mut writes = reach.writes;
    writes.extend(needs.ready_file.and_then(Path::parent).map(folder));
    if reach.connects {
        reads.extend(RECEIVERS.iter().map(PathBuf::from));
        // Links such as that to a resolver's own file lead elsewhere.
        reads.extend(RECEIVERS.iter().filter_map(|path| std::fs::canonicalize(path).ok()));
        let variables = ["SSL_CERT_FILE", "SSL_CERT_DIR"].into_iter().filter_map(std::env::var_os);
        reads.extend(variables.map(PathBuf::from));
    }
    let calls = match (reach.connects, writes.is_empty()) {
        (true, _) => Calls::Connect,
        (false, false) => Calls::Write,
        (false, true) => Calls::Read,
    };
    Ok(Walls { calls, keep: Vec::new(), reads, writes, connects: reach.connects }.raise()?)
}

/// The walls of a process that reads foreign bytes, raised around a thread for a moment.
pub fn walls() -> Vec<(&'static str, bool)> {
    let raised = std::thread::spawn(|| confine(&Needs::default()).unwrap_or_default());
    raised.join().unwrap_or_default().each().to_vec()
}

/// The folder of a path without one is the one that the program was started in.
fn folder(path: &Path) -> PathBuf {
    if path.as_os_str().is_empty() { PathBuf::from(".") } else { path.to_owned() }
}

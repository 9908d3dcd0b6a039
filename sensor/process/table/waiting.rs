//! Processes that nothing was asked about yet. Their records are kept as they came, and become images with the first
//! question about the process, or about one that it forked. Most processes of a host end before that.

use std::collections::{HashMap, VecDeque};
use std::mem::size_of;

use super::{LIVE, Processes, RETIRED, RETIRED_TIME};
use crate::event::{Exit, Fork, ProcessRecord, TaskKey};

/// The part of the memory for processes that records may take while they wait: one in so many bytes. Past it they
/// become images at once.
pub(super) const WAITING_PART: usize = 4;

/// Processes that become images at a time where there is no space for more.
const STEP: usize = 64;

/// Buffers of records that are kept for the next ones.
const SPARE: usize = 256;

/// The pid and the start of a process, which exec does not change.
type Id = (u32, u64);

const fn id(key: &TaskKey) -> Id {
    (key.pid, key.start)
}

#[derive(Debug, Default)]
pub(super) struct Waiting {
    processes: HashMap<Id, Entry>,
    /// How many that have not ended each process forked.
    children: HashMap<Id, usize>,
    /// Those that ended, oldest first, with the time.
    ended: VecDeque<(u64, Id)>,
    spare: Vec<Vec<u8>>,
    /// How many have not ended.
    running: usize,
    bytes: usize,
}

/// The records of one process, in the order of these fields.
#[derive(Debug)]
struct Entry {
    /// The image of the last record.
    key: TaskKey,
    parent: Option<Id>,
    fork: Option<Fork>,
    exec: Option<Kept>,
    exit: Option<Exit>,
}

impl Entry {
    fn bytes(&self) -> usize {
        size_of::<(Id, Self)>() + 64 + self.exec.as_ref().map_or(0, |exec| exec.bytes.capacity())
    }
}

/// A record, with the bytes that it borrows.
#[derive(Debug)]
struct Kept {
    record: ProcessRecord<'static>,
    bytes: Vec<u8>,
    /// Executable, working directory and cgroup; the rest are arguments.
    lengths: [usize; 3],
}

impl Kept {
    fn new(record: &ProcessRecord<'_>, mut bytes: Vec<u8>) -> Self {
        bytes.clear();
        for part in [record.executable, record.working_directory, record.cgroup, record.arguments] {
            bytes.extend_from_slice(part);
        }
        Self {
            record: ProcessRecord { executable: &[], working_directory: &[], cgroup: &[], arguments: &[], ..*record },
            bytes,
            lengths: [record.executable.len(), record.working_directory.len(), record.cgroup.len()],
        }
    }

    fn record(&self) -> ProcessRecord<'_> {
        let mut rest = self.bytes.as_slice();
        let [executable, working_directory, cgroup] = self.lengths.map(|length| {
            let (part, tail) = rest.split_at(length);
            rest = tail;
            part
        });
        ProcessRecord { executable, working_directory, cgroup, arguments: rest, ..self.record }
    }
}

impl Waiting {
    /// Processes that have not ended, and those that have.
    pub(super) fn len(&self) -> (usize, usize) {
        (self.running, self.processes.len() - self.running)
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    fn has_image(&self, key: &TaskKey) -> bool {
        self.processes.get(&id(key)).is_some_and(|entry| entry.key == *key)
    }

    fn insert(&mut self, process: Id, entry: Entry) {
        self.bytes += entry.bytes();
        self.running += 1;
        if let Some(parent) = entry.parent {
            *self.children.entry(parent).or_default() += 1;
        }
        if let Some(before) = self.processes.insert(process, entry) {
            self.let_go(&before);
        }
    }

    fn remove(&mut self, process: Id) -> Option<Entry> {
        let entry = self.processes.remove(&process)?;
        self.let_go(&entry);
        Some(entry)
    }

    fn let_go(&mut self, entry: &Entry) {
        self.bytes -= entry.bytes();
        if entry.exit.is_none() {
            self.running -= 1;
            self.orphan(entry.parent);
        }
    }

    /// One child less of this process.
    fn orphan(&mut self, parent: Option<Id>) {
        if let Some(parent) = parent
            && let Some(count) = self.children.get_mut(&parent)
        {
            *count -= 1;
            if *count == 0 {
                self.children.remove(&parent);
            }
        }
    }

    fn end(&mut self, exit: &Exit) {
        let process = id(&exit.process);
        let Some(entry) = self.processes.get_mut(&process).filter(|entry| entry.exit.is_none()) else { return };
        entry.exit = Some(*exit);
        let parent = entry.parent;
        self.running -= 1;
        self.ended.push_back((exit.time, process));
        self.orphan(parent);
    }

    /// Forgets those that ended long enough ago; see [`RETIRED_TIME`] and [`RETIRED`].
    fn expire(&mut self, now: u64) {
        while let Some(&(time, process)) = self.ended.front() {
            if self.ended.len() <= RETIRED && now.abs_diff(time) < RETIRED_TIME {
                break;
            }
            self.ended.pop_front();
            // One that is an image by now is not found.
            if let Some(entry) = self.remove(process) {
                self.give_back(entry.exec);
            }
        }
    }

    fn give_back(&mut self, exec: Option<Kept>) {
        if let Some(exec) = exec
            && self.spare.len() < SPARE
        {
            self.spare.push(exec.bytes);
        }
    }
}

impl Processes {
    /// Keeps the record of an exec for later. False: it must become an image now.
    pub(super) fn wait_with_exec(&mut self, record: &ProcessRecord<'_>) -> bool {
        let process = id(&record.process);
        if self.waiting.children.contains_key(&process) {
            // The program that forked them is no more.
            self.make_children(process);
        }
        let parent = record.parent.as_ref().map(id);
        let before = self.waiting.processes.get(&process);
        // It was given to another parent, or runs one program after the other: the images in between count.
        let is_first = before.map_or_else(
            || self.before(&record.process).is_none(),
            |before| before.exec.is_none() && before.exit.is_none() && before.parent == parent,
        );
        let is_parent_known = record.parent.is_none_or(|parent| self.is_known(&parent));
        // Without its arguments, they are read from /proc while it runs.
        if !is_first || !is_parent_known || !record.at_exec || !record.has_arguments || !self.has_space_to_wait() {
            self.make(process);
            return false;
        }
        let bytes = self.waiting.spare.pop().unwrap_or_default();
        let exec = Some(Kept::new(record, bytes));
        let fork = self.waiting.remove(process).and_then(|entry| entry.fork);
        self.waiting.insert(process, Entry { key: record.process, parent, fork, exec, exit: None });
        self.make_space();
        true
    }

    /// Keeps a fork for later. False: it must become an image now.
    pub(super) fn wait_with_fork(&mut self, fork: &Fork) -> bool {
        let waits = self.is_known(&fork.parent) && self.before(&fork.child).is_none() && self.has_space_to_wait();
        if waits {
            let entry =
                Entry { key: fork.child, parent: Some(id(&fork.parent)), fork: Some(*fork), exec: None, exit: None };
            self.waiting.insert(id(&fork.child), entry);
            self.make_space();
        }
        waits
    }

    fn is_known(&self, key: &TaskKey) -> bool {
        self.waiting.has_image(key) || self.images.contains_key(key)
    }

    /// Where there is none, some of those that wait become images.
    fn has_space_to_wait(&mut self) -> bool {
        let most = self.metrics.memory.processes.bound() / WAITING_PART;
        let has_space = self.waiting.bytes <= most && self.live.len() + self.waiting.running < LIVE;
        if !has_space {
            self.make_some();
        }
        has_space
    }

    /// A process ended. It is kept for a while, since a packet in flight may still name it.
    pub(super) fn wait_with_exit(&mut self, exit: &Exit) {
        let process = id(&exit.process);
        if self.waiting.children.contains_key(&process) {
            self.make_children(process);
        }
        self.waiting.end(exit);
        self.waiting.expire(exit.time);
    }

    pub(super) fn expire_waiting(&mut self, now: u64) {
        self.waiting.expire(now);
    }

    /// Makes images of what waits of this process.
    pub(super) fn make_waiting(&mut self, key: &TaskKey) {
        if !self.waiting.processes.is_empty() {
            self.make(id(key));
        }
    }

    fn make(&mut self, process: Id) {
        // The processes above come first: a lineage is taken from them.
        let mut line = Vec::new();
        let mut next = Some(process);
        while let Some(entry) = next.and_then(|process| self.waiting.remove(process)) {
            next = entry.parent;
            line.push(entry);
        }
        while let Some(entry) = line.pop() {
            if let Some(fork) = &entry.fork {
                self.take_fork(fork);
            }
            if let Some(exec) = &entry.exec {
                self.take_record(&exec.record());
            }
            if let Some(exit) = &entry.exit {
                self.take_exit(exit);
            }
            self.waiting.give_back(entry.exec);
        }
    }

    /// Makes images of the processes that this one forked, while its own program is known.
    fn make_children(&mut self, parent: Id) {
        let of_parent = |entry: &Entry| entry.parent == Some(parent) && entry.exit.is_none();
        let children: Vec<_> =
            self.waiting.processes.iter().filter(|(_, entry)| of_parent(entry)).map(|(process, _)| *process).collect();
        for child in children {
            self.make(child);
        }
    }

    fn make_some(&mut self) {
        let some: Vec<_> = self.waiting.processes.keys().take(STEP).copied().collect();
        for process in some {
            self.make(process);
        }
    }
}

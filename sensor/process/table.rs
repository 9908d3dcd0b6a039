//! The table of images, and how it is filled, asked and kept within its bounds.

mod names;
mod waiting;

use std::collections::{HashMap, VecDeque};
use std::mem::size_of;
use std::rc::Rc;
use std::sync::Arc;

use self::waiting::Waiting;
use super::lineage::Lineage;
use super::namespaces::Namespaces;
use super::{ANCESTORS, Process, image};
use crate::event::{Exit, Fork, ProcessRecord, Task, TaskKey};
use crate::host::{Accounts, Host, Reader};
use crate::metrics::Metrics;

/// Images of live processes. Linux counts to 32,768 pids by default; large hosts raise it, but few of their
/// processes ask.
pub const LIVE: usize = 65_536;

/// Images kept after an exit or exec, since a packet in flight may still name them.
pub const RETIRED: usize = 8_192;

/// Nanoseconds that such an image is kept: the answer of a slow server may come after its asker is gone.
pub const RETIRED_TIME: u64 = 10_000_000_000;

/// The pid of kthreadd, which is in the host's own mount namespace on every kernel.
const KTHREADD: u32 = 2;

/// Bytes of a slot and of the entries that lead to it.
const SLOT_BYTES: usize = size_of::<Slot>() + 2 * size_of::<(TaskKey, usize)>() + 64;

/// Every image that may still be named.
#[derive(Debug)]
pub struct Processes {
    pub(super) host: Host,
    /// First part of each `entity_id`.
    pub(super) host_hash: u64,
    reader: Reader,
    accounts: Accounts,
    namespaces: Namespaces,
    pub(super) metrics: Arc<Metrics>,
    waiting: Waiting,
    slots: Vec<Slot>,
    free: Vec<usize>,
    images: HashMap<TaskKey, usize>,
    /// The one image of each live process, by pid.
    live: HashMap<u32, usize>,
    /// When each was retired, oldest first.
    retired: VecDeque<(u64, usize)>,
    /// Where the search for the next live image to forget goes on.
    hand: usize,
    /// Sum over all slots.
    bytes: usize,
}

#[derive(Debug)]
struct Slot {
    image: Option<Rc<Process>>,
    /// The lineage of its children, made when it first becomes a parent.
    lineage: Option<Lineage>,
    bytes: usize,
    live: bool,
    /// The image was asked for since the hand last came by.
    used: bool,
}

impl Processes {
    #[must_use]
    pub fn new(host: Host, metrics: Arc<Metrics>) -> Self {
        Self {
            host_hash: image::host_hash(
                host.id.as_deref().unwrap_or_default(),
                host.boot_id.as_deref().unwrap_or_default(),
            ),
            reader: Reader::new(&host, Arc::clone(&metrics)),
            accounts: Accounts::default(),
            namespaces: Namespaces::default(),
            host,
            metrics,
            waiting: Waiting::default(),
            slots: Vec::new(),
            free: Vec::new(),
            images: HashMap::new(),
            live: HashMap::new(),
            retired: VecDeque::new(),
            hand: 0,
            bytes: 0,
        }
    }

    /// Takes an image as the kernel describes it. A second description that lacks something is not taken: a
    /// process that exits has lost its memory, and with it its executable and arguments.
    pub fn record(&mut self, record: &ProcessRecord<'_>) {
        if !self.wait_with_exec(record) {
            self.take_record(record);
        }
    }

    fn take_record(&mut self, record: &ProcessRecord<'_>) {
        if self.image(&record.process).is_some_and(|known| lacks_something(record, known)) {
            return;
        }
        self.refresh_accounts(record.time);
        if record.process.pid == KTHREADD && record.kernel_thread {
            self.host.first_mount_namespace = record.mount_namespace;
        }
        let mut lineage = record.parent.and_then(|parent| self.lineage(&parent));
        if let Some(before) = self.before(&record.process) {
            lineage = Some(lineage.unwrap_or_default().after(before, record.parent));
        }
        // Findings about the namespace are kept only while a process is there.
        self.namespaces.enter(record.mount_namespace);
        let image = self.image_of_record(record, lineage);
        self.insert(Rc::new(image), record.time);
        self.namespaces.leave(record.mount_namespace);
    }

    /// Takes a fork: the child runs the program of its parent. Nothing is made up where the parent is not known.
    pub fn fork(&mut self, fork: &Fork) {
        if !self.wait_with_fork(fork) {
            self.take_fork(fork);
        }
    }

    fn take_fork(&mut self, fork: &Fork) {
        let Some(Lineage { parent: Some(parent), ancestors, .. }) = self.lineage(&fork.parent) else { return };
        let image = Process {
            key: fork.child,
            entity_id: image::entity_id(self.host_hash, &fork.child),
            namespace_pid: image::namespace_pid(fork.namespace_pid, fork.child.pid),
            parent_key: Some(fork.parent),
            parent_name: Some(Rc::clone(&parent.name)),
            parent: Some(Rc::clone(&parent)),
            ancestors,
            adopted: false,
            ..(*parent).clone()
        };
        self.insert(Rc::new(image), fork.time);
    }

    pub fn exit(&mut self, exit: &Exit) {
        self.wait_with_exit(exit);
        self.take_exit(exit);
    }

    fn take_exit(&mut self, exit: &Exit) {
        // By pid and start: the record of its last exec may have been lost.
        if let Some(&slot) = self.live.get(&exit.process.pid)
            && self.slots[slot].image.as_ref().is_some_and(|image| image.key.start == exit.process.start)
        {
            self.retire(slot, exit.time);
        }
        self.expire(exit.time);
    }

    /// Forgets what was retired long enough ago, and takes what `/proc` answered late. `now`: nanoseconds since
    /// the Unix epoch.
    pub fn tick(&mut self, now: u64) {
        self.expire(now);
        self.expire_waiting(now);
        self.take_late_answers();
    }

    /// The image with exactly this key: never another one with the same pid.
    pub fn get(&mut self, key: &TaskKey) -> Option<Rc<Process>> {
        self.make_waiting(key);
        let slot = *self.images.get(key)?;
        self.slots[slot].used = true;
        let image = self.slots[slot].image.clone()?;
        // Processes that ran before the sensor are described in no order of descent.
        if image.parent.is_none()
            && let Some(Lineage { parent: Some(parent), ancestors, .. }) =
                image.parent_key.and_then(|parent| self.lineage(&parent))
        {
            return Some(self.replace(slot, Process { parent: Some(parent), ancestors, ..(*image).clone() }));
        }
        Some(image)
    }

    /// The image of a task, with the user that the task has now: daemons change theirs after exec.
    pub fn of_task(&mut self, task: &Task, now: u64) -> Option<Rc<Process>> {
        let image = self.get(&task.process)?;
        let same_user = (image.uid, image.gid) == (task.uid, task.gid);
        if same_user && !self.may_be_named(&image) {
            return Some(image);
        }
        if !same_user {
            self.refresh_accounts(now);
        }
        let slot = *self.images.get(&task.process)?;
        let (user_name, group_name) = self.names(&task.process, image.mount_namespace, (task.uid, task.gid));
        if same_user && user_name.is_none() && group_name.is_none() {
            return Some(image);
        }
        Some(self.replace(slot, Process { uid: task.uid, gid: task.gid, user_name, group_name, ..(*image).clone() }))
    }

    /// Images of live processes, and of those gone or replaced a moment ago.
    #[must_use]
    pub fn len(&self) -> (usize, usize) {
        let (live, ended) = self.waiting.len();
        (self.live.len() + live, self.retired.len() + ended)
    }

    /// Bytes of all images, live and retired: some 50,000 usual ones fit.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes + self.waiting.bytes()
    }

    /// Past half of the bound an image keeps only the beginning of its arguments.
    pub(super) fn is_short_of_memory(&self) -> bool {
        self.bytes() > self.metrics.memory.processes.bound() / 2
    }

    fn image(&self, key: &TaskKey) -> Option<&Rc<Process>> {
        self.slots[*self.images.get(key)?].image.as_ref()
    }

    /// The lineage of the children of this process. The processes above are completed first, as far as they are
    /// known.
    fn lineage(&mut self, key: &TaskKey) -> Option<Lineage> {
        self.make_waiting(key);
        let mut missing = Vec::new();
        let mut next = *self.images.get(key)?;
        while missing.len() < ANCESTORS
            && self.slots[next].lineage.is_none()
            && let Some(image) = &self.slots[next].image
            && image.parent.is_none()
            && let Some(parent) = image.parent_key
        {
            self.make_waiting(&parent);
            let Some(&above) = self.images.get(&parent) else { break };
            missing.push(next);
            next = above;
        }
        let mut lineage = self.lineage_of(next)?;
        for index in missing.into_iter().rev() {
            let Lineage { parent, ancestors, .. } = lineage;
            let image = self.slots[index].image.clone()?;
            self.replace(index, Process { parent, ancestors, ..(*image).clone() });
            lineage = self.lineage_of(index)?;
        }
        Some(lineage)
    }

    fn lineage_of(&mut self, index: usize) -> Option<Lineage> {
        let slot = &mut self.slots[index];
        if slot.lineage.is_none() {
            slot.lineage = Some(Lineage::below(slot.image.as_ref()?));
            slot.bytes += size_of::<Process>();
            self.bytes += size_of::<Process>();
        }
        slot.lineage.clone()
    }

    /// The image that this process had until now.
    fn before(&self, key: &TaskKey) -> Option<&Process> {
        let image = self.slots[*self.live.get(&key.pid)?].image.as_deref()?;
        (image.key.start == key.start).then_some(image)
    }

    fn insert(&mut self, image: Rc<Process>, time: u64) {
        let key = image.key;
        if let Some(&slot) = self.images.get(&key) {
            self.replace_shared(slot, image);
            return;
        }
        // exec and pid reuse put a new image in the place of the one before, whose exit may be lost.
        let before = self.live.get(&key.pid).copied();
        let newest = before
            .and_then(|slot| self.slots[slot].image.as_ref())
            .is_none_or(|image| (image.key.start, image.key.exec_id) < (key.start, key.exec_id));
        if let Some(before) = before
            && newest
        {
            self.retire(before, time);
        }
        if newest && self.live.len() + self.waiting.len().0 >= LIVE {
            self.evict();
        }
        let slot = Slot { image: None, lineage: None, bytes: 0, live: newest, used: false };
        let index = if let Some(index) = self.free.pop() {
            self.slots[index] = slot;
            index
        } else {
            self.slots.push(slot);
            self.slots.len() - 1
        };
        self.images.insert(key, index);
        self.replace_shared(index, image);
        if newest {
            self.live.insert(key.pid, index);
        } else {
            self.retired.push_back((time, index));
        }
        self.expire(time);
        self.make_space();
    }

    fn replace(&mut self, index: usize, image: Process) -> Rc<Process> {
        let image = Rc::new(image);
        self.replace_shared(index, Rc::clone(&image));
        image
    }

    fn replace_shared(&mut self, index: usize, image: Rc<Process>) {
        let slot = &mut self.slots[index];
        let bytes = SLOT_BYTES + image.bytes();
        self.bytes = self.bytes - slot.bytes + bytes;
        let namespace = image.mount_namespace;
        let before = slot.image.replace(image);
        (slot.bytes, slot.lineage) = (bytes, None);
        if slot.live {
            self.namespaces.enter(namespace);
            if let Some(before) = before {
                self.namespaces.leave(before.mount_namespace);
            }
        }
    }

    /// Forgets images until all of them fit their share, those retired longest ago first.
    fn make_space(&mut self) {
        let bound = self.metrics.memory.processes.bound();
        while self.bytes() > bound {
            if let Some((_, index)) = self.retired.pop_front() {
                self.metrics.losses.process_evicted.add(1);
                self.forget(index);
            } else if !self.evict() {
                break;
            }
        }
    }

    /// Forgets a live process that was not asked for since the hand last came by (the "clock" policy).
    fn evict(&mut self) -> bool {
        // Two rounds at most: the first takes every mark away.
        for _ in 0..self.slots.len() * 2 {
            self.hand = (self.hand + 1) % self.slots.len();
            let slot = &mut self.slots[self.hand];
            if !slot.live {
                continue;
            }
            if !slot.used {
                self.metrics.losses.process_evicted.add(1);
                self.forget(self.hand);
                return true;
            }
            slot.used = false;
        }
        false
    }

    fn retire(&mut self, index: usize, time: u64) {
        self.end_life(index);
        self.retired.push_back((time, index));
    }

    fn expire(&mut self, now: u64) {
        while let Some(&(time, index)) = self.retired.front() {
            // A clock that went back must not keep them for ever.
            if self.retired.len() <= RETIRED && now.abs_diff(time) < RETIRED_TIME {
                break;
            }
            self.retired.pop_front();
            self.forget(index);
        }
    }

    fn forget(&mut self, index: usize) {
        self.end_life(index);
        let slot = &mut self.slots[index];
        self.bytes -= slot.bytes;
        (slot.lineage, slot.bytes) = (None, 0);
        if let Some(image) = slot.image.take() {
            self.images.remove(&image.key);
        }
        self.free.push(index);
    }

    fn end_life(&mut self, index: usize) {
        let slot = &mut self.slots[index];
        if std::mem::take(&mut slot.live)
            && let Some(image) = &slot.image
        {
            self.live.remove(&image.key.pid);
            self.namespaces.leave(image.mount_namespace);
        }
    }
}

/// Whether the record lacks something that is known of its image.
fn lacks_something(record: &ProcessRecord<'_>, known: &Process) -> bool {
    let had_arguments = known.arguments.as_ref().is_some_and(|arguments| arguments.count() > 0);
    known.executable.is_some() && record.executable.is_empty()
        || known.mount_namespace != 0 && record.mount_namespace == 0
        || known.arguments.is_some() && !record.has_arguments
        || had_arguments && record.arguments.is_empty()
}

#[cfg(test)]
pub(super) mod tests;

//! Who a task is: every program image seen on this host, by [`TaskKey`], in bounded memory.
//! Reading the kernel's records is left to `event`; what a document shows is left to `ecs`.

mod actor;
mod container;
mod image;

use std::cell::OnceCell;
use std::collections::{HashMap, VecDeque};
use std::rc::Rc;
use std::sync::Arc;

pub use actor::Actor;
pub use container::Container;

use crate::event::{Exit, Fork, ProcessRecord, Task, TaskKey};
use crate::host::{Host, ProcFs, Users};
use crate::metrics::Metrics;

/// One program image in one process, as documents show it. Immutable once made.
#[derive(Debug, Clone)]
pub struct Process {
    pub key: TaskKey,
    /// Unique to this image across hosts and reboots.
    pub entity_id: Rc<str>,
    /// Nanoseconds since the Unix epoch.
    pub start: u64,
    /// Absolute path as the process's own root sees it; `None` for kernel threads or where not known.
    pub executable: Option<Rc<str>>,
    /// Deleted, or a memfd.
    pub executable_deleted: bool,
    /// File name of the executable; else the name of the thread group leader.
    pub name: Rc<str>,
    pub args: Rc<[String]>,
    /// `None` where the arguments are not known; an empty list is known to be empty.
    pub command_line: Option<Rc<str>>,
    /// Bytes that the process has and `args` does not show.
    pub args_cut: u32,
    pub working_directory: Option<Rc<str>>,
    pub uid: u32,
    pub gid: u32,
    pub user_name: Option<Rc<str>>,
    pub group_name: Option<Rc<str>>,
    /// pid in its own pid namespace, when that is not the initial one.
    pub namespace_pid: Option<u32>,
    pub network_namespace: u32,
    pub container: Option<Container>,
    /// The parent's image, without a parent of its own: a lineage that lives for years must not grow.
    pub parent: Option<Rc<Process>>,
    /// Known even when nothing else of the parent is.
    pub parent_key: Option<TaskKey>,
    pub parent_name: Option<Rc<str>>,
    pub written: Written,
}

/// An image as documents have it, in two halves between which stands what differs from one to the next:
/// written with the first one. A copy of the image, which differs in something, is written anew.
#[derive(Debug, Default)]
pub struct Written(OnceCell<Option<[Box<[u8]>; 2]>>);

impl Written {
    /// `None` where `write` would not have it kept.
    pub fn get(&self, write: impl FnOnce() -> Option<[Box<[u8]>; 2]>) -> Option<&[Box<[u8]>; 2]> {
        self.0.get_or_init(write).as_ref()
    }
}

impl Clone for Written {
    fn clone(&self) -> Self {
        Self::default()
    }
}

/// Images of processes that live. Linux counts to 32,768 pids by default; large hosts raise it, but
/// few of their processes ask.
pub const LIVE: usize = 65_536;

/// Images kept after an exit or exec, since a packet in flight may still name them.
pub const RETIRED: usize = 8_192;

/// Nanoseconds that such an image is kept: the answer of a slow server may come after its asker is gone.
pub const RETIRED_TIME: u64 = 10_000_000_000;

/// Every image that may still be named.
#[derive(Debug)]
pub struct Processes {
    host: Host,
    /// First part of each `entity_id`.
    host_hash: u64,
    proc: ProcFs,
    users: Users,
    metrics: Arc<Metrics>,
    slots: Vec<Slot>,
    free: Vec<usize>,
    images: HashMap<TaskKey, usize>,
    /// The one image of each live process, by pid.
    live: HashMap<u32, usize>,
    /// When each was retired, oldest first.
    retired: VecDeque<(u64, usize)>,
    /// Where the search for the next live image to forget goes on.
    hand: usize,
}

#[derive(Debug)]
struct Slot {
    image: Option<Rc<Process>>,
    /// The image without its parent, made when it first becomes a parent.
    as_parent: Option<Rc<Process>>,
    mount_namespace: u32,
    live: bool,
    /// Asked for since the hand last came by.
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
            proc: ProcFs::new(&host.proc),
            users: Users::new(&host.passwd, &host.group),
            host,
            metrics,
            slots: Vec::new(),
            free: Vec::new(),
            images: HashMap::new(),
            live: HashMap::new(),
            retired: VecDeque::new(),
            hand: 0,
        }
    }

    /// An image as the kernel tells it. What is told again is taken only if it tells more.
    pub fn record(&mut self, record: &ProcessRecord<'_>) {
        if !record.has_arguments && self.image(&record.process).is_some_and(|known| known.command_line.is_some()) {
            return;
        }
        self.users.refresh(record.time);
        let parent = record.parent.and_then(|parent| self.as_parent(&parent));
        let image = self.image_of_record(record, parent);
        self.insert(Rc::new(image), record.mount_namespace, record.time);
    }

    /// The child runs what its parent runs. Nothing is made up where the parent is not known.
    pub fn fork(&mut self, fork: &Fork) {
        let Some(&slot) = self.images.get(&fork.parent) else { return };
        let mount_namespace = self.slots[slot].mount_namespace;
        let Some(parent) = self.as_parent(&fork.parent) else { return };
        let image = Process {
            key: fork.child,
            entity_id: image::entity_id(self.host_hash, &fork.child),
            start: fork.child.start.saturating_add(self.host.boot_time),
            namespace_pid: image::namespace_pid(fork.namespace_pid, fork.child.pid),
            parent_key: Some(fork.parent),
            parent_name: Some(Rc::clone(&parent.name)),
            parent: Some(Rc::clone(&parent)),
            ..(*parent).clone()
        };
        self.insert(Rc::new(image), mount_namespace, fork.time);
    }

    pub fn exit(&mut self, exit: &Exit) {
        // By pid and start: the record of its last exec may have been lost.
        if let Some(&slot) = self.live.get(&exit.process.pid)
            && self.slots[slot].image.as_ref().is_some_and(|image| image.key.start == exit.process.start)
        {
            self.retire(slot, exit.time);
        }
        self.expire(exit.time);
    }

    /// Forgets what was retired long enough ago. `now`: nanoseconds since the Unix epoch.
    pub fn tick(&mut self, now: u64) {
        self.expire(now);
    }

    /// The image with exactly this key: never another one with the same pid.
    pub fn get(&mut self, key: &TaskKey) -> Option<Rc<Process>> {
        let slot = *self.images.get(key)?;
        self.slots[slot].used = true;
        let image = self.slots[slot].image.clone()?;
        // Processes that were there before are told in no order of descent.
        if image.parent.is_none()
            && let Some(parent) = image.parent_key.and_then(|parent| self.as_parent(&parent))
        {
            let image = Rc::new(Process { parent: Some(parent), ..(*image).clone() });
            self.slots[slot].image = Some(Rc::clone(&image));
            return Some(image);
        }
        Some(image)
    }

    /// The image of a task, with the user that the task has now: daemons change theirs after exec.
    pub fn of_task(&mut self, task: &Task, now: u64) -> Option<Rc<Process>> {
        let image = self.get(&task.process)?;
        if (image.uid, image.gid) == (task.uid, task.gid) {
            return Some(image);
        }
        self.users.refresh(now);
        let slot = *self.images.get(&task.process)?;
        let mount_namespace = self.slots[slot].mount_namespace;
        let (user_name, group_name) = self.names(task.process.pid, mount_namespace, (task.uid, task.gid));
        let image = Rc::new(Process { uid: task.uid, gid: task.gid, user_name, group_name, ..(*image).clone() });
        self.slots[slot].image = Some(Rc::clone(&image));
        self.slots[slot].as_parent = None;
        Some(image)
    }

    /// Images of live processes, and of those gone or replaced a moment ago.
    #[must_use]
    pub fn len(&self) -> (usize, usize) {
        (self.live.len(), self.retired.len())
    }

    fn image(&self, key: &TaskKey) -> Option<&Rc<Process>> {
        self.slots[*self.images.get(key)?].image.as_ref()
    }

    /// Names hold only where the process sees the host's files: elsewhere the same number may be
    /// someone else.
    fn names(&mut self, pid: u32, mount_namespace: u32, ids: (u32, u32)) -> (Option<Rc<str>>, Option<Rc<str>>) {
        if mount_namespace == 0 || self.host.mount_namespace == 0 {
            return (None, None);
        }
        if mount_namespace == self.host.mount_namespace {
            return (self.users.user(ids.0), self.users.group(ids.1));
        }
        self.users.seen_by((pid, &self.proc.directory(pid)), mount_namespace, ids)
    }

    fn as_parent(&mut self, key: &TaskKey) -> Option<Rc<Process>> {
        let slot = &mut self.slots[*self.images.get(key)?];
        if slot.as_parent.is_none() {
            let image = slot.image.as_ref()?;
            slot.as_parent = Some(if image.parent.is_none() {
                Rc::clone(image)
            } else {
                Rc::new(Process { parent: None, ..(**image).clone() })
            });
        }
        slot.as_parent.clone()
    }

    fn insert(&mut self, image: Rc<Process>, mount_namespace: u32, time: u64) {
        let key = image.key;
        if let Some(&slot) = self.images.get(&key) {
            let slot = &mut self.slots[slot];
            if slot.mount_namespace != mount_namespace {
                self.users.left(key.pid, slot.mount_namespace);
            }
            (slot.image, slot.as_parent, slot.mount_namespace) = (Some(image), None, mount_namespace);
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
        if newest && self.live.len() >= LIVE {
            self.evict();
        }
        let slot = Slot { image: Some(image), as_parent: None, mount_namespace, live: newest, used: false };
        let index = if let Some(index) = self.free.pop() {
            self.slots[index] = slot;
            index
        } else {
            self.slots.push(slot);
            self.slots.len() - 1
        };
        self.images.insert(key, index);
        if newest {
            self.live.insert(key.pid, index);
        } else {
            self.retired.push_back((time, index));
        }
        self.expire(time);
    }

    /// Forgets a live process that nobody asked for since the hand last came by (the "clock" policy).
    fn evict(&mut self) {
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
                return;
            }
            slot.used = false;
        }
    }

    fn retire(&mut self, index: usize, time: u64) {
        let slot = &mut self.slots[index];
        slot.live = false;
        if let Some(image) = &slot.image {
            self.live.remove(&image.key.pid);
            self.users.left(image.key.pid, slot.mount_namespace);
        }
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
        let slot = &mut self.slots[index];
        slot.as_parent = None;
        if let Some(image) = slot.image.take() {
            self.images.remove(&image.key);
            if slot.live {
                self.live.remove(&image.key.pid);
                self.users.left(image.key.pid, slot.mount_namespace);
            }
        }
        slot.live = false;
        self.free.push(index);
    }
}

#[cfg(test)]
mod tests;

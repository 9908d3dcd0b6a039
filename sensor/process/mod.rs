//! Processes: every program image seen on this host, by [`TaskKey`], in bounded memory.
//! Reading the kernel's records is left to `event`, reading `/proc` to `host`; how a document shows a
//! process is left to `schema`.

mod actor;
mod arguments;
mod container;
mod image;
mod lineage;
mod namespaces;
mod script;
mod table;
mod unit;

use std::mem::size_of;
use std::rc::Rc;

pub use actor::Actor;
pub use arguments::Arguments;
pub use container::Container;
pub use lineage::{ANCESTORS, Ancestor};
pub use table::{LIVE, Processes, RETIRED, RETIRED_TIME};
pub use unit::Unit;

use crate::event::TaskKey;
use crate::host::BootClock;

/// One program image in one process. An image does not change; a process that changes its user gets another.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub struct Process {
    pub key: TaskKey,
    /// Unique to this image across hosts and reboots.
    pub entity_id: Rc<str>,
    /// Turns `key.start` into time of day.
    pub clock: BootClock,
    /// Absolute path as the process's own root sees it; `None` for kernel threads and where it is not known.
    pub executable: Option<Rc<str>>,
    /// The file itself, which may have several paths; `None` for kernel threads and where it is not known.
    pub executable_file: Option<File>,
    /// The executable is deleted, or a memfd.
    pub executable_deleted: bool,
    /// A path has more components than the kernel side walks: its first ones are missing.
    pub path_cut: bool,
    /// File name of the executable; else the name of the thread group leader.
    pub name: Rc<str>,
    /// `None` where the arguments are not known; an empty list is known to be empty.
    pub arguments: Option<Rc<Arguments>>,
    pub working_directory: Option<Rc<str>>,
    pub uid: u32,
    pub gid: u32,
    pub user_name: Option<Rc<str>>,
    pub group_name: Option<Rc<str>>,
    /// The pid in the process's own pid namespace, when that is not the initial one.
    pub namespace_pid: Option<u32>,
    /// Inode number; 0 when not known.
    pub network_namespace: u32,
    /// Inode number; 0 when not known.
    pub mount_namespace: u32,
    /// The mount namespace is known not to be the host's: paths may mean other files than the host's.
    pub foreign_mounts: bool,
    pub container: Option<Container>,
    /// The unit of systemd that it runs in.
    pub unit: Option<Rc<Unit>>,
    /// The parent's image, without a parent of its own: a lineage that lives for years must not grow.
    pub parent: Option<Rc<Process>>,
    /// Known even when nothing else of the parent is.
    pub parent_key: Option<TaskKey>,
    pub parent_name: Option<Rc<str>>,
    /// The processes above the parent, the nearest first, at most [`ANCESTORS`]. Where the process was given to
    /// another parent, as a daemon is to init, the list begins with the process that forked it.
    pub ancestors: Option<Rc<[Ancestor]>>,
    /// The process was given to another parent after it was forked.
    pub adopted: bool,
}

/// A file, named by its file system and its number there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct File {
    /// Major and minor number, as proc_pid_mountinfo(5) shows them.
    pub device: (u32, u32),
    pub inode: u64,
}

impl Process {
    /// When the process began: nanoseconds since the Unix epoch, by the clock of now.
    #[must_use]
    pub fn start(&self) -> u64 {
        self.clock.at(self.key.start)
    }

    /// The arguments joined by spaces.
    #[must_use]
    pub fn command_line(&self) -> Option<&str> {
        self.arguments.as_deref().map(Arguments::command_line)
    }

    /// Bytes of arguments that the process has and `arguments` lacks.
    #[must_use]
    pub fn args_cut(&self) -> u32 {
        self.arguments.as_deref().map_or(0, Arguments::cut)
    }

    /// The script that the process runs, where it is a known interpreter and its arguments name one.
    #[must_use]
    pub fn script(&self) -> Option<&str> {
        script::of(self)
    }

    /// Bytes of memory that the image keeps from being freed: itself, its texts, and those of its parent.
    /// Texts that several images share count for each of them.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let own = size_of::<Self>() + self.text_bytes();
        let ancestors = self.ancestors.as_deref().unwrap_or_default();
        own + self.parent.as_ref().map_or(0, |parent| size_of::<Self>() + parent.text_bytes())
            + ancestors.iter().map(Ancestor::bytes).sum::<usize>()
    }

    fn text_bytes(&self) -> usize {
        let texts = [&self.executable, &self.working_directory, &self.user_name, &self.group_name, &self.parent_name];
        texts.into_iter().flatten().map(|text| text.len()).sum::<usize>()
            + self.entity_id.len()
            + self.name.len()
            + self.arguments.as_ref().map_or(0, |arguments| arguments.bytes())
            + self.container.as_ref().map_or(0, |container| container.id.len())
            + self.unit.as_ref().map_or(0, |unit| unit.bytes())
    }
}

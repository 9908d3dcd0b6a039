//! Who a task is: every program image seen on this host, by [`TaskKey`], in bounded memory.
//! Reading the kernel's records is left to `event`; what a document shows is left to `ecs`.

use std::rc::Rc;

use crate::event::TaskKey;

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
    pub parent: Option<Rc<Process>>,
    /// Known even when nothing else of the parent is.
    pub parent_key: Option<TaskKey>,
    pub parent_name: Option<Rc<str>>,
}

/// From the cgroup path.
#[derive(Debug, Clone)]
pub struct Container {
    pub id: Rc<str>,
    /// docker, containerd, cri-o, podman, …; `None` where the path does not tell.
    pub runtime: Option<&'static str>,
}

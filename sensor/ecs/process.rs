//! `process.*`, `user.*` and `container.*`: who asked. What is not known is absent. Identity
//! stands before arguments, which may be long.

use serde::Serialize;

use super::limits::{Cuts, Limits, Part};
use super::text::{self, Id, KernelName, Keyword};
use super::time::Instant;
use crate::event::{Task, TaskKey};
use crate::process;

#[derive(Debug, Serialize)]
pub(super) struct Process<'a> {
    pub pid: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub executable: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entity_id: Option<&'a str>,
    /// Of the image. The user of the thread that asked is `user.*`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<Named<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<Named<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thread: Option<Thread<'a>>,
    /// The pid in the process's own namespace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vpid: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start: Option<Instant>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub working_directory: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent: Option<Parent<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command_line: Option<&'a str>,
    /// Of the process, also where `args` shows less.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub args_count: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub args: Option<&'a [String]>,
}

/// A user or a group.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct Named<'a> {
    pub id: Id,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<&'a str>,
}

#[derive(Debug, Serialize)]
pub(super) struct Thread<'a> {
    pub id: u32,
    name: Keyword<KernelName<'a>>,
}

#[derive(Debug, Serialize)]
pub(super) struct Parent<'a> {
    pub pid: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub executable: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entity_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start: Option<Instant>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command_line: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub args_count: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub args: Option<&'a [String]>,
}

#[derive(Debug, Serialize)]
pub(super) struct Container<'a> {
    pub id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub runtime: Option<&'static str>,
}

impl<'a> Process<'a> {
    /// `None` when nothing is known of who asked.
    pub(super) fn new(
        image: Option<&'a process::Process>,
        task: Option<&'a Task>,
        limits: Limits,
        cuts: &mut Cuts,
    ) -> Option<Self> {
        let thread = task.map(|task| Thread { id: task.tid, name: Keyword(KernelName(&task.name)) });
        let Some(image) = image else {
            return Some(Self { thread, ..Self::unknown(task?.process.pid) });
        };
        let mut some = |text: Option<&'a str>, part| text.map(|text| cuts.text(text, limits.text, part));
        let user_name = some(image.user_name.as_deref(), Part::UserName);
        let group_name = some(image.group_name.as_deref(), Part::GroupName);
        let known = Self {
            name: some(Some(&image.name), Part::Name),
            executable: some(image.executable.as_deref(), Part::Executable),
            entity_id: some(Some(&image.entity_id), Part::EntityId),
            user: Some(Named { id: Id(image.uid), name: user_name }),
            group: Some(Named { id: Id(image.gid), name: group_name }),
            thread,
            vpid: image.namespace_pid,
            start: Some(Instant(image.start)),
            working_directory: some(image.working_directory.as_deref(), Part::WorkingDirectory),
            parent: Parent::new(image, limits, cuts),
            ..Self::unknown(image.key.pid)
        };
        let Some(command_line) = image.command_line.as_deref() else { return Some(known) };
        Some(Self {
            command_line: Some(cuts.text(command_line, limits.arguments, Part::CommandLine)),
            args_count: Some(image.args.len()),
            args: Some(arguments(&image.args, limits.arguments, Part::Args, cuts)),
            ..known
        })
    }

    fn unknown(pid: u32) -> Self {
        Self {
            pid,
            name: None,
            executable: None,
            entity_id: None,
            user: None,
            group: None,
            thread: None,
            vpid: None,
            start: None,
            working_directory: None,
            parent: None,
            command_line: None,
            args_count: None,
            args: None,
        }
    }
}

impl<'a> Parent<'a> {
    fn new(child: &'a process::Process, limits: Limits, cuts: &mut Cuts) -> Option<Self> {
        let mut some = |text: Option<&'a str>, part| text.map(|text| cuts.text(text, limits.text, part));
        let Some(image) = child.parent.as_deref() else {
            let TaskKey { pid, .. } = child.parent_key?;
            let name = some(child.parent_name.as_deref(), Part::ParentName);
            return Some(Self { name, ..Self::unknown(pid) });
        };
        let known = Self {
            name: some(Some(&image.name), Part::ParentName),
            executable: some(image.executable.as_deref(), Part::ParentExecutable),
            entity_id: some(Some(&image.entity_id), Part::ParentEntityId),
            start: Some(Instant(image.start)),
            ..Self::unknown(image.key.pid)
        };
        let Some(command_line) = image.command_line.as_deref() else { return Some(known) };
        Some(Self {
            command_line: Some(cuts.text(command_line, limits.arguments, Part::ParentCommandLine)),
            args_count: Some(image.args.len()),
            args: Some(arguments(&image.args, limits.arguments, Part::ParentArgs, cuts)),
            ..known
        })
    }

    fn unknown(pid: u32) -> Self {
        Self {
            pid,
            name: None,
            executable: None,
            entity_id: None,
            start: None,
            command_line: None,
            args_count: None,
            args: None,
        }
    }
}

impl<'a> Named<'a> {
    /// The user of the thread that asked; its name is known when it is that of the image.
    pub(super) fn asker(
        image: Option<&'a process::Process>,
        task: Option<&'a Task>,
        limits: Limits,
        cuts: &mut Cuts,
    ) -> Option<Self> {
        let id = task.map(|task| task.uid).or(image.map(|image| image.uid))?;
        let name = image.filter(|image| image.uid == id).and_then(|image| image.user_name.as_deref());
        Some(Self { id: Id(id), name: name.map(|name| cuts.text(name, limits.text, Part::UserName)) })
    }
}

impl<'a> Container<'a> {
    pub(super) fn new(container: &'a process::Container, limits: Limits, cuts: &mut Cuts) -> Self {
        Self { id: cuts.text(&container.id, limits.text, Part::ContainerId), runtime: container.runtime }
    }
}

/// The first arguments that take no more than `limit` together, each with its quotes and comma.
fn arguments<'a>(all: &'a [String], limit: usize, part: Part, cuts: &mut Cuts) -> &'a [String] {
    const PUNCTUATION: usize = 3;
    let mut left = limit;
    for (position, argument) in all.iter().enumerate() {
        let length = text::escaped_length(argument, left).map(|length| length + PUNCTUATION);
        match length.and_then(|length| left.checked_sub(length)) {
            Some(rest) => left = rest,
            None => return cuts.elements(all, position, part),
        }
    }
    all
}

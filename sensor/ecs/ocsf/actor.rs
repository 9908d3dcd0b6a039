//! `actor` of an OCSF event: the process that asked, the image it runs, and its user.

use serde::Serialize;

use super::milliseconds;
use crate::ecs::process::{Container, Named, Parent, Process};
use crate::ecs::text::Id;

#[derive(Debug, Serialize)]
pub(super) struct Actor<'a> {
    process: Actant<'a>,
    /// Of the thread that asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<User<'a>>,
}

/// `process` of an actor.
#[derive(Debug, Serialize)]
struct Actant<'a> {
    pid: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    uid: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<File<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tid: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    namespace_pid: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    created_time: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<User<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    container: Option<Cell<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parent_process: Option<Ancestor<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cmd_line: Option<&'a str>,
}

#[derive(Debug, Serialize)]
struct Ancestor<'a> {
    pid: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    uid: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<File<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    created_time: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cmd_line: Option<&'a str>,
}

#[derive(Debug, Serialize)]
struct File<'a> {
    name: &'a str,
    path: &'a str,
    /// Regular File
    type_id: u8,
}

#[derive(Debug, Serialize)]
struct User<'a> {
    uid: Id,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
}

/// A container.
#[derive(Debug, Serialize)]
struct Cell<'a> {
    uid: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    runtime: Option<&'static str>,
}

impl<'a> Actor<'a> {
    pub(super) fn new(
        process: Option<&'a Process<'a>>,
        container: Option<&'a Container<'a>>,
        user: Option<Named<'a>>,
    ) -> Option<Self> {
        Some(Self { process: Actant::new(process?, container), user: user.map(User::new) })
    }
}

impl<'a> Actant<'a> {
    fn new(process: &'a Process<'a>, container: Option<&'a Container<'a>>) -> Self {
        Self {
            pid: process.pid,
            name: process.name,
            uid: process.entity_id,
            file: process.executable.map(File::new),
            tid: process.thread.as_ref().map(|thread| thread.id),
            namespace_pid: process.vpid.filter(|_| container.is_some()),
            created_time: process.start.map(milliseconds),
            user: process.user.map(User::new),
            container: container.map(|container| Cell { uid: container.id, runtime: container.runtime }),
            parent_process: process.parent.as_ref().map(Ancestor::new),
            cmd_line: process.command_line,
        }
    }
}

impl<'a> Ancestor<'a> {
    fn new(parent: &'a Parent<'a>) -> Self {
        Self {
            pid: parent.pid,
            name: parent.name,
            uid: parent.entity_id,
            file: parent.executable.map(File::new),
            created_time: parent.start.map(milliseconds),
            cmd_line: parent.command_line,
        }
    }
}

impl<'a> File<'a> {
    fn new(path: &'a str) -> Self {
        Self { name: path.rsplit('/').next().unwrap_or(path), path, type_id: 1 }
    }
}

impl<'a> User<'a> {
    fn new(user: Named<'a>) -> Self {
        Self { uid: user.id, name: user.name }
    }
}

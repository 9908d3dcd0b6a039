//! `actor` of an OCSF event: the process that asked, the image it runs, and its user.

use serde::Serialize;

use super::milliseconds;
use crate::ecs::process::{Container, Image, Named, Process};
use crate::ecs::text::Id;

#[derive(Debug, Serialize)]
pub(super) struct Actor<'a> {
    process: Actant<'a, Actant<'a, Nobody>>,
    /// Of the thread that asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<User<'a>>,
}

/// `process` of an actor, and its `parent_process`, of which less is known and which has none of its own.
#[derive(Debug, Serialize)]
struct Actant<'a, P> {
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
    parent_process: Option<P>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cmd_line: Option<&'a str>,
}

/// The parent of a parent.
#[derive(Debug, Serialize)]
enum Nobody {}

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
        let process = process?;
        let actant = Actant {
            tid: process.thread.as_ref().map(|thread| thread.id),
            container: container.map(|container| Cell { uid: container.id, runtime: container.runtime }),
            ..Actant::new(&process.image(), process.parent().map(|parent| Actant::new(&parent, None)))
        };
        // The number is that inside of the container.
        let namespace_pid = actant.namespace_pid.filter(|_| container.is_some());
        Some(Self { process: Actant { namespace_pid, ..actant }, user: user.map(User::new) })
    }
}

impl<'a, P> Actant<'a, P> {
    fn new(image: &Image<'a>, parent_process: Option<P>) -> Self {
        Self {
            pid: image.pid,
            name: image.name,
            uid: image.entity_id,
            file: image.executable.map(File::new),
            tid: None,
            namespace_pid: image.vpid,
            created_time: image.start.map(milliseconds),
            user: image.user.map(User::new),
            container: None,
            parent_process,
            cmd_line: image.command_line,
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

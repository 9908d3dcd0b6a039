//! `process.*`, `user.*` and `container.*`: the actor. A field that is not known is absent. Identity stands
//! before arguments, which may be long.

use crate::event::Task;
use crate::json::{Json, escaped_length, key};
use crate::process::{Actor, File, Process};
use crate::schema::{Limits, Line, Schema};

/// `process`, `user` and `container` of an actor.
pub fn actor(line: &mut Line<'_>, actor: &Actor) {
    let Some(pid) = actor.pid() else { return };
    let task = actor.task.as_ref();
    let process = line.json.begin(key!("process"));
    if let Some(image) = &actor.process {
        line.image(Schema::Ecs, image, identity, |json| thread(json, task), circumstances);
    } else {
        line.json.number(key!("pid"), pid);
        thread(&mut line.json, task);
    }
    line.json.end(process);
    user(line, actor);
    if let Some(container) = actor.process.as_ref().and_then(|image| image.container.as_ref()) {
        line.json.object(key!("container"), |json| {
            json.cut(key!("id"), &*container.id, line.limits.text, "container.id");
            json.text(key!("runtime"), container.runtime);
        });
    }
}

/// The fields of an image that stand before its thread.
fn identity(json: &mut Json<'_>, image: &Process, limits: Limits) {
    json.number(key!("pid"), image.key.pid);
    json.cut(key!("name"), &*image.name, limits.text, "process.name");
    json.cut(key!("executable"), image.executable.as_deref(), limits.text, "process.executable");
    json.cut(key!("entity_id"), &*image.entity_id, limits.text, "process.entity_id");
    json.object(key!("user"), |json| {
        json.keyword(key!("id"), image.uid);
        json.cut(key!("name"), image.user_name.as_deref(), limits.text, USER_NAME);
    });
    json.object(key!("group"), |json| {
        json.keyword(key!("id"), image.gid);
        json.cut(key!("name"), image.group_name.as_deref(), limits.text, "process.group.name");
    });
}

fn thread(json: &mut Json<'_>, task: Option<&Task>) {
    let Some(task) = task else { return };
    json.object(key!("thread"), |json| {
        json.number(key!("id"), task.tid);
        // The kernel pads the name with NUL.
        json.lossy(key!("name"), task.name.split(|byte| *byte == 0).next().unwrap_or_default());
    });
}

/// The fields of an image that stand behind its thread.
fn circumstances(json: &mut Json<'_>, image: &Process, limits: Limits) {
    if let Some(pid) = image.namespace_pid {
        json.number(key!("vpid"), pid);
    }
    json.instant(key!("start"), image.start());
    json.cut(key!("working_directory"), image.working_directory.as_deref(), limits.text, "process.working_directory");
    parent(json, image, limits);
    arguments(json, image, limits, ["process.command_line", "process.args"]);
}

fn parent(json: &mut Json<'_>, child: &Process, limits: Limits) {
    json.object(key!("parent"), |json| match (child.parent.as_deref(), child.parent_key) {
        (Some(image), _) => {
            json.number(key!("pid"), image.key.pid);
            json.cut(key!("name"), &*image.name, limits.text, "process.parent.name");
            json.cut(key!("executable"), image.executable.as_deref(), limits.text, "process.parent.executable");
            json.cut(key!("entity_id"), &*image.entity_id, limits.text, "process.parent.entity_id");
            json.instant(key!("start"), image.start());
            arguments(json, image, limits, ["process.parent.command_line", "process.parent.args"]);
        }
        (None, Some(key)) => {
            json.number(key!("pid"), key.pid);
            json.cut(key!("name"), child.parent_name.as_deref(), limits.text, "process.parent.name");
        }
        (None, None) => {}
    });
}

/// `command_line`, `args_count` and the first `args` that take no more than the limit together, each with its
/// quotes and comma.
fn arguments(json: &mut Json<'_>, image: &Process, limits: Limits, [line, list]: [&'static str; 2]) {
    const PUNCTUATION: usize = 3;
    let Some(all) = image.arguments.as_deref() else { return };
    json.cut(key!("command_line"), all.command_line(), limits.arguments, line);
    json.count(key!("args_count"), all.count());
    json.list(key!("args"), |args| {
        let mut left = limits.arguments;
        for argument in all.each() {
            let length = escaped_length(argument, left).map(|length| length + PUNCTUATION);
            let Some(rest) = length.and_then(|length| left.checked_sub(length)) else {
                args.cuts().add(list);
                return;
            };
            left = rest;
            args.text(argument);
        }
        if all.listed() < all.count() {
            args.cuts().add(list);
        }
    });
}

/// `user`
fn user(line: &mut Line<'_>, actor: &Actor) {
    let Some(User { id, name }) = User::of(actor) else { return };
    let limit = line.limits.text;
    line.json.object(key!("user"), |json| {
        json.keyword(key!("id"), id);
        json.cut(key!("name"), name, limit, USER_NAME);
    });
}

/// The user of an actor's thread, else of its image.
#[derive(Debug, Clone, Copy)]
pub struct User<'a> {
    pub id: u32,
    /// Known where the user is that of the image.
    pub name: Option<&'a str>,
}

pub(in crate::schema) const USER_NAME: &str = "process.user.name";

impl<'a> User<'a> {
    #[must_use]
    pub fn of(actor: &'a Actor) -> Option<Self> {
        let image = actor.process.as_deref();
        let id = actor.task.as_ref().map(|task| task.uid).or(image.map(|image| image.uid))?;
        let name = image.filter(|image| image.uid == id).and_then(|image| image.user_name.as_deref());
        Some(Self { id, name })
    }
}

/// `dnstrail.process`: facts about the process that ECS has no field for.
pub fn own_process(json: &mut Json<'_>, actor: &Actor, several_writers: bool) {
    let Some(image) = actor.process.as_deref() else { return };
    json.object(key!("process"), |json| {
        if image.executable_deleted {
            json.flag(key!("executable_deleted"), true);
        }
        if let Some(File { device: (major, minor), inode }) = image.executable_file {
            json.number(key!("executable_inode"), inode);
            json.shown(key!("executable_device"), format_args!("{major}:{minor}"));
        }
        if image.foreign_mounts {
            json.flag(key!("foreign_mounts"), true);
            json.number(key!("mount_namespace"), image.mount_namespace);
        }
        if image.path_cut {
            json.flag(key!("path_cut"), true);
        }
        if several_writers {
            json.flag(key!("several_writers"), true);
        }
        if image.args_cut() > 0 {
            json.number(key!("args_cut"), image.args_cut());
        }
    });
}

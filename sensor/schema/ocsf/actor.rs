//! `actor`: the process, the image that it runs, and its user.

use crate::json::{Json, key};
use crate::process::{Actor, Process};
use crate::schema::ecs::{USER_NAME, User};
use crate::schema::ocsf::milliseconds;
use crate::schema::{Limits, Line, Schema};

/// `actor`
pub fn actor(line: &mut Line<'_>, actor: &Actor) {
    let Some(pid) = actor.pid() else { return };
    let limits = line.limits;
    let thread = |json: &mut Json<'_>| {
        if let Some(task) = &actor.task {
            json.number(key!("tid"), task.tid);
        }
    };
    let object = line.json.begin(key!("actor"));
    let process = line.json.begin(key!("process"));
    if let Some(image) = &actor.process {
        line.image(Schema::Ocsf, image, identity, thread, circumstances);
    } else {
        line.json.number(key!("pid"), pid);
        thread(&mut line.json);
    }
    line.json.end(process);
    if let Some(User { id, name }) = User::of(actor) {
        user(&mut line.json, id, name, limits, USER_NAME);
    }
    line.json.end(object);
}

fn identity(json: &mut Json<'_>, image: &Process, limits: Limits) {
    process(json, image, limits, ["process.name", "process.entity_id", "process.executable"]);
}

fn process(json: &mut Json<'_>, image: &Process, limits: Limits, [name, entity_id, executable]: [&'static str; 3]) {
    json.number(key!("pid"), image.key.pid);
    json.cut(key!("name"), &*image.name, limits.text, name);
    json.cut(key!("uid"), &*image.entity_id, limits.text, entity_id);
    let Some(path) = image.executable.as_deref() else { return };
    let path = json.cuts().text(path, limits.text, executable);
    json.object(key!("file"), |json| {
        json.text(key!("name"), path.rsplit('/').next());
        json.text(key!("path"), path);
        // Regular File
        json.number(key!("type_id"), 1_u8);
    });
}

fn circumstances(json: &mut Json<'_>, image: &Process, limits: Limits) {
    if let (Some(pid), Some(_)) = (image.namespace_pid, &image.container) {
        // The number is that inside of the container.
        json.number(key!("namespace_pid"), pid);
    }
    json.number(key!("created_time"), milliseconds(image.start()));
    user(json, image.uid, image.user_name.as_deref(), limits, USER_NAME);
    if let Some(container) = &image.container {
        json.object(key!("container"), |json| {
            json.cut(key!("uid"), &*container.id, limits.text, "container.id");
            json.text(key!("runtime"), container.runtime);
        });
    }
    parent(json, image, limits);
    json.cut(key!("cmd_line"), image.command_line(), limits.arguments, "process.command_line");
}

fn parent(json: &mut Json<'_>, child: &Process, limits: Limits) {
    let name = "process.parent.name";
    json.object(key!("parent_process"), |json| match (child.parent.as_deref(), child.parent_key) {
        (Some(image), _) => {
            process(json, image, limits, [name, "process.parent.entity_id", "process.parent.executable"]);
            json.number(key!("created_time"), milliseconds(image.start()));
            json.cut(key!("cmd_line"), image.command_line(), limits.arguments, "process.parent.command_line");
        }
        (None, Some(key)) => {
            json.number(key!("pid"), key.pid);
            json.cut(key!("name"), child.parent_name.as_deref(), limits.text, name);
        }
        (None, None) => {}
    });
}

fn user(json: &mut Json<'_>, id: u32, name: Option<&str>, limits: Limits, field: &'static str) {
    json.object(key!("user"), |json| {
        json.keyword(key!("uid"), id);
        json.cut(key!("name"), name, limits.text, field);
    });
}

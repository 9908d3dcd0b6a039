//! Splunk's Common Information Model (CIM 5 and 6; `splunk/pytest-splunk-addon` holds the values that it
//! expects): the parts that all kinds of documents share. Names are flat and CIM's own; the process has those
//! of the model Endpoint.Processes, an alert those of Intrusion Detection. A fact that CIM has no field
//! for stands under `dnstrail`, as in ECS.

use std::time::Duration;

use super::agent::short;
use super::ecs::{self, ENRICHMENTS, USER_NAME, User};
use super::{Agent, Event, Limits, Line, Schema};
use crate::alert::Match;
use crate::host::Host;
use crate::json::{Json, Key, key};
use crate::process::{Actor, Process};

/// The first fields of every line.
pub fn begin(line: &mut Line<'_>, event: &Event<'_>) {
    line.json.instant(key!("timestamp"), line.time);
    line.json.number(key!("sequence"), line.sequence);
    line.json.literal(key!("event_kind"), event.kind.name());
    line.json.literal(key!("event_action"), event.action);
    line.json.literal(key!("vendor_product"), ecs::MODULE);
}

/// The list that matches first.
pub fn signature(json: &mut Json<'_>, matches: &[Match], limits: Limits) {
    let Some(Match { hit, .. }) = matches.first() else { return };
    json.cut(key!("signature"), hit.list.name.as_str(), limits.text, "rule");
    json.cut(key!("signature_id"), hit.list.id.as_str(), limits.text, "rule");
    json.cut(key!("category"), hit.list.category.as_deref(), limits.text, "rule");
}

/// The level of an `event.severity`, and the number itself.
pub fn severity(json: &mut Json<'_>, severity: Option<u8>) {
    let Some(severity) = severity else { return };
    json.literal(key!("severity"), severity_name(severity));
    json.number(key!("severity_id"), severity);
}

/// Splunk's level of an `event.severity` from 0 to 100, with the bounds of OCSF's.
#[must_use]
pub fn severity_name(severity: u8) -> &'static str {
    match severity {
        ..34 => "low",
        34..60 => "medium",
        60..86 => "high",
        86.. => "critical",
    }
}

/// The process, its user, container and parent.
pub fn actor(line: &mut Line<'_>, actor: &Actor) {
    let limits = line.limits;
    if let Some(image) = &actor.process {
        line.image(
            Schema::SplunkCim,
            image,
            |json, image, limits| {
                identity(json, image, limits);
                let directory = image.working_directory.as_deref();
                json.cut(key!("process_current_directory"), directory, limits.text, "process.working_directory");
            },
            |json| user(json, actor, limits),
            |json, image, limits| {
                container(json, image, limits);
                ancestry(json, image, limits);
            },
        );
    } else {
        if let Some(pid) = actor.pid() {
            line.json.number(key!("process_id"), pid);
        }
        user(&mut line.json, actor, limits);
    }
}

/// The process, its user and container, without the fields that only a sighting has.
pub fn actor_in_short(json: &mut Json<'_>, actor: &Actor, limits: Limits) {
    if let Some(image) = &actor.process {
        identity(json, image, limits);
        user(json, actor, limits);
        container(json, image, limits);
        return;
    }
    if let Some(pid) = actor.pid() {
        json.number(key!("process_id"), pid);
    }
    user(json, actor, limits);
}

fn identity(json: &mut Json<'_>, image: &Process, limits: Limits) {
    json.number(key!("process_id"), image.key.pid);
    json.cut(key!("process_name"), &*image.name, limits.text, "process.name");
    json.cut(key!("process_path"), image.executable.as_deref(), limits.text, "process.executable");
    json.cut(key!("process_guid"), &*image.entity_id, limits.text, "process.entity_id");
}

fn user(json: &mut Json<'_>, actor: &Actor, limits: Limits) {
    let Some(User { id, name }) = User::of(actor) else { return };
    json.cut(key!("user"), name, limits.text, USER_NAME);
    json.keyword(key!("user_id"), id);
}

fn container(json: &mut Json<'_>, image: &Process, limits: Limits) {
    if let Some(container) = &image.container {
        json.cut(key!("container_id"), &*container.id, limits.text, "container.id");
    }
}

fn ancestry(json: &mut Json<'_>, image: &Process, limits: Limits) {
    let parent = image.parent.as_deref();
    if let Some(parent) = parent {
        json.number(key!("parent_process_id"), parent.key.pid);
        json.cut(key!("parent_process_name"), &*parent.name, limits.text, "process.parent.name");
        json.cut(key!("parent_process_path"), parent.executable.as_deref(), limits.text, "process.parent.executable");
        json.cut(key!("parent_process_guid"), &*parent.entity_id, limits.text, "process.parent.entity_id");
    } else if let Some(key) = image.parent_key {
        json.number(key!("parent_process_id"), key.pid);
        json.cut(key!("parent_process_name"), image.parent_name.as_deref(), limits.text, "process.parent.name");
    }
    json.cut(key!("process"), image.command_line(), limits.arguments, "process.command_line");
    let command_line = parent.and_then(|parent| parent.command_line());
    json.cut(key!("parent_process"), command_line, limits.arguments, "process.parent.command_line");
}

/// The entries that match.
pub fn indication(json: &mut Json<'_>, matches: &[Match], limits: Limits) {
    let Some(first) = matches.first() else { return };
    json.literal(key!("threat_match_field"), first.field.ecs);
    json.cut(key!("threat_match_value"), first.atomic.as_str(), limits.text, ENRICHMENTS);
    let shown = ecs::shown(json.cuts(), matches, limits);
    json.list(key!("threat_indicators"), |list| {
        for matched in shown {
            list.cut(&matched.hit.indicator, limits.text, ENRICHMENTS);
        }
    });
}

/// Seconds, of nanoseconds.
pub fn seconds(json: &mut Json<'_>, name: Key, nanoseconds: u64) {
    json.fraction(name, Duration::from_nanos(nanoseconds).as_secs_f64());
}

/// The last fields of every line.
pub(super) fn tail(json: &mut Json<'_>, host: &Host, agent: &Agent) {
    json.text(key!("dvc"), short(host.hostname.as_str()));
    json.text(key!("dvc_id"), short(host.id.as_deref()));
    json.text(key!("dvc_os"), short(host.os.full.as_deref().or(host.os.name.as_deref())));
    json.text(key!("sensor_id"), agent.id.as_str());
    json.text(key!("sensor_version"), agent.version);
}

//! A document as Splunk's Common Information Model has it (CIM 5 and 6; `splunk/pytest-splunk-addon`
//! holds the values that it expects): a lookup by its model Network Resolution, a connection by
//! Network Traffic. Names are flat and CIM's own; the process has those of the model
//! Endpoint.Processes, an alert those of Intrusion Detection. What CIM has no field for stands under
//! `dnstrail`, as in ECS. A report on the sensor itself has no model: its own fields, and the same
//! `dnstrail`.
#![allow(clippy::struct_field_names, reason = "CIM's own names")]

mod resolution;
mod traffic;

use std::time::Duration;

pub(super) use resolution::Resolution;
use serde::{Serialize, Serializer};
pub(super) use traffic::Traffic;

use super::event::{self, Event, Kind};
use super::host::{Agent, optional, short};
use super::process::{Container, Image, Named, Process};
use super::report::{self, Statement};
use super::text::{Id, Keyword};
use super::threat::{Enrichments, Rule, Threat};
use super::time::Instant;
use crate::host::Host;

const VENDOR_PRODUCT: &str = "dnstrail";

/// What every line begins with.
#[derive(Debug, Serialize)]
struct Header {
    timestamp: Instant,
    sequence: u64,
    event_kind: Kind,
    event_action: &'static str,
    vendor_product: &'static str,
}

impl Header {
    fn new(timestamp: Instant, event: &Event) -> Self {
        Self {
            timestamp,
            sequence: event.sequence,
            event_kind: event.kind,
            event_action: event.action,
            vendor_product: VENDOR_PRODUCT,
        }
    }
}

/// Of the list that matched first.
#[derive(Debug, Default, Serialize)]
struct Signature<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    signature: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    signature_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    category: Option<&'a str>,
}

impl<'a> Signature<'a> {
    fn new(rule: &Rule<'a>) -> Self {
        Self { signature: Some(rule.name), signature_id: Some(rule.id), category: rule.category }
    }
}

#[derive(Debug, Serialize)]
struct Severity {
    #[serde(skip_serializing_if = "Option::is_none")]
    severity: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    severity_id: Option<u8>,
}

impl Severity {
    fn of(event: &Event) -> Self {
        Self { severity: event.severity.map(severity_name), severity_id: event.severity }
    }
}

/// The process and its user.
#[derive(Debug, Default, Serialize)]
struct Asker<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    process_id: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    process_name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    process_path: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    process_guid: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    process_current_directory: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_id: Option<Id>,
    #[serde(skip_serializing_if = "Option::is_none")]
    container_id: Option<&'a str>,
}

impl<'a> Asker<'a> {
    fn new(image: Option<&Image<'a>>, user: Option<Named<'a>>, container: Option<&Container<'a>>) -> Self {
        Self {
            process_id: image.map(|image| image.pid),
            process_name: image.and_then(|image| image.name),
            process_path: image.and_then(|image| image.executable),
            process_guid: image.and_then(|image| image.entity_id),
            process_current_directory: image.and_then(|image| image.working_directory),
            user: user.and_then(|user| user.name),
            user_id: user.map(|user| user.id),
            container_id: container.map(|container| container.id),
        }
    }
}

/// Of the entries that matched.
#[derive(Debug, Default, Serialize)]
struct Indication<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    threat_match_field: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    threat_match_value: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    threat_indicators: Option<Indicators<'a>>,
}

impl<'a> Indication<'a> {
    fn new(threat: Option<&'a Threat<'a>>) -> Self {
        let first = threat.and_then(|threat| threat.enrichments.first());
        Self {
            threat_match_field: first.as_ref().map(|first| first.matched.field.ecs),
            threat_match_value: first.map(|first| first.matched.atomic),
            threat_indicators: threat.map(|threat| Indicators(&threat.enrichments)),
        }
    }
}

#[derive(Debug, Serialize)]
struct Ancestry<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    parent_process_id: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parent_process_name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parent_process_path: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parent_process_guid: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    process: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    parent_process: Option<&'a str>,
}

impl<'a> Ancestry<'a> {
    fn new(image: Option<&Image<'a>>, parent: Option<&Image<'a>>) -> Self {
        Self {
            parent_process_id: parent.map(|parent| parent.pid),
            parent_process_name: parent.and_then(|parent| parent.name),
            parent_process_path: parent.and_then(|parent| parent.executable),
            parent_process_guid: parent.and_then(|parent| parent.entity_id),
            process: image.and_then(|image| image.command_line),
            parent_process: parent.and_then(|parent| parent.command_line),
        }
    }
}

#[derive(Debug, Serialize)]
struct Unmodelled<T> {
    dnstrail: T,
}

/// The sensor on itself, and a summary of repeats in the words of the alert itself.
#[derive(Debug, Serialize)]
pub(super) struct Status<'a>(
    Header,
    Signature<'a>,
    Severity,
    Asker<'a>,
    Indication<'a>,
    Statements<'a>,
    Unmodelled<&'a report::Own<'a>>,
);

#[derive(Debug, Serialize)]
struct Statements<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    message: &'a Keyword<report::Sentence<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    duration: Option<Seconds>,
}

impl<'a> Status<'a> {
    pub(super) fn new(statement: &'a Statement<'a>) -> Self {
        let Statement { time, event, alert, message, error, dnstrail } = statement;
        let failed = matches!(event.r#type, [event::Type::Error]) || event.outcome == Some(event::Outcome::Failure);
        let severity = match event.severity {
            Some(severity) => severity_name(severity),
            None if failed => "high",
            None => "informational",
        };
        let alert = alert.as_ref();
        let image = alert.and_then(|alert| alert.process.as_ref()).map(Process::image);
        let user = alert.and_then(|alert| alert.user);
        let container = alert.and_then(|alert| alert.container.as_ref());
        Self(
            Header::new(*time, event),
            alert.map(|alert| Signature::new(&alert.rule)).unwrap_or_default(),
            Severity { severity: Some(severity), severity_id: event.severity.filter(|_| alert.is_some()) },
            Asker { process_current_directory: None, ..Asker::new(image.as_ref(), user, container) },
            Indication::new(alert.and_then(|alert| alert.threat.as_ref())),
            Statements {
                reason: event.reason,
                message,
                error: error.as_ref().map(|error| error.message),
                duration: event.duration.map(Seconds),
            },
            Unmodelled { dnstrail },
        )
    }
}

/// What is left of a document that no cut makes short enough.
#[derive(Debug, Serialize)]
pub(super) struct Remnant(Header);

impl Remnant {
    pub(super) fn new(time: Instant, event: &Event) -> Self {
        Self(Header::new(time, event))
    }
}

/// The same in every line.
#[derive(Debug, Serialize)]
pub(super) struct Tail<'a> {
    dvc: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    dvc_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dvc_os: Option<&'a str>,
    sensor_id: &'a str,
    sensor_version: &'a str,
}

impl<'a> Tail<'a> {
    pub(super) fn new(host: &'a Host, agent: &'a Agent) -> Self {
        Self {
            dvc: short(&host.hostname),
            dvc_id: optional(host.id.as_deref()),
            dvc_os: optional(host.os.full.as_deref()).or(optional(host.os.name.as_deref())),
            sensor_id: &agent.id,
            sensor_version: agent.version,
        }
    }
}

/// Splunk's level of an `event.severity` from 0 to 100, with the bounds of OCSF's.
fn severity_name(severity: u8) -> &'static str {
    match severity {
        ..34 => "low",
        34..60 => "medium",
        60..86 => "high",
        86.. => "critical",
    }
}

/// Held as nanoseconds.
#[derive(Debug, Clone, Copy)]
struct Seconds(u64);

impl Serialize for Seconds {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(Duration::from_nanos(self.0).as_secs_f64())
    }
}

#[derive(Debug)]
struct Indicators<'a>(&'a Enrichments<'a>);

impl Serialize for Indicators<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.each().map(|each| each.indicator.name))
    }
}

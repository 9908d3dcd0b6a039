//! A connection as the model Network Traffic has it, with the process of Endpoint.Processes and the
//! labels as in a lookup.

use serde::Serialize;

use super::{Ancestry, Asker, Header, Indication, Seconds, Severity, Signature, Unmodelled};
use crate::ecs::connection::{Flow, Own};
use crate::ecs::process::Process;
use crate::ecs::text::Address;

#[derive(Debug, Serialize)]
pub(in crate::ecs) struct Traffic<'a>(
    Header,
    Passage,
    Signature<'a>,
    Severity,
    Conversation<'a>,
    Asker<'a>,
    Ancestry<'a>,
    Indication<'a>,
    Unmodelled<&'a Own<'a>>,
);

#[derive(Debug, Serialize)]
struct Passage {
    /// Of one that failed the model has no value.
    #[serde(skip_serializing_if = "Option::is_none")]
    action: Option<&'static str>,
}

#[derive(Debug, Serialize)]
struct Conversation<'a> {
    src: Address,
    src_port: u16,
    dest: Address,
    dest_port: u16,
    /// The name that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    dest_name: Option<&'a str>,
    transport: &'static str,
    protocol: &'static str,
    protocol_version: &'static str,
    direction: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    duration: Option<Seconds>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes_in: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes_out: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
}

impl<'a> Traffic<'a> {
    pub(in crate::ecs) fn new(fields: &'a Flow<'a>) -> Self {
        let Flow { event, process, network, source, destination, .. } = fields;
        let action = match event.action {
            "connection-opened" => Some("allowed"),
            "connection-closed" => Some("teardown"),
            _ => None,
        };
        let conversation = Conversation {
            src: source.end.ip,
            src_port: source.end.port,
            dest: destination.end.ip,
            dest_port: destination.end.port,
            dest_name: destination.domain,
            transport: network.transport,
            protocol: "ip",
            protocol_version: network.r#type,
            direction: "outbound",
            duration: event.duration.map(Seconds),
            bytes: network.bytes,
            bytes_in: destination.bytes,
            bytes_out: source.bytes,
            reason: event.reason,
        };
        let image = process.as_ref().map(Process::image);
        let parent = process.as_ref().and_then(Process::parent);
        Self(
            Header::new(fields.time, event),
            Passage { action },
            fields.rule.as_ref().map(Signature::new).unwrap_or_default(),
            Severity::of(event),
            conversation,
            Asker::new(image.as_ref(), fields.user, fields.container.as_ref()),
            Ancestry::new(image.as_ref(), parent.as_ref()),
            Indication::new(fields.threat.as_ref()),
            Unmodelled { dnstrail: &fields.dnstrail },
        )
    }
}

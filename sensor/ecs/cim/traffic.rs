//! A connection as the model Network Traffic has it, with the process of Endpoint.Processes and the
//! labels as in a lookup.

use serde::Serialize;

use super::{Indicators, Seconds, VENDOR_PRODUCT, severity_name};
use crate::ecs::connection::{Flow, Own};
use crate::ecs::event::Kind;
use crate::ecs::text::{Address, Id};
use crate::ecs::time::Instant;

#[derive(Debug, Serialize)]
pub(in crate::ecs) struct Traffic<'a> {
    timestamp: Instant,
    sequence: u64,
    event_kind: Kind,
    event_action: &'static str,
    vendor_product: &'static str,
    /// Of one that failed the model has no value.
    #[serde(skip_serializing_if = "Option::is_none")]
    action: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    signature: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    signature_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    category: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    severity: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    severity_id: Option<u8>,
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
    #[serde(skip_serializing_if = "Option::is_none")]
    threat_match_field: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    threat_match_value: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    threat_indicators: Option<Indicators<'a>>,
    dnstrail: &'a Own<'a>,
}

impl<'a> Traffic<'a> {
    pub(in crate::ecs) fn new(fields: &'a Flow<'a>) -> Self {
        let Flow { event, rule, process, user, network, source, destination, .. } = fields;
        let parent = process.as_ref().and_then(|process| process.parent.as_ref());
        let first = fields.threat.as_ref().and_then(|threat| threat.enrichments.first());
        Self {
            timestamp: fields.time,
            sequence: event.sequence,
            event_kind: event.kind,
            event_action: event.action,
            vendor_product: VENDOR_PRODUCT,
            action: match event.action {
                "connection-opened" => Some("allowed"),
                "connection-closed" => Some("teardown"),
                _ => None,
            },
            signature: rule.as_ref().map(|rule| rule.name),
            signature_id: rule.as_ref().map(|rule| rule.id),
            category: rule.as_ref().and_then(|rule| rule.category),
            severity: event.severity.map(severity_name),
            severity_id: event.severity,
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
            process_id: process.as_ref().map(|process| process.pid),
            process_name: process.as_ref().and_then(|process| process.name),
            process_path: process.as_ref().and_then(|process| process.executable),
            process_guid: process.as_ref().and_then(|process| process.entity_id),
            process_current_directory: process.as_ref().and_then(|process| process.working_directory),
            user: user.and_then(|user| user.name),
            user_id: user.map(|user| user.id),
            container_id: fields.container.as_ref().map(|container| container.id),
            parent_process_id: parent.map(|parent| parent.pid),
            parent_process_name: parent.and_then(|parent| parent.name),
            parent_process_path: parent.and_then(|parent| parent.executable),
            parent_process_guid: parent.and_then(|parent| parent.entity_id),
            process: process.as_ref().and_then(|process| process.command_line),
            parent_process: parent.and_then(|parent| parent.command_line),
            threat_match_field: first.as_ref().map(|first| first.matched.field),
            threat_match_value: first.map(|first| first.matched.atomic),
            threat_indicators: fields.threat.as_ref().map(|threat| Indicators(&threat.enrichments)),
            dnstrail: &fields.dnstrail,
        }
    }
}

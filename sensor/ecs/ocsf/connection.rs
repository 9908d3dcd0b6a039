//! A connection as OCSF has it: Network Activity (class 4001), with the profiles `host`, `osint` and
//! `container`.

use serde::Serialize;

use super::actor::Actor;
use super::{Base, Connection, Indicators, Metadata, OwnEvent, Profiles, milliseconds};
use crate::ecs::connection::{Flow, Own};
use crate::ecs::event::Outcome;
use crate::ecs::text::Address;
use crate::ecs::time::Instant;

#[derive(Debug, Serialize)]
pub(in crate::ecs) struct NetworkActivity<'a>(Base<'a>, Conversation<'a>);

#[derive(Debug, Serialize)]
struct Conversation<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    actor: Option<Actor<'a>>,
    src_endpoint: Endpoint<'a>,
    dst_endpoint: Endpoint<'a>,
    connection_info: Connection,
    #[serde(skip_serializing_if = "Option::is_none")]
    traffic: Option<Traffic>,
    #[serde(skip_serializing_if = "Option::is_none")]
    start_time: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    end_time: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    duration: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    osint: Option<Indicators<'a>>,
    unmapped: Unmapped<'a>,
}

#[derive(Debug, Serialize)]
struct Endpoint<'a> {
    ip: Address,
    port: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    hostname: Option<&'a str>,
}

/// Seen from the source.
#[derive(Debug, Serialize)]
struct Traffic {
    bytes: u64,
    bytes_in: u64,
    bytes_out: u64,
}

#[derive(Debug, Serialize)]
struct Unmapped<'a> {
    event: OwnEvent,
    dnstrail: &'a Own<'a>,
}

impl<'a> NetworkActivity<'a> {
    pub(in crate::ecs) fn new(fields: &'a Flow<'a>) -> Self {
        let Flow { time, event, source, destination, network, .. } = fields;
        let (activity_id, activity_name, type_name) = match event.action {
            "connection-opened" => (1, "Open", "Network Activity: Open"),
            "connection-closed" => (2, "Close", "Network Activity: Close"),
            _ => (4, "Fail", "Network Activity: Fail"),
        };
        let (status_id, status) = if event.outcome == Some(Outcome::Failure) { (2, "Failure") } else { (1, "Success") };
        let osint = fields.threat.as_ref().map(|threat| Indicators(&threat.enrichments));
        let container = fields.container.as_ref();
        let base = Base {
            time: milliseconds(*time),
            class_uid: 4001,
            class_name: "Network Activity",
            category_uid: 4,
            category_name: "Network Activity",
            activity_id,
            activity_name,
            type_uid: 400_100 + activity_id,
            type_name,
            severity_id: 1,
            severity: "Informational",
            status_id,
            status,
            status_detail: event.reason,
            metadata: Metadata::new(
                *time,
                event,
                Profiles { security_control: false, osint: osint.is_some(), container: container.is_some() },
            ),
        };
        let conversation = Conversation {
            actor: Actor::new(fields.process.as_ref(), container, fields.user),
            src_endpoint: Endpoint { ip: source.end.ip, port: source.end.port, hostname: None },
            dst_endpoint: Endpoint { ip: destination.end.ip, port: destination.end.port, hostname: destination.domain },
            connection_info: Connection {
                direction_id: 2,
                direction: "Outbound",
                protocol_name: network.transport,
                protocol_num: 6,
                protocol_ver_id: if network.r#type == "ipv4" { 4 } else { 6 },
            },
            traffic: source.bytes.zip(destination.bytes).map(|(sent, received)| Traffic {
                bytes: sent.saturating_add(received),
                bytes_in: received,
                bytes_out: sent,
            }),
            start_time: event.start.map(milliseconds),
            end_time: event.end.map(milliseconds),
            duration: event.duration.map(|duration| milliseconds(Instant(duration))),
            osint,
            unmapped: Unmapped {
                event: OwnEvent { action: event.action, duration: event.duration },
                dnstrail: &fields.dnstrail,
            },
        };
        Self(base, conversation)
    }
}

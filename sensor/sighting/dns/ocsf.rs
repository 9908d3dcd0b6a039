//! A DNS message as OCSF has it: DNS Activity (class 4003) with the profiles `host` (the actor),
//! `security_control` (alerts), `osint` (entries that match) and `container`.

mod numbers;

use numbers::{flag_id, operation, response_code};

use super::answers::Answers;
use super::sentence::message;
use super::{Document, ecs};
use crate::dns::{Class, Type};
use crate::event::Direction;
use crate::json::{Json, key};
use crate::net::Transport;
use crate::schema::ecs::{Ends, transport_name};
use crate::schema::event::{Event, Outcome};
use crate::schema::ocsf::{self, Activity, Base, Profiles, Severity, Status, milliseconds};
use crate::schema::{self, Limits, Line};

static CLASS: ocsf::Class = ocsf::Class { uid: 4003, name: "DNS Activity", category: "Network Activity" };

const QUERY: Activity = Activity { id: 1, name: "Query", type_name: "DNS Activity: Query" };
const UNKNOWN: Activity = Activity { id: 0, name: "Unknown", type_name: "DNS Activity: Unknown" };
const RESPONSE: Activity = Activity { id: 2, name: "Response", type_name: "DNS Activity: Response" };

pub(super) fn write(document: &Document<'_>, line: &mut Line<'_>) {
    let Document { actor, matches, alert, message: dns, .. } = *document;
    let (limits, event) = (line.limits, document.event(line.time));
    let base = Base {
        class: &CLASS,
        activity: match (document.has_header(), dns.response) {
            (false, _) => UNKNOWN,
            (true, true) => RESPONSE,
            (true, false) => QUERY,
        },
        // Labels that only repeat what the query raised are no alert.
        severity: Severity::of(event.severity.filter(|_| alert)),
        status: match event.outcome {
            Some(Outcome::Success) => Status::Success,
            Some(Outcome::Failure) => Status::Failure,
            Some(Outcome::Unknown) | None => Status::Unknown,
        },
        detail: event.reason.map(|reason| (reason, "event.reason")),
        profiles: Profiles {
            security_control: alert,
            osint: !matches.is_empty(),
            container: actor.process.as_ref().is_some_and(|image| image.container.is_some()),
        },
    };
    ocsf::begin(line, &event, &base);
    let json = &mut line.json;
    if alert {
        json.flag(key!("is_alert"), true);
        json.number(key!("action_id"), 3_u8);
        json.literal(key!("action"), "Observed");
        json.number(key!("disposition_id"), 19_u8);
        json.literal(key!("disposition"), "Alert");
        ocsf::firewall_rule(json, matches, limits);
    }
    query_and_answers(json, document, limits);
    ocsf::actor(line, actor);
    connection(&mut line.json, document);
    times(&mut line.json, document, &event, line.time);
    let json = &mut line.json;
    message(json, document, limits);
    ocsf::osint(json, matches, limits);
    ocsf::unmapped(line, &event, |json| nat(json, document), |json| ecs::own(json, document, limits));
}

fn query_and_answers(json: &mut Json<'_>, document: &Document<'_>, limits: Limits) {
    let message = document.message;
    if let Some(question) = document.question() {
        json.object(key!("query"), |json| {
            json.cut(key!("hostname"), question.name, limits.text, "dns.question.name");
            mnemonic!(json, "type", Type(question.qtype));
            mnemonic!(json, "class", Class(question.class));
            json.number(key!("packet_uid"), message.id);
            json.number(key!("opcode_id"), message.opcode);
            json.literal(key!("opcode"), operation(message.opcode));
        });
    }
    if message.response {
        let (id, caption) = response_code(message.rcode);
        json.number(key!("rcode_id"), id);
        json.literal(key!("rcode"), caption);
    }
    let answers = Answers::new(message, limits.answers);
    if answers.are_cut() {
        json.cuts().add("dns.answers");
    }
    json.list(key!("answers"), |list| {
        for (record, data) in answers.shown() {
            list.object(|json| {
                mnemonic!(json, "type", Type(record.rtype));
                mnemonic!(json, "class", Class(record.class));
                json.number(key!("ttl"), record.ttl);
                json.number(key!("packet_uid"), message.id);
                // 1.x has the flags of the header at each answer.
                json.list(key!("flag_ids"), |list| message.header_flags().for_each(|flag| list.number(flag_id(flag))));
                json.text(key!("rdata"), data);
            });
        }
    });
}

fn connection(json: &mut Json<'_>, document: &Document<'_>) {
    let ends = Ends::new(document.source, document.destination, document.source_is_client);
    let (client, server) = ends.client_and_server();
    json.object(key!("src_endpoint"), |json| json.ip_and_port(client));
    json.object(key!("dst_endpoint"), |json| json.ip_and_port(server));
    // The direction is that of the conversation, not that of the packet.
    let (id, caption) = match (document.direction, document.source_is_client) {
        (None, _) => (0_u8, "Unknown"),
        (Some(Direction::Egress), true) | (Some(Direction::Ingress), false) => (2, "Outbound"),
        (Some(Direction::Ingress), true) | (Some(Direction::Egress), false) => (1, "Inbound"),
    };
    json.object(key!("connection_info"), |json| {
        json.number(key!("direction_id"), id);
        json.literal(key!("direction"), caption);
        json.literal(key!("protocol_name"), transport_name(document.transport));
        json.number(key!("protocol_num"), protocol_number(document.transport));
        json.number(key!("protocol_ver_id"), if document.source.is_ipv4() { 4_u8 } else { 6 });
    });
    json.object(key!("traffic"), |json| json.count(key!("bytes"), document.message_bytes));
}

fn protocol_number(transport: Transport) -> u8 {
    match transport {
        Transport::Tcp => 6,
        Transport::Udp => 17,
        Transport::UdpLite => 136,
    }
}

/// The addresses behind NAT, for which an endpoint has no attribute.
fn nat(json: &mut Json<'_>, document: &Document<'_>) {
    let [source, destination] = document.translated();
    json.object(key!("source"), |json| schema::ecs::nat(json, source));
    json.object(key!("destination"), |json| schema::ecs::nat(json, destination));
}

fn times(json: &mut Json<'_>, document: &Document<'_>, event: &Event<'_>, time: u64) {
    let mut instant = |name, time: Option<u64>| {
        if let Some(time) = time {
            json.number(name, milliseconds(time));
        }
    };
    let response = document.message.response;
    let is_query = document.has_header() && !response;
    instant(key!("query_time"), event.start.or(is_query.then_some(time)));
    instant(key!("response_time"), response.then_some(time));
    instant(key!("start_time"), event.start);
    instant(key!("end_time"), event.end);
    instant(key!("duration"), event.duration);
}

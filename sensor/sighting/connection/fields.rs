//! The fields and actions of connections.

use crate::field::Holds::{Address, Instant, Name};
use crate::field::{Action, Field, Fields, Holds, field, own};
use crate::schema::ecs::fields::{ACTOR, NETWORK, OWN_ACTOR, THREAT};

pub static DESTINATION_IP: Field = field("destination.ip", Address, "dest", "dst_endpoint.ip", "");

pub const FIELDS: Fields = &[
    field(
        "source.bytes",
        Holds::COUNT,
        "bytes_out",
        "traffic.bytes_out",
        "Payload that this end sent, without retransmissions",
    ),
    field(
        "destination.domain",
        Name,
        "dest_name",
        "dst_endpoint.hostname",
        "The name that last resolved to this address",
    )
    .always(),
    field(
        "destination.bytes",
        Holds::COUNT,
        "bytes_in",
        "traffic.bytes_in",
        "Payload that this end sent, as far as it was received",
    ),
    own("dnstrail.connection.resolved", Instant, "When the name last resolved to this address").always(),
];

const CONNECTION: Action = Action {
    name: "",
    meaning: "",
    kinds: &["event"],
    dataset: "dnstrail.connection",
    tables: &[FIELDS, ACTOR, OWN_ACTOR, NETWORK, THREAT],
    always: &[ALWAYS],
    never: &[],
    values: &[],
    lists: &[],
};

/// Only connections that this host opens are followed.
const OUT: (&str, &[&str]) = ("network.direction", &["egress"]);
const TCP: (&str, &[&str]) = ("network.transport", &["tcp"]);

const ALWAYS: &[&str] = &[
    "client",
    "server",
    "source",
    "destination",
    "network",
    "rule",
    "threat",
    "related",
    "dnstrail.connection",
    "dnstrail.matches",
    "event.category",
    "event.outcome",
    "event.start",
    "network.direction",
];

const BYTES: &[&str] = &["source.bytes", "destination.bytes", "network.bytes"];

pub const ACTIONS: &[Action] = &[
    Action {
        name: "connection-opened",
        meaning: "a TCP connection to an address that a listed name resolved to: `destination.domain` is that name, `dnstrail.connection.resolved` the last time that it did",
        never: &["event.duration", "event.end", "event.reason", BYTES[0], BYTES[1], BYTES[2]],
        values: &[OUT, TCP, ("event.outcome", &["success"])],
        lists: &[("event.type", &[&["connection", "start"]])],
        ..CONNECTION
    },
    Action {
        name: "connection-failed",
        meaning: "such a connection was never open; `event.reason` says why, where the network said so",
        always: &[ALWAYS, &["event.duration", "event.end"]],
        never: BYTES,
        values: &[OUT, TCP, ("event.outcome", &["failure"])],
        lists: &[("event.type", &[&["connection", "end"]])],
        ..CONNECTION
    },
    Action {
        name: "connection-closed",
        meaning: "such a connection has ended: `event.duration`, `event.start`, and the payload in `source.bytes` and `destination.bytes`",
        always: &[ALWAYS, &["event.duration", "event.end"], BYTES],
        values: &[OUT, TCP, ("event.outcome", &["success"])],
        lists: &[("event.type", &[&["connection", "end"]])],
        ..CONNECTION
    },
];

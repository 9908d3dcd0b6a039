//! A connection as the model Network Traffic has it.

use super::Document;
use super::ecs::{self, DOMAIN};
use crate::event::Stage;
use crate::json::{Address, Json, key};
use crate::net::Transport;
use crate::schema::ecs::{own, transport_name};
use crate::schema::{Event, Limits, Line, cim};

pub(super) fn write(document: &Document<'_>, line: &mut Line<'_>) {
    let Document { event: seen, actor, matches, .. } = *document;
    let (limits, event) = (line.limits, document.event(line.time));
    cim::begin(line, &event);
    let json = &mut line.json;
    match seen.stage {
        Stage::Opened => json.literal(key!("action"), "allowed"),
        Stage::Closed => json.literal(key!("action"), "teardown"),
        // The model has no value for a connection that failed.
        Stage::Failed => {}
    }
    cim::signature(json, matches, limits);
    cim::severity(json, event.severity);
    conversation(json, document, &event, limits);
    cim::actor(line, actor);
    let json = &mut line.json;
    cim::indication(json, matches, limits);
    own(json, |json| ecs::own(json, document, limits));
}

fn conversation(json: &mut Json<'_>, document: &Document<'_>, event: &Event<'_>, limits: Limits) {
    let seen = document.event;
    json.address(key!("src"), &Address::new(seen.source.ip()));
    json.number(key!("src_port"), seen.source.port());
    json.address(key!("dest"), &Address::new(seen.destination.ip()));
    json.number(key!("dest_port"), seen.destination.port());
    json.cut(key!("dest_name"), document.name, limits.text, DOMAIN);
    json.literal(key!("transport"), transport_name(Transport::Tcp));
    json.literal(key!("protocol"), "ip");
    json.literal(key!("protocol_version"), if seen.source.is_ipv4() { "ipv4" } else { "ipv6" });
    json.literal(key!("direction"), "outbound");
    if let Some(duration) = event.duration {
        cim::seconds(json, key!("duration"), duration);
    }
    if let Some([sent, received]) = document.bytes() {
        json.number(key!("bytes"), sent.saturating_add(received));
        json.number(key!("bytes_in"), received);
        json.number(key!("bytes_out"), sent);
    }
    json.text(key!("reason"), event.reason);
}

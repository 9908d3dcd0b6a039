//! A connection as OCSF has it: Network Activity (class 4001), with the profiles `host`, `osint` and
//! `container`.

use super::Document;
use super::ecs::{self, DOMAIN};
use crate::event::Stage;
use crate::json::{End, Json, key};
use crate::net::Transport;
use crate::schema::ecs::transport_name;
use crate::schema::ocsf::{self, Activity, Base, Profiles, Severity, Status, milliseconds};
use crate::schema::{Limits, Line};

static CLASS: ocsf::Class = ocsf::Class { uid: 4001, name: "Network Activity", category: "Network Activity" };

pub(super) fn write(document: &Document<'_>, line: &mut Line<'_>) {
    let Document { event: seen, actor, matches, .. } = *document;
    let (limits, event) = (line.limits, document.event(line.time));
    let (activity, status) = match seen.stage {
        Stage::Opened => (Activity { id: 1, name: "Open", type_name: "Network Activity: Open" }, Status::Success),
        Stage::Closed => (Activity { id: 2, name: "Close", type_name: "Network Activity: Close" }, Status::Success),
        Stage::Failed => (Activity { id: 4, name: "Fail", type_name: "Network Activity: Fail" }, Status::Failure),
    };
    let base = Base {
        class: &CLASS,
        activity,
        // The alert was that of the lookup.
        severity: Severity::Informational,
        status,
        detail: event.reason.map(|reason| (reason, "event.reason")),
        profiles: Profiles {
            security_control: false,
            osint: !matches.is_empty(),
            container: actor.process.as_ref().is_some_and(|image| image.container.is_some()),
        },
    };
    ocsf::begin(line, &event, &base);
    ocsf::actor(line, actor);
    let json = &mut line.json;
    conversation(json, document, limits);
    for (name, time) in
        [(key!("start_time"), event.start), (key!("end_time"), event.end), (key!("duration"), event.duration)]
    {
        if let Some(time) = time {
            json.number(name, milliseconds(time));
        }
    }
    ocsf::osint(json, matches, limits);
    ocsf::unmapped(line, &event, |_| {}, |json| ecs::own(json, document, limits));
}

fn conversation(json: &mut Json<'_>, document: &Document<'_>, limits: Limits) {
    let seen = document.event;
    json.object(key!("src_endpoint"), |json| json.ip_and_port(&End::new(seen.source)));
    json.object(key!("dst_endpoint"), |json| {
        json.ip_and_port(&End::new(seen.destination));
        json.cut(key!("hostname"), document.name, limits.text, DOMAIN);
    });
    json.object(key!("connection_info"), |json| {
        json.number(key!("direction_id"), 2_u8);
        json.literal(key!("direction"), "Outbound");
        json.literal(key!("protocol_name"), transport_name(Transport::Tcp));
        json.number(key!("protocol_num"), 6_u8);
        json.number(key!("protocol_ver_id"), if seen.source.is_ipv4() { 4_u8 } else { 6 });
    });
    // Seen from the source.
    if let Some([sent, received]) = document.bytes() {
        json.object(key!("traffic"), |json| {
            json.number(key!("bytes"), sent.saturating_add(received));
            json.number(key!("bytes_in"), received);
            json.number(key!("bytes_out"), sent);
        });
    }
}

//! A connection in ECS: the order of its parts, and `dnstrail.connection`.

use super::Document;
use crate::event::Direction;
use crate::json::{Json, key};
use crate::net::Transport;
use crate::schema::{Limits, Line, ecs};

pub(super) const DOMAIN: &str = "destination.domain";

pub(super) fn write(document: &Document<'_>, line: &mut Line<'_>) {
    let Document { event: seen, actor, name, matches, .. } = *document;
    let limits = line.limits;
    let bytes = document.bytes();
    ecs::begin(line, &document.event(line.time));
    ecs::rule(&mut line.json, matches, limits);
    ecs::actor(line, actor);
    let json = &mut line.json;
    let ends = ecs::Ends::new(seen.source, seen.destination, true);
    ends.conversation(json);
    json.object(key!("source"), |json| {
        json.ip_and_port(&ends.source);
        if let Some([sent, _]) = bytes {
            json.number(key!("bytes"), sent);
        }
    });
    json.object(key!("destination"), |json| {
        json.ip_and_port(&ends.destination);
        json.cut(key!("domain"), name, limits.text, DOMAIN);
        if let Some([_, received]) = bytes {
            json.number(key!("bytes"), received);
        }
    });
    json.object(key!("network"), |json| {
        ecs::network(json, Transport::Tcp, seen.source, seen.destination, Some(Direction::Egress));
        if let Some([sent, received]) = bytes {
            json.number(key!("bytes"), sent.saturating_add(received));
        }
    });
    ecs::threat(json, matches, limits);
    let addresses = [seen.source.ip(), seen.destination.ip()].into_iter();
    let user = ecs::User::of(actor).and_then(|user| user.name);
    ecs::related(json, addresses, [name].into_iter(), user, limits);
    ecs::own(json, |json| own(json, document, limits));
}

/// `dnstrail`: facts about a connection that ECS has no field for.
pub(super) fn own(json: &mut Json<'_>, document: &Document<'_>, limits: Limits) {
    ecs::own_process(json, document.actor, false);
    if document.event.network_namespace != 0 {
        json.number(key!("network_namespace"), document.event.network_namespace);
    }
    json.object(key!("connection"), |json| json.instant(key!("resolved"), document.resolved));
    ecs::matches(json, document.matches, limits);
}

//! `client`, `server`, `source`, `destination`, `network` and `related`: the ends of a conversation. Source
//! and destination follow the packet, client and server the conversation.

use std::net::{IpAddr, SocketAddr, SocketAddrV4};

use crate::event::Direction;
use crate::json::{End, Json, key};
use crate::net::Transport;
use crate::schema::Limits;
use crate::schema::community_id::CommunityId;
use crate::schema::ecs::USER_NAME;

/// The ends of a packet, as text: each stands in several fields.
#[derive(Debug)]
pub struct Ends {
    pub source: End,
    pub destination: End,
    /// `true`: `source` is the client of the conversation.
    pub source_is_client: bool,
}

impl Ends {
    #[must_use]
    pub fn new(source: SocketAddr, destination: SocketAddr, source_is_client: bool) -> Self {
        Self { source: End::new(source), destination: End::new(destination), source_is_client }
    }

    /// `client` and `server`
    #[inline]
    pub fn conversation(&self, json: &mut Json<'_>) {
        let (client, server) = self.client_and_server();
        json.object(key!("client"), |json| json.ip_and_port(client));
        json.object(key!("server"), |json| json.ip_and_port(server));
    }

    /// `source` and `destination`, each with its address behind NAT where that differs.
    #[inline]
    pub fn packet(&self, json: &mut Json<'_>, [source, destination]: [Option<SocketAddr>; 2]) {
        json.object(key!("source"), |json| {
            json.ip_and_port(&self.source);
            nat(json, source);
        });
        json.object(key!("destination"), |json| {
            json.ip_and_port(&self.destination);
            nat(json, destination);
        });
    }

    #[must_use]
    pub fn client_and_server(&self) -> (&End, &End) {
        if self.source_is_client { (&self.source, &self.destination) } else { (&self.destination, &self.source) }
    }
}

/// `nat`
pub fn nat(json: &mut Json<'_>, translated: Option<SocketAddr>) {
    let Some(translated) = translated else { return };
    json.object(key!("nat"), |json| json.ip_and_port(&End::new(translated)));
}

/// `network.transport`, `.iana_number`, `.type`, `.direction` and `.community_id`
#[inline]
pub fn network(
    json: &mut Json<'_>,
    transport: Transport,
    source: SocketAddr,
    destination: SocketAddr,
    direction: Option<Direction>,
) {
    // Each arm writes constants, whose lengths are known there.
    let number = match transport {
        Transport::Tcp => {
            json.literal(key!("transport"), "tcp");
            json.literal(key!("iana_number"), "6");
            6
        }
        Transport::Udp => {
            json.literal(key!("transport"), "udp");
            json.literal(key!("iana_number"), "17");
            17
        }
        Transport::UdpLite => {
            json.literal(key!("transport"), "udp");
            json.literal(key!("iana_number"), "136");
            136
        }
    };
    if source.is_ipv4() {
        json.literal(key!("type"), "ipv4");
    } else {
        json.literal(key!("type"), "ipv6");
    }
    match direction {
        Some(Direction::Ingress) => json.literal(key!("direction"), "ingress"),
        Some(Direction::Egress) => json.literal(key!("direction"), "egress"),
        None => {}
    }
    community_id(json, source, destination, number);
}

/// `network.community_id`. A query, its answer and the queries that a program sends by the same socket have one flow, so
/// the id of an IPv4 flow is copied where a line had it a moment ago.
fn community_id(json: &mut Json<'_>, source: SocketAddr, destination: SocketAddr, protocol: u8) {
    const FLOW: u64 = 3;
    let write = |json: &mut Json<'_>| {
        json.written(key!("community_id"), CommunityId::new(source, destination, protocol).as_json());
    };
    let (SocketAddr::V4(one), SocketAddr::V4(other)) = (source, destination) else { return write(json) };
    let end = |end: SocketAddrV4| u64::from(end.ip().to_bits()) << 16 | u64::from(end.port());
    let (one, other) = (end(one), end(other));
    // Both directions of a flow have one id.
    json.repeated([FLOW, one.min(other), one.max(other), protocol.into()], write);
}

/// `network.transport`
#[must_use]
pub fn transport_name(transport: Transport) -> &'static str {
    match transport {
        Transport::Tcp => "tcp",
        Transport::Udp | Transport::UdpLite => "udp",
    }
}

/// Names or addresses in `related.*`. A delegation or a large service has a dozen; all of them stand in
/// `dns.answers` and `dns.resolved_ip`.
const RELATED: usize = 32;

/// `related`: every address, name and user of the document in one place, to pivot on. Each stands there once,
/// in the order of appearance.
pub fn related<'t>(
    json: &mut Json<'_>,
    addresses: impl Iterator<Item = IpAddr>,
    hosts: impl Iterator<Item = &'t str>,
    user: Option<&str>,
    limits: Limits,
) {
    let limit = limits.elements.min(RELATED);
    json.object(key!("related"), |json| {
        json.list(key!("ip"), |list| {
            let mut seen = [IpAddr::from([0; 4]); RELATED];
            let mut length = 0;
            for address in addresses {
                if seen[..length].contains(&address) {
                    continue;
                }
                if length == limit {
                    list.cuts().add("related.ip");
                    break;
                }
                seen[length] = address;
                length += 1;
                list.ip(address);
            }
        });
        json.list(key!("hosts"), |list| {
            let mut seen = [""; RELATED];
            let mut length = 0;
            for host in hosts {
                let host = list.cuts().text(host, limits.text, "related.hosts");
                // Most names of a message stand in its text once.
                if seen[..length].iter().any(|known| std::ptr::eq(*known, host) || *known == host) {
                    continue;
                }
                if length == limit {
                    list.cuts().add("related.hosts");
                    break;
                }
                seen[length] = host;
                length += 1;
                list.text(host);
            }
        });
        if let Some(user) = user {
            json.list(key!("user"), |list| list.cut(user, limits.text, USER_NAME));
        }
    });
}

//! `source`, `destination`, `client`, `server`, `network` and `related`: between whom. Source and
//! destination follow the packet, client and server the conversation.

use std::net::{IpAddr, SocketAddr};

use serde::{Serialize, Serializer};

use super::community_id::CommunityId;
use super::dns::Answers;
use super::limits::{Cuts, Limits, Part};
use super::text::Address;
use crate::event::Direction;
use crate::net::Transport;
use crate::sighting::dns::Document;

/// One end of the conversation.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct End {
    pub ip: Address,
    pub port: u16,
}

impl End {
    pub(super) fn new(end: SocketAddr) -> Self {
        Self { ip: Address::new(end.ip()), port: end.port() }
    }
}

#[derive(Debug, Serialize)]
pub(super) struct Network {
    pub protocol: &'static str,
    pub transport: &'static str,
    pub iana_number: &'static str,
    pub r#type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub direction: Option<&'static str>,
    pub community_id: CommunityId,
    pub bytes: usize,
}

impl Network {
    pub(super) fn new(dns: &Document) -> Self {
        let (transport, iana_number, number) = match dns.transport {
            Transport::Tcp => ("tcp", "6", 6),
            Transport::Udp => ("udp", "17", 17),
        };
        Self {
            protocol: "dns",
            transport,
            iana_number,
            r#type: if dns.source.is_ipv4() { "ipv4" } else { "ipv6" },
            direction: dns.direction.map(|direction| match direction {
                Direction::Ingress => "ingress",
                Direction::Egress => "egress",
            }),
            community_id: CommunityId::new(dns.source, dns.destination, number),
            bytes: dns.message_bytes,
        }
    }
}

/// Every address, name and user of the document in one place, to pivot on.
#[derive(Debug, Serialize)]
pub(super) struct Related<'a> {
    #[serde(serialize_with = "as_text")]
    ip: Distinct<IpAddr>,
    #[serde(skip_serializing_if = "Distinct::is_empty")]
    hosts: Distinct<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<[&'a str; 1]>,
}

impl<'a> Related<'a> {
    pub(super) fn new(limits: Limits) -> Self {
        let limit = limits.elements.min(RELATED);
        Self { ip: Distinct::new(limit), hosts: Distinct::new(limit), user: None }
    }

    /// What `answers` shows is what is related: it bounds the work for a hostile message too.
    pub(super) fn add(
        &mut self,
        dns: &Document<'a>,
        answers: &Answers<'a>,
        user: Option<&'a str>,
        limits: Limits,
        cuts: &mut Cuts,
    ) {
        let Self { ip, hosts, .. } = self;
        let mut whole = (true, true);
        for address in [dns.source.ip(), dns.destination.ip()].into_iter().chain(answers.addresses()) {
            whole.0 &= ip.add(address);
        }
        let question = dns.question().map(|question| question.name);
        let answered = answers.records().flat_map(|record| [Some(record.name), record.target]).flatten();
        // A message may ask several questions, of which only the first has fields of its own.
        let others = dns.message.questions().skip(1).map(|question| question.name);
        // The root is no host.
        for name in question.into_iter().chain(others).chain(answered).filter(|name| *name != ".") {
            whole.1 &= hosts.add(cuts.text(name, limits.text, Part::RelatedHosts));
        }
        if !whole.0 {
            cuts.add(Part::RelatedIp);
        }
        if !whole.1 {
            cuts.add(Part::RelatedHosts);
        }
        self.user = user.map(|name| [name]);
    }
}

impl<'a> Related<'a> {
    /// One name, and the two ends.
    pub(super) fn of_connection(
        ends: [IpAddr; 2],
        name: &'a str,
        user: Option<&'a str>,
        limits: Limits,
        cuts: &mut Cuts,
    ) -> Self {
        let (mut ip, mut hosts) = (Distinct::new(ends.len()), Distinct::new(1));
        for end in ends {
            ip.add(end);
        }
        hosts.add(cuts.text(name, limits.text, Part::RelatedHosts));
        Self { ip, hosts, user: user.map(|name| [name]) }
    }
}

/// Names or addresses in `related.*`. A delegation or a large service has a dozen; all of them
/// stand in `dns.answers` and `dns.resolved_ip`.
const RELATED: usize = 32;

/// Values in the order of their first appearance.
#[derive(Debug)]
struct Distinct<T> {
    values: [Option<T>; RELATED],
    length: usize,
    limit: usize,
}

impl<T: Copy + PartialEq> Distinct<T> {
    fn new(limit: usize) -> Self {
        Self { values: [None; RELATED], length: 0, limit }
    }

    /// `false`: there is no room for it.
    fn add(&mut self, value: T) -> bool {
        if self.iter().any(|known| known == value) {
            return true;
        }
        match self.values.get_mut(self.length) {
            Some(room) if self.length < self.limit => {
                *room = Some(value);
                self.length += 1;
                true
            }
            _ => false,
        }
    }

    fn iter(&self) -> impl Iterator<Item = T> {
        self.values.iter().take(self.length).flatten().copied()
    }
}

impl<T> Distinct<T> {
    fn is_empty(&self) -> bool {
        self.length == 0
    }
}

impl Serialize for Distinct<&str> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter())
    }
}

fn as_text<S: Serializer>(addresses: &Distinct<IpAddr>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(addresses.iter().map(Address::new))
}

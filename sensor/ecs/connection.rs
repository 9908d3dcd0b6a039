//! The document of a connection to what a listed name resolved to: who connected, for how long, and
//! how much was sent. Its labels are those of the lookup that made its address a listed one.

use serde::Serialize;

use super::community_id::CommunityId;
use super::event::{Category, Event, Outcome, Type};
use super::limits::{Cuts, Limits, Part};
use super::network::{End, Related};
use super::own::{Entries, OwnProcess};
use super::process::{Container, Named, Process};
use super::threat::{Rule, Threat};
use super::time::Instant;
use crate::event::Stage;
use crate::sighting::connection::Document;

#[derive(Debug, Serialize)]
pub(super) struct Flow<'a> {
    #[serde(rename = "@timestamp")]
    pub time: Instant,
    pub event: Event<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<Rule<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub process: Option<Process<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<Named<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub container: Option<Container<'a>>,
    pub client: End,
    pub server: End,
    pub source: Sender<'a>,
    pub destination: Sender<'a>,
    pub network: Network,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub threat: Option<Threat<'a>>,
    related: Related<'a>,
    pub dnstrail: Own<'a>,
}

/// One end, and what it sent.
#[derive(Debug, Serialize)]
pub(super) struct Sender<'a> {
    #[serde(flatten)]
    pub end: End,
    /// The name that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub domain: Option<&'a str>,
    /// Of payload.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
}

#[derive(Debug, Serialize)]
pub(super) struct Network {
    pub transport: &'static str,
    iana_number: &'static str,
    pub r#type: &'static str,
    direction: &'static str,
    community_id: CommunityId,
    /// Of both ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
}

#[derive(Debug, Serialize)]
pub(super) struct Own<'a> {
    #[serde(skip_serializing_if = "Cuts::is_empty")]
    cut: Cuts,
    #[serde(skip_serializing_if = "OwnProcess::is_empty")]
    process: OwnProcess,
    #[serde(skip_serializing_if = "Option::is_none")]
    network_namespace: Option<u32>,
    connection: OwnConnection,
    /// In the order of `threat.enrichments`.
    #[serde(skip_serializing_if = "Entries::is_empty")]
    matches: Entries<'a>,
}

#[derive(Debug, Serialize)]
struct OwnConnection {
    /// When the name last resolved to this address.
    resolved: Instant,
}

impl<'a> Flow<'a> {
    pub(super) fn new(time: u64, sequence: u64, connection: &'a Document<'a>, limits: Limits) -> Self {
        let mut cuts = Cuts::default();
        let Document { event: seen, actor, name, resolved, matches } = *connection;
        let user = Named::asker(actor, limits, &mut cuts);
        let [sent, received] = [seen.sent, seen.received].map(|bytes| (seen.stage == Stage::Closed).then_some(bytes));
        let ends = (End::new(seen.source), End::new(seen.destination));
        Self {
            time: Instant(time),
            event: event(time, sequence, connection),
            rule: matches.first().map(|first| Rule::new(&first.hit, limits, &mut cuts)),
            process: Process::new(actor, limits, &mut cuts),
            user,
            container: Container::of(actor, limits, &mut cuts),
            client: ends.0,
            server: ends.1,
            source: Sender { end: ends.0, domain: None, bytes: sent },
            destination: Sender {
                end: ends.1,
                domain: Some(cuts.text(name, limits.text, Part::DestinationDomain)),
                bytes: received,
            },
            network: Network {
                transport: "tcp",
                iana_number: "6",
                r#type: if seen.destination.is_ipv4() { "ipv4" } else { "ipv6" },
                direction: "egress",
                community_id: CommunityId::new(seen.source, seen.destination, 6),
                bytes: sent.zip(received).map(|(sent, received)| sent.saturating_add(received)),
            },
            threat: Threat::new(matches, limits, &mut cuts),
            related: Related::of_connection(
                [seen.source.ip(), seen.destination.ip()],
                name,
                user.and_then(|user| user.name),
                limits,
                &mut cuts,
            ),
            dnstrail: Own {
                process: OwnProcess::new(actor),
                network_namespace: Some(seen.network_namespace).filter(|inode| *inode != 0),
                connection: OwnConnection { resolved: Instant(resolved) },
                matches: Entries::new(matches, limits, &mut cuts),
                cut: cuts,
            },
        }
    }
}

/// Never an alert: its lookup was one.
fn event<'a>(time: u64, sequence: u64, connection: &Document<'a>) -> Event<'a> {
    let seen = connection.event;
    let (action, r#type, outcome): (_, &[Type], _) = match seen.stage {
        Stage::Opened => ("connection-opened", &[Type::Connection, Type::Start], Outcome::Success),
        Stage::Failed => ("connection-failed", &[Type::Connection, Type::End], Outcome::Failure),
        Stage::Closed => ("connection-closed", &[Type::Connection, Type::End], Outcome::Success),
    };
    let ended = seen.stage != Stage::Opened;
    Event {
        category: &[Category::Network],
        r#type,
        outcome: Some(outcome),
        severity: connection.severity(),
        duration: ended.then(|| time.saturating_sub(seen.start)),
        start: Some(Instant(seen.start)),
        end: ended.then_some(Instant(time)),
        reason: reason(seen.error).filter(|_| ended),
        ..Event::new(sequence, action, "dnstrail.connection")
    }
}

/// Of an errno(3), as far as the network has given it.
fn reason(error: u32) -> Option<&'static str> {
    Some(match error {
        32 | 104 => "reset by the other end",
        101 => "network unreachable",
        110 => "timed out",
        111 => "refused",
        113 => "host unreachable",
        _ => return None,
    })
}

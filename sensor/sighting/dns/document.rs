//! The document of a DNS message, or of a query without an answer.

use std::net::SocketAddr;

use crate::alert::{self, Match};
use crate::dns::{Message, Question};
use crate::event::{Direction, Ends};
use crate::net::Transport;
use crate::process::Actor;
use crate::schema::event::{Category, Event, Kind, Outcome, Type};
use crate::sighting::Marks;

/// Bytes that are shown of a payload that is no DNS message. They hold the header of most protocols.
pub const FIRST_BYTES: usize = 64;

/// Bytes of a DNS header (RFC 1035 4.1.1).
const HEADER: usize = 12;

/// A DNS message, or the absence of one.
#[derive(Debug)]
pub struct Document<'a> {
    pub occurrence: Occurrence,
    /// The process and thread that sent the query. An answer has those of its query.
    pub actor: &'a Actor,
    pub network_namespace: u32,
    pub transport: Transport,
    /// Addresses of the packet. A timeout has those of the query.
    pub source: SocketAddr,
    pub destination: SocketAddr,
    /// `true`: `source` is the client of the conversation.
    pub source_is_client: bool,
    pub direction: Option<Direction>,
    /// The addresses that the network sees, where NAT puts others into the packet than `source` and `destination`,
    /// which the program sees.
    pub behind_nat: Option<Ends>,
    pub marks: Marks,
    /// Bytes of the DNS message (`network.bytes`).
    pub message_bytes: usize,
    /// The first bytes of a payload that is no DNS message; see [`FIRST_BYTES`].
    pub first_bytes: &'a [u8],
    /// The message. A timeout has its query.
    pub message: &'a Message,
    /// The query, where `message` is an answer that does not repeat its question.
    pub query: Option<&'a Message>,
    pub matches: &'a [Match],
    /// This document raises the alert; else `matches` are only labels.
    pub alert: bool,
}

impl<'a> Document<'a> {
    /// `event.severity`: the highest of the entries that match.
    #[must_use]
    pub fn severity(&self) -> Option<u8> {
        alert::severity(self.matches)
    }

    /// The translated source and destination, each where it differs.
    pub(super) fn translated(&self) -> [Option<SocketAddr>; 2] {
        let Some(Ends { source, destination }) = self.behind_nat else { return [None; 2] };
        [(source, self.source), (destination, self.destination)]
            .map(|(shown, given)| Some(shown).filter(|shown| *shown != given))
    }

    /// The first question of the message, else of the query that the message answers.
    #[must_use]
    pub fn question(&self) -> Option<Question<'a>> {
        self.message.questions().next().or_else(|| self.query?.questions().next())
    }

    /// Whether the payload is long enough to have the header of a message, which may be one by chance.
    pub(super) fn has_header(&self) -> bool {
        self.occurrence != Occurrence::Malformed || self.message_bytes >= HEADER
    }
}

/// The event that a document describes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Occurrence {
    Query,
    /// `query_time`: when the query was sent; `None` for an answer whose query was not seen.
    Answer {
        query_time: Option<u64>,
        late: bool,
        duplicate: bool,
    },
    Timeout {
        query_time: u64,
    },
    /// A payload on a port of DNS that is no DNS message.
    Malformed,
}

impl Document<'_> {
    pub(super) fn event(&self, time: u64) -> Event<'static> {
        let (action, outcome, query_time) = match self.occurrence {
            Occurrence::Query => ("dns-query", Outcome::Unknown, None),
            Occurrence::Answer { query_time, .. } => {
                let outcome = if self.message.rcode == 0 { Outcome::Success } else { Outcome::Failure };
                ("dns-answer", outcome, query_time)
            }
            Occurrence::Timeout { query_time } => ("dns-timeout", Outcome::Failure, Some(query_time)),
            Occurrence::Malformed => ("dns-malformed", Outcome::Unknown, None),
        };
        let mut event = Event::new(action, "dnstrail.dns");
        if self.alert {
            event.kind = Kind::Alert;
            event.categories = &[Category::Network, Category::IntrusionDetection];
            event.types = &[Type::Connection, Type::Protocol, Type::Info];
        } else {
            event.categories = &[Category::Network];
            event.types = &[Type::Connection, Type::Protocol];
        }
        event.outcome = Some(outcome);
        event.severity = self.severity();
        // The clock of the host may be set back between a query and its answer.
        event.duration = query_time.map(|query_time| time.saturating_sub(query_time));
        event.start = query_time;
        event.end = query_time.map(|_| time);
        event.reason = match self.occurrence {
            Occurrence::Query | Occurrence::Answer { .. } => None,
            Occurrence::Timeout { .. } => Some("no answer was seen in time"),
            Occurrence::Malformed => self.message.malformed,
        };
        event
    }
}

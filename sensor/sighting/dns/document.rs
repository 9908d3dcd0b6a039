//! The document of a DNS message, or of a query without an answer.

use std::net::SocketAddr;

use crate::alert::{self, Match};
use crate::dns::{Message, Question};
use crate::event::Direction;
use crate::net::Transport;
use crate::process::Actor;

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
    /// Bytes of the DNS message (`network.bytes`).
    pub message_bytes: usize,
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

    /// The first question of the message, else of the query that the message answers.
    #[must_use]
    pub fn question(&self) -> Option<Question<'a>> {
        self.message.questions().next().or_else(|| self.query?.questions().next())
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
}

//! The output documents: ECS 9.4, one JSON object a line; `cim` and `ocsf` say the same in the words
//! of Splunk and of OCSF, from the same fields after the same cuts. When a document is due is left to
//! `pipeline`; where it goes is left to `sink`. `schemas/event.schema.json` describes every line of ECS.

mod cim;
mod community_id;
mod connection;
mod dns;
mod event;
mod host;
mod json;
mod limits;
mod lookup;
mod network;
mod ocsf;
mod own;
mod process;
mod report;
mod text;
mod threat;
mod time;
mod writer;

use std::net::SocketAddr;

pub use host::Agent;
pub use limits::{DEFAULT_LINE, LONGEST_LINE, SHORTEST_LINE};
pub use writer::{Schema, Writer};

use crate::dns::{Message, Question};
use crate::event::{Direction, Task};
use crate::metrics::Metrics;
use crate::net::Transport;
use crate::process::Process;
use crate::rules::Hit;

/// `ecs.version`
pub const VERSION: &str = "9.4.0";

/// One line to be written.
#[derive(Debug)]
pub struct Document<'a> {
    /// Nanoseconds since the Unix epoch.
    pub time: u64,
    /// `event.sequence`, stream-wide, from 1, without gaps.
    pub sequence: u64,
    pub body: Body<'a>,
}

#[derive(Debug)]
pub enum Body<'a> {
    Dns(Dns<'a>),
    Connection(Connection<'a>),
    Report(Report<'a>),
}

/// A DNS message, or the absence of one.
#[derive(Debug)]
pub struct Dns<'a> {
    pub occurrence: Occurrence,
    /// Who asked. `None` where it cannot be known.
    pub process: Option<&'a Process>,
    /// The thread that sent the query, and its user then. Of an answer: the thread that asked.
    pub task: Option<&'a Task>,
    pub network_namespace: u32,
    pub transport: Transport,
    /// Of the packet. A timeout has those of the query.
    pub source: SocketAddr,
    pub destination: SocketAddr,
    /// `true`: `source` is the client of the conversation.
    pub source_is_client: bool,
    pub direction: Option<Direction>,
    /// Bytes of the DNS message (`network.bytes`).
    pub message_bytes: usize,
    /// Of a timeout: the query.
    pub message: &'a Message,
    /// The query, where `message` is an answer that does not repeat its question.
    pub query: Option<&'a Message>,
    pub matches: &'a [Match],
    /// This document raises the alert; else `matches` are only labels.
    pub alert: bool,
}

impl<'a> Dns<'a> {
    /// `event.severity`: the highest of the entries that matched.
    #[must_use]
    pub fn severity(&self) -> Option<u8> {
        self.matches.iter().filter_map(|matched| threat::severity(&matched.hit)).max()
    }

    /// The first question: of the message itself, or of the query that it answers.
    fn question(&self) -> Option<Question<'a>> {
        self.message.questions().next().or_else(|| self.query?.questions().next())
    }
}

/// A TCP connection to an address that a listed name resolved to.
#[derive(Debug)]
pub struct Connection<'a> {
    pub event: &'a crate::event::Connection,
    /// Who connected. `None` where it cannot be known.
    pub process: Option<&'a Process>,
    pub task: Option<&'a Task>,
    /// The name that was asked for.
    pub name: &'a str,
    /// When it last resolved to this address: nanoseconds since the Unix epoch.
    pub resolved: u64,
    /// Of that lookup, as far as they concern this address, which is the field that they match.
    pub matches: &'a [Match],
}

impl Connection<'_> {
    /// `event.severity`: the highest of the entries that matched.
    #[must_use]
    pub fn severity(&self) -> Option<u8> {
        self.matches.iter().filter_map(|matched| threat::severity(&matched.hit)).max()
    }
}

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

/// An entry of a list, and the field of this document that it matched.
#[derive(Debug)]
pub struct Match {
    pub hit: Hit,
    /// `dns.question.name`, `dns.answers.name`, `dns.answers.data` or `dns.resolved_ip`; of a
    /// connection `destination.ip`.
    pub field: &'static str,
    /// The value of that field.
    pub atomic: String,
}

/// What the sensor says about itself.
#[derive(Debug)]
pub enum Report<'a> {
    Start {
        ways_in: &'a [WayIn],
        command_line: &'a str,
    },
    /// Totals since the start, and why it stops.
    Stop {
        reason: &'a str,
        metrics: &'a Metrics,
    },
    /// Counts that grew since the last such report: name, growth, total.
    Loss {
        losses: &'a [(&'static str, u64, u64)],
    },
    RulesLoaded {
        lists: &'a [ListState],
        elapsed: u64,
    },
    /// How often an alert was repeated within its window.
    AlertSummary(AlertSummary<'a>),
    /// An output fails or works again.
    Output {
        output: &'a str,
        failing: bool,
        message: &'a str,
        dropped: u64,
    },
}

/// One process that matched one entry again and again.
#[derive(Debug)]
pub struct AlertSummary<'a> {
    /// As the alert told it.
    pub process: Option<&'a Process>,
    pub task: Option<&'a Task>,
    pub matched: &'a Match,
    /// Further matches, none of which was an alert.
    pub repeats: u64,
    /// When the alert was raised, and when its last repeat was seen: nanoseconds since the Unix epoch.
    pub first: u64,
    pub last: u64,
    /// Why it is told now.
    pub reason: &'static str,
}

impl AlertSummary<'_> {
    /// `event.severity`: that of the entry.
    #[must_use]
    pub fn severity(&self) -> Option<u8> {
        threat::severity(&self.matched.hit)
    }
}

/// How one role is filled on this kernel.
#[derive(Debug, Clone)]
pub struct WayIn {
    /// What must be known: `sends`, `leaves`, `comes back`, `tasks`, `was there before`.
    pub role: &'static str,
    /// The hook that was taken; `None`: the role is not filled.
    pub taken: Option<String>,
    /// Hooks that were tried first, and why the kernel refused them.
    pub refused: Vec<(String, String)>,
    /// What is not seen because of that.
    pub not_seen: Option<String>,
}

/// One list after a load.
#[derive(Debug, Clone, Default)]
pub struct ListState {
    pub id: String,
    pub path: String,
    pub version: String,
    pub names: u64,
    pub addresses: u64,
    pub skipped: u64,
    /// Not loaded; the last good one stays in force, if there was one.
    pub error: Option<String>,
}

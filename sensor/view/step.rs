//! One step of a trail, as JSON or as a line for a person.

use std::fmt::Write as _;
use std::io::{self, Write};
use std::time::Duration;

use serde::Serialize;

use super::document::Document;
use crate::shown::{self, Shown};

/// The relation of a document to the indicators.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Relation {
    /// A lookup that resolved an indicator.
    Resolved,
    /// A connection to what an indicator resolved to, by any process.
    Connected,
    /// A later lookup, or a connection elsewhere, by a process that had resolved an indicator.
    Then,
    /// A later lookup, or a connection elsewhere, by a process that such a process started.
    Child,
}

impl Relation {
    const fn written(self) -> &'static str {
        match self {
            Self::Resolved => "RESOLVED",
            Self::Connected => "CONNECTED",
            Self::Then => "  then",
            Self::Child => "  child",
        }
    }
}

/// One step.
#[derive(Debug, Serialize)]
pub(super) struct Step<'a> {
    relation: Relation,
    #[serde(rename = "@timestamp")]
    time: &'a str,
    host: &'a str,
    action: &'a str,
    entity_id: &'a str,
    pid: u64,
    executable: &'a str,
    command_line: &'a str,
    user: &'a str,
    parent: &'a str,
    container: &'a str,
    name: &'a str,
    r#type: &'a str,
    response_code: &'a str,
    addresses: Vec<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    connection: Option<Connection<'a>>,
    alert: bool,
    /// The indicator that the document itself names.
    #[serde(skip_serializing_if = "Option::is_none")]
    indicator: Option<&'a str>,
}

/// The parts of a connection besides its name and address.
#[derive(Debug, Serialize)]
struct Connection<'a> {
    port: u64,
    outcome: &'a str,
    reason: &'a str,
    /// Nanoseconds. Unknown while the connection is open, as are the bytes.
    duration: Option<u64>,
    bytes_sent: Option<u64>,
    bytes_received: Option<u64>,
}

impl<'a> Step<'a> {
    pub(super) fn new(relation: Relation, indicator: Option<&'a str>, document: &'a Document<'a>) -> Self {
        let Document { event, process, user, destination, .. } = document;
        let connection = (event.dataset == "dnstrail.connection").then(|| Connection {
            port: destination.port,
            outcome: &event.outcome,
            reason: &event.reason,
            duration: event.duration,
            bytes_sent: document.source.bytes,
            bytes_received: destination.bytes,
        });
        let (name, r#type, response_code, addresses) = match &document.dns {
            Some(dns) => (
                &*dns.question.name,
                &*dns.question.r#type,
                &*dns.response_code,
                dns.resolved_ip.iter().map(|ip| &**ip).collect(),
            ),
            None if connection.is_some() => (&*destination.domain, "", "", vec![&*destination.ip]),
            // A payload that is no DNS message need not name anything.
            None => Default::default(),
        };
        Self {
            relation,
            time: &document.time,
            host: &document.host.name,
            action: &event.action,
            entity_id: &process.entity_id,
            pid: process.pid,
            executable: &process.executable,
            command_line: &process.command_line,
            user: user.name.as_deref().unwrap_or(&user.id),
            parent: &process.parent.executable,
            container: &document.container.id,
            name,
            r#type,
            response_code,
            addresses,
            connection,
            alert: event.kind == "alert",
            indicator,
        }
    }

    pub(super) fn write(&self, json: bool, out: &mut impl Write) -> io::Result<()> {
        if json {
            return writeln!(out, "{}", shown::json(&serde_json::to_string(self)?));
        }
        let mut result =
            if self.addresses.is_empty() { self.response_code.to_owned() } else { self.addresses.join(" ") };
        if let Some(connection) = &self.connection {
            connection.describe(&mut result);
        }
        write!(
            out,
            "{}  {:<9} {} {} {} {}{}  by ",
            Shown(self.time),
            self.relation.written(),
            Shown(self.action),
            Shown(if self.connection.is_some() { "TCP" } else { self.r#type }),
            Shown(self.name),
            if result.is_empty() { "" } else { "→ " },
            Shown(&result),
        )?;
        self.write_process(out)
    }

    /// The process for a person. A document without a process has no pid.
    fn write_process(&self, out: &mut impl Write) -> io::Result<()> {
        if self.pid == 0 {
            return writeln!(out, "an unknown process");
        }
        writeln!(
            out,
            "{} ({}) user {} parent {}",
            Shown(or_unknown(if self.command_line.is_empty() { self.executable } else { self.command_line })),
            self.pid,
            Shown(or_unknown(self.user)),
            Shown(or_unknown(self.parent)),
        )
    }
}

impl Connection<'_> {
    /// ` port 443, refused, 61.000 s, 1234 bytes sent, 567 received` behind the address.
    fn describe(&self, text: &mut String) {
        // Writing into a text cannot fail.
        let _ = write!(text, " port {}", self.port);
        if !self.reason.is_empty() {
            let _ = write!(text, ", {}", self.reason);
        }
        if let Some(duration) = self.duration {
            let _ = write!(text, ", {:.3} s", Duration::from_nanos(duration).as_secs_f64());
        }
        if let (Some(sent), Some(received)) = (self.bytes_sent, self.bytes_received) {
            let _ = write!(text, ", {sent} bytes sent, {received} received");
        }
    }
}

fn or_unknown(text: &str) -> &str {
    if text.is_empty() { "?" } else { text }
}

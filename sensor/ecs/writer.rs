//! From a [`Document`] to one line.

use serde::Serialize;

use super::event::{Event, Type};
use super::host::{self, Agent, Host};
use super::json::Json;
use super::limits::{DEFAULT_LINE, LONGEST_LINE, Limits, SHORTEST_LINE};
use super::lookup::Lookup;
use super::report::Statement;
use super::time::Instant;
use super::{Body, Document};

/// Writes documents as JSON, one a line. Nothing is allocated for a document once the line buffer
/// has grown to its size.
#[derive(Debug, Clone)]
pub struct Writer {
    /// What ends every line.
    tail: Vec<u8>,
    limit: usize,
}

impl Writer {
    #[must_use]
    pub fn new(host: &Host, agent: &Agent) -> Self {
        Self { tail: host::tail(host, agent), limit: DEFAULT_LINE }
    }

    /// Bytes that no line exceeds, its newline included; from [`SHORTEST_LINE`] to
    /// [`LONGEST_LINE`], else the nearest of the two.
    #[must_use]
    pub fn with_limit(self, limit: usize) -> Self {
        Self { limit: limit.clamp(SHORTEST_LINE, LONGEST_LINE), ..self }
    }

    /// Appends the document as one JSON object and a newline. A document that is too long is cut
    /// as `dnstrail.cut` then says.
    pub fn write(&self, document: &Document, line: &mut Vec<u8>) {
        let Document { time, sequence, body } = document;
        let start = line.len();
        for limits in Limits::steps(self.limit) {
            let written = match body {
                Body::Dns(lookup) => self.finish(&Lookup::new(*time, *sequence, lookup, limits), line),
                Body::Report(report) => self.finish(&Statement::new(*time, *sequence, report, limits), line),
            };
            if written && line.len() - start <= self.limit {
                return;
            }
            line.truncate(start);
        }
        self.finish(&Remnant::new(*time, *sequence), line);
    }

    fn finish<T: Serialize>(&self, fields: &T, line: &mut Vec<u8>) -> bool {
        let written = fields.serialize(&mut Json(line)).is_ok();
        line.pop();
        line.extend_from_slice(&self.tail);
        written
    }
}

/// What is left of a document that no cut makes short enough, so that its sequence is no gap.
#[derive(Debug, Serialize)]
struct Remnant {
    #[serde(rename = "@timestamp")]
    time: Instant,
    event: Event<'static>,
}

impl Remnant {
    fn new(time: u64, sequence: u64) -> Self {
        let event = Event::new(sequence, "document-cut", "dnstrail.sensor");
        Self { time: Instant(time), event: Event { r#type: &[Type::Error], ..event } }
    }
}

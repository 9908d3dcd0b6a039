//! From a [`Document`] to one line.

use serde::Serialize;

use super::cim;
use super::connection::Flow;
use super::event::{Event, Type};
use super::host::{self, Agent};
use super::json::Json;
use super::limits::{DEFAULT_LINE, LONGEST_LINE, Limits, SHORTEST_LINE};
use super::lookup::Lookup;
use super::network::Related;
use super::ocsf;
use super::report::Statement;
use super::time::Instant;
use crate::host::Host;
use crate::report::{Body, Document};

/// The words of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Schema {
    Ecs,
    /// Common Information Model of Splunk.
    SplunkCim,
    /// Open Cybersecurity Schema Framework 1.x.
    Ocsf,
}

/// Writes documents as JSON, one a line. Nothing is allocated for a document once the line buffer
/// has grown to its size.
#[derive(Debug, Clone)]
pub struct Writer {
    /// What ends every line.
    tail: Vec<u8>,
    schema: Schema,
    limit: usize,
}

impl Writer {
    #[must_use]
    pub fn new(host: &Host, agent: &Agent) -> Self {
        Self::of(Schema::Ecs, host, agent)
    }

    #[must_use]
    pub fn of(schema: Schema, host: &Host, agent: &Agent) -> Self {
        let tail = match schema {
            Schema::Ecs => host::tail(&host::Tail::new(host, agent)),
            Schema::SplunkCim => host::tail(&cim::Tail::new(host, agent)),
            Schema::Ocsf => host::tail(&ocsf::Tail::new(host, agent)),
        };
        Self { tail, schema, limit: DEFAULT_LINE }
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
                Body::Dns(lookup) => {
                    let mut related = Related::new(limits);
                    let fields = Lookup::new((*time, *sequence), lookup, limits, &mut related);
                    match self.schema {
                        Schema::Ecs => self.finish(&fields, line),
                        Schema::SplunkCim => self.finish(&cim::Resolution::new(&fields, lookup), line),
                        Schema::Ocsf => self.finish(&ocsf::DnsActivity::new(&fields, lookup), line),
                    }
                }
                Body::Connection(connection) => {
                    let fields = Flow::new(*time, *sequence, connection, limits);
                    match self.schema {
                        Schema::Ecs => self.finish(&fields, line),
                        Schema::SplunkCim => self.finish(&cim::Traffic::new(&fields), line),
                        Schema::Ocsf => self.finish(&ocsf::NetworkActivity::new(&fields), line),
                    }
                }
                Body::Report(report) => {
                    let fields = Statement::new(*time, *sequence, report, limits);
                    match self.schema {
                        Schema::Ecs => self.finish(&fields, line),
                        Schema::SplunkCim => self.finish(&cim::Status::new(&fields), line),
                        Schema::Ocsf => self.finish(&ocsf::Lifecycle::new(&fields), line),
                    }
                }
            };
            if written && line.len() - start <= self.limit {
                return;
            }
            line.truncate(start);
        }
        let Remnant { time, event } = Remnant::new(*time, *sequence);
        match self.schema {
            Schema::Ecs => self.finish(&Remnant { time, event }, line),
            Schema::SplunkCim => self.finish(&cim::Remnant::new(time, &event), line),
            Schema::Ocsf => self.finish(&ocsf::Lifecycle::remnant(time, &event), line),
        };
    }

    fn finish<T: Serialize>(&self, fields: &T, line: &mut Vec<u8>) -> bool {
        let written = fields.serialize(&mut Json(line)).is_ok();
        line.pop();
        line.extend_from_slice(&self.tail);
        written
    }
}

/// `event.action` of what is left of a document.
pub(super) const CUT: &str = "document-cut";

/// What is left of a document that no cut makes short enough, so that its sequence is no gap.
#[derive(Debug, Serialize)]
struct Remnant {
    #[serde(rename = "@timestamp")]
    time: Instant,
    event: Event<'static>,
}

impl Remnant {
    fn new(time: u64, sequence: u64) -> Self {
        let event = Event::new(sequence, CUT, "dnstrail.sensor");
        Self { time: Instant(time), event: Event { r#type: &[Type::Error], ..event } }
    }
}

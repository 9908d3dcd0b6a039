//! From a document to one line.

use super::event::{Event, Type};
use super::images::Images;
use super::limits::{DEFAULT_LINE, LONGEST_LINE, Limits, SHORTEST_LINE};
use super::line::{Document, Line, Schema};
use super::{Agent, cim, ecs, ocsf};
use crate::host::Host;
use crate::json::{Json, Memory};

/// Writes documents as JSON, one a line. Nothing is allocated for a document once its buffers have grown to
/// their size.
#[derive(Debug)]
pub struct Writer {
    /// The fields that end every line, and its newline.
    tail: Vec<u8>,
    schema: Schema,
    limit: usize,
    memory: Memory,
    images: Images,
}

impl Writer {
    #[must_use]
    pub fn new(schema: Schema, host: &Host, agent: &Agent) -> Self {
        let mut memory = Memory::default();
        let mut tail = Vec::new();
        let mut json = Json::open(&mut tail, &mut memory);
        match schema {
            Schema::Ecs => ecs::tail(&mut json, host, agent),
            Schema::SplunkCim => cim::tail(&mut json, host, agent),
            Schema::Ocsf => ocsf::tail(&mut json, host, agent),
        }
        json.close();
        tail.remove(0);
        tail.push(b'\n');
        Self { tail, schema, limit: DEFAULT_LINE, memory, images: Images::default() }
    }

    /// Bytes that no line exceeds, its newline included; from [`SHORTEST_LINE`] to [`LONGEST_LINE`], else
    /// the nearest of the two.
    #[must_use]
    pub fn with_limit(self, limit: usize) -> Self {
        Self { limit: limit.clamp(SHORTEST_LINE, LONGEST_LINE), ..self }
    }

    /// Bytes of the fields of process images that are kept.
    #[must_use]
    pub fn cached_bytes(&self) -> usize {
        self.images.bytes()
    }

    /// Appends the document as one JSON object and a newline. `time` is in nanoseconds since the Unix epoch,
    /// `sequence` numbers the lines of the stream. A document that is too long is cut, as `dnstrail.cut`
    /// then says.
    pub fn write(&mut self, time: u64, sequence: u64, document: &impl Document, bytes: &mut Vec<u8>) {
        let start = bytes.len();
        for limits in Limits::steps(self.limit) {
            self.attempt(time, sequence, document, limits, bytes);
            if bytes.len() - start <= self.limit {
                return;
            }
            bytes.truncate(start);
        }
        self.attempt(time, sequence, &Remnant, Limits::narrowest(self.limit), bytes);
    }

    fn attempt(&mut self, time: u64, sequence: u64, document: &impl Document, limits: Limits, bytes: &mut Vec<u8>) {
        let Self { schema, memory, images, tail, .. } = self;
        memory.cuts.clear();
        let mut line = Line::new(Json::open(bytes, memory), limits, (time, sequence), *schema, images);
        match schema {
            Schema::Ecs => document.ecs(&mut line),
            Schema::SplunkCim => document.cim(&mut line),
            Schema::Ocsf => document.ocsf(&mut line),
        }
        bytes.extend_from_slice(tail);
    }
}

/// The line in place of a document that no cut makes short enough: its sequence number then is no gap.
struct Remnant;

const REMNANT: Event<'static> = Event { types: &[Type::Error], ..Event::new("document-cut", "dnstrail.sensor") };

impl Document for Remnant {
    fn ecs(&self, line: &mut Line<'_>) {
        ecs::begin(line, &REMNANT);
    }

    fn cim(&self, line: &mut Line<'_>) {
        cim::begin(line, &REMNANT);
    }

    fn ocsf(&self, line: &mut Line<'_>) {
        ocsf::begin_lifecycle(line, &REMNANT, ocsf::Lifecycle::Other, None);
        line.json.object("unmapped", |json| ecs::event(json, &REMNANT, line.sequence, line.limits));
    }
}

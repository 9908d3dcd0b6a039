//! The stream of documents. The journal numbers every document, writes it once for each format in use, and gives
//! the line to the outputs. Reports of the sensor about itself enter the stream here.

mod document;
mod fields;
mod losses;
mod parts;
mod report;
mod sentence;
mod status;

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::host::Host;
use crate::metrics::Metrics;
use crate::schema::{Agent, Schema, Writer};
use crate::sighting::{self, Culprit, Emit};
use crate::sink::{Format, Kind, Line, Outputs};
pub use fields::{ACTIONS, FIELDS};
pub use losses::Losses;
pub use report::{Body, Document, ListState, Report, Status, WayIn};

/// The time that outputs get to empty their buffers at the end.
const DRAIN: Duration = Duration::from_secs(5);
/// The time that outputs get for the documents about the end.
const CLOSE: Duration = Duration::from_secs(2);

/// The one place where documents are numbered and written.
pub struct Journal {
    sequence: u64,
    writers: [(Format, Writer); Format::ALL.len()],
    outputs: Outputs,
    /// One buffer for all lines.
    line: Vec<u8>,
    losses: Losses,
    metrics: Arc<Metrics>,
}

impl Journal {
    #[must_use]
    pub fn new(outputs: Outputs, host: &Host, metrics: Arc<Metrics>) -> Self {
        // The kernel makes another one for each read: it names this run alone.
        let run = std::fs::read_to_string("/proc/sys/kernel/random/uuid").unwrap_or_default();
        let agent = Agent::new(host, run.trim());
        let writers = Format::ALL.map(|format| (format, Writer::new(schema(format), host, &agent)));
        Self { sequence: 0, writers, outputs, line: Vec::with_capacity(1 << 14), losses: Losses::default(), metrics }
    }

    /// Writes a report. `time`: nanoseconds since the Unix epoch.
    pub fn report(&mut self, time: u64, report: Report<'_>) {
        self.write(time, Body::Report(report));
    }

    /// Retries outputs that failed, reports their changes, and flushes what waits.
    pub fn tend(&mut self, now: u64) {
        self.outputs.tick(Instant::now());
        self.report_changes(now);
        self.outputs.flush();
    }

    /// An output that fails is reported to stderr at once, and to the stream, which other outputs may carry.
    fn report_changes(&mut self, now: u64) {
        for change in self.outputs.take_changes() {
            eprintln!("dnstrail: output {}: {}", change.output, change.message);
            let report = Report::Output {
                output: &change.output,
                failing: change.failing,
                message: &change.message,
                dropped: change.dropped,
            };
            self.report(now, report);
        }
    }

    /// Empties all outputs. Then the outputs that still work take the losses of the others, and the stop if there
    /// is a reason for one. Returns the number of lost lines.
    pub fn finish(&mut self, now: u64, stop: Option<&str>) -> u64 {
        self.tick(now, &[]);
        self.outputs.drain(DRAIN);
        self.report_changes(now);
        if let Some(reason) = stop {
            let metrics = Arc::clone(&self.metrics);
            self.report(now, Report::Stop { reason, metrics: &metrics });
        }
        self.outputs.close(CLOSE);
        for change in self.outputs.take_changes() {
            eprintln!("dnstrail: output {}: {}", change.output, change.message);
        }
        let mut lost = 0;
        for loss in self.outputs.losses() {
            eprintln!("dnstrail: {loss}");
            lost += loss.dropped;
        }
        lost
    }

    /// Publishes the size of its tables.
    pub fn publish(&self) {
        let bytes: usize = self.writers.iter().map(|(_, writer)| writer.cached_bytes()).sum();
        self.metrics.levels.image_cache_bytes.set(bytes as u64);
    }

    /// The outputs, in the order in which they were given.
    pub fn outputs(&mut self) -> &mut Outputs {
        &mut self.outputs
    }

    fn write(&mut self, time: u64, body: Body<'_>) {
        self.sequence += 1;
        self.metrics.traffic.documents.add(1);
        let document = Document { time, sequence: self.sequence, body };
        let (kind, severity) = kind_of(&document.body);
        for (format, writer) in &mut self.writers {
            if !self.outputs.formats(kind).any(|wanted| wanted == *format) {
                continue;
            }
            self.line.clear();
            document.write(writer, &mut self.line);
            self.outputs.write(&Line { bytes: &self.line, format: *format, kind, severity, time });
        }
    }
}

impl Emit for Journal {
    fn emit(&mut self, time: u64, document: sighting::Document<'_>) {
        self.write(time, document.into());
    }

    /// Reports the losses since the last call.
    fn tick(&mut self, now: u64, culprits: &[Culprit]) {
        let metrics = Arc::clone(&self.metrics);
        let mut losses = std::mem::take(&mut self.losses);
        if let Some(report) = losses.report(&metrics, culprits) {
            self.report(now, report);
        }
        self.losses = losses;
    }
}

fn schema(format: Format) -> Schema {
    match format {
        Format::Ecs => Schema::Ecs,
        Format::SplunkCim => Schema::SplunkCim,
        Format::Ocsf => Schema::Ocsf,
    }
}

/// The kind and the severity that filters and syslog priorities go by.
fn kind_of(body: &Body<'_>) -> (Kind, Option<u8>) {
    match body {
        Body::Report(Report::AlertSummary(summary)) => (Kind::Alert, summary.matched.severity()),
        Body::Report(Report::Loss { .. } | Report::Status(_)) => (Kind::Metric, None),
        Body::Report(_) => (Kind::State, None),
        sighting => sighting.alert().map_or((Kind::Event, None), |alert| (Kind::Alert, alert.severity)),
    }
}

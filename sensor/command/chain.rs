//! What stands behind the events, live or read from a capture: the pipeline, the writer of lines and
//! the outputs, joined by one reused buffer.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::ecs::{Agent, Schema, Writer};
use crate::event::Event;
use crate::host::Host;
use crate::journal::{Body, Document, Report};
use crate::metrics::Metrics;
use crate::pipeline::Pipeline;
use crate::sink::{Format, Kind, Line, Outputs};

/// Outputs get this long to empty their buffers at the end.
const DRAIN: Duration = Duration::from_secs(5);
/// The documents about the end get this long more, in the outputs that still take one.
const CLOSE: Duration = Duration::from_secs(2);

pub struct Chain {
    pipeline: Pipeline,
    outlet: Outlet,
}

impl Chain {
    pub fn new(pipeline: Pipeline, outputs: Outputs, metrics: Arc<Metrics>) -> Self {
        let host = Host::read("/".as_ref());
        // Of this run alone; the kernel makes one anew for each read.
        let run = std::fs::read_to_string("/proc/sys/kernel/random/uuid").unwrap_or_default();
        let agent = Agent::new(&host, run.trim());
        let writers = Format::ALL.map(|format| (format, Writer::of(schema(format), &host, &agent)));
        Self { pipeline, outlet: Outlet { writers, outputs, line: Vec::with_capacity(1 << 14), metrics } }
    }

    pub fn push(&mut self, event: &Event<'_>) {
        let Self { pipeline, outlet } = self;
        pipeline.push(event, &mut |document| outlet.write(document));
    }

    /// Nanoseconds since the Unix epoch; see [`Pipeline::tick`].
    pub fn tick(&mut self, now: u64) {
        let Self { pipeline, outlet } = self;
        pipeline.tick(now, &mut |document| outlet.write(document));
    }

    /// Looks after the outputs: what failed is tried again and told, and what waits is written.
    pub fn tend(&mut self, now: u64) {
        self.outlet.outputs.tick(Instant::now());
        self.tell_changes(now);
        self.outlet.outputs.flush();
    }

    pub fn report(&mut self, now: u64, report: Report<'_>) {
        let Self { pipeline, outlet } = self;
        pipeline.report(now, report, &mut |document| outlet.write(document));
    }

    /// An output that fails is told to a person at once, and to the stream, which other outputs may
    /// still carry.
    fn tell_changes(&mut self, now: u64) {
        for change in self.outlet.outputs.take_changes() {
            eprintln!("dnstrail: output {}: {}", change.output, change.message);
            self.report(
                now,
                Report::Output {
                    output: &change.output,
                    failing: change.failing,
                    message: &change.message,
                    dropped: change.dropped,
                },
            );
        }
    }

    /// What the outputs have done, in their order.
    pub fn outputs(&mut self) -> &mut Outputs {
        &mut self.outlet.outputs
    }

    pub fn pipeline(&mut self) -> &mut Pipeline {
        &mut self.pipeline
    }

    pub fn flush(&mut self) {
        self.outlet.outputs.flush();
    }

    pub fn reopen(&mut self) {
        self.outlet.outputs.reopen();
    }

    /// Nobody reads any output any more.
    pub fn is_over(&self) -> bool {
        self.outlet.outputs.are_over()
    }

    /// Emits the last documents and empties all outputs. Then the outputs that still work take the losses
    /// of the others and the stop document, if there is to be one. Returns the number of lost lines.
    pub fn finish(&mut self, now: u64, stop: Option<&str>) -> u64 {
        let Self { pipeline, outlet } = self;
        pipeline.finish(now, &mut |document| outlet.write(document));
        self.outlet.outputs.drain(DRAIN);
        self.tell_changes(now);
        if let Some(reason) = stop {
            let metrics = Arc::clone(&self.outlet.metrics);
            self.report(now, Report::Stop { reason, metrics: &metrics });
        }
        self.outlet.outputs.close(CLOSE);
        for change in self.outlet.outputs.take_changes() {
            eprintln!("dnstrail: output {}: {}", change.output, change.message);
        }
        let mut lost = 0;
        for loss in self.outlet.outputs.losses() {
            eprintln!("dnstrail: {loss}");
            lost += loss.dropped;
        }
        lost
    }
}

struct Outlet {
    writers: [(Format, Writer); Format::ALL.len()],
    outputs: Outputs,
    /// One buffer for all lines.
    line: Vec<u8>,
    metrics: Arc<Metrics>,
}

impl Outlet {
    fn write(&mut self, document: &Document<'_>) {
        let (kind, severity) = kind_of(document);
        for (format, writer) in &self.writers {
            if !self.outputs.formats(kind).any(|wanted| wanted == *format) {
                continue;
            }
            self.line.clear();
            writer.write(document, &mut self.line);
            self.outputs.write(&Line { bytes: &self.line, format: *format, kind, severity, time: document.time });
        }
    }
}

fn schema(format: Format) -> Schema {
    match format {
        Format::Ecs => Schema::Ecs,
        Format::SplunkCim => Schema::SplunkCim,
        Format::Ocsf => Schema::Ocsf,
    }
}

/// What filters and syslog priorities go by.
fn kind_of(document: &Document<'_>) -> (Kind, Option<u8>) {
    match &document.body {
        Body::Dns(dns) if dns.alert => (Kind::Alert, dns.severity()),
        Body::Dns(_) | Body::Connection(_) => (Kind::Event, None),
        Body::Report(Report::AlertSummary(summary)) => (Kind::Alert, summary.matched.severity()),
        Body::Report(Report::Loss { .. }) => (Kind::Metric, None),
        Body::Report(_) => (Kind::State, None),
    }
}

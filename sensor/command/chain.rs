//! The pipeline with the journal behind it, fed by the kernel side or by a capture.

use std::sync::Arc;

use crate::event::Event;
use crate::host::Host;
use crate::journal::{Journal, Report};
use crate::metrics::Metrics;
use crate::pipeline::Pipeline;
use crate::sink::Outputs;

pub struct Chain {
    pipeline: Pipeline,
    journal: Journal,
}

impl Chain {
    /// `host`: the one that the documents name.
    pub fn new(pipeline: Pipeline, outputs: Outputs, host: &Host, metrics: Arc<Metrics>) -> Self {
        Self { pipeline, journal: Journal::new(outputs, host, metrics) }
    }

    pub fn push(&mut self, event: &Event<'_>) {
        self.pipeline.push(event, &mut self.journal);
    }

    /// Nanoseconds since the Unix epoch; see [`Pipeline::tick`].
    pub fn tick(&mut self, now: u64) {
        self.pipeline.tick(now, &mut self.journal);
    }

    /// See [`Journal::tend`].
    pub fn tend(&mut self, now: u64) {
        self.journal.tend(now);
    }

    pub fn report(&mut self, now: u64, report: Report<'_>) {
        self.journal.report(now, report);
    }

    pub fn outputs(&mut self) -> &mut Outputs {
        self.journal.outputs()
    }

    pub fn pipeline(&mut self) -> &mut Pipeline {
        &mut self.pipeline
    }

    /// Publishes the sizes of all tables.
    pub fn publish(&self) {
        self.pipeline.publish();
        self.journal.publish();
    }

    pub fn flush(&mut self) {
        self.outputs().flush();
    }

    pub fn reopen(&mut self) {
        self.outputs().reopen();
    }

    /// Whether the readers of all outputs went away.
    pub fn is_over(&mut self) -> bool {
        self.outputs().are_over()
    }

    /// Emits the last documents, then closes the stream; see [`Journal::finish`].
    pub fn finish(&mut self, now: u64, stop: Option<&str>) -> u64 {
        self.pipeline.finish(now, &mut self.journal);
        self.journal.finish(now, stop)
    }
}

//! `--heartbeat`: a document in a fixed interval says that the sensor is alive, and how it is.

use std::time::{Duration, Instant};

use super::chain::Chain;
use super::exposition::resident_bytes;
use super::rulebook::Rulebook;
use crate::journal::{Report, Status, WayIn};
use crate::metrics::Metrics;

/// When the next document is due, and what does not change from one to the next.
pub struct Heartbeat {
    started: Instant,
    interval: Duration,
    next: Option<Instant>,
    ways_in: Vec<WayIn>,
}

impl Heartbeat {
    /// `interval`: none is written where it is zero.
    pub fn new(interval: Duration, ways_in: Vec<WayIn>) -> Self {
        let started = Instant::now();
        let next = if interval.is_zero() { None } else { started.checked_add(interval) };
        Self { started, interval, next, ways_in }
    }

    /// How long the loop may sleep at the most.
    pub fn timeout(&self) -> Option<Duration> {
        Some(self.next?.saturating_duration_since(Instant::now()))
    }

    /// Writes the document if it is due. `now`: nanoseconds since the Unix epoch.
    pub fn turn(&mut self, now: u64, chain: &mut Chain, rulebook: &Rulebook, metrics: &Metrics) {
        let instant = Instant::now();
        if self.next.is_none_or(|next| next > instant) {
            return;
        }
        // A loop that was held up does not make up for what it missed.
        self.next = instant.checked_add(self.interval);
        chain.publish();
        let (lists, outputs) = (rulebook.states(), chain.outputs().states());
        let status = Status {
            uptime: (instant - self.started).as_secs(),
            resident: resident_bytes(),
            ways_in: &self.ways_in,
            lists: &lists,
            outputs: &outputs,
            metrics,
        };
        chain.report(now, Report::Status(status));
    }
}

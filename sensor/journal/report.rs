//! A document with its place in the stream: a sighting, or a report in which the sensor describes its own state.

use crate::alert;
use crate::metrics::Metrics;
use crate::sighting::{self, Culprit};
use crate::sink::OutputState;

/// A document with its place in the stream.
#[derive(Debug)]
pub struct Document<'a> {
    /// Nanoseconds since the Unix epoch.
    pub time: u64,
    /// `event.sequence`, stream-wide, from 1, without gaps.
    pub sequence: u64,
    pub body: Body<'a>,
}

/// A sighting, or a report.
pub type Body<'a> = sighting::Body<'a, Report<'a>>;

impl<'a> From<sighting::Document<'a>> for Body<'a> {
    fn from(document: sighting::Document<'a>) -> Self {
        document.reported(Report::AlertSummary)
    }
}

/// A report of the sensor about itself.
#[derive(Debug)]
pub enum Report<'a> {
    Start {
        ways_in: &'a [WayIn],
        command_line: &'a str,
        /// The walls around the process that reads foreign bytes, and whether each stands.
        walls: &'a [(&'static str, bool)],
    },
    /// Totals since the start, and the reason of the end.
    Stop {
        reason: &'a str,
        metrics: &'a Metrics,
    },
    /// The sensor is alive.
    Status(Status<'a>),
    /// Counts that grew since the last such report: name, growth, total.
    Loss {
        losses: &'a [(&'static str, u64, u64)],
        /// The processes to which most of it is due, the worst first.
        culprits: &'a [Culprit],
    },
    RulesLoaded {
        lists: &'a [ListState],
        elapsed: u64,
    },
    AlertSummary(alert::Summary<'a>),
    /// The kernel side lost sight of something (`lost`), or sees everything again (`None`).
    Sight {
        lost: Option<&'a str>,
        /// The hook that had lost its program has one again.
        attached_again: bool,
    },
    /// An output fails or works again.
    Output {
        output: &'a str,
        failing: bool,
        message: &'a str,
        dropped: u64,
    },
}

/// The state of the sensor at one moment.
#[derive(Debug, Clone, Copy)]
pub struct Status<'a> {
    /// Seconds since the start.
    pub uptime: u64,
    /// Bytes of memory of the whole program. `None` where `/proc` does not say.
    pub resident: Option<u64>,
    pub ways_in: &'a [WayIn],
    pub lists: &'a [ListState],
    pub outputs: &'a [OutputState],
    pub metrics: &'a Metrics,
}

/// The hooks that fill one role on this kernel.
#[derive(Debug, Clone)]
pub struct WayIn {
    /// The facts that the role provides: `sends`, `leaves`, `comes back`, `tasks`, `was there before`.
    pub role: &'static str,
    /// The hook that was taken; `None`: the role is not filled.
    pub taken: Option<String>,
    /// Hooks that were tried first, with the reason why the kernel refused each.
    pub refused: Vec<(String, String)>,
    /// The sightings that are missed because of the refusals.
    pub not_seen: Option<String>,
}

/// The state of one list after a load.
#[derive(Debug, Clone, Default)]
pub struct ListState {
    pub id: String,
    pub path: String,
    pub version: String,
    pub names: u64,
    pub addresses: u64,
    pub skipped: u64,
    /// Seconds since this version came into force; a status has it.
    pub age: Option<u64>,
    /// The list was not loaded; its last good version stays in force, if there was one.
    pub error: Option<String>,
}

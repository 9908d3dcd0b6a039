//! The one interface that every output has, and the settings that the loop gives it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::health::Health;
use super::line::Line;

/// The treatment of a line that finds the buffer of its output full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhenFull {
    /// Live: the line is dropped and counted.
    Drop,
    /// Replay: the line waits as long as the output takes anything at all.
    Wait,
}

/// Answers whether the program was asked to end, so that an output stops waiting for a reader. The
/// question is asked at most ten times a second.
pub type Stopping = Arc<dyn Fn() -> bool + Send + Sync>;

/// One output. Its methods are called by the loop and return nothing: trouble is kept in `health`.
pub(super) trait Sink {
    fn write(&mut self, line: &Line<'_>);
    /// Lines written so far are to leave now.
    fn flush(&mut self);
    /// The file behind the path may be another one.
    fn reopen(&mut self) {}
    fn tick(&mut self, now: Instant);
    /// Every line is to leave before `deadline`; more lines may follow.
    fn start_drain(&mut self, deadline: Instant);
    /// Waits for the drain. An output that still holds lines at the deadline is over.
    fn finish_drain(&mut self, deadline: Instant);
    /// No line will follow, and every line is to leave before `deadline`.
    fn start_close(&mut self, deadline: Instant);
    /// Waits until every line has left, and counts those that have not.
    fn finish_close(&mut self, deadline: Instant);
    fn health(&mut self) -> &mut Health;
    fn backlog(&self) -> Backlog;
    /// The output takes no line any more.
    fn is_over(&self) -> bool;
}

/// Lines that an output has taken over and that have not left.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Backlog {
    pub lines: u64,
    pub bytes: usize,
    /// How long the output has taken nothing, if it does not.
    pub away: Option<Duration>,
}

/// How the loop treats one output.
pub(super) struct Handling {
    /// Bytes kept while the output cannot take them.
    pub capacity: usize,
    pub when_full: WhenFull,
    pub stopping: Stopping,
}

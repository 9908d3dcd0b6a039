//! The outputs of one run as a set: each line goes to those that want it, and their health and counts
//! come back.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::delivery::{Delivery, Opened};
use super::error::{Cause, FileError, OpenError};
use super::file::{FileKind, LogFile};
use super::health::Tally;
use super::line::{Format, Kind, Kinds, Line};
use super::output::{Backlog, Handling, Sink, Stopping, WhenFull};
use super::remote::{self, Worker};
use super::stream::{self, PipeConnector, Stdout};
use super::target::{Rotate, Rotation, Route, Target};
use crate::metrics::Metrics;

/// The pause between two rounds of [`Outputs::tick`]; calls in between cost a comparison.
pub const TICK: Duration = Duration::from_secs(1);

/// An output fails, or works again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    pub output: String,
    pub failing: bool,
    /// The reason and its remedy, in one sentence.
    pub message: String,
    /// Lines that this output has dropped since the start.
    pub dropped: u64,
}

/// Lines that did not reach, or may not have reached, the reader of one output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Loss<'a> {
    pub output: &'a str,
    /// Lines given to the output.
    pub lines: u64,
    pub dropped: u64,
    pub uncertain: u64,
}

impl fmt::Display for Loss<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Loss { output, lines, dropped, uncertain } = self;
        write!(out, "output {output}: {dropped} of {lines} lines were lost")?;
        if *uncertain > 0 {
            write!(out, ", and up to {uncertain} may not have been read")?;
        }
        Ok(())
    }
}

/// One output at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutputState {
    pub name: String,
    pub tally: Tally,
    pub failing: bool,
    pub backlog: Backlog,
}

/// All outputs of one run.
pub struct Outputs {
    all: Vec<Output>,
    metrics: Arc<Metrics>,
    ticked: Instant,
}

struct Output {
    name: String,
    format: Format,
    kinds: Kinds,
    sink: Box<dyn Sink>,
    /// The part of its tally that the metrics hold.
    counted: Tally,
}

impl Outputs {
    /// Opens every output. A syslog receiver that is away is no error, a file that cannot be written is.
    ///
    /// # Errors
    /// The first output that cannot be opened, with the reason and its remedy.
    pub fn open(
        targets: Vec<Target>,
        when_full: WhenFull,
        stopping: &Stopping,
        metrics: Arc<Metrics>,
    ) -> Result<Self, OpenError> {
        if targets.is_empty() {
            return Err(OpenError::None);
        }
        let alone = targets.len() == 1;
        let mut outputs: Vec<Output> = Vec::with_capacity(targets.len());
        for target in targets {
            // Two connections to one receiver are of use, with another `kind` each.
            let is_syslog = matches!(target.route, Route::Syslog(_));
            if !is_syslog && outputs.iter().any(|output| output.name == target.name) {
                return Err(OpenError::Twice { name: target.name });
            }
            let Target { name, route, format, kinds, buffer } = target;
            let handling = Handling { capacity: buffer, when_full, stopping: Arc::clone(stopping) };
            match open(route, alone, handling) {
                Ok(sink) => outputs.push(Output { name, format, kinds, sink, counted: Tally::default() }),
                Err(cause) => return Err(OpenError::Output { name, cause: Box::new(cause) }),
            }
        }
        Ok(Outputs { all: outputs, metrics, ticked: Instant::now() })
    }

    /// The formats in which some output wants a document of this kind; each is to be made once.
    pub fn formats(&self, kind: Kind) -> impl Iterator<Item = Format> + '_ {
        let wants = move |format: &Format| {
            self.all.iter().any(|output| output.format == *format && output.kinds.contains(kind))
        };
        Format::ALL.into_iter().filter(wants)
    }

    /// Gives a line to every output of its format that takes its kind.
    pub fn write(&mut self, line: &Line<'_>) {
        for output in &mut self.all {
            if output.format == line.format && output.kinds.contains(line.kind) {
                output.sink.write(line);
            }
        }
    }

    /// Lets lines leave. The loop calls it when the ring is empty.
    pub fn flush(&mut self) {
        for output in &mut self.all {
            output.sink.flush();
        }
    }

    /// Opens files anew that were renamed away, as SIGHUP asks for.
    pub fn reopen(&mut self) {
        for output in &mut self.all {
            output.sink.reopen();
        }
    }

    /// Collects health and counts, at most once in each [`TICK`]. The loop calls it also when it is idle.
    pub fn tick(&mut self, now: Instant) {
        if now.saturating_duration_since(self.ticked) < TICK {
            return;
        }
        self.ticked = now;
        for output in &mut self.all {
            output.sink.tick(now);
        }
        self.count();
    }

    /// Whether every output is over, as when the reader of stdout has gone: then the run is done.
    #[must_use]
    pub fn are_over(&self) -> bool {
        self.all.iter().all(|output| output.sink.is_over())
    }

    /// Changes of health since the last call, oldest first for each output.
    pub fn take_changes(&mut self) -> Vec<Change> {
        let mut changes = Vec::new();
        for output in &mut self.all {
            let health = output.sink.health();
            while let Some((failing, message)) = health.take_change() {
                changes.push(Change { output: output.name.clone(), failing, message, dropped: health.tally.dropped });
            }
        }
        changes
    }

    /// Name, counts and whether it fails, for each output.
    pub fn tallies(&mut self) -> impl Iterator<Item = (&str, Tally, bool)> {
        self.all.iter_mut().map(|output| {
            let health = output.sink.health();
            (output.name.as_str(), health.tally, health.is_failing())
        })
    }

    /// The state of each output.
    pub fn states(&mut self) -> Vec<OutputState> {
        let state = |output: &mut Output| {
            let health = output.sink.health();
            let (tally, failing) = (health.tally, health.is_failing());
            OutputState { name: output.name.clone(), tally, failing, backlog: output.sink.backlog() }
        };
        self.all.iter_mut().map(state).collect()
    }

    /// The outputs that have lost lines, or may have. A reader of stdout that left has lost nothing.
    pub fn losses(&mut self) -> impl Iterator<Item = Loss<'_>> {
        self.all.iter_mut().filter_map(|output| {
            let health = output.sink.health();
            let Tally { lines, dropped, uncertain, .. } = health.tally;
            let is_lost = !health.reader_left && (dropped > 0 || uncertain > 0);
            is_lost.then_some(Loss { output: &output.name, lines, dropped, uncertain })
        })
    }

    /// The first step of the end: all outputs at once deliver their lines, for no longer than `limit`. An
    /// output that cannot is over and its loss is a change; the last documents go to the others.
    pub fn drain(&mut self, limit: Duration) {
        let deadline = Instant::now() + limit;
        for output in &mut self.all {
            output.sink.start_drain(deadline);
        }
        for output in &mut self.all {
            output.sink.finish_drain(deadline);
        }
        self.count();
    }

    /// The last step of the end: the lines since the drain leave, for no longer than `limit`, and every
    /// line that has not left by then is counted.
    pub fn close(&mut self, limit: Duration) {
        let deadline = Instant::now() + limit;
        for output in &mut self.all {
            output.sink.start_close(deadline);
        }
        for output in &mut self.all {
            output.sink.finish_close(deadline);
        }
        self.count();
    }

    /// Adds new losses to the metrics, which only the loop's thread writes.
    fn count(&mut self) {
        for output in &mut self.all {
            let tally = output.sink.health().tally;
            let losses = &self.metrics.losses;
            losses.output_dropped.add(tally.dropped - output.counted.dropped);
            losses.output_uncertain.add(tally.uncertain - output.counted.uncertain);
            output.counted = tally;
        }
    }
}

fn open(route: Route, alone: bool, handling: Handling) -> Result<Box<dyn Sink>, Cause> {
    let is_live = handling.when_full == WhenFull::Drop;
    Ok(match route {
        Route::Stdout if alone || !is_live || stream::stdout_never_waits() => {
            Box::new(Stdout::open(handling).map_err(Cause::Stdout)?)
        }
        Route::Stdout => {
            Box::new(Delivery::start(handling, || Ok(Worker::new(Box::new(PipeConnector::Stdout)).opened()))?)
        }
        Route::File { path, rotation } => {
            Box::new(Delivery::start(handling, move || open_path(path, rotation, is_live))?)
        }
        Route::Syslog(syslog) => {
            let open = move || Ok(Worker::new(remote::connector(&syslog)?).opened());
            Box::new(Delivery::start(handling, open)?)
        }
    })
}

/// A path as an output: a regular file, or a FIFO or device that is written like a connection.
fn open_path(path: PathBuf, rotation: Rotation, is_live: bool) -> Result<Opened, Cause> {
    let kind = FileKind::of(&path)?;
    let rotate = match rotation {
        Rotation::At(_) if kind != FileKind::Regular => return Err(FileError::Unrotatable.into()),
        Rotation::At(rotate) => Some(rotate),
        // A replay has an end, and its oldest lines are wanted as much as its newest.
        Rotation::Usual if is_live && kind == FileKind::Regular => Some(Rotate::default()),
        Rotation::Usual | Rotation::Never => None,
    };
    Ok(match kind {
        FileKind::Regular | FileKind::Endless => LogFile::open(path, rotate)?.opened(),
        FileKind::Waiting => Worker::new(Box::new(PipeConnector::Path(path))).opened(),
    })
}

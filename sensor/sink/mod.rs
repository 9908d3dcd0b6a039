//! Where lines go: stdout, a file, syslog; several at once, none of which holds up another. This room
//! knows bytes and nothing of what they say: documents are made above it, once per format in use.
//!
//! What may wait and what may not: the only stdout of a run, and a regular file, are written here and
//! now, so that a slow one slows the loop and the kernel counts the loss. Everything else (network,
//! local sockets, FIFOs, a stdout beside other outputs) has a thread and a bounded buffer of its own:
//! resolving a name, a TLS handshake and a stuck peer block, and must do so where nobody waits.

mod calendar;

mod delivery;
mod file;
mod health;
mod parameters;
mod pending;

mod remote;
mod stream;
mod target;

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::metrics::Metrics;
use delivery::Delivery;
use file::LogFile;
use health::Health;
pub use health::Tally;
pub use parameters::{PARAMETERS, Parameter, Scheme};
use remote::syslog;
use stream::pipe;
use stream::stdout::Stdout;
pub use target::{Address, Framing, Receiver, Rfc, Rotate, Route, Syslog, Target, TargetError, Tls};

/// One document as the outputs see it.
#[derive(Debug, Clone, Copy)]
pub struct Line<'a> {
    /// The document in `format`, with the newline that ends it and no other.
    pub bytes: &'a [u8],
    pub format: Format,
    pub kind: Kind,
    /// `event.severity`, 0 to 100, where a rule gave one.
    pub severity: Option<u8>,
    /// Of the document: nanoseconds since the Unix epoch.
    pub time: u64,
}

/// `event.kind` of a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Event,
    Alert,
    State,
    Metric,
}

impl Kind {
    pub const ALL: [Kind; 4] = [Kind::Event, Kind::Alert, Kind::State, Kind::Metric];

    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Kind::Event => "event",
            Kind::Alert => "alert",
            Kind::State => "state",
            Kind::Metric => "metric",
        }
    }
}

/// A set of [`Kind`]s.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kinds(u8);

impl Kinds {
    pub const NONE: Kinds = Kinds(0);
    pub const ALL: Kinds = Kinds(0b1111);

    #[must_use]
    pub const fn with(self, kind: Kind) -> Self {
        Kinds(self.0 | 1 << kind as u8)
    }

    #[must_use]
    pub const fn contains(self, kind: Kind) -> bool {
        self.0 & 1 << kind as u8 != 0
    }
}

/// The shape of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    Ecs,
    SplunkCim,
    Ocsf,
}

impl Format {
    pub const ALL: [Format; 3] = [Format::Ecs, Format::SplunkCim, Format::Ocsf];
}

/// What an output does with a line for which its buffer has no room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhenFull {
    /// Live: the line is dropped and counted.
    Drop,
    /// Replay: wait as long as the receiver takes anything at all.
    Wait,
}

/// Says that the program was asked to end, so that nothing here waits for a reader any longer. Asked
/// at most every [`stream::stdout::PATIENCE`].
pub type Stopping = Arc<dyn Fn() -> bool + Send + Sync>;

/// An output fails, or works again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    pub output: String,
    pub failing: bool,
    /// What happened and what to do about it, in one sentence.
    pub message: String,
    /// Lines that this output has dropped since the start.
    pub dropped: u64,
}

/// Why an output could not be opened at the start.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("output {name}: {reason}")]
    Output { name: String, reason: String },
    #[error("output {name} is given twice; keep one")]
    Twice { name: String },
    #[error("no output; give at least one, for example stdout")]
    None,
}

/// How often [`Outputs::tick`] does its work; calls in between cost a comparison.
pub const TICK: Duration = Duration::from_secs(1);

/// What each kind of output does. The set calls; nothing here fails upwards: trouble is kept in `health`.
trait Sink {
    fn write(&mut self, line: &Line<'_>);
    /// What was written so far is to leave now.
    fn flush(&mut self);
    /// The file behind the path may be another one.
    fn reopen(&mut self) {}
    fn tick(&mut self, now: Instant);
    /// No more lines will come: everything is to leave before `deadline`.
    fn start_close(&mut self, deadline: Instant);
    /// Waits until everything has left, and counts what has not.
    fn finish(&mut self, deadline: Instant);
    fn health(&mut self) -> &mut Health;
    /// Nobody will ever read this output again.
    fn is_over(&self) -> bool {
        false
    }
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
    /// What of its tally has been added to the metrics.
    counted: Tally,
}

impl Outputs {
    /// Opens every output. A syslog receiver that is away is no error, a file that cannot be written is.
    ///
    /// # Errors
    /// The first output that cannot be opened, with the reason and what to do.
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
            if outputs.iter().any(|output| output.name == target.name && !matches!(target.route, Route::Syslog(_))) {
                return Err(OpenError::Twice { name: target.name });
            }
            let sink = open(&target, alone, when_full, stopping)
                .map_err(|reason| OpenError::Output { name: target.name.clone(), reason })?;
            let Target { name, format, kinds, .. } = target;
            outputs.push(Output { name, format, kinds, sink, counted: Tally::default() });
        }
        Ok(Outputs { all: outputs, metrics, ticked: Instant::now() })
    }

    /// The formats in which some output wants a document of this kind: make it in each of them, once.
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

    /// To be called when the ring is drained: lines leave now.
    pub fn flush(&mut self) {
        for output in &mut self.all {
            output.sink.flush();
        }
    }

    /// SIGHUP: files that were renamed away are opened anew.
    pub fn reopen(&mut self) {
        for output in &mut self.all {
            output.sink.reopen();
        }
    }

    /// Looks after files, retries and counts; at most once per [`TICK`]. Call it also when nothing happens.
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

    /// Every output is over (the reader of stdout has gone): the run is done.
    #[must_use]
    pub fn are_over(&self) -> bool {
        self.all.iter().all(|output| output.sink.is_over())
    }

    /// Changes of health since the last call, oldest first per output.
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

    /// Name, counts and whether it fails, per output.
    pub fn tallies(&mut self) -> impl Iterator<Item = (&str, Tally, bool)> {
        self.all.iter_mut().map(|output| {
            let health = output.sink.health();
            (output.name.as_str(), health.tally, health.is_failing())
        })
    }

    /// Drains all outputs at once, for no longer than `limit`; what has not left by then is counted.
    pub fn close(&mut self, limit: Duration) {
        let deadline = Instant::now() + limit;
        for output in &mut self.all {
            output.sink.start_close(deadline);
        }
        for output in &mut self.all {
            output.sink.finish(deadline);
        }
        self.count();
    }

    /// The metrics have one writer, this thread: outputs with a thread of their own count for themselves.
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

fn open(target: &Target, alone: bool, when_full: WhenFull, stopping: &Stopping) -> Result<Box<dyn Sink>, String> {
    let delivery = |connector| -> Result<Box<dyn Sink>, String> {
        Ok(Box::new(Delivery::start(target.buffer, connector, when_full, Arc::clone(stopping))?))
    };
    match &target.route {
        Route::Stdout if alone || when_full == WhenFull::Wait || pipe::stdout_never_waits() => {
            Ok(Box::new(Stdout::open(target.buffer, Arc::clone(stopping)).map_err(|error| error.to_string())?))
        }
        Route::Stdout => delivery(Box::new(pipe::PipeConnector::Stdout)),
        Route::File { path, rotate } => match file::kind(path)? {
            file::FileKind::Regular => Ok(Box::new(
                LogFile::open(path.clone(), rotate.clone(), target.buffer).map_err(|error| error.to_string())?,
            )),
            file::FileKind::Waiting if rotate.is_some() => {
                Err("is no regular file and cannot be rotated; leave out the rotation".into())
            }
            file::FileKind::Waiting => delivery(Box::new(pipe::PipeConnector::Path(path.clone()))),
        },
        Route::Syslog(syslog) => delivery(syslog::connector(syslog)?),
    }
}

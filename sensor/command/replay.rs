//! `dnstrail replay`: captures go down the same chain as the events of the kernel.

use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;

use super::Failure;
use super::chain::Chain;
use super::parts::{Needs, confine};
use super::rulebook::Rulebook;
use super::signals::Signals;
use crate::cli::config;
use crate::host::Host;
use crate::metrics::Metrics;
use crate::observe::Observe;
use crate::pipeline::Pipeline;
use crate::replay::Capture;
use crate::sighting;
use crate::sink::{Outputs, Target, WhenFull};

/// Frames between two looks at signals and outputs.
const STRIDE: u64 = 4096;

/// # Errors
/// A capture that cannot be opened, or is damaged: what was readable has been written.
pub fn replay(files: &[PathBuf], settings: &config::Common) -> Result<(), Failure> {
    let signals = Signals::block().context("signals cannot be taken")?;
    let metrics = Arc::new(Metrics::new(settings.memory));
    let host = Host::read("/".as_ref());
    let targets = targets(&settings.outputs)?;
    confine(&Needs { outputs: &targets, rules: &settings.rules, files, ..Needs::default() })?;
    let (rulebook, _) = Rulebook::open(&settings.rules, || signals.is_ending())?;
    let outputs = open_outputs(targets, WhenFull::Wait, &signals, &metrics)?;
    let pipeline = Pipeline::new(
        &sighting::Settings {
            watch: settings.watch,
            ports: settings.ports.clone(),
            observe: Observe::All,
            timeout: u64::try_from(settings.timeout.as_nanos()).unwrap_or(u64::MAX),
            // The processes of a capture are unknown, so each match is an alert.
            alert_window: 0,
        },
        // The processes of a capture are not this host's.
        Host::default(),
        rulebook.current(),
        Arc::clone(&metrics),
    );
    let mut chain = Chain::new(pipeline, outputs, &host, Arc::clone(&metrics));
    let mut failed = None;
    let mut last = 0;
    for path in files {
        let outcome = read(path, &metrics, &signals, settings, &mut chain, &mut last);
        if let Err(error) = outcome {
            // The other captures are read all the same.
            if let Some(earlier) = failed.replace(error) {
                eprintln!("dnstrail: {}", super::sentence(&earlier));
            }
        }
        if signals.is_ending() || chain.is_over() {
            break;
        }
    }
    let lost = chain.finish(last, None);
    match failed {
        Some(error) => Err(Failure::AtRunTime(error)),
        None => super::all_arrived(lost),
    }
}

/// Reads one capture. `last` is the time up to which captures were read.
fn read(
    path: &Path,
    metrics: &Arc<Metrics>,
    signals: &Signals,
    settings: &config::Common,
    chain: &mut Chain,
    last: &mut u64,
) -> anyhow::Result<()> {
    let mut capture = Capture::open(path, Arc::clone(metrics))?;
    // A bar between lines on one terminal would spoil both.
    if !(settings.outputs.iter().any(|output| output == "stdout") && io::stdout().is_terminal()) {
        capture.show_progress();
    }
    let mut frames: u64 = 0;
    let outcome = loop {
        match capture.next_event() {
            Ok(Some(event)) => chain.push(&event),
            Ok(None) => break Ok(()),
            Err(error) => break Err(error.into()),
        }
        frames += 1;
        if frames.is_multiple_of(STRIDE) {
            chain.tick(capture.now());
            chain.tend(capture.now());
            if signals.is_ending() || chain.is_over() {
                break Ok(());
            }
        }
    };
    *last = capture.now();
    outcome
}

/// The meaning of each `OUT`.
///
/// # Errors
/// Wrong usage where one cannot be understood.
pub fn targets(texts: &[String]) -> Result<Vec<Target>, Failure> {
    let targets = texts.iter().map(|text| text.parse::<Target>()).collect::<Result<_, _>>();
    targets.map_err(|error| Failure::Usage(error.into()))
}

/// The outputs of a run or a replay.
///
/// # Errors
/// Wrong usage where a path is wrong; at run time where an output cannot be opened.
pub fn open_outputs(
    targets: Vec<Target>,
    when_full: WhenFull,
    signals: &Signals,
    metrics: &Arc<Metrics>,
) -> Result<Outputs, Failure> {
    Outputs::open(targets, when_full, &signals.stopping(), Arc::clone(metrics)).map_err(|error| {
        let is_usage = error.is_usage();
        if is_usage { Failure::Usage(error.into()) } else { Failure::AtRunTime(error.into()) }
    })
}

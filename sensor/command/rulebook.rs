//! The lists in force, and their renewal while the sensor runs: on SIGHUP and when a file changes.

use std::os::fd::{AsFd, BorrowedFd};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};

use super::Failure;
use super::chain::Chain;
use super::exposition::Levels;
use crate::journal::{ListState, Report};
use crate::rules::{Load, Lookout, Reload, Rules};
use crate::shown::Shown;

/// The longest wait before a request to end is looked for.
const STEP: Duration = Duration::from_millis(100);

pub struct Rulebook {
    paths: Vec<PathBuf>,
    current: Arc<Rules>,
    lookout: Option<Lookout>,
    reload: Option<Reload>,
    /// A reload was asked for while another was under way.
    again: bool,
    /// The lists of the last load, and when the version of each came into force.
    states: Vec<(ListState, Instant)>,
    /// Figures of the last load, for `--metrics`.
    addresses: u64,
    lists: u64,
    failing: u64,
}

impl Rulebook {
    /// Loads the lists for the first time, when each of them must be usable. A directory may still be empty.
    ///
    /// # Errors
    /// The first list that cannot be used, and what to do; or the program was asked to end, as `stopping` says.
    pub fn open(paths: &[PathBuf], stopping: impl Fn() -> bool) -> Result<(Self, Load), Failure> {
        let load = first_load(paths, stopping)?;
        for path in &load.empty {
            let path = Shown(path.display());
            eprintln!("dnstrail: {path}: no list is there yet; nothing matches until one is put there");
        }
        for path in &load.ignored {
            let path = Shown(path.display());
            eprintln!("dnstrail: {path}: is no list file, and is not read; name it with --rules or in a rules.toml");
        }
        let mut rulebook = Self {
            paths: paths.to_vec(),
            current: Arc::clone(&load.rules),
            lookout: None,
            reload: None,
            again: false,
            states: Vec::new(),
            addresses: 0,
            lists: 0,
            failing: 0,
        };
        rulebook.count(&load);
        Ok((rulebook, load))
    }

    /// Begins to watch the files that `load` read.
    ///
    /// # Errors
    /// No inotify instance is left; SIGHUP still renews.
    pub fn watch(&mut self, load: Load) -> Result<()> {
        if !self.paths.is_empty() {
            let lookout = Lookout::start(load.watch).context(
                "changes of rule files are not noticed, SIGHUP reads them (raise fs.inotify.max_user_instances)",
            )?;
            self.lookout = Some(lookout);
        }
        Ok(())
    }

    /// Whether a reload is under way.
    pub fn is_renewing(&self) -> bool {
        self.reload.is_some()
    }

    /// Publishes the figures of the lists in force.
    pub fn publish(&self, levels: &Levels) {
        levels.rules_names.set(self.current.names());
        levels.rules_addresses.set(self.addresses);
        levels.rules_lists.set(self.lists);
        levels.rules_lists_failing.set(self.failing);
    }

    /// The lists of the last load, with their age.
    pub fn states(&self) -> Vec<ListState> {
        let aged =
            |(state, since): &(ListState, Instant)| ListState { age: Some(since.elapsed().as_secs()), ..state.clone() };
        self.states.iter().map(aged).collect()
    }

    fn count(&mut self, load: &Load) {
        let before = std::mem::take(&mut self.states);
        let since = |state: &ListState| {
            let same = before.iter().find(|(known, _)| known.id == state.id && known.version == state.version);
            same.map_or_else(Instant::now, |(_, since)| *since)
        };
        self.states = states(load).into_iter().map(|state| (state.clone(), since(&state))).collect();
        self.addresses = load.lists.iter().map(|list| list.counts.addresses).sum();
        self.lists = load.lists.len() as u64;
        self.failing = load.lists.iter().filter(|list| list.error.is_some()).count() as u64;
    }

    pub fn current(&self) -> Arc<Rules> {
        Arc::clone(&self.current)
    }

    /// Descriptors that are readable when there may be something to do.
    pub fn descriptors(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.lookout.as_ref().map(AsFd::as_fd).into_iter().chain(self.reload.as_ref().map(AsFd::as_fd))
    }

    /// Reads everything again, as SIGHUP asks.
    pub fn renew(&mut self) {
        if self.reload.is_some() {
            self.again = true;
        } else if !self.paths.is_empty() {
            match Reload::start(self.paths.clone(), self.current()) {
                Ok(reload) => self.reload = Some(reload),
                Err(error) => eprintln!(
                    "dnstrail: rules stay as they are: no thread could be started to read them: {error}; send SIGHUP to try again"
                ),
            }
        }
    }

    /// Starts a reload when files changed, and puts the set of a finished reload in force.
    pub fn turn(&mut self, now: u64, chain: &mut Chain) {
        if self.lookout.as_mut().is_some_and(Lookout::take_change) {
            self.renew();
        }
        let Some(reload) = self.reload.take_if(|reload| reload.is_finished()) else { return };
        if let Some(load) = reload.finish() {
            self.current = Arc::clone(&load.rules);
            self.count(&load);
            chain.pipeline().set_rules(self.current());
            report(now, &load, chain);
            if let Some(lookout) = &mut self.lookout {
                lookout.renew(load.watch);
            }
        } else {
            eprintln!("dnstrail: rules stay as they are: the reader failed; send SIGHUP to try again");
        }
        if std::mem::take(&mut self.again) {
            self.renew();
        }
    }
}

/// Reads the lists beside the caller, so that a request to end is heard meanwhile.
fn first_load(paths: &[PathBuf], stopping: impl Fn() -> bool) -> Result<Load, Failure> {
    let reload = Reload::start(paths.to_vec(), None).context("no thread could be started to read the lists")?;
    while !reload.is_finished() {
        if stopping() {
            return Err(anyhow!("the program was asked to end before the lists were read").into());
        }
        reload.wait(STEP);
    }
    let load = reload.finish().context("the reader of the lists failed")?;
    load.complete().map_err(|error| Failure::Usage(error.into()))
}

/// Reports each list to the stream, and those that cannot be used on stderr as well.
pub fn report(now: u64, load: &Load, chain: &mut Chain) {
    for error in load.lists.iter().filter_map(|list| list.error.as_ref()) {
        eprintln!("dnstrail: {error}");
    }
    let lists = states(load);
    let elapsed = u64::try_from(load.elapsed.as_nanos()).unwrap_or(u64::MAX);
    chain.report(now, Report::RulesLoaded { lists: &lists, elapsed });
}

fn states(load: &Load) -> Vec<ListState> {
    load.lists
        .iter()
        .map(|list| ListState {
            id: list.id.clone(),
            path: list.path.display().to_string(),
            version: list.version.clone(),
            names: list.counts.names,
            addresses: list.counts.addresses,
            skipped: list.counts.skipped,
            age: None,
            error: list.error.as_ref().map(ToString::to_string),
        })
        .collect()
}

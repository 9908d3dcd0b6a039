//! Paths into a rule set, and a report of each list. On a reload, a list that cannot be used leaves its
//! last good entries in force. When to reload is left to `reload` and `watch`.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::super::index::compile::Builder;
use super::super::index::hash::Key;
use super::super::list::List;
use super::super::lists::{Counts, Format, Intake, Problem};
use super::super::set::{Loaded, Rules};
use super::manifest::{self, Action, Source, Unreadable};
use super::source;
use super::watch::Watched;

/// A rule set and how it came about.
#[derive(Debug)]
pub struct Load {
    pub rules: Arc<Rules>,
    pub lists: Vec<ListReport>,
    /// Directories that were given and hold no list yet.
    pub empty: Vec<PathBuf>,
    /// Every file and directory whose change means a reload, as it was before it was read.
    pub watch: Vec<Watched>,
    pub elapsed: Duration,
}

/// One list after a load.
#[derive(Debug, Clone, Default, serde::Serialize)]
pub struct ListReport {
    pub id: String,
    pub path: PathBuf,
    /// Of the entries in force.
    pub version: String,
    pub format: Option<Format>,
    pub action: Action,
    /// Of the entries in force.
    #[serde(flatten)]
    pub counts: Counts,
    /// Lines that were not understood: the first hundred.
    pub problems: Vec<Problem>,
    /// Why the list was not loaded.
    pub error: Option<String>,
    /// Not loaded, and its last good entries are in force.
    pub kept: bool,
}

/// The first start with a list that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Unusable(String);

impl Load {
    /// Refuses a set with a list that could not be loaded: right for the first start, where there is no
    /// last good list.
    ///
    /// # Errors
    /// The first such list, in one sentence: what, where, what to do.
    pub fn complete(self) -> Result<Self, Unusable> {
        match self.lists.iter().find_map(|list| list.error.clone()) {
            Some(error) => Err(Unusable(error)),
            None => Ok(self),
        }
    }
}

/// Reads every list that the paths name: a list file, a directory of lists, or a `rules.toml`.
/// `previous` is the set in force, whose lists stand in for those that cannot be used now.
#[must_use]
pub fn load(paths: &[PathBuf], previous: Option<&Rules>) -> Load {
    let start = Instant::now();
    let mut loading = Loading::new(previous);
    for path in paths {
        match manifest::sources(path, &mut loading.watch) {
            Ok(sources) => sources.into_iter().for_each(|source| loading.read(source)),
            // A directory that a rules.toml names is another path.
            Err(Unreadable::NoLists { path: empty }) if empty == *path && !loading.had_lists(path) => {
                loading.empty.push(empty);
            }
            Err(error) => loading.keep_all(path, &error.to_string()),
        }
    }
    let empty = std::mem::take(&mut loading.empty);
    let (rules, lists, watch) = loading.finish();
    Load { rules: Arc::new(rules), lists, empty, watch, elapsed: start.elapsed() }
}

struct Loading<'a> {
    previous: Option<&'a Rules>,
    builder: Builder,
    lists: Vec<Loaded>,
    reports: Vec<ListReport>,
    /// Index of a list in the previous set, and in this one.
    carried: HashMap<u16, u16>,
    ids: HashSet<String>,
    empty: Vec<PathBuf>,
    watch: Vec<Watched>,
}

impl<'a> Loading<'a> {
    fn new(previous: Option<&'a Rules>) -> Self {
        Self {
            previous,
            builder: Builder::new(previous.map_or_else(Key::random, |previous| previous.names.key)),
            lists: Vec::new(),
            reports: Vec::new(),
            carried: HashMap::new(),
            ids: HashSet::new(),
            empty: Vec::new(),
            watch: Vec::new(),
        }
    }

    fn read(&mut self, mut source: Source) {
        // Paths given one by one may have files of the same name.
        let base = source.settings.id.clone();
        let mut number = 2;
        while !self.ids.insert(source.settings.id.clone()) {
            source.settings.id = format!("{base}-{number}");
            number += 1;
        }
        let settings = &source.settings;
        let mut report = ListReport {
            id: settings.id.clone(),
            path: source.path.clone(),
            action: settings.action,
            ..ListReport::default()
        };
        let Ok(index) = u16::try_from(self.lists.len()) else {
            report.error = Some(format!("{}: more lists than there is room for", source.path.display()));
            self.reports.push(report);
            return;
        };
        let mark = self.builder.mark();
        let mut intake = Intake::new(&mut self.builder, index, settings.options());
        let outcome = source::read(&source.path, settings.format, settings.allow_empty, &mut intake);
        let (counts, problems) = intake.finish();
        report.problems = problems;
        match outcome {
            Ok(outcome) => {
                report.format = outcome.format;
                report.version = outcome.version;
                report.counts = counts;
                let list = Arc::new(List {
                    id: settings.id.clone(),
                    name: settings.name.clone().unwrap_or_else(|| settings.id.clone()),
                    category: settings.category.clone(),
                    reference: settings.reference.clone(),
                    feed: settings.feed.clone(),
                    severity: settings.severity,
                    path: source.path.clone(),
                    version: report.version.clone(),
                });
                self.lists.push(Loaded { list, origin: source.origin, format: report.format, counts });
                self.reports.push(report);
            }
            Err(error) => {
                self.builder.back(&mark);
                report.error = Some(format!("{}: {error}", source.path.display()));
                report.counts.skipped = counts.skipped;
                self.keep(&source.origin, report);
            }
        }
    }

    /// Whether lists of this path are in force: one that loses them all is no empty one.
    fn had_lists(&self, origin: &Path) -> bool {
        self.previous.is_some_and(|previous| previous.lists.iter().any(|loaded| loaded.origin == origin))
    }

    /// Puts the last good entries of a list in force, if there are any.
    fn keep(&mut self, origin: &Path, mut report: ListReport) {
        let lists = self.previous.map_or(&[][..], |previous| &previous.lists);
        let found = (0_u16..).zip(lists).find(|(_, loaded)| loaded.origin == origin && loaded.list.id == report.id);
        if let (Some((old, loaded)), Ok(new)) = (found, u16::try_from(self.lists.len())) {
            self.carried.insert(old, new);
            report.kept = true;
            report.format = loaded.format;
            report.version.clone_from(&loaded.list.version);
            report.counts = loaded.counts;
            self.lists.push(loaded.clone());
        }
        self.reports.push(report);
    }

    /// The same for every list that came from a path which names none now.
    fn keep_all(&mut self, origin: &Path, error: &str) {
        let lists = self.previous.map_or(&[][..], |previous| &previous.lists);
        let before = self.reports.len();
        for loaded in lists.iter().filter(|loaded| loaded.origin == origin) {
            self.ids.insert(loaded.list.id.clone());
            self.watch.push(Watched::new(loaded.list.path.clone()));
            let report = ListReport {
                id: loaded.list.id.clone(),
                path: loaded.list.path.clone(),
                error: Some(error.to_owned()),
                ..ListReport::default()
            };
            self.keep(origin, report);
        }
        if self.reports.len() == before {
            let (id, path) = (origin.display().to_string(), origin.to_owned());
            self.reports.push(ListReport { id, path, error: Some(error.to_owned()), ..ListReport::default() });
        }
    }

    fn finish(mut self) -> (Rules, Vec<ListReport>, Vec<Watched>) {
        if let Some(previous) = self.previous.filter(|_| !self.carried.is_empty()) {
            self.builder.carry(&previous.names, &previous.networks, &previous.details, &self.carried);
        }
        let compiled = self.builder.finish();
        let repeated = compiled.repeated_names.iter().map(|class| (class, true));
        for (class, is_name) in repeated.chain(compiled.repeated_networks.iter().map(|class| (class, false))) {
            let Some(loaded) = self.lists.get_mut(usize::from(class.list)) else { continue };
            let counts = &mut loaded.counts;
            counts.duplicates += 1;
            let entries = if is_name { &mut counts.names } else { &mut counts.addresses };
            *entries = entries.saturating_sub(1);
            counts.exceptions = counts.exceptions.saturating_sub(u64::from(class.allow));
        }
        for report in &mut self.reports {
            if let Some(loaded) = self.lists.iter().find(|loaded| loaded.list.id == report.id) {
                report.counts = loaded.counts;
            }
        }
        let rules = Rules::new(self.lists, compiled);
        (rules, self.reports, self.watch)
    }
}

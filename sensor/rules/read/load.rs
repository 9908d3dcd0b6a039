//! Paths into a rule set, and a report of each list. On a reload, a list that cannot be used leaves its
//! last good entries in force. When to reload is left to `reload` and `watch`.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::super::index::compile::{Builder, LARGEST_SET};
use super::super::index::hash::Key;
use super::super::list::List;
use super::super::lists::{Counts, Format, Intake, Problem};
use super::super::set::{Loaded, Rules};
use super::manifest::{Action, Found, Settings, Source};
use super::refusal::{ListError, Refusal};
use super::source;
use super::stamp::Watched;

/// A rule set and how it came about.
#[derive(Debug)]
pub struct Load {
    pub rules: Arc<Rules>,
    pub lists: Vec<ListReport>,
    /// Directories that were given and hold no list yet.
    pub empty: Vec<PathBuf>,
    /// Directories, pipes and the like in directories of lists: nothing was read from them.
    pub ignored: Vec<PathBuf>,
    /// Every file and directory whose change means a reload, as it was before it was read.
    pub watch: Vec<Watched>,
    pub elapsed: Duration,
}

/// One list after a load.
#[derive(Debug, Clone, Default)]
pub struct ListReport {
    pub id: String,
    pub path: PathBuf,
    /// The version of the entries in force.
    pub version: String,
    pub format: Option<Format>,
    pub action: Action,
    /// Counts of the entries in force.
    pub counts: Counts,
    /// Lines that were not understood: the first hundred.
    pub problems: Vec<Problem>,
    /// Why the list was not loaded.
    pub error: Option<ListError>,
    /// The list was not loaded, and its last good entries are in force.
    pub kept: bool,
}

impl Load {
    /// Refuses a set with a list that could not be loaded: right for the first start, where there is no
    /// last good list.
    ///
    /// # Errors
    /// The first such list, in one sentence: what, where, what to do.
    pub fn complete(self) -> Result<Self, ListError> {
        match self.lists.iter().find_map(|list| list.error.clone()) {
            Some(error) => Err(error),
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
    let (mut empty, mut ignored, mut watch) = (Vec::new(), Vec::new(), Vec::new());
    for path in paths {
        let mut found = Found::default();
        match found.add(path) {
            Ok(()) => found.sources.into_iter().for_each(|source| loading.take(source)),
            Err(error) if error.is_without_lists() && !loading.had_lists(path) => empty.push(path.clone()),
            Err(error) => loading.keep_all(path, None, path, &error),
        }
        ignored.extend(found.ignored);
        watch.extend(found.watch);
    }
    watch.append(&mut loading.watch);
    let (rules, lists) = loading.finish();
    Load { rules: Arc::new(rules), lists, empty, ignored, watch, elapsed: start.elapsed() }
}

struct Loading<'a> {
    previous: Option<&'a Rules>,
    builder: Builder,
    lists: Vec<Loaded>,
    reports: Vec<ListReport>,
    /// Index of a list in the previous set, and in this one.
    carried: HashMap<u16, u16>,
    ids: HashSet<String>,
    /// Lists that are kept though nothing names them now.
    watch: Vec<Watched>,
}

impl<'a> Loading<'a> {
    fn new(previous: Option<&'a Rules>) -> Self {
        let key = previous.map_or_else(Key::random, |previous| previous.names.key);
        Self {
            previous,
            builder: Builder::new(key, LARGEST_SET),
            lists: Vec::new(),
            reports: Vec::new(),
            carried: HashMap::new(),
            ids: HashSet::new(),
            watch: Vec::new(),
        }
    }

    fn take(&mut self, mut source: Source) {
        if let Some(error) = source.error {
            return self.keep_all(&source.origin, Some(&source.settings.id), &source.path, &error);
        }
        // Paths given one by one may have files of the same name.
        let base = source.settings.id.clone();
        let mut number = 2;
        while !self.ids.insert(source.settings.id.clone()) {
            source.settings.id = format!("{base}-{number}");
            number += 1;
        }
        let Source { origin, path, settings, .. } = source;
        let report = ListReport { id: settings.id.clone(), path, action: settings.action, ..ListReport::default() };
        if let Ok(index) = u16::try_from(self.lists.len()) {
            self.read(index, origin, &settings, report);
        } else {
            let error = Some(ListError::new(&report.path, Refusal::TooManyLists));
            self.reports.push(ListReport { error, ..report });
        }
    }

    fn read(&mut self, index: u16, origin: PathBuf, settings: &Settings, mut report: ListReport) {
        self.builder.begin_list();
        let mut intake = Intake::new(&mut self.builder, index, settings.options());
        let outcome = source::read(&report.path, settings.format, settings.allow_empty, &mut intake);
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
                    path: report.path.clone(),
                    version: report.version.clone(),
                });
                self.lists.push(Loaded { list, origin, format: report.format, counts });
                self.reports.push(report);
            }
            Err(refusal) => {
                self.builder.take_back();
                report.error = Some(ListError::new(&report.path, refusal));
                report.counts.skipped = counts.skipped;
                self.keep(&origin, report);
            }
        }
    }

    /// Whether lists of this path are in force: a path that loses all of them is no empty one.
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

    /// Keeps every list that came from a path which names none now: from all of `origin`, or from the directory
    /// that stands there under `id`. The error of the path is reported for each of them.
    fn keep_all(&mut self, origin: &Path, id: Option<&str>, path: &Path, error: &ListError) {
        let is_meant = |loaded: &&Loaded| {
            let below =
                |id: &str| loaded.list.id.strip_prefix(id).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
            loaded.origin == origin && id.is_none_or(below)
        };
        let lists = self.previous.map_or(&[][..], |previous| &previous.lists);
        let before = self.reports.len();
        for loaded in lists.iter().filter(is_meant) {
            self.ids.insert(loaded.list.id.clone());
            self.watch.push(Watched::new(loaded.list.path.clone()));
            let (id, path, error) = (loaded.list.id.clone(), loaded.list.path.clone(), Some(error.clone()));
            self.keep(origin, ListReport { id, path, error, ..ListReport::default() });
        }
        if self.reports.len() == before {
            let id = id.map_or_else(|| origin.display().to_string(), str::to_owned);
            let (path, error) = (path.to_owned(), Some(error.clone()));
            self.reports.push(ListReport { id, path, error, ..ListReport::default() });
        }
    }

    fn finish(mut self) -> (Rules, Vec<ListReport>) {
        if let Some(previous) = self.previous.filter(|_| !self.carried.is_empty()) {
            self.builder.carry(&previous.names, &previous.networks, &previous.details, &self.carried);
        }
        let compiled = self.builder.finish();
        for (class, repeated) in compiled.names.classes.iter().zip(&compiled.repeated) {
            let Some(loaded) = self.lists.get_mut(usize::from(class.list)) else { continue };
            loaded.counts.leave_out(*repeated, class.is_exception());
        }
        for report in &mut self.reports {
            if let Some(loaded) = self.lists.iter().find(|loaded| loaded.list.id == report.id) {
                report.counts = loaded.counts;
            }
        }
        (Rules::new(self.lists, compiled), self.reports)
    }
}

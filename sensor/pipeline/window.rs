//! Which alerts are repeats: a process that matches one entry again within the window raises no second
//! alert, and the first one's summary counts how often. What matches is left to `labels`.

use std::collections::{HashMap, VecDeque};
use std::hash::{Hash, Hasher};
use std::rc::Rc;
use std::sync::Arc;

use super::Outlet;
use crate::ecs::{AlertSummary, Body, Document, Match, Report};
use crate::event::{Task, TaskKey};
use crate::metrics::Metrics;
use crate::process::Process;
use crate::rules::{Hit, List};

/// Windows open at once. Few processes of a host match anything; where thousands do, the oldest window
/// ends early, with its summary, and its next repeat is an alert.
const OPEN: usize = 4_096;

/// `event.reason` of most summaries.
const ENDED: &str = "the alert window has ended";

/// Who raised an alert, and when.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asker<'a> {
    pub(super) process: Option<&'a Rc<Process>>,
    pub(super) task: Option<&'a Task>,
    pub(super) time: u64,
}

/// The windows that are open.
#[derive(Debug)]
pub(super) struct Window {
    /// Nanoseconds; 0: every match that is news is an alert.
    length: u64,
    metrics: Arc<Metrics>,
    open: HashMap<Key, Open>,
    /// In the order of their opening. One that was opened anew stands here twice until its first turn.
    order: VecDeque<(u64, Key)>,
}

/// One image of a process, and one entry of one list, also of a list that was loaded again.
#[derive(Debug, Clone)]
struct Key {
    process: TaskKey,
    list: Arc<List>,
    indicator: Arc<str>,
}

#[derive(Debug)]
struct Open {
    process: Option<Rc<Process>>,
    task: Option<Task>,
    matched: Match,
    first: u64,
    last: u64,
    repeats: u64,
}

impl Window {
    pub(super) fn new(length: u64, metrics: Arc<Metrics>) -> Self {
        Self { length, metrics, open: HashMap::new(), order: VecDeque::new() }
    }

    /// Whether one of these matches, none of which was told of this lookup before, is an alert; those
    /// that are repeats are counted. Of an asker that nobody knows each is an alert.
    pub(super) fn is_alert<'a>(
        &mut self,
        asker: Asker<'_>,
        mut news: impl Iterator<Item = &'a Match>,
        outlet: &mut Outlet,
        emit: &mut impl FnMut(&Document<'_>),
    ) -> bool {
        let process = asker.process.map(|process| process.key).or(asker.task.map(|task| task.process));
        let Some(process) = process.filter(|_| self.length > 0) else { return news.next().is_some() };
        let mut alert = false;
        for matched in news {
            let Hit { list, indicator, .. } = &matched.hit;
            let key = Key { process, list: Arc::clone(list), indicator: Arc::clone(indicator) };
            match self.open.get_mut(&key) {
                Some(open) if open.first.abs_diff(asker.time) < self.length => {
                    open.repeats += 1;
                    open.last = open.last.max(asker.time);
                    self.metrics.traffic.alert_repeats.add(1);
                }
                _ => {
                    if let Some(open) = self.open.remove(&key) {
                        open.tell(asker.time, ENDED, outlet, emit);
                    }
                    self.begin(key, asker, matched, outlet, emit);
                    alert = true;
                }
            }
        }
        alert
    }

    /// Tells what was repeated in windows that have ended by `now`.
    pub(super) fn expire(&mut self, now: u64, outlet: &mut Outlet, emit: &mut impl FnMut(&Document<'_>)) {
        // A clock that was set back by a window or more ends it too.
        while self.order.front().is_some_and(|(first, _)| first.abs_diff(now) >= self.length) {
            self.end_oldest(now, ENDED, outlet, emit);
        }
    }

    /// Tells what was repeated so far.
    pub(super) fn finish(&mut self, now: u64, outlet: &mut Outlet, emit: &mut impl FnMut(&Document<'_>)) {
        while !self.order.is_empty() {
            self.end_oldest(now, "the sensor stops", outlet, emit);
        }
    }

    fn begin(
        &mut self,
        key: Key,
        asker: Asker<'_>,
        matched: &Match,
        outlet: &mut Outlet,
        emit: &mut impl FnMut(&Document<'_>),
    ) {
        if self.order.len() >= OPEN {
            self.end_oldest(asker.time, "there is no room for more windows", outlet, emit);
        }
        let Match { hit, field, atomic } = matched;
        let open = Open {
            process: asker.process.cloned(),
            task: asker.task.copied(),
            matched: Match { hit: hit.clone(), field, atomic: atomic.clone() },
            first: asker.time,
            last: asker.time,
            repeats: 0,
        };
        self.order.push_back((asker.time, key.clone()));
        self.open.insert(key, open);
    }

    fn end_oldest(
        &mut self,
        now: u64,
        reason: &'static str,
        outlet: &mut Outlet,
        emit: &mut impl FnMut(&Document<'_>),
    ) {
        let Some((first, key)) = self.order.pop_front() else { return };
        // Else it has ended before, and was opened anew.
        if self.open.get(&key).is_some_and(|open| open.first == first)
            && let Some(open) = self.open.remove(&key)
        {
            open.tell(now, reason, outlet, emit);
        }
    }
}

impl Open {
    /// An alert that nothing repeated has said all.
    fn tell(self, now: u64, reason: &'static str, outlet: &mut Outlet, emit: &mut impl FnMut(&Document<'_>)) {
        let Self { process, task, matched, first, last, repeats } = self;
        if repeats > 0 {
            let summary = AlertSummary {
                process: process.as_deref(),
                task: task.as_ref(),
                matched: &matched,
                repeats,
                first,
                last,
                reason,
            };
            outlet.write(now, Body::Report(Report::AlertSummary(summary)), emit);
        }
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.process == other.process && self.indicator == other.indicator && self.list.id == other.list.id
    }
}

impl Eq for Key {}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.process.hash(state);
        self.indicator.hash(state);
        self.list.id.hash(state);
    }
}

//! Which alerts are repeats: a process that matches one entry again within the window raises no second
//! alert, and the first one's summary counts how often. What matches is left to `labels`.

use std::collections::{HashMap, VecDeque};
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use super::Outlet;
use crate::alert::{Match, Summary};
use crate::event::TaskKey;
use crate::journal::{Body, Document, Report};
use crate::metrics::Metrics;
use crate::process::Actor;
use crate::rules::{Entry, List};

/// Windows open at once. Few processes of a host match anything; where thousands do, the oldest window
/// ends early, with its summary, and its next repeat is an alert.
const WINDOWS: usize = 4_096;

/// `event.reason` of most summaries.
const ENDED: &str = "the alert window has ended";

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
    actor: Actor,
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
        (time, actor): (u64, &Actor),
        mut news: impl Iterator<Item = &'a Match>,
        outlet: &mut Outlet,
        emit: &mut impl FnMut(&Document<'_>),
    ) -> bool {
        let Some(process) = actor.key().filter(|_| self.length > 0) else { return news.next().is_some() };
        let mut alert = false;
        for matched in news {
            let Entry { list, indicator, .. } = &matched.hit;
            let key = Key { process, list: Arc::clone(list), indicator: Arc::clone(indicator) };
            match self.open.get_mut(&key) {
                Some(open) if open.first.abs_diff(time) < self.length => {
                    open.repeats += 1;
                    open.last = open.last.max(time);
                    self.metrics.traffic.alert_repeats.add(1);
                }
                _ => {
                    if let Some(open) = self.open.remove(&key) {
                        open.tell(time, ENDED, outlet, emit);
                    }
                    self.begin(key, (time, actor), matched, outlet, emit);
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
        (time, actor): (u64, &Actor),
        matched: &Match,
        outlet: &mut Outlet,
        emit: &mut impl FnMut(&Document<'_>),
    ) {
        if self.order.len() >= WINDOWS {
            self.end_oldest(time, "there is no room for more windows", outlet, emit);
        }
        let open = Open { actor: actor.clone(), matched: matched.clone(), first: time, last: time, repeats: 0 };
        self.order.push_back((time, key.clone()));
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
        let Self { actor, matched, first, last, repeats } = self;
        if repeats > 0 {
            let summary = Summary { actor: &actor, matched: &matched, repeats, first, last, reason };
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

//! Alert windows: an actor that matches one entry again within the window raises no second alert.
//! A summary at the end of the window counts the repeats.

use std::collections::{HashMap, VecDeque};
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use super::{Match, Summary};
use crate::event::TaskKey;
use crate::metrics::Metrics;
use crate::process::Actor;
use crate::rules::{Entry, List};

/// Windows open at once. Few processes of a host match anything. Where thousands do, the oldest window
/// ends early, with its summary, and the next repeat is an alert.
const WINDOWS: usize = 4_096;

/// `event.reason` of a window that ends early, because the table is full.
const FULL: &str = "the table of alert windows is full";

/// `event.reason` of most summaries.
const ENDED: &str = "the alert window has ended";

/// Takes the summary of a window that ends, with the time of the document.
pub type Ended<'a> = dyn FnMut(u64, Summary<'_>) + 'a;

/// The windows that are open.
#[derive(Debug)]
pub struct Windows {
    /// Nanoseconds. With 0 each match that is news is an alert.
    length: u64,
    metrics: Arc<Metrics>,
    open: HashMap<Key, Open>,
    /// The windows in the order of their opening. A window that was opened anew stands here twice until
    /// its first turn.
    order: VecDeque<(u64, Key)>,
    bytes: usize,
}

/// One program image, and one entry of one list, also of a list that was loaded again.
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

impl Windows {
    #[must_use]
    pub fn new(length: u64, metrics: Arc<Metrics>) -> Self {
        Self { length, metrics, open: HashMap::new(), order: VecDeque::new(), bytes: 0 }
    }

    /// Whether one of these matches is an alert. `news` holds matches that were not emitted for this lookup
    /// before; those that repeat an open window are counted. Each match of an unknown actor is an alert.
    pub fn is_alert<'a>(
        &mut self,
        (time, actor): (u64, &Actor),
        mut news: impl Iterator<Item = &'a Match>,
        ended: &mut Ended<'_>,
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
                    if let Some(open) = self.take(&key) {
                        open.end(time, ENDED, ended);
                    }
                    self.begin(key, (time, actor), matched, ended);
                    alert = true;
                }
            }
        }
        alert
    }

    /// Ends the windows whose time is over at `now`.
    pub fn expire(&mut self, now: u64, ended: &mut Ended<'_>) {
        // A clock that was set back by a window or more ends it too.
        while self.order.front().is_some_and(|(first, _)| first.abs_diff(now) >= self.length) {
            self.end_oldest(now, ENDED, ended);
        }
    }

    /// Ends all windows.
    pub fn finish(&mut self, now: u64, ended: &mut Ended<'_>) {
        while !self.order.is_empty() {
            self.end_oldest(now, "the sensor stops", ended);
        }
    }

    /// Publishes the size of the table.
    pub fn publish(&self) {
        self.metrics.memory.windows.set(self.bytes);
    }

    fn begin(&mut self, key: Key, (time, actor): (u64, &Actor), matched: &Match, ended: &mut Ended<'_>) {
        let open = Open { actor: actor.clone(), matched: matched.clone(), first: time, last: time, repeats: 0 };
        self.bytes += open.bytes();
        self.order.push_back((time, key.clone()));
        self.open.insert(key, open);
        let bound = self.metrics.memory.windows.bound();
        // The window that was opened now stays, however large it is.
        while self.order.len() > 1 && (self.order.len() > WINDOWS || self.bytes > bound) {
            self.metrics.losses.window_evicted.add(1);
            self.end_oldest(time, FULL, ended);
        }
    }

    fn take(&mut self, key: &Key) -> Option<Open> {
        let open = self.open.remove(key)?;
        self.bytes -= open.bytes();
        Some(open)
    }

    fn end_oldest(&mut self, now: u64, reason: &'static str, ended: &mut Ended<'_>) {
        let Some((first, key)) = self.order.pop_front() else { return };
        // A window with another beginning was opened anew since.
        if self.open.get(&key).is_some_and(|open| open.first == first)
            && let Some(open) = self.take(&key)
        {
            open.end(now, reason, ended);
        }
    }
}

impl Open {
    /// Bytes of memory. A process image counts in whole, because the window keeps it.
    fn bytes(&self) -> usize {
        /// The entries of both tables.
        const ENTRIES: usize = 2 * size_of::<(u64, Key)>();
        let image = self.actor.process.as_ref().map_or(0, |process| process.bytes());
        size_of::<Self>() + ENTRIES + self.matched.bytes() + image
    }

    /// A window without repeats needs no summary: its alert is complete.
    fn end(self, now: u64, reason: &'static str, ended: &mut Ended<'_>) {
        let Self { actor, matched, first, last, repeats } = self;
        if repeats > 0 {
            ended(now, Summary { actor: &actor, matched: &matched, repeats, first, last, reason });
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

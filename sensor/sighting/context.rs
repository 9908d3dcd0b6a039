//! The state that all kinds share.

use std::cmp::Reverse;
use std::rc::Rc;
use std::sync::Arc;

use super::{Document, Emit};
use crate::alert::{Match, Summary, WatchList, Windows};
use crate::event::{Command, Task, TaskKey};
use crate::invariant;
use crate::metrics::Metrics;
use crate::observe::Observe;
use crate::process::{Actor, Process, Processes};
use crate::rules::Rules;

/// The state that all kinds share.
#[derive(Debug)]
pub struct Context {
    pub processes: Processes,
    pub rules: Arc<Rules>,
    pub windows: Windows,
    pub watch: WatchList,
    pub observe: Observe,
    pub metrics: Arc<Metrics>,
    /// Commands to the kernel side, in their order.
    pub commands: Vec<Command>,
    /// At most [`CULPRITS`], since the last report of losses.
    pub(crate) culprits: Vec<Culprit>,
}

/// Processes that one report of losses names.
const CULPRITS: usize = 16;

/// A process to which a loss is due.
#[derive(Debug, Clone)]
pub struct Culprit {
    /// The name of the count among [`Losses`](crate::metrics::Losses).
    pub loss: &'static str,
    pub key: TaskKey,
    /// `None` where its record was lost.
    pub process: Option<Rc<Process>>,
    pub count: u64,
}

impl Context {
    /// The actor behind a task. A process that the kernel names and that is not known here is counted.
    pub fn actor(&mut self, task: Option<Task>, now: u64) -> Actor {
        let process = task.and_then(|task| {
            let process = self.processes.of_task(&task, now);
            if process.is_none() {
                self.metrics.losses.process_unknown.add(1);
            }
            process
        });
        Actor { process, task }
    }

    /// Whether one of these matches, which were not emitted for this lookup before, raises an alert. Summaries
    /// of alert windows that end by it are emitted.
    pub fn is_alert<'a>(
        &mut self,
        (time, actor): (u64, &Actor),
        news: impl Iterator<Item = &'a Match>,
        out: &mut dyn Emit,
    ) -> bool {
        let mut ended = |time, summary: Summary<'_>| out.emit(time, Document::Summary(summary));
        let alert = self.windows.is_alert((time, actor), news, &mut ended);
        self.metrics.traffic.alerts.add(alert.into());
        alert
    }

    /// Keeps in mind that `count` of a loss are due to a process. Where there are more processes than a report names,
    /// those with the least are left out.
    pub(crate) fn blame(&mut self, loss: &'static str, key: TaskKey, count: u64) {
        let known = self.culprits.iter_mut().find(|culprit| culprit.key == key && culprit.loss == loss);
        if let Some(known) = known {
            known.count += count;
            return;
        }
        if self.culprits.len() >= CULPRITS {
            let least = self.culprits.iter().enumerate().min_by_key(|(_, culprit)| culprit.count);
            let Some(least) = least.filter(|(_, least)| least.count < count).map(|(place, _)| place) else { return };
            self.culprits.swap_remove(least);
        }
        self.culprits.push(Culprit { loss, key, process: self.processes.get(&key), count });
    }

    /// Has the losses since the last call reported, with the processes to which they are due.
    pub(crate) fn report_losses(&mut self, now: u64, out: &mut dyn Emit) {
        self.metrics.losses.invariant_broken.set(invariant::broken());
        self.culprits.sort_by_key(|culprit| Reverse(culprit.count));
        out.tick(now, &self.culprits);
        self.culprits.clear();
    }

    /// Puts another set of rules in force.
    pub fn set_rules(&mut self, rules: Arc<Rules>) {
        self.watch.reconsider(&rules, &mut self.commands);
        self.rules = rules;
    }

    /// Emits the summaries of alert windows that have ended.
    pub(crate) fn advance(&mut self, now: u64, out: &mut dyn Emit) {
        self.windows.expire(now, &mut |time, summary| out.emit(time, Document::Summary(summary)));
    }

    /// Forgets processes and watched addresses whose time is over.
    pub(crate) fn sweep(&mut self, now: u64) {
        self.processes.tick(now);
        self.watch.expire(now, &mut self.commands);
    }

    /// Emits the summaries of all alert windows.
    pub(crate) fn finish(&mut self, now: u64, out: &mut dyn Emit) {
        self.windows.finish(now, &mut |time, summary| out.emit(time, Document::Summary(summary)));
    }
}

//! The growth of the loss counts, from one report to the next.

use super::Report;
use crate::metrics::Metrics;
use crate::sighting::Culprit;

/// The loss counts of the last report.
#[derive(Debug, Default)]
pub struct Losses {
    reported: Vec<u64>,
    growth: Vec<(&'static str, u64, u64)>,
}

impl Losses {
    /// The report of all counts that grew, and of those that `culprits` are named for; `None` where there is none.
    pub fn report<'a>(&'a mut self, metrics: &Metrics, culprits: &'a [Culprit]) -> Option<Report<'a>> {
        self.growth.clear();
        for (place, (name, _, total)) in metrics.losses.each().enumerate() {
            if place == self.reported.len() {
                self.reported.push(0);
            }
            let reported = &mut self.reported[place];
            if total > *reported || culprits.iter().any(|culprit| culprit.loss == name) {
                self.growth.push((name, total - *reported, total));
            }
            *reported = total;
        }
        (!self.growth.is_empty()).then_some(Report::Loss { losses: &self.growth, culprits })
    }
}

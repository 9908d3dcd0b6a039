//! The parts that several reports have: totals, lists, ways in.

use super::{ListState, WayIn};
use crate::json::{Json, List};
use crate::metrics::Metrics;
use crate::schema::Limits;
use crate::sighting::Culprit;

/// `dnstrail.traffic.NAME`, and `dnstrail.loss.NAME.total`
pub(super) fn totals(json: &mut Json<'_>, metrics: &Metrics) {
    json.object("traffic", |json| metrics.traffic.each().for_each(|(name, _, total)| json.number(name, total)));
    json.object("loss", |json| {
        for (name, _, total) in metrics.losses.each() {
            json.object(name, |json| json.number("total", total));
        }
    });
}

const CULPRITS: &str = "dnstrail.culprits";

/// The processes behind losses.
pub(super) fn culprits(json: &mut Json<'_>, culprits: &[Culprit], limits: Limits) {
    let shown = json.cuts().elements(culprits, limits.elements, CULPRITS);
    json.list("culprits", |list| shown.iter().for_each(|culprit| self::culprit(list, culprit, limits)));
}

fn culprit(list: &mut List<'_, '_>, culprit: &Culprit, limits: Limits) {
    list.object(|json| {
        json.text("loss", culprit.loss);
        json.number("count", culprit.count);
        json.number("pid", culprit.key.pid);
        let Some(image) = culprit.process.as_deref() else { return };
        json.cut("name", &*image.name, limits.text, CULPRITS);
        json.cut("executable", image.executable.as_deref(), limits.text, CULPRITS);
        json.cut("entity_id", &*image.entity_id, limits.text, CULPRITS);
        json.keyword("user_id", image.uid);
    });
}

const WAYS_IN: &str = "dnstrail.ways_in";

/// `dnstrail.ways_in`, with the hooks that were refused where `refused`.
pub(super) fn ways_in(json: &mut Json<'_>, ways_in: &[WayIn], limits: Limits, refused: bool) {
    let shown = json.cuts().elements(ways_in, limits.elements, WAYS_IN);
    json.list("ways_in", |list| shown.iter().for_each(|way| way.write(list, limits, refused)));
}

impl WayIn {
    /// Whether something is not seen on this host because of it.
    pub(super) fn is_degraded(&self) -> bool {
        self.taken.is_none() || self.not_seen.is_some()
    }

    fn write(&self, list: &mut List<'_, '_>, limits: Limits, refused: bool) {
        let limit = limits.text;
        list.object(|json| {
            json.text("role", self.role);
            json.cut("taken", self.taken.as_deref(), limit, WAYS_IN);
            json.cut("not_seen", self.not_seen.as_deref(), limit, WAYS_IN);
            let refused = if refused { &self.refused[..] } else { &[] };
            let shown = json.cuts().elements(refused, limits.elements, WAYS_IN);
            json.list("refused", |list| {
                for (hook, reason) in shown {
                    list.object(|json| {
                        json.cut("hook", hook.as_str(), limit, WAYS_IN);
                        json.cut("reason", reason.as_str(), limit, WAYS_IN);
                    });
                }
            });
        });
    }
}

const LISTS: &str = "dnstrail.rules.lists";

/// The lists that are in force after a load.
pub(super) fn rules(json: &mut Json<'_>, lists: &[ListState], limits: Limits) {
    json.number("names", lists.iter().map(|list| list.names).sum::<u64>());
    json.number("addresses", lists.iter().map(|list| list.addresses).sum::<u64>());
    // Lines that were not understood.
    json.number("skipped", lists.iter().map(|list| list.skipped).sum::<u64>());
    let shown = json.cuts().elements(lists, limits.elements, LISTS);
    json.list("lists", |list| shown.iter().for_each(|state| state.write(list, limits)));
}

impl ListState {
    fn write(&self, list: &mut List<'_, '_>, limits: Limits) {
        let limit = limits.text;
        list.object(|json| {
            json.cut("id", self.id.as_str(), limit, LISTS);
            json.cut("path", self.path.as_str(), limit, LISTS);
            json.cut("version", Some(self.version.as_str()).filter(|version| !version.is_empty()), limit, LISTS);
            json.number("names", self.names);
            json.number("addresses", self.addresses);
            json.number("skipped", self.skipped);
            if let Some(age) = self.age {
                json.number("age", age);
            }
            json.cut("error", self.error.as_deref(), limit, LISTS);
        });
    }
}

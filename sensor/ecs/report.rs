//! The documents in which the sensor speaks of itself, so that nobody takes blindness for silence.

use std::fmt::{self, Display};
use std::slice;

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use super::event::{Category, Event, Kind, Outcome, Type};
use super::limits::{Cuts, Limits, Part};
use super::own::Entries;
use super::process::{Container, Named, Process};
use super::text::{Keyword, beginning};
use super::threat::{Rule, Threat};
use super::time::Instant;
use crate::alert::Summary;
use crate::metrics::Metrics;
use crate::report::{ListState, Report, WayIn};

#[derive(Debug, Serialize)]
pub(super) struct Statement<'a> {
    #[serde(rename = "@timestamp")]
    pub time: Instant,
    pub event: Event<'a>,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub alert: Option<Alert<'a>>,
    pub message: Keyword<Sentence<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<Error<'a>>,
    pub dnstrail: Own<'a>,
}

/// What an alert that was repeated said of who and why.
#[derive(Debug, Serialize)]
pub(super) struct Alert<'a> {
    pub rule: Rule<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub process: Option<Process<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<Named<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub container: Option<Container<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub threat: Option<Threat<'a>>,
}

impl<'a> Alert<'a> {
    fn new(summary: &Summary<'a>, limits: Limits, cuts: &mut Cuts) -> Self {
        let Summary { actor, matched, .. } = *summary;
        Self {
            rule: Rule::new(&matched.hit, limits, cuts),
            process: Process::new(actor, limits, cuts),
            user: Named::asker(actor, limits, cuts),
            container: Container::of(actor, limits, cuts),
            threat: Threat::new(slice::from_ref(matched), limits, cuts),
        }
    }
}

#[derive(Debug, Serialize)]
pub(super) struct Error<'a> {
    pub message: &'a str,
}

/// `dnstrail.*` of a report: each has its own part.
#[derive(Debug, Default, Serialize)]
pub(super) struct Own<'a> {
    #[serde(skip_serializing_if = "Cuts::is_empty")]
    cut: Cuts,
    #[serde(skip_serializing_if = "Option::is_none")]
    sensor: Option<Sensor<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ways_in: Option<WaysIn<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rules: Option<Rules<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    output: Option<Output<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    traffic: Option<Traffic<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    loss: Option<Loss<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    alert: Option<Repeats>,
    #[serde(skip_serializing_if = "Option::is_none")]
    matches: Option<Entries<'a>>,
}

/// `dnstrail.alert` of a summary.
#[derive(Debug, Serialize)]
pub(super) struct Repeats {
    pub repeats: u64,
}

impl<'a> Statement<'a> {
    pub(super) fn new(time: u64, sequence: u64, report: &'a Report<'a>, limits: Limits) -> Self {
        let mut cuts = Cuts::default();
        let mut own = Own::default();
        let (mut alert, mut error) = (None, None);
        let event = |action, kind, r#type| Event { kind, r#type, ..Event::new(sequence, action, "dnstrail.sensor") };
        let event = match report {
            Report::Start { ways_in, command_line } => {
                own.sensor = Some(Sensor {
                    command_line: cuts.text(command_line, limits.arguments, Part::SensorCommandLine),
                    degraded: is_degraded(ways_in),
                });
                own.ways_in = Some(WaysIn::new(ways_in, limits, &mut cuts));
                event("sensor-start", Kind::State, &[Type::Start])
            }
            Report::Stop { reason, metrics } => {
                own.traffic = Some(Traffic(metrics));
                own.loss = Some(Loss::Totals(metrics));
                let reason = Some(cuts.text(reason, limits.text, Part::EventReason));
                Event { reason, ..event("sensor-stop", Kind::State, &[Type::End]) }
            }
            Report::Loss { losses } => {
                own.loss = Some(Loss::Growth(losses));
                event("sensor-loss", Kind::Metric, &[Type::Error])
            }
            Report::RulesLoaded { lists, elapsed } => {
                own.rules = Some(Rules::new(lists, limits, &mut cuts));
                let failed = lists.iter().any(|list| list.error.is_some());
                Event {
                    category: &[Category::Configuration],
                    outcome: Some(if failed { Outcome::Failure } else { Outcome::Success }),
                    duration: Some(*elapsed),
                    ..event("rules-loaded", Kind::State, &[Type::Change])
                }
            }
            Report::AlertSummary(summary) => {
                alert = Some(Alert::new(summary, limits, &mut cuts));
                own.alert = Some(Repeats { repeats: summary.repeats });
                own.matches = Some(Entries::new(slice::from_ref(summary.matched), limits, &mut cuts));
                Event {
                    category: &[Category::Network, Category::IntrusionDetection],
                    severity: summary.matched.severity(),
                    duration: Some(summary.last.saturating_sub(summary.first)),
                    start: Some(Instant(summary.first)),
                    end: Some(Instant(summary.last)),
                    reason: Some(summary.reason),
                    dataset: "dnstrail.dns",
                    ..event("alert-summary", Kind::Alert, &[Type::Info])
                }
            }
            Report::Output { output, failing, message, dropped } => {
                own.output = Some(Output {
                    name: cuts.text(output, limits.text, Part::Output),
                    failing: *failing,
                    dropped: *dropped,
                });
                let message = cuts.text(message, limits.text, Part::Error);
                error = Some(Error { message }).filter(|_| !message.is_empty());
                match failing {
                    true => event("output-failing", Kind::State, &[Type::Error]),
                    false => event("output-back", Kind::State, &[Type::Info]),
                }
            }
        };
        own.cut = cuts;
        let message = Keyword(Sentence { report, limits });
        Self { time: Instant(time), event, alert, message, error, dnstrail: own }
    }
}

#[derive(Debug, Serialize)]
struct Sensor<'a> {
    command_line: &'a str,
    /// Something is not seen on this host: `ways_in` says what.
    degraded: bool,
}

fn is_degraded(ways_in: &[WayIn]) -> bool {
    ways_in.iter().any(|way| way.taken.is_none() || way.not_seen.is_some())
}

#[derive(Debug)]
struct WaysIn<'a> {
    shown: &'a [WayIn],
    limits: Limits,
}

#[derive(Debug, Serialize)]
struct Way<'a> {
    role: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    taken: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    not_seen: Option<&'a str>,
    #[serde(skip_serializing_if = "Refusals::is_empty")]
    refused: Refusals<'a>,
}

#[derive(Debug)]
struct Refusals<'a> {
    shown: &'a [(String, String)],
    limits: Limits,
}

#[derive(Debug, Serialize)]
struct Refusal<'a> {
    hook: &'a str,
    reason: &'a str,
}

impl<'a> WaysIn<'a> {
    fn new(all: &'a [WayIn], limits: Limits, cuts: &mut Cuts) -> Self {
        let shown = cuts.elements(all, limits.elements, Part::WaysIn);
        for way in shown {
            Way::new(way, limits, cuts);
        }
        Self { shown, limits }
    }
}

impl<'a> Way<'a> {
    fn new(way: &'a WayIn, limits: Limits, cuts: &mut Cuts) -> Self {
        let shown = cuts.elements(&way.refused, limits.elements, Part::WaysIn);
        for refusal in shown {
            Refusal::new(refusal, limits, cuts);
        }
        let mut some =
            |text: &'a Option<String>| text.as_deref().map(|text| cuts.text(text, limits.text, Part::WaysIn));
        Self {
            role: way.role,
            taken: some(&way.taken),
            not_seen: some(&way.not_seen),
            refused: Refusals { shown, limits },
        }
    }
}

impl<'a> Refusal<'a> {
    fn new((hook, reason): &'a (String, String), limits: Limits, cuts: &mut Cuts) -> Self {
        let mut text = |text: &'a str| cuts.text(text, limits.text, Part::WaysIn);
        Self { hook: text(hook), reason: text(reason) }
    }
}

impl Refusals<'_> {
    fn is_empty(&self) -> bool {
        self.shown.is_empty()
    }
}

impl Serialize for WaysIn<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.shown.iter().map(|way| Way::new(way, self.limits, &mut Cuts::default())))
    }
}

impl Serialize for Refusals<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let refusal = |refusal| Refusal::new(refusal, self.limits, &mut Cuts::default());
        serializer.collect_seq(self.shown.iter().map(refusal))
    }
}

/// What is in force after a load.
#[derive(Debug, Serialize)]
struct Rules<'a> {
    names: u64,
    addresses: u64,
    /// Lines that were not understood.
    skipped: u64,
    lists: Lists<'a>,
}

#[derive(Debug)]
struct Lists<'a> {
    shown: &'a [ListState],
    limits: Limits,
}

#[derive(Debug, Serialize)]
struct List<'a> {
    id: &'a str,
    path: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    version: &'a str,
    names: u64,
    addresses: u64,
    skipped: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a str>,
}

impl<'a> Rules<'a> {
    fn new(all: &'a [ListState], limits: Limits, cuts: &mut Cuts) -> Self {
        let shown = cuts.elements(all, limits.elements, Part::Lists);
        for list in shown {
            List::new(list, limits, cuts);
        }
        Self {
            names: all.iter().map(|list| list.names).sum(),
            addresses: all.iter().map(|list| list.addresses).sum(),
            skipped: all.iter().map(|list| list.skipped).sum(),
            lists: Lists { shown, limits },
        }
    }
}

impl<'a> List<'a> {
    fn new(list: &'a ListState, limits: Limits, cuts: &mut Cuts) -> Self {
        let mut text = |text: &'a str| cuts.text(text, limits.text, Part::Lists);
        Self {
            id: text(&list.id),
            path: text(&list.path),
            version: text(&list.version),
            names: list.names,
            addresses: list.addresses,
            skipped: list.skipped,
            error: list.error.as_deref().map(&mut text),
        }
    }
}

impl Serialize for Lists<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.shown.iter().map(|list| List::new(list, self.limits, &mut Cuts::default())))
    }
}

#[derive(Debug, Serialize)]
struct Output<'a> {
    name: &'a str,
    failing: bool,
    /// Documents that it did not take.
    dropped: u64,
}

/// `dnstrail.traffic.<name>`
#[derive(Debug)]
struct Traffic<'a>(&'a Metrics);

impl Serialize for Traffic<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.traffic.each().map(|(name, _, value)| (name, value)))
    }
}

/// `dnstrail.loss.<name>.total` and, where something was lost since the last report, `.growth`.
#[derive(Debug)]
enum Loss<'a> {
    Totals(&'a Metrics),
    Growth(&'a [(&'static str, u64, u64)]),
}

#[derive(Debug, Serialize)]
struct Amount {
    #[serde(skip_serializing_if = "Option::is_none")]
    growth: Option<u64>,
    total: u64,
}

impl Serialize for Loss<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        match self {
            Self::Totals(metrics) => {
                for (name, _, total) in metrics.losses.each() {
                    map.serialize_entry(name, &Amount { growth: None, total })?;
                }
            }
            Self::Growth(losses) => {
                for (name, growth, total) in *losses {
                    map.serialize_entry(name, &Amount { growth: Some(*growth), total: *total })?;
                }
            }
        }
        map.end()
    }
}

/// `message`: the report for people.
#[derive(Debug)]
pub(super) struct Sentence<'a> {
    report: &'a Report<'a>,
    limits: Limits,
}

impl Display for Sentence<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |text| beginning(text, self.limits.text);
        match self.report {
            Report::Start { ways_in, .. } => {
                write!(formatter, "dnstrail {} has started", env!("CARGO_PKG_VERSION"))?;
                for way in ways_in.iter().take(self.limits.elements) {
                    match (&way.taken, &way.not_seen) {
                        (_, Some(what)) => write!(formatter, "; not seen here: {}", text(what))?,
                        (None, None) => write!(formatter, "; nothing tells what {}", way.role)?,
                        (Some(_), None) => {}
                    }
                }
                Ok(())
            }
            Report::Stop { reason, .. } => write!(formatter, "dnstrail stops: {}", text(reason)),
            Report::Loss { losses } => {
                formatter.write_str("lost or set aside since the last report:")?;
                for (position, (name, growth, _)) in losses.iter().enumerate() {
                    write!(formatter, "{} {name} {growth}", if position == 0 { "" } else { "," })?;
                }
                Ok(())
            }
            Report::RulesLoaded { lists, .. } => {
                let failed = lists.iter().filter(|list| list.error.is_some()).count();
                let entries: u64 = lists.iter().map(|list| list.names + list.addresses).sum();
                write!(formatter, "{} of {} lists loaded, {entries} entries", lists.len() - failed, lists.len())
            }
            Report::AlertSummary(Summary { actor, matched, repeats, .. }) => {
                match (&actor.process, &actor.task) {
                    (Some(process), _) => write!(formatter, "{} ({})", text(&process.name), process.key.pid)?,
                    (None, Some(task)) => write!(formatter, "a process ({})", task.process.pid)?,
                    (None, None) => formatter.write_str("an unknown process")?,
                }
                let (indicator, list) = (text(&matched.hit.indicator), text(&matched.hit.list.name));
                write!(formatter, " matched {indicator} in {list} {repeats} times more")
            }
            Report::Output { output, failing: true, message, .. } => {
                write!(formatter, "the output {} fails: {}", text(output), text(message))
            }
            Report::Output { output, failing: false, dropped, .. } => {
                write!(formatter, "the output {} works again; {dropped} documents were dropped", text(output))
            }
        }
    }
}

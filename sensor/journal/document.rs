//! Documents as lines: the sensor's own reports, and the way from any document to its writer.

use std::slice;

use super::sentence::Sentence;
use super::{Document, Report, WayIn, parts, status};
use crate::alert::Summary;
use crate::json::{Json, key};
use crate::schema::event::{Category, Event, Kind, Outcome, Type};
use crate::schema::{self, Limits, Line, Writer, cim, ecs, ocsf};

impl Document<'_> {
    /// Appends the document as one line.
    pub fn write(&self, writer: &mut Writer, line: &mut Vec<u8>) {
        self.body.write(writer, self.time, self.sequence, line);
    }
}

impl schema::Document for Report<'_> {
    fn ecs(&self, line: &mut Line<'_>) {
        let limits = line.limits;
        ecs::begin(line, &self.event());
        if let Self::AlertSummary(Summary { actor, matched, .. }) = self {
            ecs::rule(&mut line.json, slice::from_ref(*matched), limits);
            ecs::actor(line, actor);
            ecs::threat(&mut line.json, slice::from_ref(*matched), limits);
        }
        let json = &mut line.json;
        json.shown("message", Sentence { report: self, limits });
        json.object("error", |json| json.cut("message", self.error(), limits.text, ERROR));
        ecs::own(json, |json| self.own(json, limits));
    }

    /// A report in CIM. No model of CIM is about a sensor: the fields are the report's own, and those of the alert
    /// where a summary repeats one.
    fn cim(&self, line: &mut Line<'_>) {
        let (limits, event) = (line.limits, self.event());
        cim::begin(line, &event);
        let json = &mut line.json;
        if let Self::AlertSummary(Summary { actor, matched, .. }) = self {
            let matches = slice::from_ref(*matched);
            cim::signature(json, matches, limits);
            json.literal("severity", event.severity.map_or("informational", cim::severity_name));
            if let Some(severity) = event.severity {
                json.number("severity_id", severity);
            }
            cim::actor_in_short(json, actor, limits);
            cim::indication(json, matches, limits);
        } else {
            json.literal("severity", if event.is_failure() { "high" } else { "informational" });
        }
        json.cut("reason", event.reason, limits.text, "event.reason");
        json.shown("message", Sentence { report: self, limits });
        json.cut("error", self.error(), limits.text, ERROR);
        if let Some(duration) = event.duration {
            cim::seconds(json, key!("duration"), duration);
        }
        ecs::own(json, |json| self.own(json, limits));
    }

    /// Application Lifecycle; the action of ECS names what its activities do not.
    fn ocsf(&self, line: &mut Line<'_>) {
        let (limits, event) = (line.limits, self.event());
        let activity = match self {
            Self::Start { .. } => ocsf::Lifecycle::Start,
            Self::Stop { .. } => ocsf::Lifecycle::Stop,
            _ => ocsf::Lifecycle::Other,
        };
        let error = self.error().map(|error| (error, ERROR));
        let detail = error.or(event.reason.map(|reason| (reason, "event.reason")));
        ocsf::begin_lifecycle(line, &event, activity, detail);
        line.json.shown("message", Sentence { report: self, limits });
        let unmapped = line.json.begin("unmapped");
        ecs::event(&mut line.json, &event, line.sequence, limits);
        if let Self::AlertSummary(Summary { actor, matched, .. }) = self {
            ecs::rule(&mut line.json, slice::from_ref(*matched), limits);
            ecs::actor(line, actor);
            ecs::threat(&mut line.json, slice::from_ref(*matched), limits);
        }
        ecs::own(&mut line.json, |json| self.own(json, limits));
        line.json.end(unmapped);
    }
}

const ERROR: &str = "error.message";

impl Report<'_> {
    fn event(&self) -> Event<'_> {
        let event = |action, kind, types| Event { kind, types, ..Event::new(action, "dnstrail.sensor") };
        match self {
            Self::Start { .. } => event("sensor-start", Kind::State, &[Type::Start]),
            Self::Stop { reason, .. } => {
                Event { reason: Some(reason), ..event("sensor-stop", Kind::State, &[Type::End]) }
            }
            Self::Status(_) => event("sensor-status", Kind::Metric, &[Type::Info]),
            Self::Loss { .. } => event("sensor-loss", Kind::Metric, &[Type::Error]),
            Self::RulesLoaded { lists, elapsed } => {
                let failed = lists.iter().any(|list| list.error.is_some());
                Event {
                    categories: &[Category::Configuration],
                    outcome: Some(if failed { Outcome::Failure } else { Outcome::Success }),
                    duration: Some(*elapsed),
                    ..event("rules-loaded", Kind::State, &[Type::Change])
                }
            }
            Self::AlertSummary(summary) => Event {
                categories: &[Category::Network, Category::IntrusionDetection],
                severity: summary.matched.severity(),
                duration: Some(summary.last.saturating_sub(summary.first)),
                start: Some(summary.first),
                end: Some(summary.last),
                reason: Some(summary.reason),
                dataset: "dnstrail.dns",
                ..event("alert-summary", Kind::Alert, &[Type::Info])
            },
            Self::Sight { lost: Some(_), .. } => event("sensor-blind", Kind::State, &[Type::Error]),
            Self::Sight { lost: None, .. } => event("sensor-sees", Kind::State, &[Type::Info]),
            Self::Output { failing: true, .. } => event("output-failing", Kind::State, &[Type::Error]),
            Self::Output { failing: false, .. } => event("output-back", Kind::State, &[Type::Info]),
        }
    }

    fn error(&self) -> Option<&str> {
        match self {
            Self::Sight { lost, .. } => *lost,
            Self::Output { message, .. } => Some(*message).filter(|message| !message.is_empty()),
            _ => None,
        }
    }

    /// `dnstrail`: each report has its own part.
    fn own(&self, json: &mut Json<'_>, limits: Limits) {
        match self {
            Self::Start { ways_in, command_line, walls } => {
                json.object("sensor", |json| {
                    json.cut("command_line", *command_line, limits.arguments, "dnstrail.sensor.command_line");
                    // Something is not seen on this host: `ways_in` says what.
                    json.flag("degraded", ways_in.iter().any(WayIn::is_degraded));
                    for (name, stand) in [("walls", true), ("walls_missing", false)] {
                        let named = walls.iter().filter(|(_, stands)| *stands == stand);
                        json.list(name, |list| named.for_each(|(wall, _)| list.text(wall)));
                    }
                });
                parts::ways_in(json, ways_in, limits, true);
            }
            Self::Stop { metrics, .. } => parts::totals(json, metrics),
            Self::Status(status) => status::write(json, status, limits),
            Self::Loss { losses, culprits } => {
                json.object("loss", |json| {
                    for (name, growth, total) in *losses {
                        json.object(*name, |json| {
                            json.number("growth", *growth);
                            json.number("total", *total);
                        });
                    }
                });
                parts::culprits(json, culprits, limits);
            }
            Self::RulesLoaded { lists, .. } => json.object("rules", |json| parts::rules(json, lists, limits)),
            Self::AlertSummary(summary) => {
                json.object("alert", |json| json.number("repeats", summary.repeats));
                ecs::matches(json, slice::from_ref(summary.matched), limits);
            }
            // Its sentence and `error.message` say all.
            Self::Sight { .. } => {}
            Self::Output { output, failing, dropped, .. } => json.object("output", |json| {
                json.cut("name", *output, limits.text, "dnstrail.output");
                json.flag("failing", *failing);
                // Documents that the output did not take.
                json.number("dropped", *dropped);
            }),
        }
    }
}

//! `sensor-status`: the sensor is alive, and how it is.

use super::report::Status;
use super::{WayIn, parts};
use crate::json::Json;
use crate::schema::Limits;

const OUTPUTS: &str = "dnstrail.outputs";

pub(super) fn write(json: &mut Json<'_>, status: &Status<'_>, limits: Limits) {
    let Status { uptime, resident, ways_in, lists, outputs, metrics } = *status;
    json.object("status", |json| {
        json.number("uptime", uptime);
        json.flag("degraded", ways_in.iter().any(WayIn::is_degraded));
        json.flag("blind", metrics.levels.blind.get() > 0);
        if let Some(resident) = resident {
            json.number("resident", resident);
        }
    });
    json.object("rules", |json| parts::rules(json, lists, limits));
    let shown = json.cuts().elements(outputs, limits.elements, OUTPUTS);
    json.list("outputs", |list| {
        for output in shown {
            list.object(|json| {
                json.cut("name", output.name.as_str(), limits.text, OUTPUTS);
                json.flag("failing", output.failing);
                json.number("lines", output.tally.lines);
                json.number("dropped", output.tally.dropped);
                json.number("waiting_lines", output.backlog.lines);
                json.count("waiting_bytes", output.backlog.bytes);
                if let Some(away) = output.backlog.away {
                    json.number("away", away.as_secs());
                }
            });
        }
    });
    json.object("memory", |json| {
        for (name, _, table) in metrics.memory.each() {
            json.object(name, |json| {
                json.count("bytes", table.bytes());
                json.count("bound", table.bound());
            });
        }
    });
    parts::totals(json, metrics);
    parts::ways_in(json, ways_in, limits, false);
}

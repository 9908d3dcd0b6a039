//! The Elastic Common Schema 9.4: the parts of a document that all kinds share, in the order of the line.
//! Identity stands before what may be long, and what every line has stands last. `schemas/event.schema.json`
//! describes every line.

pub mod fields;
mod host;
mod network;
mod process;
mod threat;

pub use host::tail;
pub use network::{Ends, nat, network, related, transport_name};
pub(super) use process::USER_NAME;
pub use process::{User, actor, own_process};
pub(super) use threat::{ENRICHMENTS, Indicator, description, provider, shown, uuid};
pub use threat::{matches, rule, threat};

use super::{Event, Limits, Line};
use crate::json::{Json, key};

/// `ecs.version`
pub const VERSION: &str = "9.4.0";

/// `event.module`
pub const MODULE: &str = "dnstrail";

/// `@timestamp` and `event`, the first fields of every line.
#[inline]
pub fn begin(line: &mut Line<'_>, event: &Event<'_>) {
    line.json.instant(key!("@timestamp"), line.time);
    self::event(&mut line.json, event, line.sequence, line.limits);
}

/// `event`
pub fn event(json: &mut Json<'_>, event: &Event<'_>, sequence: u64, limits: Limits) {
    json.object(key!("event"), |json| {
        json.number(key!("sequence"), sequence);
        json.repeated(identity(event), |json| {
            json.literal(key!("kind"), event.kind.name());
            json.list(key!("category"), |list| {
                event.categories.iter().for_each(|category| list.literal(category.name()));
            });
            json.list(key!("type"), |list| event.types.iter().for_each(|r#type| list.literal(r#type.name())));
            json.literal(key!("action"), event.action);
            if let Some(outcome) = event.outcome {
                json.literal(key!("outcome"), outcome.name());
            }
        });
        if let Some(severity) = event.severity {
            json.number(key!("severity"), severity);
        }
        if let Some(duration) = event.duration {
            json.number(key!("duration"), duration);
        }
        if let Some(start) = event.start {
            json.instant(key!("start"), start);
        }
        if let Some(end) = event.end {
            json.instant(key!("end"), end);
        }
        json.cut(key!("reason"), event.reason, limits.text, "event.reason");
        json.literal(key!("module"), MODULE);
        json.literal(key!("dataset"), event.dataset);
    });
}

/// The parts of an event that are constants of the program, by their addresses and lengths.
fn identity(event: &Event<'_>) -> [u64; 4] {
    let Event { action, kind, categories, types, outcome, .. } = *event;
    let [categories_length, types_length, action_length] = [categories.len(), types.len(), action.len()];
    let lengths = categories_length << 16 | types_length << 8 | action_length;
    let rest = lengths << 8 | (kind as usize) << 4 | outcome.map_or(0xf, |outcome| outcome as usize);
    [action.as_ptr().addr(), categories.as_ptr().addr(), types.as_ptr().addr(), rest].map(|word| word as u64)
}

/// `dnstrail`, the last field before those that every line has; its own last field is `cut`, which names all
/// fields of the line that show less than was there.
pub fn own(json: &mut Json<'_>, fields: impl FnOnce(&mut Json<'_>)) {
    json.object(key!("dnstrail"), |json| {
        fields(json);
        cut(json);
    });
}

fn cut(json: &mut Json<'_>) {
    if json.cuts().fields().is_empty() {
        return;
    }
    let mut position = 0;
    json.list(key!("cut"), |list| {
        while let Some(field) = list.cuts().fields().get(position).copied() {
            list.literal(field);
            position += 1;
        }
    });
}

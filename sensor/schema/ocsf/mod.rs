//! The Open Cybersecurity Schema Framework: the parts that all classes share. Only attributes that the 1.x
//! versions share are written: what 1.9 marks as deprecated is still where earlier versions look for it.
//! A fact that OCSF has no attribute for stands under `unmapped`.

mod actor;
mod device;

pub use actor::actor;
pub(super) use device::tail;

use super::ecs::{self, ENRICHMENTS, Indicator};
use super::{Event, Limits, Line};
use crate::alert::Match;
use crate::json::{Json, key};

/// `metadata.version`
const VERSION: &str = "1.6.0";

const PRODUCT: &str = "dnstrail";

/// Milliseconds, which is what `timestamp_t` and durations hold, of nanoseconds.
#[must_use]
pub fn milliseconds(nanoseconds: u64) -> u64 {
    nanoseconds / 1_000_000
}

/// A class of events, its category, and one of its activities.
#[derive(Debug, Clone, Copy)]
pub struct Class {
    pub uid: u32,
    pub name: &'static str,
    pub category: &'static str,
}

#[derive(Debug, Clone, Copy)]
pub struct Activity {
    pub id: u32,
    pub name: &'static str,
    /// `Class: Activity`
    pub type_name: &'static str,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    Informational,
    Low,
    Medium,
    High,
    Critical,
}

impl Severity {
    /// The level of an `event.severity` from 0 to 100; the bounds lie half-way between the four values that
    /// Elastic gives its levels (21, 47, 73, 99).
    #[must_use]
    pub fn of(severity: Option<u8>) -> Self {
        match severity {
            None => Self::Informational,
            Some(..34) => Self::Low,
            Some(34..60) => Self::Medium,
            Some(60..86) => Self::High,
            Some(86..) => Self::Critical,
        }
    }

    fn id_and_caption(self) -> (u8, &'static str) {
        match self {
            Self::Informational => (1, "Informational"),
            Self::Low => (2, "Low"),
            Self::Medium => (3, "Medium"),
            Self::High => (4, "High"),
            Self::Critical => (5, "Critical"),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    Unknown,
    Success,
    Failure,
}

impl Status {
    fn id_and_caption(self) -> (u8, &'static str) {
        match self {
            Self::Unknown => (0, "Unknown"),
            Self::Success => (1, "Success"),
            Self::Failure => (2, "Failure"),
        }
    }
}

/// The profiles of an event besides `host`, which every event has.
#[derive(Debug, Clone, Copy, Default)]
pub struct Profiles {
    pub security_control: bool,
    pub osint: bool,
    pub container: bool,
}

/// The attributes that every class has, but for those of [`begin`]'s event.
#[derive(Debug, Clone, Copy)]
pub struct Base<'a> {
    pub class: &'static Class,
    pub activity: Activity,
    pub severity: Severity,
    pub status: Status,
    /// `status_detail`, and the field of ECS that holds it.
    pub detail: Option<(&'a str, &'static str)>,
    pub profiles: Profiles,
}

/// The first attributes of every event.
pub fn begin(line: &mut Line<'_>, event: &Event<'_>, base: &Base<'_>) {
    let Base { class, activity, profiles, .. } = *base;
    let (json, limits) = (&mut line.json, line.limits);
    json.number(key!("time"), milliseconds(line.time));
    json.number(key!("class_uid"), class.uid);
    json.literal(key!("class_name"), class.name);
    json.number(key!("category_uid"), class.uid / 1000);
    json.literal(key!("category_name"), class.category);
    json.number(key!("activity_id"), activity.id);
    json.literal(key!("activity_name"), activity.name);
    json.number(key!("type_uid"), class.uid * 100 + activity.id);
    json.literal(key!("type_name"), activity.type_name);
    let (id, caption) = base.severity.id_and_caption();
    json.number(key!("severity_id"), id);
    json.literal(key!("severity"), caption);
    let (id, caption) = base.status.id_and_caption();
    json.number(key!("status_id"), id);
    json.literal(key!("status"), caption);
    if let Some((detail, field)) = base.detail {
        json.cut(key!("status_detail"), detail, limits.text, field);
    }
    json.object(key!("metadata"), |json| {
        json.literal(key!("version"), VERSION);
        json.number(key!("sequence"), line.sequence);
        json.list(key!("profiles"), |list| {
            list.literal("host");
            let Profiles { security_control, osint, container } = profiles;
            for (applies, name) in [(security_control, "security_control"), (osint, "osint"), (container, "container")]
            {
                if applies {
                    list.literal(name);
                }
            }
        });
        json.object(key!("product"), product);
        // With the nanoseconds, which `time` has no place for.
        json.instant(key!("original_time"), line.time);
        json.literal(key!("log_name"), event.dataset);
    });
}

/// The sensor as a product.
fn product(json: &mut Json<'_>) {
    json.literal(key!("name"), PRODUCT);
    json.literal(key!("vendor_name"), PRODUCT);
    json.literal(key!("version"), env!("CARGO_PKG_VERSION"));
}

/// Application Lifecycle (class 6002), whose application is the sensor.
static LIFECYCLE: Class = Class { uid: 6002, name: "Application Lifecycle", category: "Application Activity" };

/// The activities of the sensor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lifecycle {
    Start,
    Stop,
    /// Anything else, named by the action of the event.
    Other,
}

/// The first attributes of an event of the class Application Lifecycle.
pub fn begin_lifecycle(
    line: &mut Line<'_>,
    event: &Event<'_>,
    activity: Lifecycle,
    detail: Option<(&str, &'static str)>,
) {
    let activity = match activity {
        Lifecycle::Start => Activity { id: 3, name: "Start", type_name: "Application Lifecycle: Start" },
        Lifecycle::Stop => Activity { id: 4, name: "Stop", type_name: "Application Lifecycle: Stop" },
        Lifecycle::Other => Activity { id: 99, name: event.action, type_name: "Application Lifecycle: Other" },
    };
    let (severity, status) =
        if event.is_failure() { (Severity::High, Status::Failure) } else { (Severity::Informational, Status::Success) };
    let profiles = Profiles::default();
    begin(line, event, &Base { class: &LIFECYCLE, activity, severity, status, detail, profiles });
    line.json.object(key!("app"), product);
}

/// `firewall_rule`: the list of the first match.
pub fn firewall_rule(json: &mut Json<'_>, matches: &[Match], limits: Limits) {
    let Some(Match { hit, .. }) = matches.first() else { return };
    let list = &hit.list;
    json.object(key!("firewall_rule"), |json| {
        json.cut(key!("uid"), list.id.as_str(), limits.text, "rule");
        json.cut(key!("name"), list.name.as_str(), limits.text, "rule");
        json.cut(key!("category"), list.category.as_deref(), limits.text, "rule");
        json.cut(key!("version"), list.version.as_str(), limits.text, "rule");
    });
}

/// `osint`: the entries that match.
pub fn osint(json: &mut Json<'_>, matches: &[Match], limits: Limits) {
    let (shown, limit) = (ecs::shown(json.cuts(), matches, limits), limits.text);
    json.list(key!("osint"), |list| {
        for Match { hit, field, .. } in shown {
            list.object(|json| {
                let (type_id, caption) = match Indicator::of(hit) {
                    Indicator::Domain => (2_u8, "Domain"),
                    Indicator::Address(_) | Indicator::Network(_) => (1, "IP Address"),
                };
                json.cut(key!("value"), &*hit.indicator, limit, ENRICHMENTS);
                json.number(key!("type_id"), type_id);
                json.literal(key!("type"), caption);
                json.literal(key!("name"), field.ocsf);
                json.cut(key!("uid"), ecs::uuid(hit), limit, ENRICHMENTS);
                json.cut(key!("vendor_name"), ecs::provider(hit), limit, ENRICHMENTS);
                json.cut(key!("desc"), ecs::description(hit), limit, ENRICHMENTS);
                json.cut(key!("src_url"), hit.list.reference.as_deref(), limit, ENRICHMENTS);
            });
        }
    });
}

/// `unmapped`: the parts of `event` that `time`, `status` and `activity` hold only in part, and `dnstrail` as
/// in ECS. Between them stands `more` of ECS.
pub fn unmapped(
    line: &mut Line<'_>,
    event: &Event<'_>,
    more: impl FnOnce(&mut Json<'_>),
    own: impl FnOnce(&mut Json<'_>),
) {
    line.json.object(key!("unmapped"), |json| {
        json.object(key!("event"), |json| {
            json.literal(key!("action"), event.action);
            if let Some(duration) = event.duration {
                json.number(key!("duration"), duration);
            }
        });
        more(json);
        ecs::own(json, own);
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn severities_of_ecs_have_levels() {
        let levels = [None, Some(0), Some(21), Some(47), Some(73), Some(99), Some(255)]
            .map(|level| Severity::of(level).id_and_caption().0);
        assert_eq!(levels, [1, 2, 2, 3, 4, 5, 5]);
    }
}

//! A report on the sensor itself as OCSF: Application Lifecycle (class 6002), whose application is
//! the sensor. Start and stop are its activities; what else it says is the activity Other, named
//! by `unmapped.event.action`, with the same `dnstrail` as in ECS beside it; of repeated alerts also
//! the same `process`, `rule` and `threat`.

use serde::Serialize;

use super::{Base, Metadata, Product, Profiles, milliseconds};
use crate::ecs::event::{Event, Outcome, Type};
use crate::ecs::report::{Alert, Own, Sentence, Statement};
use crate::ecs::text::Keyword;
use crate::ecs::time::Instant;

#[derive(Debug, Serialize)]
pub(in crate::ecs) struct Lifecycle<'a>(Base<'a>, Told<'a>);

#[derive(Debug, Serialize)]
struct Told<'a> {
    app: Product,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'a Keyword<Sentence<'a>>>,
    unmapped: Unmapped<'a>,
}

#[derive(Debug, Serialize)]
struct Unmapped<'a> {
    event: &'a Event<'a>,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    alert: Option<&'a Alert<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dnstrail: Option<&'a Own<'a>>,
}

impl<'a> Lifecycle<'a> {
    pub(in crate::ecs) fn new(statement: &'a Statement<'a>) -> Self {
        let Self(base, told) = Self::remnant(statement.time, &statement.event);
        let status_detail = statement.error.as_ref().map(|error| error.message).or(statement.event.reason);
        let unmapped =
            Unmapped { alert: statement.alert.as_ref(), dnstrail: Some(&statement.dnstrail), ..told.unmapped };
        Self(Base { status_detail, ..base }, Told { message: Some(&statement.message), unmapped, ..told })
    }

    /// Of any document that no cut makes short enough, too.
    pub(in crate::ecs) fn remnant(time: Instant, event: &'a Event<'a>) -> Self {
        let (activity_id, activity_name, type_name) = match event.action {
            "sensor-start" => (3, "Start", "Application Lifecycle: Start"),
            "sensor-stop" => (4, "Stop", "Application Lifecycle: Stop"),
            action => (99, action, "Application Lifecycle: Other"),
        };
        let error = matches!(event.r#type, [Type::Error]) || event.outcome == Some(Outcome::Failure);
        let (severity_id, severity) = if error { (4, "High") } else { (1, "Informational") };
        let (status_id, status) = if error { (2, "Failure") } else { (1, "Success") };
        let base = Base {
            time: milliseconds(time),
            class_uid: 6002,
            class_name: "Application Lifecycle",
            category_uid: 6,
            category_name: "Application Activity",
            activity_id,
            activity_name,
            type_uid: 600_200 + activity_id,
            type_name,
            severity_id,
            severity,
            status_id,
            status,
            status_detail: None,
            metadata: Metadata::new(time, event, Profiles::default()),
        };
        let unmapped = Unmapped { event, alert: None, dnstrail: None };
        Self(base, Told { app: Product::default(), message: None, unmapped })
    }
}

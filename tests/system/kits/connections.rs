//! Connections as the Splunk add-on shows them.

use dnstrail::event::{self, Stage};
use dnstrail::journal::{Body, Document};
use dnstrail::schema::{DEFAULT_LINE, Schema};
use serde_json::Value;

use super::{extract, is_own, made};
use crate::support::formats;
use crate::support::samples::{self, TIME};

/// A line of ECS and its twin in the words of CIM.
pub fn connection_twins(stage: Stage) -> [Value; 2] {
    let (actor, matches) = (samples::actor(samples::contained()), samples::matches_of_address());
    let event = event::Connection { error: 111, ..samples::connection(stage) };
    let body = Body::Connection(samples::connected(&event, &actor, &matches));
    let document = Document { time: TIME, sequence: 1, body };
    [Schema::Ecs, Schema::SplunkCim].map(|schema| {
        let mut line = Vec::new();
        document.write(&mut formats::writer(schema), &mut line);
        formats::check(schema, &line, DEFAULT_LINE)
    })
}

#[test]
fn splunk_sees_the_same_connection_in_lines_of_ecs_and_of_cim() {
    for stage in [Stage::Opened, Stage::Failed, Stage::Closed] {
        let [ecs, cim] = connection_twins(stage);
        let ecs = made("dnstrail:ecs", &extract(&ecs));
        let cim = made("dnstrail:cim", &extract(&cim));
        assert!(cim.len() > 40);
        for (name, values) in cim.iter().filter(|(name, _)| !is_own(name)) {
            assert_eq!(ecs.get(name), Some(values), "{name}");
        }
        for name in ["action", "bytes", "bytes_in", "bytes_out", "duration", "reason"] {
            assert_eq!(ecs.get(name), cim.get(name), "{name} of {stage:?}");
        }
    }
}

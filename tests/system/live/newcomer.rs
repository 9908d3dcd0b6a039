//! The first line that a newcomer sees is the one that the README shows. That `make run` gets there
//! from a fresh clone is left to `.ci/newcomer`.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_json::Value;

use super::clients::Client;
use super::documents::{Document, Lookup};
use super::lab::Lab;
use super::sensor::Sensor;
use super::servers::{ADDRESS_V4, unbound};

/// Texts that are the same on every host.
const CONSTANT: [&str; 14] = [
    "event.kind",
    "event.category",
    "event.type",
    "event.action",
    "event.outcome",
    "dns.type",
    "dns.question",
    "dns.op_code",
    "network.protocol",
    "network.transport",
    "network.direction",
    "process.name",
    "server.port",
    "ecs.version",
];

/// Every path of a document that ends in a value.
fn paths(value: &Value, before: &str, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                paths(value, &format!("{before}.{name}"), found);
            }
        }
        _ => {
            found.insert(before.to_owned());
        }
    }
}

#[test]
fn live_first_lookup_of_a_newcomer_is_the_line_of_the_readme() {
    let readme = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).expect("README.md");
    let sample = readme.lines().find(|line| line.starts_with('{') && line.contains(r#""dns-query""#));
    let sample = Document(serde_json::from_str(sample.expect("the README shows a line")).expect("it is JSON"));

    let lab = Lab::new();
    let _resolver = unbound(&lab, &["127.0.0.1"], 53);
    let rules = Path::new(env!("CARGO_MANIFEST_DIR")).join("rules/rules.toml");
    let sensor = Sensor::start(&lab, &["--rules", &rules.to_string_lossy()]);
    // In the host's mount namespace, as a newcomer's: in another the names of accounts depend on what
    // can still be seen of a program that ends at once.
    let run = Client::program(&lab.network, "dig", &["@127.0.0.1", "example.com"]).run();
    let recording = sensor.stop();
    let documents = recording.of_process(run.pid);
    Lookup::by(&run, "example.com").answered(&[ADDRESS_V4]).assert_answer(documents[1]);

    for path in CONSTANT {
        assert_eq!(documents[0].get(path), sample.get(path), "{path}: the README is not up to date");
    }
    let [mut shown, mut written] = [BTreeSet::new(), BTreeSet::new()];
    paths(&sample.0, "", &mut shown);
    paths(&documents[0].0, "", &mut written);
    assert_eq!(shown, written, "the README is not up to date");
}

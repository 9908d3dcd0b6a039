//! The journal: every document gets the next number, from any source, and reaches each output once.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use dnstrail::host::Host;
use dnstrail::journal::{Journal, Report};
use dnstrail::metrics::Metrics;
use dnstrail::sighting::{Document, Emit};
use dnstrail::sink::{Outputs, WhenFull};
use serde_json::Value;

use crate::support::samples::{self, TIME};

fn journal(outputs: &[String], metrics: &Arc<Metrics>) -> Journal {
    let targets = outputs.iter().map(|output| output.parse().expect("an output")).collect();
    let outputs = Outputs::open(targets, WhenFull::Wait, &(Arc::new(|| false) as _), Arc::clone(metrics)).unwrap();
    Journal::new(outputs, &Host::default(), Arc::clone(metrics))
}

fn lines(path: &Path) -> Vec<Value> {
    let text = fs::read_to_string(path).expect("the output");
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

#[test]
fn sightings_reports_and_losses_share_the_numbers() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let file = |name: &str, query: &str| format!("file:{}{query}", path(name).display());
    let metrics = Arc::new(Metrics::default());
    let mut journal = journal(
        &[file("all.json", ""), file("alerts.json", "?kind=alert"), file("ocsf.json", "?format=ocsf")],
        &metrics,
    );
    let (message, actor, matches) = (samples::query(), samples::actor(samples::process()), samples::matches());
    let query = || samples::asked(&message, &actor);
    journal.report(TIME, Report::RulesLoaded { lists: &[], elapsed: 1 });
    journal.emit(TIME, Document::Dns(query()));
    metrics.losses.packet_malformed.add(3);
    journal.tick(TIME + 1, &[]);
    // Nothing was lost since.
    journal.tick(TIME + 2, &[]);
    let mut alert = query();
    (alert.alert, alert.matches) = (true, &matches);
    journal.emit(TIME + 3, Document::Dns(alert));
    journal.finish(TIME + 4, Some("the end of the test"));

    let seen: Vec<_> = lines(&path("all.json"))
        .iter()
        .map(|line| (line["event"]["sequence"].as_u64(), line["event"]["action"].as_str().map(str::to_owned)))
        .collect();
    let expected = ["rules-loaded", "dns-query", "sensor-loss", "dns-query", "sensor-stop"];
    assert_eq!(seen, (1..).map(Some).zip(expected.map(|action| Some(action.to_owned()))).collect::<Vec<_>>());
    let [alert] = &lines(&path("alerts.json"))[..] else { panic!("one alert") };
    assert_eq!(alert["event"]["sequence"], 4);
    let sequences =
        lines(&path("ocsf.json")).iter().map(|line| line["metadata"]["sequence"].clone()).collect::<Vec<_>>();
    assert_eq!(sequences, [1, 2, 3, 4, 5]);
    assert_eq!(metrics.traffic.documents.get(), 5);
}

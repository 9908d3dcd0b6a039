//! Connections to addresses that a listed name resolved to: the process, the duration and the bytes of each; and no
//! document for addresses that only unlisted names resolved to.

use std::fs;

use super::clients::{Client, Run, Running};
use super::documents::{Document, Recording, assert_process};
use super::lab::{Lab, Network, until};
use super::sensor::{Sensor, dnstrail, run_to_end};
use super::servers::{SERVER_ADDRESS_V4, misbehaving};

/// The address that the server of `tests/system/clients` gives for AAAA.
const SERVER_ADDRESS_V6: &str = "2001:db8::1";
const PORT: &str = "8443";
/// A port without a listener.
const CLOSED_PORT: &str = "8444";

/// The lab, another namespace that has the addresses to which names resolve, and one who listens there.
struct Scene {
    lab: Lab,
    _elsewhere: Network,
    _resolver: Running,
    _listener: Running,
    rules: String,
}

impl Scene {
    /// Everything below `listed` of the lab is on the list.
    fn new() -> Self {
        let lab = Lab::new();
        let elsewhere = Network::new();
        lab.network.join(&elsewhere);
        for (address, length, gateway) in
            [(SERVER_ADDRESS_V4, "32", "10.53.0.2"), (SERVER_ADDRESS_V6, "128", "fd53::2")]
        {
            let network = format!("{address}/{length}");
            elsewhere.ip(&["address", "add", &network, "dev", "lo"]);
            lab.network.ip(&["route", "add", &network, "via", gateway]);
        }
        let resolver = misbehaving(&lab);
        let ready = lab.path("listens");
        let program = super::clients::built().join("connect");
        let arguments = ["listen", &*ready.to_string_lossy(), PORT];
        let listener = Client::program(&elsewhere, &program.to_string_lossy(), &arguments).start();
        until("the other end listens", || ready.exists());
        let rules = lab.path("list.txt");
        fs::write(&rules, lab.name("listed")).expect("a list");
        let rules = rules.to_string_lossy().into_owned();
        Self { lab, _elsewhere: elsewhere, _resolver: resolver, _listener: listener, rules }
    }

    fn sensor(&self) -> Sensor {
        Sensor::start(&self.lab, &["--rules", &self.rules])
    }

    fn client(&self, arguments: &[&str]) -> Client {
        Client::new(&self.lab, "connect", arguments)
    }

    fn name(&self) -> String {
        self.lab.name("www.listed")
    }
}

/// Connections of one process, in the order of the stream.
fn of_process(recording: &Recording, pid: u32) -> Vec<&Document> {
    let connections = recording.documents.iter().filter(|one| one.action().starts_with("connection-"));
    connections.filter(|one| one.number("process.pid") == u64::from(pid)).collect()
}

#[track_caller]
fn assert_labels(document: &Document, name: &str, address: &str) {
    document.has(&[
        ("event.kind", "event"),
        ("event.dataset", "dnstrail.connection"),
        ("rule.id", "list"),
        ("network.transport", "tcp"),
        ("network.direction", "egress"),
        ("destination.ip", address),
        ("destination.domain", name),
        ("server.ip", address),
    ]);
    let matched = document.get("threat.enrichments").and_then(|list| list[0].get("matched")).expect("a match");
    assert_eq!((&matched["field"], &matched["atomic"]), (&"destination.ip".into(), &address.into()));
    assert_eq!(document.texts("related.hosts"), [name]);
    assert!(document.text("dnstrail.connection.resolved") < document.text("event.start"), "{document:?}");
}

/// Opened and closed by this process, 100 bytes sent and 1000 received.
#[track_caller]
fn assert_conversation<'a>(recording: &'a Recording, run: &Run, name: &str, address: &str) -> [&'a Document; 2] {
    let documents = of_process(recording, run.pid);
    let actions: Vec<_> = documents.iter().map(|document| document.action()).collect();
    assert_eq!(actions, ["connection-opened", "connection-closed"], "{:?}", recording.documents);
    for document in &documents {
        assert_labels(document, name, address);
        assert_process(document, run);
        document.has(&[("event.outcome", "success")]);
        assert_eq!(document.number("destination.port").to_string(), PORT);
        assert_ne!(document.number("source.port"), 0);
    }
    let [opened, closed] = [documents[0], documents[1]];
    for field in ["source.ip", "network.community_id", "process.entity_id"] {
        assert_eq!(opened.text(field), closed.text(field));
    }
    assert_eq!(opened.get("source.bytes"), None);
    let bytes = ["source.bytes", "destination.bytes", "network.bytes"].map(|field| closed.number(field));
    assert_eq!(bytes, [100, 1000, 1100], "{closed:?}");
    assert!(closed.number("event.duration") > 0, "{closed:?}");
    [opened, closed]
}

#[test]
fn live_connection_to_what_a_listed_name_resolved_to() {
    let scene = Scene::new();
    let sensor = scene.sensor();
    let name = scene.name();
    let four = scene.client(&["a", "127.0.0.1", &name, PORT]).run();
    let six = scene.client(&["aaaa", "127.0.0.1", &name, PORT]).run();
    // Another process, which looked nothing up.
    let other = scene.client(&["to", SERVER_ADDRESS_V4, PORT]).run();
    let mapped = scene.client(&["to", &format!("::ffff:{SERVER_ADDRESS_V4}"), PORT]).run();
    let recording = sensor.stop();
    for run in [&four, &other, &mapped] {
        let [opened, closed] = assert_conversation(&recording, run, &name, SERVER_ADDRESS_V4);
        for document in [opened, closed] {
            document.has(&[("network.type", "ipv4"), ("source.ip", "10.53.0.1")]);
        }
    }
    for document in assert_conversation(&recording, &six, &name, SERVER_ADDRESS_V6) {
        document.has(&[("network.type", "ipv6")]);
    }
    let file = scene.lab.path("documents.json");
    let (status, trail, _) = run_to_end(dnstrail(&["trail", &name, &file.to_string_lossy()]));
    let relations: Vec<&str> = trail.lines().filter_map(|line| line.split_whitespace().nth(1)).collect();
    let lookup = ["RESOLVED", "RESOLVED", "CONNECTED", "CONNECTED"];
    assert_eq!(relations, [&lookup[..], &lookup, &lookup[2..], &lookup[2..]].concat(), "{trail}");
    assert_eq!(status, Some(0));
    let stop = recording.documents.last().expect("the stop");
    assert_eq!(stop.number("dnstrail.traffic.connections"), 4);
}

/// The first connection follows its answer within microseconds: none is missed because the sensor has not
/// read the answer yet.
#[test]
fn live_connection_at_once_is_never_missed() {
    let scene = Scene::new();
    let sensor = scene.sensor();
    let runs: Vec<(Run, String)> = (0..50)
        .map(|number| {
            // Also while the sensor sleeps, and while it naps between two looks.
            std::thread::sleep(std::time::Duration::from_millis(number * 7 % 40));
            let name = scene.lab.name(&format!("n{number}.listed"));
            (scene.client(&["a", "127.0.0.1", &name, PORT]).run(), name)
        })
        .collect();
    let recording = sensor.stop();
    for (run, name) in &runs {
        assert_conversation(&recording, run, name, SERVER_ADDRESS_V4);
    }
}

#[test]
fn live_connection_that_is_refused() {
    let scene = Scene::new();
    let sensor = scene.sensor();
    let name = scene.name();
    let run = scene.client(&["a", "127.0.0.1", &name, CLOSED_PORT]).run_to_any_end();
    assert!(!run.output.status.success());
    let recording = sensor.stop();
    let documents = of_process(&recording, run.pid);
    assert_eq!(documents.len(), 1, "{documents:?}");
    assert_labels(documents[0], &name, SERVER_ADDRESS_V4);
    assert_process(documents[0], &run);
    documents[0].has(&[
        ("event.action", "connection-failed"),
        ("event.outcome", "failure"),
        ("event.reason", "refused"),
        ("source.ip", "10.53.0.1"),
    ]);
    assert_ne!(documents[0].number("source.port"), 0);
    assert!(documents[0].number("event.duration") > 0);
}

#[test]
fn live_connection_outlives_who_opened_it() {
    let scene = Scene::new();
    let sensor = scene.sensor();
    let name = scene.name();
    let run = scene.client(&["inherit", "127.0.0.1", &name, PORT]).run();
    sensor.until_written("the heir has closed it", |documents| {
        documents.iter().any(|document| document.action() == "connection-closed")
    });
    let [_, closed] = {
        let recording = sensor.stop();
        assert_conversation(&recording, &run, &name, SERVER_ADDRESS_V4).map(Clone::clone)
    };
    assert!(closed.number("event.duration") >= 300_000_000, "{closed:?}");
}

#[test]
fn live_connection_to_an_address_of_no_listed_name_is_not_emitted() {
    let scene = Scene::new();
    let sensor = scene.sensor();
    for number in 0..20 {
        scene.client(&["a", "127.0.0.1", &scene.lab.name(&format!("n{number}.other")), PORT]).run();
    }
    let recording = sensor.stop();
    assert_eq!(recording.below(&scene.lab.suffix).len(), 40);
    assert_none(&recording);
}

#[test]
fn live_connection_is_no_matter_of_servers() {
    let scene = Scene::new();
    let sensor = Sensor::start(&scene.lab, &["--rules", &scene.rules, "--observe", "servers"]);
    scene.client(&["a", "127.0.0.1", &scene.name(), PORT]).run();
    scene.client(&["a", "127.0.0.1", &scene.name(), PORT]).run();
    let recording = sensor.stop();
    assert_eq!(recording.below(&scene.lab.suffix).len(), 4, "the server's side");
    assert_none(&recording);
}

#[track_caller]
fn assert_none(recording: &Recording) {
    assert!(recording.documents.iter().all(|document| !document.action().starts_with("connection-")));
}

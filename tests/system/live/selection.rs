//! The traffic that is recorded, and the documents about it: ports, sides, multicast names, listed names, the
//! sensor's own state.

use std::fs;

use serde_json::{Value, json};

use super::clients::Client;
use super::documents::{Lookup, Recording, actions, assert_process};
use super::lab::{Lab, Network};
use super::sensor::{Sensor, hooks, is_alone};
use super::servers::{ADDRESS_V4, SERVER_ADDRESS_V4, misbehaving, misbehaving_at, unbound};

#[test]
fn live_other_port_is_seen_when_asked_for() {
    let lab = Lab::new();
    let _server = misbehaving_at(&lab, &lab.network, &["127.0.0.1"], 5300);
    let name = lab.name("port");
    let arguments = ["connected", "127.0.0.1", "5300", &name];

    let sensor = Sensor::start(&lab, &["--ports", "5300"]);
    let run = Client::new(&lab, "udp", &arguments).run();
    let recording = sensor.stop();
    let lookup = Lookup::by(&run, &name).answered(&[SERVER_ADDRESS_V4]);
    Lookup { port: 5300, ..lookup }.assert_in(&recording);
}

#[test]
fn live_other_port_is_not_seen_unasked() {
    let lab = Lab::new();
    let _server = misbehaving_at(&lab, &lab.network, &["127.0.0.1"], 5300);
    let sensor = Sensor::start(&lab, &[]);
    Client::new(&lab, "udp", &["connected", "127.0.0.1", "5300", &lab.name("port")]).run();
    assert_eq!(sensor.stop().below(&lab.suffix).len(), 0);
}

#[test]
fn live_servers_side_is_that_of_the_server() {
    let lab = Lab::new();
    let server = misbehaving(&lab);
    let sensor = Sensor::start(&lab, &["--observe", "servers"]);
    Client::new(&lab, "udp", &["connected", "127.0.0.1", "53", &lab.name("served")]).run();
    let recording = sensor.stop();
    let documents = recording.below(&lab.suffix);
    assert_eq!(actions(&documents), ["dns-query", "dns-answer"]);
    documents[0].has(&[("network.direction", "ingress")]);
    documents[1].has(&[("network.direction", "egress")]);
    for document in documents {
        document.has(&[("process.name", "server")]);
        assert_eq!(document.number("process.pid"), u64::from(server.pid()), "{document:?}");
    }
}

#[test]
fn live_all_sides_are_both() {
    let lab = Lab::new();
    let server = misbehaving(&lab);
    let sensor = Sensor::start(&lab, &["--observe", "all"]);
    let run = Client::new(&lab, "udp", &["connected", "127.0.0.1", "53", &lab.name("seen")]).run();
    let recording = sensor.stop();
    let documents = recording.below(&lab.suffix);
    for pid in [run.pid, server.pid()] {
        let of_process: Vec<_> =
            documents.iter().filter(|document| document.number("process.pid") == u64::from(pid)).copied().collect();
        assert_eq!(actions(&of_process), ["dns-query", "dns-answer"]);
    }
    assert_eq!(documents.len(), 4);
}

#[test]
fn live_multicast_names_are_seen() {
    let lab = Lab::new();
    let other = Network::new();
    lab.network.join(&other);
    lab.network.ip(&["route", "add", "224.0.0.0/4", "dev", "veth"]);
    let sensor = Sensor::start(&lab, &[]);
    let mut runs = Vec::new();
    for (group, port) in [("224.0.0.251", "5353"), ("224.0.0.252", "5355")] {
        let name = lab.name(&format!("port{port}"));
        runs.push((Client::new(&lab, "udp", &["forget", group, port, &name]).run(), name, group, port));
    }
    let recording = sensor.stop();
    for (run, name, group, port) in &runs {
        let documents = recording.below(name);
        assert_eq!(documents.iter().filter(|document| document.action() == "dns-query").count(), 1);
        for document in &documents {
            assert_process(document, run);
        }
        documents[0].has(&[("destination.ip", group), ("dns.question.name", name)]);
        assert_eq!(documents[0].number("destination.port").to_string(), *port);
    }
}

#[test]
fn live_listed_name_raises_one_alert_that_names_the_process() {
    let lab = Lab::new();
    let _resolver = unbound(&lab, &["127.0.0.1"], 53);
    let plain = lab.path("plain.txt");
    let listed = lab.name("listed");
    fs::write(&plain, format!("# a comment\nother.example\n{listed}\n")).expect("a list");
    let hosts = lab.path("hosts.txt");
    fs::write(&hosts, format!("0.0.0.0 {}\n", lab.name("blocked"))).expect("a list");
    let sensor = Sensor::start(&lab, &["--rules", &plain.to_string_lossy(), "--rules", &hosts.to_string_lossy()]);
    let mut runs = Vec::new();
    for (label, file, line, indicator) in
        [("deep.Below.listed", &plain, 3, &listed), ("blocked", &hosts, 1, &lab.name("blocked"))]
    {
        let name = lab.name(label);
        let run = Client::new(&lab, "udp", &["connected", "127.0.0.1", "53", &name]).run();
        runs.push((run, name.to_lowercase(), file, line, indicator.clone()));
    }
    Client::new(&lab, "udp", &["connected", "127.0.0.1", "53", &lab.name("notlisted")]).run();
    let recording = sensor.stop();
    for (run, name, file, line, indicator) in &runs {
        let documents = recording.below(name);
        assert_eq!(actions(&documents), ["dns-query", "dns-answer"]);
        documents[0].has(&[("event.kind", "alert"), ("dns.question.name", name)]);
        assert_eq!(documents[0].get("event.category"), Some(&json!(["network", "intrusion_detection"])));
        documents[1].has(&[("event.kind", "event")]);
        for document in documents {
            assert_process(document, run);
            let enrichment = document.get("threat.enrichments").and_then(|list| list.get(0)).expect("an enrichment");
            assert_eq!(enrichment["matched"]["field"], "dns.question.name");
            assert_eq!(enrichment["matched"]["atomic"], **name);
            assert_eq!(enrichment["indicator"]["name"], **indicator);
            let entry = document.get("dnstrail.matches").and_then(|list| list.get(0)).expect("an entry");
            assert_eq!((&entry["path"], &entry["line"]), (&json!(file.to_string_lossy()), &json!(line)));
        }
    }
    let unlisted = recording.below(&lab.name("notlisted"));
    assert!(unlisted.iter().all(|document| document.text("event.kind") == "event"));
    assert_eq!(unlisted[1].texts("dns.resolved_ip"), [ADDRESS_V4]);
}

#[test]
fn live_start_document_says_which_ways_in_were_taken() {
    let lab = Lab::new();
    let recording = Sensor::start(&lab, &[]).stop();
    assert_ways_in(&recording);
}

/// Every role is filled by the way in that was asked for: the sender always, and the packets that leave where no
/// cgroup v2 is mounted.
pub fn assert_ways_in(recording: &Recording) {
    let start = &recording.documents[0];
    let ways = start.get("dnstrail.ways_in").and_then(Value::as_array).expect("ways in");
    assert!(!ways.is_empty());
    for way in ways {
        assert!(way["role"].is_string(), "{way}");
        assert!(way["taken"].is_string(), "this kernel fills every role: {way}");
    }
    let [_, forced] = hooks();
    let taken = |role| {
        let way = ways.iter().find(|way| way["role"] == role);
        way.unwrap_or_else(|| panic!("no role {role:?} in {start:?}"))["taken"].to_string()
    };
    if forced != "auto" {
        assert!(taken("who sends").contains(&forced), "{start:?}");
    }
    let leaves = if is_alone() { format!("{forced}/ip_finish_output") } else { "cgroup_skb/egress".into() };
    assert!(taken("what leaves").contains(&leaves), "{start:?}");
}

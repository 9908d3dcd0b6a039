//! Programs that hide: each lookup that a resolver answers is in the documents, with the process that asked.

use std::fs;
use std::path::Path;

use super::clients::{Client, Run};
use super::documents::{Document, Lookup, assert_process};
use super::lab::{Lab, until};
use super::sensor::Sensor;
use super::servers::unbound;

/// Runs `evade` in one mode beside a resolver; what it did, and what was recorded of it.
fn evade(lab: &Lab, mode: &str, name: &str) -> (Run, super::documents::Recording) {
    let _resolver = unbound(lab, &["127.0.0.1"], 53);
    let sensor = Sensor::start(lab, &[]);
    let run = Client::new(lab, "evade", &[mode, "127.0.0.1", "53", name]).run();
    (run, sensor.stop())
}

#[test]
fn live_evasion_by_a_local_port_of_dns_over_tcp() {
    let lab = Lab::new();
    let name = lab.name("hidden");
    let (run, recording) = evade(&lab, "dns-port", &name);
    let [query, _] = Lookup::by(&run, &name).over("tcp").assert_in(&recording);
    assert_eq!(query.number("source.port"), 5353);
}

#[test]
fn live_evasion_by_a_query_that_calls_itself_an_answer() {
    let lab = Lab::new();
    let name = lab.name("inverted");
    let (run, recording) = evade(&lab, "inverted", &name);
    let documents = recording.below(&name);
    let document = documents.iter().find(|document| document.text("network.direction") == "egress");
    let document = document.unwrap_or_else(|| panic!("{documents:?}"));
    document.has(&[("client.ip", "127.0.0.1"), ("dns.question.name", &name)]);
    assert_eq!(document.number("client.port"), 5353);
    assert_process(document, &run);
}

#[test]
fn live_evasion_by_queries_that_no_client_writes() {
    let lab = Lab::new();
    let name = lab.name("later");
    let (run, recording) = evade(&lab, "odd", &name);
    Lookup::by(&run, &name).over("tcp").assert_in(&recording);
    assert_eq!(recording.below(&name).len(), 2 * 5, "each of the odd ones too");
    assert_eq!(recording.lost("kernel_packet_muted"), 0);
}

#[test]
fn live_evasion_by_a_cork_that_another_program_takes_away() {
    for (mode, transport) in [("corked", "tcp"), ("corked-udp", "udp")] {
        let lab = Lab::new();
        let name = lab.name("corked");
        let (run, recording) = evade(&lab, mode, &name);
        Lookup::by(&run, &name).over(transport).assert_in(&recording);
    }
}

#[test]
fn live_evasion_by_a_last_byte_that_another_program_writes() {
    let lab = Lab::new();
    let name = lab.name("split");
    let (run, recording) = evade(&lab, "split", &name);
    for document in Lookup::by(&run, &name).over("tcp").assert_in(&recording) {
        let marked = document.get("dnstrail.process.several_writers");
        assert_eq!(marked.is_some(), document.action() == "dns-query", "{document:?}");
    }
}

#[test]
fn live_evasion_by_bytes_that_may_still_change_is_marked() {
    for (mode, transport) in [("zero-copy", "udp"), ("zero-copy-tcp", "tcp")] {
        let lab = Lab::new();
        let name = lab.name("changing");
        let (run, recording) = evade(&lab, mode, &name);
        let [query, answer] = Lookup::by(&run, &name).over(transport).assert_in(&recording);
        assert_eq!(query.get("dnstrail.dns.zero_copy"), Some(&true.into()), "{query:?}");
        assert_eq!(answer.get("dnstrail.dns.zero_copy"), None, "{answer:?}");
    }
}

/// Linux 7.1 and later have no UDP-Lite.
#[test]
fn live_evasion_by_udp_lite() {
    let lab = Lab::new();
    let name = lab.name("lite");
    let client = Client::new(&lab, "evade", &["udp-lite", "127.0.0.1", "53", &name]);
    if !Path::new("/proc/net/udplite").exists() {
        let run = client.run_to_any_end();
        assert!(String::from_utf8_lossy(&run.output.stderr).contains("Protocol not supported"), "{run:?}");
        return;
    }
    let sensor = Sensor::start(&lab, &[]);
    let run = client.run();
    let recording = sensor.stop();
    let documents = recording.below(&name);
    assert_eq!(documents.len(), 1, "{documents:?}");
    documents[0].has(&[("network.iana_number", "136"), ("event.action", "dns-query")]);
    assert_process(documents[0], &run);
}

#[test]
fn live_evasion_by_an_end_before_the_bytes_leave() {
    let lab = Lab::new();
    let _resolver = unbound(&lab, &["127.0.0.1"], 53);
    let sensor = Sensor::start(&lab, &[]);
    let name = lab.name("killed");
    let run = Client::new(&lab, "evade", &["killed", "127.0.0.1", "53", &name]).run_to_any_end();
    let is_there = |documents: &[Document]| documents.iter().any(|document| document.0.to_string().contains(&name));
    sensor.until_written("the query of a process that is gone", is_there);
    let recording = sensor.stop();
    let documents = recording.below(&name);
    assert_eq!(documents[0].action(), "dns-query");
    assert_process(documents[0], &run);
}

#[test]
fn live_evasion_by_many_queries_in_one_send() {
    let lab = Lab::new();
    let name = lab.name("segments");
    let (run, recording) = evade(&lab, "segments", &name);
    for number in 0..8 {
        Lookup::by(&run, &format!("n{number}.{name}")).assert_in(&recording);
    }
    assert_eq!(recording.below(&name).len(), 2 * 8);
}

#[test]
fn live_answer_that_was_not_asked_for_accuses_no_process() {
    let lab = Lab::new();
    let name = lab.name("listed");
    let list = lab.path("list.txt");
    fs::write(&list, format!("{name}\n")).expect("a list");
    let file = lab.path("holder");
    let hold = |port: &str| {
        let holder = Client::new(&lab, "evade", &["hold", "127.0.0.1", port, &file.to_string_lossy()]).start();
        until("the holder has its socket", || file.with_extension("open").exists());
        fs::remove_file(file.with_extension("open")).expect("it was there");
        holder
    };
    let before = hold("5999");
    let sensor = Sensor::start(&lab, &["--rules", &list.to_string_lossy()]);
    let after = hold("5998");
    for port in ["5999", "5998"] {
        Client::new(&lab, "evade", &["unasked", "127.0.0.1", port, &name]).run();
    }
    before.wait();
    after.wait();
    let recording = sensor.stop();
    let documents = recording.below(&name);
    assert_eq!(documents.len(), 2, "{documents:?}");
    for document in documents {
        document.has(&[("event.action", "dns-answer"), ("event.kind", "event"), ("network.direction", "ingress")]);
    }
}

//! Valid messages and packets with each bit flipped and cut at each length, on the wire: the sensor
//! stays up, its counters add up, and the next lookup is recorded as if nothing had happened.

use nix::sys::signal::Signal;

use super::clients::Client;
use serde_json::Value;

use super::documents::{Document, Lookup, Recording};
use super::lab::Lab;
use super::sensor::Sensor;
use super::servers::{SERVER_ADDRESS_V4, misbehaving_at};

/// Sends the mutants of `mode`; the recording, the pid of their sender, and how many it sent.
fn after_mutants(mode: &str) -> (Recording, u32, u64) {
    let lab = Lab::new();
    let sensor = Sensor::start(&lab, &[]);
    let hostile = Client::new(&lab, "hostile", &[mode]).run();
    let sent: u64 = String::from_utf8_lossy(&hostile.output.stdout).trim().parse().expect("a count");
    assert!(sent > 500, "{sent}");

    let _server = misbehaving_at(&lab, &lab.network, &["127.0.0.1"], 53);
    let name = lab.name("afterwards");
    let run = Client::new(&lab, "udp", &["connected", "127.0.0.1", "53", &name]).run();
    let recording = sensor.stop_by(Signal::SIGTERM);
    // Many of the queries are alike, and no answer comes: only so many are waited for.
    recording.assert_nothing_lost_but(&["transaction_evicted"]);
    Lookup::by(&run, &name).answered(&[SERVER_ADDRESS_V4]).assert_in(&recording);
    (recording, hostile.pid, sent)
}

#[test]
fn live_mutated_messages_are_documents_or_counted() {
    let (recording, pid, sent) = after_mutants("messages");
    let documents = recording.of_process(pid);
    let told = documents.iter().filter(|document| document.action() != "dns-timeout").count() as u64;
    // Some are too short for the header that `dns` shows.
    let of_process = |document: &&&Document| document.get("process.pid").and_then(Value::as_u64) == Some(pid.into());
    let short = recording.documents.iter().collect::<Vec<_>>();
    let short = short.iter().filter(of_process).filter(|document| document.get("dns").is_none());
    let short = short.filter(|document| document.action() == "dns-malformed").count() as u64;
    assert_eq!(told + short + recording.lost("message_invalid"), sent);
    let marked = documents.iter().filter(|document| document.get("dnstrail.dns.malformed").is_some()).count();
    assert!(marked > 100, "{marked}");
}

#[test]
fn live_mutated_streams_do_not_stop_the_sensor() {
    let (recording, pid, _) = after_mutants("streams");
    assert!(!recording.of_process(pid).is_empty());
}

#[test]
fn live_mutated_packets_do_not_stop_the_sensor() {
    let (recording, _, _) = after_mutants("packets");
    assert!(recording.documents.len() > 4);
}

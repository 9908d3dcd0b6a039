//! Names as strangers send them: nothing in a name can break a line or forge a field.

use super::clients::Client;
use super::documents::{Lookup, actions};
use super::lab::Lab;
use super::sensor::Sensor;
use super::servers::{SERVER_ADDRESS_V4, misbehaving};

/// Names as a client sends them (RFC 1035 5.1), and as documents show them, without the suffix of the test.
const NAMES: [(&str, &str); 18] = [
    ("PlAiN.cAsE", "plain.case"),
    ("with space", "with space"),
    (r"caf\195\169", r"caf\195\169"),
    (r"nul\000end", r"nul\000end"),
    (r"line\010feed", r"line\010feed"),
    (r"carriage\013return", r"carriage\013return"),
    (r"tab\009", r"tab\009"),
    (r"escape\027[2J", r"escape\027[2j"),
    (r"delete\127", r"delete\127"),
    (r"all\255ones", r"all\255ones"),
    (r"separator\226\128\168", r"separator\226\128\168"),
    (r"a\.dot", r"a\.dot"),
    (r"back\\slash", r"back\\slash"),
    (r"quo\034te", r#"quo\"te"#),
    (r"\034,\034event\034:{\034kind\034:\034alert\034},\034", r#"\",\"event\":{\"kind\":\"alert\"},\""#),
    ("xn--bcher-kva", "xn--bcher-kva"),
    ("_dmarc.under_score", "_dmarc.under_score"),
    (
        "Label-Of-63-Bytes-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        "label-of-63-bytes-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    ),
];

#[test]
fn live_hostile_names_are_shown_and_forge_nothing() {
    let lab = Lab::new();
    let _server = misbehaving(&lab);
    let sensor = Sensor::start(&lab, &[]);
    let mut runs = Vec::new();
    for (sent, shown) in NAMES {
        let run = Client::new(&lab, "udp", &["connected", "127.0.0.1", "53", &lab.name(sent)]).run();
        runs.push((run, lab.name(shown)));
    }
    let recording = sensor.stop();
    for (run, shown) in &runs {
        Lookup::by(run, shown).answered(&[SERVER_ADDRESS_V4]).assert_in(&recording);
    }
    assert_eq!(recording.below(&lab.suffix).len(), NAMES.len() * 2);
    assert!(recording.below(&lab.suffix).iter().all(|document| document.text("event.kind") == "event"));
}

#[test]
fn live_name_of_255_bytes_is_whole() {
    let lab = Lab::new();
    let _server = misbehaving(&lab);
    let sensor = Sensor::start(&lab, &[]);
    // In presentation form a name of 255 bytes on the wire has 253: no root, no first length.
    let room = 253 - lab.suffix.len();
    let filler = format!("{0}.{0}.{0}.{0}", "f".repeat(62));
    let name = lab.name(&filler[filler.len() - room + 1..]);
    assert_eq!(name.len(), 253);
    let run = Client::new(&lab, "tcp", &["one", "127.0.0.1", "53", &name]).run();
    let recording = sensor.stop();
    Lookup::by(&run, &name).over("tcp").answered(&[SERVER_ADDRESS_V4]).assert_in(&recording);
}

#[test]
fn live_root_is_a_dot() {
    let lab = Lab::new();
    let _server = misbehaving(&lab);
    let sensor = Sensor::start(&lab, &[]);
    let run = Client::new(&lab, "udp", &["connected", "127.0.0.1", "53", "."]).run();
    let recording = sensor.stop();
    let documents = recording.of_process(run.pid);
    assert_eq!(actions(&documents), ["dns-query", "dns-answer"]);
    for document in &documents {
        document.has(&[("dns.question.name", ".")]);
    }
}

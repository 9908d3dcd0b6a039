//! Answers: the process that each belongs to, its content, and the documents for an answer that is
//! missing, late, doubled or unasked for.

use serde_json::{Value, json};

use super::clients::Client;
use super::documents::{Document, Lookup, actions, assert_process};
use super::lab::{Lab, Network};
use super::sensor::Sensor;
use super::servers::{ADDRESS_V4, SERVER_ADDRESS_V4, misbehaving, misbehaving_at, unbound};

/// One lookup of `label` by `udp connected`; the documents below it.
fn lookup(label: &str) -> Vec<Document> {
    lookup_with("connected", label, &[])
}

fn lookup_with(mode: &str, label: &str, arguments: &[&str]) -> Vec<Document> {
    let lab = Lab::new();
    let _server = misbehaving(&lab);
    let sensor = Sensor::start(&lab, arguments);
    let name = lab.name(label);
    let run = Client::new(&lab, "udp", &[mode, "127.0.0.1", "53", &name]).run();
    let recording = sensor.stop();
    let documents: Vec<Document> = recording.below(&lab.suffix).into_iter().cloned().collect();
    for document in &documents {
        assert_process(document, &run);
    }
    documents
}

fn views(documents: &[Document]) -> Vec<&str> {
    documents.iter().map(Document::action).collect()
}

#[test]
fn live_answer_code_says_whether_a_lookup_failed() {
    for (label, code, outcome) in [
        ("nxdomain", "NXDOMAIN", "failure"),
        ("servfail", "SERVFAIL", "failure"),
        ("refused", "REFUSED", "failure"),
        ("nodata", "NOERROR", "success"),
    ] {
        let documents = lookup(label);
        assert_eq!(views(&documents), ["dns-query", "dns-answer"], "{label}");
        documents[1].has(&[("dns.response_code", code), ("event.outcome", outcome)]);
        assert!(documents[1].number("event.duration") > 0);
        let answers = documents[1].get("dns.answers").and_then(Value::as_array).map_or(0, Vec::len);
        assert_eq!(answers, 0, "{label}");
    }
}

#[test]
fn live_truncated_answer_is_asked_again_over_tcp() {
    let lab = Lab::new();
    let _server = misbehaving(&lab);
    let sensor = Sensor::start(&lab, &[]);
    let name = lab.name("truncate");
    let run = Client::program(&lab.network, "dig", &["@127.0.0.1", &name]).run();
    let recording = sensor.stop();
    let documents = recording.below(&lab.suffix);
    assert_eq!(actions(&documents), ["dns-query", "dns-answer", "dns-query", "dns-answer"]);
    for document in &documents {
        assert_process(document, &run);
    }
    let transports: Vec<&str> = documents.iter().map(|document| document.text("network.transport")).collect();
    assert_eq!(transports, ["udp", "udp", "tcp", "tcp"]);
    assert!(documents[1].texts("dns.header_flags").contains(&"TC"), "{:?}", documents[1]);
    assert!(!documents[3].texts("dns.header_flags").contains(&"TC"), "{:?}", documents[3]);
    assert_eq!(documents[3].texts("dns.resolved_ip"), [SERVER_ADDRESS_V4]);
}

#[test]
fn live_chain_of_aliases_keeps_its_order() {
    let lab = Lab::new();
    let _server = misbehaving(&lab);
    let sensor = Sensor::start(&lab, &[]);
    let name = lab.name("cname");
    let run = Client::new(&lab, "udp", &["connected", "127.0.0.1", "53", &name]).run();
    let recording = sensor.stop();
    let (one, two) = (lab.name("one"), lab.name("two"));
    let data = [&one, &two, SERVER_ADDRESS_V4];
    let lookup = Lookup::by(&run, &name).answered(&data);
    let [_, answer] = lookup.assert_in(&recording);
    let links: Vec<[&Value; 3]> = answer
        .get("dns.answers")
        .and_then(Value::as_array)
        .expect("answers")
        .iter()
        .map(|record| [&record["name"], &record["type"], &record["ttl"]])
        .collect();
    let expected = [(&name, "CNAME"), (&one, "CNAME"), (&two, "A")];
    for (link, (owner, rtype)) in links.iter().zip(expected) {
        assert_eq!(link, &[&json!(owner), &json!(rtype), &json!(300)]);
    }
    assert_eq!(answer.texts("dns.resolved_ip"), [SERVER_ADDRESS_V4]);
}

#[test]
fn live_answer_of_4_kilobytes_in_fragments_is_whole() {
    let lab = Lab::new();
    let other = Network::new();
    lab.network.join(&other);
    let _server = misbehaving_at(&lab, &other, &["10.53.0.2", "fd53::2"], 53);
    let sensor = Sensor::start(&lab, &[]);
    let mut runs = Vec::new();
    for server in ["10.53.0.2", "fd53::2"] {
        let name = lab.name(&format!("big.n{}", runs.len()));
        let at = format!("@{server}");
        let arguments = ["+bufsize=4096", "+notcp", "+ignore", &at, &name, "TXT"];
        runs.push((Client::program(&lab.network, "dig", &arguments).run(), name));
    }
    let recording = sensor.stop();
    for (run, name) in &runs {
        let documents = recording.below(name);
        assert_eq!(actions(&documents), ["dns-query", "dns-answer"]);
        for document in &documents {
            assert_process(document, run);
        }
        assert!(documents[1].number("network.bytes") > 4000, "{:?}", documents[1]);
        // The line holds fewer: it says that it was cut, and how many there were.
        assert_eq!(documents[1].number("dnstrail.dns.answers_count"), 16, "{:?}", documents[1]);
        assert!(documents[1].texts("dnstrail.cut").contains(&"dns.answers"), "{:?}", documents[1]);
        assert_eq!(documents[1].get("dnstrail.dns.malformed"), None, "{:?}", documents[1]);
    }
}

#[test]
fn live_answer_across_a_veth_pair_belongs_to_the_asker() {
    let lab = Lab::new();
    let other = Network::new();
    lab.network.join(&other);
    let _server = misbehaving_at(&lab, &other, &["10.53.0.2", "fd53::2"], 53);
    let sensor = Sensor::start(&lab, &[]);
    let mut runs = Vec::new();
    for (client, mode, transport, version) in [
        ("udp", "connected", "udp", 4),
        ("udp", "unconnected", "udp", 6),
        ("tcp", "separate", "tcp", 4),
        ("tcp", "one", "tcp", 6),
    ] {
        let (here, there) = if version == 4 { ("10.53.0.1", "10.53.0.2") } else { ("fd53::1", "fd53::2") };
        let name = lab.name(&format!("n{}", runs.len()));
        let run = Client::new(&lab, client, &[mode, there, "53", &name]).run();
        runs.push((run, name, here, there, transport));
    }
    let recording = sensor.stop();
    for (run, name, here, there, transport) in &runs {
        let lookup = Lookup::by(run, name).over(transport).answered(&[SERVER_ADDRESS_V4]);
        Lookup { client: here, server: there, ..lookup }.assert_in(&recording);
    }
    assert_eq!(recording.below(&lab.suffix).len(), runs.len() * 2);
}

#[test]
fn live_query_without_an_answer_times_out() {
    let lab = Lab::new();
    let _server = misbehaving(&lab);
    let sensor = Sensor::start(&lab, &["--timeout", "1"]);
    let name = lab.name("silent");
    let run = Client::new(&lab, "udp", &["forget", "127.0.0.1", "53", &name]).run();
    sensor.until_written("a dns-timeout document", |documents| {
        documents
            .iter()
            .any(|document| document.action() == "dns-timeout" && document.text("dns.question.name") == name)
    });
    let recording = sensor.stop();
    let documents = recording.below(&lab.suffix);
    assert_eq!(actions(&documents), ["dns-query", "dns-timeout"]);
    for document in &documents {
        assert_process(document, &run);
    }
    assert_eq!(documents[0].text("dns.id"), documents[1].text("dns.id"));
    documents[1].has(&[("event.outcome", "failure"), ("source.ip", "127.0.0.1")]);
    assert_eq!(documents[1].number("destination.port"), 53);
}

#[test]
fn live_answer_after_the_timeout_is_late() {
    let documents = lookup_with("connected", "delay-2500", &["--timeout", "1"]);
    assert_eq!(views(&documents), ["dns-query", "dns-timeout", "dns-answer"]);
    assert_eq!(documents[2].get("dnstrail.dns.late"), Some(&json!(true)), "{:?}", documents[2]);
    assert!(documents[2].number("event.duration") >= 2_500_000_000);
    assert_eq!(documents[2].texts("dns.resolved_ip"), [SERVER_ADDRESS_V4]);
}

#[test]
fn live_second_answer_is_a_duplicate() {
    let documents = lookup_with("patient", "dup", &[]);
    assert_eq!(views(&documents), ["dns-query", "dns-answer", "dns-answer"]);
    assert_eq!(documents[1].get("dnstrail.dns.duplicate"), None, "{:?}", documents[1]);
    assert_eq!(documents[2].get("dnstrail.dns.duplicate"), Some(&json!(true)), "{:?}", documents[2]);
    assert_eq!(documents[1].text("dns.id"), documents[2].text("dns.id"));
}

#[test]
fn live_answer_to_a_query_never_seen_has_no_duration() {
    let documents = lookup_with("patient", "unsolicited", &[]);
    assert_eq!(views(&documents), ["dns-query", "dns-answer", "dns-answer"]);
    assert!(documents[2].text("dns.question.name").starts_with("never-asked."), "{:?}", documents[2]);
    assert_eq!(documents[2].get("event.duration"), None, "{:?}", documents[2]);
    assert_eq!(documents[2].texts("dns.resolved_ip"), ["198.18.0.2"]);
}

#[test]
fn live_answer_readable_in_part_is_given_in_part_and_marked() {
    let documents = lookup("malformed");
    assert_eq!(views(&documents), ["dns-query", "dns-answer"]);
    assert!(documents[1].get("dnstrail.dns.malformed").is_some(), "{:?}", documents[1]);
    assert_eq!(documents[0].get("dnstrail.dns.malformed"), None);
}

#[test]
fn live_query_sent_twice_is_two_queries() {
    let lab = Lab::new();
    let _resolver = unbound(&lab, &["127.0.0.1"], 53);
    let sensor = Sensor::start(&lab, &[]);
    let name = lab.name("twice");
    let run = Client::new(&lab, "udp", &["twice", "127.0.0.1", "53", &name]).run();
    let recording = sensor.stop();
    let documents = recording.below(&lab.suffix);
    for document in &documents {
        assert_process(document, &run);
    }
    let queries = documents.iter().filter(|document| document.action() == "dns-query").count();
    assert_eq!(queries, 2, "{documents:?}");
    let answered = documents
        .iter()
        .any(|document| document.action() == "dns-answer" && document.texts("dns.resolved_ip") == [ADDRESS_V4]);
    assert!(answered, "{documents:?}");
}

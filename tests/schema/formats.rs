//! The other words for a document: Splunk's Common Information Model and OCSF. Which fields each
//! requires, of which type and with which values, and that what holds for lines of ECS holds here.

use std::collections::BTreeSet;

use dnstrail::alert::Summary;
use dnstrail::dns::Message;
use dnstrail::event::{self, Stage};
use dnstrail::journal::{Body, Document, Report};
use dnstrail::metrics::Metrics;
use dnstrail::process::Actor;
use dnstrail::schema::{DEFAULT_LINE, SHORTEST_LINE, Schema};
use dnstrail::sighting::dns::{self, Occurrence};
use serde_json::{Value, json};

use super::allocations::allocations;
use crate::support::formats::{OTHERS, check, writer};
use crate::support::samples::{self, ANSWER, QUERY, TIME, WWW, Wire};

fn written(schema: Schema, body: Body) -> Value {
    let mut line = Vec::new();
    Document { time: TIME, sequence: 2, body }.write(&mut writer(schema), &mut line);
    check(schema, &line, DEFAULT_LINE)
}

/// The document of a message that the process of the samples asked or got.
fn lookup(schema: Schema, message: &Message, change: impl FnOnce(dns::Document) -> dns::Document) -> Value {
    let actor = samples::actor(samples::contained());
    let asked = samples::asked(message, &actor);
    let lookup = if message.response { samples::answered(message, &actor) } else { asked };
    // The process must outlive the line, so the line is made here.
    let matches = samples::matches();
    let mut lookup = change(lookup);
    if lookup.alert {
        lookup.matches = &matches;
    }
    written(schema, Body::Dns(lookup))
}

#[test]
fn cim_of_an_answer() {
    let value = lookup(Schema::SplunkCim, &samples::answer(), |lookup| lookup);
    let expected = json!({
        "timestamp": "2026-11-21T03:10:30.123456789Z", "event_action": "dns-answer", "vendor_product": "dnstrail",
        "message_type": "Response", "query": "www.evil.example", "query_count": 1, "query_type": "Query",
        "record_type": "A", "transaction_id": 4711, "src": "198.51.100.7", "src_port": 40123,
        "dest": "203.0.113.53", "dest_port": 53, "transport": "udp", "reply_code": "No Error", "reply_code_id": 0,
        "response_time": 0.001_234_567, "duration": 0.001_234_567, "answer_count": 5, "authority_answer_count": 0,
        "additional_answer_count": 1, "ttl": 300,
        "answer": ["edge-7.cdn.test", "192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4"],
        "process_id": 4242, "process_name": "curl", "process_path": "/usr/bin/curl", "user": "ada", "user_id": "1000",
        "process": "curl -sS https://www.evil.example/payload", "parent_process_name": "bash",
        "parent_process_path": "/usr/bin/bash", "dvc": "web-1",
    });
    for (name, expected) in expected.as_object().unwrap() {
        assert_eq!(&value[name], expected, "{name}");
    }
}

#[test]
fn cim_of_a_query_a_timeout_and_failures() {
    let cim = |message: &Message| lookup(Schema::SplunkCim, message, |lookup| lookup);
    let query = cim(&samples::query());
    assert_eq!((&query["message_type"], &query["answer_count"]), (&json!("Query"), &json!(0)));
    for (code, name) in [
        (1, "Format Error"),
        (2, "Server Failure"),
        (3, "Non-Existent Domain"),
        (4, "NotImp"),
        (5, "Refused"),
        (6, "YXDomain"),
        (12, "RCODE12"),
    ] {
        let value = cim(&Wire::new(7, ANSWER | code).question(WWW, 28).message());
        assert_eq!((&value["reply_code"], &value["reply_code_id"]), (&json!(name), &json!(code)));
    }
    assert_eq!(cim(&Wire::new(7, QUERY).question(WWW, 255).message())["record_type"], "*");
    assert_eq!(cim(&Wire::new(7, QUERY | 5 << 11).question(WWW, 6).message())["query_type"], "Update");
    let message = samples::query();
    let occurrence = Occurrence::Timeout { query_time: TIME - 5_000_000_000 };
    let timeout = lookup(Schema::SplunkCim, &message, |lookup| dns::Document { occurrence, ..lookup });
    assert_eq!((&timeout["event_action"], &timeout["duration"]), (&json!("dns-timeout"), &json!(5)));
}

#[test]
fn cim_of_an_alert() {
    let value = lookup(Schema::SplunkCim, &samples::query(), |lookup| dns::Document { alert: true, ..lookup });
    let expected = json!({
        "event_kind": "alert", "signature": "Demo list", "signature_id": "demo", "category": "malware",
        "severity": "critical", "severity_id": 90, "threat_match_field": "dns.question.name",
        "threat_match_value": "www.evil.example", "threat_indicators": ["evil.example"],
    });
    for (name, expected) in expected.as_object().unwrap() {
        assert_eq!(&value[name], expected, "{name}");
    }
}

#[test]
fn ocsf_of_an_answer() {
    let value = lookup(Schema::Ocsf, &samples::answer(), |lookup| lookup);
    let expected = json!({
        "/time": 1_795_230_630_123_u64, "/class_uid": 4003, "/type_uid": 400_302, "/activity_name": "Response",
        "/severity_id": 1, "/status": "Success", "/rcode_id": 0, "/rcode": "NoError",
        "/query/hostname": "www.evil.example", "/query/type": "A", "/query/packet_uid": 4711,
        "/answers/0/rdata": "edge-7.cdn.test", "/answers/4/rdata": "192.0.2.4", "/answers/0/flag_ids": [3, 4, 99],
        "/query_time": 1_795_230_630_122_u64, "/response_time": 1_795_230_630_123_u64, "/duration": 1,
        "/unmapped/event/duration": 1_234_567, "/src_endpoint/ip": "198.51.100.7", "/dst_endpoint/port": 53,
        "/connection_info/direction": "Outbound", "/connection_info/protocol_num": 17,
        "/actor/process/pid": 4242, "/actor/process/file/path": "/usr/bin/curl",
        "/actor/process/file/name": "curl", "/actor/process/parent_process/name": "bash",
        "/actor/process/container/runtime": "docker", "/actor/process/namespace_pid": 12,
        "/actor/user/uid": "1000", "/device/hostname": "web-1",
        "/metadata/profiles": ["host", "container"], "/metadata/sequence": 2,
        "/metadata/original_time": "2026-11-21T03:10:30.123456789Z",
    });
    for (path, expected) in expected.as_object().unwrap() {
        assert_eq!(value.pointer(path), Some(expected), "{path}");
    }
    assert!(value.get("is_alert").is_none());
}

#[test]
fn ocsf_of_an_alert() {
    let value = lookup(Schema::Ocsf, &samples::query(), |lookup| dns::Document { alert: true, ..lookup });
    let expected = json!({
        "/is_alert": true, "/severity": "Critical", "/activity_id": 1, "/status_id": 0,
        "/firewall_rule/uid": "demo", "/osint/0/value": "evil.example", "/osint/0/type_id": 2,
        "/osint/0/name": "query.hostname", "/metadata/profiles": ["host", "security_control", "osint", "container"],
    });
    for (path, expected) in expected.as_object().unwrap() {
        assert_eq!(value.pointer(path), Some(expected), "{path}");
    }
}

fn connection(schema: Schema, stage: Stage) -> Value {
    let (actor, matches) = (samples::actor(samples::contained()), samples::matches_of_address());
    let error = if stage == Stage::Failed { 110 } else { 0 };
    let event = event::Connection { error, ..samples::connection(stage) };
    written(schema, Body::Connection(samples::connected(&event, &actor, &matches)))
}

#[test]
fn cim_of_a_connection() {
    let value = connection(Schema::SplunkCim, Stage::Closed);
    let expected = json!({
        "event_action": "connection-closed", "event_kind": "event", "action": "teardown", "src": "198.51.100.7",
        "src_port": 40999, "dest": "192.0.2.3", "dest_port": 443, "dest_name": "www.evil.example", "transport": "tcp",
        "protocol": "ip", "direction": "outbound", "duration": 61, "bytes": 569_124, "bytes_out": 1_234,
        "bytes_in": 567_890, "process_path": "/usr/bin/curl", "user": "ada", "signature": "Demo list",
        "severity": "critical", "threat_match_field": "destination.ip", "threat_match_value": "192.0.2.3",
        "threat_indicators": ["evil.example"], "parent_process_name": "bash",
    });
    for (name, expected) in expected.as_object().unwrap() {
        assert_eq!(&value[name], expected, "{name}");
    }
    let opened = connection(Schema::SplunkCim, Stage::Opened);
    assert_eq!((&opened["action"], opened.get("bytes"), opened.get("duration")), (&json!("allowed"), None, None));
    let failed = connection(Schema::SplunkCim, Stage::Failed);
    assert_eq!((failed.get("action"), &failed["reason"]), (None, &json!("timed out")));
}

#[test]
fn ocsf_of_a_connection() {
    let value = connection(Schema::Ocsf, Stage::Closed);
    let expected = json!({
        "/class_uid": 4001, "/type_uid": 400_102, "/activity_name": "Close", "/status": "Success", "/severity_id": 1,
        "/duration": 61_000, "/traffic": {"bytes": 569_124, "bytes_in": 567_890, "bytes_out": 1_234},
        "/src_endpoint/port": 40999, "/dst_endpoint": {"ip": "192.0.2.3", "port": 443, "hostname": "www.evil.example"},
        "/connection_info/direction": "Outbound", "/connection_info/protocol_num": 6, "/actor/process/pid": 4242,
        "/actor/process/container/runtime": "docker", "/actor/user/uid": "1000", "/osint/0/value": "evil.example",
        "/osint/0/name": "dst_endpoint.ip", "/metadata/profiles": ["host", "osint", "container"],
        "/metadata/log_name": "dnstrail.connection", "/unmapped/event/action": "connection-closed",
        "/unmapped/dnstrail/matches/0/line": 12,
    });
    for (path, expected) in expected.as_object().unwrap() {
        assert_eq!(value.pointer(path), Some(expected), "{path}");
    }
    let opened = connection(Schema::Ocsf, Stage::Opened);
    assert_eq!((&opened["type_uid"], opened.get("traffic")), (&json!(400_101), None));
    let failed = connection(Schema::Ocsf, Stage::Failed);
    let expected = [&json!(400_104), &json!("Failure"), &json!("timed out")];
    assert_eq!(["type_uid", "status", "status_detail"].map(|name| &failed[name]), expected);
}

#[test]
fn reports() {
    let metrics = Metrics::default();
    let seen: BTreeSet<(u64, String)> = [
        Report::Start {
            ways_in: &[],
            command_line: "dnstrail run",
            walls: &[("no privileges", true), ("system calls", true), ("files", false)],
        },
        Report::Stop { reason: "asked to", metrics: &metrics },
        Report::Loss { losses: &[("ring", 3, 4)], culprits: &[] },
        Report::Output { output: "file:/x", failing: true, message: "no space left", dropped: 7 },
    ]
    .into_iter()
    .map(|report| {
        let value = written(Schema::Ocsf, Body::Report(report));
        (value["activity_id"].as_u64().unwrap(), value["severity"].as_str().unwrap().to_owned())
    })
    .collect();
    let quiet = |activity| (activity, "Informational".to_owned());
    assert_eq!(seen, BTreeSet::from([quiet(3), quiet(4), (99, "High".to_owned())]));

    let losses: &[_] = &[("ring", 3, 4)];
    let value = written(Schema::SplunkCim, Body::Report(Report::Loss { losses, culprits: &[] }));
    assert_eq!(value["dnstrail"]["loss"]["ring"], json!({ "growth": 3, "total": 4 }));
    assert_eq!(value["event_action"], "sensor-loss");
}

#[test]
fn a_summary_of_repeats() {
    let (process, matches) = (samples::process(), samples::matches());
    let actor = Actor { process: Some(process.into()), task: None };
    let summary = || {
        let (first, last, reason) = (TIME - 2_500_000_000, TIME - 1_000_000_000, "it is time");
        Report::AlertSummary(Summary { actor: &actor, matched: &matches[0], repeats: 12, first, last, reason })
    };
    let value = written(Schema::SplunkCim, Body::Report(summary()));
    let expected = json!({
        "/event_action": "alert-summary", "/event_kind": "alert", "/signature": "Demo list", "/severity": "critical",
        "/process_id": 4242, "/process_path": "/usr/bin/curl", "/threat_match_value": "www.evil.example",
        "/dnstrail/alert/repeats": 12, "/duration": 1.5, "/reason": "it is time",
    });
    for (path, expected) in expected.as_object().unwrap() {
        assert_eq!(value.pointer(path), Some(expected), "{path}");
    }
    let value = written(Schema::Ocsf, Body::Report(summary()));
    let expected = json!({
        "/activity_name": "alert-summary", "/unmapped/process/pid": 4242, "/unmapped/rule/id": "demo",
        "/unmapped/threat/enrichments/0/indicator/name": "evil.example", "/unmapped/dnstrail/alert/repeats": 12,
    });
    for (path, expected) in expected.as_object().unwrap() {
        assert_eq!(value.pointer(path), Some(expected), "{path}");
    }
}

#[test]
fn no_allocation() {
    let (message, actor, matches) = (samples::answer(), samples::actor(samples::contained()), samples::matches());
    for schema in OTHERS {
        let lookup = dns::Document { matches: &matches, alert: true, ..samples::answered(&message, &actor) };
        let closed = samples::connection(Stage::Closed);
        let connection = samples::connected(&closed, &actor, &matches);
        for body in [Body::Dns(lookup), Body::Connection(connection)] {
            let document = Document { time: TIME, sequence: 1, body };
            let mut writer = writer(schema);
            let mut line = Vec::with_capacity(DEFAULT_LINE);
            // The first document of an image writes it down.
            document.write(&mut writer, &mut line);
            line.clear();
            assert_eq!(allocations(|| document.write(&mut writer, &mut line)), 0, "{schema:?}");
            assert!(!line.is_empty());
        }
    }
}

#[test]
fn cuts() {
    let mut wire = Wire::new(1, ANSWER).question(WWW, 16);
    for _ in 0..200 {
        wire = wire.answer(WWW, 16, &[&[255][..], &[b'x'; 255]].concat());
    }
    let message = wire.message();
    for schema in OTHERS {
        let actor = samples::actor(samples::process());
        let document = Document { time: TIME, sequence: 1, body: Body::Dns(samples::answered(&message, &actor)) };
        let mut line = Vec::new();
        document.write(&mut writer(schema).with_limit(SHORTEST_LINE), &mut line);
        let value = check(schema, &line, SHORTEST_LINE);
        let own = value.pointer("/unmapped/dnstrail").unwrap_or(&value["dnstrail"]);
        assert_eq!((&own["cut"][0], &own["dns"]["answers_count"]), (&json!("dns.answers"), &json!(200)));
    }
}

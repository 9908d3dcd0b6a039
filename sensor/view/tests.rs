//! Trails through small files.

use std::io::Write;

use serde_json::Value;

use super::*;
use crate::shown::is_control;

fn document(entity: &str, parent: &str, name: &str, ip: &str) -> String {
    serde_json::json!({
        "@timestamp": "2026-11-21T00:00:00Z",
        "event": {"dataset": "dnstrail.dns", "action": "dns-answer"},
        "process": {"entity_id": entity, "pid": 7, "parent": {"entity_id": parent}},
        "dns": {"question": {"name": name, "type": "A"}, "resolved_ip": [ip],
                "answers": [{"name": name, "type": "CNAME", "data": format!("cdn.{name}")}]},
    })
    .to_string()
}

fn connection(entity: &str, parent: &str, domain: &str, ip: &str) -> String {
    serde_json::json!({
        "@timestamp": "2026-11-21T00:00:01Z",
        "event": {"dataset": "dnstrail.connection", "action": "connection-closed", "outcome": "success",
                  "duration": 61_000_400_000_u64},
        "process": {"entity_id": entity, "pid": 7, "parent": {"entity_id": parent}},
        "source": {"bytes": 12},
        "destination": {"ip": ip, "port": 443, "domain": domain, "bytes": 345},
    })
    .to_string()
}

/// Follows indicators through one file of these lines; the trail, and what it wrote.
fn follow(indicators: &[&str], lines: &[String], json: bool) -> (Trail, String) {
    let indicators = indicators.iter().map(|text| text.parse().unwrap()).collect();
    follow_by(Trail::new(indicators), lines, json)
}

fn follow_by(mut trail: Trail, lines: &[String], json: bool) -> (Trail, String) {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(lines.join("\n").as_bytes()).unwrap();
    let mut out = Vec::new();
    trail.read(&mut Lines::open(file.path()).unwrap(), json, &mut out).unwrap();
    (trail, String::from_utf8(out).unwrap())
}

/// Relation and name of each step.
fn relations(indicators: &[&str], lines: &[String]) -> Vec<(String, String)> {
    let (_, out) = follow(indicators, lines, true);
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    out.lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .map(|step| (text(&step["relation"]), text(&step["name"])))
        .collect()
}

fn step(relation: &str, name: &str) -> (String, String) {
    (relation.to_owned(), name.to_owned())
}

#[test]
fn the_trail_goes_on_with_what_the_process_and_its_children_did() {
    let lines = [
        document("a", "shell", "before.example", "192.0.2.1"),
        document("a", "shell", "www.evil.example", "192.0.2.66"),
        document("b", "shell", "notevil.example", "192.0.2.3"),
        document("a", "shell", "after.example", "192.0.2.4"),
        document("c", "a", "child.example", "192.0.2.5"),
        document("d", "c", "grandchild.example", "192.0.2.6"),
        "{\"torn".into(),
    ];
    let trail = [
        step("resolved", "www.evil.example"),
        step("then", "after.example"),
        step("child", "child.example"),
        step("child", "grandchild.example"),
    ];
    assert_eq!(relations(&["evil.example"], &lines), trail);
    assert_eq!(relations(&["192.0.2.66"], &lines), trail, "by address");
    assert_eq!(relations(&["192.0.2.64/28"], &lines), trail, "by network");
    assert_eq!(relations(&["*.EVIL.example."], &lines), trail, "as a wildcard");
    assert_eq!(relations(&["hxxps://evil[.]example/x"], &lines), trail, "as a report has it");
    assert_eq!(relations(&["vil.example"], &lines), [], "not within a label");
}

#[test]
fn connections_are_what_it_did_next() {
    let lines = [
        connection("z", "", "other.example", "192.0.2.66"),
        document("a", "shell", "www.evil.example", "192.0.2.66"),
        connection("a", "shell", "www.evil.example", "192.0.2.66"),
        // The same address under the name that another process asked for last; then another process.
        connection("a", "shell", "shared.example", "192.0.2.66"),
        connection("b", "shell", "www.evil.example", "192.0.2.66"),
        connection("a", "shell", "second.example", "192.0.2.7"),
        connection("c", "a", "third.example", "192.0.2.8"),
        connection("b", "shell", "second.example", "192.0.2.7"),
    ];
    let trail = [
        step("resolved", "www.evil.example"),
        step("connected", "www.evil.example"),
        step("connected", "shared.example"),
        step("connected", "www.evil.example"),
        step("then", "second.example"),
        step("child", "third.example"),
    ];
    assert_eq!(relations(&["evil.example"], &lines), trail);
    // By address also the connection before the lookup.
    assert_eq!(relations(&["192.0.2.66"], &lines), [&[step("connected", "other.example")][..], &trail].concat());

    let (_, out) = follow(&["evil.example"], &lines, false);
    let expected = "CONNECTED connection-closed TCP www.evil.example → 192.0.2.66 port 443, 61.000 s, \
                    12 bytes sent, 345 received  by ";
    assert!(out.contains(expected), "{out}");
    let (_, out) = follow(&["evil.example"], &lines, true);
    let connected: Value = serde_json::from_str(out.lines().nth(1).unwrap()).unwrap();
    let expected = serde_json::json!({"port": 443, "outcome": "success", "reason": "", "duration": 61_000_400_000_u64,
                                      "bytes_sent": 12, "bytes_received": 345});
    assert_eq!((&connected["connection"], &connected["addresses"]), (&expected, &serde_json::json!(["192.0.2.66"])));
}

#[test]
fn each_indicator_has_its_own_figures() {
    let lines = [
        document("a", "shell", "one.example", "192.0.2.1"),
        document("b", "shell", "two.example", "192.0.2.2"),
        document("b", "shell", "three.example", "192.0.2.3"),
        connection("b", "shell", "two.example", "192.0.2.2"),
    ];
    let (trail, out) = follow(&["one.example", "two.example", "absent.example"], &lines, true);
    let figures: Vec<_> =
        trail.found().map(|(indicator, found)| (indicator.to_string(), found.lookups, found.connections)).collect();
    let expected = [("one.example", 1, 0), ("two.example", 1, 1), ("absent.example", 0, 0)]
        .map(|(name, lookups, connections)| (name.to_owned(), lookups, connections));
    assert_eq!(figures, expected);
    assert_eq!((trail.processes(), trail.summary().documents), (2, 4));
    let named: Vec<Value> =
        out.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["indicator"].take()).collect();
    assert_eq!(named, [Value::from("one.example"), "two.example".into(), Value::Null, "two.example".into()]);
}

#[test]
fn text_holds_nothing_that_a_terminal_obeys() {
    let hostile = "\u{1b}]0;owned\u{7}\r\n\u{9b}2J\u{202e}txt.exe\u{7f}";
    let line = serde_json::json!({
        "@timestamp": hostile,
        "event": {"dataset": "dnstrail.dns", "action": hostile},
        "process": {"entity_id": "a", "pid": 7, "command_line": format!("curl é {hostile}"),
                    "parent": {"executable": hostile}},
        "user": {"name": hostile},
        "dns": {"question": {"name": "evil.example", "type": hostile}, "resolved_ip": ["192.0.2.1", hostile],
                "response_code": hostile},
    });
    let (_, out) = follow(&["evil.example"], &[line.to_string()], false);
    let line = out.strip_suffix('\n').unwrap();
    assert!(line.contains("by curl é \\u{1b}]0;owned\\u{7}\\u{d}\\u{a}\\u{9b}2J\\u{202e}txt.exe\\u{7f} (7)"), "{line}");
    assert!(!line.contains(is_control), "{line:?}");
}

#[test]
fn a_torn_or_endless_line_is_counted_and_nothing_else_is_lost() {
    let lines = ["{\"torn".to_owned(), "x".repeat(LONGEST_LINE + 1), document("a", "", "evil.example", "192.0.2.1")];
    let (trail, _) = follow(&["evil.example"], &lines, false);
    assert_eq!(trail.summary(), Summary { documents: 1, skipped: 1, too_long: 1, ..Summary::default() });
    assert_eq!(trail.processes(), 1);
}

#[test]
fn a_dot_inside_a_label_begins_no_suffix() {
    let lines = [document("a", "", "not\\.evil.test", "192.0.2.1"), document("b", "", "www.evil.test", "192.0.2.2")];
    assert_eq!(relations(&["evil.test"], &lines), [step("resolved", "www.evil.test")]);
}

#[test]
fn only_documents_within_the_time_count() {
    let lines = [
        document("a", "", "evil.example", "192.0.2.1"),
        connection("a", "", "evil.example", "192.0.2.1"),
        document("a", "", "evil.example", "192.0.2.1").replace("2026-11-21T00:00:00Z", "a while ago"),
    ];
    let within = |since: Option<&str>, until: Option<&str>| {
        let [since, until] = [since, until].map(|time| time.map(|time| time.parse().unwrap()));
        let (trail, out) =
            follow_by(Trail::new(vec!["evil.example".parse().unwrap()]).within(since, until), &lines, true);
        (out.lines().count(), trail.summary().outside)
    };
    assert_eq!(within(None, None), (3, 0));
    assert_eq!(within(Some("2026-11-21"), None), (2, 1));
    assert_eq!(within(Some("2026-11-21T00:00:01Z"), None), (1, 2));
    assert_eq!(within(Some("2026-11-21"), Some("2026-11-21T00:00:01Z")), (1, 2));
    assert_eq!(within(None, Some("2026-11-21")), (0, 3));
}

#[test]
fn another_format_is_refused_with_its_line() {
    let cim = r#"{"timestamp":"2026-11-21T00:00:00Z","event_action":"dns-query","vendor_product":"dnstrail"}"#;
    let mut file = tempfile::NamedTempFile::new().unwrap();
    writeln!(file, "{{\"torn\n{cim}").unwrap();
    let mut trail = Trail::new(vec!["evil.example".parse().unwrap()]);
    let error = trail.read(&mut Lines::open(file.path()).unwrap(), false, &mut Vec::new()).unwrap_err();
    let expected = ": line 2 is in the format splunk-cim, which is not read; give files of format=ecs";
    assert!(error.to_string().ends_with(expected), "{error}");
}

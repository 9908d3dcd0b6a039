//! Each file of the kits is what its program reads: the real one where it installs, else its grammar.

use std::collections::BTreeSet;
use std::fs;

use dnstrail::event::Stage;
use dnstrail::journal::{Body, Document};
use dnstrail::schema::Schema;
use serde_json::Value;

use super::connections::connection_twins;
use super::{extract, kit, made, mapped, settings, text, twins};
use crate::sink::receivers::{module_folder, tool};
use crate::support::formats;
use crate::support::samples;

#[test]
fn rsyslog_takes_its_receiver() {
    let modules = module_folder(&["usr/lib/x86_64-linux-gnu/rsyslog", "usr/lib/aarch64-linux-gnu/rsyslog"]);
    let check = |file: &std::path::Path| {
        let output = tool("usr/sbin/rsyslogd").arg("-N1").arg("-f").arg(file).arg("-M").arg(&modules).output();
        output.expect("rsyslogd")
    };
    let output = check(&kit("rsyslog/dnstrail.conf"));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    // The check finds what is wrong.
    let folder = tempfile::tempdir().unwrap();
    let wrong = folder.path().join("wrong.conf");
    fs::write(&wrong, text("rsyslog/dnstrail.conf").replace("dynaFile", "dynaFail")).unwrap();
    assert!(!check(&wrong).status.success());
}

#[test]
fn syslog_ng_takes_its_receiver() {
    let modules = module_folder(&["usr/lib/syslog-ng/3.38"]);
    let folder = tempfile::tempdir().unwrap();
    let check = |text: &str| {
        let file = folder.path().join("syslog-ng.conf");
        fs::write(&file, format!("@version: 3.38\n{text}")).unwrap();
        let mut command = tool("usr/sbin/syslog-ng");
        command.arg("-s").arg("--no-caps").arg("-f").arg(file).arg("--module-path").arg(&modules);
        command.output().expect("syslog-ng")
    };
    let kit = text("syslog-ng/dnstrail.conf");
    let output = check(&kit);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(!check(&kit.replace("create-dirs", "create-dogs")).status.success());
}

#[test]
fn yaml_and_toml() {
    let yaml = |path: &str| -> Value {
        serde_yaml_ng::from_str(&text(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
    };
    let input = &yaml("elastic/filebeat.yml")["filebeat.inputs"][0];
    assert_eq!(
        (&input["type"], &input["prospector.scanner"]["fingerprint"]["length"]),
        (&"filestream".into(), &1024.into())
    );
    assert_eq!(input["parsers"][0]["ndjson"]["target"], "");
    assert_eq!(yaml("fluent-bit/dnstrail.yaml")["pipeline"]["inputs"][0]["name"], "tail");

    let vector: toml::Table = text("vector/dnstrail.toml").parse().expect("TOML");
    for part in ["transforms", "sinks"] {
        for (name, stage) in vector[part].as_table().unwrap() {
            for input in stage["inputs"].as_array().unwrap() {
                let input = input.as_str().unwrap();
                let stands = ["sources", "transforms"].iter().any(|part| vector[*part].get(input).is_some());
                assert!(stands, "{name} reads {input}, which is not there");
            }
        }
    }
}

#[test]
fn json() {
    let read =
        |path: &str| -> Value { serde_json::from_str(&text(path)).unwrap_or_else(|error| panic!("{path}: {error}")) };
    let policy = read("elastic/ilm-policy.json");
    assert!(policy["policy"]["phases"]["hot"]["actions"]["rollover"].is_object());
    let template = read("elastic/index-template.json");
    assert_eq!(template["template"]["settings"]["index"]["lifecycle"]["name"], "dnstrail");
    let view = text("elastic/data-view.ndjson");
    let view: Value = serde_json::from_str(view.strip_suffix('\n').expect("one line")).expect("JSON");
    assert_eq!((&view["type"], &view["attributes"]["timeFieldName"]), (&"index-pattern".into(), &"@timestamp".into()));
    assert_eq!(view["attributes"]["title"], template["index_patterns"][0]);
    let formats: Value = serde_json::from_str(view["attributes"]["fieldFormatMap"].as_str().unwrap()).unwrap();
    let fields = mapped();
    assert!(formats.as_object().unwrap().keys().all(|name| fields.contains_key(name)));
}

#[test]
fn the_add_on_hangs_together() {
    let (props, transforms) = (settings("props.conf"), settings("transforms.conf"));
    for (source_type, keys) in &props {
        assert!(transforms.contains_key(&keys["TRANSFORMS-dnstrail"]), "{source_type}");
        assert!(keys["TRUNCATE"].parse::<usize>().unwrap() >= dnstrail::schema::LONGEST_LINE);
        assert_eq!((&*keys["KV_MODE"], &*keys["SHOULD_LINEMERGE"]), ("json", "false"));
    }
    let types = settings("eventtypes.conf");
    let tags = settings("tags.conf");
    for (title, keys) in &tags {
        assert!(types.contains_key(title.strip_prefix("eventtype=").expect("an event type")), "{title}");
        assert!(keys.values().all(|value| value == "enabled"));
    }
    let tags: Vec<&String> = tags["eventtype=dnstrail_dns"].keys().collect();
    assert_eq!(tags, ["dns", "network", "resolution"]);
    assert!(types["dnstrail_sensor"]["search"].ends_with(r#"NOT event_action="connection-*""#));
    settings("app.conf");
    settings("inputs.conf");
}

/// Where Splunk reads the time: first of all, in each format.
#[test]
fn the_time_stands_behind_its_prefix() {
    let props = settings("props.conf");
    let (message, actor) = (samples::query(), samples::actor(samples::process()));
    for (source_type, schema, time) in [
        ("dnstrail:ecs", Schema::Ecs, "2026-11-21T03:10:30.123456789Z"),
        ("dnstrail:cim", Schema::SplunkCim, "2026-11-21T03:10:30.123456789Z"),
        ("dnstrail:ocsf", Schema::Ocsf, "1795230630123"),
    ] {
        let body = Body::Dns(samples::asked(&message, &actor));
        let mut line = Vec::new();
        Document { time: samples::TIME, sequence: 1, body }.write(&mut formats::writer(schema), &mut line);
        let line = String::from_utf8(line).unwrap();
        let keys = &props[source_type];
        assert!(line.starts_with(&format!("{{{}{time}", keys["TIME_PREFIX"])), "{line}");
        assert!(keys["MAX_TIMESTAMP_LOOKAHEAD"].parse::<usize>().unwrap() >= time.len());
    }
}

/// Words of a query language that are no fields, besides those that a search names itself.
const WORDS: &[&str] = &[
    "stats",
    "count",
    "min",
    "max",
    "sort",
    "dc",
    "where",
    "eval",
    "bin",
    "span",
    "relative_time",
    "now",
    "by",
    "as",
    "eventtype",
    "from",
    "and",
    "or",
    "not",
    "is",
    "null",
    "like",
    "limit",
    "count_distinct",
    "sum",
    "coalesce",
    "to_long",
    "hours",
    "minute",
    "date_trunc",
    "date_diff",
    "desc",
    "_time",
    "m",
];

/// The words of a search outside its texts and comments.
fn words(search: &str) -> (Vec<String>, BTreeSet<String>) {
    let code: String =
        search.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n");
    let code: String = code.split('"').step_by(2).collect::<Vec<_>>().join("\"");
    let mut named = BTreeSet::new();
    let is_part = |letter: char| letter.is_alphanumeric() || "_.@".contains(letter);
    for (at, _) in code.match_indices(" AS ") {
        named.extend(code[at + 4..].split(|letter| !is_part(letter)).next().map(str::to_owned));
    }
    // ES|QL names what it makes before a single equals sign, Splunk's eval without spaces.
    for (at, _) in code.match_indices(" = ").chain(code.match_indices("=last-")) {
        named.extend(code[..at].rsplit(|letter| !is_part(letter)).next().map(str::to_owned));
    }
    let words = code
        .split(|letter| !is_part(letter))
        .filter(|word| word.starts_with(|letter: char| letter.is_alphabetic() || "_@".contains(letter)));
    (words.map(str::to_owned).collect(), named)
}

#[track_caller]
fn names_only(search: &str, fields: &BTreeSet<String>) -> usize {
    let (words, named) = words(search);
    let (known, unknown): (Vec<&String>, Vec<&String>) = words
        .iter()
        .filter(|word| !named.contains(*word) && !WORDS.contains(&word.to_lowercase().as_str()))
        .partition(|word| fields.contains(*word));
    assert!(unknown.is_empty(), "{unknown:?} in {search}");
    known.len()
}

#[test]
fn searches_name_only_fields_that_exist() {
    let fields: BTreeSet<String> = mapped().into_keys().collect();
    let mut searches = 0;
    for entry in fs::read_dir(kit("elastic/searches")).unwrap() {
        let search = fs::read_to_string(entry.unwrap().path()).unwrap();
        assert!(search.contains("FROM logs-dnstrail-*\n"), "{search}");
        let search = search.replace("logs-dnstrail-*", "");
        assert!(names_only(&search, &fields) >= 4, "{search}");
        searches += 1;
    }
    assert_eq!(searches, 5);

    let message = samples::answer();
    let [line, _] = twins(&message, |lookup| dnstrail::sighting::dns::Document { alert: true, ..lookup });
    let [closed, _] = connection_twins(Stage::Closed);
    let fields: BTreeSet<String> =
        [line, closed].iter().flat_map(|line| made("dnstrail:ecs", &extract(line)).into_keys()).collect();
    let (types, searches) = (settings("eventtypes.conf"), settings("savedsearches.conf"));
    assert_eq!(searches.len(), 5);
    for (title, keys) in &searches {
        let search = &keys["search"];
        let kind = search.strip_prefix("eventtype=").and_then(|rest| rest.split(' ').next()).expect("an event type");
        assert!(types.contains_key(kind), "{title}: {kind}");
        let search = search.replace(kind, "");
        assert!(names_only(&search, &fields) >= 4, "{title}");
    }
}

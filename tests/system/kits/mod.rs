//! The kits of `schemas/`: what the add-on makes of real lines, that each field has its mapping, that
//! each file is what its program reads, and that searches name only what is there.

mod connections;
mod evaluate;
mod files;
mod receivers;
mod siem;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use dnstrail::dns::Message;
use dnstrail::journal::{Body, Document};
use dnstrail::schema::{DEFAULT_LINE, Schema};
use dnstrail::sighting::dns::{self, Occurrence};
use evaluate::{Fields, apply, extract};
use serde_json::{Map, Value};

use crate::support::conformance::described_fields;
use crate::support::formats;
use crate::support::samples::{self, ANSWER, QUERY, TIME, WWW, Wire};

/// The add-on's settings: section, key, value.
type Settings = BTreeMap<String, BTreeMap<String, String>>;

fn kit(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas").join(path)
}

fn text(path: &str) -> String {
    fs::read_to_string(kit(path)).unwrap_or_else(|error| panic!("schemas/{path}: {error}"))
}

/// A `.conf` file of Splunk: sections of keys; a backslash at the end joins lines; no key comes twice.
fn settings(name: &str) -> Settings {
    let mut sections = Settings::new();
    let mut section = String::new();
    for line in text(&format!("splunk/dnstrail/default/{name}")).replace("\\\n", "").lines() {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if let Some(title) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            title.clone_into(&mut section);
            assert!(sections.insert(section.clone(), BTreeMap::new()).is_none(), "{name}: [{section}] twice");
            continue;
        }
        let (key, value) = line.split_once(" = ").unwrap_or_else(|| panic!("{name}: {line}"));
        let keys = sections.get_mut(&section).unwrap_or_else(|| panic!("{name}: {line} in no section"));
        assert!(keys.insert(key.to_owned(), value.to_owned()).is_none(), "{name}: {key} twice");
    }
    sections
}

/// The fields that the add-on gives a line, besides those of its JSON.
fn made(source_type: &str, fields: &Fields) -> Fields {
    apply(&settings("props.conf")[source_type], fields)
}

/// Fields as JSON. A text that Splunk takes for a number becomes a number.
fn as_json(fields: &Fields) -> Value {
    let value = |text: &String| match (text.parse::<u64>(), text.parse::<f64>()) {
        (Ok(number), _) => number.into(),
        (_, Ok(number)) => number.into(),
        _ => Value::String(text.clone()),
    };
    let of = |values: &Vec<String>| match values.as_slice() {
        [one] => value(one),
        many => many.iter().map(value).collect(),
    };
    fields.iter().map(|(name, values)| (name.clone(), of(values))).collect::<Map<_, _>>().into()
}

/// A line of ECS and its twin in the words of CIM.
fn twins(message: &Message, change: impl FnOnce(dns::Document) -> dns::Document) -> [Value; 2] {
    let (actor, matches) = (samples::actor(samples::contained()), samples::matches());
    let asked = samples::asked(message, &actor);
    let mut lookup = change(if message.response { samples::answered(message, &actor) } else { asked });
    if lookup.alert {
        lookup.matches = &matches;
    }
    let document = Document { time: TIME, sequence: 1, body: Body::Dns(lookup) };
    [Schema::Ecs, Schema::SplunkCim].map(|schema| {
        let mut line = Vec::new();
        document.write(&mut formats::writer(schema), &mut line);
        formats::check(schema, &line, DEFAULT_LINE)
    })
}

/// Fields of a CIM line that the add-on need not make of a line of ECS: it has them under the names of ECS.
fn is_own(name: &str) -> bool {
    const OWN: [&str; 9] = [
        "timestamp",
        "sequence",
        "message",
        "dvc_id",
        "dvc_os",
        "sensor_id",
        "sensor_version",
        "threat_match_field",
        "threat_match_value",
    ];
    OWN.contains(&name) || name.starts_with("dnstrail.") || name.ends_with("{}")
}

#[track_caller]
fn agree([ecs, cim]: &[Value; 2]) {
    let ecs = made("dnstrail:ecs", &extract(ecs));
    let cim = made("dnstrail:cim", &extract(cim));
    for fields in [&ecs, &cim] {
        formats::check_resolution(&as_json(fields));
        siem::follows_the_model(&as_json(fields));
    }
    for (name, values) in cim.iter().filter(|(name, _)| !is_own(name)) {
        assert_eq!(ecs.get(name), Some(values), "{name}");
    }
    for name in ["answer", "reply_code", "response_time", "ttl", "signature", "severity"] {
        assert_eq!(ecs.get(name), cim.get(name), "{name}");
    }
}

#[test]
fn splunk_sees_the_same_in_lines_of_ecs_and_of_cim() {
    agree(&twins(&samples::query(), |lookup| lookup));
    agree(&twins(&samples::answer(), |lookup| lookup));
    agree(&twins(&samples::query(), |lookup| dns::Document { alert: true, ..lookup }));
    agree(&twins(&samples::answer(), |lookup| dns::Document { alert: true, ..lookup }));
    let occurrence = Occurrence::Timeout { query_time: TIME - 5_000_000_000 };
    agree(&twins(&samples::query(), |lookup| dns::Document { occurrence, ..lookup }));
    for code in 0..16 {
        agree(&twins(&Wire::new(7, ANSWER | code).question(WWW, 28).message(), |lookup| lookup));
    }
    for opcode in [0, 1, 2, 4, 5, 6, 9] {
        agree(&twins(&Wire::new(7, QUERY | opcode << 11).question(WWW, 255).message(), |lookup| lookup));
    }
    // Answers alike are counted each.
    let same = Wire::new(7, ANSWER).question(WWW, 1).answer(WWW, 1, &[1; 4]).answer(WWW, 1, &[1; 4]).message();
    let lines = twins(&same, |lookup| lookup);
    agree(&lines);
    assert_eq!(made("dnstrail:ecs", &extract(&lines[0]))["answer"], ["1.1.1.1", "1.1.1.1"]);
}

#[test]
fn cim_values_of_an_answer_from_ecs() {
    let [line, _] = twins(&samples::answer(), |lookup| lookup);
    let fields = as_json(&made("dnstrail:ecs", &extract(&line)));
    let expected = serde_json::json!({
        "query": "www.evil.example", "message_type": "Response", "reply_code": "No Error", "reply_code_id": 0,
        "answer_count": 5, "transaction_id": 4711, "response_time": 0.001_234_567, "src": "198.51.100.7",
        "dest_port": 53, "process_path": "/usr/bin/curl", "dvc": "web-1", "ttl": 300, "record_type": "A",
    });
    for (name, expected) in expected.as_object().unwrap() {
        assert_eq!(&fields[name], expected, "{name}");
    }
}

/// The lines that the program makes of a capture.
fn replayed(file: &Path, format: &str) -> Vec<Vec<u8>> {
    let output = Command::new(env!("CARGO_BIN_EXE_dnstrail"))
        .arg("replay")
        .arg(file)
        .args(["--output", &format!("stdout?format={format}")])
        .output()
        .expect("dnstrail");
    assert!(output.status.success(), "{}: {}", file.display(), String::from_utf8_lossy(&output.stderr));
    output.stdout.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect()
}

#[test]
fn every_capture_in_every_format() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data");
    let mut answers = 0;
    for entry in fs::read_dir(folder).expect("tests/data") {
        let path = entry.expect("an entry").path();
        if !path.extension().is_some_and(|ending| ending == "pcap" || ending == "pcapng") {
            continue;
        }
        let lines = [("ecs", Schema::Ecs), ("splunk-cim", Schema::SplunkCim), ("ocsf", Schema::Ocsf)].map(
            |(format, schema)| -> Vec<Value> {
                replayed(&path, format).iter().map(|line| formats::check(schema, line, DEFAULT_LINE)).collect()
            },
        );
        let [ecs, cim, ocsf] = lines;
        assert_eq!((ecs.len(), ecs.len()), (cim.len(), ocsf.len()), "{}", path.display());
        for ((ecs, cim), ocsf) in ecs.into_iter().zip(cim).zip(ocsf) {
            assert_eq!(ecs["event"]["sequence"], ocsf["metadata"]["sequence"]);
            if ecs.get("dns").is_some() {
                answers += u32::from(ecs["dns"]["type"] == "answer");
                assert_eq!(ecs["dns"]["question"].get("name"), ocsf["query"].get("hostname"));
                agree(&[ecs, cim]);
            }
        }
    }
    assert!(answers > 100, "{answers} answers");
}

/// Every field of the index template with its type; names that are not fixed end with a star.
fn mapped() -> BTreeMap<String, String> {
    fn walk(path: &str, node: &Value, fields: &mut BTreeMap<String, String>) {
        if let Some(kind) = node["type"].as_str() {
            fields.insert(path.to_owned(), kind.to_owned());
        }
        for (name, inner) in node["properties"].as_object().into_iter().flatten() {
            walk(&if path.is_empty() { name.clone() } else { format!("{path}.{name}") }, inner, fields);
        }
    }
    let template: Value = serde_json::from_str(&text("elastic/index-template.json")).expect("JSON");
    let mappings = &template["template"]["mappings"];
    let mut fields = BTreeMap::new();
    walk("", mappings, &mut fields);
    for rule in mappings["dynamic_templates"].as_array().unwrap() {
        let rule = rule.as_object().unwrap().values().next().unwrap();
        if let Some(path) = rule["path_match"].as_str() {
            fields.insert(path.to_owned(), rule["mapping"]["type"].as_str().unwrap().to_owned());
        }
    }
    fields
}

#[test]
fn every_ecs_field_is_mapped_with_its_type() {
    let mapped = mapped();
    let list = text("ecs-fields.csv");
    for row in list.lines().skip(1) {
        let columns: Vec<&str> = row.split(',').collect();
        assert_eq!(mapped.get(columns[1]).map(String::as_str), Some(columns[2]), "{}", columns[1]);
    }
    assert_eq!(mapped["threat.enrichments"], "nested");
}

#[test]
fn every_field_of_the_schema_is_mapped() {
    let mapped = mapped();
    for name in described_fields() {
        let parent = mapped.keys().any(|path| path.starts_with(&format!("{name}.")));
        assert!(mapped.contains_key(&name) || parent, "{name} is not mapped");
    }
}

#[test]
fn every_field_of_every_line_is_mapped() {
    let mapped = mapped();
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/schema/golden/ecs");
    let mut seen = BTreeSet::new();
    for entry in fs::read_dir(golden).expect("golden lines") {
        let line = fs::read_to_string(entry.unwrap().path()).unwrap();
        let line: Value = serde_json::from_str(&line).unwrap();
        for (name, values) in extract(&line) {
            let name = name.replace("{}", "");
            let kind = mapped.get(&name).or_else(|| {
                let stars = mapped.iter().filter_map(|(path, kind)| Some((path.strip_suffix('*')?, kind)));
                stars.filter(|(path, _)| name.starts_with(path)).map(|(_, kind)| kind).next()
            });
            let kind = kind.unwrap_or_else(|| panic!("{name} is not mapped")).as_str();
            for value in values {
                let fits = match kind {
                    "long" => value.parse::<i64>().is_ok(),
                    "boolean" => value.parse::<bool>().is_ok(),
                    "ip" => value.parse::<std::net::IpAddr>().is_ok(),
                    "date" => chrono::DateTime::parse_from_rfc3339(&value).is_ok(),
                    "keyword" | "wildcard" | "match_only_text" => true,
                    _ => false,
                };
                assert!(fits, "{name} is {value}, mapped as {kind}");
            }
            seen.insert(name);
        }
    }
    assert!(seen.len() > 120, "{} fields seen", seen.len());
}

//! The kits for Sigma and Splunk before the programs of those who make these: sigma-cli converts rules
//! with our mapping, AppInspect judges the add-on, and lines are held against the data model of
//! pytest-splunk-addon.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use serde_json::Value;

use super::{kit, mapped, text};

/// Where tests/system/install-siem has put the programs.
fn programs() -> &'static Path {
    static PROGRAMS: OnceLock<PathBuf> = OnceLock::new();
    PROGRAMS.get_or_init(|| {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let folder = root.join("target/tools/siem");
        let status = Command::new(root.join("tests/system/install-siem"))
            .arg(&folder)
            .status()
            .expect("tests/system/install-siem");
        assert!(status.success(), "tests/system/install-siem failed");
        folder
    })
}

/// Runs what the program's own script would: it names the folder that it was first put in.
fn python(code: &str, arguments: &[&str]) -> Output {
    let output = Command::new(programs().join("bin/python3")).args(["-c", code]).args(arguments).output();
    output.expect("python3")
}

/// A rule as sigma-cli converts it.
fn converted(rule: &str, target: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("rule.yml");
    fs::write(&file, rule).unwrap();
    let (mapping, file) = (kit("sigma/dnstrail.yml").display().to_string(), file.display().to_string());
    let arguments = ["convert", "-t", target, "-p", &mapping, &file];
    let output = python("from sigma.cli.main import main; main()", &arguments);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn rule(logsource: &str, selection: &str) -> String {
    format!(
        "title: Test\nid: 3f9d4f9e-6a0f-4bb1-9d7c-2a3e5f5a7a11\nstatus: test\nlogsource: {{ {logsource} }}\n\
         detection:\n  selection: {{ {selection} }}\n  condition: selection\n"
    )
}

#[test]
fn sigma_rules_become_searches() {
    let curl = rule("category: dns_query, product: linux", "QueryName|endswith: .evil.example, Image|endswith: /curl");
    assert_eq!(
        converted(&curl, "esql"),
        "from logs-dnstrail-* metadata _id, _index, _version | where ends_with(dns.question.name, \".evil.example\") \
         and ends_with(process.executable, \"/curl\")"
    );
    assert_eq!(converted(&curl, "splunk"), r#"dns.question.name="*.evil.example" process.executable="*/curl""#);
    let tunnel = rule("category: dns", "record_type: TXT, query|contains: tunnel");
    assert_eq!(converted(&tunnel, "lucene"), "dns.question.type:TXT AND dns.question.name:*tunnel*");
    let missing = rule("category: network, service: dns", "dns.response.code: NXDOMAIN");
    assert_eq!(converted(&missing, "eql"), r#"any where dns.response_code:"NXDOMAIN""#);
    // A rule for another log source keeps its field names.
    assert!(converted(&rule("category: process_creation", "Image: /bin/sh"), "lucene").starts_with("Image:"));
}

#[test]
fn sigma_maps_every_field_that_it_names() {
    let mapping: Value = serde_yaml_ng::from_str(&text("sigma/dnstrail.yml")).expect("YAML");
    let fields = mapped();
    let mut names = 0;
    for transformation in mapping["transformations"].as_array().unwrap() {
        let Some(mapping) = transformation["mapping"].as_object() else { continue };
        let source = &transformation["rule_conditions"][0];
        let logsource: Vec<String> = ["category", "service"]
            .into_iter()
            .filter_map(|key| Some(format!("{key}: {}", source.get(key)?.as_str()?)))
            .collect();
        let selection: Vec<String> = mapping.keys().map(|name| format!("{name}: value")).collect();
        let search = converted(&rule(&logsource.join(", "), &selection.join(", ")), "splunk");
        let searched: BTreeSet<&str> = search.split(' ').filter_map(|term| term.strip_suffix("=\"value\"")).collect();
        let wanted: BTreeSet<&str> = mapping.values().map(|target| target.as_str().unwrap()).collect();
        assert_eq!(searched, wanted);
        assert!(wanted.iter().all(|target| fields.contains_key(*target)), "{wanted:?}");
        names += wanted.len();
    }
    assert!(names > 15, "{names}");
}

#[test]
fn app_inspect_has_nothing_against_the_add_on() {
    let folder = tempfile::tempdir().unwrap();
    let report = folder.path().join("report.json");
    let (app, file) = (kit("splunk/dnstrail").display().to_string(), report.display().to_string());
    let inspect = "from splunk_appinspect.main import execute; execute()";
    let output = python(inspect, &["inspect", &app, "--output-file", &file, "--data-format", "json"]);
    let report = fs::read_to_string(&report).unwrap_or_else(|error| panic!("{error}: {output:?}"));
    let report: Value = serde_json::from_str(&report).expect("JSON");
    let groups = report["reports"][0]["groups"].as_array().expect("groups");
    let checks = || groups.iter().flat_map(|group| group["checks"].as_array().into_iter().flatten());
    let with = |result: &'static str| checks().filter(move |check| check["result"] == result);
    assert!(with("success").count() > 50);
    let bad: Vec<&Value> = ["failure", "error", "future_failure"].into_iter().flat_map(with).collect();
    assert!(bad.is_empty(), "{bad:#?}");
    let warned: Vec<&str> = with("warning").filter_map(|check| check["name"].as_str()).collect();
    // The input is for forwarders, not for indexers.
    assert_eq!(warned, ["check_for_indexer_synced_configs"]);
}

/// The data model Network Resolution, by field.
fn model() -> Vec<Value> {
    static MODEL: OnceLock<Vec<Value>> = OnceLock::new();
    let read = || {
        let find =
            "import importlib.util as u; print(u.find_spec('pytest_splunk_addon').submodule_search_locations[0])";
        let found = String::from_utf8(python(find, &[]).stdout).unwrap();
        let file = Path::new(found.trim()).join("data_models/Network_Resolution.json");
        let model: Value = serde_json::from_str(&fs::read_to_string(file).expect("the data model")).expect("JSON");
        let fields = model["objects"][0]["fields"].as_array().expect("fields").clone();
        assert!(fields.len() > 15);
        fields
    };
    MODEL.get_or_init(read).clone()
}

/// Fields that an event does not have, or not yet: Splunk fills them with "unknown" by itself.
fn may_be_absent(name: &str, event: &Value) -> bool {
    let is_query = event["message_type"] == "Query";
    match name {
        "reply_code" | "reply_code_id" => is_query,
        // An answer whose query was not seen has no duration either.
        "response_time" => is_query || event.get("duration").is_none(),
        "answer" => event["answer_count"] == 0,
        "query" | "record_type" => event["query_count"] == 0,
        _ => false,
    }
}

/// The model leaves "No Error" without its number, and has no word for what came after it or is not assigned.
fn is_beyond_the_model(name: &str, event: &Value) -> bool {
    let starts = |name: &str, with: &str| event[name].as_str().is_some_and(|text| text.starts_with(with));
    match name {
        "reply_code" => starts("reply_code", "RCODE"),
        "reply_code_id" => event["reply_code_id"] == 0 || starts("reply_code", "RCODE"),
        "record_type" => starts("record_type", "TYPE"),
        "query_type" => starts("query_type", "OPCODE") || event["query_type"] == "DSO",
        _ => false,
    }
}

/// Holds one event, with the fields that Splunk sees, against the model.
#[track_caller]
pub fn follows_the_model(event: &Value) {
    for field in model() {
        let name = field["name"].as_str().expect("a name");
        let Some(value) = event.get(name) else {
            assert!(field["type"] != "required" || may_be_absent(name, event), "{name} is missing in {event:#}");
            continue;
        };
        if let Some(expected) = field["expected_values"].as_array() {
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            let known = expected.iter().any(|each| *each == text) || is_beyond_the_model(name, event);
            assert!(known, "{name} is {text} in {event:#}");
        }
        let validity = field["validity"].as_str().unwrap_or_default();
        assert!(!validity.contains("isnum") || value.is_number(), "{name} is {value} in {event:#}");
        if let Some(counted) = validity.split("mvcount(").nth(1).and_then(|rest| rest.split(')').next()) {
            let values = event.get(counted).map_or(0, |value| value.as_array().map_or(1, Vec::len));
            assert_eq!(value.as_u64(), Some(values as u64), "{name} in {event:#}");
        }
    }
}

//! Is this a line that we promise? Every test that makes lines hands them to [`check_line`]: one
//! line of JSON, below the cap, as `schemas/event.schema.json` has it, and each field outside
//! `dnstrail.*` one of ECS with its type and allowed values.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::LazyLock;

use chrono::DateTime;
use dnstrail::schema::DEFAULT_LINE;
use jsonschema::Validator;
use serde_json::Value;

pub static SCHEMA: LazyLock<Value> =
    LazyLock::new(|| serde_json::from_str(include_str!("../../schemas/event.schema.json")).unwrap());

static VALIDATOR: LazyLock<Validator> = LazyLock::new(|| jsonschema::draft202012::new(&SCHEMA).unwrap());

static FIELDS: LazyLock<BTreeMap<&str, Field>> = LazyLock::new(|| {
    let mut fields = BTreeMap::new();
    for row in include_str!("../../schemas/ecs-fields.csv").lines().skip(1) {
        let columns: Vec<&str> = row.split(',').collect();
        let [version, field, r#type, _level, normalization] = columns[..] else { panic!("{row}") };
        assert_eq!(version, dnstrail::schema::ecs::VERSION);
        fields.insert(field, Field { r#type, array: normalization == "array" });
    }
    fields
});

/// A row of the ECS field list.
struct Field {
    r#type: &'static str,
    array: bool,
}

/// Values that ECS allows (`allowed_values` in its schemas), and the types that it expects with
/// each category.
const KINDS: &[&str] = &["alert", "asset", "enrichment", "event", "metric", "state", "pipeline_error", "signal"];
const OUTCOMES: &[&str] = &["failure", "success", "unknown"];
const TYPES_OF_CATEGORY: &[(&str, &[&str])] = &[
    ("network", &["access", "allowed", "connection", "denied", "end", "info", "protocol", "start"]),
    ("intrusion_detection", &["allowed", "denied", "info"]),
    ("configuration", &["access", "change", "creation", "deletion", "info"]),
];

/// Checks one line, its newline included, and gives what it says.
#[track_caller]
pub fn check_line(line: &[u8]) -> Value {
    check_line_below(line, DEFAULT_LINE)
}

/// Checks one line of a writer with the cap `cap`, and gives its content.
#[track_caller]
pub fn check_line_below(line: &[u8], cap: usize) -> Value {
    let text = str::from_utf8(line).expect("a line is UTF-8");
    assert!(line.len() <= cap, "{} bytes: {text}", line.len());
    let body = text.strip_suffix('\n').unwrap_or_else(|| panic!("no newline at the end: {text}"));
    assert!(!body.chars().any(obeyed), "a character that terminals obey in {body:?}");
    let value: Value = serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {body}"));
    // A key that came twice would be one now, and the text shorter.
    assert_eq!(as_written(&value.to_string()).len(), body.len(), "{body}");
    let errors: Vec<String> =
        VALIDATOR.iter_errors(&value).map(|error| format!("{}: {error}", error.instance_path())).collect();
    assert!(errors.is_empty(), "{errors:#?}\n{value:#}");
    for (name, part) in value.as_object().expect("an object") {
        if name != "dnstrail" {
            check_field(name, part);
        }
    }
    check_values(&value["event"]);
    value
}

/// Whether a terminal obeys the character instead of showing it: controls, separators of lines, and the marks
/// of bidirectional text (Unicode 16, `Bidi_Control`).
pub fn obeyed(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// JSON of `serde_json`, which escapes less, as a line has it.
fn as_written(json: &str) -> String {
    let escape = |character| match character {
        obeyed if self::obeyed(obeyed) => format!("\\u{:04x}", u32::from(obeyed)),
        shown => shown.to_string(),
    };
    json.chars().map(escape).collect()
}

/// Checks every line of an output.
#[track_caller]
pub fn check_lines(output: &[u8]) -> Vec<Value> {
    output.split_inclusive(|byte| *byte == b'\n').map(check_line).collect()
}

#[track_caller]
fn check_field(name: &str, value: &Value) {
    let field = FIELDS.get(name);
    match value {
        Value::Object(parts) => {
            // The name of a group has no row of its own, that of an object has.
            assert!(field.is_none_or(|field| matches!(field.r#type, "object" | "nested")), "{name} is no object");
            for (part, value) in parts {
                check_field(&format!("{name}.{part}"), value);
            }
        }
        Value::Array(values) => {
            let array = field.is_some_and(|field| field.array);
            assert!(array, "{name} is no array in ECS");
            for value in values {
                check_field(name, value);
            }
        }
        _ => {
            let field = field.unwrap_or_else(|| panic!("{name} is no field of ECS"));
            assert!(is_of(field.r#type, value), "{name} is no {}: {value}", field.r#type);
        }
    }
}

fn is_of(r#type: &str, value: &Value) -> bool {
    match r#type {
        "keyword" | "wildcard" | "match_only_text" => value.is_string(),
        "long" => value.is_i64(),
        "date" => value.as_str().is_some_and(|text| DateTime::parse_from_rfc3339(text).is_ok()),
        "ip" => value.as_str().is_some_and(|text| text.parse::<IpAddr>().is_ok()),
        "boolean" => value.is_boolean(),
        other => panic!("a type that was not needed before: {other}"),
    }
}

#[track_caller]
fn check_values(event: &Value) {
    let texts = |name: &str| -> Vec<&str> {
        event[name].as_array().map(|list| list.iter().filter_map(Value::as_str).collect()).unwrap_or_default()
    };
    assert!(KINDS.contains(&event["kind"].as_str().unwrap()), "{event}");
    assert!(event["outcome"].as_str().is_none_or(|outcome| OUTCOMES.contains(&outcome)), "{event}");
    let (categories, types) = (texts("category"), texts("type"));
    for category in &categories {
        assert!(TYPES_OF_CATEGORY.iter().any(|(known, _)| known == category), "{category} is no category we know");
    }
    for r#type in types.iter().filter(|_| !categories.is_empty()) {
        let expected = |(category, types): &(&str, &[&str])| categories.contains(category) && types.contains(r#type);
        assert!(TYPES_OF_CATEGORY.iter().any(expected), "{type} goes with none of {categories:?}");
    }
}

/// The fields that the schema describes, by their ECS names.
fn described(node: &Value, name: &str, names: &mut BTreeSet<String>) {
    if let Some(reference) = node["$ref"].as_str() {
        return described(SCHEMA.pointer(&reference[1..]).unwrap(), name, names);
    }
    if let Some(properties) = node["properties"].as_object() {
        for (part, node) in properties {
            let name = if name.is_empty() { part.clone() } else { format!("{name}.{part}") };
            described(node, &name, names);
        }
        return;
    }
    names.insert(name.to_owned());
    if let Some(items) = node.get("items") {
        described(items, name, names);
    }
}

/// Every field that the schema describes.
pub fn described_fields() -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    described(&SCHEMA, "", &mut names);
    names
}

/// The names of the field list.
pub fn listed_fields() -> BTreeSet<String> {
    FIELDS.keys().map(|name| (*name).to_owned()).collect()
}

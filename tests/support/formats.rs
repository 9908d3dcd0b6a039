//! Writers for the formats of other vendors, and a check of one line against what each format requires.

use dnstrail::schema::{Agent, Schema, Writer};
use serde_json::Value;

use super::samples;

pub const OTHERS: [Schema; 2] = [Schema::SplunkCim, Schema::Ocsf];

pub fn writer(schema: Schema) -> Writer {
    Writer::new(schema, &samples::host(), &Agent::new(&samples::host(), "1795230630"))
}

/// Checks one line of `schema`, its newline included, and gives what it says.
#[track_caller]
pub fn check(schema: Schema, line: &[u8], cap: usize) -> Value {
    let text = str::from_utf8(line).expect("a line is UTF-8");
    assert!(line.len() <= cap, "{} bytes: {text}", line.len());
    let body = text.strip_suffix('\n').unwrap_or_else(|| panic!("no newline at the end: {text}"));
    assert!(!body.chars().any(|character| character < ' '), "a control character in {body:?}");
    let value: Value = serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {body}"));
    match schema {
        Schema::Ecs => {}
        Schema::SplunkCim if value.get("message_type").is_some() => check_resolution(&value),
        Schema::SplunkCim => {
            for name in ["timestamp", "sequence", "event_kind", "event_action", "vendor_product", "dvc"] {
                assert!(!value[name].is_null(), "{name} in {value:#}");
            }
        }
        Schema::Ocsf => check_ocsf(&value),
    }
    value
}

const REPLY_CODES: &[&str] = &[
    "No Error",
    "Format Error",
    "Server Failure",
    "Non-Existent Domain",
    "NotImp",
    "Refused",
    "YXDomain",
    "YXRRSet",
    "NXRRSet",
    "NotAuth",
    "NotZone",
    "DSOTYPENI",
    "BADVERS",
    "BADKEY",
    "BADTIME",
    "BADMODE",
    "BADNAME",
    "BADALG",
    "BADTRUNC",
    "BADCOOKIE",
];

/// Network Resolution, dataset DNS. Fields that a query does not have yet are absent: Splunk's data model fills
/// `answer` and `reply_code` with "unknown".
#[track_caller]
pub fn check_resolution(value: &Value) {
    let text = |name: &str| value[name].as_str().unwrap_or_else(|| panic!("{name} in {value:#}"));
    let number = |name: &str| value[name].as_u64().unwrap_or_else(|| panic!("{name} in {value:#}"));
    for name in ["src", "dest"] {
        assert!(text(name).parse::<std::net::IpAddr>().is_ok(), "{name}: {}", text(name));
    }
    assert!(matches!(text("transport"), "udp" | "tcp"));
    assert!(number("transaction_id") <= 65_535 && number("src_port") <= 65_535 && number("dest_port") <= 65_535);
    let count = |name: &str| match &value[name] {
        Value::Null => 0,
        Value::Array(elements) => elements.len(),
        _ => 1,
    };
    assert_eq!(number("answer_count"), count("answer") as u64);
    assert_eq!(number("query_count"), count("query") as u64);
    number("authority_answer_count");
    number("additional_answer_count");
    assert!(!text("query_type").is_empty());
    if count("query") > 0 {
        assert!(!text("record_type").is_empty() && text("record_type") != "ANY");
    }
    match text("message_type") {
        "Query" => assert!(value.get("reply_code").is_none() && value.get("response_time").is_none()),
        "Response" => {
            let code = number("reply_code_id");
            assert!(REPLY_CODES.contains(&text("reply_code")) || text("reply_code") == format!("RCODE{code}"));
            assert!(value["response_time"].as_f64().is_none_or(|seconds| (0.0..1e6).contains(&seconds)));
        }
        other => panic!("message_type {other}"),
    }
}

/// The requirements of the base event, the class and the objects in it.
#[track_caller]
fn check_ocsf(value: &Value) {
    let number = |path: &str| {
        let at = value.pointer(path).unwrap_or_else(|| panic!("{path} in {value:#}"));
        at.as_u64().unwrap_or_else(|| panic!("{path} is {at}"))
    };
    let text = |path: &str| {
        let at = value.pointer(path).unwrap_or_else(|| panic!("{path} in {value:#}"));
        at.as_str().unwrap_or_else(|| panic!("{path} is {at}"))
    };
    let activity = number("/activity_id");
    assert_eq!(number("/type_uid"), number("/class_uid") * 100 + activity);
    assert_eq!(number("/category_uid"), number("/class_uid") / 1000);
    assert!(number("/severity_id") <= 5);
    number("/time");
    assert!(text("/metadata/version").starts_with("1."));
    assert!(!text("/metadata/product/vendor_name").is_empty());
    number("/metadata/sequence");
    number("/device/type_id");
    number("/device/os/type_id");
    assert!(!text("/device/os/name").is_empty());
    match number("/class_uid") {
        6002 => {
            assert!(matches!(activity, 3 | 4 | 99), "{activity}");
            assert!(!text("/app/name").is_empty());
            return;
        }
        4001 => assert!(matches!(activity, 1 | 2 | 4), "{activity}"),
        class => {
            assert_eq!(class, 4003);
            assert!(matches!(activity, 0..=2), "{activity}");
            assert_eq!(value.get("rcode_id").is_some(), activity == 2);
        }
    }
    number("/connection_info/direction_id");
    for end in ["src_endpoint", "dst_endpoint"] {
        assert!(text(&format!("/{end}/ip")).parse::<std::net::IpAddr>().is_ok());
        assert!(number(&format!("/{end}/port")) <= 65_535);
    }
    if value.get("query").is_some() {
        assert!(!text("/query/hostname").is_empty());
        number("/query/packet_uid");
        number("/query/opcode_id");
    }
    for answer in value["answers"].as_array().into_iter().flatten() {
        assert!(answer["rdata"].is_string() && answer["ttl"].is_u64() && answer["type"].is_string(), "{answer}");
        assert!(answer["flag_ids"].as_array().is_some_and(|flags| flags.iter().all(Value::is_u64)));
    }
    if value.get("actor").is_some() {
        number("/actor/process/pid");
        for file in ["/actor/process/file", "/actor/process/parent_process/file"] {
            if value.pointer(file).is_some() {
                number(&format!("{file}/type_id"));
                text(&format!("{file}/name"));
            }
        }
    }
    let profiles = value["metadata"]["profiles"].as_array().unwrap();
    let has = |profile: &str| profiles.iter().any(|each| each == profile);
    assert!(has("host"));
    assert_eq!(value.get("is_alert").is_some(), has("security_control"));
    if has("security_control") {
        assert_eq!((number("/action_id"), number("/disposition_id")), (3, 19));
    }
    assert_eq!(value.get("osint").is_some(), has("osint"));
    for indicator in value["osint"].as_array().into_iter().flatten() {
        assert!(indicator["value"].is_string() && indicator["type_id"].is_u64(), "{indicator}");
    }
}

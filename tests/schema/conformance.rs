//! The JSON Schema and the field list agree, every line of every capture follows them, and lines that
//! break them are refused.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use dnstrail::schema::DEFAULT_LINE;
use serde_json::Value;

use crate::support::conformance::{SCHEMA, check_line, check_lines, described_fields, listed_fields};

#[test]
fn schema_and_field_list_name_the_same_fields() {
    assert!(jsonschema::meta::is_valid(&SCHEMA));
    let mut names = described_fields();
    names.retain(|name| !name.starts_with("dnstrail."));
    assert_eq!(names, listed_fields());
}

/// A schema that lets something else through promises nothing.
#[test]
fn every_object_of_the_schema_is_closed() {
    fn walk(node: &Value, path: &str) {
        if node["type"] == "object" {
            assert!(node.get("additionalProperties").is_some(), "{path} is open");
        }
        let parts: Vec<(String, &Value)> = match node {
            Value::Object(parts) => parts.iter().map(|(name, node)| (name.clone(), node)).collect(),
            Value::Array(parts) => parts.iter().enumerate().map(|(at, node)| (at.to_string(), node)).collect(),
            _ => Vec::new(),
        };
        for (name, node) in parts {
            walk(node, &format!("{path}/{name}"));
        }
    }
    walk(&SCHEMA, "");
}

/// The program itself, on every capture that we have.
#[test]
fn every_line_of_every_capture() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut captures: Vec<PathBuf> = fs::read_dir(root.join("tests/data"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.to_string_lossy().contains(".pcap"))
        .collect();
    captures.sort();
    let rules = tempfile::NamedTempFile::with_suffix(".txt").unwrap();
    fs::write(&rules, "example.com\ncom\nnet\norg\n0.0.0.0/1\n").unwrap();
    let mut seen = BTreeSet::new();
    for capture in captures {
        let replay = Command::new(env!("CARGO_BIN_EXE_dnstrail"))
            .arg("replay")
            .arg(&capture)
            .args(["--rules".as_ref(), rules.path()])
            .output()
            .unwrap();
        assert!(replay.status.success(), "{}: {}", capture.display(), String::from_utf8_lossy(&replay.stderr));
        for line in check_lines(&replay.stdout) {
            seen.extend(["kind", "action"].map(|field| line["event"][field].as_str().unwrap().to_owned()));
        }
    }
    for expected in ["dns-query", "dns-answer", "sensor-loss", "alert"] {
        assert!(seen.contains(expected), "{expected} is missing in {seen:?}");
    }
}

mod refuses {
    use super::*;
    use crate::support::samples;

    /// A good line with one field changed.
    fn changed(pointer: &str, value: Option<Value>) -> Vec<u8> {
        let mut line = check_line(&samples::line_of_answer());
        let (parent, name) = pointer.rsplit_once('/').unwrap();
        let parent = line.pointer_mut(parent).unwrap().as_object_mut().unwrap();
        match value {
            Some(value) => drop(parent.insert(name.to_owned(), value)),
            None => drop(parent.remove(name).unwrap()),
        }
        format!("{line}\n").into_bytes()
    }

    fn refused(line: &[u8]) -> bool {
        std::panic::catch_unwind(|| check_line(line)).is_err()
    }

    #[test]
    fn what_is_not_as_promised() {
        for (pointer, value) in [
            ("/extra", Some(Value::from(1))),
            ("/process/hash", Some(Value::from("x"))),
            ("/dnstrail/dns/extra", Some(Value::from(true))),
            ("/process/pid", Some(Value::from("4242"))),
            ("/source/ip", Some(Value::from("203.0.113"))),
            ("/dns/id", Some(Value::from(7))),
            ("/dns/question/name", Some(Value::from("WWW.example"))),
            ("/event/start", Some(Value::from("yesterday"))),
            ("/event/kind", Some(Value::from("alert"))),
            ("/event/outcome", Some(Value::from("fine"))),
            ("/event/type", Some(Value::from("connection"))),
            ("/event/sequence", None),
            ("/dns/response_code", None),
            ("/host", None),
        ] {
            assert!(refused(&changed(pointer, value.clone())), "{pointer} {value:?}");
        }
    }

    #[test]
    fn what_is_not_one_line() {
        let line = samples::line_of_answer();
        assert!(!refused(&line));
        assert!(refused(&line[..line.len() - 1]));
        assert!(refused(&[&line[..], b"\n"].concat()));
        assert!(refused(&[&line[..], &line[..]].concat()));
        assert!(refused(&[&line[..line.len() - 2], b",\"event\":{}}\n"].concat()), "a key that comes twice");
        assert!(refused(&[&line[..line.len() - 2], &b" ".repeat(DEFAULT_LINE), b"}\n"].concat()), "too long");
    }
}

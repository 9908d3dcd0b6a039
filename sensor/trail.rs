//! `dnstrail trail`: reads documents that dnstrail wrote, and tells which processes resolved an
//! indicator and what they, and the processes that they started, looked up after that.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::IpAddr;
use std::path::Path;

use anyhow::{Context, Result};
use flate2::bufread::MultiGzDecoder;
use serde::Serialize;
use serde_json::Value;

/// A name and all below it, or an address.
#[derive(Debug)]
enum Indicator {
    Address(IpAddr),
    Name(String),
}

/// One step of a trail.
#[derive(Debug, Serialize)]
#[serde(rename_all = "lowercase")]
enum Relation {
    /// Resolved the indicator.
    Resolved,
    /// A later lookup by a process that had resolved it.
    Then,
    /// A lookup by a process that such a process started.
    Child,
}

#[derive(Debug, Serialize)]
struct Step<'a> {
    relation: Relation,
    #[serde(rename = "@timestamp")]
    time: &'a str,
    host: &'a str,
    action: &'a str,
    entity_id: &'a str,
    pid: u64,
    executable: &'a str,
    command_line: &'a str,
    user: &'a str,
    parent: &'a str,
    container: &'a str,
    name: &'a str,
    r#type: &'a str,
    response_code: &'a str,
    addresses: Vec<&'a str>,
    alert: bool,
}

/// What was read, and what of it could not be.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Summary {
    pub documents: u64,
    /// Lines that are no documents of dnstrail: torn, or of another program.
    pub skipped: u64,
    /// Processes that resolved the indicator.
    pub processes: usize,
}

/// Follows `indicator` through `files` in the given order, oldest first.
///
/// # Errors
/// A file that cannot be opened or read, or `out` that cannot be written.
pub fn follow(indicator: &str, files: &[impl AsRef<Path>], json: bool, out: &mut impl Write) -> Result<Summary> {
    let indicator = Indicator::parse(indicator);
    let mut summary = Summary::default();
    let mut followed = Followed::default();
    for file in files {
        let path = file.as_ref();
        let mut input = open(path).with_context(|| format!("{}: cannot be opened", path.display()))?;
        let mut line = Vec::new();
        loop {
            line.clear();
            if input.read_until(b'\n', &mut line).with_context(|| format!("{}: cannot be read", path.display()))? == 0 {
                break;
            }
            let Ok(document) = serde_json::from_slice::<Value>(&line) else {
                summary.skipped += 1;
                continue;
            };
            summary.documents += 1;
            if let Some(relation) = followed.relate(&indicator, &document) {
                write_step(relation, &document, json, out)?;
            }
        }
    }
    summary.processes = followed.resolvers.len();
    Ok(summary)
}

fn open(path: &Path) -> io::Result<Box<dyn BufRead>> {
    const GZIP: [u8; 2] = [0x1f, 0x8b];
    let raw: Box<dyn Read> = if path.as_os_str() == "-" { Box::new(io::stdin()) } else { Box::new(File::open(path)?) };
    let mut input = BufReader::with_capacity(1 << 20, raw);
    if input.fill_buf()?.starts_with(&GZIP) {
        return Ok(Box::new(BufReader::new(MultiGzDecoder::new(input))));
    }
    Ok(Box::new(input))
}

impl Indicator {
    fn parse(text: &str) -> Self {
        let name = text.trim_start_matches("*.").trim_end_matches('.').to_lowercase();
        text.parse().map_or_else(
            |_| Self::Name(idna::domain_to_ascii(&name).ok().filter(|ascii| !ascii.is_empty()).unwrap_or(name)),
            Self::Address,
        )
    }

    fn matches(&self, document: &Value) -> bool {
        let answers = document["dns"]["answers"].as_array().into_iter().flatten();
        match self {
            Self::Address(address) => document["dns"]["resolved_ip"]
                .as_array()
                .into_iter()
                .flatten()
                .any(|ip| ip.as_str().and_then(|ip| ip.parse::<IpAddr>().ok()) == Some(*address)),
            Self::Name(name) => {
                let is_below = |value: &Value| {
                    value.as_str().is_some_and(|text| {
                        text.strip_suffix(name.as_str()).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
                    })
                };
                is_below(&document["dns"]["question"]["name"])
                    || answers.into_iter().any(|answer| {
                        is_below(&answer["name"]) || (answer["type"] == "CNAME" && is_below(&answer["data"]))
                    })
            }
        }
    }
}

/// The processes on the trail, by `process.entity_id`.
#[derive(Default)]
struct Followed {
    resolvers: HashSet<String>,
    /// Started by one of those, or by one of these.
    children: HashSet<String>,
}

impl Followed {
    fn relate(&mut self, indicator: &Indicator, document: &Value) -> Option<Relation> {
        if document["event"]["dataset"].as_str().is_none_or(|dataset| !dataset.starts_with("dnstrail.dns")) {
            return None;
        }
        let process = &document["process"];
        let entity = process["entity_id"].as_str().unwrap_or_default();
        if indicator.matches(document) {
            if !entity.is_empty() && !self.resolvers.contains(entity) {
                self.resolvers.insert(entity.to_owned());
            }
            return Some(Relation::Resolved);
        }
        if self.resolvers.contains(entity) {
            return Some(Relation::Then);
        }
        let parent = process["parent"]["entity_id"].as_str().unwrap_or_default();
        if self.resolvers.contains(parent) || self.children.contains(parent) {
            self.children.insert(entity.to_owned());
        }
        self.children.contains(entity).then_some(Relation::Child)
    }
}

fn write_step(relation: Relation, document: &Value, json: bool, out: &mut impl Write) -> Result<()> {
    let (process, dns) = (&document["process"], &document["dns"]);
    let step = Step {
        relation,
        time: text(&document["@timestamp"]),
        host: text(&document["host"]["name"]),
        action: text(&document["event"]["action"]),
        entity_id: text(&process["entity_id"]),
        pid: process["pid"].as_u64().unwrap_or_default(),
        executable: text(&process["executable"]),
        command_line: text(&process["command_line"]),
        user: document["user"]["name"].as_str().unwrap_or_else(|| text(&document["user"]["id"])),
        parent: text(&process["parent"]["executable"]),
        container: text(&document["container"]["id"]),
        name: text(&dns["question"]["name"]),
        r#type: text(&dns["question"]["type"]),
        response_code: text(&dns["response_code"]),
        addresses: dns["resolved_ip"].as_array().into_iter().flatten().map(text).collect(),
        alert: document["event"]["kind"] == "alert",
    };
    if json {
        serde_json::to_writer(&mut *out, &step)?;
        return Ok(writeln!(out)?);
    }
    let relation = match step.relation {
        Relation::Resolved => "RESOLVED",
        Relation::Then => "  then",
        Relation::Child => "  child",
    };
    let result = if step.addresses.is_empty() { step.response_code.to_owned() } else { step.addresses.join(" ") };
    writeln!(
        out,
        "{}  {relation:<9} {} {} {} {}{}  by {} ({}) user {} parent {}",
        printable(step.time),
        printable(step.action),
        printable(step.r#type),
        printable(step.name),
        if result.is_empty() { "" } else { "→ " },
        printable(&result),
        printable(if step.command_line.is_empty() { step.executable } else { step.command_line }),
        step.pid,
        printable(or_unknown(step.user)),
        printable(or_unknown(step.parent)),
    )?;
    Ok(())
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// Arguments and names are chosen by whoever runs a program, and a terminal obeys control characters
/// and turns text around at format characters (Unicode TR 36, 2.5): each stands as its escape.
fn printable(text: &str) -> Cow<'_, str> {
    if !text.contains(is_control) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 16);
    for letter in text.chars() {
        if is_control(letter) {
            escaped.extend(letter.escape_unicode());
        } else {
            escaped.push(letter);
        }
    }
    Cow::Owned(escaped)
}

/// Controls (general category Cc), line separators, and what changes the direction of text.
fn is_control(letter: char) -> bool {
    letter.is_control()
        || matches!(letter, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn or_unknown(text: &str) -> &str {
    if text.is_empty() { "?" } else { text }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

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

    fn relations(indicator: &str, lines: &[String]) -> Vec<(String, String)> {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(lines.join("\n").as_bytes()).unwrap();
        let mut out = Vec::new();
        follow(indicator, &[file.path()], true, &mut out).unwrap();
        out.split(|byte| *byte == b'\n')
            .filter_map(|line| serde_json::from_slice::<Value>(line).ok())
            .map(|step| (text(&step["relation"]).to_owned(), text(&step["name"]).to_owned()))
            .collect()
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
        let told = |relation: &str, name: &str| (relation.to_owned(), name.to_owned());
        let trail = [
            told("resolved", "www.evil.example"),
            told("then", "after.example"),
            told("child", "child.example"),
            told("child", "grandchild.example"),
        ];
        assert_eq!(relations("evil.example", &lines), trail);
        assert_eq!(relations("192.0.2.66", &lines), trail, "by address");
        assert_eq!(relations("*.EVIL.example.", &lines), trail, "as a wildcard");
        assert_eq!(relations("vil.example", &lines), [], "not within a label");
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
        let mut file = tempfile::NamedTempFile::new().unwrap();
        writeln!(file, "{line}").unwrap();
        let mut out = Vec::new();
        follow("evil.example", &[file.path()], false, &mut out).unwrap();
        let told = String::from_utf8(out).unwrap();
        let told = told.strip_suffix('\n').unwrap();
        assert!(
            told.contains("by curl é \\u{1b}]0;owned\\u{7}\\u{d}\\u{a}\\u{9b}2J\\u{202e}txt.exe\\u{7f} (7)"),
            "{told}"
        );
        assert!(!told.contains(is_control), "{told:?}");
    }

    #[test]
    fn a_torn_line_is_counted_and_nothing_else_is_lost() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        writeln!(file, "{{\"torn\n{}", document("a", "", "evil.example", "192.0.2.1")).unwrap();
        let summary = follow("evil.example", &[file.path()], false, &mut Vec::new()).unwrap();
        assert_eq!(summary, Summary { documents: 1, skipped: 1, processes: 1 });
    }
}

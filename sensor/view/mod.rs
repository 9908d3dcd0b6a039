//! `dnstrail trail`: reads documents that dnstrail wrote, and tells which processes resolved an
//! indicator, who connected to what it resolved to, and what those processes, and the processes that
//! they started, did after that.

mod step;

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::IpAddr;
use std::path::Path;

use anyhow::{Context, Result};
use flate2::bufread::MultiGzDecoder;
use serde_json::Value;
use step::{Relation, text, write_step};

/// A name and all below it, or an address.
#[derive(Debug)]
enum Indicator {
    Address(IpAddr),
    Name(String),
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

    /// Whether a lookup resolves it.
    fn matches(&self, document: &Value) -> bool {
        let answers = document["dns"]["answers"].as_array().into_iter().flatten();
        self.has(&document["dns"]["question"]["name"])
            || resolved(document).any(|ip| self.is(ip))
            || answers
                .into_iter()
                .any(|answer| self.has(&answer["name"]) || (answer["type"] == "CNAME" && self.has(&answer["data"])))
    }

    /// The name, or one below it.
    fn has(&self, value: &Value) -> bool {
        let Self::Name(name) = self else { return false };
        value.as_str().is_some_and(|text| {
            text.strip_suffix(name.as_str()).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
        })
    }

    fn is(&self, ip: IpAddr) -> bool {
        matches!(self, Self::Address(address) if *address == ip)
    }
}

fn resolved(document: &Value) -> impl Iterator<Item = IpAddr> {
    document["dns"]["resolved_ip"].as_array().into_iter().flatten().filter_map(address)
}

fn address(value: &Value) -> Option<IpAddr> {
    value.as_str()?.parse().ok()
}

/// The processes on the trail, by `process.entity_id`.
#[derive(Default)]
struct Followed {
    resolvers: HashSet<String>,
    /// Started by one of those, or by one of these.
    children: HashSet<String>,
    /// What the indicator resolved to.
    addresses: HashSet<IpAddr>,
}

impl Followed {
    fn relate(&mut self, indicator: &Indicator, document: &Value) -> Option<Relation> {
        let connection = match text(&document["event"]["dataset"]) {
            "dnstrail.connection" => true,
            dataset if dataset.starts_with("dnstrail.dns") => false,
            _ => return None,
        };
        let process = &document["process"];
        let entity = process["entity_id"].as_str().unwrap_or_default();
        let destination = &document["destination"];
        let to_indicator = |ip| indicator.is(ip) || self.addresses.contains(&ip);
        if connection
            && (indicator.has(&destination["domain"]) || address(&destination["ip"]).is_some_and(to_indicator))
        {
            return Some(Relation::Connected);
        }
        if !connection && indicator.matches(document) {
            if let Indicator::Name(_) = indicator {
                self.addresses.extend(resolved(document));
            }
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

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::step::is_control;
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

    #[test]
    fn connections_are_what_it_did_next() {
        let lines = [
            connection("z", "", "other.example", "192.0.2.66"),
            document("a", "shell", "www.evil.example", "192.0.2.66"),
            connection("a", "shell", "www.evil.example", "192.0.2.66"),
            // The same address under the name that somebody else asked for last; then another process.
            connection("a", "shell", "shared.example", "192.0.2.66"),
            connection("b", "shell", "www.evil.example", "192.0.2.66"),
            connection("a", "shell", "second.example", "192.0.2.7"),
            connection("c", "a", "third.example", "192.0.2.8"),
            connection("b", "shell", "second.example", "192.0.2.7"),
        ];
        let told = |relation: &str, name: &str| (relation.to_owned(), name.to_owned());
        let trail = [
            told("resolved", "www.evil.example"),
            told("connected", "www.evil.example"),
            told("connected", "shared.example"),
            told("connected", "www.evil.example"),
            told("then", "second.example"),
            told("child", "third.example"),
        ];
        assert_eq!(relations("evil.example", &lines), trail);
        // By address also what was before.
        assert_eq!(relations("192.0.2.66", &lines), [&[told("connected", "other.example")][..], &trail].concat());

        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(lines.join("\n").as_bytes()).unwrap();
        let mut out = Vec::new();
        follow("evil.example", &[file.path()], false, &mut out).unwrap();
        let told = String::from_utf8(out).unwrap();
        let expected = "CONNECTED connection-closed TCP www.evil.example → 192.0.2.66 port 443, 61.000 s, \
                        12 bytes sent, 345 received  by ";
        assert!(told.contains(expected), "{told}");
        let mut out = Vec::new();
        follow("evil.example", &[file.path()], true, &mut out).unwrap();
        let step: Value = serde_json::from_slice(out.split(|byte| *byte == b'\n').nth(1).unwrap()).unwrap();
        let expected = serde_json::json!({"port": 443, "outcome": "success", "reason": "", "duration": 61_000_400_000_u64,
                                          "bytes_sent": 12, "bytes_received": 345});
        assert_eq!((&step["connection"], &step["addresses"]), (&expected, &serde_json::json!(["192.0.2.66"])));
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

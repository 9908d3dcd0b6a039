//! One step of a trail, as JSON or as a line for a person.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::io::Write;
use std::time::Duration;

use anyhow::Result;
use serde::Serialize;
use serde_json::Value;

/// One step of a trail.
#[derive(Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Relation {
    /// Resolved the indicator.
    Resolved,
    /// A connection to what it resolved to, by any process.
    Connected,
    /// A later lookup, or a connection elsewhere, by a process that had resolved it.
    Then,
    /// The same by a process that such a process started.
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
    #[serde(skip_serializing_if = "Option::is_none")]
    connection: Option<Connection<'a>>,
    alert: bool,
}

/// What a connection has besides its name and address.
#[derive(Debug, Serialize)]
struct Connection<'a> {
    port: u64,
    outcome: &'a str,
    reason: &'a str,
    /// Nanoseconds; of one that is open not known yet, as the bytes.
    duration: Option<u64>,
    bytes_sent: Option<u64>,
    bytes_received: Option<u64>,
}

/// Writes what `document` says, which has this relation to the indicator.
pub(super) fn write_step(relation: Relation, document: &Value, json: bool, out: &mut impl Write) -> Result<()> {
    let (process, dns, destination) = (&document["process"], &document["dns"], &document["destination"]);
    let is_connection = document.get("dns").is_none();
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
        name: text(if is_connection { &destination["domain"] } else { &dns["question"]["name"] }),
        r#type: text(&dns["question"]["type"]),
        response_code: text(&dns["response_code"]),
        addresses: if is_connection {
            vec![text(&destination["ip"])]
        } else {
            dns["resolved_ip"].as_array().into_iter().flatten().map(text).collect()
        },
        connection: is_connection.then(|| Connection {
            port: destination["port"].as_u64().unwrap_or_default(),
            outcome: text(&document["event"]["outcome"]),
            reason: text(&document["event"]["reason"]),
            duration: document["event"]["duration"].as_u64(),
            bytes_sent: document["source"]["bytes"].as_u64(),
            bytes_received: destination["bytes"].as_u64(),
        }),
        alert: document["event"]["kind"] == "alert",
    };
    if json {
        serde_json::to_writer(&mut *out, &step)?;
        return Ok(writeln!(out)?);
    }
    let relation = match step.relation {
        Relation::Resolved => "RESOLVED",
        Relation::Connected => "CONNECTED",
        Relation::Then => "  then",
        Relation::Child => "  child",
    };
    let mut result = if step.addresses.is_empty() { step.response_code.to_owned() } else { step.addresses.join(" ") };
    if let Some(connection) = &step.connection {
        connection.describe(&mut result);
    }
    writeln!(
        out,
        "{}  {relation:<9} {} {} {} {}{}  by {} ({}) user {} parent {}",
        printable(step.time),
        printable(step.action),
        if step.connection.is_some() { "TCP".into() } else { printable(step.r#type) },
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

impl Connection<'_> {
    /// ` port 443, refused, 61.000 s, 1234 bytes sent, 567 received` behind the address.
    fn describe(&self, text: &mut String) {
        // Writing into a text cannot fail.
        let _ = write!(text, " port {}", self.port);
        if !self.reason.is_empty() {
            let _ = write!(text, ", {}", self.reason);
        }
        if let Some(duration) = self.duration {
            let _ = write!(text, ", {:.3} s", Duration::from_nanos(duration).as_secs_f64());
        }
        if let (Some(sent), Some(received)) = (self.bytes_sent, self.bytes_received) {
            let _ = write!(text, ", {sent} bytes sent, {received} received");
        }
    }
}

pub(super) fn text(value: &Value) -> &str {
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
pub(super) fn is_control(letter: char) -> bool {
    letter.is_control()
        || matches!(letter, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn or_unknown(text: &str) -> &str {
    if text.is_empty() { "?" } else { text }
}

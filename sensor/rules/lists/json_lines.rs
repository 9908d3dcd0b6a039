//! One JSON object a line, as Kunai's indicators and MISP's attributes are written:
//! `{"uuid": "…", "source": "…", "value": "evil.example", "severity": 8}`, also with `type` and
//! `comment` or `description`. Values of other kinds (hashes, paths, mail) are not applicable.

use std::borrow::Cow;

use serde::Deserialize;

use super::super::index::names::Scope;
use super::super::list::Metadata;
use super::flaw::Flaw;
use super::intake::Intake;

/// MISP types that stand for names and addresses. Values of other types are not applicable.
const TYPES: [&str; 14] = [
    "domain",
    "hostname",
    "fqdn",
    "domain|ip",
    "hostname|port",
    "ip",
    "ip-dst",
    "ip-src",
    "ip-dst|port",
    "ip-src|port",
    "url",
    "uri",
    "domain-name",
    "ipv4-addr",
];

/// Hexadecimal digits of the shortest usual hash (MD5).
const SHORTEST_HASH: usize = 32;

#[derive(Deserialize)]
struct Indicator<'a> {
    #[serde(borrow)]
    value: Option<Cow<'a, str>>,
    #[serde(borrow, default, alias = "indicator_type")]
    r#type: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    uuid: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    source: Option<Cow<'a, str>>,
    #[serde(borrow, default, alias = "comment")]
    description: Option<Cow<'a, str>>,
    #[serde(default)]
    severity: Option<f64>,
}

pub(super) fn claims(line: &[u8]) -> bool {
    line.starts_with(b"{") || line.starts_with(b"[{")
}

pub(super) fn line(line: &[u8], intake: &mut Intake<'_>) {
    let object = line.trim_ascii();
    let object = object.strip_prefix(b"[").unwrap_or(object);
    let object = object.strip_suffix(b"]").unwrap_or(object).trim_ascii();
    let object = object.strip_suffix(b",").unwrap_or(object);
    if object.is_empty() {
        return;
    }
    let Ok(indicator) = serde_json::from_slice::<Indicator<'_>>(object) else { return intake.skip(Flaw::Json, line) };
    let Some(value) = indicator.value.as_deref() else { return intake.skip(Flaw::Json, line) };
    if indicator.r#type.as_deref().is_some_and(|kind| !TYPES.contains(&kind)) || is_something_else(value) {
        return intake.not_applicable();
    }
    let text = |text: Option<Cow<'_, str>>| text.map(Cow::into_owned).filter(|text| !text.is_empty());
    let metadata = Metadata {
        uuid: text(indicator.uuid.clone()),
        source: text(indicator.source.clone()),
        description: text(indicator.description.clone()),
        severity: indicator.severity.map(|severity| intake.severity(severity)),
    };
    for part in value.split('|') {
        // The second part of `hostname|port`.
        if !part.bytes().all(|byte| byte.is_ascii_digit()) {
            intake.entry(part.trim().as_bytes(), Scope::Suffix, false, Some(&metadata), line);
        }
    }
}

/// Whether a value is a hash, a path or a mail address, in lists that do not give its type.
fn is_something_else(value: &str) -> bool {
    let hash = value.len() >= SHORTEST_HASH && value.bytes().all(|byte| byte.is_ascii_hexdigit());
    hash || value.starts_with('/') || value.contains('\\') || (value.contains('@') && !value.contains("://"))
}

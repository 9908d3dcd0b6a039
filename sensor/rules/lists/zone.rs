//! Zone files (RFC 1035 5), mostly those of response policy zones (draft-vixie-dnsop-dns-rpz-00):
//! `evil.example CNAME .` is the name alone, `*.evil.example CNAME .` what is below it,
//! `24.0.2.0.192.rpz-ip CNAME .` a range of answered addresses. `CNAME rpz-passthru.` is an exception;
//! every other action is a block, and so is local data. Triggers by client or name server are not applicable.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::super::index::names::Scope;
use super::flaw::Flaw;
use super::intake::Intake;
use super::line::words;
use crate::name::{self, Network};

/// Words of a record that are read: owner, TTL, class, type and the first of its data.
const WORDS: usize = 6;

/// The state that one line leaves for the next.
#[derive(Default)]
pub(in crate::rules) struct Zone {
    /// Without the trailing dot; names in the file are below it.
    origin: Option<Vec<u8>>,
    owner: Vec<u8>,
    /// The owner has been read as an entry.
    owner_is_entered: bool,
    /// Open parentheses (of a SOA record).
    depth: usize,
}

pub(super) fn claims(line: &[u8]) -> bool {
    if matches!(line.first(), Some(b';' | b'#' | b'!' | b'/')) {
        return false;
    }
    line.starts_with(b"$TTL")
        || line.starts_with(b"$ORIGIN")
        || words(line)
            .skip(1)
            .take(3)
            .any(|word| [b"CNAME".as_slice(), b"SOA", b"IN"].iter().any(|mark| word.eq_ignore_ascii_case(mark)))
}

impl Zone {
    pub(super) fn line(&mut self, line: &[u8], intake: &mut Intake<'_>) {
        let text = without_comment(line);
        let was_open = self.depth > 0;
        for byte in text {
            match byte {
                b'(' => self.depth += 1,
                b')' => self.depth = self.depth.saturating_sub(1),
                _ => {}
            }
        }
        if was_open || text.trim_ascii().is_empty() {
            return;
        }
        let mut record: [&[u8]; WORDS] = [b""; WORDS];
        for (place, word) in record.iter_mut().zip(words(text)) {
            *place = word;
        }
        let [first, second, ..] = record;
        if first.starts_with(b"$") {
            if first.eq_ignore_ascii_case(b"$ORIGIN") {
                self.origin = Some(second.strip_suffix(b".").unwrap_or(second).to_ascii_lowercase());
            }
            return;
        }
        let mut rest = record.iter().copied();
        if !text.first().is_some_and(u8::is_ascii_whitespace) {
            rest.next();
            if first != self.owner {
                first.clone_into(&mut self.owner);
                self.owner_is_entered = false;
            }
        }
        // A TTL begins with a digit, and no type does.
        let mut data = rest.skip_while(|word| word.first().is_some_and(u8::is_ascii_digit) || is_class(word));
        let (kind, target) = (data.next().unwrap_or_default(), data.next().unwrap_or_default());
        self.record(kind, target, line, intake);
    }

    fn record(&mut self, kind: &[u8], target: &[u8], line: &[u8], intake: &mut Intake<'_>) {
        if kind.is_empty() || !kind.iter().all(u8::is_ascii_alphanumeric) {
            return intake.skip(Flaw::Syntax, line);
        }
        if kind.eq_ignore_ascii_case(b"SOA") {
            if self.origin.is_none() && self.owner != b"@" {
                self.origin = Some(self.owner.strip_suffix(b".").unwrap_or(&self.owner).to_ascii_lowercase());
            }
            return;
        }
        let blocks = ["CNAME", "DNAME", "A", "AAAA", "TXT", "MX", "SRV", "PTR"];
        if !blocks.iter().any(|block| kind.eq_ignore_ascii_case(block.as_bytes())) || self.owner == b"@" {
            return;
        }
        // Several records of one owner (A and AAAA, say) are one entry.
        if std::mem::replace(&mut self.owner_is_entered, true) {
            return;
        }
        let name = self.trigger();
        if name.is_empty() {
            return;
        }
        let is_cname = kind.eq_ignore_ascii_case(b"CNAME");
        let passthru =
            target.eq_ignore_ascii_case(b"rpz-passthru.") || target.strip_suffix(b".").unwrap_or(target) == name;
        let allow = is_cname && passthru;
        if let Some(labels) = strip_label(name, b"rpz-ip") {
            return match response_address(labels) {
                Some(network) => intake.network(network, allow, None, line),
                None => intake.skip(name::Flaw::Address.into(), line),
            };
        }
        let elsewhere = [b"rpz-client-ip".as_slice(), b"rpz-nsdname", b"rpz-nsip"];
        if elsewhere.iter().any(|kind| strip_label(name, kind).is_some()) {
            return intake.not_applicable();
        }
        match name.strip_prefix(b"*.") {
            Some(parent) => intake.entry(parent, Scope::Below, allow, None, line),
            None => intake.entry(name, Scope::Exact, allow, None, line),
        }
    }

    /// The owner below the origin; empty for the origin itself.
    fn trigger(&self) -> &[u8] {
        let Some(absolute) = self.owner.strip_suffix(b".") else { return &self.owner };
        let Some(origin) = self.origin.as_deref().filter(|origin| !origin.is_empty()) else { return absolute };
        let Some(start) = absolute.len().checked_sub(origin.len()) else { return absolute };
        match (absolute.get(start..), start) {
            (Some(tail), 0) if tail.eq_ignore_ascii_case(origin) => b"",
            (Some(tail), 1..) if tail.eq_ignore_ascii_case(origin) && absolute.get(start - 1) == Some(&b'.') => {
                absolute.get(..start - 1).unwrap_or_default()
            }
            _ => absolute,
        }
    }
}

/// `32.7.2.0.192` is `192.0.2.7/32`, `48.zz.1.db8.2001` is `2001:db8:1::/48`.
fn response_address(labels: &[u8]) -> Option<Network> {
    let text = std::str::from_utf8(labels).ok()?;
    let (prefix, reversed) = text.split_once('.')?;
    let parts: Vec<&str> = reversed.split('.').rev().take(9).collect();
    let address: IpAddr = match parts.as_slice() {
        [_, _, _, _] if !parts.contains(&"zz") => parts.join(".").parse::<Ipv4Addr>().ok()?.into(),
        _ => {
            let text = parts.iter().map(|part| if *part == "zz" { "" } else { part }).collect::<Vec<_>>().join(":");
            let text = if text.starts_with(':') { format!(":{text}") } else { text };
            let text = if text.ends_with(':') { format!("{text}:") } else { text };
            text.parse::<Ipv6Addr>().ok()?.into()
        }
    };
    Network::new(address, prefix.parse().ok()?)
}

fn strip_label<'a>(name: &'a [u8], label: &[u8]) -> Option<&'a [u8]> {
    let start = name.len().checked_sub(label.len())?;
    let (rest, last) = name.split_at_checked(start)?;
    if last.eq_ignore_ascii_case(label) { rest.strip_suffix(b".") } else { None }
}

fn is_class(word: &[u8]) -> bool {
    [b"IN".as_slice(), b"CH", b"HS"].iter().any(|class| word.eq_ignore_ascii_case(class))
}

/// Cuts what follows a semicolon outside of quotes.
fn without_comment(line: &[u8]) -> &[u8] {
    let mut quoted = false;
    for (at, byte) in line.iter().enumerate() {
        match byte {
            b'"' => quoted = !quoted,
            b';' if !quoted => return line.get(..at).unwrap_or_default(),
            _ => {}
        }
    }
    line
}
